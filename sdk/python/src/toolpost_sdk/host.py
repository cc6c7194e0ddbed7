"""The seam between a plugin and whatever runs it: the real host, or `toolpost_sdk.mock`.

Plain data and protocols, one to one with the contract. Plugins use `Context` and its kin, which are built on this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from .http import Request, Response
from .model import BuildData, BuildInfo, Change, Level, Mail, Property
from .outcome import Results

if TYPE_CHECKING:
    from .artifacts import Artifact, UploadedDirectory
    from .testing import TestResult
    from .triggering import BuildRequest, Progress

BuildOf = tuple[str, int]
"""A build by the name of its builder and its number."""

CommandLine = str | Sequence[str]
"""What to run: a text is a line for the worker's shell (`/bin/sh -c`), a sequence a program with its arguments."""


class LogKind(Enum):
    """What a log holds, which decides how it is shown."""

    STDIO = 0
    """Output of a program: every line belongs to a stream. Colours are shown."""
    TEXT = 1
    """Plain text."""
    HTML = 2
    """A piece of HTML, shown in a frame without scripts."""


class LogStream(Enum):
    """Where a line of a log comes from. Logs of text and HTML have `STDOUT` only."""

    STDOUT = 0
    STDERR = 1
    HEADER = 2
    """What the farm says about the command."""


class OutputSource(Enum):
    """The two outputs of a program."""

    STDOUT = 0
    STDERR = 1


@dataclass(frozen=True)
class Chunk:
    """Some output as it came, cut anywhere, even inside a character."""

    source: OutputSource
    data: bytes


class End(Enum):
    """In which way a command ended. That its worker was lost is a `RetryableError` instead."""

    CODE = "exit code"
    """It ended by itself."""
    SIGNAL = "ended by signal"
    """A signal that did not come from Toolpost ended it."""
    IDLE_TIMEOUT = "ended because it was silent for too long"
    TOTAL_TIMEOUT = "ended because it ran for too long"
    INTERRUPTED = "interrupted"
    """The step interrupted it, or was cancelled."""


@dataclass(frozen=True)
class Exit:
    """How a command ended. As a text it is `exit code 2` or the like."""

    end: End
    number: int | None = None
    """The exit code or the signal; `None` when there is none."""
    elapsed_ms: int = 0
    """How long it ran."""
    truncated: bool = False
    """Whether output was dropped because it was more than was asked for."""

    @property
    def code(self) -> int | None:
        """The exit code; `None` when the command did not end by itself."""
        return self.number if self.end is End.CODE else None

    @property
    def is_success(self) -> bool:
        """Whether the command ended by itself with the code 0."""
        return self.code == 0

    @property
    def results(self) -> Results:
        """The result of a step that is this command and nothing else."""
        if self.is_success:
            return Results.SUCCESS
        return Results.CANCELLED if self.end is End.INTERRUPTED else Results.FAILURE

    def __str__(self) -> str:
        return self.end.value if self.number is None else f"{self.end.value} {self.number}"


@dataclass(frozen=True)
class CommandSpec:
    """A command with its surroundings, as `Context.command` takes it."""

    line: CommandLine
    workdir: str | None = None
    env: dict[str, str | None] = field(default_factory=dict)
    stdin: bytes | None = None
    idle_timeout_ms: int | None = None
    total_timeout_ms: int | None = None
    log: str | None = None
    capture_bytes: int | None = 0
    """How many bytes of output the step can read; `None`: all of it, and the command waits when the step does not."""


class FileKind(Enum):
    """What is at a path."""

    FILE = 0
    DIRECTORY = 1
    SYMLINK = 2
    """A symbolic link that leads nowhere, or outside."""
    OTHER = 3
    """Something else: a socket, a device."""


@dataclass(frozen=True)
class FileStat:
    """Facts about a path, through symbolic links."""

    kind: FileKind
    size: int
    """Length in bytes; 0 for directories."""
    modified_ms: int
    """Last change, in milliseconds since 1970, UTC."""


class HostLog(Protocol):
    """A log of a step that was opened."""

    def append(self, stream: LogStream, data: bytes) -> None: ...
    def finish(self) -> None: ...


class HostTestResults(Protocol):
    """A set of test results that was made."""

    def add(self, results: list[TestResult]) -> None: ...
    def complete(self, passed: int | None, failed: int | None) -> None: ...


class HostTriggered(Protocol):
    """Builds that were asked for."""

    def progress(self) -> Progress: ...
    def wait(self) -> Progress: ...


class HostCommand(Protocol):
    """A command that was started."""

    def read(self) -> Chunk | None: ...
    def wait(self) -> Exit: ...
    def interrupt(self) -> None: ...
    def close(self) -> None:
        """Interrupts it if it still runs, and forgets it."""


class OperatorHost(Protocol):
    """What every plugin may call."""

    def write_operator_log(self, level: Level, message: str) -> None: ...


class ServiceHost(OperatorHost, Protocol):
    """What steps and reporters may call."""

    def placeholder(self, secret: str) -> str: ...
    def hmac_sha256(self, secret: str, data: bytes) -> bytes: ...
    def value(self, key: str) -> bytes | None: ...
    def set_value(self, key: str, value: bytes | None) -> None: ...
    def compare_and_set(self, key: str, expected: bytes | None, value: bytes | None) -> bool: ...
    def keys(self, prefix: str) -> list[str]: ...
    def render(self, template: str, values: dict[str, Any]) -> str: ...
    def send_mail(self, mail: Mail, key: str) -> None: ...
    def http(self, request: Request) -> Response: ...


class StepHost(ServiceHost, Protocol):
    """What steps may call."""

    def get_property(self, name: str) -> Property | None: ...
    def set_property(self, name: str, value: Any) -> None: ...
    def properties(self) -> dict[str, Property]: ...
    def open_log(self, name: str, kind: LogKind) -> HostLog: ...
    def start_command(self, spec: CommandSpec) -> HostCommand: ...
    def read_file(self, path: str, offset: int, limit: int) -> bytes: ...
    def write_file(self, path: str, data: bytes, append: bool) -> None: ...
    def stat(self, path: str) -> FileStat: ...
    def glob(self, pattern: str) -> list[str]: ...
    def mkdir(self, path: str) -> None: ...
    def remove(self, path: str, recursive: bool) -> None: ...
    def set_summary(self, text: str) -> None: ...
    def set_progress(self, done: int, total: int, unit: str) -> None: ...
    def add_url(self, name: str, url: str) -> None: ...
    def build(self) -> BuildInfo: ...
    def changes(self) -> list[Change]: ...
    def build_data(self, name: str) -> BuildData | None: ...
    def set_build_data(self, name: str, value: bytes, source: str) -> None: ...
    def upload_file(self, path: str, name: str) -> Artifact: ...
    def upload_directory(self, path: str, name: str) -> UploadedDirectory: ...
    def download(self, build: BuildOf | None, name: str, path: str) -> Artifact: ...
    def find_artifacts(self, build: BuildOf | None, prefix: str) -> list[Artifact]: ...
    def test_results(self, description: str, category: str, value_unit: str) -> HostTestResults: ...
    def trigger(self, request: BuildRequest) -> HostTriggered: ...
    def is_cancelled(self) -> bool: ...


class ReporterHost(ServiceHost, Protocol):
    """What reporters may call."""

    def read_log(self, log: int, first: int, count: int) -> str: ...
