//! What plugins may ask of the master, asked without a plugin: on a real store and a real worker.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use toolpost_bus::{Bus, Subscription};
use toolpost_config::config::{BuilderConfig, StepConfig};
use toolpost_core::collapse::CollapsePolicy;
use toolpost_core::model::{LogType, SourceStampSpec};
use toolpost_core::step::{StepOptions, StepTexts};
use toolpost_core::{BuildId, BuilderId, BuildsetId, Properties, RequestId, StepId};
use toolpost_sandbox::host::{
    CommandLine, CommandSpec, ExitStatus, FileError, FileKind, HostError, LogStream, OutputSource,
    StepHost, WriteMode,
};
use toolpost_sandbox::{Want, Wanted};
use toolpost_store::{
    ConfiguredBuilder, ConfiguredIds, ConfiguredNames, ConfiguredWorker, NewBuildset, NewStep,
    Query, StartBuild, Store, StoreOptions,
};
use toolpost_worker::{LocalWorker, LocalWorkerOptions};

use super::context::{BuildContext, BuildParts, StepContext};
use super::farm::{Farm, LentPlace};
use super::logs::{LogRules, StepLogs};
use super::plugin_host::PluginHost;
use super::render::RenderedStep;
use crate::clock::{Clock, SystemClock};
use crate::error::ControlError;
use crate::services::Capabilities;
use crate::worker::LocalWorkerLink;

/// A running step of a recorded build.
pub(super) struct Stage {
    dir: TempDir,
    pub(super) store: Store,
    pub(super) step: Arc<StepContext>,
    pub(super) host: PluginHost,
}

const RULES: LogRules = LogRules {
    bytes_max: 1 << 20,
    encoding: encoding_rs::UTF_8,
};

pub(super) async fn stage() -> Stage {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("farm.db").display());
    let store = Store::open(StoreOptions::new(url, dir.path().join("objects")))
        .await
        .unwrap();
    let (build, step, buildset, ids) = recorded_step(&store).await;
    let worker = LocalWorker::open(LocalWorkerOptions::new(dir.path().join("work")))
        .await
        .unwrap();
    let capabilities = Arc::new(Capabilities::new(store.clone()));
    let parts = BuildParts {
        store: store.clone(),
        clock: Arc::new(SystemClock),
        build,
        builder: Arc::new(builder()),
        build_dir: "b".into(),
        worker_name: "w".into(),
        worker: Arc::new(LocalWorkerLink::new(worker)),
        reason: "because".into(),
        sources: vec![SourceStampSpec::default()],
        url: "http://farm/builds/1".into(),
        buildset,
        farm: Arc::new(Alone(ids)),
        capabilities: Arc::clone(&capabilities),
        log_rules: RULES,
        uploads: toolpost_config::config::UploadLimits::default(),
    };
    let step = Arc::new(StepContext {
        build: Arc::new(BuildContext::new(parts, Properties::new())),
        id: step,
        name: "tests".into(),
        config: Arc::new(StepConfig {
            step_type: "tests".into(),
            options: StepOptions::default(),
            parameters: serde_json::Map::new(),
        }),
        rendered: RenderedStep {
            parameters: json!({}),
            workdir: "build".into(),
            env: [(
                "GREETING".to_owned(),
                toolpost_worker::EnvValue::Set("hi".into()),
            )]
            .into(),
            texts: StepTexts::default(),
        },
        plugin: Some(Wanted::new("tests", &[Want::Secret("*".into())])),
        logs: StepLogs::new(store.clone(), Arc::clone(&capabilities), step, RULES),
        cancel: CancellationToken::new(),
        told: Mutex::default(),
        used: Arc::default(),
    });
    Stage {
        dir,
        store,
        host: PluginHost::new(Arc::clone(&step)),
        step,
    }
}

fn builder() -> BuilderConfig {
    BuilderConfig {
        name: "b".into(),
        description: None,
        project: None,
        tags: Vec::new(),
        workers: vec!["w".into()],
        env: [].into(),
        properties: [].into(),
        default_properties: [].into(),
        locks: Vec::new(),
        max_builds: None,
        collapse: CollapsePolicy::default(),
        build_dir: "b".into(),
        workdir: "build".into(),
        steps: Vec::new(),
    }
}

async fn recorded_step(
    store: &Store,
) -> (
    toolpost_core::model::Build,
    StepId,
    BuildsetId,
    ConfiguredIds,
) {
    let now = SystemClock.now();
    let master = store.register_master("m", now).await.unwrap();
    let names = ConfiguredNames {
        builders: vec![ConfiguredBuilder {
            name: "b".into(),
            ..ConfiguredBuilder::default()
        }],
        workers: vec![ConfiguredWorker {
            name: "w".into(),
            builders: vec!["b".into()],
        }],
        ..ConfiguredNames::default()
    };
    let ids = store.sync_configuration(master, names, now).await.unwrap();
    let builder = ids.builders["b"];
    let new = NewBuildset {
        sourcestamps: vec![SourceStampSpec::default()],
        builders: vec![builder],
        ..NewBuildset::default()
    };
    let added = store.add_buildset(new, now).await.unwrap();
    let start = StartBuild {
        master,
        builder,
        worker: ids.workers["w"],
        requests: vec![added.requests[&builder]],
        properties: Properties::new(),
    };
    let build = store.start_build(start, now).await.unwrap().unwrap();
    let step = NewStep {
        name: "tests".into(),
        ..NewStep::default()
    };
    let step = store.add_step(build.id, step).await.unwrap();
    (build, step, added.id, ids)
}

/// A farm without a master: nothing that is asked for is ever built.
struct Alone(ConfiguredIds);

#[async_trait]
impl Farm for Alone {
    fn builder(&self, name: &str) -> Option<BuilderId> {
        self.0.builders.get(name).copied()
    }

    fn url(&self) -> String {
        "http://farm/".into()
    }

    fn events(&self) -> Subscription {
        Bus::default().subscribe()
    }

    async fn cancel(&self, request: RequestId, _: &str) -> Result<(), ControlError> {
        Err(ControlError::RequestElsewhere(request))
    }

    fn hopeless(&self) -> tokio::sync::watch::Receiver<crate::builds::Hopeless> {
        tokio::sync::watch::Sender::default().subscribe()
    }
    fn lend_place(&self, _: BuildId, _: Vec<RequestId>) -> LentPlace {
        LentPlace::none()
    }
}

fn shell(line: &str) -> CommandSpec {
    CommandSpec {
        command: CommandLine::Shell(line.into()),
        workdir: None,
        env: Vec::new(),
        stdin: None,
        idle_timeout: None,
        total_timeout: None,
        log: None,
        capture: true,
    }
}

impl Stage {
    /// Where a path of the step is on this machine.
    pub(super) fn path(&self, path: &str) -> std::path::PathBuf {
        self.dir.path().join("work/b/build").join(path)
    }

    /// Runs a command: what it wrote to standard output, and how it ended.
    async fn run(&self, spec: CommandSpec) -> (String, ExitStatus) {
        let mut started = self.host.start_command(spec).await.unwrap();
        let mut text = Vec::new();
        if let Some(output) = &mut started.output {
            while let Some(chunk) = output.recv().await {
                if chunk.source == OutputSource::Stdout {
                    text.extend_from_slice(&chunk.data);
                }
            }
        }
        (String::from_utf8(text).unwrap(), started.exit.await.status)
    }

    async fn log(&self, name: &str) -> String {
        self.step.logs.finish_all(SystemClock.now()).await;
        let query = Query::new().eq("stepid", self.step.id.0);
        let logs: Vec<toolpost_core::model::Log> = self.store.list(&query).await.unwrap();
        let log = logs.iter().find(|log| log.name == name).unwrap();
        let lines = self.store.log_lines(log.id, 0, 1_000).await.unwrap();
        String::from_utf8(lines.content.to_vec()).unwrap()
    }
}

#[tokio::test]
async fn commands_run_in_the_steps_directory_and_environment() {
    let stage = stage().await;
    let info = stage.host.build_info();
    let (text, status) = stage.run(shell("pwd; echo $GREETING")).await;
    assert_eq!(status, ExitStatus::Code(0));
    assert_eq!(text, format!("{}\nhi\n", info.workdir));
    let spec = CommandSpec {
        workdir: Some("sub/dir".into()),
        env: vec![("GREETING".into(), None), ("X".into(), Some("1".into()))],
        stdin: Some(Bytes::from("from stdin")),
        ..shell("pwd; echo ${GREETING-none} $X; cat")
    };
    let (text, _) = stage.run(spec).await;
    assert_eq!(
        text,
        format!("{}/sub/dir\nnone 1\nfrom stdin", info.workdir)
    );
}

#[tokio::test]
async fn output_goes_to_the_log_whether_the_plugin_reads_or_not() {
    let stage = stage().await;
    for capture in [true, false] {
        let spec = CommandSpec {
            log: Some("stdio".into()),
            capture,
            ..shell(&format!("echo captured {capture}; exit 3"))
        };
        let (_, status) = stage.run(spec).await;
        assert_eq!(status, ExitStatus::Code(3));
    }
    // Nobody reads what is captured here.
    let spec = CommandSpec {
        log: Some("stdio".into()),
        ..shell("head -c 4000000 /dev/zero | tr '\\0' '\\n'; echo last")
    };
    let mut started = stage.host.start_command(spec).await.unwrap();
    drop(started.output.take());
    assert_eq!(started.exit.await.status, ExitStatus::Code(0));
    let log = stage.log("stdio").await;
    assert!(
        log.contains("ocaptured true\n") && log.contains("ocaptured false\n"),
        "{log}"
    );
    assert!(log.contains("hexit code 3 after "), "{log}");
}

#[tokio::test]
async fn commands_that_do_not_end_well_say_how() {
    let stage = stage().await;
    let missing = CommandSpec {
        command: CommandLine::Argv(vec!["no-such-program".into()]),
        ..shell("")
    };
    let refused = stage.host.start_command(missing).await.unwrap_err();
    assert!(
        matches!(&refused, HostError::Permanent(text) if text.contains("was not found")),
        "{refused}"
    );
    assert_eq!(
        stage.run(shell("kill -TERM $$")).await.1,
        ExitStatus::Signal(15)
    );
    let silent = CommandSpec {
        idle_timeout: Some(Duration::from_millis(100)),
        ..shell("sleep 60")
    };
    assert_eq!(stage.run(silent).await.1, ExitStatus::IdleTimeout);
    let long = CommandSpec {
        total_timeout: Some(Duration::from_millis(100)),
        ..shell("sleep 60")
    };
    assert_eq!(stage.run(long).await.1, ExitStatus::TotalTimeout);
    let started = stage.host.start_command(shell("sleep 60")).await.unwrap();
    started.control.interrupt();
    assert_eq!(started.exit.await.status, ExitStatus::Interrupted);
}

#[tokio::test]
async fn a_cancelled_step_loses_its_commands_but_can_clean_up() {
    let stage = stage().await;
    let started = stage.host.start_command(shell("sleep 60")).await.unwrap();
    stage.step.cancel.cancel();
    assert_eq!(started.exit.await.status, ExitStatus::Interrupted);
    assert_eq!(
        stage.run(shell("echo clean")).await,
        ("clean\n".into(), ExitStatus::Code(0))
    );
}

#[tokio::test]
async fn files_are_those_of_the_steps_directory() {
    let stage = stage().await;
    let host = &stage.host;
    host.write_file("a/b.txt", Bytes::from("one"), WriteMode::Replace)
        .await
        .unwrap();
    host.write_file("a/b.txt", Bytes::from("two"), WriteMode::Append)
        .await
        .unwrap();
    let (text, _) = stage.run(shell("cat a/b.txt")).await;
    assert_eq!(text, "onetwo");
    assert_eq!(host.read_file("a/b.txt", 2, 3).await.unwrap(), "etw");
    let stat = host.stat("a/b.txt").await.unwrap();
    assert_eq!((stat.kind, stat.size), (FileKind::File, 6));
    assert_eq!(host.stat("a").await.unwrap().kind, FileKind::Directory);
    assert_eq!(host.glob("**/*.txt", 10).await.unwrap(), ["a/b.txt"]);
    assert!(matches!(
        host.glob("**/*.txt", 0).await,
        Err(FileError::Other(_))
    ));
    assert_eq!(host.remove("a", false).await, Err(FileError::NotEmpty));
    host.remove("a", true).await.unwrap();
    assert_eq!(host.remove("a", true).await, Err(FileError::NotFound));
    assert_eq!(host.stat("a").await, Err(FileError::NotFound));
    host.make_dir("c/d").await.unwrap();
    host.remove("c/d", false).await.unwrap();
    for outside in ["../../x", "/etc/passwd"] {
        let read = host.read_file(outside, 0, 10).await;
        assert_eq!(read, Err(FileError::Outside), "{outside}");
    }
    // The directory of the build is around that of the step.
    host.write_file("../beside", Bytes::from("x"), WriteMode::Replace)
        .await
        .unwrap();
}

#[tokio::test]
async fn logs_properties_texts_and_links_are_recorded() {
    let stage = stage().await;
    let host = &stage.host;
    let log = host.open_log("failures", LogType::Text).await.unwrap();
    log.append(LogStream::Stdout, Bytes::from("first\nsec"))
        .await
        .unwrap();
    let again = host.open_log("failures", LogType::Text).await.unwrap();
    again
        .append(LogStream::Stdout, Bytes::from("ond\n"))
        .await
        .unwrap();
    assert!(matches!(
        host.open_log("failures", LogType::Html).await,
        Err(HostError::Permanent(_))
    ));
    log.finish().await.unwrap();
    assert!(
        log.append(LogStream::Stdout, Bytes::from("x"))
            .await
            .is_err()
    );
    assert_eq!(stage.log("failures").await, "first\nsecond\n");

    host.set_property("passed", Value::from(4)).await.unwrap();
    let property = host.property("passed").await.unwrap().unwrap();
    assert_eq!(
        (property.value, property.source.as_str()),
        (json!(4), "tests")
    );
    assert_eq!(host.property("nope").await.unwrap(), None);
    let stored = stage
        .store
        .build_properties(stage.step.build.build.id)
        .await
        .unwrap();
    assert_eq!(stored.get("passed"), Some(&json!(4)));

    host.set_summary("testing").await.unwrap();
    host.set_progress(3, 9, "tests").await.unwrap();
    assert_eq!(host.summary().as_deref(), Some("testing"));
    assert_eq!(
        stage.step.last_told().as_deref(),
        Some("testing (3 of 9 tests)")
    );
    host.add_url("report", "https://example.org/")
        .await
        .unwrap();
    let step: toolpost_core::model::Step = stage.store.get(stage.step.id.0).await.unwrap();
    assert_eq!(step.urls[0].name, "report");
}

#[tokio::test]
async fn the_end_of_a_call_is_the_end_of_what_it_has_begun() {
    let stage = stage().await;
    // Its output is closed, so that only its end can tell when it is over.
    let lingers = CommandSpec {
        log: Some("stdio".into()),
        ..shell(
            "trap 'sleep 0.3; : > ended; exit' TERM INT; : > ready; echo said; exec >&- 2>&-; \
             while :; do sleep 0.05; done",
        )
    };
    let started = stage.host.start_command(lingers).await.unwrap();
    stage
        .run(shell("until [ -e ready ]; do sleep 0.02; done"))
        .await;
    drop(started);
    stage.host.end().await.unwrap();
    stage.host.stat("ended").await.unwrap();
    let late = stage.host.start_command(shell("true")).await;
    assert!(matches!(late, Err(HostError::Permanent(_))));
    let late = stage.host.remove("ended", false).await;
    assert!(late.is_err(), "nothing begins any more");
    let log = stage.log("stdio").await;
    assert!(
        log.contains("osaid\n") && log.contains("interrupted"),
        "{log}"
    );
}

#[tokio::test]
async fn commands_that_share_a_log_do_not_tear_secrets_apart() {
    const SECRET: &str = "a-secret-of-some-length";
    let stage = stage().await;
    let secret = stage.dir.path().join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let text = format!("[secret.token]\nfile = {secret:?}\n");
    let sources =
        toolpost_config::Sources::from_texts(stage.dir.path(), [("toolpost.toml", &*text)]);
    let config = toolpost_config::check(&sources, &crate::steps::NativeCatalog).unwrap();
    stage
        .step
        .build
        .capabilities
        .configure(&Arc::new(config))
        .await;
    let log = stage.step.logs.open("stdio", LogType::Stdio).await.unwrap();
    let (mut one, mut other) = (log.clone().output(), log.output());
    let (start, end) = SECRET.split_at(9);
    let stdout = toolpost_store::LogStream::Output;
    for piece in [start, end, "\n"] {
        one.append(stdout, piece.as_bytes()).await.unwrap();
        other.append(stdout, piece.as_bytes()).await.unwrap();
    }
    one.end("one is over").await;
    other.end("the other is over").await;
    let log = stage.log("stdio").await;
    assert_eq!(log.matches("<token>").count(), 2, "{log}");
    assert!(!log.contains(start) && !log.contains(end), "{log}");
}
