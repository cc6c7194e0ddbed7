//! A stock Buildbot master, and `toolpost worker` as its worker.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use toolpost_harness::{Api, eventually};

use crate::far::{Far, Process};
use crate::remote::free_port;

/// A stock master in a folder of its own, with a database of its own; killed when dropped.
pub(crate) struct StockMaster {
    dir: TempDir,
    process: Process,
    api: Api,
    port: u16,
}

/// The port of workers takes no address, so that the configuration sees that nothing listens beyond this machine.
const HEAD: &str = r#"
from buildbot.plugins import schedulers, steps, util, worker
from twisted.internet import reactor

listen = reactor.listenTCP
reactor.listenTCP = lambda port, factory, backlog=50, interface="": listen(port, factory, backlog, "127.0.0.1")
"#;

impl StockMaster {
    /// A master with the worker `far`, these builders (name and steps in Python), and the force scheduler `force`.
    async fn start(builders: &[(&str, &str)]) -> Self {
        Self::with(|port, web| config(port, web, builders)).await
    }

    /// A master with the configuration that is made of its ports, for workers and for the web.
    pub(crate) async fn with(config: impl FnOnce(u16, u16) -> String) -> Self {
        let dir = TempDir::with_prefix("toolpost-stock-master-").unwrap();
        let (port, web) = (free_port(), free_port());
        let made = command()
            .arg("create-master")
            .arg("-r")
            .arg(dir.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        std::fs::write(dir.path().join("master.cfg"), config(port, web)).unwrap();
        let mut process = Process::logging_to(dir.path().join("out.log"));
        process.start(command().args(["start", "--nodaemon"]).arg(dir.path()));
        let mut master = Self {
            dir,
            process,
            api: Api::new(&format!("http://127.0.0.1:{web}")),
            port,
        };
        eventually("the stock master to run", async || {
            master.process.assert_running();
            master
                .log()
                .contains("BuildMaster is running")
                .then_some(())
        })
        .await;
        master
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    /// Its client.
    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    /// The port of its workers.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What it wrote about itself.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("twistd.log")).unwrap_or_default()
    }

    /// A worker of our own for it.
    fn worker(&self) -> Far {
        let master = format!("127.0.0.1:{}", self.port);
        Far::own("open sesame", &master).started()
    }
}

/// A configuration with the worker `far`, these builders and the force scheduler `force`.
fn config(port: u16, web: u16, builders: &[(&str, &str)]) -> String {
    let mut text = format!(
        "{HEAD}\nc = BuildmasterConfig = {{\n\
         \"buildbotNetUsageData\": None,\n\"title\": \"stock\",\n\
         \"buildbotURL\": \"http://127.0.0.1:{web}/\",\n\"www\": {{\"port\": {web}}},\n\
         \"protocols\": {{\"msgpack_experimental_v7\": {{\"port\": {port}}}}},\n\
         \"workers\": [worker.Worker(\"far\", \"open sesame\")],\n\
         \"db\": {{\"db_url\": \"sqlite:///state.sqlite\"}},\n\"builders\": [],\n}}\n"
    );
    for (name, steps) in builders {
        text.push_str(&format!(
            "c[\"builders\"].append(util.BuilderConfig(name={name:?}, workernames=[\"far\"],\n    \
             factory=util.BuildFactory([{steps}])))\n"
        ));
    }
    text.push_str(
        "c[\"schedulers\"] = [schedulers.ForceScheduler(name=\"force\", \
         builderNames=[b.name for b in c[\"builders\"]])]\n",
    );
    text
}

fn command() -> Command {
    let program = std::env::var_os("TOOLPOST_TEST_BUILDBOT")
        .expect("TOOLPOST_TEST_BUILDBOT is not set: run the tests with `cargo xtask test`");
    Command::new(program)
}

/// Results of the steps by their names.
fn results(steps: &[Value]) -> Value {
    let results = steps.iter().skip(1).map(|step| {
        let name = step["name"].as_str().unwrap().to_owned();
        (name, step["results"].clone())
    });
    Value::Object(results.collect())
}

#[tokio::test]
async fn a_stock_master_builds_on_our_own_worker() {
    let files = tempfile::tempdir().unwrap();
    let here = |name: &str| files.path().join(name);
    let good = format!(
        r##"
        steps.ShellCommand(name="words", command=["sh", "-c", "echo $A; echo 'é ✓'; echo oh >&2; printf 'a\\rb\\nno end'"], env={{"A": "b"}}),
        steps.ShellCommand(name="log", command="echo one > t.log; sleep 1; echo two >> t.log", logfiles={{"t": "t.log"}}),
        steps.ShellCommand(name="many", command="mkdir -p sub/dir; seq 1 50000 > sub/dir/many"),
        steps.FileUpload(name="up", workersrc="sub/dir/many", masterdest={up:?}, keepstamp=True),
        steps.ShellCommand(name="tree", command="mkdir -p tree/a; echo leaf > tree/a/leaf; ln -s a/leaf tree/link"),
        steps.DirectoryUpload(name="plain", workersrc="tree", masterdest={plain:?}),
        steps.DirectoryUpload(name="zipped", workersrc="tree", masterdest={zipped:?}, compress="gz"),
        steps.CopyDirectory(name="copy", src="build/tree", dest="build/copy"),
        steps.FileExists(name="exists", file="build/copy/a/leaf"),
        steps.RemoveDirectory(name="remove", dir="build/copy"),
        steps.FileExists(name="gone", file="build/copy/a/leaf", flunkOnFailure=False, haltOnFailure=False),
        steps.MakeDirectory(name="make", dir="build/made"),
        "##,
        up = here("up").display().to_string(),
        plain = here("plain").display().to_string(),
        zipped = here("zipped").display().to_string(),
    );
    let bad = r#"
        steps.ShellCommand(name="fail", command="echo before; exit 3", haltOnFailure=False),
        steps.ShellCommand(name="signal", command="kill -9 $$", haltOnFailure=False),
        steps.ShellCommand(name="quiet", command="sleep 300", timeout=1, haltOnFailure=False),
        steps.ShellCommand(name="slow", command="while :; do echo x; sleep 0.1; done", maxTime=1, haltOnFailure=False),
        steps.ShellCommand(name="lines", command="while :; do echo x; done", max_lines=100, haltOnFailure=False),
        steps.ShellCommand(name="missing", command=["no-such-program"], haltOnFailure=False),
        steps.FileUpload(name="nothing", workersrc="no/such/file", masterdest="nothing", haltOnFailure=False),
        steps.StringDownload("text", name="down", workerdest="down", haltOnFailure=False),
        steps.FileUpload(name="outside", workersrc="/etc/hostname", masterdest="outside", haltOnFailure=False),
    "#;
    let master = StockMaster::start(&[("good", &good), ("bad", bad)]).await;
    let far = master.worker();
    let api = &master.api;
    let request = api.force("force", "good").await;
    let build = api.finished(request).await;
    let steps = api.steps(&build).await;
    let told = || format!("{steps:#?}\n{}\n{}", far.log(), master.log());
    let mut expected = json!({
        "words": 0, "log": 0, "many": 0, "up": 0, "tree": 0, "plain": 0, "zipped": 0, "copy": 0,
        "exists": 0, "remove": 0, "gone": 2, "make": 0,
    });
    assert_eq!(results(&steps), expected.take(), "{}", told());
    let log = async |step: &str, slug: &str| {
        let number = steps.iter().find(|s| s["name"] == step).unwrap()["number"].clone();
        api.log(&build, &number.to_string(), slug).await
    };
    let words = log("words", "stdio").await;
    // What goes to standard error may come anywhere between.
    for line in ["b", "é ✓", "oh", "a\nb\n", "no end", "exit code 0"] {
        assert!(words.contains(line), "{line:?} in {words}");
    }
    assert!(!words.contains("open sesame"), "{words}");
    assert!(log("log", "t").await.ends_with("one\ntwo\n"));
    let text = |name: &str| std::fs::read_to_string(here(name)).unwrap();
    let many: Vec<u32> = text("up")
        .lines()
        .map(|line| line.parse().unwrap())
        .collect();
    assert!(many.iter().copied().eq(1..=50_000), "{} lines", many.len());
    assert_eq!(text("plain/a/leaf"), "leaf\n");
    assert_eq!(text("zipped/link"), "leaf\n");

    let request = api.force("force", "bad").await;
    let build = api.finished(request).await;
    let steps = api.steps(&build).await;
    let expected = json!({
        "fail": 2, "signal": 2, "quiet": 2, "slow": 2, "lines": 2, "missing": 2, "nothing": 2, "down": 2, "outside": 2,
    });
    assert_eq!(
        results(&steps),
        expected,
        "{steps:#?}\n{}\n{}",
        far.log(),
        master.log()
    );
    // A stock master answers without the file, and its own worker takes that for an empty one.
    assert!(master.log().contains("answered without the file"));
}

#[tokio::test]
async fn a_stock_master_stops_a_build_on_our_own_worker() {
    let long = r#"steps.ShellCommand(name="long", sigtermTime=5,
        command="trap 'echo asked; exit 9' TERM; echo begun; while :; do sleep 0.1; done")"#;
    let master = StockMaster::start(&[("long", long)]).await;
    let far = master.worker();
    let api = &master.api;
    let request = api.force("force", "long").await;
    let build = api.running(request, "long").await;
    api.logged(&build, "1", "stdio", "begun").await;
    let path = format!("builds/{}", build["buildid"]);
    api.control(&path, "stop", json!({"reason": "enough"}))
        .await
        .unwrap();
    let build = api.finished(request).await;
    assert_eq!(build["results"], 6, "{}\n{}", far.log(), master.log());
    assert!(api.log(&build, "1", "stdio").await.contains("asked"));
}
