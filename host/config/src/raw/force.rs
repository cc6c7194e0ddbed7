//! The force scheduler and the fields of its form.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::decode::{
    ByteSize, Decode, Json, JsonObject, expected, raw_choice, raw_table, raw_words,
};
use crate::problem::Report;
use crate::tree::{At, Kind, Node};

raw_table! {
    /// A form that starts builds.
    RawForce("a force scheduler") {
        /// Unique name.
        name ! String,
        /// Builders that it offers.
        builders ! Vec<At<String>>,
        /// Heading of the form. Default: the name.
        label ? String,
        /// Text of its button. Default: the heading.
        button ? String,
        /// The reason of the build: a text, or a table for how it is asked.
        reason ? RawForceField,
        /// Who forces; asked for where nobody is logged in.
        username ? RawForceField,
        /// What is asked about each codebase. Default: the only one, with every field.
        codebases ? Vec<At<RawForceCodebase>>,
        /// Further fields, in the order of the form; each becomes a property.
        parameters ? Vec<At<RawParameter>>,
        /// Properties of its build sets.
        properties ? JsonObject,
    }
}

raw_table! {
    /// What is asked about one codebase. A text for a field is its default.
    RawForceCodebase("a codebase of a force scheduler") {
        /// Its name. Default: empty, for the only one.
        codebase ? String,
        /// Branch. Empty for the default one.
        branch ? RawForceField,
        /// Revision. Empty for the newest.
        revision ? RawForceField,
        /// Repository.
        repository ? RawForceField,
        /// Project.
        project ? RawForceField,
        /// A patch for it; `{}` for the usual fields. Default: it is not asked for.
        patch ? RawForcePatch,
    }
}

raw_table! {
    /// What is asked about the patch of a codebase.
    RawForcePatch("the patch of a codebase") {
        /// Heading of its fields. Default: "patch".
        label ? String,
        /// Whether there must be one. Default: false.
        required ? bool,
        /// A larger patch is not taken. Default and most: "512KiB".
        max_size ? ByteSize,
        /// How many directories are stripped from the names of its files, at first. Default: 1.
        level ? u32,
        /// Who wrote it.
        author ? RawForceField,
        /// What it is about.
        comment ? RawForceField,
        /// The directory that its files are in, relative to the source. Default: ".".
        subdir ? RawForceField,
    }
}

raw_table! {
    /// How a text field with a fixed meaning is asked.
    RawForceFieldTable("a field of a form") {
        /// Text beside it.
        label ? String,
        /// What it holds at first. Default: the first of `choices`, if there are any.
        default ? String,
        /// What it takes, and nothing else. Default: any text.
        choices ? Vec<At<String>>,
        /// Whether it must not be empty. Default: false.
        required ? bool,
        /// Whether the form leaves it out and the default counts. Default: false.
        hidden ? bool,
    }
}

/// A text, which is the default of the field, or a table.
#[derive(Debug, Default)]
pub(crate) struct RawForceField(pub(crate) RawForceFieldTable);

impl Decode for RawForceField {
    fn decode(node: Node, report: &mut Report<'_>) -> Option<Self> {
        let span = node.span;
        match node.kind {
            Kind::String(value) => Some(Self(RawForceFieldTable {
                default: Some(At { value, span }),
                ..RawForceFieldTable::default()
            })),
            Kind::Table(_) => RawForceFieldTable::decode(node, report).map(Self),
            _ => expected(&node, "a string or a table", report),
        }
    }
}

impl JsonSchema for RawForceField {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "ForceField".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<RawForceFieldTable>();
        json_schema!({ "anyOf": [{ "type": "string" }, table] })
    }
}

raw_choice! {
    /// A typed field of a form.
    RawParameter("a parameter") by "type" {
        "string" => String(RawStringParameter),
        "text" => Text(RawTextParameter),
        "int" => Int(RawIntParameter),
        "bool" => Bool(RawBoolParameter),
        "choice" => Choice(RawChoiceParameter),
        "username" => Username(RawUsernameParameter),
        "fixed" => Fixed(RawFixedParameter),
        "any" => Any(RawAnyParameter),
        "file" => File(RawFileParameter),
        "worker" => Worker(RawWorkerParameter),
        "inherit" => Inherit(RawInheritParameter),
        "nested" => Nested(RawNestedParameter),
    }
}

/// What every field of a form has.
#[derive(Debug, Default)]
pub(crate) struct RawParameterCommon {
    pub(crate) name: Option<At<String>>,
    pub(crate) label: Option<At<String>>,
    pub(crate) tab_label: Option<At<String>>,
    pub(crate) tooltip: Option<At<String>>,
    pub(crate) required: Option<At<bool>>,
    pub(crate) hidden: Option<At<bool>>,
    pub(crate) default: Option<At<Json>>,
}

/// A parameter with the keys that every one has.
macro_rules! raw_parameter {
    (
        $(#[doc = $doc:literal])*
        $name:ident ($what:literal) {
            $( $(#[doc = $field_doc:literal])* $field:ident $mark:tt $ty:ty ),* $(,)?
        }
    ) => {
        raw_table! {
            $(#[doc = $doc])*
            $name($what) {
                /// Name of the property that it sets.
                name ! String,
                /// Text beside it. Default: the name.
                label ? String,
                /// Text of its tab, in a group whose layout is "tabs". Default: the label.
                tab_label ? String,
                /// Explanation shown on demand.
                tooltip ? String,
                /// Whether it must have a value. Default: false.
                required ? bool,
                /// Whether the form leaves it out and the default counts. Default: false.
                hidden ? bool,
                /// What it holds at first.
                default ? Json,
                $( $(#[doc = $field_doc])* $field $mark $ty, )*
            }
        }

        impl $name {
            /// Takes out what every field of a form has.
            pub(crate) fn take_common(&mut self) -> RawParameterCommon {
                RawParameterCommon {
                    name: self.name.take(),
                    label: self.label.take(),
                    tab_label: self.tab_label.take(),
                    tooltip: self.tooltip.take(),
                    required: self.required.take(),
                    hidden: self.hidden.take(),
                    default: self.default.take(),
                }
            }
        }
    };
}

raw_parameter! {
    /// One line of text.
    RawStringParameter("a string parameter") {
        /// The whole value has to match this regular expression.
        regex ? String,
        /// Width of the field, characters. Default: 30.
        size ? u32,
        /// A longer value is not taken, characters. Default: no limit.
        max_length ? u32,
    }
}

raw_parameter! {
    /// Several lines of text.
    RawTextParameter("a text parameter") {
        /// The whole value has to match this regular expression.
        regex ? String,
        /// Width of the field, characters. Default: 80.
        columns ? u32,
        /// Height of the field, lines. Default: 6.
        rows ? u32,
        /// A longer value is not taken, characters. Default: no limit.
        max_length ? u32,
    }
}

raw_parameter! {
    /// A whole number.
    RawIntParameter("an int parameter") {
        /// Smallest that is taken.
        min ? i64,
        /// Largest that is taken.
        max ? i64,
    }
}

raw_parameter! {
    /// A tick box.
    RawBoolParameter("a bool parameter") {}
}

raw_parameter! {
    /// One or several of a list.
    RawChoiceParameter("a choice parameter") {
        /// The list.
        choices ! Vec<At<String>>,
        /// Whether several may be chosen. Default: false.
        multiple ? bool,
        /// Whether nothing outside the list is taken. Default: true.
        strict ? bool,
    }
}

raw_parameter! {
    /// A person, as `Name <mail>`.
    RawUsernameParameter("a username parameter") {
        /// Whether the mail address must be there. Default: true.
        need_email ? bool,
    }
}

raw_parameter! {
    /// A value that nobody can change; the form does not show it.
    RawFixedParameter("a fixed parameter") {}
}

raw_table! {
    /// Any property: the form asks for its name and its value.
    RawAnyParameter("an any parameter") {
        /// Name of the pair of fields; its values are sent as `NAME_name` and `NAME_value`.
        name ! String,
        /// Heading of the pair.
        label ? String,
        /// Text of its tab, in a group whose layout is "tabs". Default: the label.
        tab_label ? String,
        /// Explanation shown on demand.
        tooltip ? String,
        /// Whether the form leaves it out. Default: false.
        hidden ? bool,
    }
}

raw_parameter! {
    /// The contents of a file, as text.
    RawFileParameter("a file parameter") {
        /// A larger file is not taken. Default and most: "512KiB".
        max_size ? ByteSize,
    }
}

raw_parameter! {
    /// A worker of the builder, or "-any-". A build that somebody chose a worker for runs there and nowhere else.
    RawWorkerParameter("a worker parameter") {}
}

raw_parameter! {
    /// An earlier build, as `BUILDER/NUMBER`, whose parameters are taken over.
    RawInheritParameter("an inherit parameter") {
        /// Builders whose successful builds are offered.
        builders ! Vec<At<String>>,
    }
}

raw_words! {
    /// How the fields of a group stand.
    ParameterLayout {
        "vertical" => Vertical,
        "simple" => Simple,
        "tabs" => Tabs,
    }
}

raw_table! {
    /// A group of fields.
    RawNestedParameter("a nested parameter") {
        /// Name of the property that holds the values as an object. Default: none, and each field is a
        /// property.
        name ? String,
        /// Heading of the group.
        label ? String,
        /// Text of its tab, in a group whose layout is "tabs". Default: the label.
        tab_label ? String,
        /// "vertical": with a frame and the heading. "simple": without. "tabs": each field or group is a tab. Default: "vertical".
        layout ? ParameterLayout,
        /// Fields that stand side by side, 1 to 4. Default: 2 for four fields or more, otherwise 1.
        columns ? u32,
        /// The fields.
        fields ! Vec<At<RawParameter>>,
    }
}
