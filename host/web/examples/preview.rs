//! Serves the pages over a farm of sample data that goes on living, for whoever works on their looks:
//! `cargo run -p toolpost-web --example preview -- [ADDRESS] [LINES OF THE LONGEST LOG]`.

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Duration;

use serde_json::Value;
use support::samples::{digest, locks, plugin, poller, problem, refusal, version};
use support::{NOW, TestFarm, build, names, step};
use toolpost_core::model::LogType;
use toolpost_core::{BuildId, Results, Timestamp};
use toolpost_store::{Cancel, LogStream, NewStep, StartBuild, WorkerEnd, WorkerSession};
use toolpost_web::{Place, WebOptions, WorkerSettings};

const MINUTE: i64 = 60_000;

/// A worker with a long name that builds much.
const DEBIAN: &str = "debian-bookworm-amd64-builder-01";

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8020".into());
    let longest = arguments
        .next()
        .and_then(|lines| lines.parse().ok())
        .unwrap_or(1_000_000);
    let builders: [(&str, &[&str]); 6] = [
        ("unit", &["rust", "fast"]),
        ("unit-arm64", &["rust", "slow"]),
        ("docs", &["docs"]),
        ("fuzz-nightly", &["rust", "nightly"]),
        ("release-packages-debian-bookworm", &["release", "slow"]),
        ("windows", &["rust"]),
    ];
    let workers = ["local", "spare", DEBIAN, "mac-mini", "windows-11", "rack-7"];
    let farm = TestFarm::of(&builders, &workers, WebOptions::default()).await;
    // A machine that has just come.
    let mut configured = names(&builders, &workers);
    configured.workers[5].builders.clear();
    let configured = farm
        .store
        .sync_configuration(farm.master_id, configured, NOW);
    configured.await.expect("configured");
    masters_words(&farm);
    fleet(&farm).await;
    history(&farm).await;
    showcase(&farm, longest).await;
    let listener = tokio::net::TcpListener::bind(&address)
        .await
        .expect("the address can be listened on");
    let local = listener
        .local_addr()
        .expect("a bound socket has an address");
    say(&format!("http://{local}/"));
    let router = farm.router.clone();
    tokio::spawn(async move {
        tokio::join!(live(&farm), time_passes(&farm));
    });
    axum::serve(listener, router).await.expect("serving");
}

/// One line for whoever started this.
fn say(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Plugins, change sources and problems of the configuration.
fn masters_words(farm: &TestFarm) {
    let mut said = farm.master.said();
    let mut summary = plugin("test-summary", version("test-summary", "0.3.1", 0xb7, NOW));
    let mut old = version("test-summary", "0.3.0", 0x4e, Timestamp(NOW.0 - 86_400_000));
    old.pins = 1;
    old.calls_total = 1_204;
    summary.draining.push(old);
    let mut warnings = plugin(
        "compile-warnings",
        version(
            "compile-warnings",
            "1.0.2",
            0x91,
            Timestamp(NOW.0 - 7 * 86_400_000),
        ),
    );
    warnings.problem = Some(refusal(
        NOW,
        0x0c,
        "compile-warnings.wasm is truncated: unexpected end of the component at byte 40960; copy it again, the version before goes on",
    ));
    if let Some(live) = &mut warnings.live {
        live.faults_total = 1;
        live.last_fault = Some("trap: wasm `unreachable` instruction executed\n  0: compile_warnings::parse\n  1: compile_warnings::run".into());
    }
    said.plugins = vec![warnings, summary];
    let place = |builder: &str, step: &str| Place::Step {
        builder: builder.into(),
        step: step.into(),
    };
    said.uses.insert(
        "test-summary".into(),
        vec![place("unit", "tests"), place("windows", "tests")],
    );
    said.uses
        .insert("compile-warnings".into(), vec![place("unit", "compile")]);
    said.problems = vec![problem()];
    said.pollers = vec![
        poller("hello", NOW, None),
        poller(
            "plugins",
            NOW,
            Some("https://example.org/plugins.git: could not resolve host: example.org"),
        ),
    ];
}

/// Workers in every state, and locks.
async fn fleet(farm: &TestFarm) {
    {
        let mut said = farm.master.said();
        let limited = |builds_max| WorkerSettings {
            builds_max: Some(builds_max),
            missing_timeout: Some(Duration::from_secs(3_600)),
            ..WorkerSettings::default()
        };
        said.workers = [
            ("local", 4),
            ("spare", 2),
            (DEBIAN, 8),
            ("mac-mini", 2),
            ("windows-11", 1),
        ]
        .map(|(name, most)| (name.to_owned(), limited(most)))
        .into();
        let mut report = locks("database");
        let mut circle = locks("licence");
        circle.locks[0].key.worker = None;
        circle.locks[0].queue[0].is_stuck = true;
        report.locks.extend(circle.locks);
        report.hopeless = vec![(
            BuildId(3),
            "builder `docs` needs lock `licence`, whose holders wait for this build".into(),
        )];
        said.locks = report;
    }
    let store = &farm.store;
    let ago = |minutes: i64| Timestamp(NOW.0 - minutes * MINUTE);
    let attach = async |name: &str, number: i64, minutes: i64| {
        let info = [
            ("admin", "Ada Lovelace <ada@example.org>"),
            ("host", "Cellar, rack 7, third from below"),
            ("version", "4.3.0"),
            ("system", "posix"),
            ("numcpus", "32"),
            ("basedir", "/var/lib/buildbot-worker"),
            ("access_uri", "ssh://builder@cellar-7.example.org"),
        ];
        let session = WorkerSession {
            number,
            address: format!("192.0.2.{number}:40812"),
            info: info
                .map(|(name, text)| (name.to_owned(), Value::from(text)))
                .into(),
            keeps_orders: false,
        };
        let attached =
            store.attach_worker(farm.worker(name), farm.master_id, session, ago(minutes));
        attached.await.expect("attached");
    };
    let lose = async |name: &str, minutes: i64, reason: &str, dismissed: bool| {
        let end = WorkerEnd {
            reason: reason.into(),
            lost: !dismissed,
            dismissed,
        };
        let worker = farm.worker(name);
        let lost = store.detach_worker(worker, farm.master_id, end, ago(minutes));
        lost.await.expect("detached");
    };
    attach(DEBIAN, 7, 4_000).await;
    lose(
        DEBIAN,
        300,
        "the connection broke: Connection reset by peer (os error 104)",
        false,
    )
    .await;
    for minutes in [299, 298, 297] {
        let why = "it had a wrong password, from 192.0.2.7";
        let refused = store.note_refused(farm.worker(DEBIAN), why, ago(minutes));
        refused.await.expect("noted");
    }
    attach(DEBIAN, 7, 280).await;
    let odd = "it says that a command took -3600.0 s for which the master waited 12.4 s: its clock is wrong";
    let noted = store.note_odd(farm.worker(DEBIAN), odd, ago(270));
    noted.await.expect("noted");
    let paused =
        store.set_worker_paused(farm.worker(DEBIAN), true, Some("new disk comes on Friday"));
    paused.await.expect("paused");
    attach("mac-mini", 8, 90).await;
    lose(
        "mac-mini",
        75,
        "it did not answer a keep-alive for 30 s",
        false,
    )
    .await;
    let missed = store.miss_worker(farm.worker("mac-mini"), ago(15)).await;
    missed.expect("missed");
    attach("windows-11", 9, 900).await;
    let told = "it was killed by anonymous: it smokes";
    lose("windows-11", 500, told, true).await;
}

/// Builds of all builders over the last days.
async fn history(farm: &TestFarm) {
    let builders = [
        "unit",
        "unit-arm64",
        "docs",
        "fuzz-nightly",
        "release-packages-debian-bookworm",
    ];
    let subjects = [
        "Keep the order of steps when two finish at once",
        "Say which file is broken",
        "Drop a lock before waiting for the worker\n\nThe lock was held while the worker was asked, so a slow worker stopped every builder\nthat shares it.",
        "Update dependencies",
    ];
    let mut random: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut dice = move |sides: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % sides
    };
    for round in 0..45i64 {
        let revision = format!(
            "{:016x}{:016x}{:08x}",
            dice(u64::MAX),
            dice(u64::MAX),
            dice(1 << 32)
        );
        let subject = subjects[usize::try_from(round).unwrap_or(0) % subjects.len()];
        let change = farm.change(subject, &revision).await;
        for builder in builders {
            let takes = 20_000 + i64::try_from(dice(200_000)).unwrap_or(0);
            let (results, state) = match dice(22) {
                0..=1 => (
                    Results::Failure,
                    "2 tests failed: store::claims_once, web::pages",
                ),
                2..=4 => (Results::Warnings, "17 warnings"),
                5 => (Results::Exception, "worker local went away"),
                6 => (Results::Cancelled, "stopped by anonymous: superseded"),
                7 => (Results::Retry, "worker was lost, requested again"),
                8 => (Results::Skipped, "nothing to do"),
                _ => (Results::Success, "build successful"),
            };
            let mut spec = build(builder)
                .ends(results, state)
                .of(change)
                .ago((45 - round) * 47 * MINUTE)
                .step(step("git").takes(900))
                .step(step("tests").takes(takes).ends(results, state));
            if round % 3 == 0 {
                spec.worker = DEBIAN;
            }
            farm.build(spec).await;
        }
    }
    for (builder, state) in [
        ("windows", "compile"),
        ("release-packages-debian-bookworm", "sign"),
    ] {
        let mut spec = build(builder).runs().ago(4 * MINUTE);
        (spec.worker, spec.state) = (DEBIAN, state);
        farm.build(spec).await;
    }
    for builder in ["docs", "windows", "windows"] {
        farm.request(&build(builder).ago(3 * MINUTE)).await;
    }
}

/// One build with everything, and one with a very long log.
async fn showcase(farm: &TestFarm, longest: usize) {
    let colours = "\x1b[1m\x1b[32m   Compiling\x1b[0m toolpost-core v0.1.0\n\
        \x1b[1m\x1b[33mwarning\x1b[0m\x1b[1m: unused variable: `x`\x1b[0m\n  \x1b[1m\x1b[34m--> \x1b[0msrc/lib.rs:10:9\n\
        \x1b[38;5;208morange of 256\x1b[0m \x1b[38;2;120;200;255mtrue colour\x1b[0m \x1b[7minverse\x1b[0m \x1b[3mitalic\x1b[0m \x1b[4munderlined\x1b[0m\n\
        <script>alert('not run')</script>\n";
    let failing = "running 214 tests\ntest store::claims_once ... \x1b[31mFAILED\x1b[0m\n\nfailures:\n    store::claims_once\n\ntest result: \x1b[31mFAILED\x1b[0m. 213 passed; 1 failed\n";
    let change = farm
        .change(
            "Show colours in logs\n\nAnd escape what is not ours.",
            &digest(0xab)[..40],
        )
        .await;
    let spec = build("unit")
        .ends(Results::Failure, "1 test failed: store::claims_once")
        .of(change)
        .ago(9 * MINUTE)
        .property("branch", "main", "Source")
        .property("revision", digest(0xab), "git")
        .property("tests_passed", 213, "tests")
        .property(
            "matrix",
            serde_json::json!({"os": ["debian", "alpine"], "arch": "x86_64"}),
            "Builder",
        )
        .step(
            step("git")
                .takes(1_400)
                .ends(Results::Success, "main @ abababab")
                .log("stdio", "\x1b[34mHEAD\x1b[0m is now at abababab\n"),
        )
        .step(step("prepare").hidden().takes(20))
        .step(
            step("compile")
                .takes(64_000)
                .ends(Results::Warnings, "compiled with 1 warning")
                .stdio(&[
                    (
                        LogStream::Header,
                        "cargo build --workspace\n in dir /srv/work/unit/build\n",
                    ),
                    (LogStream::Error, colours),
                    (LogStream::Header, "program finished with exit code 0\n"),
                ]),
        )
        .step(
            step("tests")
                .takes(21_000)
                .plugin(digest(0xb7))
                .ends(Results::Failure, "213 passed, 1 failed")
                .link("report", "https://example.org/report")
                .log("stdio", failing)
                .html("summary", "<h1>1 failed</h1>"),
        )
        .step(step("publish").takes(0).ends(Results::Skipped, "skipped"));
    farm.build(spec).await;
    let mut long = String::with_capacity(longest * 64);
    for n in 1..=longest {
        use std::fmt::Write as _;
        let _ = writeln!(
            long,
            "[{n:>8}] \x1b[36mINFO\x1b[0m worker: line {n} of a very long log, {:x}",
            n.wrapping_mul(2_654_435_761)
        );
    }
    let spec = build("fuzz-nightly")
        .ago(3 * MINUTE)
        .step(step("fuzz").takes(2 * MINUTE).log("stdio", long));
    farm.build(spec).await;
}

/// Lets the time of the pages pass as it does outside.
async fn time_passes(farm: &TestFarm) {
    const TICK_MS: i64 = 100;
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    loop {
        ticks.tick().await;
        farm.later(TICK_MS);
    }
}

/// Goes on building, so that pages have something to follow.
async fn live(farm: &TestFarm) {
    loop {
        let (_, request) = farm.request(&build("unit").ago(0)).await;
        let now = || farm.now();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let start = StartBuild {
            master: farm.master_id,
            builder: farm.builder("unit"),
            worker: farm.worker("local"),
            requests: vec![request],
            properties: toolpost_core::Properties::new(),
        };
        let Ok(Some(started)) = farm.store.start_build(start, now()).await else {
            continue;
        };
        farm.master.said().running.push(started.id);
        for name in ["git", "compile", "tests"] {
            let new = NewStep {
                name: name.into(),
                plugin_digest: None,
            };
            let Ok(step) = farm.store.add_step(started.id, new).await else {
                continue;
            };
            let _ = farm.store.start_step(step, now(), None).await;
            let _ = farm.store.set_build_state(started.id, name).await;
            let Ok(log) = farm.store.add_log(step, "stdio", LogType::Stdio).await else {
                continue;
            };
            let mut writer = farm.store.log_writer(log, LogType::Stdio);
            for n in 0..60 {
                let line = format!("{name}: \x1b[3{}mline {n}\x1b[0m\n", n % 7 + 1);
                writer.append(LogStream::Output, line.as_bytes()).await;
                writer.flush().await;
                let _ = farm.store.set_step_state(step, &format!("{n} of 60")).await;
                tokio::time::sleep(Duration::from_millis(150)).await;
            }
            let _ = writer.finish(now()).await;
            let _ = farm
                .store
                .finish_step(step, Results::Success, "done", false, None, now())
                .await;
        }
        let _ = farm
            .store
            .finish_build(started.id, Results::Success, "build successful", now())
            .await;
        farm.master.said().ended.push(started.id);
        if let Ok((_, extra)) =
            tokio::time::timeout(Duration::from_secs(5), farm.request(&build("docs").ago(0))).await
        {
            let cancelled = farm.store.cancel_request(extra, now()).await;
            debug_assert!(
                !matches!(cancelled, Ok(Cancel::Claimed(_))),
                "nobody runs it"
            );
        }
    }
}
