"""Commands that answer from a script."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Self

from ..errors import Error, RetryableError
from ..host import Chunk, End, Exit, OutputSource

_PIECE_BYTES = 7
"""Output comes in pieces of this size, so that a plugin that takes pieces for lines fails its test."""


@dataclass(frozen=True)
class MockCommand:
    """What a command does when a step runs it: it ends by itself with a code, unless `end` says otherwise."""

    code: int = 0
    end: End = End.CODE
    elapsed_ms: int = 1_000
    not_started: Error | None = None
    """It cannot be started, for this reason."""
    worker_lost: str | None = None
    """The worker is lost while it runs, for this reason."""
    output: tuple[tuple[OutputSource, bytes], ...] = ()
    files: tuple[tuple[str, bytes], ...] = field(default=())

    def stdout(self, data: bytes | str) -> Self:
        """Prints this to standard output, after what it was told to print before."""
        return self._prints(OutputSource.STDOUT, data)

    def stderr(self, data: bytes | str) -> Self:
        """Prints this to standard error, after what it was told to print before."""
        return self._prints(OutputSource.STDERR, data)

    def writes(self, path: str, content: bytes | str) -> Self:
        """Leaves this file behind."""
        return replace(self, files=(*self.files, (path, _bytes(content))))

    def _prints(self, source: OutputSource, data: bytes | str) -> Self:
        return replace(self, output=(*self.output, (source, _bytes(data))))


class StartedCommand:
    """A scripted command that a step has started."""

    def __init__(self, answer: MockCommand, capture_bytes: int | None, on_interrupt: Callable[[], None]) -> None:
        self._answer = answer
        self._on_interrupt = on_interrupt
        self._pieces, self._truncated = _captured(answer, capture_bytes)
        self._interrupted = False
        self._ended = False

    def read(self) -> Chunk | None:
        if self._pieces:
            return self._pieces.popleft()
        self._ended = True
        return None

    def wait(self) -> Exit:
        self._ended = True
        self._pieces.clear()
        if self._answer.worker_lost is not None:
            raise RetryableError(f"the worker was lost: {self._answer.worker_lost}")
        end = End.INTERRUPTED if self._interrupted else self._answer.end
        number = self._answer.code if end in (End.CODE, End.SIGNAL) else None
        return Exit(end, number, self._answer.elapsed_ms, self._truncated)

    def interrupt(self) -> None:
        if not self._ended and not self._interrupted:
            self._interrupted = True
            self._on_interrupt()

    def close(self) -> None:
        self.interrupt()


def _captured(answer: MockCommand, capture_bytes: int | None) -> tuple[deque[Chunk], bool]:
    """The output that the step can read, in pieces, and whether there was more."""
    room = capture_bytes
    pieces: deque[Chunk] = deque()
    for source, data in answer.output:
        for start in range(0, len(data), _PIECE_BYTES):
            piece = data[start : start + _PIECE_BYTES]
            kept = piece if room is None else piece[:room]
            room = None if room is None else room - len(kept)
            if kept:
                pieces.append(Chunk(source, kept))
            if len(kept) < len(piece):
                return pieces, True
    return pieces, False


def _bytes(data: bytes | str) -> bytes:
    return data.encode() if isinstance(data, str) else data
