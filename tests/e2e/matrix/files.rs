//! Files, on their way and where they are: the commands of the protocol by the steps that use them.

use serde_json::{Value, json};

use super::{Case, EXCEPTION, FAILURE, SUCCESS, WARNINGS, of};
use crate::far::Kind;
use crate::steps::script;
use crate::support::{Repository, shell};

/// A step of this type with these parameters, as TOML.
fn step(step_type: &str, parameters: &str) -> String {
    format!("[[builder.step]]\nuse = {step_type:?}\n{parameters}\n")
}

/// A step of a plugin that does these things with files.
fn files(work: &Value) -> String {
    script("", &json!([{"do": "files", "work": work}]))
}

/// What is there before files are moved.
const PREPARE: &str = "printf 'hello\\n' > 'a file é.txt'; : > empty; echo old > data; \
    head -c 3000000 /dev/zero > big; head -c 5000000 /dev/zero > huge; \
    mkdir -p tree/a/b locked; echo leaf > tree/a/leaf; echo deep > tree/a/b/deep; \
    ln -s leaf tree/a/link; ln -s nowhere tree/gone; ln -s /etc/passwd tree/out; \
    echo no > unreadable; echo no > locked/file; chmod 0 unreadable locked";

/// `uploadFile`, and `stat` before it.
pub(super) fn uploads(kind: Kind) -> Vec<Case> {
    let case = Case::new;
    let up = |source: &str| step("file-upload", &format!("source = {source:?}"));
    vec![
        case(
            "prepare",
            shell(PREPARE),
            SUCCESS,
            "'printf 'hello\\n' > 'a file é.txt'; : > e...'",
        ),
        case(
            "up",
            up("a file é.txt"),
            SUCCESS,
            "uploaded a file é.txt (6 bytes)",
        ),
        case("up-empty", up("empty"), SUCCESS, "uploaded empty (0 bytes)"),
        case(
            "up-pieces",
            up("big"),
            SUCCESS,
            "uploaded big (3000000 bytes)",
        ),
        case(
            "up-too-large",
            up("huge"),
            FAILURE,
            "a file that is uploaded has at most 4194304 bytes (failure)",
        ),
        case(
            "up-missing",
            up("no/such"),
            FAILURE,
            "`build/no/such` does not exist on the worker (failure)",
        ),
        case(
            "up-directory",
            up("tree"),
            FAILURE,
            "`build/tree` is not a file (failure)",
        ),
        case(
            "up-outside",
            up("../../x"),
            FAILURE,
            "path `build/../../x` leads out of the build's directory (absolute, by `..` or by a symbolic link) (failure)",
        ),
        case(
            "up-absolute",
            up("/etc/passwd"),
            FAILURE,
            "path `/etc/passwd` leads out of the build's directory (absolute, by `..` or by a symbolic link) (failure)",
        ),
        case(
            "up-denied",
            up("unreadable"),
            FAILURE,
            of(
                kind,
                "cannot read `build/unreadable`: Cannot open file '{dir}/unreadable' for upload (failure)",
                "cannot read `build/unreadable`: {dir}/unreadable: cannot open `unit/build/unreadable`: Permission denied (os error 13) (failure)",
            ),
        ),
    ]
}

/// A directory that is uploaded: `uploadDirectory` of a stock worker, or `listdir`, and then as each file.
pub(super) fn directories(kind: Kind) -> Vec<Case> {
    let case = Case::new;
    let up = |source: &str| step("directory-upload", &format!("source = {source:?}"));
    vec![
        case(
            "up-tree",
            up("tree"),
            WARNINGS,
            // Where links lead is the affair of the worker.
            of(
                kind,
                "uploaded 4 files, left out gone (warnings)",
                "uploaded 3 files, left out gone, out (warnings)",
            ),
        ),
        case(
            "up-no-tree",
            up("none"),
            FAILURE,
            "`build/none` does not exist on the worker (failure)",
        ),
        case(
            "up-file-as-tree",
            up("data"),
            FAILURE,
            "`build/data` is not a directory (failure)",
        ),
        case(
            "up-tree-denied",
            up("locked"),
            FAILURE,
            of(
                kind,
                "cannot read `build/locked`: Cannot read directory '{dir}/locked' for upload: [Errno 13] Permission denied: '{dir}/locked' (failure)",
                "cannot list `build/locked`: listdir: cannot open directory `unit/build/locked`: Permission denied (os error 13) (failure)",
            ),
        ),
        case(
            "up-tree-outside",
            step("directory-upload", "source = \"../..\"\nartifact = \"x\""),
            FAILURE,
            "path `build/../..` leads out of the build's directory (absolute, by `..` or by a symbolic link) (failure)",
        ),
    ]
}

/// `downloadFile`, and `mkdir` before it.
pub(super) fn downloads(kind: Kind) -> Vec<Case> {
    let case = Case::new;
    let down = |artifact: &str, to: &str| {
        let parameters = format!("artifact = {artifact:?}\ndestination = {to:?}");
        step("file-download", &parameters)
    };
    vec![
        case(
            "down",
            down("big", "new/dir/big"),
            SUCCESS,
            "downloaded big (3000000 bytes)",
        ),
        case(
            "down-same",
            shell("cmp big new/dir/big"),
            SUCCESS,
            "'cmp big new/dir/big'",
        ),
        case(
            "down-replaces",
            down("empty", "data"),
            SUCCESS,
            "downloaded empty (0 bytes)",
        ),
        case(
            "down-replaced",
            shell("test ! -s data"),
            SUCCESS,
            "'test ! -s data'",
        ),
        case(
            "down-on-directory",
            down("empty", "tree"),
            FAILURE,
            "`build/tree` is a directory on the worker (failure)",
        ),
        case(
            "down-spared",
            shell("cat tree/a/leaf"),
            SUCCESS,
            "'cat tree/a/leaf'",
        )
        .says("\nleaf\n"),
        case(
            "down-below-file",
            down("empty", "data/x"),
            FAILURE,
            of(
                kind,
                "cannot make `build/data`: mkdir: File exists: {dir}/data (failure)",
                "`build/data` is not a directory (failure)",
            ),
        ),
        case(
            "down-nothing",
            down("none", "x"),
            FAILURE,
            "there is no artifact `none` (failure)",
        ),
        case(
            "down-denied",
            down("empty", "locked/x"),
            FAILURE,
            of(
                kind,
                "cannot look at `build/locked/x`: stat: Permission denied: {dir}/locked/x (failure)",
                "cannot look at `build/locked/x`: stat: cannot open `unit/build/locked/x`: Permission denied (os error 13) (failure)",
            ),
        ),
        case(
            "down-outside",
            down("empty", "../../x"),
            FAILURE,
            "path `build/../../x` leads out of the build's directory (absolute, by `..` or by a symbolic link) (failure)",
        ),
    ]
}

/// Steps that look at files, make them and take them away: `stat`, `mkdir`, `cpdir`, `rmfile`, `rmdir`, `glob`.
pub(super) fn on_disk(kind: Kind) -> Vec<Case> {
    let case = Case::new;
    let outside = "path `build/../../x` leads out of the build's directory (absolute, by `..` or by a symbolic link) (failure)";
    vec![
        case(
            "make",
            step("make-directory", "path = \"steps/a/b\""),
            SUCCESS,
            "made steps/a/b",
        ),
        case(
            "write",
            step(
                "string-download",
                "content = \"one\\ntwo é\\n\"\ndestination = \"steps/new/text\"\nmode = \"0640\"",
            ),
            SUCCESS,
            "wrote steps/new/text (11 bytes)",
        ),
        case(
            "write-json",
            step(
                "json-string-download",
                "value = { a = [1, \"x\"] }\ndestination = \"steps/new/json\"",
            ),
            SUCCESS,
            "wrote steps/new/json (13 bytes)",
        ),
        case(
            "write-properties",
            step(
                "json-properties-download",
                "destination = \"steps/properties\"\ndescription_done = \"written\"",
            ),
            SUCCESS,
            "written",
        ),
        case(
            "written",
            shell("cd steps; cat new/*; stat -c %a new/text; grep -c '\"buildername\":\"unit\"' properties"),
            SUCCESS,
            "'cd steps; cat new/*; stat -c %a new/text...'",
        )
        .says("{\"a\":[1,\"x\"]}one\ntwo é\n640\n1\n"),
        case(
            "write-outside",
            step("string-download", "content = \"\"\ndestination = \"../../x\""),
            FAILURE,
            "path `build/../..` leads out of the build's directory (absolute, by `..` or by a symbolic link) (failure)",
        ),
        case(
            "exists",
            step("file-exists", "path = \"steps/new/text\""),
            SUCCESS,
            "steps/new/text is there",
        ),
        case(
            "exists-directory",
            step("file-exists", "path = \"steps\""),
            FAILURE,
            "steps is not a file (failure)",
        ),
        case(
            "exists-not",
            step("file-exists", "path = \"none\""),
            FAILURE,
            "none is not there (failure)",
        ),
        case(
            "copy-tree",
            step("copy", "source = \"tree/a\"\ndestination = \"steps/copied/here\""),
            SUCCESS,
            "copied tree/a to steps/copied/here",
        ),
        case(
            "copy-missing",
            step("copy", "source = \"none\"\ndestination = \"steps/x\""),
            FAILURE,
            "`build/none` does not exist on the worker (failure)",
        ),
        case(
            "copied-tree",
            shell("cat steps/copied/here/b/deep"),
            SUCCESS,
            "'cat steps/copied/here/b/deep'",
        )
        .says("\ndeep\n"),
        case(
            "up-many",
            step(
                "multiple-file-upload",
                "sources = [\"steps/new/*\", \"steps/copied\", \"empty\"]\nartifact = \"all\"",
            ),
            SUCCESS,
            "uploaded 6 files",
        ),
        case(
            "up-none",
            step("multiple-file-upload", "sources = \"*.none\""),
            FAILURE,
            "nothing on the worker fits `*.none` (failure)",
        ),
        case(
            "up-twice",
            step("multiple-file-upload", "sources = [\"empty\", \"./empty\"]"),
            FAILURE,
            "two of the sources would be the artifact `empty` (failure)",
        ),
        case(
            "remove-file",
            step("remove", "path = \"steps/new/text\""),
            SUCCESS,
            "removed steps/new/text",
        ),
        case(
            "remove-tree",
            step("remove", "path = \"steps/copied\""),
            SUCCESS,
            "removed steps/copied",
        ),
        case(
            "remove-nothing",
            step("remove", "path = \"steps/copied\""),
            SUCCESS,
            "steps/copied was not there",
        ),
        case(
            "lock-directory",
            shell("chmod 500 steps/new"),
            SUCCESS,
            "'chmod 500 steps/new'",
        ),
        case(
            "remove-file-denied",
            step("remove", "path = \"steps/new/json\""),
            FAILURE,
            of(
                kind,
                "cannot remove `build/steps/new/json`: rmfile: Permission denied: {dir}/steps/new/json (failure)",
                "cannot remove `build/steps/new/json`: rmfile: cannot remove `unit/build/steps/new/json`: Permission denied (os error 13) (failure)",
            ),
        ),
        case(
            "remove-above",
            step("remove", "path = \"../../x\""),
            FAILURE,
            outside,
        ),
    ]
}

/// What plugins do with files: `stat`, `mkdir`, `rmdir`, `glob`, and parts of files.
pub(super) fn by_plugins(kind: Kind) -> Vec<Case> {
    let case = Case::new;
    let bad = |name, work: Value, text: &str| {
        let state = format!("{text} (exception)");
        Case::new(name, files(&work), EXCEPTION, &state)
    };
    vec![
        case(
            "files",
            files(&json!([
                {"stat": "a file é.txt"}, {"stat": "tree"}, {"mkdir": "made/of/many"}, {"mkdir": "made"},
                {"write": ["made/new", "one\n"]}, {"append": ["made/new", "two\n"]}, {"read": "made/new"},
                {"glob": "tree/a/*"}, {"glob": "tree/**/*e*"}, {"glob": "{made,none}/n?w"}, {"glob": "x*"},
                {"remove": "made/new"}, {"remove": "made/of/many"}, {"remove-all": "made"},
            ])),
            SUCCESS,
            "done",
        )
        .says_in("files", "a file é.txt is a File of 6 bytes\ntree is a Directory of 0 bytes\n")
        .says_in("files", "made/of/many is made\nmade is made\n")
        .says_in("files", "made/new is longer\nmade/new holds \"one\\ntwo\\n\"\n")
        .says_in("files", "tree/a/* is [\"tree/a/b\", \"tree/a/leaf\", \"tree/a/link\"]\n")
        .says_in("files", "tree/**/*e* is [\"tree/a/b/deep\", \"tree/a/leaf\", \"tree/gone\"]\n")
        .says_in("files", "{made,none}/n?w is [\"made/new\"]\nx* is []\n")
        .says_in("files", "made/of/many is removed\nmade is removed with all in it\n"),
        bad("stat-missing", json!([{"stat": "none"}]), "could not look at `none`: it does not exist"),
        bad("stat-below-file", json!([{"stat": "data/x"}]), "could not look at `data/x`: it does not exist"),
        bad(
            "stat-denied",
            json!([{"stat": "locked/file"}]),
            "could not look at `locked/file`: the worker's system does not allow it",
        ),
        bad(
            "stat-outside",
            json!([{"stat": "../../x"}]),
            "could not look at `../../x`: it is outside the directory of the build",
        ),
        bad(
            "mkdir-on-file",
            json!([{"mkdir": "data"}]),
            of(
                kind,
                "could not make `data`: cannot make `build/data`: mkdir: File exists: {dir}/data",
                "could not make `data`: it is not of the right kind (file, directory)",
            ),
        ),
        bad(
            "mkdir-denied",
            json!([{"mkdir": "locked/x"}]),
            "could not make `locked/x`: the worker's system does not allow it",
        ),
        bad(
            "remove-full",
            json!([{"remove": "tree"}]),
            "could not remove `tree`: the directory is not empty",
        ),
        bad("remove-missing", json!([{"remove-all": "none"}]), "could not remove `none`: it does not exist"),
        bad(
            "remove-denied",
            json!([{"remove": "locked/file"}]),
            "could not remove `locked/file`: the worker's system does not allow it",
        ),
        bad(
            "remove-outside",
            json!([{"remove-all": "../.."}]),
            "could not remove `../..`: it is outside the directory of the build",
        ),
        bad(
            "glob-outside",
            json!([{"glob": "../*"}]),
            "could not list `../*`: it is outside the directory of the build",
        ),
        bad("read-missing", json!([{"read": "none"}]), "could not read `none`: it does not exist"),
        bad(
            "read-directory",
            json!([{"read": "tree"}]),
            "could not read `tree`: it is not of the right kind (file, directory)",
        ),
        bad("read-too-large", json!([{"read": "big"}]), "`big` has more than 64 bytes"),
        bad(
            "write-on-directory",
            json!([{"write": ["tree", "x"]}]),
            of(
                kind,
                "could not write `tree`: cannot write `build/tree`: Cannot open file '{dir}/tree' for download",
                "could not write `tree`: it is not of the right kind (file, directory)",
            ),
        ),
        bad(
            "write-denied",
            json!([{"write": ["locked/file", "x"]}]),
            of(
                kind,
                "could not write `locked/file`: cannot write `build/locked/file`: Cannot open file '{dir}/locked/file' for download",
                "could not write `locked/file`: the worker's system does not allow it",
            ),
        ),
    ]
}

/// `cpdir` and `rmdir`: a working directory that is made anew.
pub(super) fn copies(kind: Kind, repository: &Repository, revision: &str) -> Vec<Case> {
    let case = |name, step: String, state: &str| Case::new(name, step, SUCCESS, state);
    let parameters = format!(
        "repository = {:?}\nmode = \"full\"\nmethod = \"copy\"",
        repository.path()
    );
    let copy = || step("git", &parameters);
    let checked_out = format!("checked out {}", &revision[..10]);
    let (lock, unlock) = ("chmod 0 ../source/.git/*n", "chmod 644 ../source/.git/*n");
    vec![
        case("copy", copy(), &checked_out),
        case("copied", shell("cat *; ls -A"), "'cat *; ls -A'").says("\nhello\n.git\nhello.txt\n"),
        case("lock", shell(lock), &format!("'{lock}'")),
        Case::new(
            "copy-denied",
            copy(),
            FAILURE,
            of(
                kind,
                "cannot copy `source`: cp: cannot open '{dir}/../source/./.git/description' for reading: Permission denied (failure)",
                "cannot copy `source`: cpdir: cannot copy `unit/source: description`: Permission denied (os error 13) (failure)",
            ),
        ),
        case("unlock", shell(unlock), &format!("'{unlock}'")),
    ]
}
