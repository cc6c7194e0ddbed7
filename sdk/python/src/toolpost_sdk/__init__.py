"""Write plugins for the Toolpost build master.

A plugin is a WebAssembly component that brings new kinds of steps, schedulers and reporters. It looks synchronous
because waiting costs it nothing; only computing counts against its CPU budget.

    @dataclass
    class Parameters:
        target: Annotated[str, "The target to build."] = "all"

    @step("make", summary="Builds a target with make.")
    def make(parameters: Parameters, ctx: Context) -> Outcome:
        exit = ctx.argv("make", parameters.target, log="stdio").run()
        return Outcome(exit.results, f"make {parameters.target}")

    PLUGIN = plugin("make-plugin", "0.1.0", "Runs make.", steps=[make])

Where to look: `step`, `scheduler`, `reporter` and `plugin` for what a plugin consists of; `Context`,
`SchedulerContext` and `ReporterContext` for what it can do; `RetryableError`, `PermanentError` and `ConfigError` for
the difference between "try again", "give up" and "change the configuration"; `toolpost_sdk.mock` for tests.
"""

from .artifacts import Artifact, Artifacts, UploadedDirectory
from .capability import Capability, Environment, HttpHost, KeptArtifacts, MailServer, Secret, Storage, Trigger
from .commands import Command, Line, Output, Running
from .context import Context, ReporterContext, SchedulerContext
from .errors import ConfigError, Error, FileError, FileErrorKind, PermanentError, RetryableError
from .files import Files
from .host import CommandLine, End, Exit, FileKind, FileStat, LogStream, OutputSource
from .http import Response
from .logs import StepLog
from .model import Attachment, BuildData, BuildInfo, Change, Level, Mail, Property, SourceStamp
from .outcome import Outcome, Results
from .plugin import Plugin, ReporterType, SchedulerType, StepType, plugin, reporter, scheduler, step
from .reporting import (
    BuildEnded,
    BuildReport,
    BuildsetEnded,
    BuildsetReport,
    BuildStarted,
    Delivery,
    Link,
    LogReport,
    NothingToTell,
    ReportEvent,
    ReportOutcome,
    RequestAdded,
    RequestReport,
    Sent,
    StepReport,
    WorkerBack,
    WorkerFound,
    WorkerLost,
    WorkerMissing,
    WorkerReport,
)
from .scheduling import (
    Action,
    AddBuildset,
    BuildFinished,
    BuildsetComplete,
    BuildsOf,
    ChangeArrived,
    Changes,
    Configured,
    Event,
    FinishedBuild,
    FinishedBuildset,
    Forced,
    Listen,
    NoWake,
    Reaction,
    SetStatus,
    Timer,
    WakeAt,
)
from .testing import TestResult, TestResults
from .triggering import BuildRequest, Progress, Sources, Triggered, TriggeredBuild

__all__ = [
    "Action",
    "AddBuildset",
    "Artifact",
    "Artifacts",
    "Attachment",
    "BuildData",
    "BuildEnded",
    "BuildFinished",
    "BuildInfo",
    "BuildReport",
    "BuildRequest",
    "BuildStarted",
    "BuildsOf",
    "BuildsetComplete",
    "BuildsetEnded",
    "BuildsetReport",
    "Capability",
    "Change",
    "ChangeArrived",
    "Changes",
    "Command",
    "CommandLine",
    "ConfigError",
    "Configured",
    "Context",
    "Delivery",
    "End",
    "Environment",
    "Error",
    "Event",
    "Exit",
    "FileError",
    "FileErrorKind",
    "FileKind",
    "FileStat",
    "Files",
    "FinishedBuild",
    "FinishedBuildset",
    "Forced",
    "HttpHost",
    "KeptArtifacts",
    "Level",
    "Line",
    "Link",
    "Listen",
    "LogReport",
    "LogStream",
    "Mail",
    "MailServer",
    "NoWake",
    "NothingToTell",
    "Outcome",
    "Output",
    "OutputSource",
    "PermanentError",
    "Plugin",
    "Progress",
    "Property",
    "Reaction",
    "ReportEvent",
    "ReportOutcome",
    "ReporterContext",
    "ReporterType",
    "RequestAdded",
    "RequestReport",
    "Response",
    "Results",
    "RetryableError",
    "Running",
    "SchedulerContext",
    "SchedulerType",
    "Secret",
    "Sent",
    "SetStatus",
    "SourceStamp",
    "Sources",
    "StepLog",
    "StepReport",
    "StepType",
    "Storage",
    "TestResult",
    "TestResults",
    "Timer",
    "Trigger",
    "Triggered",
    "TriggeredBuild",
    "UploadedDirectory",
    "WakeAt",
    "WorkerBack",
    "WorkerFound",
    "WorkerLost",
    "WorkerMissing",
    "WorkerReport",
    "plugin",
    "reporter",
    "scheduler",
    "step",
]
