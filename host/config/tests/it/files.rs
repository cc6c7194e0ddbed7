//! Files on disk: the main one, `conf.d`, and those that cannot be read.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use toolpost_config::{CONFIG_FILE_BYTES_MAX, check, load};

use crate::catalog::catalog;

fn write(dir: &Path, name: &str, text: impl AsRef<[u8]>) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    fs::write(path, text).expect("written");
}

fn told(path: &Path, dir: &Path) -> String {
    let problems = load(path).expect_err("there are problems").to_string();
    problems.replace(&dir.display().to_string(), "DIR")
}

#[test]
fn further_files_are_read_in_the_order_of_their_names() {
    let dir = tempfile::tempdir().expect("a directory");
    let builder = |name: &str| format!("[[builder]]\nname = \"{name}\"\nworkers = [\"w\"]\n");
    write(
        dir.path(),
        "toolpost.toml",
        "[[worker]]\nname = \"w\"\nkind = \"local\"\n",
    );
    write(dir.path(), "conf.d/20-docs.toml", builder("docs"));
    write(dir.path(), "conf.d/10-unit.toml", builder("unit"));
    write(dir.path(), "conf.d/.30-hidden.toml", "not toml");
    write(dir.path(), "conf.d/40-note.txt", "not toml");
    for given in [dir.path().to_owned(), dir.path().join("toolpost.toml")] {
        let sources = load(given).expect("good files");
        let config = check(&sources, &catalog()).expect("a good configuration");
        assert_eq!(config.builders.keys().collect::<Vec<_>>(), ["docs", "unit"]);
        assert_eq!(config.master.plugin_dir, dir.path().join("plugins"));
    }
}

#[test]
fn two_files_that_name_one_builder() {
    let dir = tempfile::tempdir().expect("a directory");
    let builder = "[[builder]]\nname = \"unit\"\nworkers = [\"w\"]\n";
    write(
        dir.path(),
        "toolpost.toml",
        "[[worker]]\nname = \"w\"\nkind = \"local\"\n",
    );
    write(dir.path(), "conf.d/b.toml", builder);
    write(dir.path(), "conf.d/a.toml", builder);
    let sources = load(dir.path()).expect("good files");
    let problems = check(&sources, &catalog())
        .expect_err("one name twice")
        .to_string();
    assert_snapshot!(problems.replace(&dir.path().display().to_string(), "DIR"), @r#"
    error: two builders have the name `unit`
     --> DIR/conf.d/b.toml:2:8
      |
    2 | name = "unit"
      |        ^^^^^^
     --> DIR/conf.d/a.toml:2:8
      |
    2 | name = "unit"
      |        ------ the first is here
      = help: give one of them another name

    1 problem in the configuration
    "#);
}

#[test]
fn no_such_file() {
    let dir = tempfile::tempdir().expect("a directory");
    assert_snapshot!(told(&dir.path().join("nothing.toml"), dir.path()), @r#"
    error: cannot read DIR/nothing.toml: No such file or directory (os error 2)
     = help: name the configuration file, or a directory that has a toolpost.toml

    1 problem in the configuration
    "#);
    assert_snapshot!(told(dir.path(), dir.path()), @r#"
    error: cannot read DIR/toolpost.toml: No such file or directory (os error 2)
     = help: name the configuration file, or a directory that has a toolpost.toml

    1 problem in the configuration
    "#);
}

#[test]
fn a_directory_in_place_of_a_file() {
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), "toolpost.toml", "");
    fs::create_dir_all(dir.path().join("conf.d/x.toml")).expect("a directory");
    assert_snapshot!(told(dir.path(), dir.path()), @r#"
    error: cannot read DIR/conf.d/x.toml: Is a directory (os error 21)
     = help: make the file readable for the user that Toolpost runs as

    1 problem in the configuration
    "#);
}

#[test]
fn not_utf8() {
    let dir = tempfile::tempdir().expect("a directory");
    write(
        dir.path(),
        "toolpost.toml",
        b"[master]\ntitle = \"caf\xe9\"\n",
    );
    assert_snapshot!(told(dir.path(), dir.path()), @r#"
    error: this is not UTF-8 text
     --> DIR/toolpost.toml:2:13
      |
    2 | title = "caf�"
      |             ^
      = help: save the file as UTF-8

    1 problem in the configuration
    "#);
}

#[test]
fn far_too_large() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("toolpost.toml");
    let file = fs::File::create(&path).expect("a file");
    file.set_len(CONFIG_FILE_BYTES_MAX + 1)
        .expect("a sparse file");
    assert_snapshot!(told(&path, dir.path()), @r#"
    error: DIR/toolpost.toml is larger than 16 MiB
     = help: split it into several files in conf.d

    1 problem in the configuration
    "#);
    file.set_len(CONFIG_FILE_BYTES_MAX).expect("a sparse file");
    assert!(load(&path).is_ok());
}
