//! Schemas come from plugins; none of them may take the process down or keep it busy.

use insta::assert_snapshot;
use serde_json::{Map, Value, json};
use toolpost_config::ParametersSchema;
use toolpost_core::PluginKind;

fn verdict(schema: &Value, parameters: &Value) -> String {
    let schema = match ParametersSchema::compile(schema) {
        Ok(schema) => schema,
        Err(error) => return error.to_string(),
    };
    let problems = schema.check(PluginKind::Step, parameters.as_object().expect("an object"));
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    format!("[{}]", texts.join("; "))
}

#[test]
fn a_schema_that_is_itself() {
    let verdict = |schema: Value| verdict(&schema, &json!({ "a": 1 }));
    assert_snapshot!(verdict(json!({ "type": "object", "$ref": "#" })), @"`#` refers to itself for the same value, so that checking would never end");
    assert_snapshot!(verdict(json!({ "type": "object", "not": { "if": { "$ref": "#" } } })), @"`#` refers to itself for the same value, so that checking would never end");
    assert_snapshot!(
        verdict(json!({
            "type": "object",
            "properties": { "a": { "$ref": "#/$defs/x" } },
            "$defs": { "x": { "$ref": "#/$defs/y" }, "y": { "anyOf": [{ "$ref": "#/$defs/x" }] } },
        })),
        @"`#/$defs/x` refers to itself for the same value, so that checking would never end"
    );
}

/// Each definition refers to all others, for the same value or for one inside of it.
fn clique(refer: impl Fn(Value) -> Value) -> Value {
    let names: Vec<String> = (0..12).map(|number| format!("x{number}")).collect();
    let definitions: Map<String, Value> = names
        .iter()
        .map(|name| {
            let others = names.iter().filter(|other| *other != name);
            let all = others.map(|other| json!({ "$ref": format!("#/$defs/{other}") }));
            (name.clone(), refer(Value::Array(all.collect())))
        })
        .collect();
    json!({ "type": "object", "allOf": [{ "$ref": "#/$defs/x0" }], "$defs": definitions })
}

#[test]
fn a_clique_of_definitions() {
    let same_value = clique(|all| json!({ "allOf": all }));
    assert_snapshot!(verdict(&same_value, &json!({ "a": 1 })), @"`#/$defs/x0` refers to itself for the same value, so that checking would never end");
    let inside = clique(|all| json!({ "properties": { "a": { "oneOf": all } } }));
    assert_snapshot!(verdict(&inside, &json!({ "a": { "a": 1 } })), @"[`a.a`: 1 has more than one meaning here]");
    let deep = json!({ "a": { "a": { "a": { "a": { "a": { "a": 1 } } } } } });
    assert_snapshot!(verdict(&inside, &deep), @"[nested more than 4 levels deep]");
}

#[test]
fn a_tree_is_a_good_schema() {
    let tree = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string" },
            "children": { "type": "array", "items": { "$ref": "#" } },
        },
        "additionalProperties": false,
    });
    let leaf = |_| json!({ "name": "x" });
    let nested = (0..50).map(leaf).reduce(|child, mut parent| {
        parent["children"] = json!([child]);
        parent
    });
    assert_snapshot!(verdict(&tree, &nested.expect("a tree")), @"[]");
    assert_snapshot!(verdict(&tree, &json!({ "children": [{ "nam": 1 }] })), @"[`children.0`: unknown parameter `nam`]");
}

#[test]
fn a_schema_that_doubles_with_every_line() {
    let verdicts = ["allOf", "anyOf", "oneOf"].map(|keyword| {
        let mut definitions = Map::new();
        for level in 0..60 {
            let next = json!({ "$ref": format!("#/$defs/x{}", level + 1) });
            definitions.insert(format!("x{level}"), json!({ keyword: [next, next] }));
        }
        definitions.insert("x60".into(), json!({ "type": "string" }));
        let schema = json!({
            "type": "object",
            "properties": { "a": { "$ref": "#/$defs/x0" } },
            "$defs": definitions,
        });
        verdict(&schema, &json!({ "a": 1 }))
    });
    assert_snapshot!(verdicts.join("\n"), @r#"
    checking would visit more than 100000 subschemas; refer to less from each definition
    checking would visit more than 100000 subschemas; refer to less from each definition
    checking would visit more than 100000 subschemas; refer to less from each definition
    "#);
}

#[test]
fn references_that_lead_out_of_the_schema() {
    let referring = |target: &str| {
        let schema = json!({ "type": "object", "properties": { "a": { "$ref": target } } });
        verdict(&schema, &json!({ "a": 1 }))
    };
    assert_snapshot!(referring("https://example.org/schema.json"), @"the schema has no `https://example.org/schema.json` to refer to; references stay within it, as `#/$defs/NAME`");
    assert_snapshot!(referring("file:///etc/passwd"), @"the schema has no `file:///etc/passwd` to refer to; references stay within it, as `#/$defs/NAME`");
    assert_snapshot!(referring("#/$defs/nothing"), @"the schema has no `#/$defs/nothing` to refer to; references stay within it, as `#/$defs/NAME`");
}

#[test]
fn references_of_every_kind_are_followed() {
    let schema = json!({
        "type": "object",
        "properties": { "a": { "$ref": "#/$defs/a%20b" }, "b": { "$ref": "#name" }, "c": { "$ref": "#/$defs/x~1y" } },
        "$defs": {
            "a b": { "type": "string" },
            "named": { "$anchor": "name", "type": "boolean" },
            "x/y": { "type": "integer" },
        },
    });
    assert_snapshot!(verdict(&schema, &json!({ "a": 1, "b": 1, "c": true })), @"[`a`: expected a string, found an integer; `b`: expected `true` or `false`, found an integer; `c`: expected an integer, found a boolean]");
}

#[test]
fn patterns_take_linear_time() {
    let slow = json!({ "type": "object", "properties": { "a": { "pattern": "^(a+)+$" } } });
    let text = format!("{}b", "a".repeat(50_000));
    assert!(verdict(&slow, &json!({ "a": text })).contains("does not match"));
    let backward = json!({ "type": "object", "properties": { "a": { "pattern": "(.)\\1" } } });
    assert_snapshot!(verdict(&backward, &json!({ "a": "aa" })), @r#"not a valid JSON Schema at `/properties/a/pattern`: "(.)\\1" is not a "regex""#);
}

#[test]
fn schemas_of_no_use() {
    assert_snapshot!(verdict(&json!({ "type": "string" }), &json!({})), @r#"the parameters of a step are an object, but the schema wants "string""#);
    assert_snapshot!(verdict(&json!(false), &json!({})), @"the parameters of a step are an object, but the schema wants false");
    assert_snapshot!(verdict(&json!([]), &json!({})), @"the parameters of a step are an object, but the schema wants []");
    assert_snapshot!(verdict(&json!({ "type": "object", "required": "a" }), &json!({})), @r#"not a valid JSON Schema at `/required`: "a" is not of type "array""#);
    assert_snapshot!(verdict(&json!({ "$schema": "https://example.org/own", "type": "object" }), &json!({})), @"not a valid JSON Schema at ``: Unknown meta-schema: 'https://example.org/own'. Custom meta-schemas must be registered in the registry before use");
    assert_snapshot!(verdict(&json!(true), &json!({ "a": 1 })), @"[]");
    assert_snapshot!(verdict(&json!({}), &json!({ "a": 1 })), @"[]");
}

#[test]
fn names_that_change_what_references_mean() {
    let inner = json!({ "type": "object", "$defs": { "x": { "$id": "urn:x" } } });
    assert_snapshot!(verdict(&inner, &json!({})), @"`urn:x` names a part of the schema, inside of it or twice; refer to parts as `#/$defs/NAME`");
    let twice =
        json!({ "type": "object", "$defs": { "x": { "$anchor": "n" }, "y": { "$anchor": "n" } } });
    assert_snapshot!(verdict(&twice, &json!({})), @"`n` names a part of the schema, inside of it or twice; refer to parts as `#/$defs/NAME`");
    let a_property =
        json!({ "type": "object", "properties": { "$id": { "type": "string" }, "$ref": true } });
    assert_snapshot!(verdict(&a_property, &json!({ "$id": "x" })), @"[]");
}
