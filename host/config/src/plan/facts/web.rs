//! The web server.

use super::{FactList, Facts, ui};
use crate::config::WebConfig;

impl Facts for WebConfig {
    fn facts(&self) -> FactList {
        let Self { ui } = self;
        ui::ui(ui)
    }
}
