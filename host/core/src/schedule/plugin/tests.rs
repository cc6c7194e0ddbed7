use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::ids::{BuildId, BuilderId, BuildsetId, ChangeId, ForcedId, JournalId, WorkerId};
use crate::journal::{Fact, JournalEntry};
use crate::model::SourceStampSpec;
use crate::schedule::{SingleBranchState, StateError};
use crate::{Results, Timestamp};

const LINUX: BuilderId = BuilderId(1);
const DOCS: BuilderId = BuilderId(2);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn farm() -> Farm {
    Farm {
        fingerprint: "one".into(),
        builders: vec!["linux".into(), "docs".into()],
        builder_names: [(LINUX, "linux".into()), (DOCS, "docs".into())].into(),
    }
}

/// A scheduler that has heard of its configuration and nothing else.
fn configured() -> PluginSchedulerState {
    PluginSchedulerState {
        configured: Some(farm().fingerprint),
        ..PluginSchedulerState::starting_after("nightly", JournalId(0))
    }
}

/// Everything that is stored: facts with their seconds, and forms with theirs.
fn inbox(facts: &[(i64, Fact)], forms: &[(i64, i64)]) -> Inbox {
    let journal = facts
        .iter()
        .zip(1..)
        .map(|((seconds, fact), id)| JournalEntry {
            id: JournalId(id),
            at: at(*seconds),
            fact: *fact,
        });
    let forced = forms.iter().map(|(id, seconds)| Forced {
        id: ForcedId(*id),
        at: at(*seconds),
    });
    Inbox {
        journal: journal.collect(),
        journal_is_all: true,
        forced: forced.collect(),
        forced_is_all: true,
        own_buildsets: BTreeSet::new(),
    }
}

fn reaction(actions: Vec<Action>) -> Reaction {
    Reaction {
        memory: Value::Null,
        actions,
    }
}

/// All events until there are none, each answered with nothing.
fn events(state: &mut PluginSchedulerState, inbox: &mut Inbox, now_s: i64) -> Vec<Due> {
    let farm = farm();
    let mut heard = Vec::new();
    while let Some(due) = state.next(inbox, &farm, at(now_s)) {
        let made = state.handled(inbox, &farm, due, reaction(vec![]), at(now_s));
        assert_eq!(made, Ok(vec![]));
        heard.push(due);
    }
    heard
}

const FACTS: [(i64, Fact); 8] = [
    (1, Fact::ChangeAdded(ChangeId(7))),
    (2, Fact::RequestAdded(crate::RequestId(1), LINUX)),
    (3, Fact::BuildStarted(BuildId(3), LINUX)),
    (4, Fact::BuildFinished(BuildId(3), LINUX, Results::Success)),
    (5, Fact::BuildFinished(BuildId(4), DOCS, Results::Failure)),
    (6, Fact::BuildsetComplete(BuildsetId(5), Results::Success)),
    (7, Fact::BuildsetComplete(BuildsetId(6), Results::Success)),
    (8, Fact::WorkerLost(WorkerId(1))),
];

#[test]
fn only_what_it_listens_to_is_heard() {
    let listens = |changes, builds_of: &[&str]| Interests {
        changes,
        builds_of: builds_of.iter().map(|name| (*name).to_owned()).collect(),
    };
    let complete = Due::BuildsetComplete(BuildsetId(6));
    let table = [
        (
            Interests::default(),
            vec![Due::Change(ChangeId(7)), complete],
        ),
        (listens(false, &[]), vec![complete]),
        (
            listens(false, &["docs", "gone"]),
            vec![Due::BuildFinished(BuildId(4)), complete],
        ),
        (
            listens(true, &["linux"]),
            vec![
                Due::Change(ChangeId(7)),
                Due::BuildFinished(BuildId(3)),
                complete,
            ],
        ),
    ];
    for (interests, expected) in table {
        let mut state = PluginSchedulerState {
            interests,
            ..configured()
        };
        let mut inbox = inbox(&FACTS, &[]);
        inbox.own_buildsets.insert(BuildsetId(6));
        assert_eq!(events(&mut state, &mut inbox, 100), expected);
        assert_eq!(
            state.cursor(),
            JournalId(8),
            "it has passed what it did not hear"
        );
    }
}

#[test]
fn the_configuration_comes_before_everything_else() {
    let mut state = PluginSchedulerState::starting_after("nightly", JournalId(0));
    let mut inbox = inbox(&FACTS[..1], &[(1, 0)]);
    let first = Due::Configured { first: true };
    let rest = [Due::Forced(ForcedId(1)), Due::Change(ChangeId(7))];
    assert_eq!(
        events(&mut state, &mut inbox, 100),
        [&[first][..], &rest].concat()
    );
    let farm = Farm {
        fingerprint: "two".into(),
        ..farm()
    };
    let again = state.next(&mut inbox, &farm, at(100));
    assert_eq!(again, Some(Due::Configured { first: false }));
}

#[test]
fn forms_changes_and_the_timer_come_in_the_order_of_their_times() {
    let change = |id| Fact::ChangeAdded(ChangeId(id));
    let table = [
        // (timer, now, what is heard): changes come at 10 and 20, forms at 10 and 30.
        (5, 40, "timer form1 change1 change2 form2"),
        (10, 40, "timer form1 change1 change2 form2"),
        (15, 40, "form1 change1 timer change2 form2"),
        (35, 40, "form1 change1 change2 form2 timer"),
        (35, 34, "form1 change1 change2 form2"),
    ];
    for (timer, now, expected) in table {
        let mut state = PluginSchedulerState {
            wake_at: Some(at(timer)),
            ..configured()
        };
        let mut inbox = inbox(&[(10, change(1)), (20, change(2))], &[(1, 10), (2, 30)]);
        let heard = events(&mut state, &mut inbox, now)
            .into_iter()
            .map(|due| match due {
                Due::Timer => "timer".to_owned(),
                Due::Forced(id) => format!("form{id}"),
                Due::Change(id) => format!("change{id}"),
                other => panic!("{other:?}"),
            });
        assert_eq!(
            heard.collect::<Vec<_>>().join(" "),
            expected,
            "timer at {timer}"
        );
    }
}

#[test]
fn a_timer_waits_for_what_was_not_read_yet() {
    let mut state = PluginSchedulerState {
        wake_at: Some(at(15)),
        ..configured()
    };
    let facts = [(10, Fact::ChangeAdded(ChangeId(1)))];
    let mut part = Inbox {
        journal_is_all: false,
        ..inbox(&facts, &[])
    };
    assert_eq!(
        events(&mut state, &mut part, 40),
        [Due::Change(ChangeId(1))]
    );
    assert_eq!(events(&mut state, &mut inbox(&[], &[]), 40), [Due::Timer]);
}

#[test]
fn an_answer_is_done_as_a_whole() {
    let (farm, mut inbox) = (farm(), inbox(&FACTS[..1], &[]));
    let mut state = configured();
    let due = Due::Change(ChangeId(7));
    assert_eq!(state.next(&mut inbox, &farm, at(10)), Some(due));
    let wanted = WantedBuildset {
        label: "first".into(),
        reason: "ä".repeat(TEXT_BYTES_MAX),
        ..WantedBuildset::default()
    };
    let listen = Interests {
        changes: false,
        builds_of: ["docs".to_owned()].into(),
    };
    let answer = Reaction {
        memory: json!({"count": 1}),
        actions: vec![
            Action::WakeAt(at(1)),
            Action::AddBuildset(wanted),
            Action::Listen(listen.clone()),
            Action::SetStatus("waits".into()),
            Action::WakeAt(at(99)),
        ],
    };
    let made = state
        .handled(&mut inbox, &farm, due, answer, at(10))
        .unwrap();
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].builders, farm.builders);
    assert_eq!(made[0].source_stamps, [SourceStampSpec::default()]);
    assert_eq!(made[0].reason, "ä".repeat(TEXT_BYTES_MAX / 2));
    assert_eq!((state.status(), state.wake_at()), ("waits", Some(at(99))));
    assert_eq!(
        (state.cursor(), state.interests.clone()),
        (JournalId(1), listen)
    );
    let read = PluginSchedulerState::from_value(&state.to_value());
    assert_eq!(read.as_ref(), Ok(&state));
}

#[test]
fn what_is_refused_changes_nothing() {
    let stamp = SourceStampSpec::default();
    let table = [
        (
            WantedBuildset {
                builders: vec!["linux".into(), "mac".into()],
                ..WantedBuildset::default()
            },
            "it wants to start builder `mac`, but its `builders` are `linux`, `docs`",
        ),
        (
            WantedBuildset {
                source_stamps: vec![stamp.clone(), stamp],
                ..WantedBuildset::default()
            },
            "it wants to build codebase `` from two source stamps; one for each codebase is possible",
        ),
        (
            WantedBuildset {
                label: "x".repeat(257),
                ..WantedBuildset::default()
            },
            "bytes of the label of a build set: 257, the limit is 256",
        ),
        (
            WantedBuildset {
                changes: vec![ChangeId(1); 1_001],
                ..WantedBuildset::default()
            },
            "changes of a build set: 1001, the limit is 1000",
        ),
        (
            WantedBuildset {
                properties: [("x".to_owned(), json!("x".repeat(65_536)))]
                    .into_iter()
                    .collect(),
                ..WantedBuildset::default()
            },
            "bytes of the properties of a build set: 65544, the limit is 65536",
        ),
    ];
    for (wanted, expected) in table {
        let (farm, mut inbox) = (farm(), inbox(&FACTS[..1], &[]));
        let before = configured();
        let mut state = before.clone();
        let answer = Reaction {
            memory: json!(1),
            actions: vec![Action::SetStatus("new".into()), Action::AddBuildset(wanted)],
        };
        let due = Due::Change(ChangeId(7));
        let refused = state.handled(&mut inbox, &farm, due, answer, at(1));
        assert_eq!(refused.unwrap_err().to_string(), expected);
        assert_eq!((state, inbox.journal.len()), (before, 1));
    }
}

#[test]
fn a_timer_that_asks_for_itself_at_once_waits_a_moment() {
    let mut state = PluginSchedulerState {
        wake_at: Some(at(1)),
        ..configured()
    };
    let answer = reaction(vec![Action::WakeAt(at(0))]);
    let taken = state.handled(&mut inbox(&[], &[]), &farm(), Due::Timer, answer, at(10));
    assert_eq!(taken, Ok(vec![]));
    assert_eq!(state.wake_at(), Some(at(10).after(TIMER_INTERVAL_MIN)));
}

#[test]
fn a_state_that_cannot_be_read_is_no_fresh_start() {
    let good = configured().to_value();
    assert!(PluginSchedulerState::is_of(&good, "nightly"));
    assert!(!PluginSchedulerState::is_of(&good, "weekly"));
    let native = SingleBranchState::starting_after(ChangeId(1)).to_value();
    assert!(!PluginSchedulerState::is_one(&native));
    for field in [
        "kind",
        "use",
        "cursor",
        "wake_at_ms",
        "changes",
        "builds_of",
        "status",
    ] {
        let mut bad = good.clone();
        bad[field] = json!([1]);
        let read = PluginSchedulerState::from_value(&bad);
        assert_eq!(read, Err(StateError::Damaged { field }));
    }
    let mut newer = good;
    newer["version"] = json!(9);
    let read = PluginSchedulerState::from_value(&newer);
    assert_eq!(read, Err(StateError::Version { found: 9 }));
}

/// A master that dies now and then. What the scheduler hears is in its own state, so that only what was committed
/// counts.
struct Master {
    facts: Vec<(i64, Fact)>,
    forms: Vec<(i64, i64)>,
    committed: Value,
    forms_done: BTreeSet<i64>,
}

/// How a master reads, how much it handles before it commits, and whether it dies before that.
#[derive(Debug, Clone)]
struct Look {
    wait_s: i64,
    read: usize,
    handle: usize,
    dies: bool,
}

impl Master {
    fn new(gaps: &[(i64, u8)]) -> Self {
        let mut master = Self {
            facts: Vec::new(),
            forms: Vec::new(),
            committed: PluginSchedulerState::starting_after("nightly", JournalId(0)).to_value(),
            forms_done: BTreeSet::new(),
        };
        let mut seconds = 0;
        for ((gap, what), id) in gaps.iter().zip(1..) {
            seconds += gap;
            match what % 4 {
                0 => master.forms.push((id, seconds)),
                1 => master.facts.push((seconds, Fact::WorkerLost(WorkerId(id)))),
                2 => {
                    let finished = Fact::BuildFinished(BuildId(id), LINUX, Results::Success);
                    master.facts.push((seconds, finished));
                }
                _ => master
                    .facts
                    .push((seconds, Fact::ChangeAdded(ChangeId(id)))),
            }
        }
        master
    }

    /// What is stored at this time, as far as it is read.
    fn read(&self, after: JournalId, now_s: i64, limit: usize) -> Inbox {
        let mut all = inbox(&self.facts, &[]);
        all.journal
            .retain(|entry| entry.id > after && entry.at <= at(now_s));
        all.forced = self
            .forms
            .iter()
            .filter(|(id, seconds)| !self.forms_done.contains(id) && *seconds <= now_s)
            .map(|(id, seconds)| Forced {
                id: ForcedId(*id),
                at: at(*seconds),
            })
            .collect();
        all.journal_is_all = all.journal.len() < limit;
        all.forced_is_all = all.forced.len() < limit;
        all.journal.truncate(limit);
        all.forced.truncate(limit);
        all
    }

    /// Whether it may have left something that it could have handled.
    fn look(&mut self, look: &Look, now_s: i64) -> bool {
        let farm = farm();
        let mut state = PluginSchedulerState::from_value(&self.committed).unwrap();
        let mut inbox = self.read(state.cursor(), now_s, look.read);
        let is_all = inbox.journal_is_all && inbox.forced_is_all;
        let mut forms_done = self.forms_done.clone();
        let mut count = 0;
        while count < look.handle {
            let Some(due) = state.next(&mut inbox, &farm, at(now_s)) else {
                break;
            };
            if let Due::Forced(id) = due {
                forms_done.insert(id.0);
            }
            let answer = answer(&state, &inbox, due);
            state
                .handled(&mut inbox, &farm, due, answer, at(now_s))
                .unwrap();
            count += 1;
        }
        if !look.dies {
            self.committed = state.to_value();
            self.forms_done = forms_done;
        }
        look.dies || !is_all || count == look.handle
    }

    fn finish(mut self) -> Value {
        let thorough = Look {
            wait_s: 0,
            read: 1_000,
            handle: 1_000,
            dies: false,
        };
        while self.look(&thorough, 1_000_000) {}
        self.committed["memory"].take()
    }
}

/// A scheduler that remembers what it has heard and asks for timers and other interests now and then; a function of
/// its state and the event.
fn answer(state: &PluginSchedulerState, inbox: &Inbox, due: Due) -> Reaction {
    let mut memory = match state.memory() {
        Value::Null => json!([]),
        heard => heard.clone(),
    };
    if let Some(heard) = memory.as_array_mut() {
        heard.push(format!("{due:?}").into());
    }
    let happened = inbox.journal.front().map_or(at(0), |entry| entry.at);
    let actions = match due {
        Due::Change(id) if id.0 % 3 == 0 => {
            vec![Action::WakeAt(happened.after(Duration::from_secs(4)))]
        }
        Due::Change(id) if id.0 % 5 == 0 => vec![Action::Listen(Interests {
            changes: true,
            builds_of: ["linux".to_owned()].into(),
        })],
        Due::BuildFinished(id) if id.0 % 2 == 0 => vec![Action::Listen(Interests::default())],
        Due::BuildFinished(_) => vec![Action::NoWake],
        _ => vec![],
    };
    Reaction { memory, actions }
}

fn looks() -> impl Strategy<Value = Vec<Look>> {
    let look = (0..20_i64, 1..6_usize, 1..6_usize, any::<bool>());
    let look = look.prop_map(|(wait_s, read, handle, dies)| Look {
        wait_s,
        read,
        handle,
        dies,
    });
    proptest::collection::vec(look, 0..60)
}

proptest! {
    #[test]
    fn wherever_the_master_dies_the_same_events_are_heard(
        gaps in proptest::collection::vec((0..6_i64, any::<u8>()), 0..60),
        looks in looks(),
    ) {
        let expected = Master::new(&gaps).finish();
        let mut master = Master::new(&gaps);
        let mut now_s = 0;
        for look in &looks {
            now_s += look.wait_s;
            master.look(look, now_s);
        }
        prop_assert_eq!(master.finish(), expected);
    }
}
