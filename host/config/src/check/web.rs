//! `[web]`.

use super::Checker;
use crate::config::{MasterConfig, WebConfig};
use crate::raw::RawWeb;

impl Checker<'_, '_> {
    pub(super) fn web(&mut self, raw: RawWeb, _master: &MasterConfig) -> WebConfig {
        WebConfig {
            ui: self.ui(raw.ui, raw.ui_plugins, raw.ui_default_config),
        }
    }
}
