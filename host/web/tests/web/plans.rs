//! What lists cost: a list that dashboards ask for again and again follows an index, and goes through no table.
//!
//! The statements are those that the program makes; SQLite says how it would carry them out, which does not depend on how many
//! rows there are.

use std::fmt;
use std::sync::{Arc, Mutex};

use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use crate::support::{Asker as _, TestFarm, build, step};

/// Gathers the statements of the store.
#[derive(Clone, Default)]
struct Statements(Arc<Mutex<Vec<String>>>);

impl Visit for Statements {
    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "sql" {
            self.0.lock().expect("no panic").push(value.to_owned());
        }
    }
}

impl Subscriber for Statements {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("toolpost_store") && metadata.is_event()
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// What the stock web UI, its console and waterfall, and bots ask for.
const LISTS: &[&str] = &[
    "builds?limit=100&order=-buildid",
    "builds?order=-buildid&complete=true&limit=50&property=owners&property=branch",
    "builds?complete=false&order=-started_at",
    "builds?complete=0",
    "builds?order=-started_at&limit=100",
    "builds?order=-complete_at&limit=100",
    "builds?results=2&order=-buildid&limit=100",
    "builds?results__eq=4&builderid=1&order=-number&limit=20",
    "builds?complete_at__gt=1763929000",
    "builds?started_at__ge=1763929000&order=-buildid&limit=100",
    "builds?complete_at__gt=1763929000&order=complete_at&limit=100",
    "builds?builderid=1&number__eq=1&number__eq=2",
    "builds?builderid=1&complete=false",
    "builds?builderid=1&workerid=1&number__lt=9&order=-number&limit=5",
    "builds?buildrequestid__eq=1",
    "builds?workerid__eq=1&order=-buildid&limit=20&property=*",
    "builders",
    "builders?order=name",
    "builders/2",
    "builders/unit",
    "builders/2/builds?limit=20&order=-number&property=*",
    "builders/unit/builds?limit=20&order=-buildid",
    "builders/2/builds/1",
    "builders/2/builds/1/steps",
    "builders/2/buildrequests?claimed=false",
    "builders/2/workers",
    "builders/2/masters",
    "buildrequests?complete=0",
    "buildrequests?complete=false&claimed=false",
    "buildrequests?claimed=false&limit=50&order=-priority&order=-submitted_at&property=*",
    "buildrequests?limit=100&order=-submitted_at",
    "buildrequests?builderid__eq=1&claimed=false&limit=10&order=-priority&order=-submitted_at",
    "buildrequests/1",
    "buildrequests/1/builds",
    "buildsets?complete=false",
    "buildsets?limit=100&order=-submitted_at",
    "buildsets?limit=100&order=-bsid",
    "buildsets?rebuilt_buildid=1&bsid__gt=1&order=-bsid&limit=1",
    "buildsets/1/properties",
    "builds/1/changes",
    "builds/1/properties",
    "builds/1/steps",
    "builds/1/steps/1/logs",
    "builds/1/triggered_builds",
    "builds/1/artifacts",
    "builds/1/data",
    "builds/1/test_result_sets",
    "steps/1/logs",
    "logs/1",
    "logs/1/contents?offset=1&limit=10",
    "changes?limit=50&order=-changeid",
    "changes/1/builds",
    "sourcestamps/1/changes",
    "workers",
    "workers/1/builds?limit=20&order=-buildid",
    "masters/1/builders",
    "masters/1/workers",
];

/// Tables that are as long as the configuration.
const CONFIGURED: &[&str] = &[
    "masters",
    "builders",
    "workers",
    "schedulers",
    "change_sources",
];

/// Partial indices that hold only what is there at one moment.
const OPEN: &[&str] = &[
    "requests_open",
    "requests_unclaimed",
    "requests_unclaimed_in_order",
    "buildsets_incomplete",
    "builds_open",
    "builds_running",
];

/// What is wrong with a way of finding rows, if anything.
fn objection(sql: &str, plan: &[String]) -> Option<String> {
    let sorts = plan
        .iter()
        .any(|line| line.contains("USE TEMP B-TREE FOR ORDER BY"));
    let counts_all = sql.starts_with("SELECT COUNT(*)") && !sql.contains("WHERE");
    // Follows an order until there are as many rows as were asked for.
    let stops = !sorts && sql.contains("ORDER BY") && sql.contains("LIMIT") && follows(sql);
    let table = sql
        .split(" FROM ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    if counts_all || stops || table.is_some_and(|table| CONFIGURED.contains(&table)) {
        return None;
    }
    let scans = plan.iter().find(|line| {
        let index = line.split("INDEX ").nth(1).unwrap_or_default();
        line.starts_with("SCAN")
            && !line.contains("json_each")
            && !line.starts_with("SCAN (")
            && !OPEN.contains(&index)
    });
    scans.cloned()
}

/// Whether nothing is passed over on the way, or next to nothing.
fn follows(sql: &str) -> bool {
    let filters = sql.split(" WHERE ").nth(1).unwrap_or_default();
    let filters = filters.split(" ORDER BY ").next().unwrap_or_default();
    filters.is_empty() || filters == "t.complete = 1"
}

#[tokio::test]
async fn lists_of_dashboards_go_through_no_table() {
    let farm = TestFarm::new().await;
    for _ in 0..3 {
        farm.build(build("unit").step(step("make").log("stdio", "one\ntwo\n")))
            .await;
    }
    farm.change("a change", "a").await;
    let statements = Statements::default();
    let mut database = SqliteConnection::connect(&farm.database())
        .await
        .expect("a database");
    let mut objections = Vec::new();
    for list in LISTS {
        let guard = tracing::subscriber::set_default(statements.clone());
        let answer = farm.get(&format!("/api/v2/{list}")).await;
        assert_eq!(answer.status.as_u16(), 200, "{list}: {}", answer.body);
        drop(guard);
        let made = std::mem::take(&mut *statements.0.lock().expect("no panic"));
        assert!(!made.is_empty(), "{list} asked the database for nothing");
        for sql in made {
            let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
            let rows = sqlx::query(explain).fetch_all(&mut database).await;
            let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error}"));
            let plan: Vec<String> = rows.iter().map(|row| row.get(3)).collect();
            if let Some(line) = objection(&sql, &plan) {
                objections.push(format!("{list}: {line}\n    {sql}"));
            }
        }
    }
    assert!(objections.is_empty(), "{}", objections.join("\n"));
}

#[test]
fn a_plan_that_goes_through_a_table_is_objected_to() {
    let table = [
        (
            "SELECT t.id FROM builds t WHERE t.results = $1 ORDER BY t.id LIMIT $2 OFFSET $3",
            "SCAN t",
            true,
        ),
        (
            "SELECT t.id FROM builds t ORDER BY t.id DESC LIMIT $1 OFFSET $2",
            "SCAN t",
            false,
        ),
        (
            "SELECT COUNT(*) FROM builds t WHERE t.state_string = $1",
            "SCAN t",
            true,
        ),
        (
            "SELECT t.id FROM builds t WHERE t.results = $1",
            "SEARCH t USING INDEX builds_by_results (results=?)",
            false,
        ),
        (
            "SELECT t.id FROM requests t WHERE t.complete = 0",
            "SCAN t USING INDEX requests_open",
            false,
        ),
        (
            "SELECT t.id FROM requests t WHERE t.complete = 0",
            "SCAN t USING INDEX requests_by_builder",
            true,
        ),
    ];
    for (sql, plan, expected) in table {
        assert_eq!(
            objection(sql, &[plan.to_owned()]).is_some(),
            expected,
            "{sql} {plan}"
        );
    }
}
