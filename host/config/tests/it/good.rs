//! What a good configuration becomes.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use insta::assert_debug_snapshot;
use toolpost_config::{Config, MasterConfig, SchedulerKind, Sources, WorkerKind, check, load};
use toolpost_core::collapse::CollapsePolicy;
use toolpost_core::step::When;

use crate::catalog::{AnyStepType, BASE, catalog, examples, good};

#[test]
fn nothing_but_defaults() {
    let sources = Sources::from_texts("", [("toolpost.toml", "")]);
    let config = check(&sources, &catalog()).expect("an empty file is good");
    assert_eq!(config, Config::default());
    assert_eq!(*config.master, MasterConfig::default());
}

#[test]
fn relative_paths_start_at_the_configuration() {
    let config = good("[master]\ndatabase_url = \"sqlite:db\"\nplugin_dir = \"/srv/plugins\"\n");
    assert_eq!(config.master.database_url, "sqlite:/farm/db");
    assert_eq!(config.master.plugin_dir, Path::new("/srv/plugins"));
    let expected = WorkerKind::Local {
        base_dir: "/farm/workers/w".into(),
    };
    assert_eq!(config.workers["w"].kind, expected);
    let poller =
        good("[[changes]]\nuse = \"git-poller\"\nrepository = \"./a.git\"\nbranches = \"all\"\n");
    let toolpost_config::ChangeSourceKind::GitPoller(poller) =
        &poller.change_sources["./a.git"].kind;
    assert_eq!(Path::new(&poller.repository), Path::new("/farm/a.git"));
}

#[test]
fn an_address_gives_the_url() {
    let url = |text: &str| good(&format!("[master]\n{text}\n")).master.url.clone();
    assert_eq!(url("listen = 9000"), "http://127.0.0.1:9000/");
    assert_eq!(url("listen = \"0.0.0.0:9000\""), "http://localhost:9000/");
    assert_eq!(url("listen = \"[::1]:9000\""), "http://[::1]:9000/");
    assert_eq!(
        url("url = \"https://ci.example.org/x\""),
        "https://ci.example.org/x/"
    );
}

#[test]
fn durations_and_sizes() {
    let config =
        good("[master]\ndrain_timeout = \"1h30m\"\nlimits = { log_line_size_max = \"64 KiB\" }");
    assert_eq!(config.master.drain_timeout, Duration::from_secs(5400));
    assert_eq!(config.master.limits.log_line_bytes_max, 64 << 10);
    assert_eq!(
        good("[master]\ndrain_timeout = 7").master.drain_timeout,
        Duration::from_secs(7)
    );
}

#[test]
fn a_whole_builder() {
    let config = good(
        r#"
[[builder]]
name = "unit test / linux"
workers = ["w"]
tags = ["fast"]
env = { CI = "1", LANG = false }
properties = { jobs = 4, targets = ["a", "b"] }
locks = ["disk"]
max_builds = 2
collapse_requests = false

[[builder.step]]
use = "shell"
name = "compile"
command = ["make", "-j{{ prop.jobs }}"]
timeout_s = 60
halt_on_failure = true
do_step_if = "prop.jobs > 1"
hide_step_if = true
decode_rc = { 0 = "success", 77 = "skipped" }
"#,
    );
    assert_eq!(
        config.builders["unit test / linux"].collapse,
        CollapsePolicy::Never
    );
    let step = &config.builders["unit test / linux"].steps[0];
    assert_eq!(step.options.hide_step_if, When::Fixed(true));
    assert_debug_snapshot!(config.builders["unit test / linux"], @r#"
    BuilderConfig {
        name: "unit test / linux",
        description: None,
        project: None,
        tags: [
            "fast",
        ],
        workers: [
            "w",
        ],
        env: {
            "CI": Set(
                "1",
            ),
            "LANG": Unset,
        },
        properties: {
            "jobs": Number(4),
            "targets": Array [
                String("a"),
                String("b"),
            ],
        },
        default_properties: {},
        locks: [
            LockAccess {
                lock: "disk",
                mode: Counting {
                    count: 1,
                },
            },
        ],
        max_builds: Some(
            2,
        ),
        collapse: Never,
        build_dir: "unit_test___linux",
        workdir: "build",
        steps: [
            StepConfig {
                step_type: "shell",
                options: StepOptions {
                    name: Some(
                        "compile",
                    ),
                    halt_on_failure: Some(
                        true,
                    ),
                    flunk_on_failure: None,
                    flunk_on_warnings: None,
                    warn_on_failure: None,
                    warn_on_warnings: None,
                    always_run: None,
                    update_build_summary_policy: Automatic,
                    do_step_if: Expression(
                        "prop.jobs > 1",
                    ),
                    hide_step_if: Fixed(
                        true,
                    ),
                    locks: [],
                    description: None,
                    description_done: None,
                    description_suffix: None,
                    on_failure: Fail,
                    command_timeout: None,
                    command_max_time: None,
                    decode_rc: Some(
                        {
                            0: Success,
                            77: Skipped,
                        },
                    ),
                    log_encoding: None,
                    workdir: None,
                },
                parameters: {
                    "command": Array [
                        String("make"),
                        String("-j{{ prop.jobs }}"),
                    ],
                    "timeout_s": Number(60),
                },
            },
        ],
    }
    "#);
}

#[test]
fn a_filter_and_its_short_forms() {
    let scheduler = |text: &str| {
        let config = good(&format!(
            "[[scheduler]]\nname = \"s\"\nuse = \"single-branch\"\nbuilders = [\"b\"]\n{text}\n"
        ));
        match &config.schedulers["s"].kind {
            SchedulerKind::SingleBranch(single) => single.as_ref().clone(),
            other => panic!("a single-branch scheduler, not {other:?}"),
        }
    };
    assert_eq!(
        scheduler("branch = \"main\""),
        scheduler("branches = [\"main\"]")
    );
    assert_eq!(
        scheduler("branch = \"main\""),
        scheduler("change_filter = { branch = { is = \"main\" } }")
    );
    let files =
        scheduler("important_files = [\"src/**\"]\nunimportant_files = [\"**/*.md\"]").files;
    assert!(files.is_important(["docs/a.md", "src/a/b.rs"]));
    assert!(!files.is_important(["src/a/README.md"]));
    assert!(!files.is_important(["docs/a.rs"]));
    assert!(files.is_important(std::iter::empty::<&str>()));
    assert_debug_snapshot!(
        scheduler("change_filter = { branch = \"\", files = { not_regex = \"docs/\" }, properties.owner = \"jo\" }")
            .change_filter,
        @r#"
        ChangeFilter {
            branch: Conditions {
                eq: Some(
                    [
                        None,
                    ],
                ),
                not_eq: None,
                re: None,
                not_re: None,
            },
            repository: Conditions {
                eq: None,
                not_eq: None,
                re: None,
                not_re: None,
            },
            project: Conditions {
                eq: None,
                not_eq: None,
                re: None,
                not_re: None,
            },
            category: Conditions {
                eq: None,
                not_eq: None,
                re: None,
                not_re: None,
            },
            codebase: Conditions {
                eq: None,
                not_eq: None,
                re: None,
                not_re: None,
            },
            files: Conditions {
                eq: None,
                not_eq: None,
                re: None,
                not_re: Some(
                    [
                        Pattern(
                            Regex(
                                "docs/",
                            ),
                        ),
                    ],
                ),
            },
            properties: {
                "owner": Conditions {
                    eq: Some(
                        [
                            Some(
                                "jo",
                            ),
                        ],
                    ),
                    not_eq: None,
                    re: None,
                    not_re: None,
                },
            },
        }
        "#
    );
}

#[test]
fn branches_that_are_followed() {
    let config = good(
        "[[changes]]\nuse = \"git-poller\"\nrepository = \"x\"\nbranches = [\"main\", \"release/*\", \"user/**\"]",
    );
    let toolpost_config::ChangeSourceKind::GitPoller(poller) = &config.change_sources["x"].kind;
    let followed = ["main", "main2", "release/1", "release/1/fix", "user/jo/fix"]
        .map(|branch| (branch, poller.branches.contains(branch)));
    assert_eq!(
        followed,
        [
            ("main", true),
            ("main2", false),
            ("release/1", true),
            ("release/1/fix", false),
            ("user/jo/fix", true)
        ]
    );
}

#[test]
fn a_form() {
    let config = good(
        r#"
[[scheduler]]
name = "by-hand"
use = "force"
builders = ["b"]
reason = { required = true }
codebases = [{ codebase = "app", branch = "main", revision = { hidden = true }, patch = { label = "Try it", max_size = "64KiB" } }]

[[scheduler.parameters]]
type = "choice"
name = "channel"
choices = ["beta", "stable"]

[[scheduler.parameters]]
type = "nested"
name = "options"
fields = [{ type = "int", name = "jobs", min = 1, default = 4 }]
"#,
    );
    assert_debug_snapshot!(config.schedulers["by-hand"].kind, @r#"
    Force(
        ForceConfig {
            label: "by-hand",
            button: "by-hand",
            reason: ForceField {
                label: "Reason",
                default: "",
                choices: [],
                required: true,
                hidden: false,
            },
            username: ForceField {
                label: "Your name",
                default: "",
                choices: [],
                required: false,
                hidden: false,
            },
            codebases: [
                ForceCodebase {
                    codebase: "app",
                    branch: ForceField {
                        label: "Branch",
                        default: "main",
                        choices: [],
                        required: false,
                        hidden: false,
                    },
                    revision: ForceField {
                        label: "Revision",
                        default: "",
                        choices: [],
                        required: false,
                        hidden: true,
                    },
                    repository: ForceField {
                        label: "Repository",
                        default: "",
                        choices: [],
                        required: false,
                        hidden: false,
                    },
                    project: ForceField {
                        label: "Project",
                        default: "",
                        choices: [],
                        required: false,
                        hidden: false,
                    },
                    patch: Some(
                        ForcePatch {
                            label: "Try it",
                            required: false,
                            bytes_max: 65536,
                            level: 1,
                            author: ForceField {
                                label: "author",
                                default: "",
                                choices: [],
                                required: false,
                                hidden: false,
                            },
                            comment: ForceField {
                                label: "comment",
                                default: "",
                                choices: [],
                                required: false,
                                hidden: false,
                            },
                            subdir: ForceField {
                                label: "subdir",
                                default: ".",
                                choices: [],
                                required: false,
                                hidden: false,
                            },
                        },
                    ),
                },
            ],
            parameters: [
                ForceParameter {
                    name: "channel",
                    label: "channel",
                    tab_label: "channel",
                    tooltip: None,
                    required: false,
                    hidden: false,
                    default: String("beta"),
                    kind: Choice {
                        choices: [
                            "beta",
                            "stable",
                        ],
                        multiple: false,
                        strict: true,
                    },
                },
                ForceParameter {
                    name: "options",
                    label: "options",
                    tab_label: "options",
                    tooltip: None,
                    required: false,
                    hidden: false,
                    default: Null,
                    kind: Nested {
                        fields: [
                            ForceParameter {
                                name: "jobs",
                                label: "jobs",
                                tab_label: "jobs",
                                tooltip: None,
                                required: false,
                                hidden: false,
                                default: Number(4),
                                kind: Int {
                                    min: Some(
                                        1,
                                    ),
                                    max: None,
                                },
                            },
                        ],
                        layout: Vertical,
                        columns: None,
                    },
                },
            ],
        },
    )
    "#);
}

#[test]
fn uses_of_a_step_type() {
    let config = good(
        r#"
[[builder]]
name = "c"
workers = ["w"]
step = [{ use = "git", repository = "x" }, { use = "shell", command = "a" }, { use = "shell", command = "b" }]
"#,
    );
    let uses: Vec<_> = config
        .uses_of("shell")
        .map(|place| (place.builder.name.as_str(), place.index))
        .collect();
    assert_eq!(uses, [("c", 1), ("c", 2)]);
    assert_eq!(config.uses_of("test-summary").count(), 0);
}

#[test]
fn equal_texts_are_equal_configurations() {
    let spaced = BASE.replace('\n', "\n\n# comment\n");
    let one = Sources::from_texts("/farm", [("a.toml", BASE)]);
    let two = Sources::from_texts("/farm", [("b.toml", spaced)]);
    assert_eq!(check(&one, &catalog()), check(&two, &catalog()));
}

#[test]
fn a_thousand_builders() {
    let mut text = String::new();
    for number in 0..1000 {
        let _ = write!(
            text,
            r#"
[[builder]]
name = "builder-{number}"
workers = ["w"]
env = {{ CI = "1", JOB = "{{{{ prop.job }}}}" }}

[[builder.step]]
use = "git"
repository = "https://example.org/{number}.git"
mode = "incremental"

[[builder.step]]
use = "shell"
command = ["make", "check", "N={{{{ build.number }}}}"]
timeout_s = 600

[[builder.step]]
use = "test-summary"
source = {{ kind = "file", path = "report-{number}.xml" }}
"#
        );
    }
    let config = good(&text);
    assert_eq!(config.builders.len(), 1001);
    assert_eq!(config.steps().count(), 3000);
}

#[test]
fn the_examples_are_good_apart_from_step_parameters() {
    for path in examples() {
        let sources = load(&path).unwrap_or_else(|problems| panic!("{problems}"));
        check(&sources, &AnyStepType).unwrap_or_else(|problems| panic!("{problems}"));
    }
}
