//! The REST API specification of the installed `buildbot` package, held against what is served.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

use crate::support::{Asker as _, TestFarm};

/// What is read of the specification.
#[derive(Deserialize)]
struct Specification {
    paths: Vec<Resource>,
    types: BTreeMap<String, Vec<Field>>,
}

#[derive(Deserialize)]
struct Resource {
    /// With parameters in braces.
    path: String,
    /// What it gives; nothing for what is raw.
    #[serde(rename = "type")]
    gives: Option<String>,
}

#[derive(Deserialize)]
struct Field {
    name: String,
    #[serde(rename = "type")]
    of: String,
    list: bool,
    optional: bool,
}

/// Paths of the specification that are not served, and why.
const NOT_SERVED: &[(&str, &str)] = &[
    (
        "/builders/{builderid_or_buildername}/{masterid}",
        "the specification means `masters/{masterid}`; no master serves this",
    ),
    (
        "/builders/{builderid_or_buildername}/test_code_paths",
        "a stock master 4.3.0 has no such path",
    ),
    (
        "/builders/{builderid_or_buildername}/test_names",
        "a stock master 4.3.0 has no such path",
    ),
    (
        "/test_result_sets/{test_result_setid}/raw_results",
        "a stock master 4.3.0 has no such path",
    ),
];

/// Types of the specification that no path gives here, and why.
const NO_TYPES: &[(&str, &str)] = &[
    ("identifier", "a type of fields"),
    ("patch", "is part of a source stamp"),
    ("sourcedproperties", "an object of any names"),
];

/// Fields that differ from the specification, and why.
const OTHER_FIELDS: &[(&str, &str)] = &[
    ("builder.projectid", "a stock master gives a number as well"),
    ("test_result.line", "a stock master gives a number as well"),
    (
        "build.workerid",
        "null when the worker is not known any more",
    ),
];

fn specification() -> Specification {
    let buildbot = std::env::var_os("TOOLPOST_TEST_BUILDBOT")
        .expect("TOOLPOST_TEST_BUILDBOT is not set: run the tests with `cargo xtask test`");
    let python = Path::new(&buildbot).with_file_name("python");
    let script = include_str!("../support/raml.py");
    let ran = Command::new(python)
        .args(["-c", script])
        .output()
        .expect("Python runs");
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    serde_json::from_slice(&ran.stdout).expect("JSON")
}

/// The paths that are meant, each with `n` for a number and `t` for a text.
fn meant(path: &str) -> BTreeSet<String> {
    let mut meant = BTreeSet::from([String::new()]);
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        let parameter = segment
            .strip_prefix('{')
            .and_then(|name| name.strip_suffix('}'));
        let kinds: &[&str] = match parameter {
            None => &[segment],
            Some(name) if name.contains("_or_") => &["n", "t"],
            Some(name) if name.ends_with("id") || name.ends_with("number") => &["n"],
            Some(_) => &["t"],
        };
        let longer = |before: &String| {
            kinds
                .iter()
                .map(move |kind| format!("{before}/{kind}"))
                .collect::<Vec<_>>()
        };
        meant = meant.iter().flat_map(longer).collect();
    }
    meant
}

/// The same form of what `application.spec` says.
fn served(path: &str) -> String {
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    let kinds = segments.map(|segment| match segment.split_once(':') {
        Some(("n", _)) => "/n",
        Some(("i" | "s", _)) => "/t",
        _ => segment,
    });
    kinds
        .map(|kind| format!("/{}", kind.trim_start_matches('/')))
        .collect()
}

async fn own() -> Vec<Value> {
    let farm = TestFarm::new().await;
    let answer = farm.get("/api/v2/application.spec").await.json();
    answer["specs"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn every_path_of_the_specification_is_served() {
    let own: BTreeMap<String, String> = own()
        .await
        .iter()
        .map(|spec| {
            let text = |name: &str| spec[name].as_str().expect("a text").to_owned();
            (served(&text("path")), text("type"))
        })
        .collect();
    let (mut wrong, mut looked_at, mut excepted) = (Vec::new(), 0, Vec::new());
    for Resource { path, gives } in specification().paths {
        if let Some((excused, _)) = NOT_SERVED.iter().find(|(excused, _)| *excused == path) {
            excepted.push(*excused);
            continue;
        }
        for meant in meant(&path) {
            looked_at += 1;
            let wanted = match gives.as_deref() {
                Some("sourcedproperties") => Some("property"),
                gives => gives,
            };
            let found = own.get(&meant).map(String::as_str);
            if found.is_none() || wanted.is_some_and(|wanted| found != Some(wanted)) {
                wrong.push(format!(
                    "{path} ({meant}): {wanted:?}, but {found:?} is served"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(looked_at > 100, "{looked_at} paths");
    assert_eq!(excepted.len(), NOT_SERVED.len(), "{excepted:?}");
}

/// What JSON has for a type of the specification.
fn json_type(of: &str, list: bool) -> &str {
    match of {
        _ if list => "list",
        "integer" | "int" | "date" => "number",
        "string" | "identifier" => "text",
        "boolean" | "bool" => "truth",
        _ => "object",
    }
}

/// What JSON has for a type of `application.spec`. An object may be a list of them.
fn fits(own: &str, wanted: &str) -> bool {
    match own {
        "integer" | "datetime" => wanted == "number",
        "string" | "identifier" => wanted == "text",
        "boolean" => wanted == "truth",
        "list" => wanted == "list",
        _ => matches!(wanted, "object" | "list"),
    }
}

#[tokio::test]
async fn every_field_of_the_specification_is_there_with_its_type() {
    let own: BTreeMap<String, Value> = own()
        .await
        .into_iter()
        .map(|spec| {
            let name = spec["type"].as_str().expect("a text").to_owned();
            (name, spec["type_spec"]["fields"].clone())
        })
        .collect();
    let (mut wrong, mut looked_at, mut used) = (Vec::new(), 0, BTreeSet::new());
    for (name, fields) in specification().types {
        if let Some((excused, _)) = NO_TYPES.iter().find(|(excused, _)| *excused == name) {
            used.insert((*excused).to_owned());
            continue;
        }
        // What a stock master calls them.
        let name = match name.strip_prefix("codebase_") {
            Some(short) => short.to_owned(),
            None => name,
        };
        let Some(own) = own.get(&name).and_then(Value::as_array) else {
            wrong.push(format!("{name} is no type"));
            continue;
        };
        for field in fields {
            looked_at += 1;
            let place = format!("{name}.{}", field.name);
            let wanted = json_type(&field.of, field.list);
            let own = own.iter().find(|own| own["name"] == field.name.as_str());
            let kind = own.and_then(|own| own["type"].as_str());
            let nullable = own.is_some_and(|own| own["type_spec"]["can_be_null"] == true);
            let right = kind.is_some_and(|kind| fits(kind, wanted)) && nullable == field.optional;
            if right {
                continue;
            }
            if OTHER_FIELDS.iter().any(|(excused, _)| *excused == place) {
                used.insert(place);
            } else {
                let optional = field.optional;
                wrong.push(format!(
                    "{place}: {wanted}, null: {optional}; but {kind:?}, null: {nullable}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(looked_at > 130, "{looked_at} fields");
    let excuses = NO_TYPES.len() + OTHER_FIELDS.len();
    assert_eq!(
        used.len(),
        excuses,
        "an exception that is none any more: {used:?}"
    );
}
