//! The description of the API, held against what is answered.

use std::collections::BTreeSet;

use axum::http::Method;
use jsonschema::Validator;
use serde_json::{Map, Value, json};
use toolpost_core::Results;
use toolpost_store::{NewArtifact, NewTestResult, NewTestResultSet};

use crate::support::samples::{locks, plugin, scheduler, version};
use crate::support::{Answer, Asker as _, NOW, TestFarm, build, step};

/// What stands for a parameter of a path: each is tried.
const VALUES: &[(&str, &[&str])] = &[
    ("builderid_or_buildername", &["2", "unit"]),
    ("workerid_or_name", &["1", "local"]),
    ("step_number_or_step_name", &["0", "tests"]),
    ("projectid_or_projectname", &["1", "hello"]),
    ("builderid", &["2"]),
    ("build_number", &["2"]),
    ("buildid", &["3"]),
    ("log_slug", &["stdio"]),
    ("build_data_name", &["coverage"]),
    ("schedulername", &["force"]),
    ("name", &["junit"]),
    ("digest", &["b7"]),
    ("reporterid", &["2"]),
];

/// Operations that give nothing in a farm without projects and codebases, tokens, recordings and components.
const NOT_FOUND: [&str; 7] = [
    "/projects/{",
    "/codebases/{",
    "/branches/{",
    "/commits/{",
    "/tokens/{",
    "/recording",
    "/components/{",
];

/// Something of everything.
async fn farm() -> TestFarm {
    let farm = crate::reporters::farm().await;
    let store = &farm.store;
    let change = farm.change("Fix the parser", &"01".repeat(20)).await;
    let spec = build("unit")
        .of(change)
        .ends(Results::Failure, "1 failed")
        .property("branch", "main", "Source")
        .step(
            step("tests")
                .link("report", "https://example.org/r")
                .log("stdio", "one\ntwo\n"),
        );
    let built = farm.build(spec).await;
    farm.build(
        build("docs")
            .runs()
            .step(step("make").runs("making").log("stdio", "x\n")),
    )
    .await;
    farm.request(&build("docs")).await;
    let in_step = step_of(&farm, built.id.0).await;
    let new = NewArtifact {
        build: built.id,
        step: in_step,
        name: "bin/tool".into(),
        mode: 0o644,
    };
    let writer = store.write_artifact(new).await.expect("a writer");
    writer.finish(NOW).await.expect("kept");
    let data = store.set_build_data(built.id, "coverage", "81".into(), "tests");
    data.await.expect("kept");
    let set = NewTestResultSet {
        builder: built.builder_id,
        build: built.id,
        step: in_step,
        description: "unit".into(),
        category: "pass_fail".into(),
        value_unit: "boolean".into(),
    };
    let set = store.add_test_result_set(set).await.expect("a set");
    let result = NewTestResult {
        test_name: Some("good".into()),
        test_code_path: None,
        line: Some(7),
        duration_ns: None,
        value: "1".into(),
    };
    let added = store.add_test_results(set, vec![result]);
    added.await.expect("added");
    {
        let mut said = farm.master.said();
        said.plugins = vec![plugin(
            "junit",
            version("junit-summary", "1.0.0", 0xb7, NOW),
        )];
        said.schedulers = vec![scheduler("on-push", "waits", Some("no"))];
        said.locks = locks("db");
    }
    farm
}

async fn step_of(farm: &TestFarm, build: i64) -> toolpost_core::StepId {
    let steps = farm
        .get(&format!("/api/v2/builds/{build}/steps"))
        .await
        .json();
    toolpost_core::StepId(steps["steps"][0]["stepid"].as_i64().expect("a step"))
}

/// The document, and the same with no more fields than are listed and all of them there.
struct Document {
    given: Value,
    strict: Value,
}

impl Document {
    async fn read(farm: &TestFarm) -> Self {
        let given = farm.get("/api/v2/openapi.json").await.json();
        let mut strict = given.clone();
        let schemas = strict["components"]["schemas"].as_object_mut();
        for (name, schema) in schemas.expect("schemas") {
            // What a field of a form has beside what all have depends on its kind.
            if name != "form_field" && !name.ends_with(".filters") {
                tighten(schema);
            }
        }
        Self { given, strict }
    }

    /// Every operation with its path, method and place in the document.
    fn operations(&self) -> Vec<(String, String, Value)> {
        let paths = self.given["paths"].as_object().expect("paths");
        let operations = paths.iter().flat_map(|(path, item)| {
            let methods = item.as_object().expect("methods");
            methods
                .iter()
                .map(move |(method, operation)| (path.clone(), method.clone(), operation.clone()))
        });
        operations.collect()
    }

    /// What an operation answers with a status; `None` when it does not say.
    fn response(&self, operation: &Value, status: u16) -> Option<Value> {
        let class = format!("{}XX", status / 100);
        let responses = &operation["responses"];
        let response = responses
            .get(status.to_string())
            .or_else(|| responses.get(class))?;
        let place = response["$ref"]
            .as_str()
            .and_then(|place| place.strip_prefix('#'));
        Some(match place {
            Some(place) => self.given.pointer(place).expect("a response").clone(),
            None => response.clone(),
        })
    }

    fn validator(document: &Value, schema: &Value) -> Validator {
        let mut root = schema.as_object().cloned().unwrap_or_default();
        root.insert("components".into(), document["components"].clone());
        jsonschema::validator_for(&Value::Object(root)).expect("a schema")
    }

    /// What is wrong with an answer to an operation.
    fn check(&self, operation: &Value, answer: &Answer, is_strict: bool) -> Result<(), String> {
        let status = answer.status.as_u16();
        let response = self
            .response(operation, status)
            .ok_or(format!("status {status} is not described"))?;
        let of = answer
            .header("content-type")
            .split(';')
            .next()
            .unwrap_or_default()
            .to_owned();
        if of.is_empty() && answer.body.is_empty() && response.get("content").is_none() {
            return Ok(());
        }
        let content = response["content"]
            .get(&of)
            .ok_or(format!("{status}: {of} is not described"))?;
        if of != "application/json" {
            return Ok(());
        }
        let document = if is_strict { &self.strict } else { &self.given };
        let validator = Self::validator(document, &content["schema"]);
        let given = answer.json();
        let errors = validator.iter_errors(&given);
        let errors: Vec<_> = errors
            .map(|error| format!("{} at {}", error, error.instance_path()))
            .collect();
        if errors.is_empty() {
            Ok(())
        } else {
            Err(format!("{status}: {}\n{}", errors.join("; "), answer.body))
        }
    }
}

/// Nothing that is not listed, and no part of a resource for the whole of it.
fn tighten(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Array(either)) = members.get_mut("anyOf") {
                either.retain(|one| {
                    !one["$ref"]
                        .as_str()
                        .is_some_and(|at| at.ends_with(".selected"))
                });
            }
            if members.get("type") == Some(&json!("object")) && members.contains_key("properties") {
                members.insert("additionalProperties".into(), json!(false));
            }
            members.values_mut().for_each(tighten);
        }
        Value::Array(values) => values.iter_mut().for_each(tighten),
        _ => {}
    }
}

/// The addresses that a path stands for.
fn addresses(path: &str) -> Vec<String> {
    let mut addresses = vec![String::new()];
    for part in path.split('/').skip(1) {
        let name = part
            .strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'));
        let values: &[&str] = match name {
            None => &[part],
            Some(name) => VALUES
                .iter()
                .find(|(known, _)| *known == name)
                .map_or(&["1"], |(_, values)| values),
        };
        let longer = |before: &String| {
            let before = before.clone();
            values.iter().map(move |value| format!("{before}/{value}"))
        };
        addresses = addresses.iter().flat_map(longer).collect();
    }
    addresses
}

/// A field that can be selected.
fn first_field(operation: &Value) -> Option<&str> {
    let mut parameters = operation["parameters"].as_array()?.iter();
    let field = parameters.find(|parameter| parameter["name"] == "field")?;
    field["schema"]["items"]["enum"][0].as_str()
}

/// Whether the first of a list has this field and no other.
fn has_only(answer: &Value, field: &str) -> Result<(), String> {
    let lists = answer.as_object().into_iter().flat_map(Map::values);
    let first = lists
        .filter_map(Value::as_array)
        .find_map(|list| list.first());
    match first.and_then(Value::as_object) {
        Some(first) if !first.keys().eq([field]) => Err(format!("more was given: {answer}")),
        _ => Ok(()),
    }
}

#[tokio::test]
async fn every_answer_is_as_described() {
    let farm = farm().await;
    let document = Document::read(&farm).await;
    let (mut wrong, mut given, mut empty) = (Vec::new(), 0, BTreeSet::new());
    for (path, method, operation) in document.operations() {
        let is_json = operation["responses"]["200"]["content"]["application/json"].is_object();
        if method != "get" || !is_json {
            continue;
        }
        for address in addresses(&path) {
            let needed = if path.ends_with("/search") {
                "?q=t"
            } else {
                ""
            };
            let answer = farm.get(&format!("{address}{needed}")).await;
            if answer.status.is_success() {
                given += 1;
            } else {
                empty.insert(path.clone());
            }
            if let Err(error) = document.check(&operation, &answer, true) {
                wrong.push(format!("{address}: {error}"));
            }
            for query in [
                "?limit=1&offset=1",
                "?nothing=1",
                "?field=nothing",
                "?limit=x",
                "?order=-name&order=name",
            ] {
                let answer = farm.get(&format!("{address}{query}")).await;
                if let Err(error) = document.check(&operation, &answer, true) {
                    wrong.push(format!("{address}{query}: {error}"));
                }
            }
            if let Some(field) = first_field(&operation) {
                let answer = farm.get(&format!("{address}?field={field}")).await;
                let found = document.check(&operation, &answer, false);
                let found = found.and_then(|()| has_only(&answer.json(), field));
                if let Err(error) = found {
                    wrong.push(format!("{address}?field={field}: {error}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(given > 150, "{given} answers");
    empty.retain(|path| !NOT_FOUND.iter().any(|known| path.contains(known)));
    assert!(empty.is_empty(), "nothing there: {empty:?}");
}

/// What a parameter of a query string may be, of those that are no fields: each as it is written.
fn described_queries(document: &Document, operation: &Value) -> Vec<String> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let of = |name: &str| parameters.clone().find(|known| known["name"] == name);
    let Some(filter) = of("filter") else {
        return Vec::new();
    };
    let place = filter["schema"]["$ref"].as_str().expect("filters");
    let place = place.strip_prefix('#').expect("a place in the document");
    let filters = document.given.pointer(place).expect("filters");
    let filters = filters["properties"].as_object().into_iter().flatten();
    let filters = filters.map(|(name, shape)| match shape.get("enum") {
        Some(_) => format!("{name}=true"),
        None => format!("{name}=1"),
    });
    let orders = of("order").expect("orders")["schema"]["items"]["enum"].as_array();
    let orders = orders.into_iter().flatten().filter_map(Value::as_str);
    filters
        .chain(orders.map(|order| format!("order={order}")))
        .collect()
}

#[tokio::test]
async fn every_filter_and_order_that_is_described_is_taken() {
    let farm = farm().await;
    let document = Document::read(&farm).await;
    let (mut wrong, mut taken) = (Vec::new(), 0);
    for (path, method, operation) in document.operations() {
        // Lists that are parts of others take what those take.
        if method != "get" || path.matches('{').count() > 1 {
            continue;
        }
        let address = addresses(&path).remove(0);
        for query in described_queries(&document, &operation) {
            let answer = farm.get(&format!("{address}?{query}")).await;
            taken += 1;
            if !matches!(answer.status.as_u16(), 200 | 404) {
                wrong.push(format!("{address}?{query}: {}", answer.shown()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(taken > 1_000, "{taken} queries");
}

#[tokio::test]
async fn every_action_that_is_described_is_done_and_no_other() {
    let farm = farm().await;
    let document = Document::read(&farm).await;
    let mut done = BTreeSet::new();
    for (path, method, operation) in document.operations() {
        if method != "post" || !path.starts_with("/api/") {
            continue;
        }
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        let calls = body["anyOf"].as_array().expect("calls");
        let address = addresses(&path).remove(0);
        for call in calls {
            let name = call["properties"]["method"]["enum"][0]
                .as_str()
                .expect("a name");
            let answer = farm
                .call(
                    &address,
                    name,
                    json!({"digest": "b7", "event": "change 12", "priority": 7, "enabled": false}),
                )
                .await;
            assert_ne!(answer.status.as_u16(), 501, "{address} {name}");
            let checked = document.check(&operation, &answer, true);
            assert_eq!(checked, Ok(()), "{address} {name}");
            done.insert(name.to_owned());
        }
        let answer = farm.call(&address, "dance", json!({})).await;
        assert_eq!(answer.status.as_u16(), 501, "{address}");
        assert_eq!(
            document.check(&operation, &answer, true),
            Ok(()),
            "{address}"
        );
        let bad = [("content-type", "application/json")];
        let answer = farm.send(Method::POST, &address, &bad, "[]").await;
        assert_eq!(
            document.check(&operation, &answer, true),
            Ok(()),
            "{address}"
        );
    }
    assert!(done.len() > 10, "{done:?}");
}

/// A farm in which the user eve may log in, and must.
async fn closed_farm() -> TestFarm {
    let farm = TestFarm::new().await;
    let rule = "[[web.auth.rule]]\nactions = [\"view\", \"force\"]\nroles = [\"user\"]";
    let text = format!("{}\n{rule}", crate::auth::users());
    farm.master.said().web = crate::auth::settings(&text);
    farm
}

#[tokio::test]
async fn whoever_reads_the_document_can_log_in() {
    let farm = closed_farm().await;
    // The document itself is not for everybody either.
    assert_eq!(farm.get("/api/v2/openapi.json").await.status, 403);
    let open = TestFarm::new().await;
    let document = Document::read(&open).await;
    let schemes = &document.given["components"]["securitySchemes"];
    let find = |path: &str, method: &str| document.given["paths"][path][method].clone();
    let login = find("/auth/login", "get");
    assert!(
        login["security"]
            .as_array()
            .expect("a list")
            .contains(&json!({"basic": []}))
    );
    assert_eq!(schemes["basic"]["scheme"], "basic");
    let shown = crate::auth::basic("eve", crate::auth::PASSWORD);
    let entered = farm
        .get_with("/auth/login", &[("authorization", &shown)])
        .await;
    assert_eq!(entered.status, 302);
    assert!(login["responses"]["302"]["headers"]["Set-Cookie"].is_object());
    let cookie = crate::auth::cookie_of(&entered);
    let (name, _) = cookie.split_once('=').expect("a value");
    assert_eq!(schemes["session"]["name"], name);
    let call = find("/api/v2/forceschedulers/{schedulername}", "post");
    let accepted = call["security"].as_array().expect("a list");
    for scheme in ["session", "secure_session", "bearer"] {
        assert!(
            accepted.contains(&json!({scheme: []})),
            "{scheme}: {accepted:?}"
        );
    }
    let tokens = find("/api/v2/tokens", "post");
    assert!(
        !tokens["security"].to_string().contains("bearer"),
        "{tokens}"
    );
    let shown = ("cookie", cookie.as_str());
    let params = json!({"name": "x"});
    let made = crate::auth::call_as(&farm, shown, "/api/v2/tokens", "create", params).await;
    assert_eq!(document.check(&tokens, &made, true), Ok(()));
    let token = made.json()["result"]["token"]
        .as_str()
        .expect("a token")
        .to_owned();
    let bearer = format!("Bearer {token}");
    let builders = farm
        .get_with("/api/v2/builders", &[("authorization", &bearer)])
        .await;
    assert_eq!(builders.status, 200, "{}", builders.shown());
}

#[tokio::test]
async fn what_is_refused_at_the_door_is_described() {
    let farm = closed_farm().await;
    let document = Document::read(&TestFarm::new().await).await;
    let schemes = document.given["components"]["securitySchemes"]
        .as_object()
        .expect("schemes");
    let mut wrong = Vec::new();
    for (path, method, operation) in document.operations() {
        let security = operation["security"].as_array().expect("a list of schemes");
        let names = security
            .iter()
            .filter_map(Value::as_object)
            .flat_map(Map::keys);
        for name in names {
            assert!(schemes.contains_key(name), "{method} {path}: {name}");
        }
        let bodies = [
            (
                "application/x-www-form-urlencoded",
                "username=eve&password=no",
            ),
            ("application/json", "{}"),
        ];
        let bodies = if method == "get" {
            &bodies[..1]
        } else {
            &bodies[..]
        };
        for &(of, body) in bodies {
            for (accept, shown) in [
                ("application/json", ("x-nothing", "")),
                ("*/*", ("authorization", "Bearer tpt_nothing")),
            ] {
                let headers = [("accept", accept), ("content-type", of), shown];
                let address = addresses(&path).remove(0);
                let method: Method = method.to_uppercase().parse().expect("a method");
                let body = if method == Method::GET { "" } else { body };
                let answer = farm.send(method.clone(), &address, &headers, body).await;
                if answer.status.is_success() && path != "/login" {
                    wrong.push(format!("{method} {address}: {} for nobody", answer.status));
                }
                if let Err(error) = document.check(&operation, &answer, true) {
                    wrong.push(format!("{method} {address} {shown:?} {of}: {error}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn the_document_is_one_of_openapi() {
    let farm = TestFarm::new().await;
    let answer = farm.get("/api/v2/openapi.json").await;
    assert_eq!(
        answer.header("content-type"),
        "application/json; charset=utf-8"
    );
    let document = answer.json();
    assert_eq!(document["openapi"], "3.1.0");
    // Every reference leads somewhere, and no two operations have one id.
    let (mut references, mut ids) = (0, BTreeSet::new());
    let mut rest = vec![&document];
    while let Some(value) = rest.pop() {
        match value {
            Value::Object(members) => {
                if let Some(place) = members.get("$ref").and_then(Value::as_str) {
                    let place = place.strip_prefix('#').expect("a place in this document");
                    assert!(document.pointer(place).is_some(), "{place}");
                    references += 1;
                }
                if let Some(id) = members.get("operationId").and_then(Value::as_str) {
                    assert!(ids.insert(id), "{id} twice");
                }
                rest.extend(members.values());
            }
            Value::Array(values) => rest.extend(values),
            _ => {}
        }
    }
    assert!(
        references > 500 && ids.len() > 120,
        "{references} references, {} ids",
        ids.len()
    );
    assert!(answer.body.len() < 1 << 20, "{} bytes", answer.body.len());
    let tag = answer.header("etag").to_owned();
    let again = farm
        .get_with("/api/v2/openapi.json", &[("if-none-match", &tag)])
        .await;
    assert_eq!((again.status.as_u16(), again.body.as_str()), (304, ""));
}
