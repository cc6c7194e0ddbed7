//! Writes JSON straight into a byte buffer, without a tree in between: a list of a hundred builds is some
//! thousand fields, and it is asked for thousands of times a second.

use serde_json::Value;
use toolpost_core::{Results, Timestamp};

/// Writes one object, field by field, leaving out the fields that were not selected.
///
/// Callers write fields in the order of the alphabet, as Buildbot does.
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    selected: Option<&'a [&'static str]>,
    first: bool,
}

impl<'a> Object<'a> {
    /// Opens an object; with a selection, only those fields are written.
    pub(crate) fn open(out: &'a mut Vec<u8>, selected: Option<&'a [&'static str]>) -> Self {
        out.push(b'{');
        Self {
            out,
            selected,
            first: true,
        }
    }

    /// Closes it.
    pub(crate) fn close(self) {
        self.out.push(b'}');
    }

    /// Starts a field; `None` when it was not selected.
    fn field(&mut self, name: &'static str) -> Option<&mut Vec<u8>> {
        if self.selected.is_some_and(|names| !names.contains(&name)) {
            return None;
        }
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        Some(self.out)
    }

    /// A whole number.
    pub(crate) fn int(&mut self, name: &'static str, value: i64) {
        if let Some(out) = self.field(name) {
            int(out, value);
        }
    }

    /// A whole number or null.
    pub(crate) fn opt_int(&mut self, name: &'static str, value: Option<i64>) {
        if let Some(out) = self.field(name) {
            match value {
                Some(value) => int(out, value),
                None => null(out),
            }
        }
    }

    /// A point in time, as whole seconds.
    pub(crate) fn time(&mut self, name: &'static str, at: Timestamp) {
        self.int(name, at.seconds());
    }

    /// A point in time or null.
    pub(crate) fn opt_time(&mut self, name: &'static str, at: Option<Timestamp>) {
        self.opt_int(name, at.map(Timestamp::seconds));
    }

    /// A result code or null.
    pub(crate) fn results(&mut self, name: &'static str, results: Option<Results>) {
        self.opt_int(name, results.map(|results| i64::from(results.code())));
    }

    /// A truth value.
    pub(crate) fn bool(&mut self, name: &'static str, value: bool) {
        if let Some(out) = self.field(name) {
            out.extend_from_slice(if value { b"true" } else { b"false" });
        }
    }

    /// A text.
    pub(crate) fn text(&mut self, name: &'static str, value: &str) {
        if let Some(out) = self.field(name) {
            text(out, value);
        }
    }

    /// A text or null.
    pub(crate) fn opt_text(&mut self, name: &'static str, value: Option<&str>) {
        if let Some(out) = self.field(name) {
            match value {
                Some(value) => text(out, value),
                None => null(out),
            }
        }
    }

    /// A null.
    pub(crate) fn null(&mut self, name: &'static str) {
        if let Some(out) = self.field(name) {
            null(out);
        }
    }

    /// Whatever the function writes.
    pub(crate) fn with(&mut self, name: &'static str, write: impl FnOnce(&mut Vec<u8>)) {
        if let Some(out) = self.field(name) {
            write(out);
        }
    }

    /// A list.
    pub(crate) fn list<T>(
        &mut self,
        name: &'static str,
        items: impl IntoIterator<Item = T>,
        write: impl FnMut(&mut Vec<u8>, T),
    ) {
        if let Some(out) = self.field(name) {
            list(out, items, write);
        }
    }
}

/// Writes a list.
pub(crate) fn list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// Writes a whole number.
pub(crate) fn int(out: &mut Vec<u8>, value: i64) {
    write(out, &value);
}

/// Writes a text with its quotes.
pub(crate) fn text(out: &mut Vec<u8>, value: &str) {
    write(out, value);
}

/// Writes a value.
pub(crate) fn value(out: &mut Vec<u8>, value: &Value) {
    write(out, value);
}

fn null(out: &mut Vec<u8>) {
    out.extend_from_slice(b"null");
}

/// Writing a number, a string or a JSON value into memory cannot fail: there is no key that is not a string.
fn write<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let written = serde_json::to_writer(&mut *out, value);
    debug_assert!(written.is_ok(), "JSON into memory failed: {written:?}");
}

/// Breaks compact JSON into indented lines, for people who look at the API with a browser or curl.
pub(crate) fn indented(compact: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(compact.len() * 2);
    let mut depth = 0usize;
    let mut in_text = false;
    let mut escaped = false;
    let line = |out: &mut Vec<u8>, depth: usize| {
        out.push(b'\n');
        out.resize(out.len() + 2 * depth, b' ');
    };
    for (at, &byte) in compact.iter().enumerate() {
        if in_text {
            out.push(byte);
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'{' | b'[' => {
                out.push(byte);
                if !matches!(compact.get(at + 1), Some(b'}' | b']')) {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            b'}' | b']' => {
                if !matches!(compact.get(at.wrapping_sub(1)), Some(b'{' | b'[')) {
                    depth = depth.saturating_sub(1);
                    line(&mut out, depth);
                }
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                line(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            _ => {
                in_text = byte == b'"';
                out.push(byte);
            }
        }
    }
    out.push(b'\n');
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    #[test]
    fn fields_are_written_in_order_and_selected_by_name() {
        let write = |selected: Option<&[&'static str]>| {
            written(|out| {
                let mut object = Object::open(out, selected);
                object.bool("complete", true);
                object.time("complete_at", Timestamp(1_500));
                object.text("name", "a \"b\"\n\u{1}<");
                object.opt_int("number", None);
                object.list("tags", ["x", "y"], text);
                object.with("value", |out| value(out, &json!({"k": [1, null]})));
                object.close();
            })
        };
        assert_eq!(
            write(None),
            r#"{"complete":true,"complete_at":1,"name":"a \"b\"\n\u0001<","number":null,"tags":["x","y"],"value":{"k":[1,null]}}"#
        );
        assert_eq!(
            write(Some(&["tags", "complete"])),
            r#"{"complete":true,"tags":["x","y"]}"#
        );
        assert_eq!(write(Some(&[])), "{}");
    }

    #[test]
    fn indenting_keeps_the_value() {
        let value = json!({"a": [], "b": {}, "c": [1, {"d": "x,{}[]:\\\" \\"}], "e": "\\"});
        let pretty = indented(value.to_string().as_bytes());
        let back: Value = serde_json::from_slice(&pretty).expect("still JSON");
        assert_eq!(back, value);
        assert_eq!(
            String::from_utf8(indented(br#"{"a":[1,2],"m":{}}"#)).expect("UTF-8"),
            "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"m\": {}\n}\n"
        );
    }
}
