//! What all objects have in common, whatever is in them.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::{Result, Store, StoreError};

/// An error of the object store, with the object that it is about.
pub(crate) fn object_error(key: &Path, source: object_store::Error) -> StoreError {
    StoreError::Object {
        key: key.to_string(),
        source,
    }
}

/// Removes the objects below `prefix` that are not `named`: what a crash left between an object and its row.
pub(crate) async fn remove_unnamed(
    store: &Store,
    prefix: &Path,
    named: &BTreeSet<String>,
) -> Result<()> {
    let present: Vec<_> = store
        .objects()
        .list(Some(prefix))
        .try_collect()
        .await
        .map_err(|source| object_error(prefix, source))?;
    for object in present {
        if !named.contains(object.location.as_ref()) {
            remove(store, &object.location).await;
        }
    }
    Ok(())
}

/// Removes an object that nothing names. What cannot be removed costs room and nothing else.
pub(crate) async fn remove(store: &Store, key: &Path) {
    if let Err(error) = store.objects().delete(key).await {
        tracing::warn!("object {key} stays, though nothing uses it: {error}");
    }
}
