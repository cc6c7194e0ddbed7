//! What steps ask of workers from elsewhere, one thing after the other, with what comes of it on a stock worker and on ours.

mod commands;
mod files;

use rustix::process::{Pid, test_kill_process};
use serde_json::{Value, json};
use toolpost_harness::{Farm, eventually};

use crate::far::{Far, Kind, connected};
use crate::remote::{config, free_port};
use crate::steps::GRANTS;
use crate::support::{Repository, farm, first_party, shell};

const SUCCESS: i64 = 0;
const WARNINGS: i64 = 1;
const FAILURE: i64 = 2;
const EXCEPTION: i64 = 4;
const CANCELLED: i64 = 6;

/// A step and what comes of it. `{dir}` in texts stands for the directory of the build.
struct Case {
    name: &'static str,
    step: String,
    results: i64,
    state: String,
    /// What a log has to have in it: its name and the text.
    says: Vec<(&'static str, &'static str)>,
    /// What standard output and error must not have in them.
    hides: Option<&'static str>,
}

impl Case {
    fn new(name: &'static str, step: impl Into<String>, results: i64, state: &str) -> Self {
        Self {
            name,
            step: step.into(),
            results,
            state: state.to_owned(),
            says: Vec::new(),
            hides: None,
        }
    }

    fn says(self, text: &'static str) -> Self {
        self.says_in("stdio", text)
    }

    fn says_in(mut self, log: &'static str, text: &'static str) -> Self {
        self.says.push((log, text));
        self
    }

    fn hides(mut self, text: &'static str) -> Self {
        self.hides = Some(text);
        self
    }

    /// The step as it is configured: the next one runs whatever comes of it.
    fn configured(&self) -> String {
        format!(
            "{}name = {:?}\nhalt_on_failure = false\nalways_run = true\n\n",
            self.step, self.name
        )
    }
}

/// What differs between the two: the words of whoever looked at the file.
fn of(kind: Kind, stock: &'static str, own: &'static str) -> &'static str {
    match kind {
        Kind::Stock => stock,
        Kind::Own => own,
    }
}

/// What is wrong with a step, if anything.
async fn compare(
    farm: &Farm,
    build: &Value,
    seen: &Value,
    case: &Case,
    dir: &str,
) -> Option<String> {
    let beside = dir.strip_suffix("/build").unwrap();
    let expand = |text: &str| text.replace("{dir}/..", beside).replace("{dir}", dir);
    let mut wrong = String::new();
    let (results, state) = (seen["results"].as_i64(), seen["state_string"].as_str());
    let expected = (Some(case.results), expand(&case.state));
    if (results, state) != (expected.0, Some(expected.1.as_str())) {
        wrong.push_str(&format!(
            "  is       {results:?} {state:?}\n  not      {expected:?}\n"
        ));
    }
    for (slug, text) in &case.says {
        let log = farm.api().log(build, case.name, slug).await;
        if !log.contains(&expand(text)) {
            wrong.push_str(&format!("  {slug} lacks {text:?}:\n{}\n", beginning(&log)));
        }
    }
    if let Some(text) = case.hides {
        let log = farm.api().log(build, case.name, "stdio").await;
        if log.contains(text) {
            wrong.push_str(&format!("  stdio has {text:?}:\n{}\n", beginning(&log)));
        }
    }
    (!wrong.is_empty()).then(|| format!("{}\n{wrong}", case.name))
}

/// As much of a log as one wants to read.
fn beginning(log: &str) -> &str {
    const SHOWN_BYTES: usize = 1_500;
    &log[..log.floor_char_boundary(SHOWN_BYTES.min(log.len()))]
}

#[tokio::test]
async fn everything_that_steps_ask_of_a_stock_worker_comes_out_as_it_should() {
    everything_comes_out_as_it_should(Kind::Stock).await;
}

#[tokio::test]
async fn everything_that_steps_ask_of_our_own_worker_comes_out_as_it_should() {
    everything_comes_out_as_it_should(Kind::Own).await;
}

async fn everything_comes_out_as_it_should(kind: Kind) {
    let repository = Repository::new();
    let revision = repository.commit("Start", &[("hello.txt", "hello\n")]);
    let mut cases = files::uploads(kind);
    cases.extend(commands::commands(kind));
    cases.extend(files::directories(kind));
    cases.extend(files::downloads(kind));
    cases.extend(files::on_disk(kind));
    cases.extend(files::by_plugins(kind));
    cases.extend(files::copies(kind, &repository, &revision));
    let port = free_port();
    let configured = |cases: &[Case]| cases.iter().map(Case::configured).collect::<String>();
    let (unit, slow) = (configured(&cases), configured(&commands::limits()));
    let text = config(port, &["far"], &[("unit", &unit), ("slow", &slow)])
        + GRANTS
        + "[master.limits]\nupload_size_max = \"4MiB\"\n";
    let farm = farm(&text)
        .plugin("script", first_party("script"))
        .start()
        .await;
    let far = Far::of(kind, port).without_privileges().started();
    connected(&farm, "far", true).await;
    let api = farm.api();
    let mut wrong = String::new();
    let requests = [
        api.force("force", "unit").await,
        api.force("force", "slow").await,
    ];
    for (request, cases, builder) in [
        (requests[0], cases, "unit"),
        (requests[1], commands::limits(), "slow"),
    ] {
        let build = api.finished(request).await;
        let steps = api.steps(&build).await;
        assert_eq!(steps.len(), cases.len(), "{steps:#?}\n{}", far.log());
        let dir = far.path(builder).join("build").display().to_string();
        for (seen, case) in steps.iter().zip(&cases) {
            wrong.extend(compare(&farm, &build, seen, case, &dir).await);
        }
    }
    assert!(wrong.is_empty(), "{wrong}\n{}", far.log());
}

/// Commands that are stopped while they run, and what their logs say then.
const STOPPED: [(&str, &str, &str); 3] = [
    (
        "asked",
        "trap 'echo last words; exit 9' TERM; echo $$; while :; do sleep 0.1; done",
        "\nlast words\n",
    ),
    (
        "stubborn",
        "trap '' TERM; echo $$; while :; do sleep 0.1; done",
        "killed by SIGKILL",
    ),
    ("with-children", "sleep 300 & echo $!; wait", "interrupted"),
];

#[tokio::test]
async fn commands_that_are_stopped_end_on_both_workers() {
    tokio::join!(
        stopped_commands_end(Kind::Stock),
        stopped_commands_end(Kind::Own)
    );
}

async fn stopped_commands_end(kind: Kind) {
    let steps: Vec<String> = STOPPED
        .iter()
        .map(|(name, line, _)| {
            shell(line) + &format!("name = {name:?}\ninterrupt_grace = \"1s\"\n")
        })
        .collect();
    let builders: Vec<(&str, &str)> = STOPPED
        .iter()
        .zip(&steps)
        .map(|((name, ..), step)| (*name, step.as_str()))
        .collect();
    let port = free_port();
    let farm = farm(&config(port, &["far"], &builders)).start().await;
    let far = Far::start(kind, port);
    let api = farm.api();
    let mut requests = Vec::new();
    for (name, ..) in STOPPED {
        requests.push(api.force("force", name).await);
    }
    for ((name, _, says), request) in STOPPED.iter().zip(requests) {
        let build = api.running(request, name).await;
        let process = eventually("the command to say its number", async || {
            let path = format!(
                "api/v2/builds/{}/steps/{name}/logs/stdio/raw",
                build["buildid"]
            );
            let log = api.text(&path).await.ok()?;
            log.lines()
                .find_map(|line| line.parse().ok())
                .and_then(Pid::from_raw)
        })
        .await;
        let path = format!("builds/{}", build["buildid"]);
        api.control(&path, "stop", json!({"reason": "enough"}))
            .await
            .unwrap();
        let build = api.finished(request).await;
        let log = api.log(&build, name, "stdio").await;
        assert_eq!(
            build["results"],
            CANCELLED,
            "{kind:?} {name}: {log}\n{}",
            far.log()
        );
        assert!(log.contains(says), "{kind:?} {name}: {log}");
        eventually(&format!("{name} to be gone from {kind:?}"), async || {
            test_kill_process(process).is_err().then_some(())
        })
        .await;
    }
}
