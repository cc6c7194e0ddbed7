//! The JSON Schema for editors agrees with the check.

use serde_json::{Value, json};
use toolpost_config::{TypeCatalog, json_schema};
use toolpost_core::PluginKind;

use crate::catalog::{AnyStepType, BASE, Catalog, catalog, examples};

fn validator(catalog: &dyn TypeCatalog) -> jsonschema::Validator {
    jsonschema::validator_for(&json_schema(catalog)).expect("a valid JSON Schema")
}

fn as_json(text: &str) -> Value {
    let table: toml::Table = text.parse().expect("good TOML");
    serde_json::to_value(table).expect("no dates in it")
}

fn good_catalog() -> Catalog {
    let mut catalog = catalog();
    let steps = catalog.get_mut(&PluginKind::Step);
    steps.expect("steps").remove("broken");
    catalog
}

/// The first error, with its place.
fn error(text: &str) -> Option<String> {
    let validator = validator(&good_catalog());
    let instance = as_json(&format!("{BASE}\n{text}"));
    let first = validator.iter_errors(&instance).next();
    first.map(|error| error.instance_path().to_string())
}

#[test]
fn the_examples_fit() {
    let validator = validator(&AnyStepType);
    for path in examples() {
        let text = std::fs::read_to_string(&path).expect("an example");
        let errors: Vec<String> = validator
            .iter_errors(&as_json(&text))
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", path.display());
    }
}

#[test]
fn good_texts_fit() {
    let texts = [
        "",
        "[master]\nlisten = 8010\ndrain_timeout = 5\n",
        "[[builder]]\nname = \"x\"\nworkers = [\"w\"]\nstep = [{ use = \"shell\", command = \"make\", halt_on_failure = true }]",
        "[[builder]]\nname = \"x\"\nworkers = [\"w\"]\nstep = [{ use = \"git\", repository = \"x\", mode = \"{{ prop.mode }}\", shallow = \"{{ prop.n }}\" }]",
        "[[builder]]\nname = \"x\"\nworkers = [\"w\"]\nstep = [{ use = \"set-property\", extract = \"x\", value = [1] }]",
        "[[scheduler]]\nname = \"f\"\nuse = \"force\"\nbuilders = [\"b\"]\nreason = \"x\"\nparameters = [{ type = \"nested\", fields = [{ type = \"bool\", name = \"x\" }] }]",
        "[[reporter]]\nname = \"r\"\nuse = \"chat\"\nroom = \"x\"\nevents = \"build-started\"\nresults = [\"failing\"]",
        "[[scheduler]]\nname = \"n\"\nuse = \"nightly\"\nbuilders = [\"b\"]\nat = \"02:00\"",
        "[plugin.chat]\ngrant.http = [\"x\"]",
    ];
    for text in texts {
        assert_eq!(error(text), None, "{text}");
    }
}

#[test]
fn wrong_texts_do_not() {
    let step = |parameters: &str| {
        format!("[[builder]]\nname = \"x\"\nworkers = [\"w\"]\nstep = [{{ {parameters} }}]")
    };
    let texts = [
        ("[master]\ntitel = \"x\"".to_owned(), "/master"),
        ("[master]\ntitle = 5".to_owned(), "/master/title"),
        ("[[painter]]\nname = \"x\"".to_owned(), ""),
        ("[[builder]]\nname = \"x\"".to_owned(), "/builder/1"),
        (
            "[[scheduler]]\nname = \"n\"\nuse = \"nightly\"\nbuilders = [\"b\"]".to_owned(),
            "/scheduler/0",
        ),
        (
            "[[reporter]]\nname = \"x\"\nuse = \"chat\"".to_owned(),
            "/reporter/0",
        ),
        (
            "[[reporter]]\nname = \"x\"\nuse = \"chat\"\nroom = \"x\"\nlines = \"{{ x }}\""
                .to_owned(),
            "/reporter/0",
        ),
        (
            "[[reporter]]\nuse = \"chat\"\nroom = \"x\"".to_owned(),
            "/reporter/0",
        ),
        (step("use = \"shell\""), "/builder/1/step/0"),
        (step("use = \"nothing\""), "/builder/1/step/0"),
        (
            step("use = \"shell\", command = \"make\", timeot_s = 5"),
            "/builder/1/step/0",
        ),
        (
            step("use = \"shell\", command = \"make\", always_run = 1"),
            "/builder/1/step/0",
        ),
        (
            step("use = \"git\", repository = \"x\", mode = \"half\""),
            "/builder/1/step/0",
        ),
        (
            "[[worker]]\nname = \"x\"\nkind = \"cloud\"".to_owned(),
            "/worker/1",
        ),
        (
            "[[lock]]\nname = \"x\"\nscope = \"farm\"".to_owned(),
            "/lock/1/scope",
        ),
    ];
    for (text, place) in texts {
        assert_eq!(error(&text).as_deref(), Some(place), "{text}");
    }
}

#[test]
fn keys_have_descriptions() {
    let schema = json_schema(&good_catalog());
    assert_eq!(
        schema["properties"]["worker"]["description"],
        "A machine, or a part of one, that runs builds."
    );
    let shell = &schema["$defs"]["step shell"]["properties"];
    assert_eq!(
        shell["command"]["description"],
        "A command line, or a program with its arguments."
    );
    assert!(shell["halt_on_failure"]["description"].is_string());
    assert_eq!(shell["use"], json!({ "const": "shell" }));
}

#[test]
fn a_farm_without_step_types_has_no_steps() {
    let validator = validator(&Catalog::new());
    assert!(validator.is_valid(&as_json(BASE)));
    let step = "[[builder]]\nname = \"x\"\nworkers = [\"w\"]\nstep = [{ use = \"shell\" }]";
    assert!(!validator.is_valid(&as_json(step)));
}
