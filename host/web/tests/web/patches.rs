//! Patches: in the REST API, on pages, and as files.

use axum::http::header;
use insta::assert_snapshot;
use serde_json::json;
use toolpost_core::model::SourceStampSpec;
use toolpost_core::patch::{PATCH_BODY_BYTES_MAX, Patch};
use toolpost_store::NewBuildset;

use crate::support::{Asker, NOW, TestFarm, build};

/// Whoever wrote it wants to be more than text, and has used bytes that are none.
pub(crate) fn hostile() -> Patch {
    Patch {
        level: 0,
        body: b"--- a\n+++ a\n@@ -1 +1 @@\n-\xff\n+</pre><script>alert(1)</script>\n".to_vec(),
        author: "<b>Eve</b>".into(),
        comment: "\"><img src=x>".into(),
        subdir: "lib".into(),
    }
}

#[tokio::test]
async fn source_stamps_show_their_patches() {
    let farm = TestFarm::new().await;
    farm.build(build("unit").patched(hostile())).await;
    let stamp = farm.get("/api/v2/sourcestamps/1?field=patch").await;
    assert_snapshot!(stamp.shown(), @r#"
    200
    {"sourcestamps":[{"patch":{"author":"<b>Eve</b>","body":"--- a\n+++ a\n@@ -1 +1 @@\n-�\n+</pre><script>alert(1)</script>\n","comment":"\"><img src=x>","level":0,"patchid":1,"subdir":"lib"}}],"meta":{}}
    "#);
    let patch = stamp.json()["sourcestamps"][0]["patch"].clone();
    for (path, list) in [
        ("/api/v2/buildsets", "buildsets"),
        ("/api/v2/buildsets/1", "buildsets"),
    ] {
        let answer = farm.get(path).await.json();
        assert_eq!(answer[list][0]["sourcestamps"][0]["patch"], patch, "{path}");
    }
    for path in ["/api/v2/sourcestamps", "/api/v2/buildsets/1/sourcestamps"] {
        let answer = farm.get(path).await.json();
        assert_eq!(answer["sourcestamps"][0]["patch"], patch, "{path}");
    }
}

#[tokio::test]
async fn a_patch_is_only_text_wherever_it_is_shown() {
    let farm = TestFarm::new().await;
    farm.build(build("unit")).await;
    farm.build(build("unit").patched(hostile())).await;
    farm.request(&build("docs").patched(hostile())).await;
    let page = farm.get("/builds/2").await.body;
    for part in [
        "href=\"/builds/2/patches/1\"",
        "href=\"/builds/2/patches/1?download\"",
        "level 0, in lib",
        "&#60;b&#62;Eve&#60;/b&#62;",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    assert!(
        !page.contains("<b>Eve") && !page.contains("<img src=x"),
        "{page}"
    );
    assert!(farm.get("/pending").await.body.contains("main + patch"));

    let shown = farm.get("/builds/2/patches/1").await;
    assert_eq!(shown.body, String::from_utf8_lossy(&hostile().body));
    assert_eq!(
        shown.header(header::CONTENT_TYPE),
        "text/plain; charset=utf-8"
    );
    assert_eq!(shown.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    let policy = shown.header(header::CONTENT_SECURITY_POLICY);
    assert!(
        policy.starts_with("sandbox; default-src 'none'"),
        "{policy}"
    );
    let kept = farm.get("/builds/2/patches/1?download").await;
    assert_eq!(
        kept.header(header::CONTENT_DISPOSITION),
        "attachment; filename=\"patch-1.diff\""
    );
    for path in [
        "/builds/1/patches/1",
        "/builds/2/patches/9",
        "/builds/2/patches/x",
    ] {
        assert_eq!(farm.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_list_of_large_patches_is_read_in_parts_and_whole() {
    const MANY: usize = 20;
    let farm = TestFarm::new().await;
    for n in 0..MANY {
        let new = NewBuildset {
            sourcestamps: vec![SourceStampSpec {
                branch: Some(format!("{:02}", MANY - n)),
                ..SourceStampSpec::default()
            }],
            patches: [(
                String::new(),
                Patch {
                    body: vec![b'a' + u8::try_from(n).expect("small"); PATCH_BODY_BYTES_MAX],
                    ..hostile()
                },
            )]
            .into(),
            ..NewBuildset::default()
        };
        farm.store
            .add_buildset(new, NOW)
            .await
            .expect("a build set");
    }
    let upwards: Vec<_> = (1..=MANY).map(|id| json!(id)).collect();
    let downwards: Vec<_> = upwards.iter().rev().cloned().collect();
    for (order, expected) in [
        ("", &upwards),
        ("-ssid", &downwards),
        ("branch", &downwards),
    ] {
        let query = match order {
            "" => String::new(),
            order => format!("?order={order}"),
        };
        let answer = farm
            .get(&format!("/api/v2/sourcestamps{query}"))
            .await
            .json();
        let rows = answer["sourcestamps"].as_array().expect("a list");
        let ids: Vec<_> = rows.iter().map(|row| row["ssid"].clone()).collect();
        assert_eq!(ids, *expected, "{order}");
        assert_eq!(answer["meta"]["total"], MANY, "{order}");
        for row in rows {
            let body = row["patch"]["body"].as_str().expect("a patch");
            assert_eq!(body.len(), PATCH_BODY_BYTES_MAX, "{order}");
        }
    }
    let some = farm
        .get("/api/v2/sourcestamps?order=branch&limit=15")
        .await
        .json();
    assert_eq!(some["sourcestamps"].as_array().map(Vec::len), Some(15));
    assert_eq!(some["meta"]["total"], MANY);
}
