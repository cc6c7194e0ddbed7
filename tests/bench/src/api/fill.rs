//! A database as it is after years: written in bulk, by the store's own schema, the same each time.
//!
//! The farm has run before, so that its tables, builders and workers are there, and one build whose short log is copied.

use anyhow::Context as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) builders: usize,
    pub(crate) builds: usize,
    pub(crate) pending: usize,
}

/// Steps of a build, and properties.
pub(crate) const STEPS: usize = 5;
/// Ids of what is written begin behind what the farm has made itself.
const FIRST: usize = 1_000;
/// Builders and workers that the rows are about have names that begin like this.
pub(crate) const BUILDERS: &str = "old-";
pub(crate) const WORKERS: &str = "far-";
/// When the first build began, and the time between two, in milliseconds.
const BEGAN_MS: i64 = 1_700_000_000_000;
const APART_MS: usize = 30_000;

/// Writes everything. `log` is the id of the log that is copied.
///
/// # Errors
/// When the database refuses it.
pub(crate) async fn fill(url: &str, sizes: Sizes, log: i64) -> anyhow::Result<()> {
    let statements = statements(sizes, log);
    if let Some(path) = url.strip_prefix("sqlite:") {
        let mut connection = SqliteConnection::connect(path).await?;
        // Nobody else is there, and what is lost by a power cut is made again.
        for pragma in [
            "foreign_keys = OFF",
            "journal_mode = MEMORY",
            "synchronous = OFF",
            "cache_size = -200000",
        ] {
            run(&mut connection, format!("PRAGMA {pragma}")).await?;
        }
        run(&mut connection, "BEGIN".into()).await?;
        for statement in statements {
            run(&mut connection, statement).await?;
        }
        run(&mut connection, "COMMIT".into()).await?;
        connection.close().await?;
        return Ok(());
    }
    let mut connection = PgConnection::connect(url).await?;
    // Foreign keys are triggers, which take longer than the rows.
    for setting in [
        "synchronous_commit = off",
        "session_replication_role = replica",
    ] {
        run_postgres(&mut connection, format!("SET {setting}")).await?;
    }
    for statement in statements {
        run_postgres(&mut connection, statement).await?;
    }
    for table in [
        "sourcestamps",
        "changes",
        "buildsets",
        "requests",
        "builds",
        "steps",
        "logs",
    ] {
        let sql =
            format!("SELECT setval(pg_get_serial_sequence('{table}', 'id'), MAX(id)) FROM {table}");
        run_postgres(&mut connection, sql).await?;
    }
    run_postgres(&mut connection, "VACUUM ANALYZE".into()).await?;
    connection.close().await?;
    Ok(())
}

async fn run(connection: &mut SqliteConnection, sql: String) -> anyhow::Result<()> {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(connection);
    done.await.with_context(|| format!("run {sql}"))?;
    Ok(())
}

async fn run_postgres(connection: &mut PgConnection, sql: String) -> anyhow::Result<()> {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(connection);
    done.await.with_context(|| format!("run {sql}"))?;
    Ok(())
}

/// One text for both databases. `n.i` counts from 0.
fn statements(sizes: Sizes, log: i64) -> Vec<String> {
    let Sizes {
        builders,
        builds,
        pending,
    } = sizes;
    let requests = builds + pending;
    let revisions = builds / 4;
    let master = "(SELECT MIN(id) FROM masters)";
    let at = |i: &str| format!("{BEGAN_MS} + {i} * {APART_MS}");
    // A build in ten fails, one in fifty ends with an exception.
    let results = "CASE WHEN n.i % 50 = 7 THEN 4 WHEN n.i % 10 = 3 THEN 2 ELSE 0 END";
    let done = |value: &str| format!("CASE WHEN n.i < {builds} THEN {value} END");
    let is_done = format!("CASE WHEN n.i < {builds} THEN 1 ELSE 0 END");
    vec![
        numbered("bench_builders", "builders", BUILDERS),
        numbered("bench_workers", "workers", WORKERS),
        format!(
            "INSERT INTO sourcestamps (id, digest, codebase, repository, branch, revision, project, created_at) \
             SELECT {FIRST} + n.i, 'bench-' || n.i, '', 'https://example.org/farm.git', 'main', 'r' || n.i, '', {} FROM {}",
            at("n.i * 4"),
            count(revisions)
        ),
        format!(
            "INSERT INTO changes (id, source, digest, author, comments, files, branch, revision, repository, codebase, \
             project, when_at, sourcestamp_id, properties) \
             SELECT {FIRST} + n.i, 'bench', 'bench-' || n.i, 'author-' || (n.i % 97), 'Change number ' || n.i, \
             '[\"src/part' || (n.i % 300) || '.rs\"]', 'main', 'r' || n.i, 'https://example.org/farm.git', '', '', {}, \
             {FIRST} + n.i, '{{}}' FROM {}",
            at("n.i * 4"),
            count(revisions)
        ),
        format!(
            "INSERT INTO buildsets (id, reason, submitted_at, complete, complete_at, results, properties) \
             SELECT {FIRST} + n.i, 'the branch has changed', {}, {is_done}, {}, {}, \
             '{{\"owner\":[\"author-' || (n.i % 97) || '\",\"Force Build Form\"]}}' FROM {}",
            at("n.i"),
            done(&format!("{} + 60000", at("n.i"))),
            done(results),
            count(requests)
        ),
        format!(
            "INSERT INTO buildset_sourcestamps (buildset_id, sourcestamp_id) \
             SELECT {FIRST} + n.i, {FIRST} + n.i % {revisions} FROM {}",
            count(requests)
        ),
        format!(
            "INSERT INTO buildset_changes (buildset_id, change_id) \
             SELECT {FIRST} + n.i, {FIRST} + n.i % {revisions} FROM {}",
            count(builds)
        ),
        format!(
            "INSERT INTO requests (id, buildset_id, builder_id, priority, claimed, complete, complete_at, results, \
             submitted_at, waited_for, collapse_key) \
             SELECT {FIRST} + n.i, {FIRST} + n.i, b.id, n.i % 3, {is_done}, {is_done}, {}, {}, {}, 0, 'bench' \
             FROM {} JOIN bench_builders b ON b.n = n.i % {builders}",
            done(&format!("{} + 60000", at("n.i"))),
            done(results),
            at("n.i"),
            count(requests)
        ),
        format!(
            "INSERT INTO claims (request_id, master_id, claimed_at) SELECT {FIRST} + n.i, {master}, {} FROM {}",
            at("n.i"),
            count(builds)
        ),
        format!(
            "INSERT INTO builds (id, number, builder_id, request_id, worker_id, master_id, started_at, complete, \
             complete_at, state_string, results) \
             SELECT {FIRST} + n.i, 1 + n.i / {builders}, b.id, {FIRST} + n.i, w.id, {master}, {started}, 1, \
             {started} + 60000, 'build successful', {results} \
             FROM {} JOIN bench_builders b ON b.n = n.i % {builders} \
             JOIN bench_workers w ON w.n = n.i % (SELECT COUNT(*) FROM bench_workers)",
            count(builds),
            started = at("n.i")
        ),
        format!(
            "UPDATE builders SET last_number = {} WHERE id IN (SELECT id FROM bench_builders)",
            1 + builds / builders
        ),
        format!(
            "INSERT INTO build_properties (build_id, name, value, source) \
             SELECT {FIRST} + n.i / {STEPS}, CASE n.i % {STEPS} WHEN 0 THEN 'branch' WHEN 1 THEN 'owner' \
             WHEN 2 THEN 'revision' WHEN 3 THEN 'buildnumber' ELSE 'workername' END, '\"value-' || (n.i % 1000) || '\"', \
             'Build' FROM {}",
            count(builds * STEPS)
        ),
        format!(
            "INSERT INTO steps (id, number, name, build_id, started_at, locks_acquired_at, complete, complete_at, \
             state_string, results) \
             SELECT {FIRST} + n.i, n.i % {STEPS}, 'step-' || (n.i % {STEPS}), {FIRST} + n.i / {STEPS}, {started}, {started}, \
             1, {started} + 9000, 'finished', 0 FROM {}",
            count(builds * STEPS),
            started = at(&format!("(n.i / {STEPS})"))
        ),
        format!(
            "INSERT INTO logs (id, name, slug, step_id, complete, complete_at, num_lines, log_type) \
             SELECT {FIRST} + n.i, l.name, l.slug, {FIRST} + n.i * {STEPS}, 1, {}, l.num_lines, l.log_type \
             FROM {} CROSS JOIN logs l WHERE l.id = {log}",
            at("n.i"),
            count(builds)
        ),
        format!(
            "INSERT INTO log_chunks (log_id, first_line, lines, raw_bytes, frames, content) \
             SELECT {FIRST} + n.i, c.first_line, c.lines, c.raw_bytes, c.frames, c.content \
             FROM {} CROSS JOIN log_chunks c WHERE c.log_id = {log} AND c.object IS NULL",
            count(builds)
        ),
        "DROP TABLE bench_builders".to_owned(),
        "DROP TABLE bench_workers".to_owned(),
    ]
}

/// A table of the ids of those whose name begins like this, numbered from 0.
fn numbered(name: &str, of: &str, prefix: &str) -> String {
    format!(
        "CREATE TABLE {name} AS SELECT id, ROW_NUMBER() OVER (ORDER BY id) - 1 AS n FROM {of} WHERE name LIKE '{prefix}%'"
    )
}

/// Numbers from 0, as a table.
fn count(rows: usize) -> String {
    format!(
        "(WITH RECURSIVE counted(i) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT i + 1 FROM counted WHERE i + 1 < {rows}) \
         SELECT i FROM counted) n"
    )
}

/// A database of its own on a PostgreSQL server; gone after [`Self::remove`].
pub(crate) struct Scratch {
    server: String,
    pub(crate) url: String,
}

/// Its name.
const SCRATCH: &str = "toolpost_bench_api";

impl Scratch {
    /// Makes it, in place of what a run that was broken off has left.
    ///
    /// # Errors
    /// When the server refuses it.
    pub(crate) async fn make(server: &str) -> anyhow::Result<Self> {
        let (host, _) = server.rsplit_once('/').context("a URL with a database")?;
        let scratch = Self {
            server: server.to_owned(),
            url: format!("{host}/{SCRATCH}"),
        };
        scratch.remove().await?;
        scratch.admin(format!("CREATE DATABASE {SCRATCH}")).await?;
        Ok(scratch)
    }

    /// # Errors
    /// When the server refuses it.
    pub(crate) async fn remove(&self) -> anyhow::Result<()> {
        let drop = format!("DROP DATABASE IF EXISTS {SCRATCH} WITH (FORCE)");
        self.admin(drop).await
    }

    async fn admin(&self, sql: String) -> anyhow::Result<()> {
        let mut connection = PgConnection::connect(&self.server).await?;
        run_postgres(&mut connection, sql).await?;
        connection.close().await?;
        Ok(())
    }
}
