//! Changes and schedulers.

use serde_json::json;
use toolpost_core::model::{Change, SourceStamp};
use toolpost_core::{BuildsetId, ChangeId, Event, Properties};

use super::backend::TestDb;
use super::both;
use super::setup::{Farm, at, buildset};
use crate::{NewBuildset, NewChange, NewForced, Query, SchedulerCommit, StoreError};

fn change(branch: &str, revision: &str) -> NewChange {
    NewChange {
        author: "A <a@example.org>".to_owned(),
        comments: format!("commit {revision}"),
        files: vec!["src/lib.rs".to_owned()],
        branch: Some(branch.to_owned()),
        revision: Some(revision.to_owned()),
        repository: "repo".to_owned(),
        when: at(5),
        ..NewChange::default()
    }
}

both! {
    async fn a_change_is_recorded_as_it_came(db: &TestDb) {
        let store = db.open().await;
        let mut new = change("main", "r1");
        new.committer = Some("C".to_owned());
        new.category = Some("tag".to_owned());
        new.revlink = Some("http://example.org/r1".to_owned());
        new.codebase = "lib".to_owned();
        new.project = "tools".to_owned();
        new.properties = {
            let mut properties = Properties::new();
            properties.set("n", json!({"a": [1]}), "Change");
            properties
        };
        let ids = store
            .add_changes("poller", vec![new.clone()], None, at(9))
            .await
            .unwrap();
        assert_eq!(db.take_events(), [Event::ChangeAdded(ids[0])]);
        let found = store.change(ids[0]).await.unwrap();
        assert_eq!(
            found,
            Change {
                id: ids[0],
                author: new.author,
                committer: new.committer,
                comments: new.comments,
                files: new.files,
                branch: new.branch,
                revision: new.revision,
                revlink: new.revlink,
                category: new.category,
                repository: new.repository,
                codebase: new.codebase,
                project: new.project,
                when: at(5),
                parent: None,
                sourcestamp_id: found.sourcestamp_id,
                properties: new.properties,
            }
        );
        let stamp: SourceStamp = store.get(found.sourcestamp_id).await.unwrap();
        assert_eq!(stamp.spec.revision.as_deref(), Some("r1"));
        assert_eq!(stamp.created_at, at(9));
        store.close().await;
    }

    async fn a_repeated_poll_adds_nothing_but_its_cursor(db: &TestDb) {
        let store = db.open().await;
        let poll = |cursor: i64| {
            let changes = vec![
                change("main", "r1"),
                change("main", "r2"),
                change("dev", "r2"),
            ];
            let state = Some(("cursor".to_owned(), json!(cursor)));
            store.add_changes("poller", changes, state, at(9))
        };
        assert_eq!(poll(1).await.unwrap().len(), 3);
        assert_eq!(poll(2).await.unwrap(), []);
        assert_eq!(
            store.get_state("poller", "cursor").await.unwrap(),
            Some(json!(2))
        );
        // Another source tells for itself; and what has no revision cannot be told apart.
        let other = store
            .add_changes("hook", vec![change("main", "r1")], None, at(9))
            .await;
        assert_eq!(other.unwrap().len(), 1);
        let bare = NewChange {
            revision: None,
            ..change("main", "")
        };
        let twice = store
            .add_changes("hook", vec![bare.clone(), bare], None, at(9))
            .await;
        assert_eq!(twice.unwrap().len(), 2);
        store.close().await;
    }

    async fn the_parent_is_the_change_before_on_the_same_line(db: &TestDb) {
        let store = db.open().await;
        let none = NewChange {
            branch: None,
            ..change("", "r4")
        };
        let none_again = NewChange {
            branch: None,
            ..change("", "r5")
        };
        let changes = vec![
            change("main", "r1"),
            change("dev", "r2"),
            change("main", "r3"),
            none,
            none_again,
        ];
        let ids = store
            .add_changes("poller", changes, None, at(1))
            .await
            .unwrap();
        let found = store.changes_after(ChangeId(0), 10).await.unwrap();
        let parents: Vec<_> = found.iter().map(|change| change.parent).collect();
        assert_eq!(parents, [None, None, Some(ids[0]), None, Some(ids[3])]);
        assert_eq!(store.last_change().await.unwrap(), ids[4]);
        let after: Vec<_> = store
            .changes_after(ids[1], 2)
            .await
            .unwrap()
            .iter()
            .map(|c| c.id)
            .collect();
        assert_eq!(after, [ids[2], ids[3]]);
        store.close().await;
    }

    async fn a_build_set_knows_its_changes_and_their_newest_stamps(db: &TestDb) {
        let farm = Farm::on(db).await;
        let mut lib = change("main", "l1");
        lib.codebase = "lib".to_owned();
        let changes = vec![change("main", "r1"), lib, change("main", "r2")];
        let ids = farm
            .store
            .add_changes("poller", changes, None, at(1))
            .await
            .unwrap();
        let added = farm
            .add(
                NewBuildset {
                    changes: ids.clone(),
                    sourcestamps: vec![],
                    ..buildset()
                },
                2,
            )
            .await;
        let stamps = farm.store.sourcestamps_of(added.id).await.unwrap();
        let seen: Vec<_> = stamps
            .iter()
            .map(|stamp| {
                (
                    stamp.spec.codebase.as_str(),
                    stamp.spec.revision.as_deref().unwrap(),
                )
            })
            .collect();
        assert_eq!(seen, [("", "r2"), ("lib", "l1")]);
        let of: Vec<_> = farm
            .store
            .changes_of_buildset(added.id)
            .await
            .unwrap()
            .iter()
            .map(|c| c.id)
            .collect();
        assert_eq!(of, ids);
        let unknown = NewBuildset {
            changes: vec![ChangeId(77)],
            sourcestamps: vec![],
            ..buildset()
        };
        let error = farm.store.add_buildset(unknown, at(3)).await;
        assert!(
            matches!(error, Err(StoreError::NotFound { id: 77, .. })),
            "{error:?}"
        );
        farm.store.close().await;
    }

    async fn equal_stamps_are_one_row(db: &TestDb) {
        let farm = Farm::on(db).await;
        farm.buildset(&["a"], 1).await;
        farm.buildset(&["b"], 2).await;
        let stamps: Vec<SourceStamp> = farm.store.list(&Query::new()).await.unwrap();
        assert_eq!(stamps.len(), 1);
        assert_eq!(stamps[0].created_at, at(1));
        farm.store.close().await;
    }

    async fn a_scheduler_moves_once_from_each_version(db: &TestDb) {
        let farm = Farm::on(db).await;
        let (store, id) = (&farm.store, farm.ids.schedulers["s"]);
        let first = store.scheduler_state(id).await.unwrap();
        assert_eq!((first.state, first.version), (json!(null), 0));
        let commit = |version: i64| {
            let new = NewBuildset {
                scheduler: Some(id),
                builders: vec![farm.builder("a")],
                ..buildset()
            };
            store.commit_scheduler(
                id,
                farm.master,
                version,
                SchedulerCommit {
                    state: json!({"n": version}),
                    buildsets: vec![new],
                    ..SchedulerCommit::default()
                },
                at(1),
            )
        };
        let done = commit(0).await.unwrap();
        assert_eq!((done.version, done.buildsets.len()), (1, 1));
        let late = commit(0).await;
        assert!(matches!(late, Err(StoreError::Conflict { .. })), "{late:?}");
        let state = store.scheduler_state(id).await.unwrap();
        assert_eq!((state.state, state.version), (json!({"n": 0}), 1));
        let made: Vec<toolpost_core::model::Buildset> = store
            .list(&Query::new().eq("schedulerid", id))
            .await
            .unwrap();
        assert_eq!(
            made.iter().map(|b| b.id).collect::<Vec<_>>(),
            [BuildsetId(1)]
        );
        // Another master is not its master.
        let other = store.register_master("other", at(2)).await.unwrap();
        let foreign = store
            .commit_scheduler(id, other, 1, SchedulerCommit::default(), at(2))
            .await;
        assert!(
            matches!(foreign, Err(StoreError::Conflict { .. })),
            "{foreign:?}"
        );
        store.set_scheduler_enabled(id, false).await.unwrap();
        assert!(
            !store
                .get::<toolpost_core::model::Scheduler>(id)
                .await
                .unwrap()
                .enabled
        );
        store.close().await;
    }

    async fn racing_commits_of_a_scheduler_have_one_winner(db: &TestDb) {
        let farm = Farm::on(db).await;
        let id = farm.ids.schedulers["s"];
        let race = (0..8).map(|n| {
            let commit = SchedulerCommit {
                state: json!(n),
                buildsets: vec![buildset()],
                ..SchedulerCommit::default()
            };
            farm.store.commit_scheduler(id, farm.master, 0, commit, at(1))
        });
        let outcomes = futures::future::join_all(race).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        let sets = farm
            .store
            .count::<toolpost_core::model::Buildset>(&Query::new())
            .await
            .unwrap();
        assert_eq!(sets, 1);
        farm.store.close().await;
    }

    async fn a_form_leaves_the_queue_with_the_commit_that_handled_it(db: &TestDb) {
        let farm = Farm::on(db).await;
        let (store, id) = (&farm.store, farm.ids.schedulers["s"]);
        let form = |reason: &str| NewForced {
            owner: "ada".into(),
            reason: reason.into(),
            values: json!({"depth": 3}),
        };
        for reason in ["first", "second", "third"] {
            store.add_forced(id, form(reason), at(5)).await.unwrap();
        }
        let waiting = store.forced(id, 2).await.unwrap();
        assert_eq!(waiting.len(), 2, "no more than were asked for");
        assert_eq!((&waiting[0].form, waiting[0].at), (&form("first"), at(5)));
        let handled = |version| {
            let commit = SchedulerCommit {
                forced: waiting.iter().map(|row| row.id).collect(),
                ..SchedulerCommit::default()
            };
            store.commit_scheduler(id, farm.master, version, commit, at(6))
        };
        assert!(handled(7).await.is_err(), "a conflict");
        assert_eq!(store.forced(id, 10).await.unwrap().len(), 3);
        handled(0).await.unwrap();
        let left = store.forced(id, 10).await.unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].form.reason, "third");
        let nobody = store.add_forced(toolpost_core::SchedulerId(99), form("x"), at(1)).await;
        assert!(matches!(nobody, Err(StoreError::NotFound { .. })), "{nobody:?}");
        store.close().await;
    }

    async fn a_scheduler_knows_its_own_build_sets_and_which_changes_there_are(db: &TestDb) {
        let farm = Farm::on(db).await;
        let id = farm.ids.schedulers["s"];
        let own = NewBuildset {
            scheduler: Some(id),
            ..buildset()
        };
        let own = farm.store.add_buildset(own, at(1)).await.unwrap().id;
        let other = farm.store.add_buildset(buildset(), at(1)).await.unwrap().id;
        let sets = [own, other, BuildsetId(99)];
        let made = farm.store.buildsets_made_by(id, &sets).await.unwrap();
        assert_eq!(made, [own].into());
        let changes = [ChangeId(1)];
        assert_eq!(farm.store.known_changes(&changes).await.unwrap(), [].into());
        farm.store.close().await;
    }
}
