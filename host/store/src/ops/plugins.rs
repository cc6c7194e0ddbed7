//! Plugin versions, what happened to them, and the components' bytes.

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use serde_json::{Value, json};
use toolpost_core::{Event, Timestamp};

use crate::objects::object_error;
use crate::sql::{Cells, Row, args};
use crate::{ROWS_PER_LIST_MAX, Result, Store, StoreError};

/// A plugin version that was committed.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginVersionRow {
    /// Name of the plugin.
    pub name: String,
    /// Its version as it says itself.
    pub version: String,
    /// Digest of the component; identifies the version.
    pub digest: String,
    /// Version of the contract that it is built for.
    pub contract: String,
    /// What `describe` returned.
    pub describe: Value,
    /// Size of the component, bytes.
    pub size_bytes: i64,
    /// When it was first committed.
    pub loaded_at: Timestamp,
}

/// What happened to a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PluginEventKind {
    /// A version went live.
    Live,
    /// A file was refused; the version before stays.
    Refused,
    /// The plugin was removed.
    Removed,
    /// The breaker went back to an earlier version, which is the one of the digest.
    RolledBack,
}

impl PluginEventKind {
    const ALL: [Self; 4] = [Self::Live, Self::Refused, Self::Removed, Self::RolledBack];

    /// The word that is stored and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Refused => "refused",
            Self::Removed => "removed",
            Self::RolledBack => "rolled-back",
        }
    }
}

/// Something that happened to a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginEventRow {
    /// Name of the plugin.
    pub name: String,
    /// What happened.
    pub kind: PluginEventKind,
    /// Digest of the file or version, where there is one.
    pub digest: Option<String>,
    /// Why, for people.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
    /// Digests of the versions that the breaker goes back to from the one that went live, the last one first.
    pub fallbacks: Vec<String>,
}

/// A version that is live.
#[derive(Debug, Clone, PartialEq)]
pub struct LivePluginRow {
    /// The version.
    pub version: PluginVersionRow,
    /// Since when it has been live.
    pub since: Timestamp,
    /// Digests of the versions that the breaker goes back to from it, the last one first.
    pub fallbacks: Vec<String>,
}

impl Store {
    /// Keeps a plugin version and its component. The same digest again changes nothing but the name and
    /// description.
    ///
    /// # Errors
    /// When the object store or the database fails.
    pub async fn record_plugin_version(
        &self,
        version: PluginVersionRow,
        component: Bytes,
    ) -> Result<()> {
        let key = component_key(&version.digest);
        // First the bytes, so that a version on record can always be loaded.
        self.objects()
            .put(&key, PutPayload::from_bytes(component))
            .await
            .map_err(|source| object_error(&key, source))?;
        self.write("record_plugin_version", move |tx| {
            let version = version.clone();
            Box::pin(async move {
                let sql = "INSERT INTO plugin_versions \
                    (name, digest, version, contract, describe, size_bytes, loaded_at) \
                    VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (name, digest) \
                    DO UPDATE SET version = excluded.version, describe = excluded.describe";
                let args = args![
                    version.name,
                    version.digest,
                    version.version,
                    version.contract,
                    version.describe.to_string(),
                    version.size_bytes,
                    version.loaded_at
                ];
                tx.execute("record_plugin_version", sql, args).await?;
                Ok(())
            })
        })
        .await
    }

    /// Records what happened to a plugin.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn record_plugin_event(&self, event: PluginEventRow) -> Result<()> {
        self.write("record_plugin_event", move |tx| {
            let event = event.clone();
            Box::pin(async move {
                let sql = "INSERT INTO plugin_events (name, kind, digest, reason, at, fallbacks) \
                    VALUES ($1, $2, $3, $4, $5, $6)";
                let fallbacks = (!event.fallbacks.is_empty()).then(|| json!(event.fallbacks));
                let args = args![
                    &event.name,
                    event.kind.name(),
                    event.digest,
                    event.reason,
                    event.at,
                    fallbacks.map(|list| list.to_string())
                ];
                tx.execute("record_plugin_event", sql, args).await?;
                tx.emit(Event::Plugin(event.name));
                Ok(())
            })
        })
        .await
    }

    /// The versions of a plugin, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn plugin_versions(&self, name: &str) -> Result<Vec<PluginVersionRow>> {
        let mut connection = self.read("plugin_versions").await?;
        let sql = format!(
            "SELECT {VERSION_COLUMNS} FROM plugin_versions v WHERE v.name = $1 \
             ORDER BY v.loaded_at DESC, v.digest LIMIT $2"
        );
        connection
            .fetch_all("plugin_versions", sql, args![name, ROWS_PER_LIST_MAX])
            .await?
            .iter()
            .map(version)
            .collect()
    }

    /// For each plugin that is not removed, the version that is live: the one to start with.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn live_plugins(&self) -> Result<Vec<LivePluginRow>> {
        let mut connection = self.read("live_plugins").await?;
        let sql = format!(
            "SELECT {VERSION_COLUMNS}, e.at, e.fallbacks FROM plugin_events e \
             JOIN plugin_versions v ON v.name = e.name AND v.digest = e.digest \
             WHERE e.kind IN ('live', 'rolled-back') AND e.id = (SELECT MAX(n.id) \
             FROM plugin_events n WHERE n.name = e.name AND n.kind <> 'refused') \
             ORDER BY v.name LIMIT $1"
        );
        connection
            .fetch_all("live_plugins", sql, args![ROWS_PER_LIST_MAX])
            .await?
            .iter()
            .map(|row| {
                let mut cells = row.cells();
                Ok(LivePluginRow {
                    version: version_of(&mut cells)?,
                    since: cells.get()?,
                    fallbacks: fallbacks_of(&mut cells)?,
                })
            })
            .collect()
    }

    /// Digests of versions that a roll-back took away and that have not been live since.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rolled_back_plugins(&self) -> Result<Vec<String>> {
        let mut connection = self.read("rolled_back_plugins").await?;
        // A roll-back names the version that it went to; the one that it came from was live before it.
        let sql = "SELECT DISTINCT f.digest FROM plugin_events r \
            JOIN plugin_events f ON f.name = r.name AND f.id = (SELECT MAX(b.id) \
            FROM plugin_events b WHERE b.name = r.name AND b.id < r.id \
            AND b.kind IN ('live', 'rolled-back')) \
            WHERE r.kind = 'rolled-back' AND NOT EXISTS (SELECT 1 FROM plugin_events n \
            WHERE n.name = r.name AND n.digest = f.digest AND n.id > r.id \
            AND n.kind IN ('live', 'rolled-back')) ORDER BY f.digest LIMIT $1";
        connection
            .fetch_all("rolled_back_plugins", sql, args![ROWS_PER_LIST_MAX])
            .await?
            .iter()
            .map(|row| row.cells().get())
            .collect()
    }

    /// What happened to a plugin, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn plugin_events(&self, name: &str, limit: u32) -> Result<Vec<PluginEventRow>> {
        let mut connection = self.read("plugin_events").await?;
        let sql = "SELECT name, kind, digest, reason, at, fallbacks FROM plugin_events WHERE name = $1 \
            ORDER BY id DESC LIMIT $2";
        connection
            .fetch_all(
                "plugin_events",
                sql,
                args![name, limit.min(ROWS_PER_LIST_MAX)],
            )
            .await?
            .iter()
            .map(event)
            .collect()
    }

    /// The bytes of a component, when they are kept.
    ///
    /// # Errors
    /// When the object store fails.
    pub async fn plugin_component(&self, digest: &str) -> Result<Option<Bytes>> {
        let key = component_key(digest);
        let found = match self.objects().get(&key).await {
            Ok(found) => found.bytes().await,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => Err(error),
        };
        found.map(Some).map_err(|source| object_error(&key, source))
    }

    /// Forgets the bytes of a component; its version stays on record.
    ///
    /// # Errors
    /// When the object store fails.
    pub async fn remove_plugin_component(&self, digest: &str) -> Result<()> {
        let key = component_key(digest);
        match self.objects().delete(&key).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(object_error(&key, source)),
        }
    }
}

const VERSION_COLUMNS: &str =
    "v.name, v.version, v.digest, v.contract, v.describe, v.size_bytes, v.loaded_at";

fn version(row: &Row) -> Result<PluginVersionRow> {
    version_of(&mut row.cells())
}

fn version_of(cells: &mut Cells<'_>) -> Result<PluginVersionRow> {
    Ok(PluginVersionRow {
        name: cells.get()?,
        version: cells.get()?,
        digest: cells.get()?,
        contract: cells.get()?,
        describe: cells.json()?,
        size_bytes: cells.get()?,
        loaded_at: cells.get()?,
    })
}

fn event(row: &Row) -> Result<PluginEventRow> {
    let mut cells = row.cells();
    let name = cells.get()?;
    let word: String = cells.get()?;
    let kind = PluginEventKind::ALL
        .into_iter()
        .find(|kind| kind.name() == word)
        .ok_or_else(|| StoreError::Corrupt {
            what: format!("event of plugin {name}"),
            reason: format!("{word:?} is no kind of event"),
        })?;
    Ok(PluginEventRow {
        name,
        kind,
        digest: cells.get()?,
        reason: cells.get()?,
        at: cells.get()?,
        fallbacks: fallbacks_of(&mut cells)?,
    })
}

fn fallbacks_of(cells: &mut Cells<'_>) -> Result<Vec<String>> {
    let text: Option<String> = cells.get()?;
    let Some(text) = text else {
        return Ok(Vec::new());
    };
    serde_json::from_str(&text).map_err(|error| StoreError::Corrupt {
        what: "versions that a plugin goes back to".into(),
        reason: error.to_string(),
    })
}

/// The digest is one part of the path whatever is in it.
fn component_key(digest: &str) -> Path {
    Path::from_iter(["plugins", digest])
}
