//! `/locks`: who holds which lock, and who waits for whom.

use std::collections::BTreeMap;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use toolpost_core::BuildId;
use toolpost_core::locks::{LockMode, LockScope};
use toolpost_core::model::{Build, Builder, Worker};
use toolpost_master::{LockReport, LockStatus, LockUser, LockedOut};
use toolpost_store::{Query, ROWS_PER_LIST_MAX, Store};

use super::filters;
use super::rows::builder_name;
use super::shell::{Ask, Section, Shell};
use crate::api::rows::by_id;
use crate::error::ApiError;
use crate::state::Web;

/// Locks in use that are shown; those with somebody waiting come first.
const LOCKS_MAX: usize = 100;

/// Who waits for one lock, as far as they are shown.
const WAITING_MAX: usize = 50;

#[derive(Template)]
#[template(path = "locks.html")]
struct LocksPage {
    shell: Shell,
    troubles: Vec<Trouble>,
    locks: Vec<LockPanel>,
    locks_more: usize,
    free: Vec<FreeLock>,
}

/// Somebody waits for ever.
struct Trouble {
    link: String,
    who: String,
    why: String,
}

struct LockPanel {
    name: String,
    worker: Option<(Option<i64>, String)>,
    gone: bool,
    /// `2 of 3 in use`
    use_text: String,
    rows: Vec<UserRow>,
    rows_more: usize,
}

/// Who holds a lock or waits for it.
struct UserRow {
    holds: bool,
    /// `holds`, or the place in the queue.
    place: String,
    link: Option<String>,
    who: String,
    step: Option<String>,
    mode: String,
    is_stuck: bool,
}

struct FreeLock {
    name: String,
    of_workers: bool,
    max: u32,
}

/// Names of what locks are about.
struct Names {
    builds: BTreeMap<i64, Build>,
    builders: BTreeMap<i64, Builder>,
    workers: BTreeMap<String, i64>,
}

pub(super) async fn page(State(web): State<Web>, ask: Ask) -> Response<Body> {
    // Who has a lock is not in the store, so that nothing says when a kept page is old.
    let page = Box::pin(render(&web, &ask)).await;
    ask.answer_once(&web, StatusCode::OK, page)
}

async fn render(web: &Web, ask: &Ask) -> Result<String, ApiError> {
    let shell = Shell::new(web, ask, Section::Workers, "Locks").watch([
        "builds/*/new",
        "builds/*/finished",
        "steps/*/*",
        "buildrequests/*/*",
        "configuration/*/*",
    ]);
    let LockReport {
        locks,
        never,
        hopeless,
    } = web.master.locks();
    let (mut used, free): (Vec<_>, Vec<_>) = locks.into_iter().partition(is_used);
    used.sort_by_key(|lock| lock.queue.is_empty() && lock.locked_out.is_empty());
    let locks_more = used.len().saturating_sub(LOCKS_MAX);
    used.truncate(LOCKS_MAX);
    let names = Names::read(&web.store, &used, &never, &hopeless).await?;
    let page = LocksPage {
        troubles: names.troubles(&used, &never, &hopeless),
        locks: used.iter().map(|lock| names.panel(lock)).collect(),
        locks_more,
        free: free
            .into_iter()
            .map(|lock| FreeLock {
                name: lock.key.lock,
                of_workers: lock.scope == Some(LockScope::Worker),
                max: lock.max,
            })
            .collect(),
        shell,
    };
    Ok(page.render()?)
}

fn is_used(lock: &LockStatus) -> bool {
    !(lock.holders.is_empty() && lock.queue.is_empty() && lock.locked_out.is_empty())
}

impl Names {
    async fn read(
        store: &Store,
        locks: &[LockStatus],
        never: &[(LockedOut, String)],
        hopeless: &[(BuildId, String)],
    ) -> Result<Self, ApiError> {
        let users = || {
            let users = locks
                .iter()
                .flat_map(|lock| lock.holders.iter().chain(&lock.queue));
            users.take(ROWS_PER_LIST_MAX as usize / 2)
        };
        let outs = locks.iter().flat_map(|lock| &lock.locked_out);
        let outs = outs.chain(never.iter().map(|(out, _)| out));
        // Nothing borrowed is kept over a question to the store.
        let mut builders: Vec<i64> = outs.map(|out| out.builder.0).collect();
        let builds = users().filter_map(|user| user.build);
        let builds = builds.chain(hopeless.iter().map(|(build, _)| *build));
        let builds: Vec<i64> = builds.map(|id| id.0).collect();
        let builds = by_id::<Build>(store, builds).await?;
        builders.extend(builds.values().map(|build| build.builder_id.0));
        let mut query = Query::new().limit(ROWS_PER_LIST_MAX);
        let of_workers = locks.iter().filter_map(|lock| lock.key.worker.as_ref());
        let of_workers: Vec<String> = of_workers.cloned().collect();
        let workers = if of_workers.is_empty() {
            Vec::new()
        } else {
            query.filters.push(toolpost_store::Filter {
                field: "name".to_owned(),
                op: toolpost_store::Op::Eq,
                values: of_workers,
            });
            store.list::<Worker>(&query).await?
        };
        Ok(Self {
            builders: by_id::<Builder>(store, builders).await?,
            workers: workers
                .into_iter()
                .map(|worker| (worker.name, worker.id.0))
                .collect(),
            builds,
        })
    }

    fn build(&self, id: BuildId) -> String {
        match self.builds.get(&id.0) {
            Some(build) => {
                let builder = builder_name(&self.builders, build.builder_id.0);
                format!("{builder} #{}", build.number)
            }
            None => format!("build {id}"),
        }
    }

    fn troubles(
        &self,
        locks: &[LockStatus],
        never: &[(LockedOut, String)],
        hopeless: &[(BuildId, String)],
    ) -> Vec<Trouble> {
        let stuck = locks.iter().flat_map(|lock| {
            let waiting = lock.queue.iter().filter(|user| user.is_stuck);
            waiting.filter_map(move |user| Some((user.build?, &lock.key)))
        });
        let stuck = stuck.map(|(build, key)| Trouble {
            link: format!("/builds/{build}"),
            who: self.build(build),
            why: format!(
                "waits for lock {key}, and who has that waits for it, directly or through others; stop one of them"
            ),
        });
        let hopeless = hopeless.iter().map(|(build, why)| Trouble {
            link: format!("/builds/{build}"),
            who: self.build(*build),
            why: why.clone(),
        });
        let never = never.iter().map(|(out, why)| Trouble {
            link: format!("/builders/{}", out.builder),
            who: builder_name(&self.builders, out.builder.0),
            why: why.clone(),
        });
        stuck.chain(hopeless).chain(never).collect()
    }

    fn panel(&self, lock: &LockStatus) -> LockPanel {
        let holders = lock.holders.iter().map(|user| self.user(user, None));
        let queue = lock.queue.iter().take(WAITING_MAX).enumerate();
        let queue = queue.map(|(at, user)| self.user(user, Some(at + 1)));
        let out = lock.locked_out.iter().take(WAITING_MAX).map(|out| UserRow {
            holds: false,
            place: "begins later".into(),
            link: Some(format!("/builders/{}", out.builder)),
            who: format!(
                "{}, request {}",
                builder_name(&self.builders, out.builder.0),
                out.request
            ),
            step: None,
            mode: String::new(),
            is_stuck: false,
        });
        let waiting = lock.queue.len() + lock.locked_out.len();
        let shown = lock.queue.len().min(WAITING_MAX) + lock.locked_out.len().min(WAITING_MAX);
        LockPanel {
            name: lock.key.lock.clone(),
            worker: lock.key.worker.as_ref().map(|name| {
                let id = self.workers.get(name).copied();
                (id, name.clone())
            }),
            gone: lock.scope.is_none(),
            use_text: use_text(lock),
            rows: holders.chain(queue).chain(out).collect(),
            rows_more: waiting - shown,
        }
    }

    fn user(&self, user: &LockUser, place: Option<usize>) -> UserRow {
        UserRow {
            holds: place.is_none(),
            place: place.map_or_else(|| "holds".to_owned(), |place| format!("waits, {place}.")),
            link: user.build.map(|build| format!("/builds/{build}")),
            who: match (user.build, user.builder) {
                (Some(build), _) => self.build(build),
                (None, _) => "a build that is about to begin".into(),
            },
            step: user.step.clone(),
            mode: match user.mode {
                LockMode::Exclusive => "alone".into(),
                LockMode::Counting { count: 1 } => "1 unit".into(),
                LockMode::Counting { count } => format!("{count} units"),
            },
            is_stuck: user.is_stuck,
        }
    }
}

fn use_text(lock: &LockStatus) -> String {
    let alone = lock
        .holders
        .iter()
        .any(|user| user.mode == LockMode::Exclusive);
    if alone {
        return "taken as a whole".into();
    }
    let units = lock.holders.iter().map(|user| match user.mode {
        LockMode::Exclusive => 0,
        LockMode::Counting { count } => u64::from(count),
    });
    format!("{} of {} in use", units.sum::<u64>(), lock.max)
}
