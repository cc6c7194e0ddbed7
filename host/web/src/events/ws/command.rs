//! What clients say on `/ws`, and how it is answered. Pure. The answers' codes and texts are those of a Buildbot 4.3.0 master, as far as
//! it has the case; where its text names a function of its own, ours names the argument.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value};

/// Why a path is not taken.
pub(super) const LONG_PATH: &str = "the path of events is too long";

/// What a client wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Hear events.
    Start {
        path: String,
        /// After this one; a client of Buildbot says nothing, and hears what is new.
        since: Option<String>,
    },
    /// Not hear them any more.
    Stop { path: String },
    /// Know that it is heard.
    Ping,
}

/// What is said to a client that asked for something.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    msg: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Cow<'static, str>>,
    code: u16,
    #[serde(rename = "_id")]
    id: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
}

impl Answer {
    pub(super) fn done(msg: &'static str, id: Value) -> Self {
        Self {
            msg: Some(msg),
            error: None,
            code: 200,
            id,
            n: None,
        }
    }

    pub(super) fn error(code: u16, error: impl Into<Cow<'static, str>>, id: Value) -> Self {
        Self {
            msg: None,
            error: Some(error.into()),
            code,
            id,
            n: None,
        }
    }

    /// With the number after which the events follow.
    pub(super) fn with(mut self, number: Option<String>) -> Self {
        self.n = number;
        self
    }

    pub(super) fn to_json(&self) -> String {
        // A struct of texts and a value that was JSON before always is JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What a client says with the id that the answer has to have; or the answer to what makes no sense.
pub(super) fn parse(frame: &[u8]) -> Result<(Value, Command), Box<Answer>> {
    let Ok(Value::Object(mut said)) = serde_json::from_slice(frame) else {
        let text = "a websocket frame has to be a JSON object, such as \
            {\"cmd\": \"startConsuming\", \"path\": \"builds/*/*\", \"_id\": 1}";
        return Err(refused(400, text, Value::Null));
    };
    let mut take = |name: &str| said.remove(name).filter(|value| !value.is_null());
    let (id, kind, cmd) = (take("_id"), take("type"), take("cmd"));
    if id.is_none() && kind.is_none() {
        let text = "no '_id' or 'type' in websocket frame";
        return Err(refused(400, text, Value::Null));
    }
    let Some(cmd) = cmd else {
        return Err(refused(400, "no 'cmd' in websocket frame", Value::Null));
    };
    let (Value::String(cmd), Some(id)) = (&cmd, id.as_ref()) else {
        let missing = if id.is_none() {
            "'_id' is missing"
        } else {
            "'cmd' has to be a text"
        };
        return Err(invalid(missing, id.unwrap_or_default()));
    };
    match command(cmd, said, id) {
        Ok(command) => Ok((id.clone(), command)),
        Err(answer) => Err(answer),
    }
}

fn command(
    cmd: &str,
    mut arguments: Map<String, Value>,
    id: &Value,
) -> Result<Command, Box<Answer>> {
    let command = match cmd {
        "ping" => Command::Ping,
        "startConsuming" => {
            let path = path(&mut arguments, id)?;
            let since = match arguments.remove("since") {
                None | Some(Value::Null) => None,
                Some(Value::String(since)) => Some(since),
                Some(_) => return Err(invalid("'since' has to be a text", id.clone())),
            };
            Command::Start { path, since }
        }
        "stopConsuming" => Command::Stop {
            path: path(&mut arguments, id)?,
        },
        _ => {
            let text = format!("no such command type '{cmd}'");
            return Err(refused(404, text, id.clone()));
        }
    };
    match arguments.keys().next() {
        None => Ok(command),
        Some(unknown) => Err(invalid(&format!("'{unknown}' is unknown"), id.clone())),
    }
}

fn path(arguments: &mut Map<String, Value>, id: &Value) -> Result<String, Box<Answer>> {
    match arguments.remove("path") {
        Some(Value::String(path)) => Ok(path),
        Some(other) => {
            let text = format!("invalid path format '{other}'");
            Err(refused(400, text, id.clone()))
        }
        None => Err(invalid("'path' is missing", id.clone())),
    }
}

fn refused(code: u16, error: impl Into<Cow<'static, str>>, id: Value) -> Box<Answer> {
    Box::new(Answer::error(code, error, id))
}

fn invalid(what: &str, id: Value) -> Box<Answer> {
    refused(400, format!("Invalid method argument '{what}'"), id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(frame: &str) -> String {
        match parse(frame.as_bytes()) {
            Ok(understood) => panic!("{frame} is understood as {understood:?}"),
            Err(answer) => answer.to_json(),
        }
    }

    #[test]
    fn commands_are_understood() {
        let text = |text: &str| Some(text.to_owned());
        let start = |since| Command::Start {
            path: "builds/*/*".into(),
            since,
        };
        let table = [
            (r#"{"cmd":"ping","_id":1}"#, Command::Ping),
            (r#"{"cmd":"ping","_id":false,"type":"x"}"#, Command::Ping),
            (
                r#"{"cmd":"startConsuming","path":"builds/*/*","_id":0}"#,
                start(None),
            ),
            (
                r#"{"cmd":"startConsuming","path":"builds/*/*","_id":"a","since":"ab-7"}"#,
                start(text("ab-7")),
            ),
            (
                r#"{"cmd":"stopConsuming","path":"a","_id":{"x":[1]}}"#,
                Command::Stop { path: "a".into() },
            ),
        ];
        for (frame, expected) in table {
            let (id, command) =
                parse(frame.as_bytes()).unwrap_or_else(|a| panic!("{frame}: {a:?}"));
            assert_eq!(command, expected, "{frame}");
            let said: Value = serde_json::from_str(frame).expect("JSON");
            assert_eq!(id, said["_id"], "{frame}");
        }
    }

    /// A stock master gives the same codes and ids, and the same texts but for those that begin with `Invalid method argument`.
    #[test]
    fn what_makes_no_sense_is_answered_as_a_stock_master_answers() {
        let table = [
            (
                r#"{"cmd":"ping"}"#,
                "no '_id' or 'type' in websocket frame",
                400,
                "null",
            ),
            (
                r#"{"cmd":"ping","_id":null}"#,
                "no '_id' or 'type' in websocket frame",
                400,
                "null",
            ),
            (
                r#"{"cmd":"ping","type":"x"}"#,
                "Invalid method argument ''_id' is missing'",
                400,
                "null",
            ),
            (r#"{"_id":1}"#, "no 'cmd' in websocket frame", 400, "null"),
            (
                r#"{"_id":1,"cmd":null}"#,
                "no 'cmd' in websocket frame",
                400,
                "null",
            ),
            (
                r#"{"_id":1,"cmd":"explode"}"#,
                "no such command type 'explode'",
                404,
                "1",
            ),
            (
                r#"{"_id":1,"cmd":"__class__"}"#,
                "no such command type '__class__'",
                404,
                "1",
            ),
            (
                r#"{"_id":1,"cmd":"ping","foo":1}"#,
                "Invalid method argument ''foo' is unknown'",
                400,
                "1",
            ),
            (
                r#"{"_id":1,"cmd":"startConsuming"}"#,
                "Invalid method argument ''path' is missing'",
                400,
                "1",
            ),
            (
                r#"{"_id":1,"cmd":"startConsuming","path":5}"#,
                "invalid path format '5'",
                400,
                "1",
            ),
            (
                r#"{"_id":1,"cmd":"stopConsuming","path":7}"#,
                "invalid path format '7'",
                400,
                "1",
            ),
            (
                r#"{"_id":1,"cmd":"stopConsuming","path":"a","since":"x"}"#,
                "Invalid method argument ''since' is unknown'",
                400,
                "1",
            ),
            (
                r#"{"_id":1,"cmd":"startConsuming","path":"a","since":7}"#,
                "Invalid method argument ''since' has to be a text'",
                400,
                "1",
            ),
            // On these a stock master ends the connection.
            (
                r#"{"_id":1,"cmd":5}"#,
                "Invalid method argument ''cmd' has to be a text'",
                400,
                "1",
            ),
        ];
        for (frame, error, code, id) in table {
            let expected = format!(r#"{{"error":"{error}","code":{code},"_id":{id}}}"#);
            assert_eq!(answer(frame), expected, "{frame}");
        }
        for frame in [
            "hello",
            "",
            "[1,2]",
            "\"x\"",
            &"[".repeat(5_000),
            "{\"_id\":1",
        ] {
            let answer = answer(frame);
            assert!(answer.contains("has to be a JSON object"), "{answer}");
            assert!(answer.ends_with(r#""code":400,"_id":null}"#), "{answer}");
        }
    }
}
