//! `[web]`: the web server.

use super::UiConfig;

/// `[web]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WebConfig {
    /// What of Buildbot's own web interface is served.
    pub ui: UiConfig,
}
