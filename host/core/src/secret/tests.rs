use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::json;

use super::forms::forms;
use super::{
    MaskStream, Masked, Masker, PLACEHOLDER_BYTES, SecretFault, SecretValue, fill, fill_text,
    placeholder, placeholders,
};

const KEY: &str = "-----BEGIN KEY-----\nMIIEvgIBADANBgkqhkiG9w0BAQEFAASC\nqhkiG9w0BAQEFAASCBKgwggSkAgEAAo\nAbCd==\n-----END KEY-----";

fn value(text: &str) -> SecretValue {
    SecretValue::read(text.as_bytes()).expect("a secret")
}

fn masker(secrets: &[(&str, &str)]) -> Arc<Masker> {
    let values: Vec<[SecretValue; 1]> = secrets.iter().map(|(_, text)| [value(text)]).collect();
    let masked = secrets
        .iter()
        .zip(&values)
        .map(|((name, _), values)| Masked {
            name,
            placeholder: "",
            values,
        });
    Arc::new(Masker::new(masked).expect("a masker"))
}

fn mask(secret: &str, text: &str) -> String {
    masker(&[("s", secret)]).mask_text(text).into_owned()
}

fn in_pieces(masker: &Arc<Masker>, text: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut stream = MaskStream::new(Arc::clone(masker));
    let mut out = Vec::new();
    let mut rest = text;
    for cut in cuts {
        let (piece, after) = rest.split_at((*cut).min(rest.len()));
        out.extend_from_slice(&stream.push(piece));
        assert!(stream.held() <= masker.held_bytes_max());
        rest = after;
    }
    out.extend_from_slice(&stream.push(rest));
    out.extend_from_slice(&stream.finish());
    out
}

#[test]
fn every_encoding_is_hidden() {
    let secret = "p/a's <w>&\"o+rd$é~";
    let base64 = |prefix: &str| STANDARD.encode(format!("{prefix}{secret}:tail"));
    let url_base64 = |prefix: &str| URL_SAFE_NO_PAD.encode(format!("{prefix}{secret}:tail"));
    let printed = [
        secret.to_owned(),
        format!("curl -u me:{secret} x"),
        base64(""),
        base64("u"),
        base64("us"),
        url_base64(""),
        url_base64("u"),
        url_base64("us"),
        STANDARD.encode(secret),
        "p%2Fa%27s%20%3Cw%3E%26%22o%2Brd%24%C3%A9~".into(),
        "p%2fa%27s%20%3cw%3e%26%22o%2brd%24%c3%a9~".into(),
        "p%2Fa's%20%3Cw%3E%26%22o%2Brd%24%C3%A9~".into(),
        "p%2Fa%27s+%3Cw%3E%26%22o%2Brd%24%C3%A9%7E".replace("%7E", "~"),
        json!(secret).to_string(),
        r#"p/a's <w>&\"o+rd$\u00e9~"#.into(),
        r#"p/a's \u003cw\u003e\u0026\"o+rd$é~"#.into(),
        "p/a'\\''s <w>&\"o+rd$é~".into(),
        r#"p/a'"'"'s <w>&"o+rd$é~"#.into(),
        r#"p/a's <w>&\"o+rd\$é~"#.into(),
        "p/a&#39;s &lt;w&gt;&amp;&quot;o+rd$é~".into(),
        "702f612773203c773e26226f2b726424c3a97e".into(),
        "702F612773203C773E26226F2B726424C3A97E".into(),
    ];
    for text in printed {
        let masked = mask(secret, &text);
        assert!(masked.contains("<s>"), "{text} became {masked}");
        for form in forms(secret) {
            assert!(!masked.contains(&form), "{text} became {masked}");
        }
    }
}

#[test]
fn a_name_stands_where_a_secret_was() {
    assert_eq!(mask("hunter2!", "a hunter2! b"), "a <s> b");
    assert_eq!(mask("hunter2!", "hunter2!hunter2!"), "<s><s>");
    assert_eq!(mask("hunter2!", "hunter2"), "hunter2");
    let two = masker(&[("a", "abcdefgh"), ("b", "efghijkl")]);
    assert_eq!(two.mask_text("-abcdefghijkl-"), "-<a>-");
    assert_eq!(
        two.mask_value(json!({ "abcdefgh": ["x efghijkl", 1] })),
        json!({ "<a>": ["x <b>", 1] })
    );
}

#[test]
fn lines_of_a_key_are_hidden_wherever_they_stand() {
    assert_eq!(mask(KEY, &format!("x\n{KEY}\ny")), "x\n<s>\ny");
    assert_eq!(mask(KEY, &KEY.replace('\n', "\r\n")), "<s>");
    assert_eq!(
        mask(
            KEY,
            "12:00 MIIEvgIBADANBgkqhkiG9w0BAQEFAASC\n12:01 qhkiG9w0BAQEFAASCBKgwggSkAgEAAo\n"
        ),
        "12:00 <s>\n12:01 <s>\n"
    );
    // The frame of a key is no secret.
    assert_eq!(mask(KEY, "-----BEGIN KEY-----\n"), "-----BEGIN KEY-----\n");
    assert!(!mask(KEY, &json!(KEY).to_string()).contains("MIIE"));
}

#[test]
fn wrapped_lines_hide_nothing() {
    let secret = "correct-horse-battery-staple-0123456789-abcdefghij";
    for prefix in ["", "u", "us", "user:", "some-longer-user-name:"] {
        let text = STANDARD.encode(format!("{prefix}{secret}"));
        for width in [20, 64, 76] {
            let lines: Vec<String> = text
                .as_bytes()
                .chunks(width)
                .map(|line| String::from_utf8_lossy(line).into_owned())
                .collect();
            for end in ["\n", "\r\n"] {
                let masked = mask(secret, &lines.join(end));
                assert!(masked.contains("<s>"), "{masked}");
                let kept: String = masked
                    .replace("<s>", "")
                    .chars()
                    .filter(|c| !c.is_whitespace())
                    .collect();
                let around = STANDARD.encode(prefix).len() + 8;
                assert!(kept.len() <= around, "{masked}");
            }
        }
    }
}

#[test]
fn a_line_is_not_held_back_because_it_ends_like_a_beginning() {
    let masker = masker(&[("s", "token-0123456789")]);
    let mut stream = MaskStream::new(masker);
    assert_eq!(&*stream.push(b"a lot\n"), b"a lot\n");
    assert_eq!(&*stream.push(b"to be"), b"to be");
    assert_eq!(&*stream.push(b" token"), b" ");
    assert_eq!(&*stream.push(b"s"), b"tokens");
}

#[test]
fn a_secret_that_becomes_known_is_hidden_from_then_on() {
    let mut stream = MaskStream::new(masker(&[("a", "abcdefgh")]));
    assert_eq!(&*stream.push(b"secretly abcd"), b"secretly ");
    stream.set_masker(&masker(&[("a", "abcdefgh"), ("b", "cdefghij")]));
    assert_eq!(&*stream.push(b"efgh cdefghij"), b"<a> <b>");
}

#[test]
fn placeholders_are_filled_in_where_they_are_known() {
    let (known, other) = (placeholder([7; 16]), placeholder([8; 16]));
    assert_eq!(known.len(), PLACEHOLDER_BYTES);
    let text = format!("a{known}{known}b{other}c toolpost-secret-short");
    let value = |given: &str| (given == known).then_some("VALUE");
    let expected = format!("aVALUEVALUEb{other}c toolpost-secret-short");
    assert_eq!(fill_text(&text, value), expected);
    assert_eq!(&*fill(text.as_bytes(), value), expected.as_bytes());
    let found: Vec<&str> = placeholders(text.as_bytes()).collect();
    assert_eq!(found, [&known, &known, &other]);
}

#[test]
fn what_can_be_no_secret_is_refused() {
    let read = |bytes: &[u8]| SecretValue::read(bytes).map(|value| value.expose().to_owned());
    assert_eq!(read(b"hunter2!\n"), Ok("hunter2!".into()));
    assert_eq!(read(b"hunter2!\r\n"), Ok("hunter2!".into()));
    assert_eq!(read(b"hunter2!\n\n"), Ok("hunter2!\n".into()));
    assert_eq!(read(b"\n"), Err(SecretFault::Empty));
    assert_eq!(read(b"1234\n"), Err(SecretFault::TooShort));
    assert_eq!(
        read(b"\xff\xff\xff\xff\xff\xff\xff"),
        Err(SecretFault::NoText)
    );
    assert_eq!(read(b"abc\0defgh"), Err(SecretFault::NoText));
    assert_eq!(read(&[b'x'; 20_000]), Err(SecretFault::TooLong));
    assert_eq!(format!("{:?}", value("hunter2!")), "SecretValue(***)");
}

/// A secret as people have them: of one line or several.
fn any_secret() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9_/+=.$'\" é-]{8,40}",
        "[ab]{8,20}",
        "[a-z0-9]{6,20}(\n[a-zA-Z0-9/+]{3,20}){1,3}",
    ]
    .prop_filter("blank", |text| SecretValue::read(text.as_bytes()).is_ok())
    .prop_filter("cut at its end", |text| !text.ends_with('\n'))
}

/// Noise with forms of the secrets in it.
fn any_text() -> impl Strategy<Value = (Vec<String>, Vec<u8>)> {
    let secrets = prop::collection::vec(any_secret(), 1..3);
    secrets.prop_flat_map(|secrets| {
        let pieces: Vec<String> = secrets
            .iter()
            .flat_map(|secret| {
                let mut all: Vec<String> = forms(secret).into_iter().collect();
                all.push(secret.clone());
                all
            })
            .collect();
        let part = prop_oneof![
            "[ab<c \n=]{0,12}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..6),
            prop::sample::select(pieces).prop_map(String::into_bytes),
        ];
        let text = prop::collection::vec(part, 0..10).prop_map(|parts| parts.concat());
        (Just(secrets), text)
    })
}

fn has(haystack: &[u8], needle: &str) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle.as_bytes())
}

proptest! {
    #[test]
    fn pieces_make_no_difference_and_no_secret_is_left(
        (secrets, text) in any_text(),
        cuts in prop::collection::vec(0_usize..40, 0..30),
    ) {
        let named: Vec<(&str, &str)> = ["!1", "!2"].into_iter().zip(secrets.iter().map(String::as_str)).collect();
        let masker = masker(&named);
        let whole = masker.mask(&text).into_owned();
        prop_assert_eq!(&in_pieces(&masker, &text, &cuts), &whole);
        prop_assert_eq!(&in_pieces(&masker, &text, &vec![1; text.len()]), &whole);
        for form in secrets.iter().flat_map(|secret| forms(secret)) {
            prop_assert!(!has(&whole, &form), "{:?} is in {:?}", form, String::from_utf8_lossy(&whole));
        }
        for secret in &secrets {
            prop_assert!(!has(&whole, secret));
        }
    }
}
