//! Workers that connect from elsewhere: stock `buildbot-worker` processes, unchanged, and `toolpost worker`.

use rustix::process::Signal;
use serde_json::json;
use toolpost_harness::{Farm, eventually};

use crate::far::{ADMIN, Far, Kind, connected, results, worker};
use crate::remote::{config, free_port};
use crate::support::{Repository, farm, first_party, gate, shell};

async fn said(farm: &Farm, what: &str) {
    eventually(&format!("the master to say {what:?}"), async || {
        farm.output().contains(what).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stock_worker_builds_what_a_local_one_would() {
    builds_what_a_local_one_would(Kind::Stock).await;
}

#[tokio::test]
async fn our_own_worker_builds_what_a_local_one_would() {
    builds_what_a_local_one_would(Kind::Own).await;
}

async fn builds_what_a_local_one_would(kind: Kind) {
    let repository = Repository::new();
    let revision = repository.commit("Start", &[("hello.txt", "hello\n")]);
    let steps = format!(
        "[[builder.step]]\nuse = \"git\"\nrepository = {path:?}\n\n\
         [[builder.step]]\nuse = \"set-property-from-command\"\ncommand = \"wc -c < hello.txt | tr -d ' '\"\nproperty = \"size\"\n\n\
         [[builder.step]]\nuse = \"shell\"\nname = \"words\"\ncommand = [\"sh\", \"-c\", \"cat hello.txt; echo size $SIZE; echo 'é ✓'; echo oh >&2; pwd\"]\n\
         env = {{ SIZE = \"{{{{ prop.size }}}}\" }}\n\n{fail}\n{after}",
        path = repository.path(),
        fail = shell("echo before; exit 3") + "name = \"fail\"\nhalt_on_failure = false\n",
        after = shell("kill -9 $$") + "name = \"signal\"\n",
    );
    let port = free_port();
    let farm = farm(&config(port, &["far"], &[("unit", &steps)]))
        .start()
        .await;
    let far = Far::start(kind, port);
    let api = farm.api();
    connected(&farm, "far", true).await;
    let told = worker(api, "far").await;
    assert_eq!(told["workerinfo"]["admin"], ADMIN);
    assert_eq!(told["workerinfo"]["version"], kind.version());
    assert!(told["workerinfo"].get("environ").is_none(), "{told}");

    let request = api.force("force", "unit").await;
    let build = api.finished(request).await;
    let steps = api.steps(&build).await;
    let results: Vec<_> = steps.iter().map(|step| step["results"].as_i64()).collect();
    assert_eq!(
        results,
        [0, 0, 0, 2, 2].map(Some),
        "{steps:#?}\n{}",
        far.log()
    );
    let log = api.log(&build, "words", "stdio").await;
    let dir = far.path("unit/build");
    for line in [
        "hello",
        "size 6",
        "é ✓",
        "oh",
        &dir.display().to_string(),
        "exit code 0 after",
    ] {
        assert!(log.contains(line), "{line:?} in {log}");
    }
    assert!(
        api.log(&build, "fail", "stdio")
            .await
            .contains("exit code 3")
    );
    let text = steps[4]["state_string"].as_str().unwrap();
    assert!(text.contains("killed by SIGKILL"), "{text}");
    let properties = api
        .get(&format!("builds/{}/properties", build["buildid"]))
        .await;
    let property = |name: &str| properties["properties"][0][name][0].clone();
    assert_eq!(property("got_revision"), json!(revision));
    assert_eq!(property("size"), "6");
    assert_eq!(property("admin"), ADMIN);
    assert_eq!(property("workername"), "far");
}

#[tokio::test]
async fn what_is_too_slow_or_stopped_ends_on_a_stock_worker() {
    what_is_too_slow_or_stopped_ends(Kind::Stock).await;
}

#[tokio::test]
async fn what_is_too_slow_or_stopped_ends_on_our_own_worker() {
    what_is_too_slow_or_stopped_ends(Kind::Own).await;
}

async fn what_is_too_slow_or_stopped_ends(kind: Kind) {
    let timeout = shell("echo quiet; sleep 300") + "timeout = \"1s\"\nname = \"timeout\"\n";
    let total =
        shell("while :; do echo x; sleep 0.1; done") + "max_time = \"1s\"\nname = \"total\"\n";
    let long = shell("trap 'echo asked; exit 9' TERM; echo begun; while :; do sleep 0.1; done")
        + "name = \"long\"\n";
    let port = free_port();
    let builders = [("quiet", &*timeout), ("slow", &*total), ("long", &*long)];
    let farm = farm(&config(port, &["far"], &builders)).start().await;
    let _far = Far::start(kind, port);
    let api = farm.api();
    let (quiet, slow, long) = (
        api.force("force", "quiet").await,
        api.force("force", "slow").await,
        api.force("force", "long").await,
    );
    let build = api.running(long, "long").await;
    api.logged(&build, "long", "stdio", "begun").await;
    let path = format!("builds/{}", build["buildid"]);
    let stopped = api
        .control(&path, "stop", json!({"reason": "enough"}))
        .await;
    stopped.unwrap();
    let build = api.finished(long).await;
    assert_eq!(build["results"], 6);
    assert!(api.log(&build, "long", "stdio").await.contains("asked"));
    for (request, step, reason) in [
        (quiet, "timeout", "no output for 1 s"),
        (slow, "total", "it ran for 1 s"),
    ] {
        let build = api.finished(request).await;
        assert_eq!(build["results"], 2, "{build}");
        let log = api.log(&build, step, "stdio").await;
        assert!(log.contains(reason), "{log}");
    }
}

#[tokio::test]
async fn a_stock_worker_that_is_killed_in_a_build_makes_it_run_again() {
    killed_in_a_build_makes_it_run_again(Kind::Stock).await;
}

#[tokio::test]
async fn our_own_worker_that_is_killed_in_a_build_makes_it_run_again() {
    killed_in_a_build_makes_it_run_again(Kind::Own).await;
}

async fn killed_in_a_build_makes_it_run_again(kind: Kind) {
    let dir = tempfile::tempdir().unwrap();
    let open = dir.path().join("open");
    let port = free_port();
    let steps = gate(&open);
    let farm = farm(&config(port, &["far"], &[("unit", &steps)]))
        .start()
        .await;
    let mut far = Far::start(kind, port);
    let request = farm.api().force("force", "unit").await;
    farm.api().running(request, "gate").await;
    far.kill();
    connected(&farm, "far", false).await;
    far.run();
    eventually("a second build", async || {
        (farm.api().builds_of(request).await.len() == 2).then_some(())
    })
    .await;
    std::fs::write(&open, "").unwrap();
    farm.api().finished(request).await;
    assert_eq!(results(&farm, request).await, [Some(5), Some(0)]);
}

#[tokio::test]
async fn the_first_of_two_workers_of_one_name_stays_while_it_is_alive() {
    let port = free_port();
    let steps = shell("echo $WHO");
    let farm = farm(&config(port, &["far"], &[("unit", &steps)]))
        .start()
        .await;
    let first = Far::start(Kind::Stock, port);
    connected(&farm, "far", true).await;
    let second = Far::start(Kind::Stock, port);
    said(&farm, "the first is alive and stays").await;
    let request = farm.api().force("force", "unit").await;
    assert_eq!(farm.api().finished(request).await["results"], 0);
    assert!(first.path("unit").exists() && !second.path("unit").exists());
    // One that does not answer any more makes room.
    first.signal(Signal::STOP);
    eventually("the second to be taken", async || {
        let request = farm.api().force("force", "unit").await;
        let _ = farm.api().finished(request).await;
        second.path("unit").exists().then_some(())
    })
    .await;
    first.signal(Signal::CONT);
}

#[tokio::test]
async fn who_does_not_know_the_password_stays_out_and_the_port_of_the_pages_will_do() {
    let builder = shell("true");
    // Without `[workers]`, workers come where people come.
    let text = config(0, &["far"], &[("unit", &builder)]);
    let text = text.split_once("\n\n").unwrap().1.replace("[workers]", "");
    let farm = farm(&text).start().await;
    let url = farm.api().url("");
    let port: u16 = url
        .trim_end_matches('/')
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let _wrong = Far::stock("far", "guessed", port).started();
    said(&farm, "worker `far` at 127.0.0.1").await;
    let _unknown = Far::stock("stranger", "open sesame", port).started();
    said(&farm, "worker \"stranger\", which is not configured").await;
    let _right = Far::start(Kind::Stock, port);
    connected(&farm, "far", true).await;
    let request = farm.api().force("force", "unit").await;
    assert_eq!(farm.api().finished(request).await["results"], 0);
    assert!(!farm.output().contains("open sesame") && !farm.output().contains("guessed"));
}

#[tokio::test]
async fn files_come_from_our_own_worker_and_what_cannot_be_done_says_so() {
    let report = "printf '1..2\\nok 1 - starts\\nnot ok 2 - runs\\n' > report.tap";
    let steps = format!(
        "{report}\n[[builder.step]]\nuse = \"test-summary\"\nformat = \"tap\"\nfiles = [\"*.tap\"]\n\
         flunk_on_failure = false\n\n{missing}name = \"missing\"\n\n{input}",
        report = shell(report),
        missing = "[[builder.step]]\nuse = \"shell\"\ncommand = [\"no-such-program\"]\nhalt_on_failure = false\n",
        input = shell("printf '\\377\\376'; printf 'no end'") + "name = \"bytes\"\n",
    );
    let port = free_port();
    let farm = farm(&config(port, &["far"], &[("unit", &steps)]))
        .plugin("test-summary", first_party("test-summary"))
        .start()
        .await;
    let far = Far::start(Kind::Own, port);
    let api = farm.api();
    let request = api.force("force", "unit").await;
    let build = api.finished(request).await;
    let steps = api.steps(&build).await;
    let text = |at: usize| steps[at]["state_string"].as_str().unwrap().to_owned();
    assert!(
        text(1).contains("1 passed, 1 failed"),
        "{steps:#?}\n{}",
        far.log()
    );
    let log = api.log(&build, "missing", "stdio").await;
    assert!(
        log.contains("`no-such-program` was not found in PATH"),
        "{log}"
    );
    let log = api.log(&build, "bytes", "stdio").await;
    assert!(log.contains("no end"), "{log}");
}

#[tokio::test]
async fn our_own_worker_stops_when_it_is_told_to_and_its_build_runs_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let open = dir.path().join("open");
    let port = free_port();
    let farm = farm(&config(port, &["far"], &[("unit", &gate(&open))]))
        .start()
        .await;
    let mut far = Far::start(Kind::Own, port);
    let request = farm.api().force("force", "unit").await;
    farm.api().running(request, "gate").await;
    assert_eq!(far.stop(), Some(0), "{}", far.log());
    said(&farm, "worker `far` went").await;
    far.run();
    std::fs::write(&open, "").unwrap();
    farm.api().finished(request).await;
    assert_eq!(results(&farm, request).await, [Some(5), Some(0)]);
    // What it was told on the command line and by the environment does not show anywhere.
    assert!(!far.log().contains("open sesame"), "{}", far.log());
}

#[tokio::test]
async fn our_own_worker_says_what_keeps_it_out_and_comes_in_when_that_is_mended() {
    let authority = toolpost_harness::Authority::new();
    let port = free_port();
    let tls = format!(
        "listen = \"127.0.0.1:{port}\"\ncertificate = {:?}\nkey = {:?}\n",
        authority.server_certificate(),
        authority.server_key()
    );
    let text = config(
        port,
        &["far"],
        &[("unit", &shell("echo $TOOLPOST_WORKER_PASSWORD"))],
    );
    let text = text.replace(&format!("listen = \"127.0.0.1:{port}\"\n"), &tls);
    let farm = farm(&text).start().await;
    let master = format!("wss://localhost:{port}");
    let heard = async |far: &Far, what: &str| {
        eventually(&format!("the worker to say {what:?}"), async || {
            far.log().contains(what).then_some(())
        })
        .await;
    };
    let trusting =
        |password: &str| Far::own(password, &master).option("--ca-file", authority.certificate());
    let distrustful = Far::own("open sesame", &master).started();
    heard(&distrustful, "no TLS with wss://localhost").await;
    let wrong = trusting("guessed").started();
    heard(&wrong, "does not let worker `far` in").await;
    let nobody = Far::start(Kind::Own, 1);
    heard(&nobody, "cannot reach ws://127.0.0.1:1/").await;
    let right = trusting("open sesame").started();
    connected(&farm, "far", true).await;
    let request = farm.api().force("force", "unit").await;
    assert_eq!(
        farm.api().finished(request).await["results"],
        0,
        "{}",
        right.log()
    );
    for far in [&distrustful, &wrong, &right] {
        assert!(!far.log().contains("open sesame") && !far.log().contains("guessed"));
    }
}

#[tokio::test]
async fn our_own_worker_finishes_what_it_builds_when_it_is_to_end_and_takes_nothing_new() {
    let dir = tempfile::tempdir().unwrap();
    let open = dir.path().join("open");
    let port = free_port();
    let (waits, quick) = (gate(&open), shell("true"));
    let builders = [("unit", &*waits), ("other", &*quick)];
    let farm = farm(&config(port, &["far"], &builders)).start().await;
    let mut far = Far::start(Kind::Own, port);
    let api = farm.api();
    let first = api.force("force", "unit").await;
    api.running(first, "gate").await;
    far.signal(Signal::HUP);
    eventually("the worker to ask for its end", async || {
        let worker = worker(api, "far").await;
        (worker["graceful"] == true).then_some(())
    })
    .await;
    let second = api.force("force", "other").await;
    std::fs::write(&open, "").unwrap();
    assert_eq!(api.finished(first).await["results"], 0);
    assert_eq!(far.ended().await, Some(0), "{}", far.log());
    assert!(results(&farm, second).await.is_empty());
    // It is started again and takes what waited.
    far.run();
    assert_eq!(api.finished(second).await["results"], 0);
}

#[tokio::test]
async fn builds_of_one_builder_at_one_time_have_a_directory_each() {
    tokio::join!(
        have_a_directory_each(Kind::Stock),
        have_a_directory_each(Kind::Own)
    );
}

async fn have_a_directory_each(kind: Kind) {
    let dir = tempfile::tempdir().unwrap();
    let open = dir.path().join("open");
    let steps = shell("[ ! -e mark ] && touch mark") + &gate(&open) + &shell("rm mark");
    let port = free_port();
    let farm = farm(&config(port, &["far"], &[("unit", &steps)]))
        .start()
        .await;
    let far = Far::start(kind, port);
    let api = farm.api();
    let requests = [
        api.force("force", "unit").await,
        api.force("force", "unit").await,
    ];
    for request in requests {
        api.running(request, "gate").await;
    }
    std::fs::write(&open, "").unwrap();
    for request in requests {
        let build = api.finished(request).await;
        assert_eq!(build["results"], 0, "{kind:?} {}", far.log());
    }
    // When nobody else is there, a build works where the first one did.
    let build = api.finished(api.force("force", "unit").await).await;
    assert_eq!(build["results"], 0);
    assert!(far.path("unit/build").exists() && far.path("unit~2/build").exists());
    assert!(!far.path("unit~3").exists());
}
