"""Runs programs on the worker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from .host import Chunk, CommandSpec, Exit, HostCommand, OutputSource, StepHost

OUTPUT_BYTES_MAX = 1024 * 1024
"""What `Command.output` keeps unless told otherwise."""
LINE_BYTES_MAX = 64 * 1024
"""What `Running.lines` keeps of one line."""


@dataclass(frozen=True)
class Output:
    """A command that has ended, with what it printed."""

    exit: Exit
    """How it ended; `exit.truncated` says whether it printed more."""
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text without white space around it, as far as it is UTF-8."""
        return self.stdout.decode(errors="replace").strip()


@dataclass(frozen=True)
class Line:
    """A line of output."""

    source: OutputSource
    text: str
    """The line without its end; what is no UTF-8 becomes `\N{REPLACEMENT CHARACTER}`."""
    truncated: bool = False
    """Whether it was longer than 64 KiB and was cut."""


class Command:
    """A command that is not started yet: `run`, `output` and `start` do that."""

    def __init__(self, host: StepHost, spec: CommandSpec) -> None:
        self._host = host
        self._spec = spec

    def run(self) -> Exit:
        """Runs it to its end.

        Raises `PermanentError` when the program does not exist, `RetryableError` when the worker is lost. How
        the program ended is no error.
        """
        with self._begin(0) as running:
            return running.wait()

    def output(self, bytes_max: int = OUTPUT_BYTES_MAX) -> Output:
        """Runs it to its end and returns the first bytes of what it printed, both streams together.

        Raises what `run` raises.
        """
        with self._begin(bytes_max) as running:
            printed = {OutputSource.STDOUT: bytearray(), OutputSource.STDERR: bytearray()}
            for chunk in running.chunks():
                printed[chunk.source] += chunk.data
            end = running.wait()
        return Output(end, bytes(printed[OutputSource.STDOUT]), bytes(printed[OutputSource.STDERR]))

    def start(self) -> Running:
        """Starts it, to read its output while it runs, or to run several at once.

        Read it to the end or call `Running.wait`, else the command waits for the step. Raises what `run` raises.
        """
        return self._begin(None)

    def _begin(self, capture_bytes: int | None) -> Running:
        spec = CommandSpec(**{**vars(self._spec), "capture_bytes": capture_bytes})
        return Running(self._host.start_command(spec))


class Running:
    """A command that runs. Used with `with`, it is interrupted if it still runs at the end."""

    def __init__(self, command: HostCommand) -> None:
        self._command = command

    def lines(self) -> Iterator[Line]:
        """Its output, line by line, in the order in which the lines were completed, as they come.

        with ctx.argv("grep", "-rn", "TODO", "src", log="stdio").start() as command:
            count = sum(1 for line in command.lines())
            exit = command.wait()
        """
        partial = {source: _PartialLine(source) for source in OutputSource}
        for chunk in self.chunks():
            yield from partial[chunk.source].feed(chunk.data)
        for rest in partial.values():
            yield from rest.end()

    def chunks(self) -> Iterator[Chunk]:
        """Its output as it comes, cut anywhere."""
        while (chunk := self._command.read()) is not None:
            yield chunk

    def wait(self) -> Exit:
        """Waits until it has ended; output that was not read is dropped.

        Raises `RetryableError` when the worker is lost.
        """
        return self._command.wait()

    def interrupt(self) -> None:
        """Ends it and everything that it started; `wait` tells the end."""
        self._command.interrupt()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._command.close()


class _PartialLine:
    """The beginning of a line of one stream, until its end comes."""

    def __init__(self, source: OutputSource) -> None:
        self._source = source
        self._bytes = bytearray()
        self._truncated = False

    def feed(self, data: bytes) -> Iterator[Line]:
        *ended, rest = data.split(b"\n")
        for piece in ended:
            self._push(piece)
            yield self._take()
        self._push(rest)

    def end(self) -> Iterator[Line]:
        if self._bytes:
            yield self._take()

    def _push(self, piece: bytes) -> None:
        room = LINE_BYTES_MAX - len(self._bytes)
        self._truncated |= len(piece) > room
        self._bytes += piece[:room]

    def _take(self) -> Line:
        text = bytes(self._bytes).removesuffix(b"\r").decode(errors="replace")
        line = Line(self._source, text, self._truncated)
        self._bytes, self._truncated = bytearray(), False
        return line
