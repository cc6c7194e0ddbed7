//! Tokens: made by somebody who is logged in, shown once, good for no more than their owner may do.

use std::time::Duration;

use serde_json::{Map, Value, json};
use toolpost_core::access::{Action, NamePattern};
use toolpost_store::{NewToken, TokenRow};

use super::caller::Caller;
use super::proof::TOKEN_PREFIX;
use crate::api::memory;
use crate::api::schema::Resource;
use crate::error::{ApiError, rpc_code};
use crate::state::Web;

/// Tokens that are listed.
const TOKENS_MAX: u32 = 1_000;
/// Longest name of a token, characters.
pub(crate) const LABEL_CHARS_MAX: usize = 100;
/// Patterns of builders.
pub(crate) const BUILDERS_MAX: usize = 100;
/// How long a token is good when nobody says, days.
const DAYS_DEFAULT: u64 = 90;
/// The longest that anybody may say, days.
pub(crate) const DAYS_MAX: u32 = 3_660;

/// The caller's tokens; everybody's for whoever may manage them.
pub(crate) async fn json(
    web: &Web,
    caller: &Caller,
    id: Option<i64>,
    query: Option<&str>,
) -> Result<Vec<u8>, ApiError> {
    let of = mine_or_all(web, caller)?;
    let tokens = web.store.tokens(of.as_deref(), TOKENS_MAX).await?;
    match id {
        None => memory::collection(
            Resource::Token,
            tokens.iter().map(token_json).collect(),
            query,
        ),
        Some(id) => {
            let token = tokens.iter().find(|token| token.id == id);
            memory::single(Resource::Token, token.map(token_json), query)
        }
    }
}

/// Whose tokens somebody may see: `None` for everybody's.
fn mine_or_all(web: &Web, caller: &Caller) -> Result<Option<String>, ApiError> {
    if web.permits(caller, Action::ManageTokens) {
        return Ok(None);
    }
    let identity = caller.identity.as_ref();
    let identity = identity.ok_or_else(|| ApiError::forbidden(caller, "see tokens"))?;
    Ok(Some(identity.name.clone()))
}

fn token_json(token: &TokenRow) -> Map<String, Value> {
    let seconds = |at: toolpost_core::Timestamp| at.0 / 1_000;
    crate::api::members(json!({
        "actions": token.actions,
        "builders": token.builders,
        "created_at": seconds(token.created_at),
        "expires_at": token.expires_at.map(seconds),
        "name": token.label,
        "owner": token.identity.name,
        "revoked_at": token.revoked_at.map(seconds),
        "revoked_by": token.revoked_by,
        "tokenid": token.id,
        "used_at": token.used_at.map(seconds),
    }))
}

fn wrong(message: impl Into<String>) -> ApiError {
    ApiError::Rpc {
        code: rpc_code::INVALID_PARAMS,
        message: message.into(),
    }
}

/// Makes a token: `name`, `scope` (`read`, `control`, or names of actions), `builders`, `days` (null for no end).
pub(crate) async fn create(
    web: &Web,
    caller: &Caller,
    params: &Map<String, Value>,
) -> Result<Value, ApiError> {
    let Some(identity) = caller.identity.clone().filter(|_| caller.is_in_person()) else {
        return Err(ApiError::forbidden(
            caller,
            "make tokens without logging in",
        ));
    };
    let label = params.get("name").and_then(Value::as_str);
    let label = label.unwrap_or_default().trim().to_owned();
    if label.is_empty() || label.chars().count() > LABEL_CHARS_MAX {
        return Err(wrong(
            "`name` says what the token is for, in up to 100 characters",
        ));
    }
    let actions = actions_of(params.get("scope"))?;
    let builders = builders_of(params.get("builders"))?;
    let now = web.now();
    let expires_at = days_of(params)?.map(|days| now.after(Duration::from_secs(days * 86_400)));
    let secret = format!("{TOKEN_PREFIX}{}", super::new_secret());
    let names: Vec<String> = actions
        .iter()
        .map(|action| action.name().to_owned())
        .collect();
    let token = NewToken {
        secret: secret.clone(),
        label: label.clone(),
        via: caller.via_login.clone(),
        identity,
        actions: names.clone(),
        builders,
        expires_at,
    };
    let id = web.store.add_token(token, now).await?;
    web.acting(caller)
        .record(
            "create-token",
            &format!("token {id} ({label})"),
            &names.join(", "),
            None,
        )
        .await;
    Ok(json!({
        "tokenid": id,
        "token": secret,
        "actions": names,
        "expires_at": expires_at.map(|at| at.0 / 1_000),
    }))
}

fn actions_of(scope: Option<&Value>) -> Result<Vec<Action>, ApiError> {
    let words: Vec<&str> = match scope {
        None | Some(Value::Null) => vec!["read"],
        Some(Value::String(word)) => vec![word],
        Some(Value::Array(words)) => {
            let words: Option<Vec<&str>> = words.iter().map(Value::as_str).collect();
            words.unwrap_or_default()
        }
        Some(_) => Vec::new(),
    };
    let mut actions = std::collections::BTreeSet::from([Action::View]);
    for word in &words {
        match (*word, Action::from_name(word)) {
            ("read", _) => {}
            ("control", _) => {
                actions.extend(Action::ALL.iter().filter(|action| action.is_control()));
            }
            (_, Some(action)) => {
                actions.insert(action);
            }
            (word, None) => {
                let names: Vec<&str> = Action::ALL.iter().map(|action| action.name()).collect();
                return Err(wrong(format!(
                    "there is no scope `{word}`; there are read, control, {}",
                    names.join(", ")
                )));
            }
        }
    }
    match words.is_empty() {
        true => Err(wrong("`scope` is `read`, `control`, or a list of actions")),
        false => Ok(actions.into_iter().collect()),
    }
}

fn builders_of(builders: Option<&Value>) -> Result<Vec<String>, ApiError> {
    let builders: Vec<&Value> = match builders {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(builders)) if builders.len() <= BUILDERS_MAX => builders.iter().collect(),
        Some(_) => return Err(wrong("`builders` is a list of up to 100 names or patterns")),
    };
    let read = |builder: &Value| {
        let text = builder.as_str().unwrap_or_default();
        let pattern = NamePattern::new(text).ok().filter(|_| !text.is_empty());
        let pattern = pattern.ok_or_else(|| wrong(format!("{builder} is not a name or pattern")));
        pattern.map(|pattern| pattern.as_str().to_owned())
    };
    builders.into_iter().map(read).collect()
}

fn days_of(params: &Map<String, Value>) -> Result<Option<u64>, ApiError> {
    match params.get("days") {
        None => Ok(Some(DAYS_DEFAULT)),
        Some(Value::Null) => Ok(None),
        Some(days) => match days.as_u64() {
            Some(days) if (1..=u64::from(DAYS_MAX)).contains(&days) => Ok(Some(days)),
            _ => Err(wrong(
                "`days` is a number from 1 to 3660, or null for a token that does not end",
            )),
        },
    }
}

/// Ends a token.
pub(crate) async fn revoke(web: &Web, caller: &Caller, id: i64) -> Result<Value, ApiError> {
    if !caller.is_in_person() && web.rules().is_some() {
        return Err(ApiError::forbidden(
            caller,
            "revoke tokens without logging in",
        ));
    }
    let of = mine_or_all(web, caller)?;
    let who = caller.name();
    let ended = web.store.revoke_token(id, of.as_deref(), who, web.now());
    if !ended.await? {
        return Err(ApiError::not_found("token"));
    }
    web.auth.proofs.forget_all();
    web.acting(caller)
        .record("revoke-token", &format!("token {id}"), "", None)
        .await;
    Ok(Value::Null)
}
