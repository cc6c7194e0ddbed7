"""What schedulers hear, and what they answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .model import Change, JsonObject, SourceStamp
from .outcome import Results


@dataclass(frozen=True)
class FinishedBuild:
    """A build that ended."""

    id: int
    """Its number among all builds."""
    builder: str
    number: int
    """Counted per builder from 1."""
    results: Results
    buildset_id: int
    source_stamps: list[SourceStamp] = field(default_factory=list)
    properties: JsonObject = field(default_factory=dict)


@dataclass(frozen=True)
class FinishedBuildset:
    """A build set whose builds have all ended."""

    id: int
    label: str
    """The label that this scheduler gave it."""
    results: Results
    """The worst result of its builds."""
    builds: list[FinishedBuild] = field(default_factory=list)
    """Of a request that was tried again, the last one."""


@dataclass(frozen=True)
class Configured:
    """The first event of all, and the first after the parameters, the builders or the plugin changed."""

    first: bool
    """Whether this is the first event that this scheduler ever got."""
    builders: list[str]
    """The names of the builders that it may start."""


@dataclass(frozen=True)
class ChangeArrived:
    """A change arrived. Only while the scheduler listens to `Changes`, which it does in the beginning."""

    change: Change


@dataclass(frozen=True)
class Timer:
    """The time that was set with `WakeAt` has come, or passed while the master was down."""


@dataclass(frozen=True)
class BuildFinished:
    """A build ended. Only of builders that the scheduler listens to."""

    build: FinishedBuild


@dataclass(frozen=True)
class BuildsetComplete:
    """All builds of one of the scheduler's own build sets have ended."""

    buildset: FinishedBuildset


@dataclass(frozen=True)
class Forced:
    """A person asked for it in a form. Only if the scheduler has `force` parameters."""

    owner: str
    """Who it was."""
    reason: str
    """Why."""
    values: Any
    """What was filled in: an instance of the class that `@scheduler(force=...)` names."""


Event = Configured | ChangeArrived | Timer | BuildFinished | BuildsetComplete | Forced
"""What a scheduler hears."""


@dataclass(frozen=True)
class AddBuildset:
    """Build something: one request for each builder, on the same sources."""

    reason: str
    """Why, for people. At most 1 KiB."""
    label: str = ""
    """Given back with `BuildsetComplete`. At most 256 bytes."""
    builders: Sequence[str] = ()
    """Which of the scheduler's builders; empty: all of them."""
    source_stamps: Sequence[SourceStamp] = ()
    """The sources, one stamp for each codebase. Empty: the latest of the only codebase."""
    changes: Sequence[int] = ()
    """Ids of the changes that it is made for; people see their authors. At most 1,000."""
    properties: dict[str, Any] = field(default_factory=dict)
    """Properties of the builds. At most 64 KiB as JSON."""
    priority: int = 0
    """Requests with a higher one run first."""


@dataclass(frozen=True)
class WakeAt:
    """Get a `Timer` event at this time, or at once if it has passed. There is one timer: the last one counts."""

    at_ms: int
    """Milliseconds since 1970, UTC."""


@dataclass(frozen=True)
class NoWake:
    """Get no `Timer` event."""


@dataclass(frozen=True)
class Changes:
    """All changes."""


@dataclass(frozen=True)
class BuildsOf:
    """The end of every build of this builder, whoever asked for it."""

    builder: str


@dataclass(frozen=True)
class Listen:
    """Hear of these from now on, and of nothing else but the events that always come."""

    to: Sequence[Changes | BuildsOf]


@dataclass(frozen=True)
class SetStatus:
    """A text for people, shown beside the scheduler's name: what it waits for. At most 1 KiB."""

    text: str


Action = AddBuildset | WakeAt | NoWake | Listen | SetStatus
"""What a scheduler wants done."""


@dataclass(frozen=True)
class Reaction:
    """The answer to an event."""

    state: Any = None
    """What the scheduler remembers until the next event: a dataclass or any JSON value. At most 1 MiB."""
    actions: Sequence[Action] = ()
    """What it wants done, in this order. At most 1,000."""
