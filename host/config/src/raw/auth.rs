//! `[web.auth]`: who people are, and what they may do.

use crate::decode::{HumanDuration, Keyed, raw_table, raw_words};
use crate::tree::At;

raw_table! {
    /// Who people are and what they may do.
    RawAuth("[web.auth]") {
        /// People with passwords, by name.
        user ? Keyed<RawUser>,
        /// File with more of them, one a line: NAME:HASH, and if wanted :EMAIL:FULL NAME:GROUP,GROUP. It is read at each log-in.
        users_file ? String,
        /// Roles, by name. "anyone", "user" (whoever is logged in) and "owner" (whoever asked for a build) are there without. Who has the
        /// role "admin" may do all that no rule speaks of.
        role ? Keyed<RawRole>,
        /// Who may do something. The first rule that speaks of what somebody wants to do decides. What no rule speaks of, anybody may look at,
        /// and the role "admin" may do; where there is no rule, whoever is logged in may make the farm do something.
        rule ? Vec<At<RawRule>>,
        /// Where people log in that have no password here, by the name that they see.
        provider ? Keyed<RawProvider>,
        /// Headers in which a reverse proxy says who somebody is; it has to be one of `proxies` in [web].
        header ? RawAuthHeader,
        /// How long somebody stays logged in at most. Default: "7d".
        session_lifetime ? HumanDuration,
        /// How long somebody stays logged in who asks for nothing. Default: "2d".
        session_idle ? HumanDuration,
        /// How many actions the audit log remembers. Default: 100000.
        audit_entries_max ? u32,
    }
}

raw_table! {
    /// Somebody with a password.
    RawUser("a user") {
        /// A hash of the password, as `toolpost hash-password` makes it.
        password_hash ! String,
        /// Address; builds know their owners by it.
        email ? String,
        /// What people call them.
        full_name ? String,
        /// Groups that roles may be given to.
        groups ? Vec<At<String>>,
    }
}

raw_table! {
    /// Who has a role: whoever fits one of these. Patterns may have `*`, `?`, `[abc]` and `{a,b}`.
    RawRole("a role") {
        /// Names of people, or patterns. Whoever logs in at a provider is called PROVIDER:NAME.
        users ? Vec<At<String>>,
        /// Names of groups, or patterns.
        groups ? Vec<At<String>>,
        /// Addresses, or patterns such as "*@example.org".
        emails ? Vec<At<String>>,
    }
}

raw_words! {
    /// What about those who do not have the role.
    RawOtherwise {
        "refuse" => Refuse,
        "next" => Next,
    }
}

raw_table! {
    /// Who may do something. It speaks of what fits all that it names.
    RawRule("a rule") {
        /// Who: names of roles.
        roles ! Vec<At<String>>,
        /// What: "view", "force", "stop", "rebuild", "cancel", "set-priority", "pause", "unpause", "stop-worker", "kill-worker", "enable-scheduler", "skip-event", "resend",
        /// "discard", "reload-plugins", "rollback-plugin", "manage-tokens", "read-audit"; "control" for all that make the farm do
        /// something, "all" for everything.
        actions ! Vec<At<String>>,
        /// Only with what belongs to these builders: names, or patterns.
        builders ? Vec<At<String>>,
        /// Only with what belongs to builders with one of these tags.
        tags ? Vec<At<String>>,
        /// Only with what belongs to builders of these projects: names, or patterns.
        projects ? Vec<At<String>>,
        /// Only with these workers.
        workers ? Vec<At<String>>,
        /// Only with these schedulers and forms.
        schedulers ? Vec<At<String>>,
        /// "refuse" those who have none of the roles, or look at the "next" rules for them. Default: "refuse".
        otherwise ? RawOtherwise,
    }
}

raw_words! {
    /// What somebody logs in at.
    RawProviderKind {
        "oidc" => Oidc,
        "google" => Google,
        "gitlab" => GitLab,
        "github" => GitHub,
    }
}

raw_table! {
    /// Where people log in that have no password here. It has to lead back to URL/auth/callback/NAME.
    RawProvider("a provider") {
        /// "oidc" for whatever speaks OpenID Connect, "google", "gitlab" or "github".
        kind ! RawProviderKind,
        /// Address of an "oidc" or "gitlab" provider, as it says in its discovery document; of a "github" one that is not github.com.
        issuer ? String,
        /// What this farm is called there.
        client_id ! String,
        /// Name of the secret that it was given there. Without it only PKCE proves who asks.
        client_secret ? String,
        /// What the button says. Default: the provider's name.
        label ? String,
        /// What to ask for beside "openid". Default: "profile" and "email"; of GitHub "read:org" and "user:email".
        scopes ? Vec<At<String>>,
        /// Claim that holds the groups. Default: "groups".
        groups_claim ? String,
        /// Claim that holds the name. Default: "preferred_username", and where there is none, "sub".
        name_claim ? String,
        /// Whether to believe addresses of which the provider does not say that they are verified. Default: false.
        trust_email ? bool,
        /// Only whoever has one of these addresses is let in, or is in one of `allow_groups`. Default: everybody.
        allow_emails ? Vec<At<String>>,
        /// Only whoever is in one of these groups is let in, or has one of `allow_emails`. Default: everybody.
        allow_groups ? Vec<At<String>>,
    }
}

raw_table! {
    /// Headers in which a reverse proxy says who somebody is.
    RawAuthHeader("[web.auth.header]") {
        /// The header with the name, such as "X-Forwarded-User".
        user ! String,
        /// The one with the address.
        email ? String,
        /// The one with what people call them.
        full_name ? String,
        /// The one with their groups, separated by commas.
        groups ? String,
    }
}
