//! A hostile plugin ends within its limits and delays nobody.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use toolpost_harness::{Api, eventually};
use toolpost_hostile::{Export, Lures, MISDEEDS, Setting};

use crate::support::{config, farm, hostile, shell};

/// What a plugin prints in many encodings.
const TOKEN: &str = "tok/en+'with \"odd\" & long-enough-0123456789";

/// What it and its encodings have in common with nothing else.
fn traces() -> [String; 5] {
    let hex = TOKEN.bytes().map(|byte| format!("{byte:02x}")).collect();
    // Of its Base64, the same in each alignment but for where it starts.
    [
        TOKEN.into(),
        hex,
        "d2l0aCAib2RkIi".into(),
        "l0aCAib2RkIiAm".into(),
        "aXRoICJvZGQiIC".into(),
    ]
}

/// Hostile plugins that are texts of their own, with a part of the reason that people are told.
const TEXTS: [(&str, &str); 4] = [
    ("zero-timeout-polling", "computed for"),
    ("handle-hoard", "handles of host resources"),
    ("command-flood", "commands running at one time"),
    ("step-log-flood", "bytes appended to step logs"),
];

/// A plugin whose step misbehaves.
struct Offender {
    name: String,
    /// A part of what people are told; nothing where the step succeeds.
    reason: &'static str,
    setting: Setting,
}

/// All of them that need no name server which lies.
fn offenders(lures: &Lures) -> Vec<Offender> {
    let steps = MISDEEDS.iter().filter(|misdeed| {
        misdeed.exports().any(|export| export == Export::Run) && !misdeed.needs_lies()
    });
    let made = steps.map(|misdeed| Offender {
        name: misdeed.plugin_name(Export::Run),
        reason: match misdeed.word {
            // An exchange may take a minute; the call has less here.
            "http-slow-drip" => "wall-clock limit",
            _ => misdeed.reason,
        },
        setting: misdeed.setting(lures),
    });
    let texts = TEXTS.map(|(name, reason)| Offender {
        name: name.to_owned(),
        reason,
        setting: Setting::default(),
    });
    made.chain(texts).collect()
}

/// A step of the hostile plugin, whose step type has its name.
fn step(plugin: &str) -> String {
    format!("[[builder.step]]\nuse = \"{plugin}\"\n")
}

/// The 99th percentile of a few hundred quick requests.
async fn p99(api: &Api, requests: usize) -> Duration {
    let mut taken = Vec::with_capacity(requests);
    for _ in 0..requests {
        let asked = Instant::now();
        api.get("builders").await;
        taken.push(asked.elapsed());
    }
    taken.sort_unstable();
    taken[requests * 99 / 100]
}

#[tokio::test]
async fn hostile_steps_end_with_their_reason_while_others_go_on() {
    let lures = Lures::open().unwrap();
    let offenders = offenders(&lures);
    let steps: Vec<String> = offenders
        .iter()
        .map(|Offender { name, setting, .. }| step(name) + &setting.parameters)
        .collect();
    let good = shell("echo good");
    let builders: Vec<(&str, &str)> = offenders
        .iter()
        .zip(&steps)
        .map(|(offender, steps)| (offender.name.as_str(), steps.as_str()))
        .chain([("good", good.as_str()), ("sink", good.as_str())])
        .collect();
    let secret = tempfile::tempdir().unwrap();
    let token = secret.path().join("token");
    std::fs::write(&token, TOKEN).unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut text = config(&builders);
    text.push_str(&format!("\n[secret.token]\nfile = {token:?}\n"));
    for offender in &offenders {
        // Who is to end for another reason has time for that on a machine that is busy with other tests.
        let wall_s = match offender.reason {
            "wall-clock limit" => 30,
            _ => 200,
        };
        text.push_str(&format!(
            "\n[plugin.{}]\ncpu_ms = 5000\nwall_s = {wall_s}\nlog_mib = 8\n{}",
            offender.name, offender.setting.grants
        ));
    }
    let mut builder = farm(&text).compiles_all();
    for Offender { name, .. } in &offenders {
        builder = builder.plugin(name, toolpost_hostile::component(name));
    }
    let farm = builder.start().await;
    let api = farm.api();

    let quiet = p99(api, 300).await;
    let mut requests = Vec::new();
    for Offender { name, reason, .. } in &offenders {
        requests.push((name, reason, api.force("force", name).await));
    }
    let good = api.force("force", "good").await;
    assert_eq!(
        api.finished(good).await["results"],
        0,
        "another builder's build goes on"
    );
    let busy = p99(api, 300).await;
    println!("p99 of GET /api/v2/builders: quiet {quiet:?}, beside hostile plugins {busy:?}");

    for (name, reason, request) in requests {
        let build = api.finished(request).await;
        let steps = api.steps(&build).await;
        let said = steps[0]["state_string"].as_str().unwrap();
        let expected = if reason.is_empty() { 0 } else { 4 };
        assert_eq!(build["results"], expected, "{name}: {said}");
        assert!(said.contains(reason), "{name}: {said}");
        if reason.is_empty() {
            let log = api.log(&build, name, "stdio").await;
            let told = format!("{build}{said}{log}{}", farm.output());
            assert!(log.contains("<token>"), "{log}");
            for trace in traces() {
                assert!(!told.contains(&trace), "{trace} is in {told}");
            }
        }
    }
    assert_eq!(lures.reached(), 0, "nobody got where it was not granted");
}

#[tokio::test]
async fn a_use_decides_what_a_crash_of_its_plugin_means() {
    let crash = toolpost_hostile::component("run-trap");
    let with = |policy: &str| {
        format!(
            "{}on_failure = \"{policy}\"\n{}",
            step("run-trap"),
            shell("echo after")
        )
    };
    let (fail, skip, retry) = (with("fail"), with("skip"), with("retry"));
    let builders = [
        ("fail", fail.as_str()),
        ("skip", skip.as_str()),
        ("retry", retry.as_str()),
    ];
    let farm = farm(&config(&builders))
        .plugin("run-trap", crash)
        .start()
        .await;
    let api = farm.api();
    let built = async |builder: &str| {
        let request = api.force("force", builder).await;
        let build = api.finished(request).await;
        let steps = api.steps(&build).await;
        let log = api.log(&build, "run-trap", "err").await;
        (build["results"].clone(), steps.len(), log)
    };
    let (results, steps, log) = built("fail").await;
    assert_eq!(
        (results, steps),
        (4.into(), 1),
        "an exception ends the build"
    );
    assert!(
        log.contains("read_the_report"),
        "the stack has names: {log}"
    );
    let (results, steps, log) = built("skip").await;
    assert_eq!((results, steps), (0.into(), 2), "the build goes on");
    assert!(log.contains("the step is skipped"), "{log}");
    let (results, steps, log) = built("retry").await;
    assert_eq!((results, steps), (4.into(), 1));
    assert!(log.contains("attempt 3 of 3 begins"), "{log}");
}

#[tokio::test]
async fn a_file_that_is_no_good_plugin_is_refused_with_the_reason() {
    let farm = farm(&config(&[("good", &shell("echo good"))]))
        .start()
        .await;
    let api = farm.api();
    let truncated = {
        let whole = hostile("endless-loop");
        whole[..whole.len() / 2].to_vec()
    };
    let core_module = b"\0asm\x01\0\0\0".to_vec();
    for (name, bytes, reason) in [
        ("truncated", truncated, "truncated"),
        ("core-module", core_module, "module"),
        ("garbage", b"this is no WebAssembly".to_vec(), "WebAssembly"),
        ("missing-export", hostile("missing-export"), "export"),
        ("other-contract", hostile("other-contract"), "contract"),
        ("bad-schema", hostile("bad-schema"), "schema"),
        ("describe-loop", hostile("describe-loop"), "describe"),
        (
            "describe-schema-explosion",
            hostile("describe-schema-explosion"),
            "would visit more than",
        ),
    ] {
        farm.drop_plugin(name, &bytes);
        let said = eventually(&format!("{name} to be refused"), async || {
            let plugin = api.plugin(name).await?;
            let error = plugin["last_reload"]["reason"].as_str()?.to_owned();
            Some(error)
        })
        .await;
        assert!(
            said.to_lowercase().contains(&reason.to_lowercase()),
            "{name}: {said}"
        );
    }
    let request = api.force("force", "good").await;
    assert_eq!(api.finished(request).await["results"], 0);
}
