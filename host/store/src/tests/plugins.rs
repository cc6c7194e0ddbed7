//! Plugin versions and their components.

use bytes::Bytes;
use serde_json::json;
use toolpost_core::Event;

use super::backend::TestDb;
use super::both;
use super::setup::at;
use crate::{PluginEventKind, PluginEventRow, PluginVersionRow};

fn version(name: &str, digest: &str, second: i64) -> PluginVersionRow {
    PluginVersionRow {
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        digest: digest.to_owned(),
        contract: "1.0".to_owned(),
        describe: json!({"steps": [name]}),
        size_bytes: 3,
        loaded_at: at(second),
    }
}

fn event(name: &str, kind: PluginEventKind, digest: Option<&str>, second: i64) -> PluginEventRow {
    PluginEventRow {
        name: name.to_owned(),
        kind,
        digest: digest.map(str::to_owned),
        reason: (kind == PluginEventKind::Refused).then(|| "it is truncated".to_owned()),
        at: at(second),
        fallbacks: match (kind, digest) {
            (PluginEventKind::Live, Some("2")) => vec!["0".to_owned(), "1".to_owned()],
            _ => Vec::new(),
        },
    }
}

both! {
    async fn components_are_kept_by_digest(db: &TestDb) {
        let store = db.open().await;
        let digest = "sha256:../../x";
        let component = Bytes::from_static(b"\0asm");
        store
            .record_plugin_version(version("p", digest, 1), component.clone())
            .await
            .unwrap();
        store
            .record_plugin_version(version("p", digest, 2), component.clone())
            .await
            .unwrap();
        store
            .record_plugin_version(version("p", "sha256:2", 3), component.clone())
            .await
            .unwrap();
        assert_eq!(
            store.plugin_component(digest).await.unwrap(),
            Some(component)
        );
        let versions = store.plugin_versions("p").await.unwrap();
        assert_eq!(
            versions,
            [version("p", "sha256:2", 3), version("p", digest, 1)]
        );
        store.remove_plugin_component(digest).await.unwrap();
        store.remove_plugin_component(digest).await.unwrap();
        assert_eq!(store.plugin_component(digest).await.unwrap(), None);
        assert_eq!(store.plugin_versions("p").await.unwrap().len(), 2);
        assert_eq!(store.plugin_versions("q").await.unwrap(), []);
        assert!(!db.dir.path().join("x").exists());
        store.close().await;
    }

    async fn the_live_version_is_the_last_that_went_live(db: &TestDb) {
        use PluginEventKind::{Live, Refused, Removed, RolledBack};
        let store = db.open().await;
        for (name, digest) in [("p", "1"), ("p", "2"), ("q", "3")] {
            store
                .record_plugin_version(version(name, digest, 1), Bytes::from_static(b"x"))
                .await
                .unwrap();
        }
        let table = [
            (event("p", Live, Some("1"), 1), vec!["1"]),
            (event("q", Live, Some("3"), 2), vec!["1", "3"]),
            (event("p", Live, Some("2"), 3), vec!["2", "3"]),
            (event("p", Refused, Some("bad"), 4), vec!["2", "3"]),
            (event("q", Removed, None, 5), vec!["2"]),
            (event("p", RolledBack, Some("1"), 6), vec!["1"]),
            (event("q", Live, Some("3"), 7), vec!["1", "3"]),
        ];
        for (event, expected) in table {
            db.take_events();
            store.record_plugin_event(event.clone()).await.unwrap();
            assert_eq!(db.take_events(), [Event::Plugin(event.name.clone())]);
            let live: Vec<String> = store
                .live_plugins()
                .await
                .unwrap()
                .into_iter()
                .map(|live| {
                    if live.version.name == event.name && event.kind != Refused {
                        assert_eq!((live.since, live.fallbacks), (event.at, event.fallbacks.clone()));
                    }
                    live.version.digest
                })
                .collect();
            assert_eq!(live, expected, "after {event:?}");
        }
        let events = store.plugin_events("p", 2).await.unwrap();
        assert_eq!(
            events,
            [
                event("p", RolledBack, Some("1"), 6),
                event("p", Refused, Some("bad"), 4)
            ]
        );
        store.close().await;
    }
}
