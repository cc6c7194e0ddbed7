//! Hides secrets in what a call says, before it is cut: half a secret would not be found later.

use std::sync::Arc;

use bytes::Bytes;

use crate::call::{Home, cut};
use crate::host::PluginServices;

/// What is looked at beyond a cut, because a secret may stand across it.
pub(crate) const BEYOND_CUT_BYTES: usize = 4 << 10;

/// Knows the secrets of whom the call is for. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Hider(Option<Arc<dyn PluginServices>>);

impl Hider {
    /// A call that has no home has seen no secret.
    pub(crate) fn of(home: Option<&Home>) -> Self {
        Self(home.map(Home::services))
    }

    pub(crate) fn text(&self, text: &str) -> String {
        match &self.0 {
            Some(services) => {
                let hidden = services.mask(Bytes::copy_from_slice(text.as_bytes()));
                String::from_utf8_lossy(&hidden).into_owned()
            }
            None => text.to_owned(),
        }
    }

    /// A text that is cut to so many bytes.
    pub(crate) fn short(&self, text: &str, bytes_max: usize) -> String {
        let mut hidden = self.text(cut(text, bytes_max + BEYOND_CUT_BYTES));
        hidden.truncate(cut(&hidden, bytes_max).len());
        hidden
    }
}
