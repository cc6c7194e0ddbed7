//! The web server.

use super::{FactList, Facts, auth, fact, ui};
use crate::config::WebConfig;

impl Facts for WebConfig {
    fn facts(&self) -> FactList {
        let Self {
            ui,
            auth: rules,
            proxies,
            requests_per_second,
        } = self;
        let mut facts = ui::ui(ui);
        let proxies: Vec<String> = proxies.iter().map(ToString::to_string).collect();
        facts.push(fact("proxies", proxies));
        facts.push(fact("requests_per_second", *requests_per_second));
        if let Some(rules) = rules {
            facts.extend(auth::facts(rules));
        }
        facts
    }
}
