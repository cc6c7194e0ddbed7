"""Results of single tests, measurements and findings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from .host import HostTestResults

_RESULTS_A_CALL = 1_000
"""Results are collected up to this number, because every call of the host has a price."""


@dataclass(frozen=True)
class TestResult:
    """One result. Name, code path or both say what it is about."""

    __test__ = False  # pytest takes every class of such a name for a test.

    value: str
    """The result in the unit of its set: `1` and `0` for `boolean`, a number, a message."""
    name: str | None = None
    """The name of the test."""
    code_path: str | None = None
    """The file with the code of the test, or that the finding is about."""
    line: int | None = None
    """The line in that file, from 1."""
    duration_ns: int | None = None
    """How long it took, in nanoseconds."""


class TestResults:
    """Results of one kind, from one run of a program. Used with `with`, it is complete at the end if nothing failed:

        with ctx.test_results("unit tests", "pass_fail", "boolean") as results:
            results.add(TestResult("1", name="test_a"))

    A set that nobody completes tells readers that results are missing.
    """

    __test__ = False

    def __init__(self, results: HostTestResults) -> None:
        self._host = results
        self._waiting: list[TestResult] = []

    def add(self, *results: TestResult) -> None:
        """Adds results."""
        self.extend(results)

    def extend(self, results: Iterable[TestResult]) -> None:
        """Adds results."""
        for result in results:
            self._waiting.append(result)
            if len(self._waiting) == _RESULTS_A_CALL:
                self._flush()

    def complete(self, passed: int | None = None, failed: int | None = None) -> None:
        """Says that all results are there, with the numbers of passed and failed tests where that makes sense."""
        self._flush()
        self._host.complete(passed, failed)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._host.add(waiting)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.complete()
