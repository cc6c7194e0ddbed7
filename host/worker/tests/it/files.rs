//! File operations: what they do, and that they stay inside.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use toolpost_worker::{DirEntry, FileError, FileKind, Files, WriteMode};

use crate::support::{BUILD, Bench, bench, bench_with, sh};

async fn tree(bench: &Bench, script: &str) -> Files {
    let captured = bench.run(sh(script)).await;
    assert!(captured.exit.success(), "{captured:?}");
    bench.worker.files(BUILD)
}

fn mode(path: &Path) -> u32 {
    let metadata = std::fs::symlink_metadata(path).expect("it exists");
    metadata.permissions().mode() & 0o7777
}

#[tokio::test]
async fn pieces_of_a_file_are_read() {
    let bench = bench_with(|options| options.limits.file_piece_bytes_max = 6).await;
    let files = tree(&bench, "printf 0123456789 > digits").await;
    for (offset, length, expected) in [
        (0, 4, "0123"),
        (8, 4, "89"),
        (0, 100, "012345"),
        (10, 4, ""),
        (u64::MAX, 4, ""),
        (3, 0, ""),
    ] {
        let piece = files.read("digits", offset, length).await.expect("read");
        assert_eq!(
            (&piece.bytes[..], piece.file_size),
            (expected.as_bytes(), 10)
        );
    }
}

#[tokio::test]
async fn writing_replaces_at_once_or_appends() {
    let bench = bench().await;
    let files = tree(&bench, "umask 022; printf old > f; chmod 640 f; ln f hard").await;
    let write = |text: &'static str, how, mode| files.write("f", Bytes::from(text), how, mode);
    write("new", WriteMode::Replace, None)
        .await
        .expect("written");
    assert_eq!(std::fs::read(bench.path("f")).expect("read"), b"new");
    assert_eq!(mode(&bench.path("f")), 0o640, "as before");
    assert_eq!(
        std::fs::read(bench.path("hard")).expect("read"),
        b"old",
        "another file took its place"
    );

    write("er", WriteMode::Append, None).await.expect("written");
    write("!", WriteMode::Append, Some(0o755))
        .await
        .expect("written");
    assert_eq!(std::fs::read(bench.path("f")).expect("read"), b"newer!");
    assert_eq!(mode(&bench.path("f")), 0o755);

    files
        .write("made", Bytes::from("x"), WriteMode::Append, None)
        .await
        .expect("written");
    assert_eq!(std::fs::read(bench.path("made")).expect("read"), b"x");
    let names: Vec<_> = files
        .list("")
        .await
        .expect("listed")
        .into_iter()
        .map(|e| e.name)
        .collect();
    assert_eq!(names, ["f", "hard", "made"], "no temporary file stays");
}

#[tokio::test]
async fn writing_makes_the_builds_directory_and_no_other() {
    let bench = bench().await;
    let files = bench.worker.files("fresh/build");
    let write = |path: &'static str| files.write(path, Bytes::new(), WriteMode::Replace, None);
    write("file").await.expect("written");
    let error = write("missing/file").await.expect_err("no directory");
    assert_eq!(error.to_string(), "`missing` does not exist on the worker");
}

#[tokio::test]
async fn sizes_have_limits_with_names() {
    let bench = bench_with(|options| {
        options.limits.file_piece_bytes_max = 10;
        options.limits.file_bytes_max = 15;
        options.limits.list_entries_max = 3;
        options.limits.glob_entries_max = 3;
        options.limits.copy_entries_max = 3;
    })
    .await;
    let files = tree(&bench, "mkdir d; cd d; touch 1 2 3 4").await;
    let ten = Bytes::from_static(b"0123456789");
    let append = || files.write("f", ten.clone(), WriteMode::Append, None);
    append().await.expect("written");
    let cases = [
        (append().await.expect_err("too large"), "file_bytes_max"),
        (
            files
                .write("g", vec![0; 11].into(), WriteMode::Replace, None)
                .await
                .expect_err("too large"),
            "file_piece_bytes_max",
        ),
        (
            files.list("d").await.map(drop).expect_err("too many"),
            "list_entries_max",
        ),
        (
            files.glob("d/*").await.map(drop).expect_err("too many"),
            "glob_entries_max",
        ),
        (
            files.copy("d", "e").await.map(drop).expect_err("too many"),
            "copy_entries_max",
        ),
    ];
    for (error, name) in cases {
        assert!(
            matches!(error, FileError::TooLarge { limit_name, .. } if limit_name == name),
            "{error}"
        );
    }
}

#[tokio::test]
async fn what_a_glob_finds_has_a_limit_in_bytes() {
    let bench = bench_with(|options| options.limits.glob_found_bytes_max = 7).await;
    let files = tree(&bench, "mkdir d; cd d; touch 1 2 3 other").await;
    assert_eq!(files.glob("d/[12]").await.expect("found"), ["d/1", "d/2"]);
    let error = files.glob("d/?").await.expect_err("nine bytes");
    assert!(
        matches!(
            error,
            FileError::TooLarge {
                limit_name: "glob_found_bytes_max",
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn looking_at_paths() {
    let bench = bench().await;
    let files = tree(&bench, "mkdir d; printf abc > f; chmod 600 f; ln -s f to-f; ln -s d to-d; ln -s no dangling; mkfifo pipe").await;
    for (path, expected) in [
        ("f", Some((FileKind::File, Some(3)))),
        ("to-f", Some((FileKind::File, Some(3)))),
        ("d", Some((FileKind::Directory, None))),
        ("to-d", Some((FileKind::Directory, None))),
        ("", Some((FileKind::Directory, None))),
        ("pipe", Some((FileKind::Other, None))),
        ("dangling", None),
        ("missing", None),
        ("missing/too", None),
    ] {
        let info = files.stat(path).await.expect(path);
        assert_eq!(
            info.map(|info| info.kind),
            expected.map(|(kind, _)| kind),
            "{path}"
        );
        if let (Some(info), Some((_, Some(size)))) = (info, expected) {
            assert_eq!((info.size, info.mode), (size, 0o600), "{path}");
            assert!(info.modified.elapsed().expect("in the past") < Duration::from_secs(3600));
        }
    }
    let error = files.stat("f/x").await.expect_err("not a directory");
    assert!(matches!(error, FileError::WrongKind { .. }), "{error}");
    assert_eq!(
        bench
            .worker
            .files("no-build")
            .stat("x")
            .await
            .expect("nothing"),
        None
    );
}

#[tokio::test]
async fn a_named_pipe_does_not_hold_anybody() {
    let bench = bench().await;
    let files = tree(&bench, "mkfifo pipe; mkdir d").await;
    for path in ["pipe", "d"] {
        let error = files.read(path, 0, 10).await.expect_err("no file");
        assert_eq!(error.to_string(), format!("`{path}` is not a file"));
        files
            .write(path, Bytes::from("x"), WriteMode::Append, None)
            .await
            .expect_err("no file");
    }
    let error = files
        .write("d", Bytes::new(), WriteMode::Replace, None)
        .await
        .expect_err("no file");
    assert!(matches!(error, FileError::WrongKind { .. }), "{error}");
}

#[tokio::test]
async fn directories_are_listed_by_name() {
    let bench = bench().await;
    let files = tree(&bench, "mkdir b; touch c .a; ln -s b d").await;
    let entries = files.list(".").await.expect("listed");
    let expected = [
        (".a", FileKind::File),
        ("b", FileKind::Directory),
        ("c", FileKind::File),
        ("d", FileKind::Symlink),
    ]
    .map(|(name, kind)| DirEntry {
        name: name.to_owned(),
        kind,
    });
    assert_eq!(entries, expected);
    assert!(matches!(
        files.list("c").await,
        Err(FileError::WrongKind { .. })
    ));
    assert!(matches!(
        files.list("no").await,
        Err(FileError::NotFound { .. })
    ));
}

#[tokio::test]
async fn globs_find_what_they_say() {
    let bench = bench().await;
    let files = tree(
        &bench,
        "mkdir -p src/deep/er .git/x src/.hidden; touch a.xml b.xml c.txt 'odd[1].xml' \
         src/d.xml src/deep/e.xml src/deep/er/f.xml .git/x/g.xml src/.hidden/h.xml; \
         ln -s src link; ln -s a.xml z.xml",
    )
    .await;
    for (pattern, expected) in [
        ("*.xml", &["a.xml", "b.xml", "odd[1].xml", "z.xml"][..]),
        ("./src//*.xml", &["src/d.xml"]),
        (
            "src/**/*.xml",
            &["src/d.xml", "src/deep/e.xml", "src/deep/er/f.xml"],
        ),
        ("**/e.xml", &["src/deep/e.xml"]),
        ("src/*/*.xml", &["src/deep/e.xml"]),
        ("?.t[a-z]t", &["c.txt"]),
        ("{a,c}.*", &["a.xml", "c.txt"]),
        ("{src/deep,src}/[de].xml", &["src/d.xml", "src/deep/e.xml"]),
        (".git/**/*.xml", &[".git/x/g.xml"]),
        ("src/.hidden/*", &["src/.hidden/h.xml"]),
        ("a.xml", &["a.xml"]),
        ("odd\\[1\\].xml", &["odd[1].xml"]),
        ("src/deep", &["src/deep"]),
        ("link/*", &["link/d.xml", "link/deep"]),
        ("lin*/*", &[]),
        ("missing/*", &[]),
        ("a.xml/*", &[]),
    ] {
        assert_eq!(
            files.glob(pattern).await.expect(pattern),
            expected,
            "{pattern}"
        );
    }
    for pattern in ["", "../*", "src/../*", "[", "{a"] {
        let error = files.glob(pattern).await.expect_err(pattern);
        assert!(
            matches!(error, FileError::InvalidPattern { .. }),
            "{pattern}: {error}"
        );
    }
    assert!(matches!(
        files.glob("/etc/*").await,
        Err(FileError::Outside { .. })
    ));
}

#[tokio::test]
async fn trees_are_removed_and_links_are_not_followed() {
    let bench = bench().await;
    let outside = bench.outside("precious");
    std::fs::create_dir(&outside).expect("a directory");
    std::fs::write(outside.join("file"), "x").expect("a file");
    let files = tree(&bench, "mkdir -p t/a/b; i=0; while [ $i -lt 300 ]; do : > t/a/$i; i=$((i+1)); done; chmod 0 t/a/b; chmod 500 t/a; touch f; mkdir real; touch real/kept; ln -s real l").await;
    symlink(&outside, bench.path("t/out")).expect("a link");
    for path in ["t", "f", "l"] {
        assert!(files.remove(path).await.expect(path), "{path}");
        assert!(!files.remove(path).await.expect(path), "{path} is gone");
    }
    assert!(outside.join("file").exists() && bench.path("real/kept").exists());
    for path in ["", ".", "..", "real/.."] {
        let error = files.remove(path).await.expect_err(path);
        assert!(
            matches!(error, FileError::InvalidPath { .. }),
            "{path}: {error}"
        );
    }
}

#[tokio::test]
async fn trees_are_copied_with_permissions_times_and_links() {
    let bench = bench().await;
    let files = tree(
        &bench,
        "mkdir -p from/sub to/sub; printf one > from/1; chmod 751 from/1; touch -t 202001020304 from/1; \
         printf two > from/sub/2; ln -s ../1 from/sub/link; mkfifo from/pipe; \
         printf old > to/1; printf kept > to/kept; chmod 700 from/sub",
    )
    .await;
    let summary = files.copy("from", "to").await.expect("copied");
    assert_eq!((summary.entries, summary.bytes, summary.skipped), (5, 6, 1));
    assert_eq!(std::fs::read(bench.path("to/1")).expect("read"), b"one");
    assert_eq!(std::fs::read(bench.path("to/kept")).expect("read"), b"kept");
    assert_eq!(mode(&bench.path("to/1")), 0o751);
    assert_eq!(mode(&bench.path("to/sub")), 0o700);
    let mtime = |name| {
        std::fs::metadata(bench.path(name))
            .expect("it exists")
            .mtime()
    };
    assert_eq!(mtime("to/1"), mtime("from/1"));
    let link = std::fs::read_link(bench.path("to/sub/link")).expect("a link");
    assert_eq!(link, Path::new("../1"));
    assert_eq!(
        files
            .copy("from/1", "single")
            .await
            .expect("copied")
            .entries,
        1
    );

    for (from, to) in [("from", "from/sub/x"), ("from", "from")] {
        let error = files.copy(from, to).await.expect_err("into itself");
        assert!(matches!(error, FileError::InvalidPath { .. }), "{error}");
    }
    assert!(matches!(
        files.copy("no", "x").await,
        Err(FileError::NotFound { .. })
    ));
}

#[tokio::test]
async fn nothing_leads_outside() {
    let bench = bench().await;
    let outside = bench.outside("outside");
    std::fs::create_dir(&outside).expect("a directory");
    std::fs::write(outside.join("secret"), "secret").expect("a file");
    let files = tree(&bench, "mkdir d; echo x > f").await;
    symlink(&outside, bench.path("out")).expect("a link");
    symlink("../../outside/secret", bench.path("file-out")).expect("a link");
    let absolute = outside.join("secret").display().to_string();
    for path in [
        absolute.as_str(),
        "../x",
        "d/../../x",
        "out/secret",
        "file-out",
    ] {
        let inside = |error: FileError| {
            assert!(
                matches!(error, FileError::Outside { .. }),
                "{path}: {error}"
            );
        };
        inside(files.read(path, 0, 10).await.map(drop).expect_err(path));
        inside(files.stat(path).await.map(drop).expect_err(path));
        inside(files.list(path).await.map(drop).expect_err(path));
        inside(files.create_dir(path).await.expect_err(path));
        inside(
            files
                .write(path, Bytes::from("evil"), WriteMode::Append, None)
                .await
                .expect_err(path),
        );
        if path != "file-out" {
            inside(
                files
                    .write(path, Bytes::from("evil"), WriteMode::Replace, None)
                    .await
                    .expect_err(path),
            );
            inside(files.remove(path).await.map(drop).expect_err(path));
            inside(files.copy(path, "x").await.map(drop).expect_err(path));
            inside(files.copy("f", path).await.map(drop).expect_err(path));
        }
    }
    assert!(matches!(
        files.glob("out/*").await,
        Err(FileError::Outside { .. })
    ));
    // Replacing and removing concern the link itself.
    files
        .write("file-out", Bytes::from("mine"), WriteMode::Replace, None)
        .await
        .expect("written");
    assert!(files.remove("out").await.expect("removed"));
    let left: Vec<_> = std::fs::read_dir(&outside).expect("listed").collect();
    assert_eq!(left.len(), 1);
    assert_eq!(
        std::fs::read(outside.join("secret")).expect("read"),
        b"secret"
    );
}

#[tokio::test]
async fn deep_trees_meet_a_limit_and_not_the_stack() {
    let bench = bench().await;
    let files = tree(
        &bench,
        "d=deep; mkdir deep; i=0; while [ $i -lt 400 ]; do d=$d/x; i=$((i+1)); done; mkdir -p $d",
    )
    .await;
    for error in [
        files
            .copy("deep", "copy")
            .await
            .map(drop)
            .expect_err("too deep"),
        files
            .glob("**/nothing")
            .await
            .map(drop)
            .expect_err("too deep"),
        files.remove("deep").await.map(drop).expect_err("too deep"),
    ] {
        assert!(
            matches!(
                error,
                FileError::TooLarge {
                    limit_name: "tree_depth_max",
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_new_file_takes_its_place_when_it_is_whole_and_not_before() {
    let bench = bench().await;
    let files = tree(
        &bench,
        "printf old > f; chmod 640 f; mkdir dir; ln -s /etc out",
    )
    .await;
    let mut new = files.create("f").await.expect("begun");
    new.append(b"new").expect("written");
    assert_eq!(std::fs::read(bench.path("f")).expect("read"), b"old");
    new.finish(None).expect("finished");
    assert_eq!(std::fs::read(bench.path("f")).expect("read"), b"new");
    assert_eq!(mode(&bench.path("f")), 0o640, "as before");

    let mut deep = files.create("a/b/deep").await.expect("begun");
    deep.append(b"x").expect("written");
    deep.finish(Some(0o4750)).expect("finished");
    assert_eq!(mode(&bench.path("a/b/deep")), 0o4750);

    drop(files.create("a/b/given-up").await.expect("begun"));
    let over_a_directory = files.create("dir").await.expect("begun").finish(None);
    let error = over_a_directory.expect_err("a directory is in its place");
    assert_eq!(error.number(), 21, "{error}");
    let left = tree(
        &bench,
        "test $(ls -A a/b | wc -l) = 1 && test $(ls -A | grep -c toolpost) = 0",
    );
    left.await;
    for path in ["../evil", "out/evil", "/tmp/evil"] {
        let error = files.create(path).await.expect_err(path);
        assert!(
            matches!(error, FileError::Outside { .. }),
            "{path}: {error}"
        );
    }
}

#[tokio::test]
async fn only_what_is_no_directory_is_removed_as_a_file() {
    let bench = bench().await;
    let files = tree(&bench, "touch f; mkdir dir; ln -s dir link").await;
    for (path, expected) in [("f", 0), ("link", 0), ("dir", 21), ("none", 2)] {
        let removed = files.remove_file(path).await;
        let number = removed.map_or_else(|error| error.number(), |()| 0);
        assert_eq!(number, expected, "{path}");
    }
    assert!(bench.path("dir").is_dir());
}

#[tokio::test]
async fn an_archive_has_what_is_in_a_directory_and_nothing_from_elsewhere() {
    let bench = bench_with(|options| options.limits.copy_entries_max = 6).await;
    let script = "mkdir -p d/sub; printf text > d/sub/f; chmod 750 d/sub/f; ln -s /etc d/etc; \
        mkfifo d/pipe; mkdir many; touch many/1 many/2 many/3 many/4 many/5 many/6 many/7; ln -s /etc out";
    let files = tree(&bench, script).await;
    for gzip in [false, true] {
        let archive = bench.outside("archive.tar");
        let sink = std::fs::File::create(&archive).expect("a file");
        files.archive("d", gzip, sink).await.expect("archived");
        let list = format!("tar -tvf {} | sort -k 6", archive.display());
        let listed = bench.run(sh(&list)).await;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let names: Vec<&str> = listed
            .lines()
            .map(|line| line.split_whitespace().skip(5).collect::<Vec<_>>()[0])
            .collect();
        assert_eq!(names, ["etc", "sub", "sub/f"], "{listed}");
        assert!(
            listed.contains("-rwxr-x---") && listed.contains("etc -> /etc"),
            "{listed}"
        );
    }
    for path in ["out", "..", "/etc", "d/etc"] {
        let error = files
            .archive(path, false, std::io::sink())
            .await
            .expect_err(path);
        assert!(
            matches!(error, FileError::Outside { .. }),
            "{path}: {error}"
        );
    }
    let error = files
        .archive("many", false, std::io::sink())
        .await
        .expect_err("too many");
    assert!(error.to_string().contains("copy_entries_max"), "{error}");
}
