//! Every address and every action times every kind of person. The list is the web server's own, so nothing can be forgotten.

use std::fmt::Write as _;

use axum::http::Method;
use serde_json::json;
use toolpost_web::{DoorInfo, doors};

use super::{farm, log_in, token_of};
use crate::support::{Asker as _, TestFarm};

/// Somebody, with the header that they send.
struct Person(&'static str, &'static str, String);

/// What is put in for the parameters of a path: of builder `unit`, and of `docs`, which few may see.
fn filled(path: &str, is_docs: bool) -> String {
    let pick = |unit: &'static str, docs: &'static str| if is_docs { docs } else { unit };
    let of = |name: &str| match name {
        "builderid" | "builder" => pick("1", "2"),
        "buildername" => pick("unit", "docs"),
        "buildid" | "build" | "stepid" | "logid" | "log" => pick("1", "2"),
        "buildrequestid" | "request" | "bsid" => pick("2", "4"),
        "build_number" | "number" => "1",
        "step_number" => "0",
        "step_name" => "compile",
        "log_slug" => "stdio",
        "schedulername" => "force",
        "tokenid" => "999",
        "*name" | "*path" => "x",
        "scheduler" => "2",
        "plugin" | "projectname" | "build_data_name" => "some",
        "name" => "local",
        _ => "1",
    };
    let segments = path.split('/').map(|segment| {
        let rest = segment
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        match (rest, segment.split_once(':')) {
            (Some(name), _) => of(name),
            (None, Some((_, name))) => of(name),
            (None, None) => segment,
        }
    });
    let filled: Vec<&str> = segments.collect();
    // The form of a page is named, not numbered.
    let filled = filled.join("/");
    match path.starts_with("/force/") {
        true => "/force/force".to_owned(),
        false => filled,
    }
}

/// `+` it is let through, `-` it is refused, `.` there is nothing.
async fn outcome(farm: &TestFarm, door: &DoorInfo, person: &Person, is_docs: bool) -> char {
    let path = filled(&door.path, is_docs);
    let shown = (person.1, person.2.as_str());
    let response = match (door.method, door.call) {
        ("GET", _) => {
            let accept = if path.starts_with("/api") {
                "application/json"
            } else {
                "text/html"
            };
            let headers = [("accept", accept), shown];
            farm.open(Method::GET, &path, &headers, "").await
        }
        (_, Some(call)) => {
            let builder = if is_docs { "docs" } else { "unit" };
            let params =
                json!({"reason": "x", "builderNames": [builder], "digest": "abc", "name": "x"});
            let body = json!({"jsonrpc": "2.0", "id": 1, "method": call, "params": params});
            let headers = [("content-type", "application/json"), shown];
            farm.open(Method::POST, &path, &headers, &body.to_string())
                .await
        }
        _ => {
            let form = "application/x-www-form-urlencoded";
            let headers = [("content-type", form), ("accept", "text/html"), shown];
            let builder = if is_docs { "docs" } else { "unit" };
            let body = format!("builder={builder}&reason=x&digest=abc&event=change+1");
            farm.open(Method::POST, &path, &headers, &body).await
        }
    };
    let to = response.headers().get("location");
    let to_login = to.is_some_and(|to| to.as_bytes().starts_with(b"/login"));
    match response.status().as_u16() {
        401 | 403 => '-',
        303 if to_login => '-',
        404 => '.',
        status => {
            assert!(
                status < 500 || status == 501,
                "{} {path}: {status}",
                door.method
            );
            '+'
        }
    }
}

#[tokio::test]
async fn everything_is_for_whom_the_rules_say() {
    let farm = farm().await;
    let mut people = vec![Person("nobody", "x-nothing", String::new())];
    for (title, name) in [
        ("user", "eve"),
        ("owner", "ada"),
        ("insider", "ivy"),
        ("admin", "root"),
    ] {
        people.push(Person(title, "cookie", log_in(&farm, name).await));
    }
    for (title, scope) in [
        ("read", json!({"name": "read", "scope": "read"})),
        ("control", json!({"name": "control", "scope": "control"})),
        (
            "unit",
            json!({"name": "unit", "scope": "control", "builders": ["unit"]}),
        ),
    ] {
        let token = token_of(&farm, "root", scope).await;
        people.push(Person(title, "authorization", token));
    }
    let mut table = String::from(
        "what is of `unit`, and what is of `docs` in the project `manuals`; the last three are tokens of the admin\n\n",
    );
    for person in &people {
        write!(table, "{:<9}", person.0).expect("a text");
    }
    table.push('\n');
    for door in doors() {
        for person in &people {
            let shown = match door.action {
                None if door.call.is_none() => "open".to_owned(),
                _ => {
                    let unit = outcome(&farm, &door, person, false).await;
                    let docs = outcome(&farm, &door, person, true).await;
                    format!("{unit} {docs}")
                }
            };
            write!(table, "{shown:<9}").expect("a text");
        }
        let call = door.call.map(|call| format!(" {call}")).unwrap_or_default();
        writeln!(table, "{} {}{call}", door.method, door.path).expect("a text");
    }
    insta::assert_snapshot!("matrix", table);
}
