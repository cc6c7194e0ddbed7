//! Decisions as tables.

use super::*;

fn patterns(texts: &[&str]) -> Vec<NamePattern> {
    let texts = texts.iter().copied();
    texts
        .map(|text| NamePattern::new(text).expect("a pattern"))
        .collect()
}

fn rule(actions: &[Action], builders: &[&str], roles: &[&str]) -> Rule {
    Rule {
        actions: actions.iter().copied().collect(),
        builders: patterns(builders),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        ..Rule::default()
    }
}

fn person(name: &str) -> Option<Identity> {
    let (name, groups): (&str, &[&str]) = match name {
        "" => return None,
        "root" => ("root", &["ops"]),
        name => (name, &[]),
    };
    Some(Identity {
        name: name.into(),
        email: Some(format!("{name}@example.org")),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        ..Identity::default()
    })
}

fn policy(rules: Vec<Rule>) -> Policy {
    let roles = vec![
        Role {
            name: ADMIN.into(),
            groups: patterns(&["ops"]),
            ..Role::default()
        },
        Role {
            name: "release".into(),
            emails: patterns(&["ada@*"]),
            ..Role::default()
        },
    ];
    Policy { roles, rules }
}

#[test]
fn the_first_rule_that_speaks_decides() {
    let mut lenient = rule(&[Action::Stop], &[], &["release"]);
    lenient.otherwise = Otherwise::Next;
    let ruled = policy(vec![
        rule(&[Action::Force], &["release-*"], &["release"]),
        rule(&[Action::Force], &[], &[USER]),
        lenient,
        rule(&[Action::Stop], &[], &[OWNER]),
        rule(&[Action::View], &["secret"], &["release"]),
    ]);
    let bare = policy(Vec::new());
    let owners = ["Eve Doe <eve@example.org>".to_owned()];
    let table = [
        (&ruled, "", Action::View, "unit", true),
        (&ruled, "", Action::View, "secret", false),
        (&ruled, "ada", Action::View, "secret", true),
        (&ruled, "root", Action::View, "secret", false),
        (&ruled, "", Action::Force, "unit", false),
        (&ruled, "eve", Action::Force, "unit", true),
        (&ruled, "eve", Action::Force, "release-1", false),
        (&ruled, "ada", Action::Force, "release-1", true),
        (&ruled, "eve", Action::Stop, "unit", true),
        (&ruled, "bob", Action::Stop, "unit", false),
        (&ruled, "ada", Action::Stop, "unit", true),
        (&ruled, "bob", Action::Rebuild, "unit", false),
        (&ruled, "root", Action::Rebuild, "unit", true),
        (&bare, "", Action::Rebuild, "unit", false),
        (&bare, "bob", Action::Rebuild, "unit", true),
        (&bare, "bob", Action::ReadAudit, "", false),
        (&bare, "root", Action::ReadAudit, "", true),
    ];
    for (policy, name, action, builder, expected) in table {
        let identity = person(name);
        let person = Person {
            identity: identity.as_ref(),
            scope: None,
        };
        let target = Target {
            builder: Some(builder),
            owners: &owners,
            ..Target::default()
        };
        let permitted = policy.permits(person, action, &target);
        assert_eq!(permitted, expected, "{name:?} {action:?} {builder}");
    }
}

#[test]
fn a_rule_speaks_of_builders_of_a_project() {
    let mut seen = rule(&[Action::View], &[], &["release"]);
    seen.projects = patterns(&["secret-*"]);
    let mut both = rule(&[Action::Force], &["unit*"], &["release"]);
    both.projects = patterns(&["web"]);
    let policy = policy(vec![seen, both, rule(&[Action::Force], &[], &[USER])]);
    for (name, action, builder, project, expected) in [
        ("", Action::View, Some("unit"), None, true),
        ("", Action::View, Some("unit"), Some("web"), true),
        ("", Action::View, Some("unit"), Some("secret-plans"), false),
        (
            "ada",
            Action::View,
            Some("unit"),
            Some("secret-plans"),
            true,
        ),
        ("eve", Action::Force, Some("unit-2"), Some("web"), false),
        ("ada", Action::Force, Some("unit-2"), Some("web"), true),
        ("eve", Action::Force, Some("unit-2"), Some("app"), true),
        ("eve", Action::Force, Some("docs"), Some("web"), true),
        // What belongs to no builder.
        ("", Action::View, None, None, true),
    ] {
        let identity = person(name);
        let person = Person {
            identity: identity.as_ref(),
            scope: None,
        };
        let target = Target {
            builder,
            project,
            ..Target::default()
        };
        let permitted = policy.permits(person, action, &target);
        assert_eq!(
            permitted, expected,
            "{name:?} {action:?} {builder:?} {project:?}"
        );
    }
    assert!(!policy.views_alike(Person::default()));
}

#[test]
fn a_token_can_do_less_than_its_owner() {
    let policy = policy(Vec::new());
    let root = person("root");
    let scope = Scope {
        actions: BTreeSet::from([Action::View, Action::Force, Action::Pause]),
        builders: patterns(&["unit"]),
    };
    let person = Person {
        identity: root.as_ref(),
        scope: Some(&scope),
    };
    for (action, builder, expected) in [
        (Action::View, None, true),
        (Action::View, Some("unit"), true),
        (Action::View, Some("docs"), false),
        (Action::Force, Some("unit"), true),
        (Action::Force, Some("docs"), false),
        (Action::Force, None, false),
        (Action::Pause, None, false),
        (Action::Stop, Some("unit"), false),
    ] {
        let target = Target {
            builder,
            ..Target::default()
        };
        let permitted = policy.permits(person, action, &target);
        assert_eq!(permitted, expected, "{action:?} {builder:?}");
    }
    assert!(!policy.views_alike(person));
    assert!(policy.views_alike(Person::default()));
}

#[test]
fn owners_are_known_by_name_and_address() {
    let ada = person("ada").expect("somebody");
    for (owner, expected) in [
        ("ada", true),
        ("ada@example.org", true),
        ("Ada L. <ada@example.org>", true),
        ("ada@example.org.evil.example", false),
        ("Mallory <mallory@example.org>", false),
        ("", false),
    ] {
        assert_eq!(ada.is(owner), expected, "{owner}");
    }
}

#[test]
fn names_of_actions_are_unique() {
    for action in Action::ALL {
        assert_eq!(Action::from_name(action.name()), Some(*action));
    }
}
