//! A plugin with one reporter type, `webhook`: posts what happens to builds to web addresses.
//!
//! ```toml
//! [plugin.reporter-webhook]
//! grant.http = ["hooks.example.org", "chat.example.org"]
//! grant.secrets = ["hook-key", "chat-token"]
//!
//! [[reporter]]
//! name = "dashboard"
//! use = "webhook"
//! url = "https://hooks.example.org/builds"
//! signature = { secret = "hook-key" }
//!
//! [[reporter]]
//! name = "chat"
//! use = "webhook"
//! events = ["build-finished"]
//! url = "https://chat.example.org/rooms/ci"
//! secrets = ["chat-token"]
//! headers.Authorization = "Bearer {{ secrets['chat-token'] }}"
//! body = '{"text": {{ (build.builder ~ ": " ~ build.results) | tojson }}}'
//! ```
//!
//! Without `body`, the receiver gets all that is known as JSON: `key`, `attempt`, `at_ms`, `event` (such as
//! `build-finished`), and one of `build`, `buildset`, `request` and `worker`. Templates see the same names, and
//! `secrets`.
//!
//! A delivery that is tried again has the same key in the header `Idempotency-Key`, by which the receiver can tell
//! repeats. It is tried again after no answer and after the answers 408, 425, 429 and 500 to 599; other answers but 200 to
//! 299 put it aside.
//!
//! With `signature`, the header `X-Hub-Signature-256` is `sha256=` and the HMAC with SHA-256 of the body in hexadecimal digits, as
//! receivers of GitHub's webhooks check it.
//!
//! * `parameters`: what the configuration can set.
//! * `reporter`: makes the request and judges the answer.

mod parameters;
mod reporter;

use toolpost_sdk::Capability;

toolpost_sdk::plugin! {
    reporters: [reporter::Webhook],
    wants: [
        Capability::HttpHost("*".to_owned()),
        Capability::Secret("*".to_owned()),
    ],
}
