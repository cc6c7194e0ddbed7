use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::filter::{ChangeFilter, Conditions};
use crate::ids::{ChangeId, SourceStampId};
use crate::model::{Change, SourceStampSpec};
use crate::{Properties, Timestamp};

fn change(id: i64, branch: &str, file: &str) -> Change {
    Change {
        id: ChangeId(id),
        author: "A <a@example.org>".into(),
        committer: None,
        comments: String::new(),
        files: vec![file.into()],
        branch: Some(branch.into()),
        revision: Some(format!("r{id}")),
        revlink: None,
        category: None,
        repository: "repo".into(),
        codebase: String::new(),
        project: String::new(),
        when: Timestamp(0),
        parent: None,
        sourcestamp_id: SourceStampId(id),
        properties: Properties::new(),
    }
}

fn of_codebase(codebase: &str, change: Change) -> Change {
    Change {
        codebase: codebase.into(),
        ..change
    }
}

/// A scheduler with its configuration and what it remembers; stores and reads its state at each event.
struct Bench {
    filter: ChangeFilter,
    codebases: Vec<SourceStampSpec>,
    timer_s: Option<u64>,
    only_important: bool,
    absolute: bool,
    stored: Value,
}

/// The changes and the source stamps (`codebase@revision`) of each build set.
type Made = Vec<(Vec<i64>, Vec<String>)>;

impl Bench {
    fn new(timer_s: Option<u64>) -> Self {
        Self {
            filter: ChangeFilter {
                branch: Conditions::equal_to("main"),
                ..ChangeFilter::default()
            },
            codebases: vec![SourceStampSpec::default()],
            timer_s,
            only_important: false,
            absolute: false,
            stored: SingleBranchState::starting_after(ChangeId(0)).to_value(),
        }
    }

    fn handle(&mut self, event: SchedulerEvent<'_>, now_s: i64) -> (Made, Option<i64>) {
        let is_important = |change: &Change| !change.files[0].starts_with("doc/");
        let scheduler = SingleBranch {
            filter: &self.filter,
            is_important: Some(&is_important),
            only_important: self.only_important,
            tree_stable_timer: self.timer_s.map(Duration::from_secs),
            codebases: &self.codebases,
            create_absolute_source_stamps: self.absolute,
        };
        let state = SingleBranchState::from_value(&self.stored).unwrap();
        let outcome = scheduler.handle(state, event, Timestamp::from_seconds(now_s));
        assert_eq!(outcome.wake_at, outcome.state.wake_at());
        self.stored = outcome.state.to_value();
        let made = outcome.actions.into_iter().map(|action| {
            let SchedulerAction::AddBuildset {
                changes,
                source_stamps,
            } = action;
            let stamps = source_stamps
                .iter()
                .map(|s| format!("{}@{}", s.codebase, s.revision.as_deref().unwrap_or("-")));
            (changes.iter().map(|id| id.0).collect(), stamps.collect())
        });
        (made.collect(), outcome.wake_at.map(Timestamp::seconds))
    }

    fn changes(&mut self, changes: &[Change], now_s: i64) -> (Made, Option<i64>) {
        self.handle(SchedulerEvent::Changes(changes), now_s)
    }

    fn wake(&mut self, now_s: i64) -> (Made, Option<i64>) {
        self.handle(SchedulerEvent::Wake, now_s)
    }
}

fn made(changes: &[i64], stamp: &str) -> (Vec<i64>, Vec<String>) {
    (changes.to_vec(), vec![stamp.into()])
}

#[test]
fn without_a_timer_each_important_change_is_built_alone_and_at_once() {
    let mut bench = Bench::new(None);
    let changes = [
        change(1, "main", "a.c"),
        change(2, "dev", "a.c"),
        change(3, "main", "doc/a"),
        change(4, "main", "b.c"),
    ];
    let expected = vec![made(&[1], "@r1"), made(&[4], "@r4")];
    assert_eq!(bench.changes(&changes, 10), (expected, None));
    assert_eq!(bench.wake(99), (vec![], None));
}

#[test]
fn each_change_restarts_the_timer_and_all_are_built_together() {
    let mut bench = Bench::new(Some(60));
    assert_eq!(
        bench.changes(&[change(1, "main", "a.c")], 0),
        (vec![], Some(60))
    );
    assert_eq!(
        bench.changes(&[change(2, "main", "b.c")], 50),
        (vec![], Some(110))
    );
    assert_eq!(
        bench.changes(&[change(3, "dev", "b.c")], 60),
        (vec![], Some(110))
    );
    assert_eq!(bench.wake(109), (vec![], Some(110)));
    assert_eq!(bench.wake(110), (vec![made(&[1, 2], "@r2")], None));
    assert_eq!(bench.wake(111), (vec![], None));
}

#[test]
fn unimportant_changes_start_no_timer_but_ride_along_and_keep_the_tree_unstable() {
    let mut bench = Bench::new(Some(60));
    assert_eq!(
        bench.changes(&[change(1, "main", "doc/a")], 0),
        (vec![], None)
    );
    assert_eq!(
        bench.changes(&[change(2, "main", "a.c")], 100),
        (vec![], Some(160))
    );
    assert_eq!(
        bench.changes(&[change(3, "main", "doc/b")], 120),
        (vec![], Some(180))
    );
    assert_eq!(bench.wake(180), (vec![made(&[1, 2, 3], "@r3")], None));
}

#[test]
fn only_important_leaves_the_others_out() {
    let mut bench = Bench::new(Some(60));
    bench.only_important = true;
    assert_eq!(
        bench.changes(&[change(1, "main", "doc/a")], 0),
        (vec![], None)
    );
    assert_eq!(
        bench.changes(&[change(2, "main", "a.c")], 10),
        (vec![], Some(70))
    );
    assert_eq!(
        bench.changes(&[change(3, "main", "doc/b")], 20),
        (vec![], Some(70))
    );
    assert_eq!(bench.wake(70), (vec![made(&[2], "@r2")], None));
}

#[test]
fn a_repeated_event_changes_nothing() {
    let mut bench = Bench::new(None);
    let changes = [change(1, "main", "a.c"), change(2, "main", "b.c")];
    assert_eq!(bench.changes(&changes, 0).0.len(), 2);
    let stored = bench.stored.clone();
    assert_eq!(bench.changes(&changes, 1), (vec![], None));
    assert_eq!(bench.stored, stored);
}

#[test]
fn a_late_wake_does_not_join_what_was_stable_before() {
    let mut bench = Bench::new(Some(60));
    bench.changes(&[change(1, "main", "a.c")], 0);
    // The master was down until 500.
    let late = [change(2, "main", "b.c"), change(3, "main", "c.c")];
    assert_eq!(
        bench.changes(&late, 500),
        (vec![made(&[1], "@r1")], Some(560))
    );
    assert_eq!(bench.wake(560), (vec![made(&[2, 3], "@r3")], None));
}

#[test]
fn codebases_without_a_change_are_built_as_configured_or_as_last_seen() {
    let codebases = vec![
        SourceStampSpec {
            codebase: "app".into(),
            ..SourceStampSpec::default()
        },
        SourceStampSpec {
            codebase: "lib".into(),
            ..SourceStampSpec::default()
        },
    ];
    for (absolute, lib_later) in [(false, "lib@-"), (true, "lib@r1")] {
        let mut bench = Bench::new(None);
        bench.codebases.clone_from(&codebases);
        bench.absolute = absolute;
        let changes = [
            of_codebase("lib", change(1, "main", "l.c")),
            of_codebase("other", change(2, "main", "o.c")),
            of_codebase("app", change(3, "main", "a.c")),
        ];
        let stamps = |list: [&str; 2]| list.map(str::to_owned).to_vec();
        let expected = vec![
            (vec![1], stamps(["app@-", "lib@r1"])),
            (vec![3], stamps(["app@r3", lib_later])),
        ];
        assert_eq!(bench.changes(&changes, 0), (expected, None), "{absolute}");
    }
}

#[test]
fn a_timer_that_is_configured_away_builds_what_waits() {
    let mut bench = Bench::new(Some(60));
    bench.changes(&[change(1, "main", "a.c")], 0);
    bench.timer_s = None;
    assert_eq!(bench.wake(1), (vec![made(&[1], "@r1")], None));

    let mut bench = Bench::new(Some(60));
    bench.changes(&[change(1, "main", "doc/a")], 0);
    bench.timer_s = None;
    assert_eq!(bench.wake(1), (vec![], None));
    assert_eq!(bench.stored["pending"], json!([]));
}

#[test]
fn a_tree_that_is_never_stable_is_built_all_the_same() {
    let mut bench = Bench::new(Some(60));
    let count = i64::try_from(PENDING_CHANGES_MAX).unwrap() + 1;
    let many: Vec<Change> = (1..=count).map(|id| change(id, "main", "a.c")).collect();
    let (made, wake_at) = bench.changes(&many, 0);
    assert_eq!((made.len(), wake_at), (1, None));
    assert_eq!(made[0].0.len(), many.len());

    let mut bench = Bench::new(Some(60));
    let many: Vec<Change> = (1..=count).map(|id| change(id, "main", "doc/a")).collect();
    assert_eq!(bench.changes(&many, 0), (vec![], None));
    let kept = SingleBranchState::from_value(&bench.stored).unwrap();
    assert_eq!(kept.pending().len(), PENDING_CHANGES_MAX);
    assert_eq!(kept.pending()[0].id, ChangeId(2));
}

#[test]
fn a_stored_state_is_read_or_refused() {
    let mut bench = Bench::new(Some(60));
    bench.absolute = true;
    bench.changes(&[change(1, "main", "a.c"), change(2, "main", "doc/b")], 7);
    let state = SingleBranchState::from_value(&bench.stored).unwrap();
    assert_eq!(state.to_value(), bench.stored);
    assert_eq!(state.last_change(), ChangeId(2));
    assert_eq!(state.pending().len(), 2);

    let broken = |field: &str, value: Value| {
        let mut stored = bench.stored.clone();
        stored[field] = value;
        SingleBranchState::from_value(&stored)
            .unwrap_err()
            .to_string()
    };
    for (field, value) in [
        ("version", json!("1")),
        ("last_change", Value::Null),
        ("pending", json!([{"change": 1}])),
        ("stable_at_ms", json!("soon")),
        ("last_stamps", json!({})),
    ] {
        assert!(broken(field, value).contains(&format!("damaged at `{field}`")));
    }
    assert!(broken("version", json!(2)).contains("format 2, this program knows 1"));
    assert!(SingleBranchState::from_value(&Value::Null).is_err());
}
