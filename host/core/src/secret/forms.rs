//! How a secret may look when it comes out: as it is, or in an encoding that programs use without asking.
//!
//! All forms are without line ends, because they are looked for in a text whose line ends are left out: then it does not
//! matter where a program wraps its lines.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::value::SECRET_BYTES_MIN;

/// A shorter line of a secret of several lines is found beside secrets, too.
const LINE_BYTES_MIN: usize = 8;
/// A form that breaks within its first characters is found by its rest.
pub(super) const LOST_CHARS_MAX: usize = 2;

/// Every form of a secret that is long enough to be looked for.
pub(super) fn forms(secret: &str) -> BTreeSet<String> {
    let mut forms = BTreeSet::new();
    let wrapped = base64_forms(secret)
        .into_iter()
        .chain([one_line(secret)])
        .chain(lines(secret));
    for form in wrapped {
        for lost in 0..=LOST_CHARS_MAX {
            let rest = form.char_indices().nth(lost);
            forms.extend(rest.map(|(start, _)| form[start..].to_owned()));
        }
    }
    forms.extend(hex(secret));
    let escaped = url(secret)
        .into_iter()
        .chain(json(secret))
        .chain(shell(secret))
        .chain([xml(secret)]);
    forms.extend(escaped.map(|form| one_line(&form)));
    forms.retain(|form| form.len() >= SECRET_BYTES_MIN);
    forms
}

fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], "")
}

/// The lines of a secret that has several, such as a private key; not its frame, which is no secret.
fn lines(secret: &str) -> impl Iterator<Item = String> {
    secret
        .lines()
        .map(str::trim)
        .filter(|line| line.len() >= LINE_BYTES_MIN && !line.starts_with("-----"))
        .map(str::to_owned)
}

/// Base64 of the secret alone, and the part that is the same wherever it stands in something longer.
fn base64_forms(secret: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for engine in [&STANDARD, &URL_SAFE] {
        forms.push(engine.encode(secret));
        for before in 0..3_usize {
            let mut bytes = vec![0; before];
            bytes.extend_from_slice(secret.as_bytes());
            let first = (before * 8).div_ceil(6);
            let whole = bytes.len() * 8 / 6;
            let text = engine.encode(bytes);
            forms.push(text[first..whole].to_owned());
        }
    }
    forms
}

fn hex(secret: &str) -> [String; 2] {
    let mut lower = String::with_capacity(secret.len() * 2);
    for byte in secret.bytes() {
        // Writing to a string does not fail.
        let _ = write!(lower, "{byte:02x}");
    }
    let upper = lower.to_uppercase();
    [lower, upper]
}

/// Characters that libraries leave alone beside letters and digits: RFC 3986, JavaScript's `encodeURIComponent` and
/// `encodeURI`, Python's `quote`, HTML forms.
const URL_SAFE_SETS: [&str; 5] = ["-._~", "-._~!'()*", "-._~!'()*;,/?:@&=+$#", "-._~/", "-._*"];

fn url(secret: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for safe in URL_SAFE_SETS {
        for space in ["%20", "+"] {
            let (mut upper, mut lower) = (String::new(), String::new());
            for byte in secret.bytes() {
                let character = char::from(byte);
                match byte {
                    b' ' => [&mut upper, &mut lower].map(|text| text.push_str(space)),
                    _ if byte.is_ascii_alphanumeric() || safe.contains(character) => {
                        [&mut upper, &mut lower].map(|text| text.push(character))
                    }
                    _ => {
                        // Writing to a string does not fail.
                        let _ = write!(upper, "%{byte:02X}");
                        let _ = write!(lower, "%{byte:02x}");
                        [(), ()]
                    }
                };
            }
            forms.extend([upper, lower]);
        }
    }
    forms
}

/// The inside of a JSON string, as common libraries write it.
fn json(secret: &str) -> Vec<String> {
    let quoted = serde_json::Value::from(secret).to_string();
    let plain = quoted[1..quoted.len() - 1].to_owned();
    let ascii: String = plain.chars().map(ascii_escape).collect();
    let html: String = plain
        .chars()
        .map(|c| match c {
            '<' | '>' | '&' => format!("\\u{:04x}", u32::from(c)),
            c => c.to_string(),
        })
        .collect();
    let slashes = ascii.replace('/', "\\/");
    vec![plain, ascii, html, slashes]
}

fn ascii_escape(c: char) -> String {
    if c.is_ascii() {
        return c.to_string();
    }
    let mut units = [0; 2];
    let units = c.encode_utf16(&mut units).iter();
    units.map(|unit| format!("\\u{unit:04x}")).collect()
}

/// In quotes of a shell, as `set -x` and `printf %q` print it.
fn shell(secret: &str) -> Vec<String> {
    let in_double_quotes = |c: char| match c {
        '\\' | '"' | '$' | '`' => format!("\\{c}"),
        c => c.to_string(),
    };
    let bare = |c: char| match c {
        c if c.is_ascii_alphanumeric() || !c.is_ascii() || "_-./:=@%+,".contains(c) => {
            c.to_string()
        }
        c => format!("\\{c}"),
    };
    let ansi_c = |c: char| match c {
        '\\' | '\'' => format!("\\{c}"),
        '\n' => "\\n".into(),
        '\r' => "\\r".into(),
        '\t' => "\\t".into(),
        c => c.to_string(),
    };
    vec![
        secret.replace('\'', "'\\''"),
        secret.replace('\'', "'\"'\"'"),
        secret.chars().map(in_double_quotes).collect(),
        secret.chars().map(bare).collect(),
        secret.chars().map(ansi_c).collect(),
    ]
}

fn xml(secret: &str) -> String {
    secret
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
