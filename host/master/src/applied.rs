//! What was applied last, kept beside the database so that `toolpost plan` can compare with it while no
//! master runs, or while one does. Never read by the master itself.

use std::io::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};
use toolpost_config::Sources;
use toolpost_config::config::MasterConfig;
use tracing::warn;

const FILE_NAME: &str = "applied-configuration.json";

/// The configuration files as the master of these settings applied them last, if it ever did.
#[must_use]
pub fn applied_sources(settings: &MasterConfig) -> Option<Sources> {
    let text = std::fs::read_to_string(path(settings)?).ok()?;
    let value: Value = serde_json::from_str(&text).ok()?;
    let base_dir = value["base_dir"].as_str()?;
    let files: Option<Vec<(String, String)>> = value["files"]
        .as_array()?
        .iter()
        .map(|file| {
            Some((
                file["name"].as_str()?.to_owned(),
                file["text"].as_str()?.to_owned(),
            ))
        })
        .collect();
    Some(Sources::from_texts(base_dir, files?))
}

/// Keeps what was applied. Only plans depend on it, so that a failure is a warning.
pub(crate) fn record_applied(settings: &MasterConfig, sources: &Sources) {
    let Some(path) = path(settings) else { return };
    let files: Vec<Value> = sources
        .files()
        .map(|(name, text)| json!({"name": name, "text": text}))
        .collect();
    let value = json!({"base_dir": sources.base_dir(), "files": files});
    let written = (|| {
        let dir = path.parent().unwrap_or(&path);
        let mut staged = tempfile::NamedTempFile::new_in(dir)?;
        staged.write_all(value.to_string().as_bytes())?;
        staged.persist(&path).map_err(|error| error.error)
    })();
    if let Err(error) = written {
        warn!(
            "`toolpost plan` will compare with an older configuration: cannot write {}: {error}",
            path.display()
        );
    }
}

fn path(settings: &MasterConfig) -> Option<PathBuf> {
    Some(settings.object_dir.parent()?.join(FILE_NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let settings = MasterConfig {
            object_dir: dir.path().join("objects"),
            ..MasterConfig::default()
        };
        assert_eq!(applied_sources(&settings), None);
        let sources = Sources::from_texts(
            "/farm",
            [("toolpost.toml", "a = 1"), ("conf.d/b.toml", "b = \"ä\"")],
        );
        record_applied(&settings, &sources);
        assert_eq!(applied_sources(&settings), Some(sources));
    }
}
