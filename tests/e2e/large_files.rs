//! A large file on its way from a worker and back: it arrives as it was, and nobody holds it in memory.
//!
//! `cargo xtask chaos files` moves a larger one.

use std::time::Duration;

use toolpost_harness::{CONDITION_DEADLINE, Farm, eventually_within};

use crate::far::{Far, Kind, connected};
use crate::remote::{config, free_port};
use crate::support::{farm, shell};

/// The size of the file, in MiB, and the variable that says otherwise.
const FILE_MIB: u64 = 64;
const FILE_VARIABLE: &str = "TOOLPOST_TEST_FILE_MIB";
/// A file that lets everybody get what they need for any file.
const SMALL_MIB: u64 = 8;
/// How much more memory than for the small file the large one may take, master and worker each.
const GROWTH_KIB_MAX: u64 = 32 * 1024;

const MADE: &str = "made";
const UP: &str = "up";
const DOWN: &str = "down";
const CAME: &str = "came";

/// Steps that make a file of this size, move it to the master and back, and say its digest before and after.
fn there_and_back(mib: u64) -> String {
    let made = format!(
        "head -c {} /dev/urandom > made; sha256sum < made",
        mib << 20
    );
    let came = "rm made; sha256sum < came/back; rm -r came";
    format!(
        "{made}name = {MADE:?}\n\n\
         [[builder.step]]\nuse = \"file-upload\"\nname = {UP:?}\nsource = \"made\"\nartifact = \"kept\"\n\n\
         [[builder.step]]\nuse = \"file-download\"\nname = {DOWN:?}\nartifact = \"kept\"\ndestination = \"came/back\"\n\n\
         {came}name = {CAME:?}\n",
        made = shell(&made),
        came = shell(came)
    )
}

/// The most memory that a process ever had, in KiB.
fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.unwrap().trim().strip_suffix(" kB").unwrap();
    number.parse().unwrap()
}

/// How long all that may take: a stock worker on a loaded machine moves little more than a MiB in a second.
fn patience(mib: u64) -> Duration {
    CONDITION_DEADLINE + Duration::from_secs(mib)
}

/// Moves a file there and back and asserts that it is the same.
async fn moves(farm: &Farm, builder: &str, mib: u64) {
    let api = farm.api();
    let request = api.force("force", builder).await;
    eventually_within(patience(mib), "the file to be back", async || {
        let answer = api.get(&format!("buildrequests/{request}")).await;
        (answer["buildrequests"][0]["complete"] == true).then_some(())
    })
    .await;
    let build = api.finished(request).await;
    let steps = api.steps(&build).await;
    assert_eq!(build["results"], 0, "{steps:#?}\n{}", farm.output());
    let digest = async |step: &str| {
        let log = api.log(&build, step, "stdio").await;
        let line = log.lines().find_map(|line| line.strip_suffix("  -"));
        line.unwrap_or_else(|| panic!("no digest in {log}"))
            .to_owned()
    };
    let digests = [digest(MADE).await, digest(CAME).await];
    assert_eq!(digests[0], digests[1]);
    let kept = api
        .get(&format!("builds/{}/artifacts", build["buildid"]))
        .await;
    assert_eq!(kept["artifacts"][0]["sha256"], digests[0], "{kept}");
    assert_eq!(kept["artifacts"][0]["size_bytes"], mib << 20, "{kept}");
}

#[tokio::test]
async fn a_large_file_costs_no_memory_with_a_stock_worker() {
    costs_no_memory(Kind::Stock).await;
}

#[tokio::test]
async fn a_large_file_costs_no_memory_with_our_own_worker() {
    costs_no_memory(Kind::Own).await;
}

async fn costs_no_memory(kind: Kind) {
    let mib = std::env::var(FILE_VARIABLE).map_or(FILE_MIB, |text| text.parse().unwrap());
    let port = free_port();
    let (small, large) = (there_and_back(SMALL_MIB), there_and_back(mib));
    let builders = [("small", &*small), ("large", &*large)];
    let limits = "[master.limits]\nupload_size_max = \"4GiB\"\n";
    let text = config(port, &["far"], &builders) + limits;
    let farm = farm(&text).start().await;
    let far = Far::start(kind, port);
    connected(&farm, "far", true).await;
    let peaks = || [peak_kib(farm.pid()), peak_kib(far.pid())];
    moves(&farm, "small", SMALL_MIB).await;
    let before = peaks();
    let begun = std::time::Instant::now();
    moves(&farm, "large", mib).await;
    let after = peaks();
    eprintln!(
        "{kind:?}: {mib} MiB there and back in {:.1} s, peaks of master and worker {before:?} KiB, then {after:?} KiB",
        begun.elapsed().as_secs_f64()
    );
    for (before, after) in before.into_iter().zip(after) {
        let growth = after - before;
        assert!(
            growth < GROWTH_KIB_MAX,
            "{kind:?}: {growth} KiB more: {before} KiB, then {after} KiB"
        );
    }
}
