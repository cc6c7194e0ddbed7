//! Secrets: what stands for them while they must not be seen, and how they are hidden where they came out.
//!
//! A [`placeholder`] is what plugins, templates and records have in a secret's place; [`fill`] puts the secret there at
//! the last moment. A [`Masker`] hides secrets in whatever is shown or stored, also encoded and also cut into pieces.
//! Nothing here knows where secrets are kept.

mod forms;
mod masker;
mod placeholder;
#[cfg(test)]
mod tests;
mod value;

pub use masker::{MaskStream, Masked, Masker, MaskerError};
pub use placeholder::{PLACEHOLDER_BYTES, TOKEN_BYTES, fill, fill_text, placeholder, placeholders};
pub use value::{SECRET_BYTES_MAX, SECRET_BYTES_MIN, SecretFault, SecretValue};
