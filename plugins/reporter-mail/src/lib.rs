//! A plugin with one reporter type, `mail`: tells people what became of builds.
//!
//! ```toml
//! [plugin.reporter-mail]
//! grant.mail = true
//!
//! [[reporter]]
//! name = "mail"
//! use = "mail"
//! events = ["build-finished"]
//! to = ["build-sheriff@example.org"]
//! blamed = true
//! blamed_domains = ["example.org"]
//! ```
//!
//! Which builds are told, and whether only news among them, is a matter of the filter that every reporter has. This one
//! writes to fixed addresses, and with `blamed` to the authors of the changes that a build was made for.
//!
//! Without templates, people get a text and the same as HTML. A template sees all that is known of the
//! event as the `webhook` reporter posts it (`event`, and one of `build`, `buildset`, `request` and `worker`), and
//! beside that:
//!
//! | name | |
//! |---|---|
//! | `headline` | such as `Build 12 of linux failed again` |
//! | `builds` | the builds that it is about, also for a build set |
//! | `blamed` | the addresses of the authors |
//!
//! The ends of the logs of failed steps come as attachments.
//!
//! * `parameters`: what the configuration can set.
//! * `recipients`: who gets it; pure.
//! * `headline`: what happened, in one line; pure.
//! * `attachments`: the logs that come with it.
//! * `reporter`: brings them together.

mod attachments;
mod headline;
mod parameters;
mod recipients;
mod reporter;

use toolpost_sdk::Capability;

toolpost_sdk::plugin! {
    reporters: [reporter::MailReporter],
    wants: [Capability::Mail],
}
