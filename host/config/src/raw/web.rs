//! `[web]`: the web server.

use super::auth::RawAuth;
use crate::decode::{JsonObject, Keyed, raw_table};
use crate::tree::At;

raw_table! {
    /// The web server: who is let in, what it serves beside its own pages, and how much one client may ask for.
    RawWeb("[web]") {
        /// Directory with the packages of Buildbot's own web interface, as `pip install --target DIR buildbot-www` makes it, or
        /// a virtual environment that has them. The interface is then at `/`, and Toolpost's own first page at `/home`.
        ui ? String,
        /// Plugins of that interface by name with their settings, such as `{ waterfall_view = {}, grid_view = {} }`. Default:
        /// each that is installed in `ui`.
        ui_plugins ? Keyed<JsonObject>,
        /// What the settings of that interface are until somebody changes them in his browser, such as
        /// `{ "Home.max_recent_builds" = 20 }`.
        ui_default_config ? JsonObject,
        /// Who people are and what they may do. Without it whoever reaches the web server may do everything.
        auth ? RawAuth,
        /// Addresses or networks of reverse proxies, such as "127.0.0.1" or "10.0.0.0/8". Only what these say about where a request
        /// comes from (`X-Forwarded-For`, `X-Forwarded-Proto`) and about who sent it is believed.
        proxies ? Vec<At<String>>,
        /// Requests that one client may make in a second, on the average; ten times as many at once. Default: no limit.
        requests_per_second ? u32,
    }
}
