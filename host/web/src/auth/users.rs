//! The file of `users_file`: read when it has changed, so that whoever is taken out of it is out at once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use toolpost_config::config::{AuthConfig, UserConfig};
use toolpost_core::access::Identity;

use crate::error::ApiError;

/// A larger file is a mistake.
const FILE_BYTES_MAX: u64 = 4 << 20;

type Users = BTreeMap<String, UserConfig>;

/// What the file held when it was last read, with what told that it has not changed since.
#[derive(Default)]
pub(super) struct UsersFile(Mutex<Option<(Version, Arc<Users>)>>);

type Version = (std::path::PathBuf, Option<SystemTime>, u64);

impl UsersFile {
    /// Somebody with a password.
    pub(super) async fn find(
        &self,
        auth: &AuthConfig,
        name: &str,
    ) -> Result<Option<UserConfig>, ApiError> {
        if let Some(user) = auth.users.get(name) {
            return Ok(Some(user.clone()));
        }
        let Some(path) = &auth.users_file else {
            return Ok(None);
        };
        let users = self.read(path).await.map_err(|reason| {
            ApiError::Internal(format!("the file with the users cannot be read: {reason}"))
        })?;
        Ok(users.get(name).cloned())
    }

    async fn read(&self, path: &Path) -> Result<Arc<Users>, String> {
        let shown = |error: std::io::Error| format!("{}: {error}", path.display());
        let metadata = tokio::fs::metadata(path).await.map_err(shown)?;
        let version = (path.to_owned(), metadata.modified().ok(), metadata.len());
        if let Some((of, users)) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner)
            && *of == version
        {
            return Ok(Arc::clone(users));
        }
        if metadata.len() > FILE_BYTES_MAX {
            return Err(format!(
                "{} is longer than {FILE_BYTES_MAX} bytes",
                path.display()
            ));
        }
        let text = tokio::fs::read_to_string(path).await.map_err(shown)?;
        let users = Arc::new(parse(&text).map_err(|fault| format!("{}: {fault}", path.display()))?);
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *read = Some((version, Arc::clone(&users)));
        Ok(users)
    }
}

/// Reads NAME:HASH, and if wanted :EMAIL:FULL NAME:GROUP,GROUP. A fault names its line, and nothing of it.
fn parse(text: &str) -> Result<Users, String> {
    let mut users = Users::new();
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    for (at, line) in lines {
        let mut fields = line.trim_end().split(':');
        let mut next = || fields.next().unwrap_or_default();
        let (name, hash, email, full_name, groups) = (next(), next(), next(), next(), next());
        if name.is_empty() || !hash.starts_with("$argon2") {
            return Err(format!(
                "line {} is not NAME:HASH with a hash as `toolpost hash-password` makes it",
                at + 1
            ));
        }
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let groups = groups
            .split(',')
            .map(str::trim)
            .filter(|group| !group.is_empty());
        let identity = Identity {
            name: name.to_owned(),
            full_name: some(full_name),
            email: some(email),
            groups: groups.map(str::to_owned).collect(),
        };
        let user = UserConfig {
            identity,
            password_hash: hash.to_owned(),
        };
        users.insert(name.to_owned(), user);
    }
    Ok(users)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_user_a_line() {
        let text = "# people\nada:$argon2id$x:ada@example.org:Ada L.:dev, ops\n\neve:$argon2id$y\n";
        let users = parse(text).expect("users");
        let ada = &users["ada"].identity;
        assert_eq!(ada.email.as_deref(), Some("ada@example.org"));
        assert_eq!(ada.full_name.as_deref(), Some("Ada L."));
        assert!(ada.groups.contains("dev") && ada.groups.contains("ops"));
        assert_eq!(users["eve"].identity.email, None);
        let fault = parse("ada:$argon2id$x\neve:hunter2\n").expect_err("no hash");
        assert!(
            fault.starts_with("line 2 ") && !fault.contains("hunter2"),
            "{fault}"
        );
    }
}
