//! The form of a force scheduler as data, for pages and for the REST API: which fields, with which
//! names, defaults and limits. Names and nesting are those of Buildbot's `forceschedulers` resource.

use serde_json::{Value, json};
use toolpost_config::{
    ForceCodebase, ForceConfig, ForceField, ForceParameter, ForcePatch, FormLayout, ParameterKind,
};
use toolpost_core::patch::PATCH_LEVEL_MAX;

/// A force scheduler with its form.
#[derive(Debug, Clone, PartialEq)]
pub struct ForceForm {
    /// Name of the scheduler.
    pub name: String,
    /// Heading.
    pub label: String,
    /// Text of the button.
    pub button: String,
    /// Names of the builders that it may start.
    pub builders: Vec<String>,
    /// Whether it is taken, as far as the configuration goes: people disable schedulers in the store.
    pub enabled: bool,
    /// Whether whoever sends it says which of them; a plugin decides by itself.
    pub chooses_builders: bool,
    /// Groups of fields: first who and why, then the codebases, then the parameters.
    pub fields: Vec<FormField>,
}

/// A field of a form, or a group of fields.
#[derive(Debug, Clone, PartialEq)]
pub struct FormField {
    /// Its own name.
    pub name: String,
    /// The name under which its value is sent: with the names of the groups around it, joined by `_`.
    pub full_name: String,
    /// Text beside it.
    pub label: String,
    /// Text of its tab, if it is one.
    pub tab_label: String,
    /// Explanation shown on demand.
    pub tooltip: String,
    /// What it holds at first.
    pub default: Value,
    /// Whether it must have a value.
    pub required: bool,
    /// Whether the form leaves it out.
    pub hidden: bool,
    /// What it takes.
    pub kind: FieldKind,
}

/// What a field takes.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldKind {
    /// One line of text; the whole of it must match the expression.
    Text {
        /// Regular expression.
        regex: Option<String>,
        /// Width, characters.
        size: u32,
        /// A longer value is not taken, characters.
        chars_max: Option<u32>,
    },
    /// Several lines of text.
    TextArea {
        /// Regular expression.
        regex: Option<String>,
        /// Width, characters.
        columns: u32,
        /// Height, lines.
        rows: u32,
        /// A longer value is not taken, characters.
        chars_max: Option<u32>,
    },
    /// Nothing: it is the default.
    Fixed,
    /// The contents of a file, as text.
    File {
        /// A larger file is not taken.
        bytes_max: u32,
    },
    /// A worker, or [`ANY_WORKER`].
    Worker {
        /// Those that there are, with that word first.
        choices: Vec<String>,
    },
    /// A build whose parameters are taken over, as `BUILDER/NUMBER`.
    Inherit {
        /// Builders whose builds it may be.
        builders: Vec<String>,
        /// Builds that are offered. Whoever shows the form fills them in.
        choices: Vec<String>,
    },
    /// The name and the value of a property.
    Any {
        /// `name` and `value`.
        fields: Vec<FormField>,
    },
    /// A whole number.
    Int {
        /// Smallest that is taken.
        min: Option<i64>,
        /// Largest that is taken.
        max: Option<i64>,
    },
    /// A number.
    Number {
        /// Smallest that is taken.
        min: Option<f64>,
        /// Largest that is taken.
        max: Option<f64>,
    },
    /// Any value, as JSON text.
    Json {
        /// Width, characters.
        columns: u32,
        /// Height, lines.
        rows: u32,
    },
    /// A tick box.
    Bool,
    /// One or several of a list.
    List {
        /// The list.
        choices: Vec<String>,
        /// Whether several may be chosen.
        multiple: bool,
        /// Whether nothing else is taken.
        strict: bool,
    },
    /// A person.
    Username {
        /// Whether a mail address must be there.
        need_email: bool,
    },
    /// A group.
    Nested {
        /// Its fields.
        fields: Vec<FormField>,
        /// How they stand.
        layout: FormLayout,
        /// How many stand side by side; `None` leaves it to their number.
        columns: Option<u32>,
    },
    /// A group that says what is built of one codebase.
    Codebase {
        /// Name of the codebase; empty for the only one.
        codebase: String,
        /// `branch`, `project`, `repository` and `revision`, and the group `patch` where it is asked for.
        fields: Vec<FormField>,
    },
}

impl FieldKind {
    /// Buildbot's word for it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Text { .. } | Self::Number { .. } => "text",
            Self::TextArea { .. } | Self::Json { .. } => "textarea",
            Self::Int { .. } => "int",
            Self::Bool => "bool",
            Self::Fixed => "fixed",
            Self::File { .. } => "file",
            Self::List { .. } | Self::Worker { .. } | Self::Inherit { .. } => "list",
            Self::Username { .. } => "username",
            Self::Nested { .. } | Self::Codebase { .. } | Self::Any { .. } => "nested",
        }
    }

    /// The fields of a group.
    #[must_use]
    pub fn fields(&self) -> &[FormField] {
        match self {
            Self::Nested { fields, .. } | Self::Codebase { fields, .. } | Self::Any { fields } => {
                fields
            }
            _ => &[],
        }
    }

    /// The fields of a group, to be changed.
    pub fn fields_mut(&mut self) -> &mut [FormField] {
        match self {
            Self::Nested { fields, .. } | Self::Codebase { fields, .. } | Self::Any { fields } => {
                fields
            }
            _ => &mut [],
        }
    }
}

/// Stands for any worker in a field that asks for one; Buildbot's word.
pub const ANY_WORKER: &str = "-any-";

/// Width of a field for one line of text, characters.
const TEXT_COLUMNS: u32 = 30;

/// Priorities that a form takes; far from the ends of what the store keeps.
const PRIORITY_ABS_MAX: i64 = 1_000_000;

impl ForceForm {
    /// The form of one scheduler.
    ///
    /// `workers` are those of its builders.
    pub(crate) fn new(
        name: &str,
        builders: &[String],
        config: &ForceConfig,
        workers: &[String],
    ) -> Self {
        let who_and_why = vec![
            FormField {
                kind: FieldKind::Username { need_email: false },
                ..fixed("username", "", &config.username)
            },
            fixed("reason", "", &config.reason),
            FormField {
                kind: FieldKind::Int {
                    min: Some(-PRIORITY_ABS_MAX),
                    max: Some(PRIORITY_ABS_MAX),
                },
                default: json!(0),
                label: "Priority".into(),
                ..fixed("priority", "", &ForceField::default())
            },
        ];
        let mut fields = vec![group("", "", nested(who_and_why))];
        fields.extend(config.codebases.iter().map(codebase));
        let parameters = config.parameters.iter();
        fields.extend(parameters.map(|field| parameter(field, "", workers)));
        Self {
            name: name.into(),
            label: config.label.clone(),
            button: config.button.clone(),
            builders: builders.to_vec(),
            enabled: true,
            chooses_builders: true,
            fields,
        }
    }
}

pub(super) fn join(parent: &str, name: &str) -> String {
    match (parent.is_empty(), name.is_empty()) {
        (false, false) => format!("{parent}_{name}"),
        (true, _) => name.into(),
        (false, true) => parent.into(),
    }
}

/// A group with the usual layout.
pub(super) fn nested(fields: Vec<FormField>) -> FieldKind {
    FieldKind::Nested {
        fields,
        layout: FormLayout::Vertical,
        columns: None,
    }
}

pub(super) fn group(name: &str, label: &str, kind: FieldKind) -> FormField {
    FormField {
        name: name.into(),
        full_name: name.into(),
        label: label.into(),
        tab_label: label.into(),
        tooltip: String::new(),
        default: Value::from(""),
        required: false,
        hidden: kind.fields().iter().all(|field| field.hidden),
        kind,
    }
}

pub(super) fn fixed(name: &str, parent: &str, field: &ForceField) -> FormField {
    FormField {
        name: name.into(),
        full_name: join(parent, name),
        label: field.label.clone(),
        tab_label: field.label.clone(),
        tooltip: String::new(),
        default: Value::from(field.default.clone()),
        required: field.required,
        hidden: field.hidden,
        kind: match field.choices.is_empty() {
            true => one_line(),
            false => FieldKind::List {
                choices: field.choices.clone(),
                multiple: false,
                strict: true,
            },
        },
    }
}

/// Any text of one line.
pub(super) fn one_line() -> FieldKind {
    FieldKind::Text {
        regex: None,
        size: TEXT_COLUMNS,
        chars_max: None,
    }
}

fn codebase(config: &ForceCodebase) -> FormField {
    let name = &config.codebase;
    let label = if name.is_empty() {
        String::new()
    } else {
        format!("Codebase: {name}")
    };
    let mut fields = vec![
        fixed("branch", name, &config.branch),
        fixed("project", name, &config.project),
        fixed("repository", name, &config.repository),
        fixed("revision", name, &config.revision),
    ];
    fields.extend(config.patch.as_ref().map(|config| patch(config, name)));
    let kind = FieldKind::Codebase {
        codebase: name.clone(),
        fields,
    };
    group(name, &label, kind)
}

/// Name of the group that asks for a patch; Buildbot's.
pub(super) const PATCH: &str = "patch";

/// Buildbot's fields for the patch of a codebase.
fn patch(config: &ForcePatch, codebase: &str) -> FormField {
    let parent = join(codebase, PATCH);
    let field = |name: &str| fixed(name, &parent, &ForceField::default());
    let fields = vec![
        FormField {
            kind: FieldKind::File {
                bytes_max: config.bytes_max,
            },
            required: config.required,
            label: "body".into(),
            ..field("body")
        },
        FormField {
            kind: FieldKind::Int {
                min: Some(0),
                max: Some(PATCH_LEVEL_MAX.into()),
            },
            default: json!(config.level),
            label: "level".into(),
            ..field("level")
        },
        fixed("author", &parent, &config.author),
        fixed("comment", &parent, &config.comment),
        fixed("subdir", &parent, &config.subdir),
    ];
    let kind = FieldKind::Nested {
        fields,
        layout: FormLayout::Vertical,
        columns: Some(1),
    };
    FormField {
        name: PATCH.into(),
        ..group(&parent, &config.label, kind)
    }
}

fn parameter(config: &ForceParameter, parent: &str, workers: &[String]) -> FormField {
    let full_name = join(parent, &config.name);
    let kind = match config.kind.clone() {
        ParameterKind::String {
            regex,
            size,
            chars_max,
        } => FieldKind::Text {
            regex,
            size,
            chars_max,
        },
        ParameterKind::Text {
            regex,
            columns,
            rows,
            chars_max,
        } => FieldKind::TextArea {
            regex,
            columns,
            rows,
            chars_max,
        },
        ParameterKind::Int { min, max } => FieldKind::Int { min, max },
        ParameterKind::Bool => FieldKind::Bool,
        ParameterKind::Choice {
            choices,
            multiple,
            strict,
        } => FieldKind::List {
            choices,
            multiple,
            strict,
        },
        ParameterKind::Username { need_email } => FieldKind::Username { need_email },
        ParameterKind::Fixed => FieldKind::Fixed,
        ParameterKind::File { bytes_max } => FieldKind::File { bytes_max },
        ParameterKind::Worker => FieldKind::Worker {
            choices: std::iter::once(ANY_WORKER.to_owned())
                .chain(workers.iter().cloned())
                .collect(),
        },
        ParameterKind::Inherit { builders } => FieldKind::Inherit {
            builders,
            choices: Vec::new(),
        },
        ParameterKind::Any => FieldKind::Any {
            fields: [("name", "Name"), ("value", "Value")]
                .map(|(name, label)| {
                    let field = ForceField {
                        label: label.into(),
                        ..ForceField::default()
                    };
                    fixed(name, &full_name, &field)
                })
                .into(),
        },
        ParameterKind::Nested {
            fields,
            layout,
            columns,
        } => FieldKind::Nested {
            fields: fields
                .iter()
                .map(|field| parameter(field, &full_name, workers))
                .collect(),
            layout,
            columns,
        },
    };
    let default = match &kind {
        FieldKind::Worker { .. } if config.default == "" => Value::from(ANY_WORKER),
        _ => config.default.clone(),
    };
    FormField {
        name: config.name.clone(),
        full_name,
        label: config.label.clone(),
        tab_label: config.tab_label.clone(),
        tooltip: config.tooltip.clone().unwrap_or_default(),
        default,
        required: config.required,
        hidden: config.hidden,
        kind,
    }
}
