//! What needs a grant needs to be asked for: else it is refused before the host hears of it.

use crate::bindings::toolpost::plugin::artifacts::{self, BuildOf};
use crate::bindings::toolpost::plugin::triggers::{BuildRequest, HostTriggered as _, Sources};
use crate::bindings::toolpost::plugin::{key_value, mail, secrets, types};
use crate::call::CallState;
use crate::tests::imports::{call_of, refusal};
use crate::tests::scripted_host::ScriptedHost;
use crate::{CallLimits, Want};

async fn call_wanting(wants: &[Want]) -> CallState {
    call_of(ScriptedHost::new(), wants, CallLimits::default()).await
}

/// The builder of the step is `unit`.
const OTHER: &str = "library";

fn message() -> mail::Message {
    mail::Message {
        sender: None,
        to: vec!["a@example.org".into()],
        cc: Vec::new(),
        bcc: Vec::new(),
        reply_to: None,
        subject: "s".into(),
        text: Some("t".into()),
        html: None,
        headers: Vec::new(),
        attachments: Vec::new(),
    }
}

fn request(builders: &[&str]) -> BuildRequest {
    BuildRequest {
        builders: builders.iter().map(|name| (*name).to_owned()).collect(),
        sources: Sources::OfThisBuild,
        properties: Vec::new(),
        reason: None,
        priority: None,
        waited_for: false,
    }
}

/// Calls each function that needs a grant, and tells why it was refused for want of a wish.
async fn refusals(wants: &[Want]) -> Vec<String> {
    use key_value::Host as Storage;
    use secrets::Host as _;
    let mut call = call_wanting(wants).await;
    let other = || BuildOf::Other((OTHER.into(), 1));
    let mut told: Vec<Option<String>> = vec![
        unwanted(call.placeholder("token".into()).await),
        unwanted(call.hmac_sha256("token".into(), Vec::new()).await),
        unwanted(Storage::get(&mut call, "k".into()).await),
        unwanted(Storage::set(&mut call, "k".into(), None).await),
        unwanted(Storage::compare_and_set(&mut call, "k".into(), None, None).await),
        unwanted(Storage::keys(&mut call, String::new()).await),
        unwanted(mail::Host::send(&mut call, message(), "key".into()).await),
    ];
    told.push(unwanted(call.request(request(&["unit", OTHER])).await));
    let got = artifacts::Host::download(&mut call, other(), "a".into(), "a".into()).await;
    told.push(unwanted(got));
    let found = artifacts::Host::find(&mut call, other(), String::new()).await;
    told.push(unwanted(found));
    told.into_iter().flatten().collect()
}

fn unwanted<T>(answer: wasmtime::Result<Result<T, types::Error>>) -> Option<String> {
    match answer.unwrap() {
        Err(types::Error::Permanent(text)) if text.contains("`wants`") => Some(text),
        _ => None,
    }
}

#[tokio::test]
async fn every_function_that_needs_a_grant_is_refused_to_who_did_not_ask_for_it() {
    let told = refusals(&[]).await;
    let asked: Vec<&str> = told
        .iter()
        .filter_map(|text| text.split("add `").nth(1)?.split("` to").next())
        .collect();
    assert_eq!(
        asked,
        [
            "secret(\"token\")",
            "secret(\"token\")",
            "storage",
            "storage",
            "storage",
            "storage",
            "mail",
            "trigger(\"unit\")",
            "artifacts(\"library\")",
            "artifacts(\"library\")",
        ]
    );
}

#[tokio::test]
async fn a_wish_opens_what_it_names_and_nothing_else() {
    let some = [
        Want::Secret("token".into()),
        Want::Storage,
        Want::Trigger("unit".into()),
    ];
    let told = refusals(&some).await;
    let left: Vec<&str> = told
        .iter()
        .filter_map(|text| text.split("asks for ").nth(1)?.split(':').next())
        .collect();
    assert_eq!(
        left,
        [
            "mail",
            "builds of the builder `library`",
            "artifacts of the builder `library`",
            "artifacts of the builder `library`",
        ]
    );
    let all = [
        Want::Mail,
        Want::Trigger("*".into()),
        Want::Artifacts(OTHER.into()),
    ];
    assert!(refusals(&[&some[..], &all].concat()).await.is_empty());
}

#[tokio::test]
async fn artifacts_of_its_own_builder_are_anybodys() {
    let mut call = call_wanting(&[]).await;
    let own = BuildOf::Other(("unit".into(), 1));
    let found = artifacts::Host::find(&mut call, own, "a".into()).await;
    assert_eq!(found.unwrap().unwrap().len(), 1);
    let own = BuildOf::Other(("unit".into(), 3));
    let got = artifacts::Host::download(&mut call, own, "a".into(), "a".into()).await;
    assert_eq!(refusal(got), "there is no build 3 of `unit`");
}
