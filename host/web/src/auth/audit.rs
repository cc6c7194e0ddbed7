//! The audit log: `/audit` for people, `/api/v2/audit` for programs.

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use serde_json::{Map, Value, json};
use toolpost_core::access::Action;
use toolpost_store::AuditRow;

use super::caller::Caller;
use crate::api::memory;
use crate::api::schema::Resource;
use crate::error::ApiError;
use crate::pages::{Ask, Section, Shell, When};
use crate::state::Web;

/// Entries that programs get; further ones are asked for with `?before=ID`.
const ENTRIES_MAX: u32 = 1_000;
/// Rows of a page.
const ROWS_MAX: u32 = 100;

/// What a query string asks for: of whom, and before which entry.
fn asked(query: Option<&str>) -> (Option<String>, Option<i64>) {
    let (mut who, mut before) = (None, None);
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*name {
            "who" if !value.is_empty() => who = Some(value.into_owned()),
            "before" => before = value.parse().ok(),
            _ => {}
        }
    }
    (who, before)
}

/// The newest entries.
pub(crate) async fn json(
    web: &Web,
    caller: &Caller,
    query: Option<&str>,
) -> Result<Vec<u8>, ApiError> {
    if !web.permits(caller, Action::ReadAudit) {
        return Err(ApiError::forbidden(caller, Action::ReadAudit.name()));
    }
    let (who, before) = asked(query);
    let entries = web.store.audit(who.as_deref(), before, ENTRIES_MAX).await?;
    // These two are ours; the others are those of every list.
    let query = form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .filter(|(name, _)| name != "who" && name != "before");
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(query)
        .finish();
    let entries = entries.into_iter().map(entry_json).collect();
    memory::collection(Resource::AuditEntry, entries, Some(&query))
}

fn entry_json(row: AuditRow) -> Map<String, Value> {
    let entry = row.entry;
    crate::api::members(json!({
        "action": entry.action,
        "address": entry.address,
        "at": row.at.0 / 1_000,
        "auditid": row.id,
        "detail": entry.detail,
        "outcome": entry.outcome,
        "target": entry.target,
        "via": entry.via,
        "who": entry.who,
    }))
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    shell: Shell,
    who: String,
    rows: Vec<EntryView>,
    older: Option<String>,
}

struct EntryView {
    at: When,
    row: AuditRow,
}

/// `/audit`
pub(crate) async fn page(State(web): State<Web>, ask: Ask) -> Response<Body> {
    ask.answer_once(&web, StatusCode::OK, Box::pin(render(&web, &ask)).await)
}

async fn render(web: &Web, ask: &Ask) -> Result<String, ApiError> {
    let (who, before) = asked(ask.uri.query());
    let rows = web.store.audit(who.as_deref(), before, ROWS_MAX).await?;
    let shell = Shell::new(web, ask, Section::Other, "Audit log");
    let full = rows.len() >= ROWS_MAX as usize;
    let last = rows.last().filter(|_| full).map(|row| row.id);
    let older = last.map(|last| {
        let mut query = form_urlencoded::Serializer::new(String::from("/audit?"));
        query.append_pair("before", &last.to_string());
        if let Some(who) = &who {
            query.append_pair("who", who);
        }
        query.finish()
    });
    let page = AuditPage {
        who: who.unwrap_or_default(),
        rows: rows
            .into_iter()
            .map(|row| EntryView {
                at: When::new(row.at, shell.now),
                row,
            })
            .collect(),
        older,
        shell,
    };
    Ok(page.render()?)
}
