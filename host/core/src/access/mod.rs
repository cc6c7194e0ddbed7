//! Who may do what: people, roles, rules, and the one decision about them.
//!
//! Pure. The rules are looked at in their order, and the first that speaks of an action and of what it is done to decides. What no
//! rule speaks of, anybody may look at; what changes something is then for the role [`ADMIN`], or, where there are no rules at all,
//! for whoever is logged in. A token can do less than the person who made it, never more.

mod action;
mod pattern;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use action::Action;
pub use pattern::{NamePattern, any_fits};

/// The role of everybody, logged in or not.
pub const ANYONE: &str = "anyone";
/// The role of whoever is logged in.
pub const USER: &str = "user";
/// The role of whoever asked for what is acted on.
pub const OWNER: &str = "owner";
/// The role that may do everything that no rule speaks of.
pub const ADMIN: &str = "admin";

/// Roles that nobody configures, because everybody knows who has them.
pub const BUILT_IN_ROLES: [&str; 3] = [ANYONE, USER, OWNER];

/// Somebody who is logged in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The name that is shown and recorded; unique among those of one way to log in.
    pub name: String,
    /// What people call them.
    pub full_name: Option<String>,
    /// Address, which owners of builds are known by.
    pub email: Option<String>,
    /// Groups, as whoever knows them says.
    pub groups: BTreeSet<String>,
}

impl Identity {
    /// Whether an owner, as builds record one, is this person: by name, by address, or by both as in `Ada <ada@example.org>`.
    #[must_use]
    pub fn is(&self, owner: &str) -> bool {
        let address = owner
            .rsplit_once('<')
            .and_then(|(_, rest)| rest.strip_suffix('>'));
        let mut names = [Some(owner), address].into_iter().flatten();
        names.any(|name| self.name == name || self.email.as_deref() == Some(name))
    }
}

/// What a token is limited to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// What may be done with it.
    pub actions: BTreeSet<Action>,
    /// Builders that it is good for, and nothing that belongs to no builder but looking; empty for all.
    pub builders: Vec<NamePattern>,
}

/// Somebody who asks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Person<'a> {
    /// Who, if somebody is logged in.
    pub identity: Option<&'a Identity>,
    /// What limits them beside the rules.
    pub scope: Option<&'a Scope>,
}

/// What something is done to; what is not said does not matter to it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Target<'a> {
    /// Name of the builder.
    pub builder: Option<&'a str>,
    /// Tags of that builder.
    pub tags: &'a [String],
    /// Name of the project that it belongs to.
    pub project: Option<&'a str>,
    /// Name of the worker.
    pub worker: Option<&'a str>,
    /// Name of the scheduler or form.
    pub scheduler: Option<&'a str>,
    /// Who asked for the build or request.
    pub owners: &'a [String],
}

/// Who has a role.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Names of people.
    pub users: Vec<NamePattern>,
    /// Groups whose members have it.
    pub groups: Vec<NamePattern>,
    /// Addresses, such as `*@example.org`.
    pub emails: Vec<NamePattern>,
}

/// What becomes of somebody who does not have a role of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Otherwise {
    /// They are refused.
    #[default]
    Refuse,
    /// The rules that follow are looked at.
    Next,
}

/// Who may do something. Lists of names that are empty fit everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    /// What.
    pub actions: BTreeSet<Action>,
    /// To what belongs to these builders.
    pub builders: Vec<NamePattern>,
    /// To what belongs to builders with one of these tags.
    pub tags: Vec<NamePattern>,
    /// To what belongs to builders of these projects.
    pub projects: Vec<NamePattern>,
    /// To these workers.
    pub workers: Vec<NamePattern>,
    /// To these schedulers and forms.
    pub schedulers: Vec<NamePattern>,
    /// Who may.
    pub roles: BTreeSet<String>,
    /// What about the others.
    pub otherwise: Otherwise,
}

/// All roles and rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Roles.
    pub roles: Vec<Role>,
    /// Rules, the first one first.
    pub rules: Vec<Rule>,
}

impl Role {
    fn has(&self, identity: &Identity) -> bool {
        let email = identity.email.as_deref();
        any_fits(&self.users, &identity.name)
            || identity
                .groups
                .iter()
                .any(|group| any_fits(&self.groups, group))
            || email.is_some_and(|email| any_fits(&self.emails, email))
    }
}

impl Rule {
    fn speaks_of(&self, action: Action, target: &Target<'_>) -> bool {
        let fits = |patterns: &[NamePattern], name: Option<&str>| {
            patterns.is_empty() || name.is_some_and(|name| any_fits(patterns, name))
        };
        let tagged =
            self.tags.is_empty() || target.tags.iter().any(|tag| any_fits(&self.tags, tag));
        self.actions.contains(&action)
            && fits(&self.builders, target.builder)
            && fits(&self.projects, target.project)
            && fits(&self.workers, target.worker)
            && fits(&self.schedulers, target.scheduler)
            && tagged
    }
}

impl Scope {
    fn reaches(&self, action: Action, target: &Target<'_>) -> bool {
        let within = match target.builder {
            _ if self.builders.is_empty() => true,
            Some(builder) => any_fits(&self.builders, builder),
            None => action == Action::View,
        };
        self.actions.contains(&action) && within
    }
}

impl Policy {
    /// The roles of somebody, beside [`OWNER`].
    #[must_use]
    pub fn roles_of(&self, identity: Option<&Identity>) -> BTreeSet<&str> {
        let mut roles = BTreeSet::from([ANYONE]);
        if let Some(identity) = identity {
            roles.insert(USER);
            let theirs = self.roles.iter().filter(|role| role.has(identity));
            roles.extend(theirs.map(|role| role.name.as_str()));
        }
        roles
    }

    /// Whether somebody may do something.
    #[must_use]
    pub fn permits(&self, person: Person<'_>, action: Action, target: &Target<'_>) -> bool {
        if person
            .scope
            .is_some_and(|scope| !scope.reaches(action, target))
        {
            return false;
        }
        let mut roles = self.roles_of(person.identity);
        let owns = |identity: &Identity| target.owners.iter().any(|owner| identity.is(owner));
        if person.identity.is_some_and(owns) {
            roles.insert(OWNER);
        }
        let speaking = self
            .rules
            .iter()
            .filter(|rule| rule.speaks_of(action, target));
        for rule in speaking {
            if rule.roles.iter().any(|role| roles.contains(role.as_str())) {
                return true;
            }
            if rule.otherwise == Otherwise::Refuse {
                return false;
            }
        }
        action == Action::View
            || roles.contains(ADMIN)
            || (action.is_control() && self.rules.is_empty() && person.identity.is_some())
    }

    /// Whether looking is the same for every builder, so that nobody has to be asked about each.
    #[must_use]
    pub fn views_alike(&self, person: Person<'_>) -> bool {
        let about_builders = |rule: &Rule| {
            rule.actions.contains(&Action::View)
                && !(rule.builders.is_empty() && rule.tags.is_empty() && rule.projects.is_empty())
        };
        person.scope.is_none_or(|scope| scope.builders.is_empty())
            && !self.rules.iter().any(about_builders)
    }
}
