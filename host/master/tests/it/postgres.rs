//! What only a database with few connections shows.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use toolpost_core::Results;

use crate::farm::{farm, shell_steps};
use crate::plugin_schedulers::{passes_over_an_event, stumbling};

/// Builds at one time; many more than connections.
const BUILDS: usize = 24;
const CONNECTIONS: u32 = 2;

#[tokio::test]
async fn a_scheduler_passes_over_an_event_when_it_is_told_to() {
    with_schema(async |url| {
        let farm = stumbling().database(url, CONNECTIONS);
        passes_over_an_event(&farm.start().await).await;
    })
    .await;
}

/// Runs a check with the URL of an empty PostgreSQL schema, which is gone afterwards.
async fn with_schema(check: impl AsyncFnOnce(&str)) {
    let server = std::env::var("TOOLPOST_TEST_POSTGRES_URL").expect(
        "TOOLPOST_TEST_POSTGRES_URL is not set: run the tests with `cargo xtask test`, or start the \
         databases with `cargo xtask services`",
    );
    let schema = format!("test_{:016x}", rand::random::<u64>());
    let mut admin = PgConnection::connect(&server).await.expect("the server");
    let create = AssertSqlSafe(format!("CREATE SCHEMA {schema}"));
    sqlx::raw_sql(create)
        .execute(&mut admin)
        .await
        .expect("a schema");
    let separator = if server.contains('?') { '&' } else { '?' };
    let url = format!("{server}{separator}options[search_path]={schema}");
    let checked = AssertUnwindSafe(check(&url)).catch_unwind().await;
    let drop = format!(
        "SET client_min_messages = warning; SET lock_timeout = '5s'; DROP SCHEMA {schema} CASCADE"
    );
    let dropped = sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut admin).await;
    if let Err(panic) = checked {
        std::panic::resume_unwind(panic);
    }
    dropped.expect("the schema goes");
}

#[tokio::test]
async fn many_builds_get_by_with_few_connections() {
    with_schema(async |url| {
        let talk = "yes $(printf %05000d 0) | head -n 100";
        let steps = shell_steps(&[("talk", talk)]);
        let farm = farm()
            .database(url, CONNECTIONS)
            .worker(&format!("max_builds = {BUILDS}"))
            .builder("b", &format!("collapse_requests = false\n{steps}"))
            .start()
            .await;
        let mut requests = Vec::new();
        for _ in 0..BUILDS {
            requests.push(farm.submit("b", &[]).await);
        }
        for request in requests {
            let build = farm.end_of(request).await;
            let shown = farm.show(&build).await;
            assert_eq!(build.results, Some(Results::Success), "{shown}");
        }
    })
    .await;
}
