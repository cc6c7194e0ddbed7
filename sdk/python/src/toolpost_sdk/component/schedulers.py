"""The exports of a plugin with schedulers."""

from __future__ import annotations

import json
from typing import Any

from wit_world import exports
from wit_world.exports import scheduler as contract
from wit_world.imports import types

from .. import scheduling as sdk
from ..context import SchedulerContext
from ..model import Change, Level
from . import bound
from .convert import case, read
from .failures import exported
from .services import Operator


class Scheduler(exports.Scheduler):
    """`scheduler` of the contract."""

    def handle(
        self, type_name: str, parameters: str, state: str, event: contract.Event, now_ms: int
    ) -> contract.Reaction:
        host = Operator()
        with exported(lambda stack: host.write_operator_log(Level.ERROR, stack)):
            kind = bound().scheduler(type_name)
            context = SchedulerContext(host, now_ms)
            reaction = kind.handle(json.loads(parameters), json.loads(state), _event(event), context)
            return contract.Reaction(json.dumps(reaction.state), [_action(action) for action in reaction.actions])


def _event(event: contract.Event) -> sdk.Event:
    value: Any = getattr(event, "value", None)
    match case(event):
        case "Configured":
            return read(sdk.Configured, value)
        case "Change":
            return sdk.ChangeArrived(read(Change, value))
        case "Timer":
            return sdk.Timer()
        case "BuildFinished":
            return sdk.BuildFinished(read(sdk.FinishedBuild, value))
        case "BuildsetComplete":
            return sdk.BuildsetComplete(read(sdk.FinishedBuildset, value))
        case _:
            return sdk.Forced(value.owner, value.reason, json.loads(value.values))


def _action(action: sdk.Action) -> contract.Action:
    match action:
        case sdk.AddBuildset():
            return contract.Action_AddBuildset(_buildset(action))
        case sdk.WakeAt(at_ms):
            return contract.Action_WakeAt(at_ms)
        case sdk.NoWake():
            return contract.Action_NoWake()
        case sdk.Listen(to):
            return contract.Action_Listen([_interest(one) for one in to])
        case sdk.SetStatus(text):
            return contract.Action_SetStatus(text)


def _interest(interest: sdk.Changes | sdk.BuildsOf) -> contract.Interest:
    if isinstance(interest, sdk.BuildsOf):
        return contract.Interest_BuildsOf(interest.builder)
    return contract.Interest_Changes()


def _buildset(wanted: sdk.AddBuildset) -> contract.NewBuildset:
    return contract.NewBuildset(
        label=wanted.label,
        builders=list(wanted.builders),
        reason=wanted.reason,
        source_stamps=[types.SourceStamp(**vars(stamp)) for stamp in wanted.source_stamps],
        changes=list(wanted.changes),
        properties=json.dumps(wanted.properties),
        priority=wanted.priority,
    )
