//! Who is logged in. The secret that a browser shows is hashed before anything else happens to it.

use toolpost_core::Timestamp;
use toolpost_core::access::Identity;

use crate::digest::digest_of;
use crate::sql::{Row, Value, args};
use crate::tx::Tx;
use crate::{Result, Store};

/// Sessions of one person; the oldest makes room.
const SESSIONS_PER_NAME_MAX: i64 = 100;
/// Expired ones that a log-in takes away.
const EXPIRED_PER_LOGIN: i64 = 1_000;

/// Somebody who logs in.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// What their browser will show.
    pub secret: String,
    /// How: `password`, or `provider:NAME`.
    pub via: String,
    /// Who.
    pub identity: Identity,
    /// From where.
    pub address: String,
    /// When they have to log in again.
    pub expires_at: Timestamp,
}

/// Somebody who is logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Its id, which is no secret.
    pub id: i64,
    /// How they logged in.
    pub via: String,
    /// Who.
    pub identity: Identity,
    /// When they logged in.
    pub created_at: Timestamp,
    /// When they were last noted to ask for something.
    pub seen_at: Timestamp,
    /// When they have to log in again.
    pub expires_at: Timestamp,
}

/// What is kept instead of a secret that is random and long: nobody can find such a one by trying.
pub(super) fn hash_of(secret: &str) -> String {
    digest_of([Some("access"), Some(secret)])
}

/// The columns of an identity, in their order.
pub(super) fn identity_columns(identity: &Identity) -> Vec<Value> {
    let groups = serde_json::Value::from_iter(identity.groups.iter().cloned());
    args![
        &identity.name,
        &identity.full_name,
        &identity.email,
        groups.to_string()
    ]
}

/// Reads those columns.
pub(super) fn read_identity(cells: &mut crate::sql::Cells<'_>) -> Result<Identity> {
    Ok(Identity {
        name: cells.get()?,
        full_name: cells.get()?,
        email: cells.get()?,
        groups: cells.json::<Vec<String>>()?.into_iter().collect(),
    })
}

impl Store {
    /// Lets somebody be logged in, and forgets sessions that are over.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_session(&self, session: NewSession, now: Timestamp) -> Result<()> {
        const OPERATION: &str = "add_session";
        self.write(OPERATION, move |tx| {
            let session = session.clone();
            Box::pin(async move {
                let expired = "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions \
                    WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
                tx.execute(OPERATION, expired, args![now, EXPIRED_PER_LOGIN])
                    .await?;
                let mut row = args![hash_of(&session.secret), &session.via];
                row.extend(identity_columns(&session.identity));
                row.extend(args![&session.address, now, now, session.expires_at]);
                let into = "INSERT INTO sessions (hash, via, name, full_name, email, groups, address, \
                    created_at, seen_at, expires_at)";
                tx.insert(OPERATION, into, vec![row], "").await?;
                let oldest = "DELETE FROM sessions WHERE name = $1 AND id <= (SELECT id FROM sessions \
                    WHERE name = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)";
                let args = args![&session.identity.name, SESSIONS_PER_NAME_MAX];
                tx.execute(OPERATION, oldest, args).await?;
                Ok(())
            })
        })
        .await
    }

    /// Who shows this secret, if that is somebody who is still logged in.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn session(&self, secret: &str, now: Timestamp) -> Result<Option<SessionRow>> {
        let sql = "SELECT id, via, name, full_name, email, groups, created_at, seen_at, expires_at \
            FROM sessions WHERE hash = $1 AND expires_at > $2";
        let mut connection = self.read("session").await?;
        let args = args![hash_of(secret), now];
        let row = connection.fetch_optional("session", sql, args).await?;
        row.as_ref().map(read).transpose()
    }

    /// Notes that somebody who is logged in asks for something.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn touch_session(&self, id: i64, now: Timestamp) -> Result<()> {
        self.write("touch_session", move |tx: &mut Tx| {
            Box::pin(async move {
                let sql = "UPDATE sessions SET seen_at = $2 WHERE id = $1";
                tx.execute("touch_session", sql, args![id, now]).await?;
                Ok(())
            })
        })
        .await
    }

    /// Logs out whoever shows this secret.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_session(&self, secret: &str) -> Result<()> {
        let hash = hash_of(secret);
        self.write("end_session", move |tx| {
            let hash = hash.clone();
            Box::pin(async move {
                let sql = "DELETE FROM sessions WHERE hash = $1";
                tx.execute("end_session", sql, args![hash]).await?;
                Ok(())
            })
        })
        .await
    }
}

fn read(row: &Row) -> Result<SessionRow> {
    let mut cells = row.cells();
    Ok(SessionRow {
        id: cells.get()?,
        via: cells.get()?,
        identity: read_identity(&mut cells)?,
        created_at: cells.get()?,
        seen_at: cells.get()?,
        expires_at: cells.get()?,
    })
}
