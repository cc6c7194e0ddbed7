"""What steps, schedulers and reporters get to do their work with."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

from . import http
from .artifacts import Artifacts
from .commands import Command
from .files import Files
from .host import CommandLine, CommandSpec, LogKind, OperatorHost, ReporterHost, ServiceHost, StepHost
from .logs import StepLog
from .model import BuildData, BuildInfo, Change, Level, Mail, Property
from .testing import TestResults
from .triggering import BuildRequest, Triggered

_LOG_LINES = 1_000
"""How many lines of a log a reporter reads at a time."""


class Operator:
    """Lines for the operator of the master. What users of the farm are to read belongs in a log of the step."""

    def __init__(self, host: OperatorHost) -> None:
        self._host = host

    def debug(self, message: str) -> None:
        """For the author of the plugin."""
        self._host.write_operator_log(Level.DEBUG, message)

    def info(self, message: str) -> None:
        """Worth knowing."""
        self._host.write_operator_log(Level.INFO, message)

    def warn(self, message: str) -> None:
        """Something is odd, the work goes on."""
        self._host.write_operator_log(Level.WARN, message)

    def error(self, message: str) -> None:
        """The operator should look at it."""
        self._host.write_operator_log(Level.ERROR, message)


class Storage:
    """Values that outlive a call, shared by all types of the plugin. Needs the grant `Storage`.

    A key has at most 256 bytes, a value 64 KiB, and all of a plugin 1 MiB unless the operator set another limit.
    """

    def __init__(self, host: ServiceHost) -> None:
        self._host = host

    def get(self, key: str) -> bytes | None:
        """The value of a key; `None` when there is none."""
        return self._host.value(key)

    def set(self, key: str, value: bytes | None) -> None:
        """Sets the value of a key; `None` removes it."""
        self._host.set_value(key, value)

    def compare_and_set(self, key: str, expected: bytes | None, value: bytes | None) -> bool:
        """Sets the value of a key if it is `expected` (`None`: if there is none); whether it was."""
        return self._host.compare_and_set(key, expected, value)

    def keys(self, prefix: str = "") -> list[str]:
        """The keys that start with this, sorted."""
        return self._host.keys(prefix)


class _Services:
    """What steps and reporters share."""

    def __init__(self, host: ServiceHost) -> None:
        self._services = host
        self.operator = Operator(host)
        """The log of the master, which its operator reads."""
        self.storage = Storage(host)
        """Values that outlive a call."""

    def secret(self, name: str) -> str:
        """The placeholder of a secret, which the host replaces where it leaves for somebody who may have it.

        That is in HTTP requests to granted hosts, in mail, and in command lines, environments and standard input of
        commands. Raises `ConfigError` when the secret is not granted or there is none.
        """
        return self._services.placeholder(name)

    def hmac_sha256(self, secret: str, data: bytes) -> bytes:
        """The HMAC with SHA-256 of these bytes, with a secret as its key, for signatures of requests."""
        return self._services.hmac_sha256(secret, data)

    def render(self, template: str, values: Mapping[str, Any]) -> str:
        """Renders a template (Jinja's language) with these values as its variables.

        Raises `ConfigError`, which says what is wrong and in which line.
        """
        return self._services.render(template, dict(values))

    def send_mail(self, mail: Mail, key: str) -> None:
        """Hands a mail to the master's server. `key` tells repeats of it. Needs the grant `MailServer`."""
        self._services.send_mail(mail, key)

    def http(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | str = b"",
        value: Any = None,
        timeout_ms: int = http.TIMEOUT_MS,
    ) -> http.Response:
        """Makes an HTTP request; `value` is sent as JSON instead of a `body`. Needs the grant `HttpHost`.

        Raises `RetryableError` when there is no answer, `PermanentError` when the host is not granted. A status
        that does not say success is no error, see `Response.raise_for_status`.
        """
        return self._services.http(
            http.request(method, url, headers=headers, body=body, value=value, timeout_ms=timeout_ms)
        )


class Context(_Services):
    """The build that a step runs in, and its worker."""

    def __init__(self, host: StepHost) -> None:
        super().__init__(host)
        self._host = host

    def argv(self, *words: str, **surroundings: Any) -> Command:
        """A program with its arguments, passed as they are, without a shell. See `command` for the surroundings."""
        return self.command(list(words), **surroundings)

    def shell(self, line: str, **surroundings: Any) -> Command:
        """A line for the worker's shell (`/bin/sh -c`). See `command` for the surroundings."""
        return self.command(line, **surroundings)

    def command(
        self,
        line: CommandLine,
        *,
        workdir: str | None = None,
        env: Mapping[str, str | None] | None = None,
        stdin: bytes | str | None = None,
        idle_timeout_ms: int | None = None,
        total_timeout_ms: int | None = None,
        log: str | None = None,
    ) -> Command:
        """A command in either form.

        `workdir` is relative to the working directory of the step, and made if it is not there. `env` sets variables,
        and takes those away that are `None`. The command is ended when it prints nothing for `idle_timeout_ms`, or
        runs for `total_timeout_ms`; without them the configuration decides. Its output streams to the `log` of this
        step, without passing through the plugin, so that it costs nothing.
        """
        data = stdin.encode() if isinstance(stdin, str) else stdin
        spec = CommandSpec(line, workdir, dict(env or {}), data, idle_timeout_ms, total_timeout_ms, log)
        return Command(self._host, spec)

    @property
    def files(self) -> Files:
        """The files on the worker."""
        return Files(self._host)

    def get_property(self, name: str, default: Any = None) -> Any:
        """The value of a property of the build."""
        found = self._host.get_property(name)
        return default if found is None else found.value

    def properties(self) -> dict[str, Property]:
        """All properties of the build with who set them, ordered by name."""
        return self._host.properties()

    def set_property(self, name: str, value: Any) -> None:
        """Sets a property of the build, visible at once to later steps and to people.

        Raises `PermanentError` when the value has more than 64 KiB or the name more than 256 bytes.
        """
        self._host.set_property(name, value)

    def text_log(self, name: str) -> StepLog:
        """Opens a log of plain text in this step, or makes it.

        Raises `PermanentError` when a log of that name is of another kind or finished.
        """
        return StepLog(self._host.open_log(name, LogKind.TEXT))

    def html_log(self, name: str) -> StepLog:
        """Opens a log that is a piece of HTML, or makes it."""
        return StepLog(self._host.open_log(name, LogKind.HTML))

    def stdio_log(self, name: str) -> StepLog:
        """Opens a log of program output, or makes it. Commands write to one by themselves, see `command`."""
        return StepLog(self._host.open_log(name, LogKind.STDIO))

    def set_summary(self, text: str) -> None:
        """Sets the text beside the name of the step, such as `testing 120 of 415`."""
        self._host.set_summary(text)

    def set_progress(self, done: int, total: int, unit: str) -> None:
        """Says how far the step is: `done` of `total` `unit` (`tests`, `files`). A `total` of 0 is not known."""
        self._host.set_progress(done, total, unit)

    def add_url(self, name: str, url: str) -> None:
        """Adds a link to the step.

        Raises `PermanentError` unless the address starts with `https://`, `http://` or `/`.
        """
        self._host.add_url(name, url)

    @property
    def build(self) -> BuildInfo:
        """The build that this step belongs to."""
        return self._host.build()

    def changes(self) -> list[Change]:
        """The changes that the build was made for; none when it was forced. At most 1,000, the newest."""
        return self._host.changes()

    def build_data(self, name: str) -> BuildData | None:
        """A named value of the build; `None` when there is none."""
        return self._host.build_data(name)

    def set_build_data(self, name: str, value: bytes | str, source: str = "") -> None:
        """Sets a named value of the build, for later steps and programs. At most 1 MiB."""
        self._host.set_build_data(name, value.encode() if isinstance(value, str) else value, source)

    @property
    def artifacts(self) -> Artifacts:
        """Files that are kept with a build."""
        return Artifacts(self._host)

    def test_results(self, description: str, category: str, value_unit: str) -> TestResults:
        """Makes a set of test results, of one of Buildbot's categories and units (`pass_fail`, `boolean`) or others."""
        return TestResults(self._host.test_results(description, category, value_unit))

    def trigger(self, request: BuildRequest) -> Triggered:
        """Asks for builds of other builders. Needs the grant `Trigger` for each.

        Raises `ConfigError` when a builder is not granted or there is none of that name.
        """
        return Triggered(self._host.trigger(request))

    @property
    def is_cancelled(self) -> bool:
        """Whether the step was cancelled. Ask in loops that do not wait for commands; those end by themselves."""
        return self._host.is_cancelled()


class SchedulerContext:
    """What a scheduler knows beside its state and the event. It can do nothing but write to the operator's log."""

    def __init__(self, host: OperatorHost, now_ms: int) -> None:
        self.operator = Operator(host)
        """The log of the master, which its operator reads."""
        self.now_ms = now_ms
        """The time of this call, in milliseconds since 1970, UTC."""

    @property
    def now(self) -> datetime.datetime:
        """The time of this call, in UTC."""
        return datetime.datetime.fromtimestamp(self.now_ms / 1000, datetime.UTC)


class ReporterContext(_Services):
    """What a reporter can do beside looking at its delivery."""

    def __init__(self, host: ReporterHost) -> None:
        super().__init__(host)
        self._host = host

    def read_log(self, log: int, first: int = 0, count: int = _LOG_LINES) -> str:
        """Lines of a log of a build that is reported, from line `first`, joined by newlines. At most 1 MiB."""
        return self._host.read_log(log, first, count)

    def log_lines(self, log: int) -> Iterator[str]:
        """All lines of a log, read a piece at a time."""
        first = 0
        while piece := self.read_log(log, first):
            lines = piece.split("\n")
            yield from lines
            first += len(lines)
