//! What a hostile plugin needs around it to do its worst: parameters of its step, and what the operator grants.

use crate::{Lures, Misdeed, Wish};

/// Lines of a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Setting {
    /// Of the step.
    pub parameters: String,
    /// Of `[plugin.NAME]`.
    pub grants: String,
}

impl Misdeed {
    /// Its setting, with these servers. The operator grants what a plugin asks for, but of HTTP only what is named here: the
    /// offender goes further.
    #[must_use]
    pub fn setting(&self, lures: &Lures) -> Setting {
        let mut setting = Setting::default();
        for wish in self.wants {
            setting.grants += match wish {
                Wish::Storage => "grant.storage = true\n",
                Wish::Secret(_) => "grant.secrets = [\"token\"]\n",
                Wish::Trigger(_) => "grant.trigger = [\"sink\"]\n",
                Wish::HttpHost(_) => "",
            };
        }
        if self.word == "trigger-unasked" {
            // Granted for a version that said so.
            setting.grants += "grant.trigger = [\"sink\"]\n";
        }
        let port = lures.treasure().port();
        let (to, granted) = match self.word {
            "http-not-granted" => (lures.treasure().to_string(), "chat.example.org".into()),
            "http-loopback" => (format!("localhost:{port}"), format!("localhost:{port}")),
            "http-rebinding" => (format!("{REBOUND}:{port}"), format!("{REBOUND}:{port}")),
            "http-redirect" => (lures.redirect().to_string(), lures.redirect().to_string()),
            "http-slow-drip" => (lures.drip().to_string(), lures.drip().to_string()),
            _ => return setting,
        };
        setting.parameters = format!("to = \"{to}\"\n");
        setting.grants += &format!("grant.http = [\"{granted}\"]\n");
        setting
    }

    /// Whether it needs a name server that lies.
    #[must_use]
    pub fn needs_lies(&self) -> bool {
        self.word == "http-rebinding"
    }
}

/// A name that means something else each time.
pub const REBOUND: &str = "rebound.example.org";
