//! `build-data`.

use std::sync::Arc;

use bytes::Bytes;

use crate::StepHost;
use crate::bindings::toolpost::plugin::build_data::{self, Data};
use crate::call::CallState;
use crate::imports::{Answer, answer, refuse, within};

/// Bytes of the name of a value.
const NAME_BYTES_MAX: usize = 256;

/// What Buildbot calls an identifier, so that the name can stand in a path of the API.
fn is_name(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '-'));
    let holds = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    starts && name.len() <= NAME_BYTES_MAX && name.chars().all(holds)
}

impl build_data::Host for CallState {
    async fn get(&mut self, name: String) -> Answer<Option<Data>> {
        if !is_name(&name) {
            return Ok(Ok(None));
        }
        let get = async move |host: Arc<dyn StepHost>| host.farm().build_data(&name).await;
        let found = self.ask("build-data.get", get).await?;
        Ok(answer(found)?.map(|found| {
            found.map(|data| Data {
                value: data.value.into(),
                source: data.source,
            })
        }))
    }

    async fn set(&mut self, name: String, value: Vec<u8>, source: String) -> Answer<()> {
        const WHAT: &str = "build-data.set";
        self.step(WHAT)?;
        if !is_name(&name) {
            return refuse(format!(
                "the name of a value has 1 to {NAME_BYTES_MAX} letters, digits, `.`, `_` and `-`, and does not begin with \
                 a digit or `.`"
            ));
        }
        let (length, length_max) = (value.len(), self.limits.build_data_value_bytes_max);
        if length > length_max {
            return refuse(format!(
                "the value `{name}` has {length} bytes, the limit is {length_max}"
            ));
        }
        self.counts.build_data += 1;
        self.counts.build_data_bytes += length as u64;
        let limits = &self.limits;
        let (count, bytes) = (self.counts.build_data, self.counts.build_data_bytes);
        within(
            "values of the build",
            count.into(),
            limits.build_data_max.into(),
        )?;
        within(
            "bytes in values of the build",
            bytes,
            limits.build_data_bytes_max,
        )?;
        let source = self.short(&source, limits.text_bytes_max);
        let set = async move |host: Arc<dyn StepHost>| {
            let farm = host.farm();
            farm.set_build_data(&name, Bytes::from(value), &source)
                .await
        };
        answer(self.ask(WHAT, set).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_into_paths() {
        for (name, expected) in [
            ("coverage", true),
            ("_a.b-c_9", true),
            ("", false),
            ("9a", false),
            (".a", false),
            ("a/b", false),
            ("ä", false),
        ] {
            assert_eq!(is_name(name), expected, "{name}");
        }
    }
}
