//! Files that builds keep, and get from other builds.

use futures::TryStreamExt;
use insta::assert_snapshot;
use toolpost_core::Results;
use toolpost_core::kept::Artifact;
use toolpost_core::model::Build;
use toolpost_store::Query;

use crate::farm::{Farm, farm, shell_steps};

/// A step of another type than `shell`.
fn step(use_: &str, parameters: &str) -> String {
    format!("[[builder.step]]\nuse = \"{use_}\"\n{parameters}\n")
}

fn shell(line: &str) -> String {
    shell_steps(&[("x", line)])
}

/// Names, permissions and sizes of what a build has kept.
async fn kept(farm: &Farm, build: &Build) -> String {
    let query = Query::new().eq("buildid", build.id).order("name");
    let artifacts: Vec<Artifact> = farm.store().list(&query).await.expect("artifacts");
    let lines = artifacts.iter().map(|kept| {
        let (name, mode, size) = (&kept.name, kept.mode, kept.size_bytes);
        format!("{name} {mode:o} {size}\n")
    });
    lines.collect()
}

#[tokio::test]
async fn a_file_goes_from_one_build_to_another() {
    let make = "printf 'echo made' > tool; chmod 750 tool; umask 022";
    let upload = step(
        "file-upload",
        "source = \"tool\"\nartifact = \"bin/my tool\"",
    );
    let from = "artifact = \"bin/my tool\"\ndestination = \"got/tool\"\nbuild = { builder = \"a\", number = 1 }";
    let download = step("file-download", from);
    let farm = farm()
        .builder("a", &(shell(make) + &upload))
        .builder(
            "b",
            &(download + &shell("got/tool; stat -c %a got/tool; ls got")),
        )
        .start()
        .await;
    let first = farm.force("a").await;
    assert_snapshot!(farm.show(&first).await, @"
    a #1: success [build successful]
      x: success ['printf 'echo made' > tool; chmod 750 too...']
      file-upload: success [uploaded bin/my tool (9 bytes)]
    ");
    assert_eq!(kept(&farm, &first).await, "bin/my tool 750 9\n");
    let url = farm.steps(first.id).await[1].urls[0].clone();
    assert_eq!(url.name, "bin/my tool");
    assert!(
        url.url.ends_with("/artifacts/1/bin/my%20tool"),
        "{}",
        url.url
    );
    let second = farm.force("b").await;
    assert_eq!(second.results, Some(Results::Success));
    assert_eq!(farm.log(&second, "x", "stdio").await, "made\n750\ntool\n");
}

#[tokio::test]
async fn a_directory_is_kept_with_all_that_is_inside() {
    let make = "mkdir -p out/sub/deep out/empty; echo 1 > out/a; echo 22 > out/sub/b; echo 333 > out/sub/deep/c; \
        ln -s ../a out/sub/inside; ln -s /etc/passwd out/outside; ln -s sub out/dir; ln -s nothing out/broken; \
        mkfifo out/pipe; ln -s ../../../../secret out/up; echo no > ../../../secret";
    let upload = step(
        "directory-upload",
        "source = \"out\"\nartifact = \"report\"",
    );
    let farm = farm().builder("a", &(shell(make) + &upload)).start().await;
    let build = farm.force("a").await;
    assert_eq!(
        kept(&farm, &build).await,
        "report/a 644 2\nreport/sub/b 644 3\nreport/sub/deep/c 644 4\nreport/sub/inside 644 2\n"
    );
    let told = farm.steps(build.id).await.remove(1);
    assert_snapshot!(told.state_string, @"uploaded 4 files, left out broken, dir, outside, pipe, up (warnings)");
}

#[tokio::test]
async fn nothing_outside_is_kept() {
    let make = "ln -s /etc/passwd link; ln -s ../../.. up; touch ../../../secret";
    for (source, artifact) in [
        ("link", "a"),
        ("/etc/passwd", "a"),
        ("../../../secret", "a"),
        ("up/secret", "a"),
        ("no-such-file", "a"),
        ("up", "a"),
    ] {
        let parameters = format!("source = \"{source}\"\nartifact = \"{artifact}\"");
        let farm = farm()
            .builder("a", &(shell(make) + &step("file-upload", &parameters)))
            .start()
            .await;
        let build = farm.force("a").await;
        assert_eq!(build.results, Some(Results::Failure), "{source}");
        assert_eq!(kept(&farm, &build).await, "", "{source}");
    }
}

#[tokio::test]
async fn names_that_lead_elsewhere_are_refused() {
    let names = ["..", "../x", "/x", "a//b", "a/./b"];
    let steps = names.map(|name| {
        let parameters =
            format!("source = \"file\"\nartifact = \"{name}\"\nflunk_on_failure = false");
        step("file-upload", &parameters)
    });
    let farm = farm()
        .builder("a", &(shell("touch file") + &steps.concat()))
        .start()
        .await;
    let build = farm.force("a").await;
    let steps = farm.steps(build.id).await;
    for (step, name) in steps[1..].iter().zip(names) {
        assert_eq!(step.results, Some(Results::Failure), "{name}");
    }
    assert_eq!(kept(&farm, &build).await, "");
}

/// The most that this process has had in memory, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .expect("a number")
}

#[tokio::test]
async fn a_huge_file_takes_little_memory() {
    const MIB: u64 = 400;
    let upload = step("file-upload", "source = \"huge\"");
    let download = step(
        "file-download",
        "artifact = \"huge\"\ndestination = \"again\"",
    );
    let make = format!("truncate -s {MIB}M huge; printf end >> huge");
    let farm = farm()
        .builder(
            "a",
            &(shell(&make) + &upload + &download + &shell("cmp huge again && rm huge again")),
        )
        .start()
        .await;
    let before = peak_kib();
    let build = farm.force("a").await;
    assert_eq!(build.results, Some(Results::Success));
    let grown = peak_kib() - before;
    assert!(grown < 100 * 1024, "memory grew by {grown} KiB");
    let artifact = farm
        .store()
        .artifact(build.id, "huge")
        .await
        .expect("artifact");
    let artifact = artifact.expect("artifact");
    assert_eq!(
        artifact.size_bytes,
        i64::try_from((MIB << 20) + 3).expect("a size")
    );
    let mut pieces = farm.store().artifact_bytes(&artifact).await.expect("bytes");
    let piece = pieces.try_next().await.expect("a piece").expect("a piece");
    assert!(piece.len() < 1 << 20);
}
