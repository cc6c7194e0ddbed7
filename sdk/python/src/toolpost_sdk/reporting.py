"""What reporters hear of builds, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from .model import Change, JsonObject, SourceStamp
from .outcome import Results


@dataclass(frozen=True)
class Link:
    """A name and an address."""

    name: str
    url: str


@dataclass(frozen=True)
class LogReport:
    """A log of a step."""

    id: int
    """Its number, for `ReporterContext.read_log`."""
    name: str
    lines: int
    """How many lines it has so far."""
    url: str
    """Its page."""


@dataclass(frozen=True)
class StepReport:
    """A step of a build."""

    number: int
    """Its place in the build, from 0."""
    name: str
    summary: str = ""
    """The text beside it."""
    results: Results | None = None
    """How it ended; `None` while it runs."""
    started_ms: int | None = None
    """When it started, in milliseconds since 1970, UTC."""
    complete_ms: int | None = None
    """When it ended."""
    urls: list[Link] = field(default_factory=list)
    logs: list[LogReport] = field(default_factory=list)


@dataclass(frozen=True)
class BuildReport:
    """A build as of now, which may be later than the event."""

    id: int = 1
    """Its number among all builds."""
    builder: str = "builder"
    tags: list[str] = field(default_factory=list)
    """The tags of the builder."""
    number: int = 1
    """Counted per builder from 1."""
    url: str = "http://localhost:8010/builders/1/builds/1"
    """Its page."""
    worker: str = "worker"
    reason: str = ""
    """Why it was made, for people."""
    summary: str = ""
    """The text beside it, such as `412 passed, 3 failed`."""
    results: Results | None = None
    """How it ended; `None` while it runs."""
    previous_results: Results | None = None
    """How the build of this builder before it ended."""
    started_ms: int = 0
    """When it started, in milliseconds since 1970, UTC."""
    complete_ms: int | None = None
    """When it ended."""
    request_id: int = 1
    """The request that it carries out."""
    buildset_id: int = 1
    """The build set that it was made for."""
    scheduler: str | None = None
    """The scheduler that asked for it."""
    source_stamps: list[SourceStamp] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    """The changes that it was made for, oldest first. At most 100."""
    properties: JsonObject = field(default_factory=dict)
    steps: list[StepReport] = field(default_factory=list)
    """Its steps; empty in a `BuildsetReport`."""


@dataclass(frozen=True)
class BuildsetReport:
    """A build set."""

    id: int = 1
    reason: str = ""
    results: Results = Results.SUCCESS
    """The worst result of its builds."""
    submitted_ms: int = 0
    """When it was asked for, in milliseconds since 1970, UTC."""
    complete_ms: int = 0
    """When its last build ended."""
    scheduler: str | None = None
    source_stamps: list[SourceStamp] = field(default_factory=list)
    properties: JsonObject = field(default_factory=dict)
    builds: list[BuildReport] = field(default_factory=list)
    """Of a request that was tried again, the last one."""


@dataclass(frozen=True)
class RequestReport:
    """A request."""

    id: int = 1
    builder: str = "builder"
    buildset_id: int = 1
    url: str = "http://localhost:8010/requests/1"
    reason: str = ""
    submitted_ms: int = 0
    """When it was asked for, in milliseconds since 1970, UTC."""
    scheduler: str | None = None
    source_stamps: list[SourceStamp] = field(default_factory=list)
    properties: JsonObject = field(default_factory=dict)


@dataclass(frozen=True)
class WorkerReport:
    """A worker."""

    name: str = "worker"
    url: str = "http://localhost:8010/workers/1"
    builders: list[str] = field(default_factory=list)
    """The names of the builders that it can build for."""
    info: JsonObject = field(default_factory=dict)
    """What it says of itself: texts by name."""
    last_seen_ms: int | None = None
    """When it was last seen, in milliseconds since 1970, UTC."""


@dataclass(frozen=True)
class RequestAdded:
    """A request was made."""

    request: RequestReport


@dataclass(frozen=True)
class BuildStarted:
    """A build started."""

    build: BuildReport


@dataclass(frozen=True)
class BuildEnded:
    """A build ended."""

    build: BuildReport


@dataclass(frozen=True)
class BuildsetEnded:
    """All builds of a build set have ended."""

    buildset: BuildsetReport


@dataclass(frozen=True)
class WorkerLost:
    """A worker went away without having been told to."""

    worker: WorkerReport


@dataclass(frozen=True)
class WorkerFound:
    """A worker that was lost came back."""

    worker: WorkerReport


@dataclass(frozen=True)
class WorkerMissing:
    """A worker is missing: it has been away for longer than it may, since `last_seen_ms`, or has never come."""

    worker: WorkerReport


@dataclass(frozen=True)
class WorkerBack:
    """A worker that was missing came after all."""

    worker: WorkerReport


ReportEvent = (
    RequestAdded
    | BuildStarted
    | BuildEnded
    | BuildsetEnded
    | WorkerLost
    | WorkerFound
    | WorkerMissing
    | WorkerBack
)
"""What happened."""


@dataclass(frozen=True)
class Delivery:
    """One thing to tell."""

    event: ReportEvent
    """What happened."""
    key: str = "delivery-1"
    """The same each time that this delivery is tried: what it is told to can drop repeats by it."""
    attempt: int = 1
    """How often it was tried, from 1."""
    at_ms: int = 0
    """When it happened, in milliseconds since 1970, UTC."""


@dataclass(frozen=True)
class Sent:
    """It was told; with a text for the operator, such as `201 Created`. At most 1 KiB."""

    text: str


@dataclass(frozen=True)
class NothingToTell:
    """There was nothing to tell, for this reason. At most 1 KiB."""

    reason: str


ReportOutcome = Sent | NothingToTell
"""What became of a delivery."""
