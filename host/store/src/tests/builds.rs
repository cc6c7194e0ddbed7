//! Builds and steps: how they end, and what a dead master leaves.

use futures::future::join_all;
use serde_json::json;
use toolpost_core::model::{Build, BuildRequest, Buildset, Log, LogType, Step, StepUrl};
use toolpost_core::resources::Resources;
use toolpost_core::{BuildId, Event, Properties, Results, StepId};

use super::backend::TestDb;
use super::both;
use super::setup::{Farm, at};
use crate::{BuildEnd, LogStream, NewStep, Query, StoreError};

both! {
    async fn the_last_build_completes_the_build_set_with_the_worst_result(db: &TestDb) {
        use Results::{Exception, Failure, Skipped, Success, Warnings};
        let table = [
            ([Success, Success], Success),
            ([Success, Warnings], Warnings),
            ([Failure, Warnings], Failure),
            ([Skipped, Success], Success),
            ([Exception, Failure], Exception),
        ];
        let farm = Farm::on(db).await;
        for (results, worst) in table {
            let set = farm.buildset(&["a", "b"], 1).await;
            let mut builds = Vec::new();
            for name in ["a", "b"] {
                let mut start = farm.to_start(&[set.requests[&farm.builder(name)]]);
                start.builder = farm.builder(name);
                builds.push(farm.store.start_build(start, at(2)).await.unwrap().unwrap());
            }
            let ends = [None, Some(set.id)];
            for ((build, results), completed_buildset) in builds.iter().zip(results).zip(ends) {
                let end = farm
                    .store
                    .finish_build(build.id, results, "done", at(3))
                    .await
                    .unwrap();
                assert_eq!(end, BuildEnd::Finished { completed_buildset });
            }
            let set: Buildset = farm.store.get(set.id).await.unwrap();
            assert_eq!((set.complete, set.results), (true, Some(worst)));
        }
        farm.store.close().await;
    }

    async fn builds_that_end_together_complete_their_build_set_once(db: &TestDb) {
        let farm = Farm::on(db).await;
        for _ in 0..10 {
            let set = farm.buildset(&["a", "b"], 1).await;
            let mut ends = Vec::new();
            for name in ["a", "b"] {
                let mut start = farm.to_start(&[set.requests[&farm.builder(name)]]);
                start.builder = farm.builder(name);
                let build = farm
                    .store
                    .start_build(start, at(2))
                    .await
                    .unwrap()
                    .unwrap()
                    .id;
                let store = farm.store.clone();
                ends.push(tokio::spawn(async move {
                    store
                        .finish_build(build, Results::Success, "done", at(3))
                        .await
                }));
            }
            db.take_events();
            for end in join_all(ends).await {
                end.unwrap().unwrap();
            }
            let complete = db
                .take_events()
                .into_iter()
                .filter(|event| *event == Event::BuildsetComplete(set.id));
            assert_eq!(complete.count(), 1);
        }
        farm.store.close().await;
    }

    async fn a_build_ends_once(db: &TestDb) {
        let farm = Farm::on(db).await;
        let build = farm.running().await;
        farm.store
            .set_build_state(build, "compiling")
            .await
            .unwrap();
        farm.store
            .add_build_locks_duration(build, 1500)
            .await
            .unwrap();
        farm.store
            .add_build_locks_duration(build, 500)
            .await
            .unwrap();
        farm.store
            .finish_build(build, Results::Failure, "failed tests", at(5))
            .await
            .unwrap();
        let again = farm
            .store
            .finish_build(build, Results::Success, "fine", at(6))
            .await
            .unwrap();
        assert_eq!(again, BuildEnd::AlreadyComplete);
        let found: Build = farm.store.get(build).await.unwrap();
        assert_eq!(found.results, Some(Results::Failure));
        assert_eq!(
            (found.complete_at, found.locks_duration_ms),
            (Some(at(5)), 2000)
        );
        assert_eq!(found.state_string, "failed tests");
        let unknown = farm
            .store
            .finish_build(BuildId(99), Results::Success, "", at(7))
            .await;
        assert!(matches!(
            unknown,
            Err(StoreError::NotFound {
                what: "build",
                id: 99
            })
        ));
        farm.store.close().await;
    }

    async fn a_retried_request_is_back_in_the_queue(db: &TestDb) {
        let farm = Farm::on(db).await;
        let build = farm.running().await;
        let request = farm.store.get::<Build>(build).await.unwrap().request_id;
        db.take_events();
        let end = farm
            .store
            .finish_build(build, Results::Retry, "worker lost", at(5))
            .await
            .unwrap();
        assert_eq!(end, BuildEnd::Requeued);
        let builder = farm.builder("a");
        assert_eq!(
            db.take_events(),
            [
                Event::BuildFinished(build, builder),
                Event::RequestUnclaimed(request, builder)
            ]
        );
        let found: BuildRequest = farm.store.get(request).await.unwrap();
        assert_eq!((found.complete, found.claimed_by), (false, None));
        let next = farm.start(&[request], 6).await.unwrap();
        assert_eq!(next.number, 2);
        let of_request: Vec<Build> = farm
            .store
            .list(&Query::new().eq("buildrequestid", request))
            .await
            .unwrap();
        assert_eq!(of_request.len(), 2);
        farm.store.close().await;
    }

    async fn properties_are_the_builds_own(db: &TestDb) {
        let farm = Farm::on(db).await;
        let request = farm.request("a", 1).await;
        let mut start = farm.to_start(&[request]);
        start.properties.set("branch", "main", "Build");
        start.properties.set("n", 1, "Scheduler");
        let build = farm
            .store
            .start_build(start, at(2))
            .await
            .unwrap()
            .unwrap()
            .id;
        farm.store
            .set_build_property(build, "n", &json!({"deep": [1, null]}), "step")
            .await
            .unwrap();
        let mut more = Properties::new();
        more.set("x", true, "step");
        farm.store.set_build_properties(build, more).await.unwrap();
        let mut expected = Properties::new();
        expected.set("branch", "main", "Build");
        expected.set("buildnumber", 1, "Build");
        expected.set("n", json!({"deep": [1, null]}), "step");
        expected.set("x", true, "step");
        assert_eq!(farm.store.build_properties(build).await.unwrap(), expected);
        let other = farm.running().await;
        let both = farm
            .store
            .properties_of_builds(&[build, other])
            .await
            .unwrap();
        assert_eq!((both.len(), &both[&build]), (2, &expected));
        assert_eq!(both[&other].get("buildnumber"), Some(&json!(2)));
        let none = farm.store.build_properties(BuildId(99)).await.unwrap();
        assert!(none.is_empty());
        let unknown = farm
            .store
            .set_build_property(BuildId(99), "n", &json!(1), "s")
            .await;
        assert!(unknown.is_err());
        farm.store.close().await;
    }

    async fn steps_run_in_order_under_names_of_their_own(db: &TestDb) {
        let farm = Farm::on(db).await;
        let store = &farm.store;
        let build = farm.running().await;
        let step = |name: &str| NewStep {
            name: name.to_owned(),
            plugin_digest: None,
        };
        let ids = store
            .add_steps(build, vec![step("shell"), step("git"), step("shell")])
            .await
            .unwrap();
        let more = store
            .add_step(
                build,
                NewStep {
                    plugin_digest: Some("sha256:1".to_owned()),
                    ..step("shell")
                },
            )
            .await
            .unwrap();
        let steps: Vec<Step> = store
            .list(&Query::new().eq("buildid", build).order("number"))
            .await
            .unwrap();
        let seen: Vec<_> = steps
            .iter()
            .map(|step| (step.number, step.name.as_str(), step.id))
            .collect();
        assert_eq!(
            seen,
            [
                (0, "shell", ids[0]),
                (1, "git", ids[1]),
                (2, "shell_1", ids[2]),
                (3, "shell_2", more)
            ]
        );
        assert_eq!(steps[3].plugin_digest.as_deref(), Some("sha256:1"));

        store.start_step(ids[0], at(3), None).await.unwrap();
        store.start_step(ids[0], at(4), Some(at(4))).await.unwrap();
        store.set_step_state(ids[0], "running make").await.unwrap();
        store
            .add_step_url(ids[0], "report", "http://example.org/1")
            .await
            .unwrap();
        store
            .add_step_url(ids[0], "log", "http://example.org/2")
            .await
            .unwrap();
        store
            .add_step_url(ids[0], "report", "http://example.org/3")
            .await
            .unwrap();
        store.set_step_plugin(ids[0], "sha256:2").await.unwrap();
        let used = Resources {
            commands: 2,
            user_ms: 1_500,
            memory_peak_bytes: 5 << 32,
            ..Resources::default()
        };
        store
            .finish_step(ids[0], Results::Warnings, "3 warnings", true, Some(used), at(9))
            .await
            .unwrap();
        store
            .finish_step(ids[0], Results::Success, "again", false, None, at(10))
            .await
            .unwrap();
        let url = |name: &str, n: i32| StepUrl {
            name: name.to_owned(),
            url: format!("http://example.org/{n}"),
        };
        assert_eq!(
            store.get::<Step>(ids[0]).await.unwrap(),
            Step {
                started_at: Some(at(3)),
                locks_acquired_at: Some(at(4)),
                complete: true,
                complete_at: Some(at(9)),
                state_string: "3 warnings".to_owned(),
                results: Some(Results::Warnings),
                urls: vec![url("report", 3), url("log", 2)],
                hidden: true,
                plugin_digest: Some("sha256:2".to_owned()),
                resources: Some(used),
                ..steps[0].clone()
            }
        );
        let unknown = store.start_step(StepId(99), at(1), None).await;
        assert!(matches!(
            unknown,
            Err(StoreError::NotFound {
                what: "step",
                id: 99
            })
        ));
        let unknown = store
            .finish_step(StepId(99), Results::Success, "", false, None, at(1))
            .await;
        assert!(matches!(
            unknown,
            Err(StoreError::NotFound {
                what: "step",
                id: 99
            })
        ));
        assert!(store.add_step(BuildId(99), step("x")).await.is_err());
        store.close().await;
    }

    async fn steps_added_at_the_same_time_do_not_collide(db: &TestDb) {
        let farm = Farm::on(db).await;
        let build = farm.running().await;
        join_all((0..8).map(|_| farm.step(build, "shell"))).await;
        let steps: Vec<Step> = farm
            .store
            .list(&Query::new().order("number"))
            .await
            .unwrap();
        let numbers: Vec<i32> = steps.iter().map(|step| step.number).collect();
        assert_eq!(numbers, (0..8).collect::<Vec<_>>());
        farm.store.close().await;
    }

    async fn what_a_dead_master_left_is_taken_back(db: &TestDb) {
        let farm = Farm::on(db).await;
        let store = farm.store.clone();
        // One build ends in order, one is in the middle, one is another master's.
        let done = farm.running().await;
        store
            .finish_build(done, Results::Success, "done", at(3))
            .await
            .unwrap();
        let left = farm.running().await;
        let (ran, running, waiting) = (
            farm.step(left, "git").await,
            farm.step(left, "make").await,
            farm.step(left, "test").await,
        );
        store.start_step(ran, at(3), None).await.unwrap();
        store
            .finish_step(ran, Results::Success, "done", false, None, at(4))
            .await
            .unwrap();
        store.start_step(running, at(5), None).await.unwrap();
        let log = store
            .add_log(running, "stdio", LogType::Stdio)
            .await
            .unwrap();
        let mut writer = store.log_writer(log, LogType::Stdio);
        writer.append(LogStream::Output, b"half\nunfinished").await;
        writer.flush().await;
        drop(writer);
        let other = store.register_master("other", at(0)).await.unwrap();
        let request = farm.request("a", 6).await;
        let mut start = farm.to_start(&[request]);
        start.master = other;
        let others = store.start_build(start, at(7)).await.unwrap().unwrap();

        db.take_events();
        let recovered = store.recover_master(farm.master, at(9)).await.unwrap();
        let request = store.get::<Build>(left).await.unwrap().request_id;
        assert_eq!(recovered.builds, [left]);
        assert_eq!(recovered.requests, [request]);
        assert_eq!(recovered.logs, [log]);
        let builder = farm.builder("a");
        assert_eq!(
            db.take_events(),
            [
                Event::LogFinished(log, running),
                Event::StepFinished(running, left),
                Event::StepFinished(waiting, left),
                Event::BuildFinished(left, builder),
                Event::RequestUnclaimed(request, builder),
            ]
        );
        let build: Build = store.get(left).await.unwrap();
        assert_eq!(
            (build.results, build.complete_at),
            (Some(Results::Retry), Some(at(9)))
        );
        let steps: Vec<Step> = store
            .list(&Query::new().eq("buildid", left).order("number"))
            .await
            .unwrap();
        let results: Vec<_> = steps
            .iter()
            .map(|step| (step.complete, step.results.unwrap()))
            .collect();
        assert_eq!(
            results,
            [
                (true, Results::Success),
                (true, Results::Retry),
                (true, Results::Skipped)
            ]
        );
        let log: Log = store.get(log).await.unwrap();
        assert_eq!((log.complete, log.num_lines), (true, 1));
        assert!(!store.get::<Build>(others.id).await.unwrap().complete);
        let pending: Vec<_> = store
            .pending_heads(5)
            .await
            .unwrap()
            .iter()
            .map(|head| head.id)
            .collect();
        assert_eq!(pending, [request]);

        // The one that was thought dead comes back: too late.
        let late = store
            .finish_build(left, Results::Success, "done", at(10))
            .await
            .unwrap();
        assert_eq!(late, BuildEnd::AlreadyComplete);
        assert_eq!(
            store.recover_master(farm.master, at(11)).await.unwrap(),
            crate::Recovered::default()
        );
        assert!(farm.start(&[request], 12).await.is_some());
        store.close().await;
    }
}
