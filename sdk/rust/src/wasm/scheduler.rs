//! `scheduler.handle`.

use super::WasmHost;
use super::bindings::imports::toolpost::plugin::types::Error as WitError;
use super::bindings::scheduler_world::exports::toolpost::plugin::scheduler as wit;
use super::convert::{
    change, parse, properties, results, source_stamps, to_wit_error, to_wit_source_stamp, value,
};
use crate::scheduler::{Action, Build, Buildset, Configuration, Event, ForceRequest, Interest};
use crate::{Plugin, SchedulerContext};
use serde_json::Value;
use std::rc::Rc;

/// `scheduler.handle`.
///
/// # Errors
///
/// Those of the scheduler.
pub fn handle(
    plugin: &Plugin,
    type_name: &str,
    parameters: &str,
    state: &str,
    event: wit::Event,
    now_ms: u64,
) -> Result<wit::Reaction, WitError> {
    let ctx = SchedulerContext::new(Rc::new(WasmHost), now_ms);
    let reaction = parse("the parameters", parameters)
        .and_then(|parameters| {
            let state = parse("the state", state)?;
            plugin.handle(type_name, parameters, state, to_event(event), &ctx)
        })
        .map_err(to_wit_error)?;
    Ok(wit::Reaction {
        state: reaction.state.to_string(),
        actions: reaction.actions.into_iter().map(action).collect(),
    })
}

fn to_event(event: wit::Event) -> Event<Value> {
    match event {
        wit::Event::Configured(configuration) => Event::Configured(Configuration {
            first: configuration.first,
            builders: configuration.builders,
        }),
        wit::Event::Change(reported) => Event::Change(change(reported)),
        wit::Event::Timer => Event::Timer,
        wit::Event::BuildFinished(finished) => Event::BuildFinished(build(finished)),
        wit::Event::BuildsetComplete(buildset) => Event::BuildsetComplete(Buildset {
            id: buildset.id,
            label: buildset.label,
            results: results(buildset.results),
            builds: buildset.builds.into_iter().map(build).collect(),
        }),
        wit::Event::Force(request) => Event::Force(ForceRequest {
            owner: request.owner,
            reason: request.reason,
            values: value(request.values),
        }),
    }
}

fn build(build: wit::Build) -> Build {
    Build {
        id: build.id,
        builder: build.builder,
        number: build.number,
        results: results(build.results),
        buildset_id: build.buildset_id,
        source_stamps: source_stamps(build.source_stamps),
        properties: properties(&build.properties),
    }
}

fn action(action: Action) -> wit::Action {
    match action {
        Action::AddBuildset(new) => wit::Action::AddBuildset(wit::NewBuildset {
            label: new.label,
            builders: new.builders,
            reason: new.reason,
            source_stamps: new
                .source_stamps
                .into_iter()
                .map(to_wit_source_stamp)
                .collect(),
            changes: new.changes,
            properties: Value::Object(new.properties).to_string(),
            priority: new.priority,
        }),
        Action::WakeAtMs(at_ms) => wit::Action::WakeAt(at_ms),
        Action::NoWake => wit::Action::NoWake,
        Action::Listen(interests) => {
            wit::Action::Listen(interests.into_iter().map(interest).collect())
        }
        Action::SetStatus(text) => wit::Action::SetStatus(text),
    }
}

fn interest(interest: Interest) -> wit::Interest {
    match interest {
        Interest::Changes => wit::Interest::Changes,
        Interest::BuildsOf(builder) => wit::Interest::BuildsOf(builder),
    }
}
