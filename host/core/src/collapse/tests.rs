use super::*;
use crate::ids::PatchId;

fn source(codebase: &str, revision: Option<&str>, has_changes: bool) -> RequestedSource {
    RequestedSource {
        stamp: SourceStampSpec {
            codebase: codebase.into(),
            repository: "repo".into(),
            branch: Some("main".into()),
            revision: revision.map(Into::into),
            project: String::new(),
            patch: None,
        },
        has_changes,
    }
}

/// A request for a change: the usual case.
fn pushed(id: i64) -> CollapseCandidate {
    CollapseCandidate {
        id: RequestId(id),
        builder_id: BuilderId(1),
        buildset_id: BuildsetId(id),
        waited_for: false,
        sources: vec![source("", Some(&format!("r{id}")), true)],
        properties: Properties::new(),
    }
}

fn forced(id: i64, revision: Option<&str>) -> CollapseCandidate {
    CollapseCandidate {
        sources: vec![source("", revision, false)],
        ..pushed(id)
    }
}

fn with(
    mut candidate: CollapseCandidate,
    change: impl FnOnce(&mut CollapseCandidate),
) -> CollapseCandidate {
    change(&mut candidate);
    candidate
}

#[test]
fn compatible_means_the_newer_build_says_all_about_the_older() {
    let two = |id, codebases: [&str; 2]| CollapseCandidate {
        sources: codebases.map(|c| source(c, None, true)).to_vec(),
        ..pushed(id)
    };
    let property = |id, name: &str, value: i64, from: &str| {
        with(pushed(id), |c| c.properties.set(name, value, from))
    };
    for (what, newer, older, expected) in [
        ("changes of one branch", pushed(2), pushed(1), true),
        ("itself", pushed(2), pushed(2), false),
        ("the older", pushed(1), pushed(2), false),
        ("forced, newest", forced(2, None), forced(1, None), true),
        (
            "forced, equal",
            forced(2, Some("a")),
            forced(1, Some("a")),
            true,
        ),
        (
            "forced, different",
            forced(2, Some("a")),
            forced(1, Some("b")),
            false,
        ),
        (
            "forced before a change",
            pushed(2),
            forced(1, Some("r2")),
            false,
        ),
        (
            "a change before forced",
            forced(2, Some("r1")),
            pushed(1),
            false,
        ),
        (
            "waited for",
            pushed(2),
            with(pushed(1), |c| c.waited_for = true),
            false,
        ),
        (
            "newer waited for",
            with(pushed(2), |c| c.waited_for = true),
            pushed(1),
            false,
        ),
        (
            "another builder",
            pushed(2),
            with(pushed(1), |c| c.builder_id = BuilderId(2)),
            false,
        ),
        (
            "another branch",
            pushed(2),
            with(pushed(1), |c| c.sources[0].stamp.branch = None),
            false,
        ),
        (
            "another repository",
            pushed(2),
            with(pushed(1), |c| c.sources[0].stamp.repository = "x".into()),
            false,
        ),
        (
            "another project",
            pushed(2),
            with(pushed(1), |c| c.sources[0].stamp.project = "x".into()),
            false,
        ),
        (
            "patched",
            pushed(2),
            with(pushed(1), |c| c.sources[0].stamp.patch = Some(PatchId(1))),
            false,
        ),
        (
            "newer patched",
            with(pushed(2), |c| c.sources[0].stamp.patch = Some(PatchId(1))),
            pushed(1),
            false,
        ),
        (
            "two codebases",
            two(2, ["a", "b"]),
            two(1, ["b", "a"]),
            true,
        ),
        (
            "other codebases",
            two(2, ["a", "b"]),
            two(1, ["a", "c"]),
            false,
        ),
        (
            "fewer codebases",
            two(2, ["a", "b"]),
            with(two(1, ["a", "b"]), |c| c.sources.truncate(1)),
            false,
        ),
        (
            "more codebases",
            with(two(2, ["a", "b"]), |c| c.sources.truncate(1)),
            two(1, ["a", "b"]),
            false,
        ),
        (
            "equal properties",
            property(2, "p", 1, "Scheduler"),
            property(1, "p", 1, "Scheduler"),
            true,
        ),
        (
            "different properties",
            property(2, "p", 1, "Scheduler"),
            property(1, "p", 2, "Scheduler"),
            false,
        ),
        (
            "a property more",
            property(2, "p", 1, "Scheduler"),
            pushed(1),
            false,
        ),
        (
            "of another source",
            property(2, "p", 1, "Change"),
            property(1, "p", 2, "Change"),
            true,
        ),
        (
            "other scheduler",
            property(2, "scheduler", 1, "Scheduler"),
            property(1, "scheduler", 2, "Scheduler"),
            true,
        ),
        (
            "one build set",
            with(forced(2, Some("a")), |c| c.buildset_id = BuildsetId(9)),
            with(forced(1, Some("b")), |c| c.buildset_id = BuildsetId(9)),
            true,
        ),
    ] {
        assert_eq!(is_compatible(&newer, &older), expected, "{what}");
    }
}

#[test]
fn the_newest_of_a_group_is_built() {
    let pending = [
        pushed(1),
        forced(2, None),
        pushed(3),
        with(pushed(4), |c| c.waited_for = true),
        pushed(5),
    ];
    let ids = |ids: &[i64]| ids.iter().copied().map(RequestId).collect::<Vec<_>>();
    let grouped = |chosen: usize| group(CollapsePolicy::Compatible, &pending[chosen], &pending);
    let pushes = Group {
        main: RequestId(5),
        collapsed: ids(&[1, 3]),
    };
    for chosen in [0, 4] {
        assert_eq!(grouped(chosen), pushes);
    }
    assert_eq!(grouped(2).main, RequestId(5));
    assert_eq!(grouped(2).collapsed.len(), 2);
    assert_eq!(
        grouped(1),
        Group {
            main: RequestId(2),
            collapsed: vec![]
        }
    );
    assert_eq!(
        grouped(3),
        Group {
            main: RequestId(4),
            collapsed: vec![]
        }
    );
    let alone = group(CollapsePolicy::Never, &pending[0], &pending);
    assert_eq!(
        alone,
        Group {
            main: RequestId(1),
            collapsed: vec![]
        }
    );
}
