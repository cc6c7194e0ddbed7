//! What reporters are to tell.

use toolpost_core::report::Delivery;

use super::Row;
use crate::api::json::Object;
use crate::api::schema::Resource;

impl Row for Delivery {
    const RESOURCE: Resource = Resource::Delivery;
    const ID: &'static str = "deliveryid";
    type Related = ();

    fn id(&self) -> i64 {
        self.id.0
    }

    fn write(&self, (): &(), object: &mut Object<'_>) {
        let fact = self.entry.fact;
        object.time("at", self.entry.at);
        object.int("attempts", self.attempts.into());
        object.opt_int("builderid", fact.builder().map(|id| id.0));
        object.int("deliveryid", self.id.0);
        object.text("event", fact.kind().name());
        object.text("key", &self.key);
        object.time("next_at", self.next_at);
        object.int("reporterid", self.reporter_id.0);
        object.results("results", fact.results());
        object.opt_time("settled_at", self.settled_at);
        object.text("status", self.status.name());
        object.text("stream", &self.stream);
        object.int("subjectid", fact.subject());
        object.opt_text("text", self.text.as_deref());
    }
}
