//! `[web]`: the web server.

use crate::decode::{JsonObject, Keyed, raw_table};

raw_table! {
    /// The web server: what it serves beside its own pages.
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
    }
}
