//! The master that has all offenders, and what is asked of it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, getpriority_process, setpriority_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use toolpost_harness::{Api, Farm, eventually};
use toolpost_hostile::{Lures, REBOUND, Setting};
use toolpost_sandbox::shorten_turns_of;

use super::feel::{self, Feel};
use super::offence::Offence;
use crate::workers::{Pulse, Shared, connect, free_port, remote};
use crate::{builds, farms};

/// Spans that one figure is the median of: more where it is near the limit.
const SPANS: RangeInclusive<usize> = 5..=41;
/// Copies of an offender at one time.
const COPIES: usize = 50;
/// Steps of each of these builds.
const REPEATS: usize = 4;
/// How much less nice than the master those are who use it.
const FIRST_BY: i32 = 5;
/// How long they compute at a time: at most as long as anybody in the master, or they would wait for its turns to end.
const TURN: Duration = Duration::from_micros(100);
/// How often those that have ended come again.
const AGAIN: Duration = Duration::from_secs(1);
/// How often the worker that is measured says between two measurements that it is there.
const STAY: Duration = Duration::from_secs(5);
/// How often there is something to tell while a reporter is waited for.
const NEWS: Duration = Duration::from_millis(200);
/// Processor time of each call.
const CPU_MS: u32 = 300;
/// Time of each call in all, so that the fate of one that waits is seen.
const WALL_S: u32 = 5;
/// Steps of the build that measures how fast the worker's commands are.
pub(super) const COMMANDS: usize = 10;
/// What the offenders must not show anybody.
const TOKEN: &str = "tok/en+'with \"odd\" & long-enough-0123456789";
/// Characters of a fate that fit a table.
const FATE_CHARS_MAX: usize = 90;

/// A farm with offenders.
pub(super) struct Arena {
    farm: Farm,
    config: String,
    pub(super) lures: Lures,
    /// What the workers of all others do.
    others: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// A worker that does nothing but live.
    pulse: Arc<Mutex<Pulse>>,
    /// Removed at the end.
    _dir: TempDir,
}

/// What was begun, to be ended.
#[derive(Default)]
pub(super) struct Crowd {
    /// The first request.
    first: i64,
    /// Makes new ones as long as it runs.
    keeper: Option<JoinHandle<()>>,
}

impl Arena {
    /// Starts it with these offenders, at rest.
    pub(super) async fn start(toolpost: &Path, offences: &[Offence]) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let lures = Lures::open()?;
        let token = dir.path().join("token");
        std::fs::write(&token, TOKEN)?;
        std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600))?;
        let port = free_port()?;
        let config = config(offences, &lures, &token, port);
        let program = liar(dir.path(), toolpost)?;
        let mut builder = Farm::with(program, &config);
        for offence in offences.iter().filter(|offence| offence.is_installed()) {
            builder = builder.plugin(&offence.name(), offence.component());
        }
        let farm = builder.start().await;
        come_first();
        let pulse = Arc::new(Mutex::new(Pulse::connect(port, "pulse").await?));
        let (others, loud) = (Arc::<Shared>::default(), Arc::<Shared>::default());
        let workers = vec![
            connect(port, "quiet".into(), Arc::clone(&others)).await?,
            connect(port, "loud".into(), loud).await?,
            tokio::spawn(stay(Arc::clone(&pulse))),
        ];
        Ok(Self {
            farm,
            config,
            lures,
            others,
            workers,
            pulse,
            _dir: dir,
        })
    }

    /// Uses it for a while.
    pub(super) async fn feel(&self) -> anyhow::Result<Feel> {
        feel::feel(&self.farm, &self.others, &self.pulse).await
    }

    /// Uses it for several whiles: until it is known of each figure on which side of the limit it is, or long enough.
    pub(super) async fn spans(&self, limits: &Feel) -> anyhow::Result<Feel> {
        let mut spans = Vec::with_capacity(*SPANS.end());
        while spans.len() < *SPANS.start()
            || (spans.len() < *SPANS.end() && Feel::is_open(&spans, limits))
        {
            spans.push(self.feel().await?);
        }
        Ok(Feel::median(&spans))
    }

    /// Fifty at once, and the first of them at work.
    pub(super) async fn begin(&self, offence: &Offence) -> anyhow::Result<Crowd> {
        let (api, name) = (self.farm.api(), offence.name());
        match offence {
            Offence::Steps(_) | Offence::Text(_) => {
                let first = api.force("force", &name).await;
                let keeper = tokio::spawn(keep_up(api.clone(), name));
                eventually("an offender to begin", async || {
                    let build = api.builds_of(first).await.pop()?;
                    (!api.steps(&build).await.is_empty()).then_some(())
                })
                .await;
                return Ok(Crowd {
                    first,
                    keeper: Some(keeper),
                });
            }
            Offence::Files(_) => {
                let component = offence.component();
                for copy in 0..COPIES {
                    self.farm.drop_plugin(&format!("{name}-{copy}"), &component);
                }
            }
            Offence::Schedulers(_) => {
                self.configure(&scheduler(&name));
                eventually(&format!("{name} to be called"), async || {
                    fault_of(&api.plugin(&name).await?)
                })
                .await;
            }
            Offence::Reporters(_) => {
                self.configure(&reporter(&name));
                eventually(&format!("{name} to be called"), async || {
                    // It is called when there is something to tell.
                    api.force("force", "sink").await;
                    tokio::time::sleep(NEWS).await;
                    fault_of(&api.plugin(&name).await?)
                })
                .await;
            }
        }
        Ok(Crowd::default())
    }

    /// Adds to the configuration, which is read again.
    fn configure(&self, more: &str) {
        self.farm.write_config(&format!("{}{more}", self.config));
    }

    /// What people are told about the offender.
    pub(super) async fn fate(&self, offence: &Offence, crowd: &Crowd) -> String {
        let (api, name) = (self.farm.api(), offence.name());
        let told = match offence {
            Offence::Steps(_) | Offence::Text(_) => {
                let first = crowd.first;
                let (build, step) = eventually("an offender to end", async || {
                    let build = api.builds_of(first).await.pop()?;
                    let steps = api.steps(&build).await;
                    let ended = steps.into_iter().find(|step| step["complete"] == true)?;
                    Some((build, ended))
                })
                .await;
                if name == "run-secret-printer" {
                    return self.secrecy(&build, &step).await;
                }
                let text = step["state_string"].as_str().unwrap_or_default().to_owned();
                text.replace("skipped, because ", "")
            }
            Offence::Files(_) => {
                let reason = eventually("a file to be refused", async || {
                    let plugins = api.get("plugins").await;
                    let mut copies = plugins["plugins"].as_array()?.iter().filter(|plugin| {
                        let found = plugin["name"].as_str().unwrap_or_default();
                        found.starts_with(&format!("{name}-"))
                    });
                    copies.find_map(|plugin| {
                        Some(plugin["last_reload"]["reason"].as_str()?.to_owned())
                    })
                })
                .await;
                format!("refused: {reason}")
            }
            Offence::Schedulers(_) | Offence::Reporters(_) => {
                eventually("an offender to fail", async || {
                    fault_of(&api.plugin(&name).await?)
                })
                .await
            }
        };
        told.chars().take(FATE_CHARS_MAX).collect()
    }

    /// Whether the secret was seen anywhere, in any encoding.
    async fn secrecy(&self, build: &Value, step: &Value) -> String {
        let name = step["name"].as_str().unwrap_or_default();
        let log = self.farm.api().log(build, name, "stdio").await;
        let told = format!("{build}{step}{log}{}", self.farm.output());
        match farms::traces(TOKEN)
            .iter()
            .find(|trace| told.contains(*trace))
        {
            Some(trace) => format!("LEAKED: {trace}"),
            None if log.contains("<token>") => "it goes on; every encoding is masked".into(),
            None => format!("printed nothing: {log}"),
        }
    }

    /// Cancels and stops what is there.
    async fn stop_all(&self) {
        let api = self.farm.api();
        let requests = api.get("buildrequests?complete=false&limit=1000").await;
        for request in requests["buildrequests"].as_array().into_iter().flatten() {
            let path = format!("buildrequests/{}", request["buildrequestid"]);
            // One that has ended cannot be stopped, and need not.
            let _ = api.control(&path, "cancel", json!({})).await;
        }
        let builds = api.get("builds?complete=false&limit=1000").await;
        for build in builds["builds"].as_array().into_iter().flatten() {
            let path = format!("builds/{}", build["buildid"]);
            let _ = api.control(&path, "stop", json!({})).await;
        }
    }

    /// Ends what was begun, and waits until all is quiet.
    pub(super) async fn end(&self, offence: &Offence, crowd: Crowd) {
        let api = self.farm.api();
        match offence {
            Offence::Files(_) => {
                for copy in 0..COPIES {
                    let file = format!("plugins/{}-{copy}.wasm", offence.name());
                    // It is there, or the master has a stranger's file.
                    let _ = std::fs::remove_file(self.farm.path(file));
                }
                let prefix = format!("{}-", offence.name());
                eventually("the files to be forgotten", async || {
                    let plugins = api.get("plugins").await;
                    let mut names = plugins["plugins"].as_array()?.iter();
                    let none = !names.any(|plugin| {
                        plugin["name"]
                            .as_str()
                            .is_some_and(|name| name.starts_with(&prefix))
                    });
                    none.then_some(())
                })
                .await;
            }
            Offence::Schedulers(_) | Offence::Reporters(_) => self.farm.write_config(&self.config),
            Offence::Steps(_) | Offence::Text(_) => {
                if let Some(keeper) = crowd.keeper {
                    keeper.abort();
                    // An aborted task has no result.
                    let _ = keeper.await;
                }
                self.stop_all().await;
            }
        }
        builds::all_complete(&self.farm).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Has so many of them at one time, until it is aborted.
async fn keep_up(api: Api, builder: String) {
    let id = api.builder_id(&builder).await;
    let open = format!("builders/{id}/buildrequests?complete=false&limit=1");
    let params = json!({"builderid": id.to_string(), "owner": "bench"});
    let mut tick = tokio::time::interval(AGAIN);
    loop {
        tick.tick().await;
        let there = api.get(&open).await["meta"]["total"].as_u64().unwrap_or(0);
        let there = usize::try_from(there).unwrap_or(COPIES);
        for _ in there..COPIES {
            let made = api.control("forceschedulers/force", "force", params.clone());
            made.await
                .unwrap_or_else(|e| panic!("force: {} {}", e.status, e.body));
        }
    }
}

/// Has a worker heard of also while nothing is measured: a master takes one that is silent for lost. Whoever measures it next is
/// told what went wrong.
async fn stay(pulse: Arc<Mutex<Pulse>>) {
    while pulse.lock().await.beat().await.is_ok() {
        tokio::time::sleep(STAY).await;
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        for worker in &self.workers {
            worker.abort();
        }
    }
}

/// Gives all threads of this process, and those that they start, the right of way. They play workers and visitors, who have
/// machines of their own; whether they get a core here says nothing about the master, and beside offenders that want both
/// cores it was half of what was measured. Where the system does not allow that, they stay what they are.
fn come_first() {
    let raised = threads().and_then(|threads| {
        for thread in threads {
            let nice = getpriority_process(Some(thread))?;
            setpriority_process(Some(thread), nice - FIRST_BY)?;
            shorten_turns_of(thread, TURN);
        }
        Ok(())
    });
    if let Err(error) = raised {
        eprintln!("  workers and visitors have no right of way before the master: {error}");
    }
}

/// The threads of this process, which Linux gives priorities as it does processes.
fn threads() -> std::io::Result<Vec<Pid>> {
    let listed = std::fs::read_dir("/proc/self/task")?;
    let ids = listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(ids.filter_map(Pid::from_raw).collect())
}

/// The newest fault of what is live of a plugin.
fn fault_of(plugin: &Value) -> Option<String> {
    let live = plugin["versions"].as_array()?.first()?;
    Some(live["last_fault"].as_str()?.to_owned())
}

fn scheduler(name: &str) -> String {
    let mut text = String::new();
    for copy in 0..COPIES {
        let _ = write!(
            text,
            "[[scheduler]]\nname = \"s{copy}\"\nuse = \"{name}\"\nbuilders = [\"probe\"]\n\n"
        );
    }
    text
}

fn reporter(name: &str) -> String {
    let mut text = String::new();
    for copy in 0..COPIES {
        let _ = write!(
            text,
            "[[reporter]]\nname = \"r{copy}\"\nuse = \"{name}\"\n\n"
        );
    }
    text
}

/// Two workers, one for the offenders, and a builder for each of those who want something else. Both only speak: what
/// commands do to the machine that they run on is not the master's doing.
fn config(offences: &[Offence], lures: &Lures, token: &Path, port: SocketAddr) -> String {
    let mut text = format!("[workers]\nlisten = \"{port}\"\n\n{}", remote("pulse", 1));
    text += &remote("quiet", COPIES);
    text += &remote("loud", COPIES);
    let _ = write!(text, "[secret.token]\nfile = {token:?}\n\n");
    let commands = farms::shell(r#"["true"]"#).repeat(COMMANDS);
    let one = farms::shell(r#"["true"]"#);
    let mut names = Vec::new();
    let mut builder = |name: &str, worker: &str, collapse: bool, steps: &str| {
        names.push(format!("{name:?}"));
        format!(
            "[[builder]]\nname = \"{name}\"\nworkers = [\"{worker}\"]\ncollapse_requests = {collapse}\n\n{steps}\n"
        )
    };
    text += &builder("probe", "quiet", false, &one);
    text += &builder("commands", "quiet", false, &commands);
    text += &builder("sink", "quiet", true, &one);
    for offence in offences {
        let name = offence.name();
        let Setting { parameters, grants } = match offence.misdeed() {
            Some(misdeed) => misdeed.setting(lures),
            None => Setting::default(),
        };
        if matches!(offence, Offence::Steps(_) | Offence::Text(_)) {
            let step = format!(
                "[[builder.step]]\nuse = \"{name}\"\non_failure = \"skip\"\n{parameters}\n"
            );
            text += &builder(&name, "loud", false, &step.repeat(REPEATS));
        }
        if offence.is_installed() {
            let _ = write!(
                text,
                "[plugin.{name}]\ncpu_ms = {CPU_MS}\nwall_s = {WALL_S}\nlog_mib = 8\n{grants}\n"
            );
        }
    }
    let _ = write!(
        text,
        "[[scheduler]]\nname = \"force\"\nuse = \"force\"\nbuilders = [{}]\n\n",
        names.join(", ")
    );
    text
}

/// The program in surroundings where a name means something else each time: a private `/etc/hosts` that is replaced all
/// the time. Where the machine does not allow that, the name means nothing.
fn liar(dir: &Path, toolpost: &Path) -> anyhow::Result<PathBuf> {
    let allowed = std::process::Command::new("unshare")
        .args(["--mount", "true"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !allowed {
        eprintln!("  names cannot be made to lie here (unshare --mount is not allowed)");
        return Ok(toolpost.to_owned());
    }
    let script = dir.join("toolpost");
    let hosts = dir.join("hosts");
    let (inside, mixed) = (
        format!("127.0.0.1 localhost {REBOUND}"),
        format!("127.0.0.1 localhost\\n93.184.216.34 {REBOUND}\\n127.0.0.1 {REBOUND}"),
    );
    let lies = format!(
        "while kill -0 $$; do printf '{inside}\\n' > {hosts}; sleep 0.25; printf '{mixed}\\n' > {hosts}; sleep 0.25; done",
        hosts = hosts.display(),
    );
    std::fs::write(
        dir.join("inside"),
        format!(
            "mount --bind {hosts} /etc/hosts || exit 1\n({lies}) > /dev/null 2>&1 &\nexec {program} \"$@\"\n",
            hosts = hosts.display(),
            program = toolpost.display(),
        ),
    )?;
    let text = format!(
        "#!/bin/sh\nprintf '{inside}\\n' > {hosts}\nexec unshare --mount sh {inner} \"$@\"\n",
        hosts = hosts.display(),
        inner = dir.join("inside").display(),
    );
    std::fs::write(&script, text)?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))
        .context("make a script")?;
    Ok(script)
}
