//! `types`, `log`, `properties`, `build-info`, `cancellation`.

use std::sync::Arc;

use serde_json::Value;

use crate::StepHost;
use crate::bindings::toolpost::plugin::{build_info, cancellation, log, properties, types};
use crate::call::CallState;
use crate::imports::{Answer, answer, certain, convert, refuse};

/// Changes of one answer.
const CHANGES_MAX: u32 = 1_000;

impl types::Host for CallState {}

impl log::Host for CallState {
    async fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        self.host_calls.count("log.write");
        Ok(self.log.write(level.into(), &message)?)
    }
}

impl CallState {
    /// The value of a property that may be set, or what is wrong with it.
    pub(super) fn property_value(&self, name: &str, value: &str) -> Result<Value, String> {
        let limits = &self.limits;
        let (name_max, value_max) = (
            limits.property_name_bytes_max,
            limits.property_value_bytes_max,
        );
        if name.is_empty() || name.len() > name_max {
            return Err(format!(
                "the name of a property must have 1 to {name_max} bytes"
            ));
        }
        if value.len() > value_max {
            return Err(format!(
                "the value of property `{name}` has {} bytes, the limit is {value_max}",
                value.len()
            ));
        }
        serde_json::from_str(value)
            .map_err(|error| format!("the value of property `{name}` is not JSON: {error}"))
    }
}

impl properties::Host for CallState {
    async fn get(&mut self, name: String) -> wasmtime::Result<Option<properties::Property>> {
        let property = self
            .ask("properties.get", async move |host| {
                host.property(&name).await
            })
            .await?;
        Ok(certain(property)?.map(|property| to_guest(&property)))
    }

    async fn set(&mut self, name: String, value: String) -> Answer<()> {
        self.step("properties.set")?;
        let value = match self.property_value(&name, &value) {
            Ok(value) => value,
            Err(objection) => return refuse(objection),
        };
        let set = async move |host: Arc<dyn StepHost>| host.set_property(&name, value).await;
        answer(self.ask("properties.set", set).await?)
    }

    async fn all(&mut self) -> wasmtime::Result<Vec<(String, properties::Property)>> {
        let all = self
            .ask("properties.all", async |host| host.properties().await)
            .await?;
        let all = certain(all)?;
        Ok(all
            .iter()
            .map(|(name, property)| (name.to_owned(), to_guest(property)))
            .collect())
    }
}

fn to_guest(property: &toolpost_core::Property) -> properties::Property {
    properties::Property {
        value: property.value.to_string(),
        source: property.source.clone(),
    }
}

impl build_info::Host for CallState {
    async fn get(&mut self) -> wasmtime::Result<build_info::Build> {
        const WHAT: &str = "build-info.get";
        self.host_calls.count(WHAT);
        Ok(self.step(WHAT)?.build_info().into())
    }

    async fn changes(&mut self) -> Answer<Vec<types::Change>> {
        let changes = async |host: Arc<dyn StepHost>| host.farm().changes(CHANGES_MAX).await;
        let found = self.ask("build-info.changes", changes).await?;
        Ok(answer(found)?.map(|found| found.into_iter().map(convert::change).collect()))
    }
}

impl cancellation::Host for CallState {
    async fn is_cancelled(&mut self) -> wasmtime::Result<bool> {
        const WHAT: &str = "cancellation.is-cancelled";
        self.host_calls.count(WHAT);
        self.step(WHAT)?;
        Ok(self.cancel.is_cancelled())
    }
}
