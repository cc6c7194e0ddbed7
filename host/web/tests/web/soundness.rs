//! Every page: balanced, guarded, without foreign markup, its links leading somewhere.

use toolpost_core::Results;
use toolpost_store::{LogStream, WorkerEnd};

use crate::pages::farm;
use crate::support::samples::{locks, plugin, poller, refusal, scheduler, version};
use crate::support::{Asker, NOW, TestFarm, build, step};

/// Strings that would do harm where they are not escaped.
const HOSTILE: &str = "<script>alert('x')</script>\"onmouseover=\"y";

/// Elements that have no end tag.
const VOID: [&str; 6] = ["meta", "link", "input", "br", "hr", "img"];

/// Checks that tags are balanced, ids are not repeated, and no script or style stands in the page.
fn assert_sound(path: &str, html: &str) {
    assert!(
        html.starts_with("<!doctype html>\n<html lang=\"en\""),
        "{path}"
    );
    let mut open: Vec<&str> = Vec::new();
    let mut ids = std::collections::HashSet::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let end = rest
            .find('>')
            .unwrap_or_else(|| panic!("{path}: unfinished tag {}", &rest[..40.min(rest.len())]));
        let tag = &rest[..end];
        rest = &rest[end + 1..];
        if tag.starts_with('!') {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(
                open.pop(),
                Some(name),
                "{path}: </{name}> closes something else"
            );
            continue;
        }
        let name = tag.split([' ', '\n']).next().unwrap_or_default();
        assert!(
            name.chars().all(|c| c.is_ascii_alphanumeric()),
            "{path}: <{tag}>"
        );
        assert!(
            name != "style" && !tag.contains(" style="),
            "{path}: a style in the page: <{tag}>"
        );
        assert!(
            !tag.contains(" onclick") && !tag.contains("javascript:"),
            "{path}: <{tag}>"
        );
        if name == "script" {
            assert!(tag.contains("src=\"/static/"), "{path}: <{tag}>");
        }
        if let Some((_, id)) = tag.split_once(" id=\"") {
            let id = id.split('"').next().unwrap_or_default();
            assert!(ids.insert(id), "{path}: id {id} twice");
        }
        if !tag.ends_with('/') && !VOID.contains(&name) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{path}: left open: {open:?}");
    for part in [
        "<main id=\"main\"",
        "<nav aria-label=\"Main\">",
        "class=\"skip\"",
        "<h1",
    ] {
        assert!(html.contains(part), "{path}: {part}");
    }
    assert_eq!(html.matches("<h1").count(), 1, "{path}: one main heading");
}

#[tokio::test]
async fn every_page_is_sound_and_guarded() {
    let farm = farm().await;
    for path in [
        "/",
        "/builders",
        "/builders?q=unit&tag=fast",
        "/builders?q=nothing",
        "/builders?page=9",
        "/builders/2",
        "/builders/docs",
        "/builders/2?page=2",
        "/builds/2",
        "/builds/2?hidden=1",
        "/builds/3",
        "/logs/1",
        "/logs/1?line=2",
        "/logs/1?q=%3Cb%3E",
        "/logs/1?q=%28&regex=1",
        "/logs/1?q=e&nocase=1",
        "/logs/2",
        "/pending",
        "/reference",
        "/reference/builds",
        "/reference/events",
        "/workers",
        "/workers?q=nothing",
        "/workers?page=9",
        "/workers/1",
        "/workers/spare",
        "/workers/1?page=2",
        "/locks",
        "/changes",
        "/changes?before=1",
        "/plugins",
        "/force/force",
        "/force/force?builder=unit",
    ] {
        let answer = farm.page(path).await;
        assert_eq!(answer.status.as_u16(), 200, "{path}: {}", answer.body);
        assert_sound(path, &answer.body);
        assert_eq!(
            answer.header("content-type"),
            "text/html; charset=utf-8",
            "{path}"
        );
        assert!(
            answer
                .header("content-security-policy")
                .contains("script-src 'self'"),
            "{path}"
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
    }
    for path in [
        "/nothing",
        "/builds/99",
        "/builds/x",
        "/builders/99",
        "/workers/99",
        "/workers/nobody",
        "/logs/99",
        "/force/none",
        "/reference/nothing",
        "/requests/x/why",
    ] {
        let answer = farm.page(path).await;
        assert_eq!(answer.status.as_u16(), 404, "{path}");
        assert_sound(path, &answer.body);
        assert!(answer.body.contains("Not found"), "{path}");
    }
}

#[tokio::test]
async fn what_is_linked_is_there() {
    let farm = farm().await;
    let mut seen = std::collections::BTreeSet::from(["/".to_owned()]);
    let mut next = vec!["/".to_owned()];
    while let Some(path) = next.pop() {
        let answer = farm.page(&path).await;
        assert!(
            answer.status.is_success() || answer.status.is_redirection(),
            "{path}: {}",
            answer.status
        );
        if answer.header("content-type").starts_with("text/html") {
            for attribute in ["href=\"", "src=\""] {
                for link in answer.body.split(attribute).skip(1) {
                    let link = link
                        .split(['"', '#'])
                        .next()
                        .unwrap_or_default()
                        .replace("&amp;", "&")
                        .replace("&#38;", "&");
                    if link.starts_with('/') && seen.insert(link.clone()) {
                        next.push(link);
                    }
                }
            }
        }
    }
    assert!(seen.len() > 25, "{seen:?}");
}

#[tokio::test]
async fn nothing_that_people_wrote_becomes_markup() {
    let farm = TestFarm::with(&[(HOSTILE, &[HOSTILE])]).await;
    farm.master.said().farm.title = HOSTILE.into();
    let change = farm.change(HOSTILE, HOSTILE).await;
    let hostile = |mut spec: crate::support::BuildSpec| {
        spec.builder = HOSTILE;
        spec.reason = HOSTILE.into();
        spec.state = HOSTILE;
        spec
    };
    let steps = || {
        step(HOSTILE)
            .ends(Results::Failure, HOSTILE)
            .link(HOSTILE, "javascript:alert(1)")
            .stdio(&[(LogStream::Output, HOSTILE)])
            .html(HOSTILE, HOSTILE)
    };
    farm.build(
        hostile(build(""))
            .of(change)
            .property(HOSTILE, HOSTILE, HOSTILE)
            .step(steps()),
    )
    .await;
    farm.request(&hostile(build(""))).await;
    {
        let mut said = farm.master.said();
        let mut form = said.forms[0].clone();
        form.name = HOSTILE.into();
        form.label = HOSTILE.into();
        form.builders = vec![HOSTILE.into()];
        said.forms.push(form);
        let mut bad = plugin(HOSTILE, version(HOSTILE, HOSTILE, 1, NOW));
        bad.problem = Some(refusal(NOW, 2, HOSTILE));
        said.plugins = vec![bad];
        said.pollers = vec![poller(HOSTILE, NOW, Some(HOSTILE))];
        said.schedulers = vec![scheduler(HOSTILE, HOSTILE, Some(HOSTILE))];
        said.locks = locks(HOSTILE);
    }
    let local = farm.worker("local");
    let paused = farm.store.set_worker_paused(local, true, Some(HOSTILE));
    paused.await.expect("paused");
    let refused = farm.store.note_refused(local, HOSTILE, NOW);
    refused.await.expect("noted");
    let gone = WorkerEnd {
        reason: HOSTILE.into(),
        lost: true,
        dismissed: false,
    };
    let detached = farm.store.detach_worker(local, farm.master_id, gone, NOW);
    detached.await.expect("detached");
    farm.store
        .heartbeat(farm.master_id, NOW)
        .await
        .expect("a commit");
    let force = "/force/%3Cscript%3Ealert%28%27x%27%29%3C%2Fscript%3E%22onmouseover%3D%22y";
    let search = "/builders?q=%3Cscript%3E&tag=%22%3E%3Cscript%3E";
    for path in [
        "/",
        "/builders",
        "/builders/1",
        "/builds/1",
        "/logs/1",
        "/logs/2",
        "/pending",
        "/workers",
        "/workers/1",
        "/locks",
        "/changes",
        "/plugins",
        force,
        search,
        "/%3Cscript%3E",
    ] {
        let answer = farm.page(path).await;
        assert!(!answer.body.contains("<script>"), "{path}: {}", answer.body);
        assert!(
            !answer.body.contains("\"onmouseover"),
            "{path}: {}",
            answer.body
        );
        assert!(
            !answer.body.contains("javascript:"),
            "{path}: {}",
            answer.body
        );
        assert_sound(path, &answer.body);
    }
}
