"""Writes logs of the step."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from .host import HostLog, LogStream

_BUFFER_BYTES = 32 * 1024
"""Small writes are collected up to this size, because every call of the host has a price."""


class StepLog:
    """A log of this step, which `print(..., file=log)` writes to. Used with `with`, it is finished at the end:

    with ctx.text_log("failures") as log:
        print(f"{failed} of {total} failed", file=log)
    """

    def __init__(self, log: HostLog) -> None:
        self._log = log
        self._buffer = bytearray()
        self._stream = LogStream.STDOUT

    def write(self, text: str) -> int:
        """Appends a text, which is shown after some more, or after `flush`."""
        self.append(LogStream.STDOUT, text.encode())
        return len(text)

    def append(self, stream: LogStream, data: bytes) -> None:
        """Appends bytes to a stream. Logs of text and HTML have `LogStream.STDOUT` only.

        Raises `PermanentError` when the log is full or finished.
        """
        if stream is not self._stream:
            self.flush()
            self._stream = stream
        self._buffer += data
        if len(self._buffer) >= _BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Shows people what was written up to now."""
        # Taken out first, so that a failure is told once and not at every later write.
        data, self._buffer = bytes(self._buffer), bytearray()
        for start in range(0, len(data), _BUFFER_BYTES):
            self._log.append(self._stream, data[start : start + _BUFFER_BYTES])

    def finish(self) -> None:
        """Says that nothing more comes, so that the log can be stored compactly before the step ends."""
        self.flush()
        self._log.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()
