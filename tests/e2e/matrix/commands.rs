//! The step `shell`: how programs are called, what they read and say, how they end, and how they are ended.

use super::{Case, FAILURE, SUCCESS, WARNINGS, of};
use crate::far::Kind;
use crate::support::shell;

/// A program without a shell.
fn argv(words: &[&str]) -> String {
    format!("[[builder.step]]\nuse = \"shell\"\ncommand = {words:?}\n")
}

/// `shell`: how it is called, what it reads and says, how it ends.
pub(super) fn commands(kind: Kind) -> Vec<Case> {
    let case = Case::new;
    vec![
        case("exit-0", shell("echo fine"), SUCCESS, "'echo fine'")
            .says("\nfine\n")
            .says("\n in directory {dir}\n")
            .says("exit code 0 after"),
        case("exit-3", shell("exit 3"), FAILURE, "'exit 3' (failure)").says("exit code 3 after"),
        case(
            "exit-255",
            shell("exit 255"),
            FAILURE,
            "'exit 255' (failure)",
        )
        .says("exit code 255"),
        case(
            "decoded",
            shell("exit 4") + "decode_rc = { 4 = \"warnings\" }\n",
            WARNINGS,
            "'exit 4' (warnings)",
        ),
        case(
            "words",
            argv(&["printf", "<%s>", "a b", "$HOME", "é ✓"]),
            SUCCESS,
            "'printf <%s> a b $HOME é ✓'",
        )
        .says("<a b><$HOME><é ✓>"),
        case(
            "environment",
            shell("echo \"$A:${HOME-none}\"") + "env = { A = \"one two\", HOME = false }\n",
            SUCCESS,
            "'echo \"$A:${HOME-none}\"'",
        )
        .says("\none two:none\n"),
        case(
            "input",
            shell("cat") + "stdin = \"first\\nsecond é\\n\"\n",
            SUCCESS,
            "'cat'",
        )
        .says("\nfirst\nsecond é\n"),
        case(
            "no-input",
            shell("cat; echo empty"),
            SUCCESS,
            "'cat; echo empty'",
        )
        .says("\nempty\n"),
        case(
            "only-stdout",
            shell("echo shown; echo hid'den' >&2") + "want_stderr = false\n",
            SUCCESS,
            "'echo shown; echo hid'den' >&2'",
        )
        .says("\nshown\n")
        .hides("hidden"),
        case(
            "only-stderr",
            shell("echo hid'den'; echo shown >&2") + "want_stdout = false\n",
            SUCCESS,
            "'echo hid'den'; echo shown >&2'",
        )
        .says("\nshown\n")
        .hides("hidden"),
        case(
            "no-line-end",
            shell("printf 'the end'"),
            SUCCESS,
            "'printf 'the end''",
        )
        .says("\nthe end"),
        case(
            "log-files",
            shell("echo one > l; printf two >> l") + "logfiles = { mine = \"l\", none = \"n\" }\n",
            SUCCESS,
            "'echo one > l; printf two >> l'",
        )
        .says_in("mine", "one\ntwo")
        .says_in("none", ""),
        // A stock worker looks every two seconds.
        case(
            "log-files-meanwhile",
            shell("for i in $(seq 8); do echo $i >> m; sleep 0.5; done")
                + "timeout = \"3s\"\nlazy_logfiles = true\nlogfiles.mine.path = \"m\"\n",
            SUCCESS,
            "'for i in $(seq 8); do echo $i >> m; slee...'",
        )
        .says_in("mine", "1\n2\n3\n4\n5\n6\n7\n8\n"),
        case(
            "log-file-outside",
            shell("true") + "logfiles = { mine = \"../../x\" }\n",
            FAILURE,
            "its log file cannot be followed: path `build/../../x` leads out of the build's directory (absolute, by `..` or by a symbolic link) (failure)",
        ),
        case("many-lines", shell("seq 20000"), SUCCESS, "'seq 20000'").says("\n19999\n20000\n"),
        case(
            "elsewhere",
            shell("pwd") + "workdir = \"build/sub/deep\"\n",
            SUCCESS,
            "'pwd'",
        )
        .says("\n{dir}/sub/deep\n"),
        case(
            "nowhere",
            shell("pwd") + "workdir = \"build/data/x\"\n",
            FAILURE,
            of(
                kind,
                "the command cannot be run: the worker says: [Failure instance: Traceback: \
                 <class 'NotADirectoryError'>: [Errno 20] Not a directory: '{dir}/data/x' (failure)",
                "'pwd' (failure)",
            ),
        ),
        case(
            "not-found",
            argv(&["no-such-program"]),
            FAILURE,
            "'no-such-program' (failure)",
        )
        .says(of(
            kind,
            "No such file or directory",
            "`no-such-program` was not found in PATH",
        )),
        case(
            "not-found-by-shell",
            shell("no-such-program"),
            FAILURE,
            "'no-such-program' (failure)",
        )
        .says("exit code 127"),
        case(
            "not-executable",
            argv(&["./data"]),
            FAILURE,
            "'./data' (failure)",
        )
        .says(of(kind, "Permission denied", "(chmod +x may help)")),
        case(
            "killed",
            shell("kill -9 $$"),
            FAILURE,
            "'kill -9 $$': killed by SIGKILL (signal 9) (failure)",
        )
        .says("killed by SIGKILL (signal 9) after"),
        case(
            "terminated",
            shell("kill $$"),
            FAILURE,
            "'kill $$': killed by SIGTERM (signal 15) (failure)",
        ),
    ]
}

/// `shell` and its limits.
pub(super) fn limits() -> Vec<Case> {
    let case = Case::new;
    vec![
        case(
            "quiet",
            shell("echo one; sleep 300") + "timeout = \"1s\"\n",
            FAILURE,
            "'echo one; sleep 300' (failure) (timed out)",
        )
        .says("\none\n")
        .says("no output for 1 s"),
        case(
            "not-quiet",
            shell("for i in 1 2 3; do sleep 0.5; echo $i; done") + "timeout = \"1s\"\n",
            SUCCESS,
            "'for i in 1 2 3; do sleep 0.5; echo $i; d...'",
        ),
        case(
            "slow",
            shell("while :; do echo x; sleep 0.1; done") + "max_time = \"1s\"\n",
            FAILURE,
            "'while :; do echo x; sleep 0.1; done' (failure) (timed out)",
        )
        .says("\nx\nx\n")
        .says("it ran for 1 s"),
        case(
            "polite",
            shell("trap 'echo asked; exit 7' TERM; while :; do sleep 0.1; done")
                + "max_time = \"1s\"\n",
            FAILURE,
            "'trap 'echo asked; exit 7' TERM; while :;...' (failure) (timed out)",
        )
        .says("\nasked\n")
        .says("exit code 7"),
        case(
            "stubborn",
            shell("trap '' TERM; while :; do sleep 0.1; done")
                + "timeout = \"1s\"\ninterrupt_grace = \"1s\"\n",
            FAILURE,
            "'trap '' TERM; while :; do sleep 0.1; don...' (failure) (timed out)",
        )
        .says("SIGKILL (signal 9)"),
        case(
            "talkative",
            shell("seq 100; sleep 300") + "max_lines = 50\n",
            FAILURE,
            "'seq 100; sleep 300' (failure) (too much output)",
        )
        .says("stopped: it wrote more than 50 lines"),
        case(
            "not-talkative",
            shell("seq 50") + "max_lines = 50\n",
            SUCCESS,
            "'seq 50'",
        )
        .says("\n50\n"),
        case(
            "no-grace",
            shell("trap 'echo asked' TERM; while :; do sleep 0.1; done")
                + "timeout = \"1s\"\ninterrupt_grace = 0\n",
            FAILURE,
            "'trap 'echo asked' TERM; while :; do slee...' (failure) (timed out)",
        )
        .says("SIGKILL (signal 9)")
        .hides("\nasked\n"),
    ]
}
