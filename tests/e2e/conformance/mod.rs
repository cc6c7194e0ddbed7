//! The REST API held against that of a stock Buildbot master, value by value: both have the same configuration (`farm.toml` and
//! `master.cfg`) and do the same work, then both are asked the same questions (`conform.py`), which are made of the specification in
//! the `buildbot` package. Every difference has its reason in `differences.txt`, or it is a fault.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::far::Far;
use crate::remote::free_port;
use crate::stock_master::StockMaster;
use crate::support::{Repository, farm, first_party, root};

/// A configuration with its blanks filled in.
fn filled(template: &str, workers: u16, web: u16, repository: &Path) -> String {
    template
        .replace("@WORKERS@", &workers.to_string())
        .replace("@WEB@", &web.to_string())
        .replace("@REPOSITORY@", &repository.display().to_string())
}

/// Python with the `buildbot` package.
fn python() -> PathBuf {
    let buildbot = std::env::var_os("TOOLPOST_TEST_BUILDBOT")
        .expect("TOOLPOST_TEST_BUILDBOT is not set: run the tests with `cargo xtask test`");
    Path::new(&buildbot).with_file_name("python")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rest_api_is_that_of_a_stock_master_but_for_what_is_written_down() {
    let repository = Repository::new();
    repository.commit("first", &[("README", "thing")]);
    let path = repository.path();
    let workers = free_port();
    let ours = filled(include_str!("farm.toml"), workers, 0, path);
    let ours = farm(&ours).plugin("script", first_party("script"));
    let theirs = |workers, web| filled(include_str!("master.cfg"), workers, web, path);
    let (farm, stock) = tokio::join!(ours.start(), StockMaster::with(theirs));
    let _workers =
        [workers, stock.port()].map(|port| Far::stock("far", "open sesame", port).started());
    let folder = root().join("tests/e2e/conformance");
    let ran = tokio::process::Command::from(Command::new(python()))
        .arg(folder.join("conform.py"))
        .args([stock.api().url(""), farm.api().url("")])
        .args([path, &folder.join("differences.txt")])
        .output()
        .await
        .expect("Python runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    println!("{}", text(&ran.stderr));
    assert!(
        ran.status.success(),
        "{}\n{}\n\nthe stock master:\n{}\n\nours:\n{}",
        text(&ran.stdout),
        text(&ran.stderr),
        stock
            .log()
            .lines()
            .rev()
            .take(50)
            .collect::<Vec<_>>()
            .join("\n"),
        farm.output()
    );
}
