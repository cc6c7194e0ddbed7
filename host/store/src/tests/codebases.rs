//! Projects, and the branches and commits of their codebases.

use toolpost_core::codebase::{Codebase, CodebaseBranch, CodebaseCommit, Project};
use toolpost_core::model::Builder;
use toolpost_core::{CodebaseId, CommitId};

use super::backend::TestDb;
use super::both;
use super::lists::every_field;
use super::setup::{Farm, at, names};
use crate::{ConfiguredNames, ConfiguredProject, NewChange, Query};

fn configured(slug: &str) -> ConfiguredNames {
    let mut names = names();
    names.builders[0].project = Some("things".to_owned());
    names.projects = vec![
        ConfiguredProject {
            name: "things".to_owned(),
            slug: slug.to_owned(),
            description: None,
            codebases: vec![("thing".to_owned(), "t".to_owned())],
        },
        ConfiguredProject {
            name: "rest".to_owned(),
            slug: "rest".to_owned(),
            ..ConfiguredProject::default()
        },
    ];
    names
}

fn change(codebase: &str, branch: &str, revision: &str) -> NewChange {
    NewChange {
        author: "A <a@example.org>".to_owned(),
        comments: format!("commit {revision}"),
        branch: Some(branch.to_owned()),
        revision: Some(revision.to_owned()),
        repository: "repo".to_owned(),
        codebase: codebase.to_owned(),
        project: "things".to_owned(),
        when: at(5),
        ..NewChange::default()
    }
}

both! {
    async fn projects_are_those_of_the_configuration(db: &TestDb) {
        let farm = Farm::on(db).await;
        let store = &farm.store;
        for slug in ["a", "b"] {
            store.sync_configuration(farm.master, configured(slug), at(1)).await.unwrap();
        }
        let projects: Vec<Project> = store.list(&Query::new().order("name")).await.unwrap();
        let seen: Vec<_> = projects.iter().map(|p| (p.name.as_str(), p.slug.as_str())).collect();
        assert_eq!(seen, [("rest", "rest"), ("things", "b")]);
        let active: Vec<Project> = store.list(&Query::new().eq("active", true)).await.unwrap();
        assert_eq!(active, projects[1..]);
        let of = Query::new().eq("projectid", projects[1].id);
        let builders: Vec<Builder> = store.list(&of).await.unwrap();
        assert_eq!(builders.len(), 1);
        assert_eq!((builders[0].name.as_str(), builders[0].project_id), ("a", Some(projects[1].id)));
        let codebases: Vec<Codebase> = store.list(&of).await.unwrap();
        assert_eq!((codebases[0].name.as_str(), codebases[0].slug.as_str()), ("thing", "t"));
        // What the configuration names no more keeps its record, and has no builders.
        store.sync_configuration(farm.master, names(), at(2)).await.unwrap();
        assert_eq!(store.count::<Project>(&Query::new()).await.unwrap(), 2);
        assert_eq!(store.count::<Builder>(&of).await.unwrap(), 0);
        store.close().await;
    }

    async fn changes_of_a_configured_codebase_leave_commits_and_branches(db: &TestDb) {
        let farm = Farm::on(db).await;
        let store = &farm.store;
        store.sync_configuration(farm.master, configured("a"), at(1)).await.unwrap();
        let mut nameless = change("thing", "main", "");
        nameless.revision = None;
        let changes = vec![
            change("thing", "main", "r1"),
            change("thing", "main", "r2"),
            change("thing", "side", "r1"),
            change("thing", "side", "s1"),
            change("other", "main", "x1"),
            nameless,
        ];
        store.add_changes("poller", changes, None, at(9)).await.unwrap();
        let commits: Vec<CodebaseCommit> = store.list(&Query::new()).await.unwrap();
        let seen: Vec<_> = commits
            .iter()
            .map(|c| (c.id.0, c.revision.as_str(), c.parent_id.map(|id| id.0)))
            .collect();
        assert_eq!(seen.len(), 3);
        let [r1, r2, s1] = [&commits[0], &commits[1], &commits[2]].map(|commit| commit.id);
        assert_eq!(seen[0], (r1.0, "r1", None));
        assert_eq!(seen[1], (r2.0, "r2", Some(r1.0)));
        assert_eq!(seen[2], (s1.0, "s1", Some(r1.0)));
        let branches: Vec<CodebaseBranch> = store.list(&Query::new()).await.unwrap();
        let seen: Vec<_> = branches
            .iter()
            .map(|b| (b.name.as_str(), b.commit_id, b.codebase_id, b.moved_at))
            .collect();
        let codebase = CodebaseId(1);
        assert_eq!(
            seen,
            [("main", Some(r2), codebase, at(9)), ("side", Some(s1), codebase, at(9))]
        );
        let common = store.common_commit(r2, s1).await.unwrap().unwrap();
        assert_eq!((common.common, common.to_first, common.to_second), (r1, vec![r1, r2], vec![r1, s1]));
        assert_eq!(store.common_commit(r2, CommitId(99)).await.unwrap(), None);
        every_field::<Project>(store).await;
        every_field::<Codebase>(store).await;
        every_field::<CodebaseBranch>(store).await;
        every_field::<CodebaseCommit>(store).await;
        store.close().await;
    }
}
