//! Buildbot's own web interface.

use serde_json::json;

use super::{FactList, fact};
use crate::config::UiConfig;

pub(super) fn ui(config: &UiConfig) -> FactList {
    let UiConfig {
        dir,
        plugins,
        default_config,
    } = config;
    vec![
        fact("ui", dir.as_ref().map(|dir| dir.display().to_string())),
        fact("ui_plugins", json!(plugins)),
        fact("ui_default_config", json!(default_config)),
    ]
}
