//! `toolpost hash-password`: what can be written into a configuration that others may read.

use std::io::{Read as _, stdin};

use anyhow::{Context as _, anyhow, ensure};
use argon2::Argon2;
use argon2::password_hash::PasswordHasher as _;

use super::Done;
use crate::output::Printer;

/// A longer password is a mistake.
const PASSWORD_BYTES_MAX: u64 = 4 * 1024;

/// `toolpost hash-password`
pub(crate) fn hash_password(printer: Printer) -> Done {
    let mut password = String::new();
    let read = stdin()
        .take(PASSWORD_BYTES_MAX)
        .read_to_string(&mut password);
    read.context("read the password from standard input")?;
    let password = password.trim_end_matches(['\r', '\n']);
    ensure_some(password)?;
    let hash = Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(|error| anyhow!("hash the password: {error}"))?;
    printer.line(format_args!("{hash}"));
    Ok(())
}

fn ensure_some(password: &str) -> anyhow::Result<()> {
    ensure!(
        !password.is_empty(),
        "there is no password on standard input"
    );
    Ok(())
}
