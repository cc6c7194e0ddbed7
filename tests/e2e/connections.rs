//! Connections of workers that are lost: what becomes of their commands, on stock workers and on our own.

use rustix::process::{Pid, test_kill_process};
use serde_json::json;
use tempfile::TempDir;
use toolpost_harness::{Farm, eventually};

use crate::far::{Far, Kind, connected, results};
use crate::remote::{Line, config, free_port};
use crate::support::{farm, gate, shell};

/// A step whose command writes down the number of its process and waits until it may end.
struct Waiting(TempDir);

impl Waiting {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn step(&self) -> String {
        let line = format!(
            "echo $$ >> '{begun}'; until [ -e '{open}' ]; do sleep 0.05; done",
            begun = self.0.path().join("begun").display(),
            open = self.0.path().join("open").display()
        );
        shell(&line) + "name = \"gate\"\n"
    }

    fn processes(&self) -> Vec<Pid> {
        let text = std::fs::read_to_string(self.0.path().join("begun")).unwrap_or_default();
        text.lines()
            .map(|line| Pid::from_raw(line.parse().unwrap()).unwrap())
            .collect()
    }

    /// Waits until so many have begun.
    async fn begun(&self, count: usize) {
        eventually(&format!("{count} commands to have begun"), async || {
            (self.processes().len() == count).then_some(())
        })
        .await;
    }

    /// Waits until the one that began at this place has ended.
    async fn ended(&self, at: usize) {
        eventually("the command to end", async || {
            test_kill_process(self.processes()[at])
                .is_err()
                .then_some(())
        })
        .await;
    }

    fn open(&self) {
        std::fs::write(self.0.path().join("open"), "").unwrap();
    }
}

/// A farm with a worker that lost its connection while it ran the command of this request.
async fn cut_off(kind: Kind, commands: &Waiting) -> (Farm, Line, Far, i64) {
    let port = free_port();
    let builder = ("unit", &*commands.step());
    let farm = farm(&config(port, &["far"], &[builder])).start().await;
    let line = Line::to(port).await;
    let far = Far::start(kind, line.port);
    let request = farm.api().force("force", "unit").await;
    commands.begun(1).await;
    line.cut();
    connected(&farm, "far", false).await;
    (farm, line, far, request)
}

#[tokio::test]
async fn commands_of_a_lost_connection_do_not_run_beside_those_of_the_next() {
    let commands = Waiting::new();
    let (mut farm, line, far, request) = cut_off(Kind::Stock, &commands).await;
    line.mend();
    commands.begun(2).await;
    commands.ended(0).await;
    // The same when it is the master that goes.
    farm.kill().await;
    farm.run().await;
    commands.begun(3).await;
    commands.ended(1).await;
    commands.open();
    farm.api().finished(request).await;
    assert_eq!(
        results(&farm, request).await,
        [Some(5), Some(5), Some(0)],
        "{}",
        far.log()
    );
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
    let far = Far::start(Kind::Own, line.port);
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
    let commands = Waiting::new();
    // A build that is stopped while its worker is away does not wait for it.
    let (mut farm, line, far, request) = cut_off(Kind::Own, &commands).await;
    let build = farm.api().running(request, "gate").await;
    let path = format!("builds/{}", build["buildid"]);
    farm.api()
        .control(&path, "stop", json!({"reason": "enough"}))
        .await
        .unwrap();
    assert_eq!(farm.api().finished(request).await["results"], 6);
    line.mend();
    commands.ended(0).await;
    // A master that was started anew does not know what runs.
    let request = farm.api().force("force", "unit").await;
    commands.begun(2).await;
    farm.kill().await;
    farm.run().await;
    commands.begun(3).await;
    commands.ended(1).await;
    commands.open();
    farm.api().finished(request).await;
    assert_eq!(
        results(&farm, request).await,
        [Some(5), Some(0)],
        "{}",
        far.log()
    );
}
