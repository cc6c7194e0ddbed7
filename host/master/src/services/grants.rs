//! What a plugin asks for against what the operator granted.

use toolpost_config::config::Grants;
use toolpost_core::hosts::HostPattern;
use toolpost_sandbox::Want;

/// What stands for "whatever the operator names".
const ANY: &str = "*";

/// What of this is not granted.
pub(crate) fn missing(grants: &Grants, wants: &[Want]) -> Vec<Want> {
    wants
        .iter()
        .filter(|want| !is_granted(grants, want))
        .cloned()
        .collect()
}

fn is_granted(grants: &Grants, want: &Want) -> bool {
    match want {
        Want::Http(host) if host == ANY => grants.hosts().next().is_some(),
        Want::Http(host) => host
            .parse::<HostPattern>()
            .is_ok_and(|wanted| grants.hosts().any(|granted| granted.covers(&wanted))),
        Want::Secret(name) if name == ANY => !grants.secrets.is_empty(),
        Want::Secret(name) => grants.secrets.contains(name),
        Want::Environment(name) => grants.environment.contains(name),
        Want::Trigger(builder) if builder == ANY => !grants.trigger.is_empty(),
        Want::Trigger(builder) => grants.may_trigger(builder),
        Want::Artifacts(builder) if builder == ANY => !grants.artifacts.is_empty(),
        Want::Artifacts(builder) => grants.may_read_artifacts(builder),
        Want::Storage => grants.storage,
        Want::Mail => grants.mail,
    }
}
