//! `/avatar`: a picture for a person, made of initials and a colour. No other server is asked, so none learns who works here.

use std::hash::{DefaultHasher, Hasher as _};

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};

use crate::cache::Blob;
use crate::pages::Ask;

/// Sizes that are drawn, pixels.
const SIZES: std::ops::RangeInclusive<i64> = 8..=512;
const SIZE_DEFAULT: i64 = 32;

/// What of a name is looked at.
const NAME_CHARS_MAX: usize = 200;

/// A picture runs nothing, also where somebody opens it as a page.
const POLICY: &str = "default-src 'none'; sandbox; frame-ancestors 'none'";

pub(super) async fn picture(ask: Ask) -> Response<Body> {
    let size = match ask.number("size", SIZE_DEFAULT) {
        size if SIZES.contains(&size) => size,
        _ => SIZE_DEFAULT,
    };
    let given = |name: &str| ask.param(name).filter(|text| !text.trim().is_empty());
    let name = given("username").or_else(|| given("email"));
    let svg = draw(name.as_deref().unwrap_or("?"), size);
    let mut response = Blob::new(svg, "image/svg+xml").respond(&ask.headers);
    response.headers_mut().insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    );
    response
}

fn draw(name: &str, size: i64) -> String {
    let name: String = name
        .trim()
        .to_lowercase()
        .chars()
        .take(NAME_CHARS_MAX)
        .collect();
    let mut hasher = DefaultHasher::new();
    hasher.write(name.as_bytes());
    let hue = hasher.finish() % 360;
    let letters = initials(&name);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{size}\" height=\"{size}\" viewBox=\"0 0 32 32\">\
         <rect width=\"32\" height=\"32\" fill=\"hsl({hue},45%,38%)\"/>\
         <text x=\"16\" y=\"21\" fill=\"#fff\" font-family=\"sans-serif\" font-size=\"14\" text-anchor=\"middle\">{letters}</text></svg>"
    )
}

/// The first letters of the first two words; only letters and digits, which need no escaping.
fn initials(name: &str) -> String {
    // Of an address what is before the `@`, in `Name <address>` the name.
    let shown = name
        .split('<')
        .next()
        .filter(|text| !text.trim().is_empty());
    let shown = shown.unwrap_or(name).split('@').next().unwrap_or_default();
    let letters: String = shown
        .split(|c: char| !c.is_alphanumeric())
        .filter_map(|word| word.chars().next())
        .take(2)
        .flat_map(char::to_uppercase)
        .collect();
    if letters.is_empty() {
        "?".into()
    } else {
        letters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_have_initials_and_no_markup_of_others() {
        for (name, expected) in [
            ("ada lovelace <ada@example.org>", "AL"),
            ("grace@example.org", "G"),
            ("jean-luc", "JL"),
            ("<b>@x", "B"),
            ("?", "?"),
            ("", "?"),
            ("李 小龙", "李小"),
        ] {
            assert_eq!(initials(name), expected, "{name}");
        }
        let svg = draw("\"><script>alert(1)</script>", 32);
        assert!(!svg.contains("script"), "{svg}");
        assert_eq!(draw("Ada", 32), draw(" ada ", 32));
    }
}
