//! Checks what somebody sent for a form and turns it into what a build set needs. Pure.
//!
//! Every field is checked, so that a person sees all mistakes at once.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use toolpost_core::Properties;
use toolpost_core::model::SourceStampSpec;
use toolpost_core::patch::Patch;

use super::form::{ANY_WORKER, FieldKind, ForceForm, FormField, PATCH};
use super::value::{is_blank, label, scalar};

/// Source of properties that came from a form, as Buildbot writes it.
pub(crate) const FORM_SOURCE: &str = "Force Build Form";

/// Messages by the full name of the field.
pub(crate) type FieldErrors = BTreeMap<String, String>;

/// What a form asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Forced {
    pub(crate) owner: String,
    pub(crate) reason: String,
    pub(crate) priority: i32,
    pub(crate) sourcestamps: Vec<SourceStampSpec>,
    /// By codebase.
    pub(crate) patches: BTreeMap<String, Patch>,
    pub(crate) properties: Properties,
    /// Builds whose parameters are taken over.
    pub(crate) inherited: Vec<Inherited>,
}

/// A build whose parameters are taken over: what was filled in, of which nothing is known yet but that it looks like a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inherited {
    /// The field, for what is wrong with it.
    pub(crate) full_name: String,
    /// Builders whose builds it may be.
    pub(crate) builders: Vec<String>,
    /// Name of the builder.
    pub(crate) builder: String,
    /// Number of the build.
    pub(crate) number: i64,
}

/// Reads the fields that were sent for this form.
///
/// `owner` is who is logged in, if anybody; otherwise the field `username` says who.
pub(crate) fn validate(
    form: &ForceForm,
    owner: Option<&str>,
    sent: &Map<String, Value>,
) -> Result<Forced, FieldErrors> {
    let mut reader = Reader::new(sent);
    let mut values = Map::new();
    let mut sourcestamps = Vec::new();
    let mut patches = BTreeMap::new();
    let mut about = Map::new();
    for (index, field) in form.fields.iter().enumerate() {
        match &field.kind {
            FieldKind::Nested { fields, .. } if index == 0 => {
                let asked = fields
                    .iter()
                    .filter(|field| field.name != "username" || owner.is_none());
                reader.group(asked, &mut about);
            }
            FieldKind::Codebase { codebase, fields } => {
                let mut stamp = Map::new();
                reader.group(fields, &mut stamp);
                if let Some(patch) = reader.patch(fields, &stamp) {
                    patches.insert(codebase.clone(), patch);
                }
                sourcestamps.push(source_stamp(codebase, &stamp));
            }
            _ => reader.field(field, &mut values),
        }
    }
    let inherited = reader.finish()?;
    let owner = owner.map_or_else(|| text(&about, "username"), str::to_owned);
    let reason = text(&about, "reason");
    let mut properties: Properties = Properties::new();
    for (name, value) in values {
        properties.set(name, value, FORM_SOURCE);
    }
    properties.set("reason", reason.clone(), FORM_SOURCE);
    properties.set("owner", owner.clone(), FORM_SOURCE);
    let priority = about.get("priority").and_then(Value::as_i64).unwrap_or(0);
    Ok(Forced {
        owner,
        reason,
        priority: i32::try_from(priority).unwrap_or(0),
        sourcestamps,
        patches,
        properties,
        inherited,
    })
}

fn text(values: &Map<String, Value>, name: &str) -> String {
    values
        .get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn source_stamp(codebase: &str, values: &Map<String, Value>) -> SourceStampSpec {
    let optional = |name| Some(text(values, name)).filter(|text| !text.is_empty());
    SourceStampSpec {
        codebase: codebase.into(),
        repository: text(values, "repository"),
        branch: optional("branch"),
        revision: optional("revision"),
        project: text(values, "project"),
        // It is stored together with the build set.
        patch: None,
    }
}

/// Reads fields, and keeps what is wrong with them.
pub(super) struct Reader<'a> {
    sent: &'a Map<String, Value>,
    errors: FieldErrors,
    inherited: Vec<Inherited>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(sent: &'a Map<String, Value>) -> Self {
        Self {
            sent,
            errors: FieldErrors::new(),
            inherited: Vec::new(),
        }
    }

    /// The builds whose parameters are taken over, if nothing is wrong.
    pub(super) fn finish(self) -> Result<Vec<Inherited>, FieldErrors> {
        match self.errors.is_empty() {
            true => Ok(self.inherited),
            false => Err(self.errors),
        }
    }

    /// The value of a field that is no group; `None` when something is wrong with it.
    pub(super) fn read(&mut self, field: &FormField) -> Option<Value> {
        match self.value(field) {
            Ok(value) => Some(value),
            Err(message) => {
                self.errors.insert(field.full_name.clone(), message);
                None
            }
        }
    }

    fn group<'f>(
        &mut self,
        fields: impl IntoIterator<Item = &'f FormField>,
        into: &mut Map<String, Value>,
    ) {
        for field in fields {
            self.field(field, into);
        }
    }

    /// The patch of a codebase, if there is one and nothing is wrong with it.
    fn patch(&mut self, fields: &[FormField], stamp: &Map<String, Value>) -> Option<Patch> {
        let group = fields.iter().find(|field| field.name == PATCH)?;
        let values = stamp.get(PATCH)?.as_object()?;
        // White space at its ends is part of it.
        let body = values.get("body")?.as_str()?;
        if body.is_empty() {
            return None;
        }
        let level = values.get("level").and_then(Value::as_i64).unwrap_or(1);
        let patch = Patch {
            level: u32::try_from(level).unwrap_or_default(),
            body: body.into(),
            author: text(values, "author"),
            comment: text(values, "comment"),
            subdir: text(values, "subdir"),
        };
        let fault = match patch.check() {
            Ok(()) => return Some(patch),
            Err(fault) => fault,
        };
        let field = group
            .kind
            .fields()
            .iter()
            .find(|field| field.name == fault.part);
        let (full_name, label) =
            field.map_or((PATCH, PATCH), |field| (&field.full_name, label(field)));
        let message = format!("`{label}` {}", fault.message);
        self.errors.entry(full_name.to_owned()).or_insert(message);
        None
    }

    /// Reads one field into `into`, under its own name; the fields of a group without a name go there
    /// directly.
    fn field(&mut self, field: &FormField, into: &mut Map<String, Value>) {
        match &field.kind {
            FieldKind::Nested { fields, .. } if field.name.is_empty() => self.group(fields, into),
            FieldKind::Nested { fields, .. } => {
                let mut values = Map::new();
                self.group(fields, &mut values);
                into.insert(field.name.clone(), Value::Object(values));
            }
            FieldKind::Any { fields } => self.any(field, fields, into),
            kind => {
                let Some(value) = self.read(field) else {
                    return;
                };
                match kind {
                    // Nobody was chosen.
                    FieldKind::Worker { .. } if value == ANY_WORKER || is_blank(&value) => {}
                    FieldKind::Inherit { builders, .. } => {
                        self.inherit(field, builders, &value, into);
                    }
                    _ => {
                        into.insert(field.name.clone(), value);
                    }
                }
            }
        }
    }

    /// A property by the name that was filled in, if one was.
    fn any(&mut self, field: &FormField, fields: &[FormField], into: &mut Map<String, Value>) {
        let mut pair = Map::new();
        if !field.hidden {
            self.group(fields, &mut pair);
        }
        let part = |name: &str| text(&pair, name);
        let (name, value) = (part("name"), part("value"));
        if name.is_empty() {
            return;
        }
        for (what, given) in [("name", &name), ("value", &value)] {
            if !given.chars().all(is_of_a_property) {
                let message =
                    format!("a {what} of a property has letters, digits and `_ . - / ~ :`");
                self.errors
                    .insert(format!("{}_{what}", field.full_name), message);
            }
        }
        into.insert(name, Value::from(value));
    }

    /// The build that was chosen, to be looked up by who can.
    fn inherit(
        &mut self,
        field: &FormField,
        builders: &[String],
        value: &Value,
        into: &mut Map<String, Value>,
    ) {
        let given = value.as_str().unwrap_or_default().trim();
        if given.is_empty() {
            return;
        }
        // The name of a builder may have slashes and spaces; after the number other words may follow.
        let found = given.rsplit_once('/').and_then(|(builder, rest)| {
            let number = rest.split(' ').next()?.parse().ok()?;
            Some((builder.to_owned(), number))
        });
        let Some((builder, number)) = found else {
            let message = format!("`{given}` is not a build: write `BUILDER/NUMBER`");
            self.errors.insert(field.full_name.clone(), message);
            return;
        };
        into.insert(field.name.clone(), format!("{builder}/{number}").into());
        self.inherited.push(Inherited {
            full_name: field.full_name.clone(),
            builders: builders.to_vec(),
            builder,
            number,
        });
    }

    fn value(&self, field: &FormField) -> Result<Value, String> {
        if field.kind == FieldKind::Fixed {
            return Ok(field.default.clone());
        }
        let several = matches!(field.kind, FieldKind::List { multiple: true, .. });
        // A field may be sent as a list of one, as older clients do.
        let given: Vec<&Value> = match self.sent.get(&field.full_name) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(values)) => values.iter().collect(),
            Some(value) => vec![value],
        };
        let given: Vec<&Value> = given.into_iter().filter(|value| !is_blank(value)).collect();
        if given.is_empty() || field.hidden {
            if field.required && is_blank(&field.default) {
                return Err(format!("`{}` needs a value", label(field)));
            }
            return Ok(field.default.clone());
        }
        if several {
            return given.iter().map(|value| scalar(field, value)).collect();
        }
        match given[..] {
            [value] => scalar(field, value),
            _ => Err(format!("`{}` takes one value", label(field))),
        }
    }
}

/// What Buildbot takes in names and values of properties that people make up.
fn is_of_a_property(c: char) -> bool {
    c.is_alphanumeric() || "_.-/~:".contains(c)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use toolpost_config::config::{
        ForceCodebase, ForceConfig, ForceField, ForceParameter, ForcePatch, FormLayout,
        ParameterKind,
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
        let sent =
            json!({"app_patch_body": body, "app_patch_level": "0", "app_patch_author": " Ada "});
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
}
