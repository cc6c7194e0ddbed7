//! `/requests/N/why`: what a request waits for at this moment, with everybody who is in its way.

use std::collections::BTreeMap;

use askama::Template;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode};
use toolpost_core::RequestId;
use toolpost_core::distribute::Standing;
use toolpost_core::model::{Build, Builder};
use toolpost_master::{LockUser, WaitState, Why, WorkerStanding};
use toolpost_store::Store;

use super::build::id_of;
use super::filters;
use super::rows::builder_name;
use super::shell::{Ask, Section, Shell};
use crate::api::rows::by_id;
use crate::api::why::{self, text_of};
use crate::error::ApiError;
use crate::state::Web;

/// Holders of a lock, and those who wait for it, that are shown.
const USERS_MAX: usize = 50;

#[derive(Template)]
#[template(path = "why.html")]
struct WhyPage {
    shell: Shell,
    why: Why,
    builder: String,
    text: String,
    lock: Option<LockView>,
}

impl WhyPage {
    fn waits(&self) -> bool {
        matches!(self.why.state, WaitState::Waiting(_) | WaitState::Starting)
    }

    fn build(&self) -> Option<i64> {
        match self.why.state {
            WaitState::Running { build, .. } => build.map(|id| id.0),
            _ => None,
        }
    }

    /// The style of a worker's dot.
    fn dot(&self, worker: &WorkerStanding) -> &'static str {
        match worker.standing {
            Standing::Free => "",
            Standing::NotConnected => " off",
            _ => " held",
        }
    }
}

struct LockView {
    name: String,
    holders: Vec<UserView>,
    queue: Vec<UserView>,
}

struct UserView {
    link: Option<String>,
    who: String,
}

pub(super) async fn page(
    State(web): State<Web>,
    Path(request): Path<String>,
    ask: Ask,
) -> Response<Body> {
    // The master says it, and nothing tells when a kept page is old.
    let page = Box::pin(render(&web, &ask, &request)).await;
    ask.answer_once(&web, StatusCode::OK, page)
}

async fn render(web: &Web, ask: &Ask, request: &str) -> Result<String, ApiError> {
    let id = id_of("request", request)?;
    let why = why::ask(web, &ask.sight, RequestId(id)).await?;
    let builders = by_id::<Builder>(&web.store, [why.builder.0]).await?;
    let lock = match &why.lock {
        Some(lock) => Some(LockView {
            name: lock.key.to_string(),
            holders: users(&web.store, &lock.holders).await?,
            queue: users(&web.store, &lock.queue).await?,
        }),
        None => None,
    };
    let shell = Shell::new(web, ask, Section::Pending, format!("Request {id}")).watch([
        format!("buildrequests/{id}/*"),
        format!("builders/{}/builds/*/*", why.builder),
        "workers/*/*".to_owned(),
        "builds/*/finished".to_owned(),
    ]);
    let page = WhyPage {
        builder: builder_name(&builders, why.builder.0),
        text: text_of(&why),
        lock,
        why,
        shell,
    };
    Ok(page.render()?)
}

async fn users(store: &Store, users: &[LockUser]) -> Result<Vec<UserView>, ApiError> {
    let users = &users[..users.len().min(USERS_MAX)];
    let ids: Vec<i64> = users
        .iter()
        .filter_map(|user| user.build)
        .map(|id| id.0)
        .collect();
    let builds: BTreeMap<i64, Build> = by_id(store, ids).await?;
    let ids: Vec<i64> = builds.values().map(|build| build.builder_id.0).collect();
    let builders = by_id::<Builder>(store, ids).await?;
    let views = users.iter().map(|user| {
        let build = user.build.and_then(|id| builds.get(&id.0));
        let who = match build {
            Some(build) => {
                let builder = builder_name(&builders, build.builder_id.0);
                format!("{builder} #{}", build.number)
            }
            None => "a build that is about to begin".to_owned(),
        };
        UserView {
            link: build.map(|build| format!("/builds/{}", build.id)),
            who: match &user.step {
                Some(step) => format!("{who}, step {step}"),
                None => who,
            },
        }
    });
    Ok(views.collect())
}
