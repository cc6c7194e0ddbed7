//! What a command starts with, and what keeps it from starting.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};

use toolpost_worker::{CommandSpec, EnvValue, StartError};

use crate::support::{BUILD, bench, bench_with, sh, text};

fn set(value: &str) -> EnvValue {
    EnvValue::Set(value.to_owned())
}

#[tokio::test]
async fn arguments_arrive_as_they_are() {
    let bench = bench().await;
    let argv = ["printf", "<%s>", "a b", "", "$HOME", "'\"\\", "ü", "*"];
    let captured = bench.run(CommandSpec::argv(BUILD, argv)).await;
    assert_eq!(text(&captured.stdout), "<a b><><$HOME><'\"\\><ü><*>");
}

#[tokio::test]
async fn the_environment_is_the_workers_with_changes() {
    let bench = bench_with(|options| {
        options.environment = [("PATH", "/usr/bin:/bin"), ("KEPT", "k"), ("GONE", "g")]
            .map(|(name, value)| (name.into(), value.into()))
            .into();
    })
    .await;
    let mut spec = CommandSpec::argv(BUILD, ["env"]);
    spec.env = BTreeMap::from([
        ("GONE".to_owned(), EnvValue::Unset),
        ("NEW".to_owned(), set("n")),
        ("PATH".to_owned(), set("/more:${PATH}")),
    ]);
    let running = bench.start(spec).await;
    let dir = bench.path("").display().to_string();
    let dir = dir.trim_end_matches('/');
    let expected = BTreeMap::from([
        ("KEPT", "k"),
        ("NEW", "n"),
        ("PATH", "/more:/usr/bin:/bin"),
        ("PWD", dir),
    ]);
    let told: BTreeMap<_, _> = running
        .launch()
        .environment
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(told, expected);

    let captured = running.capture(10_000).await;
    let seen: BTreeMap<_, _> = text(&captured.stdout)
        .lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(name, _)| !["TOOLPOST_WORKER", "TOOLPOST_COMMAND"].contains(name))
        .collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn the_header_tells_what_runs_where() {
    let bench = bench().await;
    let mut spec = CommandSpec::argv(BUILD, ["sh", "-c", "echo it's"]);
    spec.env.insert("SHOWN".to_owned(), set("value"));
    spec.idle_timeout = Some(std::time::Duration::from_secs(1200));
    let mut running = bench.start(spec).await;
    let launch = running.launch();
    assert!(launch.process_id.is_some());
    let header = launch.header(false);
    assert!(header.starts_with(r"sh -c 'echo it'\''s'"), "{header}");
    assert!(
        header.contains(
            &format!(" in directory {}\n", bench.path("").display()).replace("/\n", "\n")
        )
    );
    assert!(header.contains(" stopped after 1200 s without output\n"));
    assert!(!header.contains("SHOWN"));
    assert!(launch.header(true).contains("\n  SHOWN=value\n"));
    running.exit().await;
}

#[tokio::test]
async fn the_working_directory_is_made_and_can_be_required() {
    let bench = bench().await;
    let mut spec = sh("pwd");
    spec.dir = "deep/er".to_owned();
    let captured = bench.run(spec.clone()).await;
    assert_eq!(
        text(&captured.stdout).trim(),
        bench.path("deep/er").display().to_string()
    );

    spec.dir = "missing".to_owned();
    spec.create_dir = false;
    let error = bench.refused(spec).await;
    assert_eq!(
        error.to_string(),
        "the working directory cannot be used: `missing` does not exist on the worker"
    );
    assert!(!bench.path("missing").exists());
}

#[tokio::test]
async fn a_file_is_no_working_directory() {
    let bench = bench().await;
    bench.run(sh("touch file")).await;
    let mut spec = sh("pwd");
    spec.dir = "file".to_owned();
    let error = bench.refused(spec).await;
    assert_eq!(
        error.to_string(),
        "the working directory cannot be used: `file` is not a directory"
    );
}

#[tokio::test]
async fn directories_outside_are_refused_unless_allowed() {
    let bench = bench().await;
    let elsewhere = bench.outside("elsewhere");
    std::fs::create_dir(&elsewhere).expect("a directory");
    bench.run(sh("true")).await;
    symlink(&elsewhere, bench.path("link")).expect("a link");
    let absolute = elsewhere.to_str().expect("text");
    for dir in [absolute, "../..", "link", "link/x", "../../elsewhere"] {
        let mut spec = sh("pwd");
        spec.dir = dir.to_owned();
        let error = bench.refused(spec).await;
        assert!(matches!(error, StartError::Directory(_)), "{dir}: {error}");
        assert!(error.to_string().contains("leads out of"), "{dir}: {error}");
    }
    for build_dir in ["..", "/tmp", "build/../../elsewhere"] {
        let error = bench.refused(CommandSpec::shell(build_dir, "pwd")).await;
        assert!(
            matches!(error, StartError::Directory(_)),
            "{build_dir}: {error}"
        );
    }
    let canonical = elsewhere.canonicalize().expect("it exists");
    for dir in [absolute, "link", "../../elsewhere"] {
        let mut spec = sh("pwd");
        spec.dir = dir.to_owned();
        spec.dir_may_leave_build = true;
        let captured = bench.run(spec).await;
        assert_eq!(
            text(&captured.stdout).trim(),
            canonical.display().to_string()
        );
    }
}

#[tokio::test]
async fn a_missing_command_is_named_with_the_path_searched() {
    let bench = bench().await;
    let mut spec = CommandSpec::argv(BUILD, ["no-such-program", "x"]);
    spec.env.insert("PATH".to_owned(), set("/bin:/nowhere"));
    let error = bench.refused(spec).await;
    assert_eq!(
        error.to_string(),
        "command `no-such-program` was not found in PATH=/bin:/nowhere of the worker"
    );
    let error = bench.refused(CommandSpec::argv(BUILD, ["./missing"])).await;
    let expected = format!(
        "command `./missing` does not exist: there is no file {}",
        bench.path("./missing").display()
    );
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_file_without_permission_is_no_program() {
    let bench = bench().await;
    bench.run(sh("echo true > plain; mkdir directory")).await;
    for command in ["./plain", "./directory"] {
        let error = bench.refused(CommandSpec::argv(BUILD, [command])).await;
        assert!(matches!(error, StartError::NotExecutable { .. }), "{error}");
    }
    let mut spec = CommandSpec::argv(BUILD, ["plain"]);
    spec.env.insert("PATH".to_owned(), set("."));
    let error = bench.refused(spec).await;
    assert!(matches!(error, StartError::NotExecutable { .. }), "{error}");
}

#[tokio::test]
async fn a_missing_interpreter_and_a_file_of_no_format_are_explained() {
    let bench = bench().await;
    bench
        .run(sh(
            "echo '#!/no/such/interpreter' > script; printf '\\001\\002' > garbage; chmod +x *",
        ))
        .await;
    let error = bench.refused(CommandSpec::argv(BUILD, ["./script"])).await;
    assert!(
        error
            .to_string()
            .contains("the interpreter in its first line"),
        "{error}"
    );
    let error = bench.refused(CommandSpec::argv(BUILD, ["./garbage"])).await;
    assert!(matches!(error, StartError::Spawn { .. }), "{error}");
}

#[tokio::test]
async fn what_the_system_cannot_take_is_refused() {
    let bench = bench().await;
    for argv in [&[][..], &[""], &["a\0b"], &["echo", "a\0b"]] {
        let error = bench
            .refused(CommandSpec::argv(BUILD, argv.iter().copied()))
            .await;
        assert!(
            matches!(error, StartError::InvalidCommand { .. }),
            "{error}"
        );
    }
    let mut spec = sh("true");
    spec.env.insert("A=B".to_owned(), set("x"));
    let error = bench.refused(spec).await;
    assert_eq!(
        error.to_string(),
        "environment variable `A=B` cannot be set: its name contains `=`"
    );
    let huge = "x".repeat(3_000_000);
    let error = bench
        .refused(CommandSpec::argv(BUILD, ["echo", &huge]))
        .await;
    assert!(error.to_string().contains("too large"), "{error:.300}");
}

#[tokio::test]
async fn a_program_that_was_just_written_starts() {
    let bench = bench().await;
    let files = bench.worker.files(BUILD);
    for number in 0..50 {
        let name = format!("program-{number}");
        let script = format!("#!/bin/sh\necho {number}\n");
        files
            .write(
                &name,
                script.into(),
                toolpost_worker::WriteMode::Replace,
                Some(0o755),
            )
            .await
            .expect("written");
        let noise = bench.worker.start(sh("true"));
        let run = bench
            .worker
            .start(CommandSpec::argv(BUILD, [format!("./{name}")]));
        let (noise, run) = tokio::join!(noise, run);
        assert!(noise.expect("it starts").exit().await.success());
        let captured = run.expect("it starts").capture(100).await;
        assert_eq!(text(&captured.stdout), format!("{number}\n"));
    }
    let mode = std::fs::metadata(bench.path("program-0"))
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o755);
}
