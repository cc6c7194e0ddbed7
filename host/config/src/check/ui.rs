//! Buildbot's own web interface: the keys of `[web]` that begin with `ui`.

use super::{Checker, value};
use crate::config::UiConfig;
use crate::decode::{JsonObject, Keyed};
use crate::tree::At;

impl Checker<'_, '_> {
    pub(super) fn ui(
        &mut self,
        dir: Option<At<String>>,
        plugins: Option<At<Keyed<JsonObject>>>,
        default_config: Option<At<JsonObject>>,
    ) -> UiConfig {
        let of_plugins = plugins.as_ref().map(|plugins| plugins.span);
        let of_settings = default_config.as_ref().map(|settings| settings.span);
        if let (None, Some(span)) = (&dir, of_plugins.or(of_settings)) {
            self.report
                .at(span, "this says how `ui` is shown, but there is no `ui`")
                .help("add `ui = \"DIR\"`, the directory that buildbot-www is installed in");
        }
        for (name, (span, _)) in default_config.iter().flat_map(|settings| &settings.value.0) {
            let mut parts = name.split('.');
            let is_full = |part: Option<&str>| part.is_some_and(|part| !part.is_empty());
            if !(is_full(parts.next()) && is_full(parts.next()) && parts.next().is_none()) {
                self.report
                    .at(*span, format!("`{name}` is not the name of a setting"))
                    .help("write group and name, such as \"Home.max_recent_builds\"");
            }
        }
        let plugins = value(plugins).map(|plugins| {
            let plugins = plugins.0.into_iter();
            let settings = |(name, (_, settings)): (String, (_, At<JsonObject>))| {
                (name, settings.value.to_map())
            };
            plugins.map(settings).collect()
        });
        UiConfig {
            dir: dir.map(|dir| self.path(&dir.value)),
            plugins,
            default_config: value(default_config).unwrap_or_default().to_map(),
        }
    }
}
