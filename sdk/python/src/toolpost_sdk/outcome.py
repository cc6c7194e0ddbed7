"""How a step ends."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Self


class Results(Enum):
    """A result. What it does to the build is decided by the options of the step in the configuration."""

    SUCCESS = 0
    """It worked."""
    WARNINGS = 1
    """It worked, with something to look at."""
    FAILURE = 2
    """It ran and did not work: the code under test is at fault."""
    SKIPPED = 3
    """There was nothing to do."""
    EXCEPTION = 4
    """It could not be run properly: the farm is at fault."""
    RETRY = 5
    """The whole build is to be run again."""
    CANCELLED = 6
    """A person or a rule stopped it."""


@dataclass(frozen=True)
class Outcome:
    """The end of a step: its result, and the text that people see beside its name.

    An empty text keeps the one that `Context.set_summary` has set last. At most 1 KiB.
    """

    results: Results
    summary: str = ""

    @classmethod
    def success(cls, summary: str = "") -> Self:
        """The step worked."""
        return cls(Results.SUCCESS, summary)

    @classmethod
    def warnings(cls, summary: str = "") -> Self:
        """The step worked, with something to look at."""
        return cls(Results.WARNINGS, summary)

    @classmethod
    def failure(cls, summary: str = "") -> Self:
        """The step ran, and the code under test is at fault."""
        return cls(Results.FAILURE, summary)

    @classmethod
    def skipped(cls, summary: str = "") -> Self:
        """There was nothing to do."""
        return cls(Results.SKIPPED, summary)
