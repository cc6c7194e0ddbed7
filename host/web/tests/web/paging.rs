//! Pages of lists, and answers that have not changed.

use toolpost_core::model::SourceStampSpec;
use toolpost_store::NewBuildset;

use crate::support::{Asker, NOW, TestFarm, build};

/// More requests than are read at a time.
const MANY: usize = 2_345;

async fn crowded() -> TestFarm {
    let farm = TestFarm::new().await;
    for n in 0..MANY {
        let new = NewBuildset {
            // So long that a list of all is sent while it is read.
            reason: format!("reason {n:04} {}", "x".repeat(1_000)),
            sourcestamps: vec![SourceStampSpec::default()],
            builders: vec![farm.builder(if n % 3 == 0 { "docs" } else { "unit" })],
            priority: i32::try_from(n % 7).expect("small"),
            ..NewBuildset::default()
        };
        farm.store
            .add_buildset(new, NOW)
            .await
            .expect("a build set");
    }
    farm
}

#[tokio::test]
async fn a_list_without_limit_is_streamed_whole_and_in_order() {
    let farm = crowded().await;
    for (query, key, descending) in [
        ("", "buildrequestid", false),
        ("?order=-buildrequestid", "buildrequestid", true),
        ("?order=priority", "priority", false),
        ("?field=buildrequestid", "buildrequestid", false),
    ] {
        let answer = farm
            .get(&format!("/api/v2/buildrequests{query}"))
            .await
            .json();
        let rows = answer["buildrequests"].as_array().expect("a list");
        assert_eq!(rows.len(), MANY, "{query}");
        assert_eq!(answer["meta"]["total"], MANY, "{query}");
        let mut keys: Vec<_> = rows
            .iter()
            .map(|row| row[key].as_i64().expect("a number"))
            .collect();
        if descending {
            keys.reverse();
        }
        assert!(keys.is_sorted(), "{query}");
        if key == "buildrequestid" {
            keys.dedup();
            assert_eq!(keys.len(), MANY, "{query}: none twice");
        }
    }
    let filtered = farm.get("/api/v2/buildrequests?builderid=1").await.json();
    assert_eq!(filtered["meta"]["total"], MANY.div_ceil(3));
}

#[tokio::test]
async fn a_list_that_is_too_long_to_be_kept_is_the_same() {
    let farm = crowded().await;
    for (query, descending) in [
        ("", false),
        ("?order=-bsid", true),
        ("?order=reason", false),
        ("?order=-reason", true),
        ("?order=-reason&limit=2300", true),
    ] {
        let answer = farm.get(&format!("/api/v2/buildsets{query}")).await;
        let tag = answer.header("etag");
        assert!(tag.starts_with("W/"), "{query}: it was not kept: {tag:?}");
        let answer = answer.json();
        let rows = answer["buildsets"].as_array().expect("a list");
        let expected = if query.contains("limit") { 2_300 } else { MANY };
        assert_eq!(rows.len(), expected, "{query}");
        assert_eq!(answer["meta"]["total"], MANY, "{query}");
        let ids = rows.iter().map(|row| row["bsid"].as_i64().expect("an id"));
        let mut ids: Vec<_> = ids.collect();
        if descending {
            ids.reverse();
        }
        // Reasons are in the order of ids.
        assert!(
            ids.is_sorted_by(|a, b| a < b),
            "{query}: each once, in order"
        );
    }
}

#[tokio::test]
async fn limit_and_offset_cut_a_page_out_of_the_whole() {
    let farm = crowded().await;
    for (query, ids, total) in [
        ("limit=3", vec![1, 2, 3], MANY),
        ("limit=2&offset=10", vec![11, 12], MANY),
        ("limit=2&order=-buildrequestid", vec![2345, 2344], MANY),
        ("offset=2343", vec![2344, 2345], MANY),
        ("limit=5&offset=2344", vec![2345], MANY),
        ("offset=9999", vec![], MANY),
        ("limit=0", vec![], MANY),
        ("limit=2&builderid=1", vec![1, 4], MANY.div_ceil(3)),
    ] {
        let answer = farm
            .get(&format!("/api/v2/buildrequests?{query}"))
            .await
            .json();
        let got: Vec<_> = answer["buildrequests"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|row| row["buildrequestid"].as_i64().expect("a number"))
            .collect();
        assert_eq!(got, ids, "{query}");
        assert_eq!(answer["meta"]["total"], total, "{query}");
    }
    let large = farm.get("/api/v2/buildrequests?limit=1500").await.json();
    assert_eq!(large["buildrequests"].as_array().map(Vec::len), Some(1500));
    assert_eq!(large["meta"]["total"], MANY);
}

#[tokio::test]
async fn an_answer_changes_with_the_store_and_not_before() {
    let farm = TestFarm::new().await;
    farm.build(build("unit")).await;
    let path = "/api/v2/builds?order=-buildid&limit=100";
    let first = farm.get(path).await;
    let etag = first.header("etag").to_owned();
    assert!(etag.len() > 2, "{etag}");
    assert_eq!(first.header("cache-control"), "no-cache");
    let conditional = [
        ("accept", "application/json"),
        ("if-none-match", etag.as_str()),
    ];
    let unchanged = farm.get_with(path, &conditional).await;
    assert_eq!(
        (unchanged.status.as_u16(), unchanged.body.as_str()),
        (304, "")
    );
    farm.build(build("unit")).await;
    let changed = farm.get_with(path, &conditional).await;
    assert_eq!(changed.status.as_u16(), 200);
    assert_eq!(changed.json()["builds"][0]["buildid"], 2);
}

#[tokio::test]
async fn a_large_answer_is_compressed_for_who_asks() {
    let farm = crowded().await;
    let path = "/api/v2/buildrequests?limit=100";
    let headers = [("accept", "application/json"), ("accept-encoding", "gzip")];
    let packed = farm.get_with(path, &headers).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    let plain = farm.get(path).await;
    assert_eq!(plain.header("content-encoding"), "");
    assert!(packed.body.len() < plain.body.len() / 4);
}

#[tokio::test]
async fn lists_of_builds_and_builders_are_as_new_as_the_store() {
    let farm = TestFarm::new().await;
    let names = async || farm.get("/api/v2/builders?field=name").await.body;
    let states = async || farm.get("/api/v2/builds?field=state_string").await.body;
    let by_name =
        async || farm.get("/api/v2/builders/late/builds").await.json()["meta"]["total"].clone();
    assert!(!names().await.contains("late"));
    assert_eq!(by_name().await, 0);
    let mut configured = toolpost_store::ConfiguredNames::default();
    for name in ["unit", "late"] {
        configured.builders.push(toolpost_store::ConfiguredBuilder {
            name: name.into(),
            ..toolpost_store::ConfiguredBuilder::default()
        });
    }
    farm.store
        .sync_configuration(farm.master_id, configured, NOW)
        .await
        .expect("configured");
    assert!(names().await.contains("late"));
    let built = farm.build(build("unit").runs()).await;
    for state in ["compiling", "testing"] {
        farm.store
            .set_build_state(built.id, state)
            .await
            .expect("set");
        assert!(states().await.contains(state));
    }
    farm.store
        .stop_master(farm.master_id, NOW)
        .await
        .expect("stopped");
    let masters = farm.get("/api/v2/builders?field=masterids").await.body;
    assert!(!masters.contains('1'), "{masters}");
}
