//! Output: complete, in order, as it comes, bounded.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use toolpost_worker::{CommandSpec, OutputStream};

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
