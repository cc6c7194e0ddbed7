//! What would change if a configuration took the place of another.
//!
//! Compares field by field, says it for people and for machines, and does nothing. Invariant: a plan is
//! empty exactly when the configurations are equal.

mod facts;
mod mask;
mod steps;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use crate::config::Config;
use crate::render::Paint;
use facts::Facts;
use mask::mask;

/// Settings of the master that are read once, when it starts.
pub const RESTART_FIELDS: [&str; 9] = [
    "name",
    "listen",
    "database_url",
    "object_dir",
    "plugin_dir",
    "limits.log_line_size_max",
    "plugins.memory_mib",
    "plugins.calls",
    "plugins.threads",
];

/// A value is shown up to this length.
const VALUE_CHARS_MAX: usize = 72;

/// Everything that would change.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// By kind, then by name.
    pub items: Vec<PlannedItem>,
}

/// One thing that is added, changed or removed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedItem {
    /// What it is.
    pub kind: ItemKind,
    /// Its name; empty for the master.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What becomes of it.
    #[serde(flatten)]
    pub action: Action,
}

/// Parts of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemKind {
    /// The master itself.
    Master,
    /// Grants and limits of a plugin.
    Plugin,
    /// Where a secret is found.
    Secret,
    /// The mail server.
    Mail,
    /// The web server.
    Web,
    /// A lock.
    Lock,
    /// Where workers from elsewhere connect.
    WorkerPort,
    /// A worker.
    Worker,
    /// A project.
    Project,
    /// A change source.
    ChangeSource,
    /// A builder.
    Builder,
    /// A scheduler.
    Scheduler,
    /// A reporter.
    Reporter,
}

/// What becomes of a thing.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "action", content = "fields")]
pub enum Action {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// Some of its settings are others.
    Changed(Vec<FieldChange>),
}

/// A setting that becomes another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldChange {
    /// The setting, as it is called in the configuration.
    pub field: String,
    /// What it is; null for nothing.
    pub old: Value,
    /// What it becomes; null for nothing.
    pub new: Value,
    /// Whether it takes effect only when the master is started again.
    pub needs_restart: bool,
}

/// Compares the running configuration with the wanted one.
#[must_use]
pub fn diff(running: &Config, wanted: &Config) -> Plan {
    let mut items = Vec::new();
    let mut master = changed_fields(&*running.master, &*wanted.master);
    for change in &mut master {
        change.needs_restart = RESTART_FIELDS.contains(&change.field.as_str());
    }
    if !master.is_empty() {
        items.push(PlannedItem {
            kind: ItemKind::Master,
            name: String::new(),
            action: Action::Changed(master),
        });
    }
    compare(
        &mut items,
        ItemKind::Plugin,
        &running.plugins,
        &wanted.plugins,
    );
    compare(
        &mut items,
        ItemKind::Secret,
        &running.secrets,
        &wanted.secrets,
    );
    compare(
        &mut items,
        ItemKind::Mail,
        &by_no_name(running.mail.as_ref()),
        &by_no_name(wanted.mail.as_ref()),
    );
    let web = changed_fields(&*running.web, &*wanted.web);
    if !web.is_empty() {
        items.push(PlannedItem {
            kind: ItemKind::Web,
            name: String::new(),
            action: Action::Changed(web),
        });
    }
    compare(&mut items, ItemKind::Lock, &running.locks, &wanted.locks);
    let mut port = changed_fields(&*running.worker_port, &*wanted.worker_port);
    for change in &mut port {
        change.needs_restart = change.field != "path";
    }
    if !port.is_empty() {
        items.push(PlannedItem {
            kind: ItemKind::WorkerPort,
            name: String::new(),
            action: Action::Changed(port),
        });
    }
    compare(
        &mut items,
        ItemKind::Worker,
        &running.workers,
        &wanted.workers,
    );
    compare(
        &mut items,
        ItemKind::Project,
        &running.projects,
        &wanted.projects,
    );
    compare(
        &mut items,
        ItemKind::ChangeSource,
        &running.change_sources,
        &wanted.change_sources,
    );
    compare(
        &mut items,
        ItemKind::Builder,
        &running.builders,
        &wanted.builders,
    );
    compare(
        &mut items,
        ItemKind::Scheduler,
        &running.schedulers,
        &wanted.schedulers,
    );
    compare(
        &mut items,
        ItemKind::Reporter,
        &running.reporters,
        &wanted.reporters,
    );
    Plan { items }
}

/// What there is one of at most, as [`compare`] takes it.
fn by_no_name<T>(only: Option<&Arc<T>>) -> BTreeMap<String, Arc<T>> {
    only.map(|only| (String::new(), Arc::clone(only)))
        .into_iter()
        .collect()
}

fn compare<T: Facts + PartialEq>(
    items: &mut Vec<PlannedItem>,
    kind: ItemKind,
    running: &BTreeMap<String, Arc<T>>,
    wanted: &BTreeMap<String, Arc<T>>,
) {
    let mut names: Vec<&String> = running.keys().chain(wanted.keys()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let action = match (running.get(name), wanted.get(name)) {
            (None, _) => Action::Added,
            (_, None) => Action::Removed,
            (Some(old), Some(new)) => match changed_fields(&**old, &**new) {
                fields if fields.is_empty() => continue,
                fields => Action::Changed(fields),
            },
        };
        items.push(PlannedItem {
            kind,
            name: name.clone(),
            action,
        });
    }
}

fn changed_fields<T: Facts + PartialEq>(old: &T, new: &T) -> Vec<FieldChange> {
    if old == new {
        return Vec::new();
    }
    let mut changes = field_changes(old.facts(), new.facts());
    changes.extend(old.inner_changes(new));
    changes
}

/// The facts that differ, in the order of the old ones, then those that are only new.
fn field_changes(old: facts::FactList, new: facts::FactList) -> Vec<FieldChange> {
    let mut new: BTreeMap<String, Value> = new.into_iter().collect();
    let mut changes = Vec::new();
    let mut add = |field: String, old: Value, new: Value| {
        if old != new {
            changes.push(FieldChange::new(field, old, new));
        }
    };
    for (field, old) in old {
        let new = new.remove(&field).unwrap_or_default();
        add(field, old, new);
    }
    for (field, new) in new {
        add(field, Value::Null, new);
    }
    changes
}

impl FieldChange {
    /// The values are compared before; what is kept of them shows no password.
    fn new(field: String, old: Value, new: Value) -> Self {
        Self {
            field,
            old: mask(old),
            new: mask(new),
            needs_restart: false,
        }
    }
}

impl Plan {
    /// For machines: `items`, and the names of the settings that need a restart.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let restart: Vec<&str> = self
            .restart_fields()
            .map(|change| change.field.as_str())
            .collect();
        json!({ "items": self.items, "needs_restart": restart })
    }

    /// Whether nothing would change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Settings that take effect only when the master is started again.
    pub fn restart_fields(&self) -> impl Iterator<Item = &FieldChange> {
        self.items
            .iter()
            .flat_map(|item| match &item.action {
                Action::Changed(fields) => fields.as_slice(),
                Action::Added | Action::Removed => &[],
            })
            .filter(|change| change.needs_restart)
    }

    /// For people.
    #[must_use]
    pub fn render(&self, paint: Paint) -> String {
        if self.is_empty() {
            return "nothing changes\n".into();
        }
        let mut out = String::new();
        for item in &self.items {
            render_item(&mut out, item, paint);
        }
        let count = |wanted: fn(&Action) -> bool| {
            self.items
                .iter()
                .filter(|item| wanted(&item.action))
                .count()
        };
        out.push_str(&format!(
            "\n{} to add, {} to change, {} to remove\n",
            count(|action| matches!(action, Action::Added)),
            count(|action| matches!(action, Action::Changed(_))),
            count(|action| matches!(action, Action::Removed)),
        ));
        let restart: Vec<&str> = self
            .restart_fields()
            .map(|change| change.field.as_str())
            .collect();
        if !restart.is_empty() {
            let message = format!("not before a restart of the master: {}", restart.join(", "));
            out.push_str(&paint.wrap(WARNING, &message));
            out.push('\n');
        }
        out
    }
}

const ADDED: &str = "\x1b[32m";
const REMOVED: &str = "\x1b[31m";
const CHANGED: &str = "\x1b[33m";
const WARNING: &str = "\x1b[1;33m";

fn render_item(out: &mut String, item: &PlannedItem, paint: Paint) {
    let (sign, colour) = match item.action {
        Action::Added => ("+", ADDED),
        Action::Removed => ("-", REMOVED),
        Action::Changed(_) => ("~", CHANGED),
    };
    let name = match item.name.as_str() {
        "" => String::new(),
        name => format!(" {name}"),
    };
    out.push_str(&paint.wrap(colour, &format!("{sign} {}{name}", item.kind)));
    out.push('\n');
    if let Action::Changed(fields) = &item.action {
        for change in fields {
            let restart = match change.needs_restart {
                true => paint.wrap(WARNING, " (needs a restart)"),
                false => String::new(),
            };
            let what = match change.old == change.new {
                // What differs is masked.
                true => "another password".to_owned(),
                false => format!("{} -> {}", short(&change.old), short(&change.new)),
            };
            out.push_str(&format!("    {}: {what}{restart}\n", change.field));
        }
    }
}

/// A value on part of a line.
fn short(value: &Value) -> String {
    let text = match value {
        Value::Null => return "none".into(),
        value => value.to_string(),
    };
    if text.chars().count() <= VALUE_CHARS_MAX {
        return text;
    }
    let front: String = text.chars().take(VALUE_CHARS_MAX).collect();
    format!("{front}…")
}

impl fmt::Display for ItemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Master => "master",
            Self::Plugin => "plugin",
            Self::Secret => "secret",
            Self::Mail => "mail",
            Self::Web => "web server",
            Self::Lock => "lock",
            Self::WorkerPort => "port of workers",
            Self::Worker => "worker",
            Self::Project => "project",
            Self::ChangeSource => "change source",
            Self::Builder => "builder",
            Self::Scheduler => "scheduler",
            Self::Reporter => "reporter",
        })
    }
}

/// The same as [`Plan::render`] without colour.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Paint::Plain))
    }
}
