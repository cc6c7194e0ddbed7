//! The force scheduler: a form that starts builds.

use serde_json::Value;

/// `use = "force"`.
#[derive(Debug, Clone, PartialEq)]
pub struct ForceConfig {
    /// Heading of the form.
    pub label: String,
    /// Text of its button.
    pub button: String,
    /// The reason of the build, asked for in the form.
    pub reason: ForceField,
    /// Who forces; asked for only where nobody is logged in.
    pub username: ForceField,
    /// What is asked about each codebase; at least one, the only one has an empty name.
    pub codebases: Vec<ForceCodebase>,
    /// Further fields, in the order of the form; each becomes a property.
    pub parameters: Vec<ForceParameter>,
}

/// A text field with a fixed meaning.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ForceField {
    /// Text beside it.
    pub label: String,
    /// What it holds at first.
    pub default: String,
    /// What it takes; empty for any text.
    pub choices: Vec<String>,
    /// Whether it must not be empty.
    pub required: bool,
    /// Whether the form leaves it out and the default counts.
    pub hidden: bool,
}

/// What is asked about one codebase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForceCodebase {
    /// Its name; empty for the only one.
    pub codebase: String,
    /// Branch; empty for the default one.
    pub branch: ForceField,
    /// Revision; empty for the newest.
    pub revision: ForceField,
    /// Repository.
    pub repository: ForceField,
    /// Project.
    pub project: ForceField,
    /// The patch, if it is asked for.
    pub patch: Option<ForcePatch>,
}

/// What is asked about the patch of a codebase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForcePatch {
    /// Heading of its fields.
    pub label: String,
    /// Whether there must be one.
    pub required: bool,
    /// A larger patch is not taken.
    pub bytes_max: u32,
    /// How many directories are stripped from the names of its files, at first.
    pub level: u32,
    /// Who wrote it.
    pub author: ForceField,
    /// What it is about.
    pub comment: ForceField,
    /// The directory that its files are in, relative to the source.
    pub subdir: ForceField,
}

/// A typed field of the form.
#[derive(Debug, Clone, PartialEq)]
pub struct ForceParameter {
    /// Name of the property; empty only for a nested group whose fields stand on their own.
    pub name: String,
    /// Text beside it.
    pub label: String,
    /// Text of its tab, if it is one.
    pub tab_label: String,
    /// Explanation shown on demand.
    pub tooltip: Option<String>,
    /// Whether it must have a value.
    pub required: bool,
    /// Whether the form leaves it out and the default counts.
    pub hidden: bool,
    /// What it holds at first; fits the kind, or is null for nothing.
    pub default: Value,
    /// What it takes.
    pub kind: ParameterKind,
}

/// What a field of the form takes.
#[derive(Debug, Clone, PartialEq)]
pub enum ParameterKind {
    /// One line of text.
    String {
        /// A regular expression that the whole value has to match.
        regex: Option<String>,
        /// Width of the field, characters.
        size: u32,
        /// A longer value is not taken, characters.
        chars_max: Option<u32>,
    },
    /// Several lines of text.
    Text {
        /// A regular expression that the whole value has to match.
        regex: Option<String>,
        /// Width of the field, characters.
        columns: u32,
        /// Height of the field, lines.
        rows: u32,
        /// A longer value is not taken, characters.
        chars_max: Option<u32>,
    },
    /// A whole number.
    Int {
        /// Smallest that is taken.
        min: Option<i64>,
        /// Largest that is taken.
        max: Option<i64>,
    },
    /// A tick box.
    Bool,
    /// One or several of a list.
    Choice {
        /// The list, without repetition.
        choices: Vec<String>,
        /// Whether several may be chosen; the value is a list then.
        multiple: bool,
        /// Whether nothing outside the list is taken.
        strict: bool,
    },
    /// A person, `Name <mail>`.
    Username {
        /// Whether the mail address must be there.
        need_email: bool,
    },
    /// The default, whatever is sent.
    Fixed,
    /// The name and the value of a property.
    Any,
    /// The contents of a file, as text.
    File {
        /// A larger file is not taken.
        bytes_max: u32,
    },
    /// A worker that the build has to run on, if one is chosen.
    Worker,
    /// A build whose parameters are taken over.
    Inherit {
        /// Builders whose builds it may be.
        builders: Vec<String>,
    },
    /// A group of fields.
    Nested {
        /// The fields; their values form an object under the group's name, or stand on their own if
        /// the group has none.
        fields: Vec<ForceParameter>,
        /// How they stand.
        layout: FormLayout,
        /// How many stand side by side; `None` leaves it to their number.
        columns: Option<u32>,
    },
}

/// How the fields of a group stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FormLayout {
    /// With a frame and the heading.
    #[default]
    Vertical,
    /// Without.
    Simple,
    /// Each field or group is a tab.
    Tabs,
}

impl FormLayout {
    /// The word for it in the configuration and the REST API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Vertical => "vertical",
            Self::Simple => "simple",
            Self::Tabs => "tabs",
        }
    }
}

impl ParameterKind {
    /// The word for it in the configuration and the REST API.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::String { .. } => "string",
            Self::Text { .. } => "text",
            Self::Int { .. } => "int",
            Self::Bool => "bool",
            Self::Choice { .. } => "choice",
            Self::Username { .. } => "username",
            Self::Fixed => "fixed",
            Self::Any => "any",
            Self::File { .. } => "file",
            Self::Worker => "worker",
            Self::Inherit { .. } => "inherit",
            Self::Nested { .. } => "nested",
        }
    }
}
