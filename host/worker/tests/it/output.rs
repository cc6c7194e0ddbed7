//! Output: complete, in order, as it comes, bounded.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use toolpost_worker::{CommandSpec, LogFile, OutputStream, StartError};

use crate::support::{ALL, BUILD, bench, bench_with, eventually, read_until, sh, text};

#[tokio::test]
async fn ten_megabytes_arrive_complete_and_in_order() {
    let bench = bench().await;
    let mut running = bench.start(sh("seq 1 1500000")).await;
    let mut got = Vec::new();
    while let Some(output) = running.next().await {
        assert_eq!(output.stream, OutputStream::Stdout);
        assert!((1..=64 * 1024).contains(&output.bytes.len()));
        got.extend_from_slice(&output.bytes);
    }
    let mut expected = String::new();
    for number in 1..=1_500_000 {
        writeln!(expected, "{number}").expect("a string grows");
    }
    assert!(got.len() > 10_000_000);
    assert!(got == expected.as_bytes(), "the output differs");
    assert!(running.exit().await.success());
}

#[tokio::test]
async fn stdout_and_stderr_stay_apart() {
    let bench = bench().await;
    let line = "i=0; while [ $i -lt 500 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done";
    let captured = bench.run(sh(line)).await;
    let expected = |name: &str| -> String { (0..500).map(|n| format!("{name} {n}\n")).collect() };
    assert_eq!(text(&captured.stdout), expected("out"));
    assert_eq!(text(&captured.stderr), expected("err"));
}

#[tokio::test]
async fn bytes_that_are_no_text_arrive_as_they_are() {
    let bench = bench().await;
    let line = "head -c 3000000 /dev/urandom | tee copy; cat copy >&2";
    let captured = bench.run(sh(line)).await;
    let written = std::fs::read(bench.path("copy")).expect("the copy");
    assert_eq!(written.len(), 3_000_000);
    assert!(captured.stdout == written && captured.stderr == written);
}

#[tokio::test]
async fn output_comes_while_the_command_runs() {
    let bench = bench().await;
    let line = "printf ready; while [ ! -e go ]; do sleep 0.02; done; echo ' went'";
    let mut running = bench.start(sh(line)).await;
    read_until(&mut running, "ready").await;
    std::fs::write(bench.path("go"), "").expect("the file");
    let captured = running.capture(ALL).await;
    assert_eq!(text(&captured.stdout), " went\n");
}

#[tokio::test]
async fn a_slow_reader_slows_the_command_and_memory_stays_bounded() {
    let queue_bytes = 256 * 1024;
    let bench = bench_with(|options| options.limits.output_queue_bytes_max = queue_bytes).await;
    let line = "i=0; while [ $i -lt 100 ]; do head -c 65536 /dev/zero; i=$((i+1)); \
                echo $i > progress; done";
    let running = bench.start(sh(line)).await;
    let progress = || -> Option<usize> {
        let text = std::fs::read_to_string(bench.path("progress")).ok()?;
        text.trim().parse().ok()
    };
    eventually("some progress", || progress().filter(|blocks| *blocks >= 1)).await;
    // Time in which an unbounded queue would take everything.
    tokio::time::sleep(Duration::from_millis(700)).await;
    let written = progress().expect("a number") * 65536;
    // The queue, the pipe, and the block that waits in `write`.
    assert!(written <= queue_bytes + 2 * 65536, "{written} bytes");

    let captured = running.capture(ALL).await;
    assert_eq!(captured.stdout.len(), 100 * 65536);
    assert!(captured.exit.success());
}

#[tokio::test]
async fn waiting_for_a_slow_reader_is_not_idleness() {
    let bench = bench_with(|options| options.limits.output_queue_bytes_max = 256 * 1024).await;
    let mut spec = sh("head -c 3000000 /dev/zero");
    spec.idle_timeout = Some(Duration::from_millis(200));
    let running = bench.start(spec).await;
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    let captured = running.capture(ALL).await;
    assert_eq!(captured.exit.cause, None);
    assert_eq!(captured.stdout.len(), 3_000_000);
}

#[tokio::test]
async fn capturing_keeps_the_first_bytes_and_takes_the_rest() {
    let bench = bench().await;
    let running = bench.start(sh("seq 1 100000; echo short >&2")).await;
    let captured = running.capture(10).await;
    assert_eq!(text(&captured.stdout), "1\n2\n3\n4\n5\n");
    assert_eq!(text(&captured.stderr), "short\n");
    assert!(captured.truncated);
    assert!(captured.exit.success());
}

#[tokio::test]
async fn waiting_for_the_end_throws_the_output_away() {
    let bench = bench().await;
    let mut running = bench.start(sh("head -c 5000000 /dev/zero")).await;
    assert!(running.exit().await.success());
    assert_eq!(running.exit().await.code(), Some(0));
    assert_eq!(running.next().await, None);
}

#[tokio::test]
async fn input_larger_than_pipes_goes_through() {
    let bench = bench().await;
    let input: Bytes = (0..5_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let mut spec = CommandSpec::argv(BUILD, ["cat"]);
    spec.stdin = Some(input.clone());
    let captured = bench.run(spec).await;
    assert!(captured.stdout == input, "the input comes back");
}

#[tokio::test]
async fn input_that_is_not_read_does_no_harm() {
    let bench = bench().await;
    let mut spec = sh("exec 0<&-; echo fine");
    spec.stdin = Some(Bytes::from(vec![b'x'; 5_000_000]));
    let captured = bench.run(spec).await;
    assert_eq!(text(&captured.stdout), "fine\n");
    assert!(captured.exit.success());
}

#[tokio::test]
async fn without_input_the_input_is_empty() {
    let bench = bench().await;
    let captured = bench.run(sh("cat; echo end")).await;
    assert_eq!(text(&captured.stdout), "end\n");
}

fn log_file(path: &str, new_only: bool) -> LogFile {
    LogFile {
        path: path.into(),
        new_only,
    }
}

#[tokio::test]
async fn what_a_command_writes_to_its_log_files_is_output() {
    let bench = bench().await;
    std::fs::create_dir_all(bench.path("sub")).expect("a directory");
    for (path, text) in [
        ("as-it-was", "old\n"),
        ("grown", "old\n"),
        ("grown-new-only", "old\n"),
        ("begun-anew", "a long old text\n"),
    ] {
        std::fs::write(bench.path(path), text).expect("written");
    }
    std::fs::write(bench.outside("secret"), "secret\n").expect("written");
    let large = 1_000_000;
    let line = format!(
        "for file in grown grown-new-only; do echo new >> $file; done; echo new > begun-anew; \
         printf 'one\\n' > sub/new; until [ -e go ]; do sleep 0.02; done; printf two >> sub/new; \
         echo x > begun-anew; seq 1 {large} > large; mkfifo pipe; ln -s '{secret}' link",
        secret = bench.outside("secret").display(),
    );
    let mut spec = sh(&line);
    spec.log_files = vec![
        log_file("as-it-was", false),
        log_file("grown", false),
        log_file("grown-new-only", true),
        log_file("begun-anew", true),
        log_file("sub/new", false),
        log_file("link", false),
        log_file("none", false),
        log_file("pipe", false),
        log_file("large", false),
    ];
    let mut running = bench.start(spec).await;
    let mut got: BTreeMap<OutputStream, Vec<u8>> = BTreeMap::new();
    while let Some(output) = running.next().await {
        got.entry(output.stream)
            .or_default()
            .extend_from_slice(&output.bytes);
        let first = got.get(&OutputStream::File(4));
        if first.is_some_and(|bytes| bytes == b"one\n") && got.len() == 4 {
            // What was written so far came while the command ran.
            std::fs::write(bench.path("go"), "").expect("written");
        }
    }
    assert!(running.exit().await.success());
    let numbers: String = (1..=large).map(|number| format!("{number}\n")).collect();
    let expected = [
        (1, "old\nnew\n"),
        (2, "new\n"),
        (3, "new\nx\n"),
        (4, "one\ntwo"),
        (8, &*numbers),
    ];
    let expected: BTreeMap<OutputStream, Vec<u8>> = expected
        .into_iter()
        .map(|(index, text)| (OutputStream::File(index), text.into()))
        .collect();
    assert!(got == expected, "{:?}", got.keys());
}

#[tokio::test]
async fn a_log_file_that_is_outside_is_refused() {
    let bench = bench().await;
    std::fs::create_dir_all(bench.path("a")).unwrap();
    for path in ["../x", "/etc/passwd", "a/../../x"] {
        let mut spec = sh("true");
        spec.log_files = vec![log_file(path, false)];
        let refused = bench.refused(spec).await;
        assert!(matches!(refused, StartError::LogFile(_)), "{refused}");
    }
}
