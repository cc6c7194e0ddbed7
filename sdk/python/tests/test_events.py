"""Schedulers and reporters on a scripted host."""

import unittest
from dataclasses import dataclass, field

from toolpost_sdk import (
    AddBuildset,
    BuildEnded,
    BuildReport,
    Change,
    ChangeArrived,
    ConfigError,
    Configured,
    Delivery,
    Event,
    Forced,
    NothingToTell,
    Reaction,
    ReporterContext,
    ReportOutcome,
    Results,
    SchedulerContext,
    Sent,
    Timer,
    WakeAt,
    WorkerLost,
    WorkerReport,
    reporter,
    scheduler,
)
from toolpost_sdk.mock import MockHost


@dataclass
class Parameters:
    wait_ms: int = 1_000


@dataclass
class State:
    waiting: list[int] = field(default_factory=list)


@dataclass
class Form:
    branch: str


@scheduler("batch", summary="Collects changes.", force=Form)
def batch(parameters: Parameters, state: State, event: Event, ctx: SchedulerContext) -> Reaction:
    match event:
        case ChangeArrived(change):
            return Reaction(State([*state.waiting, change.id]), [WakeAt(ctx.now_ms + parameters.wait_ms)])
        case Timer():
            return Reaction(State(), [AddBuildset(f"at {ctx.now:%H:%M}", changes=state.waiting)])
        case Forced(values=Form(branch)):
            return Reaction(state, [AddBuildset(branch)])
    return Reaction(state)


@reporter("tell", summary="Tells of failures.")
def tell(parameters: Parameters, delivery: Delivery, ctx: ReporterContext) -> ReportOutcome:
    match delivery.event:
        case BuildEnded(BuildReport(results=Results.FAILURE) as build):
            return Sent(f"{build.builder}: {len(list(ctx.log_lines(7)))} lines")
    return NothingToTell("nothing failed")


class Schedulers(unittest.TestCase):
    def test_state_is_remembered_as_json(self) -> None:
        host = MockHost()
        first = host.handle(batch, Configured(True, ["b"]))
        self.assertEqual(first.state, {"waiting": []})
        second = host.handle(batch, ChangeArrived(Change(id=5)), state=first.state, now_ms=10)
        self.assertEqual((second.state, second.actions), ({"waiting": [5]}, [WakeAt(1_010)]))
        third = host.handle(batch, Timer(), state=second.state, now_ms=3_600_000)
        self.assertEqual(third.actions, [AddBuildset("at 01:00", changes=[5])])

    def test_forms_are_read(self) -> None:
        forced = MockHost().handle(batch, Forced("me", "now", {"branch": "main"}))
        self.assertEqual(forced.actions, [AddBuildset("main")])
        with self.assertRaisesRegex(ConfigError, "branch"):
            MockHost().handle(batch, Forced("me", "now", {}))


class Reporters(unittest.TestCase):
    def test_deliveries_are_told_or_skipped(self) -> None:
        host = MockHost().build_log(7, [f"line {n}" for n in range(2_345)])
        failed = Delivery(BuildEnded(BuildReport(results=Results.FAILURE)))
        self.assertEqual(host.report(tell, failed), Sent("builder: 2345 lines"))
        lost = Delivery(WorkerLost(WorkerReport()))
        self.assertEqual(host.report(tell, lost), NothingToTell("nothing failed"))
