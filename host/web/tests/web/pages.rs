//! Pages: what they must say, and that they are sound.

use axum::http::Method;
use insta::assert_snapshot;
use toolpost_core::Results;

use crate::support::samples::{plugin, poller, problem, refusal, scheduler, version};
use crate::support::{Answer, Asker, NOW, TestFarm, build, step};

pub(crate) async fn farm() -> TestFarm {
    let farm = TestFarm::new().await;
    let change = farm
        .change(
            "Fix the parser\n\nIt lost tags.",
            "0123456789abcdef0123456789abcdef01234567",
        )
        .await;
    farm.build(build("unit").ago(7_200_000)).await;
    let spec = build("unit")
        .of(change)
        .ends(Results::Failure, "1 test failed")
        .property("branch", "main", "Source")
        .step(step("git"))
        .step(step("prepare").hidden())
        .step(
            step("tests")
                .ends(Results::Failure, "3 passed, 1 failed")
                .plugin("b7".repeat(32))
                .link("report", "https://example.org/r")
                .link("report", "https://example.org/r")
                .log("stdio", "one\n\x1b[31mtwo\x1b[0m\n"),
        );
    farm.build(spec).await;
    farm.build(
        build("docs")
            .runs()
            .ago(60_000)
            .step(step("make").runs("making").log("stdio", "x\n")),
    )
    .await;
    farm.request(&build("docs").ago(30_000)).await;
    farm
}

/// Asserts that a page has all of these.
fn says(answer: &Answer, parts: &[&str]) {
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.body);
    for part in parts {
        assert!(
            answer.body.contains(part),
            "{part:?} is not in {}",
            answer.body
        );
    }
}

#[tokio::test]
async fn home_says_what_runs_and_what_is_wrong() {
    let farm = farm().await;
    says(
        &farm.page("/").await,
        &[
            "Example",
            "docs",
            "running",
            "Recent builds",
            "1 test failed",
            "workers connected",
        ],
    );
    {
        let mut said = farm.master.said();
        said.problems = vec![problem()];
        said.needs_restart = vec!["master.listen".into()];
        said.health.draining = true;
        said.health.store_ok = false;
        said.pollers = vec![poller("hello", NOW, Some("cannot be reached"))];
        let mut broken = plugin("test-summary", version("test-summary", "1", 1, NOW));
        broken.problem = Some(refusal(NOW, 2, "truncated"));
        said.plugins = vec![broken];
    }
    farm.bus.publish(&[toolpost_core::Event::Configuration]);
    farm.store
        .heartbeat(farm.master_id, NOW)
        .await
        .expect("a commit");
    says(
        &farm.page("/").await,
        &[
            "The configuration files have 1 problem",
            "toolpost.toml:12:12",
            "unknown worker `lokal`",
            "12 | workers = [&#34;lokal&#34;]",
            "   |            ^^^^^^^",
            "did you mean `local`?",
            "master.listen",
            "takes no new builds",
            "does not take writes",
            "cannot be reached",
            "The file of plugin",
        ],
    );
}

#[tokio::test]
async fn builders_show_results_by_colour_and_shape() {
    let farm = farm().await;
    let page = farm.page("/builders").await;
    says(
        &page,
        &[
            "<a class=\"name\" href=\"/builders/2\">",
            "r-failure",
            "title=\"#2 failure, 3.0 s\"",
            "1 running",
            "1 waiting",
            "/builders?tag=fast",
        ],
    );
    let found = farm.page("/builders?q=do").await;
    assert!(found.body.contains(">docs</a>") && !found.body.contains(">unit</a>"));
    let tagged = farm.page("/builders?tag=fast").await;
    assert!(tagged.body.contains(">unit</a>") && !tagged.body.contains(">docs</a>"));
}

#[tokio::test]
async fn a_builder_has_its_history_and_its_form() {
    let farm = farm().await;
    says(
        &farm.page("/builders/unit").await,
        &[
            "Compiles and tests the crate.",
            "<svg class=\"plot\"",
            "#2 failure, 3.0 s",
            "1 of 2",
            "/force/force?builder=unit",
            "Force a build",
            "History",
        ],
    );
    says(
        &farm.page("/builders/1").await,
        &["Waiting", "/requests/4/cancel", "Running"],
    );
    let numbered = farm.page("/builders/unit/builds/2").await;
    assert_eq!(numbered.header("location"), "/builds/2");
}

#[tokio::test]
async fn a_build_shows_where_it_failed() {
    let farm = farm().await;
    let page = farm.page("/builds/2").await;
    says(
        &page,
        &[
            "unit <span class=\"muted\">#2</span>",
            "<details open><summary><span class=\"n\">2</span>",
            "3 passed, 1 failed",
            "<span class=\"f1\">two</span>",
            "https://example.org/r",
            "b7b7b7b7b7b7",
            "Fix the parser",
            "0123456789ab",
            "Show 1 hidden step",
            "action=\"/builds/2/rebuild\"",
            "href=\"/builds/1\"",
        ],
    );
    assert!(
        !page.body.contains(">prepare<"),
        "hidden steps are left out"
    );
    says(&farm.page("/builds/2?hidden=1").await, &[">prepare<"]);
    let running = farm.page("/builds/3").await;
    says(
        &running,
        &[
            "action=\"/builds/3/stop\"",
            "data-live=\"/live?watch=builds/3/*",
            "data-since=",
        ],
    );
    assert!(
        !page.body.contains("data-live"),
        "a build that ended changes no more"
    );
}

#[tokio::test]
async fn a_log_is_readable_without_scripts() {
    let farm = TestFarm::new().await;
    let text: String = (1..=2_500).map(|n| format!("line {n}\n")).collect();
    farm.build(build("unit").step(step("make").log("stdio", text)))
        .await;
    let first = farm.page("/logs/1").await;
    says(
        &first,
        &[
            "id=\"L1\"",
            "line 1000<",
            "/logs/1?first=1000",
            "2\u{202f}500 lines",
            "data-log=\"/logs/1\"",
        ],
    );
    assert!(!first.body.contains("line 1001<"));
    says(
        &farm.page("/logs/1?first=2000").await,
        &["line 2500<", "/logs/1?first=1000"],
    );
    says(&farm.page("/logs/1?line=1700").await, &["id=\"L1700\""]);
    says(&farm.page("/logs/1?first=999999").await, &["line 2500<"]);
    says(&farm.page("/logs/1?first=-5").await, &["id=\"L1\""]);
    assert_eq!(
        farm.page("/logs/1/raw").await.header("location"),
        "/api/v2/logs/1/raw_inline"
    );
}

#[tokio::test]
async fn plugins_show_digests_uses_and_the_last_refusal() {
    let farm = farm().await;
    {
        let mut said = farm.master.said();
        let mut summary = plugin("test-summary", version("test-summary", "0.3.1", 0xb7, NOW));
        summary
            .draining
            .push(version("test-summary", "0.3.0", 0x4e, NOW));
        summary.problem = Some(refusal(NOW, 0x0c, "the file is <truncated>"));
        said.plugins = vec![summary];
        let place = toolpost_web::Place::Step {
            builder: "unit".into(),
            step: "tests".into(),
        };
        said.uses.insert("test-summary".into(), vec![place]);
    }
    says(
        &farm.page("/plugins").await,
        &[
            "0.3.1",
            "0.3.0",
            &"b7".repeat(32),
            &"4e".repeat(32),
            &"0c".repeat(32),
            "draining",
            "the file is &#60;truncated&#62;",
            "The file was refused",
            "last good version runs",
            "<a href=\"/builders/unit\">unit</a>",
        ],
    );
}

#[tokio::test]
async fn workers_and_changes_and_requests() {
    let farm = farm().await;
    farm.store
        .set_worker_paused(farm.worker("spare"), true, Some("disk"))
        .await
        .expect("paused");
    says(
        &farm.page("/workers").await,
        &[
            "href=\"/workers/1\">local",
            "never connected",
            "paused: ",
            "disk",
            "docs #1",
            "/workers/1/pause",
            "/workers/2/unpause",
        ],
    );
    assert!(!farm.page("/workers?q=spare").await.body.contains("docs #1"));
    farm.master.said().pollers = vec![poller("hello", NOW, None)];
    farm.store
        .heartbeat(farm.master_id, NOW)
        .await
        .expect("a commit");
    says(
        &farm.page("/changes").await,
        &[
            "Fix the parser",
            "It lost tags.",
            "Ada Lovelace &#60;ada@example.org&#62;",
            "src/lib.rs",
            "https://example.org/hello.git",
            "1 branch",
        ],
    );
    says(
        &farm.page("/pending").await,
        &["a change", "main", "/requests/4/cancel"],
    );
}

#[tokio::test]
async fn static_files_are_kept_for_ever() {
    let farm = TestFarm::new().await;
    let page = farm.page("/").await.body;
    let style = page
        .split("rel=\"stylesheet\" href=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .expect("a style sheet");
    let answer = farm.get_with(style, &[]).await;
    assert_eq!(answer.header("content-type"), "text/css; charset=utf-8");
    assert!(answer.header("cache-control").contains("immutable"));
    assert!(answer.body.contains(".log .f196{color:#ff0000}"));
    assert_eq!(
        farm.get_with("/static/app.0.css", &[])
            .await
            .status
            .as_u16(),
        404
    );
    assert_eq!(
        farm.get_with("/favicon.ico", &[])
            .await
            .header("content-type"),
        "image/svg+xml"
    );
}

#[tokio::test]
async fn a_page_tells_time_again_when_time_has_passed() {
    let farm = farm().await;
    assert_snapshot!(times(&farm).await, @"1 h ago, 2 h ago");
    farm.later(3_600_000);
    farm.store
        .heartbeat(farm.master_id, NOW)
        .await
        .expect("a commit");
    assert_snapshot!(times(&farm).await, @"2 h ago, 3 h ago");
}

async fn times(farm: &TestFarm) -> String {
    let body = farm.send(Method::GET, "/builders/2", &[], "").await.body;
    let times: Vec<_> = body
        .split("</time>")
        .filter_map(|part| part.rsplit_once('>').map(|(_, text)| text.to_owned()))
        .collect();
    times[..times.len() - 1].join(", ")
}

#[tokio::test]
async fn schedulers_say_what_they_wait_for() {
    let farm = farm().await;
    let mut held = scheduler("morning", "", None);
    held.held = Some("no plugin brings the type".into());
    farm.master.said().schedulers = vec![
        scheduler("night", "closed until 20:00", None),
        scheduler("day", "open", Some("the plugin crashed")),
        held,
    ];
    says(
        &farm.page("/changes").await,
        &[
            "closed until 20:00",
            "the plugin crashed",
            "waits: no plugin brings the type",
        ],
    );
}
