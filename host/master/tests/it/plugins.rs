//! Steps that plugins bring, as small components.

use std::path::PathBuf;

use insta::assert_snapshot;
use toolpost_core::Results;

use crate::farm::farm;

/// The text of a component that misbehaves.
fn hostile(name: &str) -> String {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/hostile");
    std::fs::read_to_string(dir.join(format!("{name}.wat"))).expect("the component")
}

/// A plugin `tell` whose steps succeed with this text of four bytes: one that crashes, without the crash.
fn tell(text: &str) -> Vec<u8> {
    let component = hostile("trap")
        .replace("\"trap\"", "\"tell\"")
        .replace("(call $sum_up_tests)\n      ;;", ";;")
        .replace("\"done\"", &format!("\"{text}\""));
    wat::parse_str(component).expect("a component")
}

const TELL: &str = "[[builder.step]]\nuse = \"tell\"\n";

#[tokio::test]
async fn a_plugin_step_ends_with_its_own_text() {
    let farm = farm()
        .plugin("tell", &tell("fine"))
        .builder("b", TELL)
        .start()
        .await;
    let build = farm.force("b").await;
    assert_snapshot!(farm.show(&build).await, @r"
    b #1: success [build successful]
      tell: success [fine]
    ");
    let digest = farm.steps(build.id).await.remove(0).plugin_digest;
    let live = farm.master().plugins().remove(0).live.expect("it is live");
    assert_eq!(digest, Some(live.digest));
}

#[tokio::test]
async fn a_build_keeps_the_version_that_it_started_with() {
    let wait = "touch started; until test -e ../../../go; do sleep 0.02; done";
    let body = format!("[[builder.step]]\nuse = \"shell\"\ncommand = \"{wait}\"\n{TELL}");
    let farm = farm()
        .plugin("tell", &tell("old!"))
        .builder("b", &body)
        .start()
        .await;
    let running = farm.submit("b", &[("revision", "1")]).await;
    farm.until_file("b/build/started").await;
    farm.drop_plugin("tell", &tell("new!")).await;
    let status = farm.master().plugins().remove(0);
    assert_eq!(status.problem, None);
    assert_eq!(status.draining.len(), 1);
    std::fs::write(farm.path().join("go"), "").expect("go");
    let old = farm.end_of(running).await;
    let new = farm.force("b").await;
    let texts = [&old, &new].map(async |build| farm.steps(build.id).await.remove(1).state_string);
    let texts = futures::future::join_all(texts).await;
    assert_eq!(texts, ["old!", "new!"]);
    farm.until("the old version is gone", async || {
        farm.master().plugins()[0].draining.is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_refused_plugin_leaves_the_good_one_at_work() {
    let farm = farm()
        .plugin("tell", &tell("good"))
        .builder("b", TELL)
        .start()
        .await;
    let whole = tell("next");
    farm.drop_plugin("tell", &whole[..whole.len() / 2]).await;
    let problem = farm.master().plugins().remove(0).problem;
    assert!(problem.is_some());
    let build = farm.force("b").await;
    assert_eq!(farm.steps(build.id).await[0].state_string, "good");
}

#[tokio::test]
async fn a_plugin_that_crashes_is_an_exception_with_the_place() {
    let trap = wat::parse_str(hostile("trap")).expect("a component");
    let farm = farm()
        .plugin("trap", &trap)
        .builder("b", "[[builder.step]]\nuse = \"trap\"\n")
        .start()
        .await;
    let build = farm.force("b").await;
    assert_eq!(build.results, Some(Results::Exception));
    let step = farm.steps(build.id).await.remove(0);
    assert!(
        step.state_string.starts_with("the plugin crashed: "),
        "{}",
        step.state_string
    );
    let reason = farm.log(&build, "trap", "err").await;
    assert!(
        reason.starts_with(&step.state_string.replace(" (exception)", "")),
        "{reason}"
    );
    assert!(reason.contains("read_the_report"), "{reason}");
}

#[tokio::test]
async fn limits_of_the_configuration_hold() {
    let endless = wat::parse_str(hostile("endless-loop")).expect("a component");
    let farm = farm()
        .plugin("endless-loop", &endless)
        .config("[plugin.endless-loop]\ncpu_ms = 200\n")
        .builder("b", "[[builder.step]]\nuse = \"endless-loop\"\n")
        .start()
        .await;
    let build = farm.force("b").await;
    let step = farm.steps(build.id).await.remove(0);
    assert!(
        step.state_string.contains("of at most 0.20 s"),
        "{}",
        step.state_string
    );
}

#[tokio::test]
async fn a_configuration_that_waits_for_its_plugin_is_applied_when_that_comes() {
    let farm = farm().shell("b", &[("x", "true")]).start().await;
    let config = farm.read_config().replace(
        "use = \"shell\"\nname = \"x\"\ncommand = \"true\"",
        "use = \"tell\"",
    );
    farm.write_config(&config);
    let problems = farm.master().reload().await.problems;
    assert_eq!(problems[0].message, "there is no step type `tell`");
    farm.drop_plugin("tell", &tell("here")).await;
    farm.until("the configuration is applied", async || {
        farm.master().configuration().problems.is_empty()
    })
    .await;
    let build = farm.force("b").await;
    assert_eq!(farm.steps(build.id).await[0].state_string, "here");
}
