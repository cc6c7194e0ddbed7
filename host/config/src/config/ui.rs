//! Buildbot's own web interface.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value};

/// The keys of `[web]` that begin with `ui`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UiConfig {
    /// Where its packages are installed; `None` for our pages alone.
    pub dir: Option<PathBuf>,
    /// Its plugins by name with their settings; `None` for each that is installed, without settings.
    pub plugins: Option<BTreeMap<String, Map<String, Value>>>,
    /// What its settings are until somebody changes them in his browser, as `Group.name`.
    pub default_config: BTreeMap<String, Value>,
}
