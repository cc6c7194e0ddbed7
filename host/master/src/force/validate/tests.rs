use serde_json::json;
use toolpost_config::config::{
    ForceCodebase, ForceConfig, ForceField, ForceParameter, ForcePatch, FormLayout, ParameterKind,
};

use super::*;

fn field(name: &str, kind: ParameterKind, default: Value) -> ForceParameter {
    ForceParameter {
        name: name.into(),
        label: String::new(),
        tab_label: String::new(),
        tooltip: None,
        required: false,
        hidden: false,
        default,
        kind,
    }
}

fn form(codebases: &[&str], parameters: Vec<ForceParameter>) -> ForceForm {
    let text = ForceField::default();
    let branch = ForceField {
        default: "main".into(),
        ..ForceField::default()
    };
    let codebases = codebases.iter().map(|name| ForceCodebase {
        codebase: (*name).into(),
        branch: branch.clone(),
        revision: text.clone(),
        repository: text.clone(),
        project: text.clone(),
        patch: Some(ForcePatch {
            label: PATCH.into(),
            required: false,
            bytes_max: 200,
            level: 1,
            author: text.clone(),
            comment: text.clone(),
            subdir: ForceField {
                default: ".".into(),
                ..text.clone()
            },
        }),
    });
    let config = ForceConfig {
        label: "f".into(),
        button: "go".into(),
        reason: text.clone(),
        username: text.clone(),
        codebases: codebases.collect(),
        parameters,
    };
    ForceForm::new("f", &["b".into()], &config, &["w".into()])
}

fn check(form: &ForceForm, sent: &Value) -> Result<Forced, FieldErrors> {
    validate(form, Some("ada"), sent.as_object().unwrap())
}

/// The value of the only parameter, or its message.
fn value(parameter: ForceParameter, sent: &Value) -> Result<Value, String> {
    let name = parameter.name.clone();
    match check(&form(&[""], vec![parameter]), sent) {
        Ok(forced) => Ok(forced.properties.get(&name).cloned().unwrap()),
        Err(errors) => Err(errors.into_values().collect::<Vec<_>>().join("; ")),
    }
}

fn int() -> ForceParameter {
    let kind = ParameterKind::Int {
        min: Some(1),
        max: Some(5),
    };
    field("p", kind, json!(2))
}

fn string() -> ForceParameter {
    let regex = Some("a+".into());
    let kind = ParameterKind::String {
        regex,
        size: 30,
        chars_max: Some(4),
    };
    field("p", kind, json!("a"))
}

fn any_string() -> ParameterKind {
    ParameterKind::String {
        regex: None,
        size: 30,
        chars_max: None,
    }
}

fn file() -> ParameterKind {
    ParameterKind::File { bytes_max: 5 }
}

fn inherited() -> ParameterKind {
    let builders = vec!["b".to_owned()];
    ParameterKind::Inherit { builders }
}

fn several() -> ForceParameter {
    let kind = ParameterKind::Choice {
        choices: vec!["x".into(), "y".into()],
        multiple: true,
        strict: true,
    };
    field("p", kind, json!(["x"]))
}

fn person() -> ForceParameter {
    field("p", ParameterKind::Username { need_email: true }, json!(""))
}

fn flag() -> ForceParameter {
    field("p", ParameterKind::Bool, json!(true))
}

#[test]
fn each_kind_takes_what_it_says() {
    let mail = "Ada <ada@example.org>";
    let table = [
        (int(), json!({}), json!(2)),
        (int(), json!({"p": " 3 "}), json!(3)),
        (int(), json!({"p": [4]}), json!(4)),
        (string(), json!({"p": "aaa"}), json!("aaa")),
        (string(), json!({"p": "  "}), json!("a")),
        (flag(), json!({"p": "off"}), json!(false)),
        (flag(), json!({}), json!(true)),
        (several(), json!({"p": ["y", "x"]}), json!(["y", "x"])),
        (several(), json!({"p": []}), json!(["x"])),
        (person(), json!({"p": mail}), json!(mail)),
        (
            field("p", ParameterKind::Fixed, json!([1])),
            json!({"p": "x"}),
            json!([1]),
        ),
        (
            field("p", file(), json!("")),
            json!({"p": "a\nb\n"}),
            json!("a\nb\n"),
        ),
        (
            field("p", ParameterKind::Worker, json!("")),
            json!({"p": "w"}),
            json!("w"),
        ),
        (
            field("p", inherited(), json!("")),
            json!({"p": "a/b/7 (old)"}),
            json!("a/b/7"),
        ),
    ];
    for (parameter, sent, expected) in table {
        assert_eq!(value(parameter, &sent), Ok(expected), "{sent}");
    }
}

#[test]
fn what_does_not_fit_is_told() {
    let table = [
        (int(), json!({"p": 0}), "`p` is at least 1"),
        (int(), json!({"p": 6}), "`p` is at most 5"),
        (int(), json!({"p": 1.5}), "`p` takes a whole number"),
        (int(), json!({"p": [1, 2]}), "`p` takes one value"),
        (string(), json!({"p": "ab"}), "`p` has to match `a+`"),
        (string(), json!({"p": {"x": 1}}), "`p` takes text"),
        (
            string(),
            json!({"p": "aaaaa"}),
            "`p` has 5 characters, and takes at most 4",
        ),
        (
            field("p", file(), json!("")),
            json!({"p": "äöü"}),
            "`p` has 6 bytes, and takes at most 5",
        ),
        (
            field("p", ParameterKind::Worker, json!("")),
            json!({"p": "other"}),
            "there is no worker `other` for these builders",
        ),
        (
            field("p", inherited(), json!("")),
            json!({"p": "b/seven"}),
            "`b/seven` is not a build: write `BUILDER/NUMBER`",
        ),
        (
            field("p", ParameterKind::Any, json!(null)),
            json!({"p_name": "a b", "p_value": "c"}),
            "a name of a property has letters, digits and `_ . - / ~ :`",
        ),
        (flag(), json!({"p": "perhaps"}), "`p` is true or false"),
        (several(), json!({"p": ["z"]}), "`z` is not one of `x`, `y`"),
        (
            person(),
            json!({"p": "Ada"}),
            "write it as `Name <name@example.org>`",
        ),
    ];
    for (parameter, sent, expected) in table {
        assert_eq!(value(parameter, &sent), Err(expected.into()), "{sent}");
    }
}

#[test]
fn required_and_hidden_fields_keep_their_word() {
    let mut required = field("p", any_string(), json!(""));
    required.required = true;
    let refused = value(required, &json!({"p": ""}));
    assert_eq!(refused, Err("`p` needs a value".into()));
    let mut hidden = field("p", any_string(), json!("fixed"));
    hidden.hidden = true;
    assert_eq!(value(hidden, &json!({"p": "other"})), Ok(json!("fixed")));
}

#[test]
fn groups_and_codebases_have_names_of_their_own() {
    let any = ParameterKind::Int {
        min: None,
        max: None,
    };
    let fields = vec![field("x", any, json!(0))];
    let group = |name| {
        let fields = fields.clone();
        let kind = ParameterKind::Nested {
            fields,
            layout: FormLayout::Tabs,
            columns: None,
        };
        field(name, kind, json!(null))
    };
    let form = form(&["lib", "app"], vec![group("g"), group("")]);
    let sent = json!({"g_x": 1, "x": 2, "lib_branch": "dev", "app_revision": "abc"});
    let forced = check(&form, &sent).unwrap();
    assert_eq!(forced.properties.get("g"), Some(&json!({"x": 1})));
    assert_eq!(forced.properties.get("x"), Some(&json!(2)));
    let stamps: Vec<_> = forced
        .sourcestamps
        .iter()
        .map(|s| {
            (
                s.codebase.as_str(),
                s.branch.as_deref(),
                s.revision.as_deref(),
            )
        })
        .collect();
    let expected = [
        ("lib", Some("dev"), None),
        ("app", Some("main"), Some("abc")),
    ];
    assert_eq!(stamps, expected);
}

#[test]
fn a_patch_belongs_to_its_codebase() {
    let form = form(&["lib", "app"], Vec::new());
    let body = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b \n";
    let sent = json!({"app_patch_body": body, "app_patch_level": "0", "app_patch_author": " Ada "});
    let forced = check(&form, &sent).unwrap();
    let patch = Patch {
        level: 0,
        body: body.into(),
        author: "Ada".into(),
        comment: String::new(),
        subdir: ".".into(),
    };
    assert_eq!(forced.patches, [("app".to_owned(), patch)].into());
    let empty = json!({"app_patch_body": " ", "app_patch_comment": "for nothing"});
    assert_eq!(check(&form, &empty).unwrap().patches, BTreeMap::new());

    let long = format!("{body}{}", "-- ".repeat(60));
    let table = [
        (
            json!({"lib_patch_body": "x"}),
            "lib_patch_body",
            "`body` is no unified diff (`diff -u`, `git diff`)",
        ),
        (
            json!({"lib_patch_body": long}),
            "lib_patch_body",
            "`body` has 215 bytes, and takes at most 200",
        ),
        (
            json!({"lib_patch_body": body, "lib_patch_level": -1}),
            "lib_patch_level",
            "`level` is at least 0",
        ),
        (
            json!({"lib_patch_body": body, "lib_patch_subdir": "a/../.."}),
            "lib_patch_subdir",
            "`lib_patch_subdir` leads out of the source: it may not have `..`",
        ),
    ];
    for (sent, name, message) in table {
        let expected = Err([(name.to_owned(), message.to_owned())].into());
        assert_eq!(check(&form, &sent), expected, "{sent}");
    }
}

#[test]
fn a_property_of_any_name_and_nobody_in_particular() {
    let any = field("extra", ParameterKind::Any, json!(null));
    let worker = field("workername", ParameterKind::Worker, json!(""));
    let form = form(&[""], vec![any, worker]);
    let sent = json!({"extra_name": "level", "extra_value": "7", "workername": "-any-"});
    let forced = check(&form, &sent).unwrap();
    assert_eq!(forced.properties.get("level"), Some(&json!("7")));
    assert_eq!(forced.properties.get("extra"), None);
    assert_eq!(forced.properties.get("workername"), None);
    let nothing = check(&form, &json!({})).unwrap();
    assert_eq!(nothing.properties.len(), 2, "{:?}", nothing.properties);
}

#[test]
fn who_is_logged_in_is_the_owner() {
    let form = form(&[""], Vec::new());
    let sent = json!({"username": "eve", "reason": " because ", "priority": "7"});
    let sent = sent.as_object().unwrap();
    let forced = validate(&form, Some("ada"), sent).unwrap();
    let said = (
        forced.owner.as_str(),
        forced.reason.as_str(),
        forced.priority,
    );
    assert_eq!(said, ("ada", "because", 7));
    assert_eq!(validate(&form, None, sent).unwrap().owner, "eve");
}
