"""The exports and imports of a plugin with reporters."""

from __future__ import annotations

import json

from wit_world import exports
from wit_world.exports import reporter as contract
from wit_world.imports import reports

from .. import reporting as sdk
from ..context import ReporterContext
from ..model import Level
from . import bound
from .convert import case, read, read_record
from .failures import exported, imported
from .services import Services

_EVENTS = {
    "RequestAdded": (sdk.RequestAdded, sdk.RequestReport),
    "BuildStarted": (sdk.BuildStarted, sdk.BuildReport),
    "BuildFinished": (sdk.BuildEnded, sdk.BuildReport),
    "BuildsetComplete": (sdk.BuildsetEnded, sdk.BuildsetReport),
    "WorkerLost": (sdk.WorkerLost, sdk.WorkerReport),
    "WorkerFound": (sdk.WorkerFound, sdk.WorkerReport),
    "WorkerMissing": (sdk.WorkerMissing, sdk.WorkerReport),
    "WorkerBack": (sdk.WorkerBack, sdk.WorkerReport),
}


class Reporter(exports.Reporter):
    """`reporter` of the contract."""

    def report(self, type_name: str, parameters: str, delivery: contract.Delivery) -> contract.Outcome:
        host = _ReporterHost()
        with exported(lambda stack: host.write_operator_log(Level.ERROR, stack)):
            kind = bound().reporter(type_name)
            outcome = kind.report(json.loads(parameters), _delivery(delivery), ReporterContext(host))
        if isinstance(outcome, sdk.Sent):
            return contract.Outcome_Sent(outcome.text)
        return contract.Outcome_Skipped(outcome.reason)


class _ReporterHost(Services):
    def read_log(self, log: int, first: int, count: int) -> str:
        with imported():
            return reports.read_log(log, first, count)


def _delivery(delivery: contract.Delivery) -> sdk.Delivery:
    event, report = _EVENTS[case(delivery.event)]
    return read_record(sdk.Delivery, delivery, event=event(read(report, delivery.event.value)))
