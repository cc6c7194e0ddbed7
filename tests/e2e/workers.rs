//! Workers that connect from elsewhere: stock `buildbot-worker` processes, unchanged, and `toolpost worker`.

use rustix::process::Signal;
use serde_json::{Value, json};
use toolpost_harness::{Api, Farm, eventually};

use crate::own::OwnWorker;
use crate::stock::{Line, StockWorker, config, free_port};
use crate::support::{Repository, farm, first_party, gate, shell};

/// What both kinds of workers can do in a test.
trait Far {
    /// A running one named `far` for a master at this port.
    fn start(port: u16) -> Self;
    fn run(&mut self);
    fn kill(&mut self);
    fn path(&self, relative: &str) -> std::path::PathBuf;
    fn log(&self) -> String;
    const VERSION: &str;
}

impl Far for StockWorker {
    fn start(port: u16) -> Self {
        Self::start("far", "open sesame", port)
    }
    fn run(&mut self) {
        self.run();
    }
    fn kill(&mut self) {
        self.kill();
    }
    fn path(&self, relative: &str) -> std::path::PathBuf {
        self.path(relative)
    }
    fn log(&self) -> String {
        self.log()
    }
    const VERSION: &str = "4.3.0";
}

impl Far for OwnWorker {
    fn start(port: u16) -> Self {
        own(port).started()
    }
    fn run(&mut self) {
        self.run();
    }
    fn kill(&mut self) {
        self.kill();
    }
    fn path(&self, relative: &str) -> std::path::PathBuf {
        self.path(relative)
    }
    fn log(&self) -> String {
        self.log()
    }
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}

/// A worker of our own named `far` that does not run yet.
fn own(port: u16) -> OwnWorker {
    OwnWorker::new("far", "open sesame", &format!("ws://127.0.0.1:{port}"))
}

async fn worker(api: &Api, name: &str) -> Value {
    let list = api.get("workers").await;
    let workers = list["workers"].as_array().unwrap().iter();
    workers
        .clone()
        .find(|worker| worker["name"] == name)
        .unwrap()
        .clone()
}

async fn connected(farm: &Farm, name: &str, wanted: bool) {
    eventually(
        &format!("worker {name} to be connected: {wanted}"),
        async || {
            let worker = worker(farm.api(), name).await;
            let connected = !worker["connected_to"].as_array().unwrap().is_empty();
            (connected == wanted).then_some(())
        },
    )
    .await;
}

/// The results of all builds of a request, in their order.
async fn results(farm: &Farm, request: i64) -> Vec<Option<i64>> {
    let builds = farm.api().builds_of(request).await;
    builds
        .iter()
        .map(|build| build["results"].as_i64())
        .collect()
}

async fn said(farm: &Farm, what: &str) {
    eventually(&format!("the master to say {what:?}"), async || {
        farm.output().contains(what).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stock_worker_builds_what_a_local_one_would() {
    builds_what_a_local_one_would::<StockWorker>().await;
}

#[tokio::test]
async fn our_own_worker_builds_what_a_local_one_would() {
    builds_what_a_local_one_would::<OwnWorker>().await;
}

async fn builds_what_a_local_one_would<W: Far>() {
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
    let stock = W::start(port);
    let api = farm.api();
    connected(&farm, "far", true).await;
    let told = worker(api, "far").await;
    assert_eq!(told["workerinfo"]["admin"], "Ada <ada@example.org>");
    assert_eq!(told["workerinfo"]["version"], W::VERSION);
    assert!(told["workerinfo"].get("environ").is_none(), "{told}");

    let request = api.force("force", "unit").await;
    let build = api.finished(request).await;
    let steps = api.steps(&build).await;
    let results: Vec<_> = steps.iter().map(|step| step["results"].as_i64()).collect();
    assert_eq!(
        results,
        [0, 0, 0, 2, 2].map(Some),
        "{steps:#?}\n{}",
        stock.log()
    );
    let log = api.log(&build, "words", "stdio").await;
    let dir = stock.path("unit/build");
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
    assert_eq!(property("admin"), "Ada <ada@example.org>");
    assert_eq!(property("workername"), "far");
}

#[tokio::test]
async fn what_is_too_slow_or_stopped_ends_on_a_stock_worker() {
    what_is_too_slow_or_stopped_ends::<StockWorker>().await;
}

#[tokio::test]
async fn what_is_too_slow_or_stopped_ends_on_our_own_worker() {
    what_is_too_slow_or_stopped_ends::<OwnWorker>().await;
}

async fn what_is_too_slow_or_stopped_ends<W: Far>() {
    let timeout = shell("echo quiet; sleep 300") + "timeout = \"1s\"\nname = \"timeout\"\n";
    let total =
        shell("while :; do echo x; sleep 0.1; done") + "max_time = \"1s\"\nname = \"total\"\n";
    let long = shell("trap 'echo asked; exit 9' TERM; echo begun; while :; do sleep 0.1; done")
        + "name = \"long\"\n";
    let port = free_port();
    let builders = [("quiet", &*timeout), ("slow", &*total), ("long", &*long)];
    let farm = farm(&config(port, &["far"], &builders)).start().await;
    let _far = W::start(port);
    let api = farm.api();
    let (quiet, slow, long) = (
        api.force("force", "quiet").await,
        api.force("force", "slow").await,
        api.force("force", "long").await,
    );
    let build = api.running(long, "long").await;
    eventually("the command to begin", async || {
        let log = api.log(&build, "long", "stdio").await;
        log.contains("begun").then_some(())
    })
    .await;
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
    killed_in_a_build_makes_it_run_again::<StockWorker>().await;
}

#[tokio::test]
async fn our_own_worker_that_is_killed_in_a_build_makes_it_run_again() {
    killed_in_a_build_makes_it_run_again::<OwnWorker>().await;
}

async fn killed_in_a_build_makes_it_run_again<W: Far>() {
    let dir = tempfile::tempdir().unwrap();
    let open = dir.path().join("open");
    let port = free_port();
    let steps = gate(&open);
    let farm = farm(&config(port, &["far"], &[("unit", &steps)]))
        .start()
        .await;
    let mut far = W::start(port);
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
async fn commands_of_a_lost_connection_do_not_run_beside_those_of_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let (open, alive) = (dir.path().join("open"), dir.path().join("alive"));
    let port = free_port();
    // Writes its process id while it runs, and waits.
    let steps = shell(&format!(
        "echo $$ >> '{alive}'; until [ -e '{open}' ]; do sleep 0.05; done",
        alive = alive.display(),
        open = open.display()
    )) + "name = \"gate\"\n";
    let mut farm = farm(&config(port, &["far"], &[("unit", &steps)]))
        .start()
        .await;
    let line = Line::to(port).await;
    let stock = StockWorker::start("far", "open sesame", line.port);
    let processes = || -> Vec<i32> {
        let text = std::fs::read_to_string(&alive).unwrap_or_default();
        text.lines().map(|line| line.parse().unwrap()).collect()
    };
    let running = |id: i32| {
        rustix::process::test_kill_process(rustix::process::Pid::from_raw(id).unwrap()).is_ok()
    };
    let begun = async |count: usize| {
        eventually(&format!("{count} commands to have begun"), async || {
            (processes().len() == count).then_some(())
        })
        .await;
    };
    let request = farm.api().force("force", "unit").await;
    begun(1).await;
    line.cut();
    connected(&farm, "far", false).await;
    line.mend();
    begun(2).await;
    eventually("the first command to end", async || {
        (!running(processes()[0])).then_some(())
    })
    .await;
    // The same when it is the master that goes.
    farm.kill().await;
    farm.run().await;
    begun(3).await;
    eventually("the second command to end", async || {
        (!running(processes()[1])).then_some(())
    })
    .await;
    std::fs::write(&open, "").unwrap();
    farm.api().finished(request).await;
    assert_eq!(
        results(&farm, request).await,
        [Some(5), Some(5), Some(0)],
        "{}",
        stock.log()
    );
}

#[tokio::test]
async fn the_first_of_two_workers_of_one_name_stays_while_it_is_alive() {
    let port = free_port();
    let steps = shell("echo $WHO");
    let farm = farm(&config(port, &["far"], &[("unit", &steps)]))
        .start()
        .await;
    let first = StockWorker::start("far", "open sesame", port);
    connected(&farm, "far", true).await;
    let second = StockWorker::start("far", "open sesame", port);
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
    let _wrong = StockWorker::start("far", "guessed", port);
    said(&farm, "worker `far` at 127.0.0.1").await;
    let _unknown = StockWorker::start("stranger", "open sesame", port);
    said(&farm, "worker \"stranger\", which is not configured").await;
    let _right = StockWorker::start("far", "open sesame", port);
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
    let far = OwnWorker::start(port);
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
    let mut far = OwnWorker::start(port);
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
    let heard = async |far: &OwnWorker, what: &str| {
        eventually(&format!("the worker to say {what:?}"), async || {
            far.log().contains(what).then_some(())
        })
        .await;
    };
    let trusting = |password: &str| {
        OwnWorker::new("far", password, &master).option("--ca-file", authority.certificate())
    };
    let distrustful = OwnWorker::new("far", "open sesame", &master).started();
    heard(&distrustful, "no TLS with wss://localhost").await;
    let wrong = trusting("guessed").started();
    heard(&wrong, "does not let worker `far` in").await;
    let nobody = own(1).started();
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

/// What a command wrote line by line, without what the master says about it.
fn numbers(log: &str) -> Vec<u32> {
    log.lines().filter_map(|line| line.parse().ok()).collect()
}

#[tokio::test]
async fn our_own_worker_builds_on_when_its_connection_is_cut() {
    const BURSTS: u32 = 60;
    const BURST_LINES: u32 = 5_000;
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    // More than fits into memory while there is no connection.
    let talk = format!(
        "echo begun >> '{begun}'; for k in $(seq 1 {BURSTS}); do \
         seq $(( (k - 1) * {BURST_LINES} + 1 )) $(( k * {BURST_LINES} )); echo $k > '{progress}'; sleep 0.05; done",
        begun = path("begun").display(),
        progress = path("progress").display(),
    );
    let steps = format!(
        "{talk}name = \"talk\"\n\n{gate}\n{after}",
        talk = shell(&talk),
        gate = gate(&path("open")),
        after = shell("echo after") + "name = \"after\"\n",
    );
    let port = free_port();
    let farm = farm(&config(port, &["far"], &[("unit", &steps)]))
        .start()
        .await;
    let line = Line::to(port).await;
    let far = OwnWorker::new(
        "far",
        "open sesame",
        &format!("ws://127.0.0.1:{}", line.port),
    )
    .started();
    let progress = async |wanted: u32| {
        eventually(&format!("burst {wanted}"), async || {
            let text = std::fs::read_to_string(path("progress")).unwrap_or_default();
            (text.trim().parse::<u32>().unwrap_or(0) >= wanted).then_some(())
        })
        .await;
    };
    let api = farm.api();
    let request = api.force("force", "unit").await;
    progress(5).await;
    line.cut();
    connected(&farm, "far", false).await;
    // The command goes on meanwhile.
    progress(25).await;
    line.mend();
    connected(&farm, "far", true).await;
    progress(35).await;
    line.cut();
    // It ends meanwhile.
    progress(BURSTS).await;
    line.mend();
    let build = api.running(request, "gate").await;
    line.cut();
    connected(&farm, "far", false).await;
    line.mend();
    std::fs::write(path("open"), "").unwrap();
    api.finished(request).await;
    assert_eq!(
        results(&farm, request).await,
        [Some(0)],
        "{}\n{}",
        far.log(),
        farm.output()
    );
    // Nobody was only heard again because a connection was given up.
    assert!(!far.log().contains("was not answered") && !farm.output().contains("was not answered"));
    let log = api.log(&build, "talk", "stdio").await;
    let numbers = numbers(&log);
    let wrong = (1..)
        .zip(&numbers)
        .find(|(expected, number)| expected != *number);
    assert_eq!(wrong, None, "{} lines", numbers.len());
    assert_eq!(numbers.len(), (BURSTS * BURST_LINES) as usize);
    assert_eq!(std::fs::read_to_string(path("begun")).unwrap(), "begun\n");
}

#[tokio::test]
async fn our_own_worker_builds_nothing_that_nobody_waits_for() {
    let dir = tempfile::tempdir().unwrap();
    let (open, alive) = (dir.path().join("open"), dir.path().join("alive"));
    let steps = shell(&format!(
        "echo $$ >> '{alive}'; until [ -e '{open}' ]; do sleep 0.05; done",
        alive = alive.display(),
        open = open.display()
    )) + "name = \"gate\"\n";
    let port = free_port();
    let mut farm = farm(&config(port, &["far"], &[("unit", &steps)]))
        .start()
        .await;
    let line = Line::to(port).await;
    let far = OwnWorker::new(
        "far",
        "open sesame",
        &format!("ws://127.0.0.1:{}", line.port),
    )
    .started();
    let processes = || -> Vec<i32> {
        let text = std::fs::read_to_string(&alive).unwrap_or_default();
        text.lines().map(|line| line.parse().unwrap()).collect()
    };
    let begun = async |count: usize| {
        eventually(&format!("{count} commands to have begun"), async || {
            (processes().len() == count).then_some(())
        })
        .await;
    };
    let ended = async |at: usize| {
        eventually("the command to end", async || {
            let id = rustix::process::Pid::from_raw(processes()[at]).unwrap();
            rustix::process::test_kill_process(id)
                .is_err()
                .then_some(())
        })
        .await;
    };
    // A build that is stopped while its worker is away does not wait for it.
    let request = farm.api().force("force", "unit").await;
    begun(1).await;
    line.cut();
    connected(&farm, "far", false).await;
    let build = farm.api().running(request, "gate").await;
    let path = format!("builds/{}", build["buildid"]);
    farm.api()
        .control(&path, "stop", json!({"reason": "enough"}))
        .await
        .unwrap();
    assert_eq!(farm.api().finished(request).await["results"], 6);
    line.mend();
    ended(0).await;
    // A master that was started anew does not know what runs.
    let request = farm.api().force("force", "unit").await;
    begun(2).await;
    farm.kill().await;
    farm.run().await;
    begun(3).await;
    ended(1).await;
    std::fs::write(&open, "").unwrap();
    farm.api().finished(request).await;
    assert_eq!(
        results(&farm, request).await,
        [Some(5), Some(0)],
        "{}",
        far.log()
    );
}
