//! Lists by the fields of the REST API.

use insta::assert_snapshot;
use serde_json::json;
use toolpost_core::model::{
    Build, BuildRequest, Builder, Buildset, Change, ChangeSource, Log, LogType, Master, Scheduler,
    SourceStamp, Step, Worker,
};
use toolpost_core::{Results, Timestamp};

use super::backend::TestDb;
use super::both;
use super::setup::{Farm, at, names};
use crate::resources::table::Kind;
use crate::{NewChange, Op, Query, Resource, Store, StoreError};

/// Some of everything.
async fn stocked(db: &TestDb) -> Farm {
    let farm = Farm::on(db).await;
    let store = &farm.store;
    let mut tagged = names();
    tagged.builders[0].tags = vec!["fast".to_owned(), "a\"b,c".to_owned()];
    tagged.builders[0].description = Some("the first".to_owned());
    store
        .sync_configuration(farm.master, tagged, at(1))
        .await
        .unwrap();
    let info = [("os".to_owned(), json!("Linux"))].into();
    store
        .set_worker_connected(farm.worker(), farm.master, true, Some(info), at(1))
        .await
        .unwrap();
    let change = NewChange {
        author: "Ann".to_owned(),
        branch: Some("main".to_owned()),
        revision: Some("r1".to_owned()),
        repository: "repo".to_owned(),
        files: vec!["a.rs".to_owned(), "b.rs".to_owned()],
        when: at(100),
        ..NewChange::default()
    };
    let bob = NewChange {
        author: "Bob".to_owned(),
        branch: None,
        revision: Some("r2".to_owned()),
        when: Timestamp(100_999),
        ..change.clone()
    };
    store
        .add_changes("c", vec![change, bob], None, at(1))
        .await
        .unwrap();
    for second in [10, 20, 30, 40] {
        let request = farm.request("a", second).await;
        if second == 40 {
            break;
        }
        let build = farm.start(&[request], second).await.unwrap();
        let step = farm.step(build.id, "shell").await;
        store.add_log(step, "stdio", LogType::Stdio).await.unwrap();
        if second < 30 {
            store
                .finish_build(
                    build.id,
                    Results::Failure,
                    "failed test",
                    Timestamp(second * 1000 + 1500),
                )
                .await
                .unwrap();
        }
    }
    farm
}

async fn build_ids(store: &Store, query: Query) -> Vec<i64> {
    let builds: Vec<Build> = store.list(&query).await.unwrap();
    let count = store.count::<Build>(&query).await.unwrap();
    if query.limit.is_none() && query.offset == 0 {
        assert_eq!(count, i64::try_from(builds.len()).unwrap(), "{query:?}");
    }
    builds.iter().map(|build| build.id.0).collect()
}

/// A query written as in a URL: `field[__op]=value&order=-field&limit=1&offset=1`.
fn parse(text: &str) -> Query {
    let mut query = Query::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap();
        query = match key {
            "order" => query.order(value),
            "limit" => query.limit(value.parse().unwrap()),
            "offset" => query.offset(value.parse().unwrap()),
            key => {
                let (field, op) = key.split_once("__").unwrap_or((key, "eq"));
                query.filters.push(crate::Filter {
                    field: field.to_owned(),
                    op: Op::from_name(op).unwrap(),
                    values: value.split('|').map(str::to_owned).collect(),
                });
                query
            }
        };
    }
    query
}

/// Asks for every field with every operator and in both orders: the statements must be valid, and what is
/// refused must be refused with words.
pub(super) async fn every_field<R: Resource>(store: &Store) {
    let all = store.count::<R>(&Query::new()).await.unwrap();
    assert!(all > 0, "{}", R::TABLE.resource);
    for field in R::TABLE.fields {
        let value = match field.kind {
            Kind::Int | Kind::Link | Kind::AtMostOne => "1",
            Kind::Flag => "true",
            Kind::Time => "30",
            Kind::Text | Kind::List => "a",
        };
        for op in ["eq", "ne", "lt", "le", "gt", "ge", "contains"] {
            let query = Query::new().filter(field.name, Op::from_name(op).unwrap(), value);
            let listed = store.list::<R>(&query).await;
            let refused = match field.kind {
                Kind::Int | Kind::Flag | Kind::Time => op == "contains",
                Kind::Text | Kind::AtMostOne => false,
                Kind::List | Kind::Link => !matches!(op, "eq" | "ne" | "contains"),
            };
            match listed {
                Ok(rows) => {
                    assert!(!refused, "{} {op}", field.name);
                    let count = store.count::<R>(&query).await.unwrap();
                    assert_eq!(count, i64::try_from(rows.len()).unwrap());
                }
                Err(StoreError::Filter { .. }) => assert!(refused, "{} {op}", field.name),
                Err(error) => panic!("{} {op}: {error}", field.name),
            }
        }
        // Whatever the value, a row that has one is either equal or not.
        let count = async |op| {
            let query = Query::new().filter(field.name, op, value);
            store.count::<R>(&query).await.unwrap()
        };
        let either = count(Op::Eq).await + count(Op::Ne).await;
        assert!(
            either == all || field.nullable && either < all,
            "{}",
            field.name
        );
        for order in [field.name.to_owned(), format!("-{}", field.name)] {
            let listed = store.list::<R>(&Query::new().order(&order)).await;
            match field.kind {
                Kind::List | Kind::Link => {
                    assert!(matches!(listed, Err(StoreError::Filter { .. })), "{order}");
                }
                _ => assert_eq!(
                    i64::try_from(listed.unwrap().len()).unwrap(),
                    all,
                    "{order}"
                ),
            }
        }
    }
    let unknown = store.list::<R>(&Query::new().eq("nonsense", 1)).await;
    assert!(matches!(unknown, Err(StoreError::UnknownField { .. })));
    let unknown = store.list::<R>(&Query::new().order("nonsense")).await;
    assert!(matches!(unknown, Err(StoreError::UnknownField { .. })));
    assert!(store.find::<R>(-1).await.unwrap().is_none());
    let missing = store.get::<R>(-1).await.map(drop).unwrap_err();
    assert!(matches!(missing, StoreError::NotFound { id: -1, .. }));
}

both! {
    async fn every_field_of_every_resource_can_be_asked_for(db: &TestDb) {
        let farm = stocked(db).await;
        every_field::<Master>(&farm.store).await;
        every_field::<Builder>(&farm.store).await;
        every_field::<Worker>(&farm.store).await;
        every_field::<Scheduler>(&farm.store).await;
        every_field::<ChangeSource>(&farm.store).await;
        every_field::<Change>(&farm.store).await;
        every_field::<SourceStamp>(&farm.store).await;
        every_field::<Buildset>(&farm.store).await;
        every_field::<BuildRequest>(&farm.store).await;
        every_field::<Build>(&farm.store).await;
        every_field::<Step>(&farm.store).await;
        every_field::<Log>(&farm.store).await;
        farm.store.close().await;
    }

    async fn builds_are_found_by_what_is_asked(db: &TestDb) {
        let farm = stocked(db).await;
        // Builds 1, 2, 3 started at second 10, 20, 30; 1 and 2 ended 1.5 seconds later.
        let table: &[(&str, &[i64])] = &[
            ("", &[1, 2, 3]),
            ("buildid=2", &[2]),
            ("buildid=1|3", &[1, 3]),
            ("buildid__ne=1|3", &[2]),
            ("number__gt=1&number__le=3", &[2, 3]),
            ("complete=true", &[1, 2]),
            ("complete=off", &[3]),
            ("complete__ne=1", &[3]),
            ("results=2", &[1, 2]),
            ("results__ne=2", &[]),
            ("results__ne=0", &[1, 2]),
            ("results__ge=0", &[1, 2]),
            ("started_at=20", &[2]),
            ("started_at__ne=20", &[1, 3]),
            ("started_at__lt=20", &[1]),
            ("started_at__le=20", &[1, 2]),
            ("started_at__gt=20", &[3]),
            ("started_at__ge=20", &[2, 3]),
            // 11.5 seconds are shown as 11.
            ("complete_at=11", &[1]),
            ("complete_at__le=11", &[1]),
            ("complete_at__gt=11", &[2]),
            ("complete_at__ne=11", &[2]),
            ("complete_at=11|21", &[1, 2]),
            ("state_string__contains=test", &[1, 2]),
            ("state_string__contains=TEST", &[]),
            ("state_string__contains=xyz|start", &[3]),
            ("state_string=failed test", &[1, 2]),
            ("state_string=%", &[]),
            ("bsid=2", &[2]),
            ("builderid=1&workerid=1", &[1, 2, 3]),
            ("builderid=2", &[]),
            ("order=-buildid", &[3, 2, 1]),
            ("order=-complete_at", &[2, 1, 3]),
            ("order=complete_at", &[3, 1, 2]),
            ("order=results&order=-number", &[3, 2, 1]),
            ("order=-buildid&limit=1", &[3]),
            ("order=-buildid&limit=1&offset=1", &[2]),
            ("offset=2", &[3]),
            ("limit=0", &[]),
        ];
        for (query, expected) in table {
            assert_eq!(
                build_ids(&farm.store, parse(query)).await,
                *expected,
                "{query}"
            );
        }
        farm.store.close().await;
    }

    async fn lists_and_links_are_asked_for_members(db: &TestDb) {
        let farm = stocked(db).await;
        let store = &farm.store;
        let table: &[(&str, i64)] = &[
            ("tags__contains=fast", 1),
            ("tags__contains=fas", 0),
            ("tags__contains=a\"b,c", 1),
            ("tags__contains=b", 0),
            ("tags__contains=nope|fast", 1),
            ("tags__ne=fast", 1),
            ("masterid=1", 2),
            ("masterids__contains=1", 2),
            ("masterid=2", 0),
            ("masterid__ne=1", 0),
            ("workerid=1", 2),
            ("description=the first", 1),
            ("description__ne=the first", 1),
        ];
        for (query, expected) in table {
            assert_eq!(
                store.count::<Builder>(&parse(query)).await.unwrap(),
                *expected,
                "{query}"
            );
        }
        let table: &[(&str, i64)] = &[
            ("files__contains=a.rs", 2),
            ("files__contains=.rs", 0),
            ("branch=main", 1),
            ("branch__ne=main", 0),
            ("when_timestamp=100", 2),
            ("author__contains=n", 1),
        ];
        for (query, expected) in table {
            assert_eq!(
                store.count::<Change>(&parse(query)).await.unwrap(),
                *expected,
                "{query}"
            );
        }
        let workers: Vec<Worker> = store
            .list(&parse("connected_to=1&builderid=2"))
            .await
            .unwrap();
        assert_eq!(workers[0].connected_to, [farm.master]);
        let requests = store
            .count::<BuildRequest>(&parse("claimed=false&complete=false"))
            .await;
        assert_eq!(requests.unwrap(), 1);
        let claimed = store
            .count::<BuildRequest>(&parse("claimed_by_masterid=1"))
            .await;
        assert_eq!(claimed.unwrap(), 3);
        let sets: Vec<Buildset> = store.list(&parse("bsid=2")).await.unwrap();
        assert_eq!(sets[0].sourcestamps[0].spec.revision.as_deref(), Some("r1"));
        store.close().await;
    }

    async fn bad_queries_are_explained(db: &TestDb) {
        let farm = stocked(db).await;
        let table = [
            "nonsense=1",
            "order=nonsense",
            "buildid=one",
            "buildid=99999999999999999999",
            "complete=maybe",
            "started_at=yesterday",
            "started_at=inf",
            "number__gt=1|2",
            "started_at__lt=1|2",
            "buildid__contains=1",
            "bsid__lt=1",
            "order=bsid",
        ];
        let mut errors = String::new();
        for query in table {
            let error = farm.store.list::<Build>(&parse(query)).await.unwrap_err();
            errors.push_str(&format!("{query}: {error}\n"));
        }
        let mut none = Query::new().eq("buildid", 1);
        none.filters[0].values.clear();
        let error = farm.store.list::<Build>(&none).await.unwrap_err();
        errors.push_str(&format!("no value: {error}\n"));
        assert_snapshot!("bad_queries", errors);
        farm.store.close().await;
    }
}
