"""Builds of other builders, asked for by a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from .host import HostTriggered
from .model import SourceStamp
from .outcome import Results


class Sources(Enum):
    """What triggered builds build."""

    OF_THIS_BUILD = "of-this-build"
    """What this build builds, with the revisions that it has got."""
    NEWEST = "newest"
    """The branches that this build builds, each as it is when the other build starts."""


@dataclass(frozen=True)
class BuildRequest:
    """Builds to ask for."""

    builders: Sequence[str]
    """The names of the builders, 1 to 100. Each gets one request."""
    sources: Sources | Sequence[SourceStamp] = Sources.OF_THIS_BUILD
    """What they are to build; or these stamps, one for each codebase."""
    properties: dict[str, Any] = field(default_factory=dict)
    """Properties that the builds start with."""
    reason: str | None = None
    """Why, for people; without it a sentence that names this build and step."""
    priority: int | None = None
    """Higher runs first; without it as this build."""
    waited_for: bool = False
    """Whether the step waits for them: they are stopped when it is cancelled, and get this build's place meanwhile."""


@dataclass(frozen=True)
class TriggeredBuild:
    """One of the builds."""

    builder: str
    request: int
    """The id of the request."""
    number: int | None
    """The number of the build, once one has started."""
    url: str
    """The page of the build, or of the request as long as there is none."""
    results: Results | None
    """The result, once it is final."""


@dataclass(frozen=True)
class Progress:
    """How far the builds are."""

    buildset: int
    """The id of the build set."""
    results: Results | None
    """The worst of the results, once all are final."""
    builds: list[TriggeredBuild]
    """The builds, in the order of the names of their builders."""


class Triggered:
    """Builds that were asked for. Links to them appear on the step."""

    def __init__(self, triggered: HostTriggered) -> None:
        self._host = triggered

    def progress(self) -> Progress:
        """How far they are now."""
        return self._host.progress()

    def wait(self) -> Progress:
        """Waits until all results are final, or the step is cancelled: then `results` may be missing."""
        return self._host.wait()
