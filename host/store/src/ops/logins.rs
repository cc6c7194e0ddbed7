//! Log-ins at a provider that were begun and have not come back. What the browser shows is hashed before anything else happens to it.

use toolpost_core::Timestamp;

use super::sessions::hash_of;
use crate::sql::args;
use crate::{Result, Store};

/// Log-ins that are under way at one time; the oldest makes room.
const UNDER_WAY_MAX: i64 = 10_000;
/// Expired ones that a new one takes away.
const EXPIRED_PER_LOGIN: i64 = 1_000;

/// A log-in that is begun.
#[derive(Debug, Clone)]
pub struct NewLogin {
    /// What the browser will show.
    pub secret: String,
    /// Name of the provider.
    pub provider: String,
    /// The page to lead to at the end.
    pub redirect: String,
    /// When it has to be begun again.
    pub expires_at: Timestamp,
}

impl Store {
    /// Remembers a log-in that is begun, and forgets those that are too old or too many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin_login(&self, login: NewLogin, now: Timestamp) -> Result<()> {
        const OPERATION: &str = "begin_login";
        self.write(OPERATION, move |tx| {
            let login = login.clone();
            Box::pin(async move {
                let expired = "DELETE FROM logins WHERE id IN (SELECT id FROM logins \
                    WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
                tx.execute(OPERATION, expired, args![now, EXPIRED_PER_LOGIN])
                    .await?;
                let row = args![
                    hash_of(&login.secret),
                    &login.provider,
                    &login.redirect,
                    login.expires_at
                ];
                let into = "INSERT INTO logins (hash, provider, redirect, expires_at)";
                tx.insert(OPERATION, into, vec![row], "").await?;
                let oldest = "DELETE FROM logins WHERE id <= (SELECT id FROM logins \
                    ORDER BY id DESC LIMIT 1 OFFSET $1)";
                tx.execute(OPERATION, oldest, args![UNDER_WAY_MAX]).await?;
                Ok(())
            })
        })
        .await
    }

    /// Takes the log-in that this secret began at this provider, which is good once. Gives the page to lead to; `None` when there is
    /// none, or it is too old.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_login(
        &self,
        secret: &str,
        provider: &str,
        now: Timestamp,
    ) -> Result<Option<String>> {
        const OPERATION: &str = "take_login";
        let hash = hash_of(secret);
        let provider = provider.to_owned();
        self.write(OPERATION, move |tx| {
            let args = args![&hash, &provider, now];
            let gone = args![&hash];
            Box::pin(async move {
                let sql = "SELECT redirect FROM logins \
                    WHERE hash = $1 AND provider = $2 AND expires_at > $3";
                let row = tx.fetch_optional(OPERATION, sql, args).await?;
                let redirect = row.map(|row| row.first::<String>()).transpose()?;
                let sql = "DELETE FROM logins WHERE hash = $1";
                // Of two that come at once, one finds it.
                let was_there = tx.execute(OPERATION, sql, gone).await? > 0;
                Ok(redirect.filter(|_| was_there))
            })
        })
        .await
    }
}
