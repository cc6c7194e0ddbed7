use serde_json::json;

use super::*;
use crate::ids::{ChangeId, SourceStampId};
use crate::{Properties, Timestamp};

fn change() -> Change {
    let mut properties = Properties::new();
    properties.set("event", "push", "Change");
    properties.set("count", 3, "Change");
    Change {
        id: ChangeId(1),
        author: "A <a@example.org>".into(),
        committer: None,
        comments: String::new(),
        files: vec!["src/a.rs".into(), "docs/b.md".into()],
        branch: Some("main".into()),
        revision: Some("abc".into()),
        revlink: None,
        category: None,
        repository: "https://example.org/hello.git".into(),
        codebase: "hello".into(),
        project: String::new(),
        when: Timestamp(0),
        parent: None,
        sourcestamp_id: SourceStampId(1),
        properties,
    }
}

fn eq(values: &[Option<&str>]) -> Conditions {
    Conditions {
        eq: Some(values.iter().map(|v| v.map(Into::into)).collect()),
        ..Conditions::default()
    }
}

fn not_eq(values: &[Option<&str>]) -> Conditions {
    Conditions {
        not_eq: eq(values).eq,
        ..Conditions::default()
    }
}

fn re(patterns: &[&str]) -> Conditions {
    Conditions {
        re: Some(patterns.iter().map(|p| Pattern::new(p).unwrap()).collect()),
        ..Conditions::default()
    }
}

fn not_re(patterns: &[&str]) -> Conditions {
    Conditions {
        not_re: re(patterns).re,
        ..Conditions::default()
    }
}

#[test]
fn conditions_on_one_value() {
    let some = Some("main");
    for (conditions, value, expected) in [
        (Conditions::default(), some, true),
        (Conditions::default(), None, true),
        (Conditions::equal_to("main"), some, true),
        (Conditions::one_of(["dev", "main"]), some, true),
        (Conditions::one_of(["dev"]), some, false),
        (eq(&[]), some, false),
        (eq(&[None]), None, true),
        (eq(&[None]), some, false),
        (eq(&[None, Some("main")]), some, true),
        (Conditions::equal_to("main"), None, false),
        (not_eq(&[Some("main")]), some, false),
        (not_eq(&[Some("main")]), None, true),
        (not_eq(&[None]), None, false),
        (not_eq(&[]), some, true),
        (re(&["ma"]), some, true),
        (re(&["ain"]), some, false),
        (re(&["ain|ma"]), some, true),
        (re(&["(?i)MAIN$"]), some, true),
        (re(&["x", "m"]), some, true),
        (re(&[""]), None, false),
        (not_re(&["ma"]), some, false),
        (not_re(&["ain"]), some, true),
        (not_re(&[""]), None, true),
    ] {
        assert_eq!(
            conditions.hold_for(value),
            expected,
            "{conditions:?} {value:?}"
        );
    }
}

#[test]
fn all_conditions_of_one_value_must_hold() {
    let releases = Conditions {
        re: re(&["release/"]).re,
        not_eq: not_eq(&[Some("release/old")]).not_eq,
        ..Conditions::default()
    };
    assert!(releases.hold_for(Some("release/1")));
    assert!(!releases.hold_for(Some("release/old")));
    assert!(!releases.hold_for(Some("main")));
}

#[test]
fn every_attribute_is_looked_at() {
    let change = change();
    assert!(ChangeFilter::default().matches(&change));
    assert!(ChangeFilter::default().is_empty());
    type Set = fn(&mut ChangeFilter, Conditions);
    let attributes: [(&str, Set, &str); 4] = [
        ("branch", |f, c| f.branch = c, "main"),
        (
            "repository",
            |f, c| f.repository = c,
            "https://example.org/hello.git",
        ),
        ("project", |f, c| f.project = c, ""),
        ("codebase", |f, c| f.codebase = c, "hello"),
    ];
    for (attribute, set, value) in attributes {
        let mut filter = ChangeFilter::default();
        set(&mut filter, Conditions::equal_to(value));
        assert!(filter.matches(&change), "{attribute}");
        set(&mut filter, Conditions::equal_to("other"));
        assert_eq!(filter.explain(&change).unwrap().attribute, attribute);
    }
    let uncategorised = ChangeFilter {
        category: eq(&[None]),
        ..ChangeFilter::default()
    };
    assert!(uncategorised.matches(&change));
}

#[test]
fn one_file_has_to_fulfil_all_conditions_on_files() {
    let touches = |files: Conditions, names: &[&str]| {
        let filter = ChangeFilter {
            files,
            ..ChangeFilter::default()
        };
        filter.matches(&Change {
            files: names.iter().map(|&name| name.into()).collect(),
            ..change()
        })
    };
    let both = &["src/a.rs", "docs/b.md"];
    assert!(touches(re(&["src/"]), both));
    assert!(!touches(re(&["tests/"]), both));
    assert!(touches(Conditions::equal_to("docs/b.md"), both));
    assert!(touches(not_re(&["docs/"]), both));
    assert!(!touches(not_re(&["docs/"]), &["docs/b.md", "docs/c.md"]));
    let source_without_generated = Conditions {
        re: re(&["src/"]).re,
        not_re: re(&["src/generated/"]).re,
        ..Conditions::default()
    };
    assert!(!touches(
        source_without_generated.clone(),
        &["src/generated/x.rs", "README"]
    ));
    assert!(touches(
        source_without_generated.clone(),
        &["src/generated/x.rs", "src/y.rs"]
    ));
    // A change that names no files.
    assert!(touches(not_re(&["docs/"]), &[]));
    assert!(!touches(source_without_generated, &[]));
    assert!(!touches(eq(&[Some("a")]), &[]));
}

#[test]
fn properties_are_compared_as_texts() {
    for (name, conditions, expected) in [
        ("event", Conditions::equal_to("push"), true),
        ("event", re(&["pull"]), false),
        ("count", Conditions::equal_to("3"), true),
        ("missing", Conditions::equal_to(""), true),
        ("missing", re(&["."]), false),
    ] {
        let filter = ChangeFilter {
            properties: [(name.to_owned(), conditions)].into(),
            ..ChangeFilter::default()
        };
        assert_eq!(filter.matches(&change()), expected, "{filter:?}");
    }
    let flag = ChangeFilter {
        properties: [("ok".to_owned(), Conditions::equal_to("true"))].into(),
        ..ChangeFilter::default()
    };
    let mut with_flag = change();
    with_flag.properties.set("ok", json!(true), "Change");
    assert!(flag.matches(&with_flag));
}

#[test]
fn a_mismatch_reads_alone() {
    let told = |filter: ChangeFilter| filter.explain(&change()).unwrap().to_string();
    insta::assert_snapshot!(told(ChangeFilter { branch: eq(&[Some("dev"), None]), ..Default::default() }), @"branch `main` has to be one of `dev`, absent");
    insta::assert_snapshot!(told(ChangeFilter { repository: not_re(&["https:"]), ..Default::default() }), @"repository `https://example.org/hello.git` has to match none of `https:`");
    insta::assert_snapshot!(told(ChangeFilter { category: re(&["tag", "pull"]), ..Default::default() }), @"category is absent but has to match one of `tag`, `pull`");
    insta::assert_snapshot!(told(ChangeFilter { codebase: not_eq(&[Some("hello")]), ..Default::default() }), @"codebase `hello` has to be none of `hello`");
    insta::assert_snapshot!(told(ChangeFilter { files: re(&["tests/"]), ..Default::default() }), @"no file of the change fits: it has to match one of `tests/`");
    insta::assert_snapshot!(told(ChangeFilter { properties: [("event".to_owned(), re(&["pull"]))].into(), ..Default::default() }), @"property event `push` has to match one of `pull`");
}

#[test]
fn a_bad_pattern_says_what_is_wrong() {
    insta::assert_snapshot!(Pattern::new("release/(").unwrap_err(), @"`release/(` is not a regular expression: unclosed group");
    assert!(
        Pattern::new("(a{1000}){1000}").is_err(),
        "too large to compile"
    );
    assert_eq!(Pattern::new("a").unwrap(), Pattern::new("a").unwrap());
    assert_ne!(Pattern::new("a").unwrap(), Pattern::new("b").unwrap());
}
