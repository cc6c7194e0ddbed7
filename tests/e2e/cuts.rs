//! A build of ten steps whose worker loses its connection in one after the other: our own worker goes on, with nothing lost or
//! repeated; with a stock one the build is run again.
//!
//! `cargo xtask chaos cuts` lets the connection be away for longer.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use toolpost_harness::{Farm, eventually};

use crate::far::{Far, Kind, connected, results};
use crate::remote::{Line, config, free_port};
use crate::support::{farm, shell};

const STEPS: usize = 10;
/// The steps in which a stock worker loses its connection: each time, the request waits longer before it is built again.
const CUTS_OF_STOCK: [usize; 3] = [1, 5, STEPS];
/// How long the connection is away, in seconds, and the variable that says otherwise.
const CUT_S: u64 = 1;
const CUT_VARIABLE: &str = "TOOLPOST_TEST_CUT_S";

const RETRY: Option<i64> = Some(5);
const SUCCESS: Option<i64> = Some(0);

/// Steps that count how often they run and talk until they may end.
struct Journey(TempDir);

impl Journey {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn name(step: usize) -> String {
        format!("step-{step}")
    }

    fn steps(&self, count: usize) -> String {
        let step = |step: usize| {
            let line = format!(
                "cd '{dir}'; echo {step} >> begun; i=0; until [ -e open-{step} ]; do i=$((i+1)); echo {step}.$i; \
                 [ $i -lt 40000 ] || exit 1; sleep 0.02; done; echo {step} ends after $i; echo $i > ended-{step}",
                dir = self.0.path().display()
            );
            shell(&line) + &format!("name = {:?}\n", Self::name(step))
        };
        (1..=count).map(step).collect()
    }

    /// The steps that have begun, in their order.
    fn all_begun(&self) -> Vec<usize> {
        let text = std::fs::read_to_string(self.path("begun")).unwrap_or_default();
        text.lines().map(|line| line.parse().unwrap()).collect()
    }

    /// Waits until so many steps have begun.
    async fn begun(&self, count: usize) {
        eventually(&format!("{count} steps to have begun"), async || {
            (self.all_begun().len() == count).then_some(())
        })
        .await;
    }

    /// Lets a step end.
    fn open(&self, step: usize) {
        std::fs::write(self.path(&format!("open-{step}")), "").unwrap();
    }

    /// Waits until a step has ended on the worker.
    async fn ended(&self, step: usize) {
        let file = self.path(&format!("ended-{step}"));
        eventually("the step to end", async || file.exists().then_some(())).await;
    }

    /// Asserts that the log of a step has all that it said, each line once, and nothing else.
    async fn assert_logged(&self, farm: &Farm, build: &Value, step: usize) {
        let said = std::fs::read_to_string(self.path(&format!("ended-{step}"))).unwrap();
        let said: usize = said.trim().parse().unwrap();
        let lines = (1..=said).map(|line| format!("o{step}.{line}"));
        let last = format!("o{step} ends after {said}");
        let expected: Vec<String> = lines.chain([last]).collect();
        let path = format!(
            "builds/{}/steps/{}/logs/stdio/contents",
            build["buildid"],
            Self::name(step)
        );
        let log = farm.api().get(&path).await["logchunks"][0]["content"].take();
        // What begins with an `h` is what the master says.
        let lines = log.as_str().unwrap().lines();
        let logged: Vec<&str> = lines.filter(|line| !line.starts_with('h')).collect();
        assert_eq!(logged, expected);
    }
}

/// How long the connection is away.
fn cut() -> Duration {
    let seconds = std::env::var(CUT_VARIABLE).map_or(CUT_S, |text| text.parse().unwrap());
    Duration::from_secs(seconds)
}

/// Leaves the connection as it is for the time of a cut.
async fn while_it_is_away() {
    tokio::time::sleep(cut()).await;
}

#[tokio::test]
async fn our_own_worker_builds_on_though_its_connection_is_cut_in_each_step() {
    let journey = Journey::new();
    let port = free_port();
    let builder = ("unit", &*journey.steps(STEPS));
    let farm = farm(&config(port, &["far"], &[builder])).start().await;
    let line = Line::to(port).await;
    let far = Far::start(Kind::Own, line.port);
    let request = farm.api().force("force", "unit").await;
    for step in 1..=STEPS {
        journey.begun(step).await;
        connected(&farm, "far", true).await;
        line.cut();
        connected(&farm, "far", false).await;
        while_it_is_away().await;
        if step % 2 == 0 {
            // It ends meanwhile.
            journey.open(step);
            journey.ended(step).await;
            line.mend();
        } else {
            line.mend();
            connected(&farm, "far", true).await;
            journey.open(step);
        }
    }
    let build = farm.api().finished(request).await;
    assert_eq!(
        results(&farm, request).await,
        [SUCCESS],
        "{}\n{}",
        far.log(),
        farm.output()
    );
    assert!(
        journey.all_begun().into_iter().eq(1..=STEPS),
        "{:?}",
        journey.all_begun()
    );
    for step in 1..=STEPS {
        journey.assert_logged(&farm, &build, step).await;
    }
}

#[tokio::test]
async fn a_build_on_a_stock_worker_is_run_again_when_its_connection_is_cut() {
    let journey = Journey::new();
    let port = free_port();
    let builder = ("unit", &*journey.steps(STEPS));
    let farm = farm(&config(port, &["far"], &[builder])).start().await;
    let line = Line::to(port).await;
    let far = Far::start(Kind::Stock, line.port);
    let request = farm.api().force("force", "unit").await;
    let mut expected = Vec::new();
    for step in CUTS_OF_STOCK {
        (1..step).for_each(|before| journey.open(before));
        expected.extend(1..=step);
        journey.begun(expected.len()).await;
        connected(&farm, "far", true).await;
        line.cut();
        connected(&farm, "far", false).await;
        while_it_is_away().await;
        line.mend();
    }
    expected.extend(1..=STEPS);
    journey.begun(expected.len()).await;
    journey.open(STEPS);
    let build = farm.api().finished(request).await;
    let mut wanted = vec![RETRY; CUTS_OF_STOCK.len()];
    wanted.push(SUCCESS);
    assert_eq!(
        results(&farm, request).await,
        wanted,
        "{}\n{}",
        far.log(),
        farm.output()
    );
    assert_eq!(journey.all_begun(), expected);
    for step in 1..=STEPS {
        journey.assert_logged(&farm, &build, step).await;
    }
}

#[tokio::test]
async fn a_connection_that_stands_still_for_a_while_costs_nothing() {
    tokio::join!(stands_still(Kind::Stock), stands_still(Kind::Own));
}

async fn stands_still(kind: Kind) {
    let journey = Journey::new();
    let port = free_port();
    let builder = ("unit", &*journey.steps(1));
    let farm = farm(&config(port, &["far"], &[builder])).start().await;
    let line = Line::to(port).await;
    let far = Far::start(kind, line.port);
    let api = farm.api();
    let request = api.force("force", "unit").await;
    let build = api.running(request, &Journey::name(1)).await;
    api.logged(&build, &Journey::name(1), "stdio", "\n1.10\n")
        .await;
    line.stall();
    while_it_is_away().await;
    journey.open(1);
    journey.ended(1).await;
    let step = &api.steps(&build).await[0];
    assert_eq!(step["complete"], false, "{step}");
    line.mend();
    let build = api.finished(request).await;
    assert_eq!(
        results(&farm, request).await,
        [SUCCESS],
        "{kind:?}\n{}",
        far.log()
    );
    journey.assert_logged(&farm, &build, 1).await;
}

/// After so long without a word a connection is tried, and after twice that again it is lost.
const KEEPALIVE: Duration = Duration::from_secs(3);
/// What a busy machine may need beyond that.
const SLACK: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_build_whose_connection_stands_still_for_good_is_run_again_within_the_time_of_its_worker()
{
    tokio::join!(
        stands_still_for_good(Kind::Stock),
        stands_still_for_good(Kind::Own)
    );
}

async fn stands_still_for_good(kind: Kind) {
    let journey = Journey::new();
    let port = free_port();
    let text = config(port, &["far"], &[("unit", &*journey.steps(1))]);
    let keepalive =
        format!("max_builds = 4\nkeepalive = \"{KEEPALIVE:?}\"\nresume_within = \"0s\"\n");
    let farm = farm(&text.replace("max_builds = 4\n", &keepalive))
        .start()
        .await;
    let line = Line::to(port).await;
    let first = Far::start(kind, line.port);
    let request = farm.api().force("force", "unit").await;
    journey.begun(1).await;
    line.stall();
    let stalled = Instant::now();
    eventually("the build to be given up", async || {
        (results(&farm, request).await == [RETRY]).then_some(())
    })
    .await;
    let waited = stalled.elapsed();
    assert!(waited < KEEPALIVE * 3 + SLACK, "{kind:?} {waited:?}");
    let second = Far::start(kind, port);
    journey.begun(2).await;
    journey.open(1);
    farm.api().finished(request).await;
    assert_eq!(
        results(&farm, request).await,
        [RETRY, SUCCESS],
        "{kind:?}\n{}\n{}\n{}",
        first.log(),
        second.log(),
        farm.output()
    );
}

#[tokio::test]
async fn who_comes_in_the_place_of_a_worker_that_stands_still_builds_for_it() {
    tokio::join!(
        comes_in_its_place(Kind::Stock),
        comes_in_its_place(Kind::Own)
    );
}

async fn comes_in_its_place(kind: Kind) {
    let journey = Journey::new();
    let port = free_port();
    let builder = ("unit", &*journey.steps(1));
    let farm = farm(&config(port, &["far"], &[builder])).start().await;
    let line = Line::to(port).await;
    let first = Far::start(kind, line.port);
    let request = farm.api().force("force", "unit").await;
    journey.begun(1).await;
    line.stall();
    let second = Far::start(kind, port);
    journey.begun(2).await;
    journey.open(1);
    farm.api().finished(request).await;
    let told = || {
        format!(
            "{kind:?}\n{}\n{}\n{}",
            first.log(),
            second.log(),
            farm.output()
        )
    };
    assert_eq!(
        results(&farm, request).await,
        [RETRY, SUCCESS],
        "{}",
        told()
    );
    assert!(second.path("unit").exists(), "{}", told());
}
