//! Digests by which equal contents are found again.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// A digest of parts in their order; a missing part differs from an empty one.
pub(crate) fn digest_of<'a>(parts: impl IntoIterator<Item = Option<&'a str>>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        match part {
            None => hasher.update([0]),
            Some(part) => {
                hasher.update([1]);
                hasher.update((part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
        }
    }
    hex(&hasher.finalize())
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = String::with_capacity(2 * bytes.len());
    bytes.iter().fold(digits, |mut digits, byte| {
        let _infallible = write!(digits, "{byte:02x}");
        digits
    })
}

#[cfg(test)]
mod tests {
    use super::digest_of;

    #[test]
    fn different_parts_have_different_digests() {
        let table: [&[Option<&str>]; 6] = [
            &[Some("ab"), Some("")],
            &[Some("a"), Some("b")],
            &[Some(""), Some("ab")],
            &[Some("ab"), None],
            &[None, Some("ab")],
            &[Some("ab")],
        ];
        let digests: std::collections::BTreeSet<String> = table
            .iter()
            .map(|parts| digest_of(parts.iter().copied()))
            .collect();
        assert_eq!(digests.len(), table.len());
        assert_eq!(digest_of([Some("ab")]), digest_of([Some("ab")]));
    }
}
