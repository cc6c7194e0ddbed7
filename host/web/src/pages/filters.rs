//! Words of the templates: numbers, names and digests as people read them.

use askama::{Result, Values, filter_fn};

use super::parts;

/// A number of things.
pub(crate) trait Count {
    fn count(&self) -> i64;
}

macro_rules! counts {
    ($($number:ty),+) => {$(
        impl Count for $number {
            fn count(&self) -> i64 {
                i64::try_from(*self).unwrap_or(i64::MAX)
            }
        }
    )+};
}
counts!(i64, u64, usize, u32);

impl<C: Count + ?Sized> Count for &C {
    fn count(&self) -> i64 {
        (**self).count()
    }
}

/// With spaces between groups of digits.
#[filter_fn]
pub(crate) fn grouped(count: impl Count, _: &dyn Values) -> Result<String> {
    Ok(parts::grouped(count.count()))
}

/// With its noun.
#[filter_fn]
pub(crate) fn counted(count: impl Count, _: &dyn Values, one: &str, many: &str) -> Result<String> {
    Ok(parts::counted(count.count(), one, many))
}

/// A number of bytes.
#[filter_fn]
pub(crate) fn bytes(count: impl Count, _: &dyn Values) -> Result<String> {
    Ok(parts::bytes(u64::try_from(count.count()).unwrap_or(0)))
}

/// A number of milliseconds.
#[filter_fn]
pub(crate) fn duration(ms: impl Count, _: &dyn Values) -> Result<String> {
    Ok(parts::duration(ms.count()))
}

/// The beginning of a digest or revision.
#[filter_fn]
pub(crate) fn short(hash: impl AsRef<str>, _: &dyn Values) -> Result<String> {
    Ok(parts::short(hash.as_ref()).to_owned())
}
