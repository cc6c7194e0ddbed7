//! Which plugin asks, and what it has said that it asks for.

use std::sync::Arc;

use super::Want;
use crate::host::HostError;

/// A plugin and its `wants`. What is not among them is refused to it, also where the operator has granted it: a grant that a
/// former version needed, or one that covers more than was asked for, is none for code that nobody looked at with it in mind.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    plugin: Arc<str>,
    wants: Arc<[Want]>,
}

impl Wanted {
    /// What the plugin of this name asks for.
    #[must_use]
    pub fn new(plugin: &str, wants: &[Want]) -> Self {
        Self {
            plugin: plugin.into(),
            wants: wants.into(),
        }
    }

    /// Name of the plugin.
    #[must_use]
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// What it asks for.
    #[must_use]
    pub fn wants(&self) -> &[Want] {
        &self.wants
    }

    /// Whether it asks for this.
    ///
    /// # Errors
    /// Permanent when not, with what its author and the operator can do.
    pub fn check(&self, need: &Want) -> Result<(), HostError> {
        match self.wants.iter().any(|want| want.covers(need)) {
            true => Ok(()),
            false => Err(HostError::Permanent(self.refusal(need))),
        }
    }

    pub(crate) fn refusal(&self, need: &Want) -> String {
        format!(
            "the plugin does not say that it asks for {need}: add `{}` to the `wants` of its `describe`, and `{}` to [plugin.{}] of the configuration",
            need.capability(),
            need.setting(),
            self.plugin
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_is_given() {
        let trigger = |builder: &str| Want::Trigger(builder.into());
        let secret = |name: &str| Want::Secret(name.into());
        for (wants, need, is_wanted) in [
            (vec![], Want::Storage, false),
            (vec![Want::Mail], Want::Storage, false),
            (vec![Want::Mail, Want::Storage], Want::Storage, true),
            (vec![secret("a")], secret("a"), true),
            (vec![secret("a")], secret("b"), false),
            (vec![secret("*")], secret("b"), true),
            (vec![secret("*")], trigger("b"), false),
            (vec![trigger("a"), trigger("b")], trigger("b"), true),
            (vec![trigger("a*")], trigger("ab"), false),
            (
                vec![Want::Environment("*".into())],
                Want::Environment("HOME".into()),
                false,
            ),
            (
                vec![Want::Artifacts("*".into())],
                Want::Artifacts("b".into()),
                true,
            ),
        ] {
            let wanted = Wanted::new("p", &wants);
            assert_eq!(wanted.check(&need).is_ok(), is_wanted, "{wants:?} {need:?}");
        }
    }

    #[test]
    fn a_refusal_says_what_author_and_operator_write() {
        let refused = Wanted::new("chat", &[]).check(&Want::Secret("token".into()));
        assert_eq!(
            refused,
            Err(HostError::Permanent(
                "the plugin does not say that it asks for the secret `token`: add `secret(\"token\")` to the `wants` of its `describe`, and `grant.secrets = [\"token\"]` to [plugin.chat] of the configuration".into()
            ))
        );
        let storage = Wanted::new("chat", &[]).refusal(&Want::Storage);
        assert!(storage.contains("`storage`") && storage.contains("`grant.storage = true`"));
    }
}
