//! Who sent a request, as far as that is known.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::Extensions;
use toolpost_core::access::{Action, Identity, Person, Policy, Scope, Target};

/// Who acts, when nobody is logged in.
const ANONYMOUS: &str = "anonymous";

/// Who sent a request.
#[derive(Clone, Default)]
pub(crate) struct Caller {
    /// Who, if somebody is logged in.
    pub(crate) identity: Option<Identity>,
    /// What limits them, if they show a token.
    pub(crate) scope: Option<Scope>,
    /// How they are known: `password`, `provider:NAME`, `proxy`, `token LABEL`; empty for nobody.
    pub(crate) via: String,
    /// How whoever owns the token was known; otherwise the same.
    pub(crate) via_login: String,
    /// Where the request comes from.
    pub(crate) address: Option<IpAddr>,
    /// Whether it came over an encrypted connection.
    pub(crate) is_https: bool,
    /// What they show, to ask again later.
    pub(crate) proof: Proof,
}

/// What somebody shows.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Nothing, or a header of a proxy.
    #[default]
    None,
    /// The id of a session.
    Session(String),
    /// A token.
    Token(String),
}

impl Caller {
    /// The one that the gate found out.
    pub(crate) fn of(extensions: &Extensions) -> Arc<Self> {
        let caller = extensions.get::<Arc<Self>>();
        caller.cloned().unwrap_or_default()
    }

    /// How they are named where something is recorded.
    pub(crate) fn name(&self) -> &str {
        let identity = self.identity.as_ref();
        identity.map_or(ANONYMOUS, |identity| &identity.name)
    }

    /// How builds name their owner: the address, or the name where there is none.
    pub(crate) fn owner(&self) -> Option<String> {
        let identity = self.identity.as_ref()?;
        Some(identity.email.as_ref().unwrap_or(&identity.name).clone())
    }

    /// Whether somebody logged in, and shows no token.
    pub(crate) fn is_in_person(&self) -> bool {
        self.identity.is_some() && self.scope.is_none()
    }

    /// Where they are, for records.
    pub(crate) fn place(&self) -> String {
        self.address
            .map(|address| address.to_string())
            .unwrap_or_default()
    }

    pub(super) fn person(&self) -> Person<'_> {
        Person {
            identity: self.identity.as_ref(),
            scope: self.scope.as_ref(),
        }
    }

    pub(super) fn may(&self, policy: &Policy, action: Action, target: &Target<'_>) -> bool {
        policy.permits(self.person(), action, target)
    }
}
