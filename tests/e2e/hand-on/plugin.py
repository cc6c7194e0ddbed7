"""Hands on what it is told: sources to other builds, and workers to whoever reads its reports."""

from dataclasses import dataclass, field

from toolpost_sdk import (
    AddBuildset,
    BuildFinished,
    BuildRequest,
    BuildsOf,
    Configured,
    Context,
    Delivery,
    Event,
    Listen,
    NothingToTell,
    Outcome,
    Reaction,
    ReporterContext,
    ReportOutcome,
    SchedulerContext,
    Sent,
    Trigger,
    WorkerBack,
    WorkerFound,
    WorkerLost,
    WorkerMissing,
    plugin,
    reporter,
    scheduler,
    step,
)

WORKERS = {WorkerLost: "lost", WorkerFound: "found", WorkerMissing: "missing", WorkerBack: "back"}


@dataclass
class Parameters:
    """None."""


@dataclass
class State:
    """None."""

    seen: list[int] = field(default_factory=list)


@step("hand-on", summary="Triggers a build of exactly the sources of this one.")
def hand_on(parameters: Parameters, ctx: Context) -> Outcome:
    triggered = ctx.trigger(BuildRequest(["other"], sources=ctx.build.source_stamps)).progress()
    return Outcome.success(f"{len(triggered.builds)} triggered")


@scheduler("follow", summary="Builds what another builder has built.")
def follow(parameters: Parameters, state: State, event: Event, ctx: SchedulerContext) -> Reaction:
    match event:
        case Configured():
            return Reaction(state, [Listen([BuildsOf("first")])])
        case BuildFinished(build):
            return Reaction(state, [AddBuildset("it is built", source_stamps=build.source_stamps)])
    return Reaction(state)


@reporter("tell", summary="Tells of workers.")
def tell(parameters: Parameters, delivery: Delivery, ctx: ReporterContext) -> ReportOutcome:
    told = WORKERS.get(type(delivery.event))
    if told is None:
        return NothingToTell("no worker")
    worker = delivery.event.worker
    return Sent(f"{worker.name} of {', '.join(worker.builders)}: {told}")


PLUGIN = plugin(
    "hand-on", "1.0", "Hands things on.", steps=[hand_on], schedulers=[follow], reporters=[tell], wants=[Trigger("other")]
)
