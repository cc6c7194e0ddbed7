//! Patches of source stamps.

use std::collections::BTreeMap;

use toolpost_core::PatchId;
use toolpost_core::model::{Buildset, SourceStamp, SourceStampSpec};
use toolpost_core::patch::{PATCH_BODY_BYTES_MAX, Patch};

use super::backend::TestDb;
use super::both;
use super::setup::{Farm, at, buildset, stamp};
use crate::{NewBuildset, StoreError};

/// Bytes that are no text, as a patch of a file in another encoding has them.
fn patch() -> Patch {
    Patch {
        level: 1,
        body: b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-\xff\x00\n+b\n".to_vec(),
        author: "Ada".to_owned(),
        comment: "why".to_owned(),
        subdir: ".".to_owned(),
    }
}

fn with(patch: Patch) -> NewBuildset {
    NewBuildset {
        patches: BTreeMap::from([(String::new(), patch)]),
        ..buildset()
    }
}

/// The only source stamp of a build set that is made now.
async fn made(farm: &Farm, new: NewBuildset) -> SourceStamp {
    let id = farm.add(new, 1).await.id;
    let set: Buildset = farm.store.get(id.0).await.unwrap();
    let stamps = farm.store.sourcestamps_of(id).await.unwrap();
    assert_eq!(set.sourcestamps, stamps);
    stamps.into_iter().next().unwrap()
}

both! {
    async fn a_patch_is_kept_as_it_is_and_makes_another_source_stamp(db: &TestDb) {
        let farm = Farm::on(db).await;
        let plain = made(&farm, buildset()).await;
        assert_eq!((plain.spec.patch, plain.patch_size_bytes), (None, 0));

        let patched = made(&farm, with(patch())).await;
        assert_ne!(patched.id, plain.id);
        assert_eq!(patched.patch_size_bytes, patch().body.len() as u64);
        let id = patched.spec.patch.unwrap();
        assert_eq!(farm.store.patch(id).await.unwrap(), patch());
        let nobodys = SourceStampSpec {
            patch: Some(PatchId(id.0 + 1_000)),
            ..plain.spec.clone()
        };
        let unknown = farm.store.unknown_patch([&plain.spec, &patched.spec]).await;
        assert_eq!(unknown.unwrap(), None);
        let unknown = farm.store.unknown_patch([&patched.spec, &nobodys]).await;
        assert_eq!(unknown.unwrap(), nobodys.patch);
        let listed: SourceStamp = farm.store.get(patched.id.0).await.unwrap();
        assert_eq!(listed, patched);

        assert_eq!(made(&farm, with(patch())).await, patched);
        let again = NewBuildset { sourcestamps: vec![patched.spec.clone()], ..buildset() };
        assert_eq!(made(&farm, again).await, patched);
        assert_eq!(made(&farm, buildset()).await, plain);

        let others = [
            Patch { level: 0, ..patch() },
            Patch { body: b"other".to_vec(), ..patch() },
            Patch { author: "Eve".to_owned(), ..patch() },
            Patch { comment: String::new(), ..patch() },
            Patch { subdir: "lib".to_owned(), ..patch() },
        ];
        let mut seen = vec![plain.id, patched.id];
        for other in others {
            let stamp = made(&farm, with(other.clone())).await;
            assert!(!seen.contains(&stamp.id), "{other:?}");
            assert_eq!(farm.store.patch(stamp.spec.patch.unwrap()).await.unwrap(), other);
            seen.push(stamp.id);
        }
        let unknown = farm.store.patch(PatchId(99)).await;
        assert!(matches!(unknown, Err(StoreError::NotFound { .. })), "{unknown:?}");
        farm.store.close().await;
    }

    async fn a_patch_that_is_too_large_is_not_kept(db: &TestDb) {
        let farm = Farm::on(db).await;
        let large = |bytes| with(Patch { body: vec![b'x'; bytes], ..patch() });
        let refused = farm.store.add_buildset(large(PATCH_BODY_BYTES_MAX + 1), at(1)).await;
        assert!(matches!(refused, Err(StoreError::PatchTooLarge { .. })), "{refused:?}");
        let largest = made(&farm, large(PATCH_BODY_BYTES_MAX)).await;
        assert_eq!(largest.patch_size_bytes, PATCH_BODY_BYTES_MAX as u64);
        farm.store.close().await;
    }

    async fn requests_with_a_patch_are_not_offered_to_those_without(db: &TestDb) {
        let farm = Farm::on(db).await;
        let builders = vec![farm.builder("a")];
        let request = async |new: NewBuildset| {
            let new = NewBuildset {
                builders: builders.clone(),
                sourcestamps: vec![stamp("main", "r1")],
                ..new
            };
            farm.add(new, 1).await.requests[&builders[0]]
        };
        let plain = request(buildset()).await;
        let patched = request(with(patch())).await;
        for alone in [plain, patched] {
            let found = farm.store.pending_for_collapse(alone, 10).await.unwrap();
            let found: Vec<_> = found.iter().map(|candidate| candidate.request.id).collect();
            assert_eq!(found, [alone]);
        }
        let found = farm.store.pending_for_collapse(patched, 10).await.unwrap();
        assert!(found[0].sourcestamps[0].patch.is_some());
        farm.store.close().await;
    }
}
