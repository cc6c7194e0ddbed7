//! Builds as another user.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use toolpost_worker::{User, UserError, WriteMode};

use crate::support::{BUILD, bench_with, sh, text};

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[tokio::test]
async fn builds_run_as_another_user_and_reach_what_that_user_can() {
    let nobody = match User::named("nobody") {
        Ok(nobody) => nobody,
        Err(error) => {
            // Who is not root can become nobody else, and hears what to do.
            assert!(
                matches!(error, UserError::NotRoot(_)) && !is_root(),
                "{error}"
            );
            assert!(error.to_string().contains("start the worker as root"));
            return;
        }
    };
    let bench = bench_with(|options| {
        let above = options.base_dir.parent().unwrap();
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(above, open).unwrap();
        let secret = above.join("secret");
        std::fs::write(&secret, "hush").unwrap();
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
        options.user = Some(nobody);
    })
    .await;
    let secret = bench.outside("secret");
    let line = format!(
        "id -un; echo $USER; id -Gn; echo made > made; cat {secret}; kill -0 $PPID; \
         grep -c '^CapEff:\\s*0*$' /proc/self/status",
        secret = secret.display()
    );
    let captured = bench.run(sh(&line)).await;
    assert_eq!(
        text(&captured.stdout),
        "nobody\nnobody\nnogroup\n1\n",
        "{}",
        text(&captured.stderr)
    );
    let nobody = bench.path("made").metadata().unwrap().uid();
    assert_ne!(nobody, 0);

    let files = bench.worker.files(BUILD);
    files.create_dir("dir").await.unwrap();
    let write = files.write("dir/file", "text".into(), WriteMode::Replace, None);
    write.await.unwrap();
    for path in ["", "dir", "dir/file"] {
        assert_eq!(bench.path(path).metadata().unwrap().uid(), nobody, "{path}");
    }
    // The worker does not do on a build's behalf what the build may not.
    let own = bench.path("dir/own");
    std::fs::write(&own, "hush").unwrap();
    std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o600)).unwrap();
    let read = files.read("dir/own", 0, 4).await.unwrap_err();
    assert!(read.to_string().contains("Permission denied"), "{read}");
    // And this process is what it was, on all of its threads.
    let of = |line: &str, name: &str| line.strip_prefix(name).map(str::to_owned);
    for thread in std::fs::read_dir("/proc/self/task").unwrap() {
        let status = std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        let ids: Vec<_> = status.lines().filter_map(|line| of(line, "Uid:")).collect();
        assert_eq!(ids, ["\t0\t0\t0\t0"]);
    }
}

#[test]
fn who_is_not_there_is_named() {
    let error = User::named("no-such-user").unwrap_err();
    assert!(
        error.to_string().contains("no user `no-such-user`"),
        "{error}"
    );
}
