//! `[web]`: the web server.

use std::sync::Arc;

use ipnet::IpNet;

use super::{AuthConfig, UiConfig};

/// `[web]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WebConfig {
    /// What of Buildbot's own web interface is served.
    pub ui: UiConfig,
    /// Who may do what; `None` when whoever reaches the web server may do everything.
    pub auth: Option<Arc<AuthConfig>>,
    /// Reverse proxies that are believed.
    pub proxies: Vec<IpNet>,
    /// Requests of one client in a second; `None` for no limit.
    pub requests_per_second: Option<u32>,
}
