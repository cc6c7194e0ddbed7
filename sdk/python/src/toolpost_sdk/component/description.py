"""The export that every plugin has."""

from __future__ import annotations

import json
from typing import Any

from wit_world import exports
from wit_world.exports import plugin as contract

from .. import capability
from ..plugin import Plugin as SdkPlugin
from . import bound


class Plugin(exports.Plugin):
    """`plugin` of the contract."""

    def describe(self) -> contract.PluginInfo:
        plugin = bound()
        return contract.PluginInfo(
            name=plugin.name,
            version=plugin.version,
            description=plugin.description,
            steps=[contract.StepType(one.name, one.summary, _schema(plugin, one)) for one in plugin.steps],
            schedulers=[
                contract.SchedulerType(
                    one.name,
                    one.summary,
                    _schema(plugin, one),
                    None if one.force is None else json.dumps(plugin.schemas[one.force]),
                )
                for one in plugin.schedulers
            ],
            reporters=[contract.ReporterType(one.name, one.summary, _schema(plugin, one)) for one in plugin.reporters],
            wants=[_want(want) for want in plugin.wants],
        )


def _schema(plugin: SdkPlugin, kind: Any) -> str:
    return json.dumps(plugin.schemas[kind.parameters])


def _want(want: capability.Capability) -> contract.Capability:
    match want:
        case capability.HttpHost(name):
            return contract.Capability_HttpHost(name)
        case capability.Secret(name):
            return contract.Capability_Secret(name)
        case capability.Environment(name):
            return contract.Capability_Environment(name)
        case capability.Storage():
            return contract.Capability_Storage()
        case capability.MailServer():
            return contract.Capability_Mail()
        case capability.Trigger(builder):
            return contract.Capability_Trigger(builder)
        case capability.KeptArtifacts(builder):
            return contract.Capability_Artifacts(builder)
