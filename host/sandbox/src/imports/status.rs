//! `step-status`.

use crate::bindings::toolpost::plugin::step_status;
use crate::call::CallState;
use crate::imports::{Answer, answer, certain, refuse, within};

impl step_status::Host for CallState {
    async fn set_summary(&mut self, text: String) -> wasmtime::Result<()> {
        let text = self.short(&text, self.limits.text_bytes_max);
        let set =
            async move |host: std::sync::Arc<dyn crate::StepHost>| host.set_summary(&text).await;
        Ok(certain(self.ask("step-status.set-summary", set).await?)?)
    }

    async fn set_progress(&mut self, done: u64, total: u64, unit: String) -> wasmtime::Result<()> {
        let unit = self.short(&unit, self.limits.text_bytes_max);
        let set = async move |host: std::sync::Arc<dyn crate::StepHost>| {
            host.set_progress(done, total, &unit).await
        };
        Ok(certain(self.ask("step-status.set-progress", set).await?)?)
    }

    async fn add_url(&mut self, name: String, url: String) -> Answer<()> {
        self.step("step-status.add-url")?;
        let bytes_max = self.limits.url_bytes_max;
        if name.len() > bytes_max || url.len() > bytes_max {
            return refuse(format!("a link and its name may have {bytes_max} bytes"));
        }
        let leads_somewhere = ["https://", "http://", "/"]
            .iter()
            .any(|start| url.starts_with(start));
        if !leads_somewhere {
            return refuse("a link must start with `https://`, `http://` or `/`");
        }
        self.counts.urls += 1;
        let (count, limit) = (self.counts.urls.into(), self.limits.urls_max.into());
        within("links on a step", count, limit)?;
        let add =
            async move |host: std::sync::Arc<dyn crate::StepHost>| host.add_url(&name, &url).await;
        answer(self.ask("step-status.add-url", add).await?)
    }
}
