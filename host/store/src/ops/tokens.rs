//! Tokens of programs that act for somebody. Only a hash of each is kept.

use toolpost_core::Timestamp;
use toolpost_core::access::Identity;

use super::sessions::{hash_of, identity_columns, read_identity};
use crate::sql::{Row, args};
use crate::{ROWS_PER_LIST_MAX, Result, Store, StoreError};

const COLUMNS: &str = "id, label, via, name, full_name, email, groups, actions, builders, \
    created_at, expires_at, used_at, revoked_at, revoked_by";

/// A token that is made.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// What the program will show.
    pub secret: String,
    /// What its owner calls it.
    pub label: String,
    /// How its owner was logged in.
    pub via: String,
    /// Its owner.
    pub identity: Identity,
    /// Names of what may be done with it.
    pub actions: Vec<String>,
    /// Patterns of builders; empty for all.
    pub builders: Vec<String>,
    /// When it ends, if ever.
    pub expires_at: Option<Timestamp>,
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// Its id, which is no secret.
    pub id: i64,
    /// What its owner calls it.
    pub label: String,
    /// How its owner was logged in.
    pub via: String,
    /// Its owner.
    pub identity: Identity,
    /// Names of what may be done with it.
    pub actions: Vec<String>,
    /// Patterns of builders; empty for all.
    pub builders: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends, if ever.
    pub expires_at: Option<Timestamp>,
    /// When it was last noted to be used.
    pub used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// By whom.
    pub revoked_by: Option<String>,
}

impl TokenRow {
    /// Whether it is good.
    #[must_use]
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

impl Store {
    /// Makes a token. Gives its id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_token(&self, token: NewToken, now: Timestamp) -> Result<i64> {
        const OPERATION: &str = "add_token";
        self.write(OPERATION, move |tx| {
            let token = token.clone();
            Box::pin(async move {
                let list = |texts: &[String]| serde_json::Value::from(texts).to_string();
                let mut row = args![hash_of(&token.secret), &token.label, &token.via];
                row.extend(identity_columns(&token.identity));
                row.extend(args![
                    list(&token.actions),
                    list(&token.builders),
                    now,
                    token.expires_at
                ]);
                let into = "INSERT INTO tokens (hash, label, via, name, full_name, email, groups, actions, \
                    builders, created_at, expires_at)";
                let rows = tx.insert(OPERATION, into, vec![row], "RETURNING id").await?;
                let missing = || StoreError::query(OPERATION, sqlx::Error::RowNotFound);
                rows.first().ok_or_else(missing)?.first()
            })
        })
        .await
    }

    /// The token that is this secret, good or not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn token(&self, secret: &str) -> Result<Option<TokenRow>> {
        let sql = format!("SELECT {COLUMNS} FROM tokens WHERE hash = $1");
        let mut connection = self.read("token").await?;
        let args = args![hash_of(secret)];
        let row = connection.fetch_optional("token", sql, args).await?;
        row.as_ref().map(read).transpose()
    }

    /// Tokens of somebody, or of everybody, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tokens(&self, of: Option<&str>, limit: u32) -> Result<Vec<TokenRow>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM tokens WHERE $1 = '' OR name = $1 ORDER BY id DESC LIMIT $2"
        );
        let mut connection = self.read("tokens").await?;
        let args = args![of.unwrap_or_default(), limit.min(ROWS_PER_LIST_MAX)];
        let rows = connection.fetch_all("tokens", sql, args).await?;
        rows.iter().map(read).collect()
    }

    /// Ends a token that is not ended yet: of somebody, or whoever made it. Says whether there was one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_token(
        &self,
        id: i64,
        of: Option<&str>,
        who: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let (of, who) = (of.unwrap_or_default().to_owned(), who.to_owned());
        self.write("revoke_token", move |tx| {
            let args = args![id, &of, now, &who];
            Box::pin(async move {
                let sql = "UPDATE tokens SET revoked_at = $3, revoked_by = $4 \
                    WHERE id = $1 AND ($2 = '' OR name = $2) AND revoked_at IS NULL";
                Ok(tx.execute("revoke_token", sql, args).await? > 0)
            })
        })
        .await
    }

    /// Notes that a token is used.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn touch_token(&self, id: i64, now: Timestamp) -> Result<()> {
        self.write("touch_token", move |tx| {
            Box::pin(async move {
                let sql = "UPDATE tokens SET used_at = $2 WHERE id = $1";
                tx.execute("touch_token", sql, args![id, now]).await?;
                Ok(())
            })
        })
        .await
    }
}

fn read(row: &Row) -> Result<TokenRow> {
    let mut cells = row.cells();
    Ok(TokenRow {
        id: cells.get()?,
        label: cells.get()?,
        via: cells.get()?,
        identity: read_identity(&mut cells)?,
        actions: cells.json()?,
        builders: cells.json()?,
        created_at: cells.get()?,
        expires_at: cells.get()?,
        used_at: cells.get()?,
        revoked_at: cells.get()?,
        revoked_by: cells.get()?,
    })
}
