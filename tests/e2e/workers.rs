//! Workers that connect from elsewhere: stock `buildbot-worker` processes, unchanged.

use rustix::process::Signal;
use serde_json::{Value, json};
use toolpost_harness::{Api, Farm, eventually};

use crate::stock::{Line, StockWorker, config, free_port};
use crate::support::{Repository, farm, gate, shell};

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
    let stock = StockWorker::start("far", "open sesame", port);
    let api = farm.api();
    connected(&farm, "far", true).await;
    let told = worker(api, "far").await;
    assert_eq!(told["workerinfo"]["admin"], "Ada <ada@example.org>");
    assert_eq!(told["workerinfo"]["version"], "4.3.0");
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
    let timeout = shell("echo quiet; sleep 300") + "timeout = \"1s\"\nname = \"timeout\"\n";
    let total =
        shell("while :; do echo x; sleep 0.1; done") + "max_time = \"1s\"\nname = \"total\"\n";
    let long = shell("trap 'echo asked; exit 9' TERM; echo begun; while :; do sleep 0.1; done")
        + "name = \"long\"\n";
    let port = free_port();
    let builders = [("quiet", &*timeout), ("slow", &*total), ("long", &*long)];
    let farm = farm(&config(port, &["far"], &builders)).start().await;
    let _stock = StockWorker::start("far", "open sesame", port);
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
async fn a_worker_that_is_killed_in_a_build_makes_it_run_again() {
    let dir = tempfile::tempdir().unwrap();
    let open = dir.path().join("open");
    let port = free_port();
    let steps = gate(&open);
    let farm = farm(&config(port, &["far"], &[("unit", &steps)]))
        .start()
        .await;
    let mut stock = StockWorker::start("far", "open sesame", port);
    let request = farm.api().force("force", "unit").await;
    farm.api().running(request, "gate").await;
    stock.kill();
    connected(&farm, "far", false).await;
    stock.run();
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
