"""A host for tests: commands answer from a script, files are in memory, and what the plugin does can be looked at.

It keeps to the contract where a plugin could notice: output comes in small pieces that cut lines and characters, paths
have to stay inside the directory of the build, a log has one kind, and the sizes of names and values are limited.

    host = MockHost().command(["make", "docs"], MockCommand(2).stderr("no rule\\n"))
    assert host.run(make, {"target": "docs"}) == Outcome.failure("make docs")
    assert host.log("stdio") == "no rule\\n"
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from ..artifacts import Artifact, UploadedDirectory
from ..context import Context, ReporterContext, SchedulerContext
from ..errors import ConfigError, PermanentError
from ..host import BuildOf, CommandLine, CommandSpec, FileStat, LogKind, LogStream, OutputSource
from ..http import Request, Response
from ..model import BuildData, BuildInfo, Change, Level, Mail, Property, SourceStamp
from ..outcome import Outcome, Results
from ..plugin import ReporterType, SchedulerType, StepType
from ..reporting import Delivery, ReportOutcome
from ..scheduling import Event, Reaction
from ..testing import TestResult
from ..triggering import BuildRequest, Progress, TriggeredBuild
from .commands import MockCommand, StartedCommand
from .files import MockFiles

__all__ = ["MockCommand", "MockHost", "MockTestSet"]

_PROPERTY_NAME_BYTES_MAX = 256
_PROPERTY_VALUE_BYTES_MAX = 64 * 1024
_KEY_BYTES_MAX = 256
_VALUE_BYTES_MAX = 64 * 1024
_LOG_NAME_BYTES_MAX = 64
_LOGS_MAX = 64
_DATA_NAME_BYTES_MAX = 256
_DATA_BYTES_MAX = 1024 * 1024

_PAGES = "http://localhost:8010"

_BADNESS = [
    Results.SKIPPED,
    Results.SUCCESS,
    Results.WARNINGS,
    Results.FAILURE,
    Results.EXCEPTION,
    Results.RETRY,
    Results.CANCELLED,
]
"""From good to bad; a build set ends like the worst of its builds."""


@dataclass
class _Log:
    kind: LogKind
    content: list[tuple[LogStream, bytes]] = field(default_factory=list)
    finished: bool = False


class MockHost:
    """A host whose commands, files, properties and answers a test has written down."""

    def __init__(self) -> None:
        self.commands: list[CommandSpec] = []
        """The commands that the step has started."""
        self.interrupted = 0
        """How many commands were interrupted before their end."""
        self.summaries: list[str] = []
        """The texts that the step has had beside its name while it ran."""
        self.progress: list[tuple[int, int, str]] = []
        """How far the step has said it was: done, total, unit."""
        self.urls: list[tuple[str, str]] = []
        """The links of the step: name and address."""
        self.operator_log: list[tuple[Level, str]] = []
        """What the plugin has written to the log of the master."""
        self.mails: list[tuple[str, Mail]] = []
        """The mails that were sent, with their keys."""
        self.requests: list[Request] = []
        """The HTTP requests that were made."""
        self.values: dict[str, bytes] = {}
        """The values that outlive the call."""
        self.data: dict[str, BuildData] = {}
        """The named values of the build."""
        self.artifacts: dict[str, bytes] = {}
        """The files that are kept with the build."""
        self.other_artifacts: dict[BuildOf, dict[str, bytes]] = {}
        """The files that are kept with other builds."""
        self.test_sets: list[MockTestSet] = []
        """The sets of test results that were made."""
        self.triggered: list[BuildRequest] = []
        """The builds that were asked for."""
        self.build_changes: list[Change] = []
        """The changes that the build was made for."""
        self.files = MockFiles()
        """The files on the worker."""
        self.source_stamps: list[SourceStamp] = []
        """The sources of the build."""
        self.cancelled = False
        """Whether the step is to stop."""
        self._script: list[tuple[CommandLine, MockCommand]] = []
        self._answers: list[tuple[str, str, Response]] = []
        self._properties: dict[str, Property] = {}
        self._logs: dict[str, _Log] = {}
        self._secrets: dict[str, bytes] = {}
        self._build_logs: dict[int, list[str]] = {}
        self._results: list[dict[str, Results]] = []
        self._renderer: Callable[[str, dict[str, Any]], str] | None = None

    # What a test says beforehand.

    def command(self, line: CommandLine, answer: MockCommand) -> Self:
        """Answers a command with this. When one has several answers, each is given once, in this order."""
        self._script.append((line, answer))
        return self

    def file(self, path: str, content: bytes | str) -> Self:
        """Puts a file into the working directory."""
        self.files.write(path, content.encode() if isinstance(content, str) else content, append=False)
        return self

    def with_property(self, name: str, value: Any) -> Self:
        """Gives the build a property."""
        self._properties[name] = Property(value, "test")
        return self

    def secret(self, name: str, value: str = "secret") -> Self:
        """Grants a secret. The plugin sees a placeholder of it."""
        self._secrets[name] = value.encode()
        return self

    def answer(self, method: str, url: str, response: Response) -> Self:
        """Answers an HTTP request with this. When one has several answers, each is given once, in this order."""
        self._answers.append((method, url, response))
        return self

    def build_log(self, number: int, lines: Iterable[str]) -> Self:
        """Gives a build that is reported a log."""
        self._build_logs[number] = list(lines)
        return self

    def builds(self, **results: Results) -> Self:
        """Lets builds that are asked for end like this, by the names of their builders; otherwise they succeed."""
        self._results.append(results)
        return self

    def renders(self, renderer: Callable[[str, dict[str, Any]], str]) -> Self:
        """Renders templates in this way. A template language is not part of the mock host."""
        self._renderer = renderer
        return self

    # What a test runs.

    def run(self, step: StepType, parameters: dict[str, Any] | None = None) -> Outcome:
        """Runs a step with these parameters, as the real host does."""
        return step.run(parameters or {}, Context(self))

    def handle(
        self,
        scheduler: SchedulerType,
        event: Event,
        *,
        parameters: dict[str, Any] | None = None,
        state: Any = None,
        now_ms: int = 0,
    ) -> Reaction:
        """Gives a scheduler an event. State goes in and comes out as JSON has it, as on the real host."""
        reaction = scheduler.handle(parameters or {}, state, event, SchedulerContext(self, now_ms))
        json.dumps(reaction.state)
        return reaction

    def report(
        self, reporter: ReporterType, delivery: Delivery, parameters: dict[str, Any] | None = None
    ) -> ReportOutcome:
        """Gives a reporter something to deliver."""
        return reporter.report(parameters or {}, delivery, ReporterContext(self))

    @property
    def context(self) -> Context:
        """A context on this host, for tests of less than a step."""
        return Context(self)

    # What a test looks at afterwards.

    def log(self, name: str, stream: LogStream | None = None) -> str:
        """The content of a log of the step: of one stream, or of all in the order in which they were written."""
        if name not in self._logs:
            raise AssertionError(f"the step has no log `{name}`, only {sorted(self._logs)}")
        content = self._logs[name].content
        return b"".join(data for other, data in content if stream in (None, other)).decode(errors="replace")

    @property
    def log_names(self) -> list[str]:
        """The names of the step's logs, in order."""
        return sorted(self._logs)

    def property_value(self, name: str) -> Any:
        """The value of a property of the build; `None` when there is none."""
        found = self._properties.get(name)
        return None if found is None else found.value

    # What the plugin calls.

    def write_operator_log(self, level: Level, message: str) -> None:
        self.operator_log.append((level, message))

    def get_property(self, name: str) -> Property | None:
        return self._properties.get(name)

    def set_property(self, name: str, value: Any) -> None:
        _limit("the name of a property", len(name.encode()), _PROPERTY_NAME_BYTES_MAX)
        _limit("the value of a property", len(json.dumps(value)), _PROPERTY_VALUE_BYTES_MAX)
        self._properties[name] = Property(value, self.build().step)

    def properties(self) -> dict[str, Property]:
        return dict(sorted(self._properties.items()))

    def open_log(self, name: str, kind: LogKind) -> _OpenLog:
        _limit("the name of a log", len(name.encode()), _LOG_NAME_BYTES_MAX)
        if name not in self._logs:
            _limit("the number of logs", len(self._logs) + 1, _LOGS_MAX)
            self._logs[name] = _Log(kind)
        log = self._logs[name]
        if log.kind is not kind or log.finished:
            raise PermanentError(f"the log `{name}` is finished or of another kind")
        return _OpenLog(name, log)

    def start_command(self, spec: CommandSpec) -> StartedCommand:
        answer = self._next_answer(spec.line)
        self.commands.append(spec)
        if answer.not_started is not None:
            raise answer.not_started
        for path, content in answer.files:
            self.file(path, content)
        if spec.log is not None:
            log = self.open_log(spec.log, LogKind.STDIO)
            for source, data in answer.output:
                log.append(LogStream.STDOUT if source is OutputSource.STDOUT else LogStream.STDERR, data)
        return StartedCommand(answer, spec.capture_bytes, self._count_interrupt)

    def _next_answer(self, line: CommandLine) -> MockCommand:
        for place, (known, answer) in enumerate(self._script):
            if _same_line(known, line):
                del self._script[place]
                return answer
        raise AssertionError(f"the test has no answer for {line!r}, only for {[known for known, _ in self._script]}")

    def _count_interrupt(self) -> None:
        self.interrupted += 1

    def read_file(self, path: str, offset: int, limit: int) -> bytes:
        return self.files.read(path, offset, limit)

    def write_file(self, path: str, data: bytes, append: bool) -> None:
        self.files.write(path, data, append)

    def stat(self, path: str) -> FileStat:
        return self.files.stat(path)

    def glob(self, pattern: str) -> list[str]:
        return self.files.glob(pattern)

    def mkdir(self, path: str) -> None:
        self.files.mkdir(path)

    def remove(self, path: str, recursive: bool) -> None:
        self.files.remove(path, recursive)

    def set_summary(self, text: str) -> None:
        self.summaries.append(text)

    def set_progress(self, done: int, total: int, unit: str) -> None:
        self.progress.append((done, total, unit))

    def add_url(self, name: str, url: str) -> None:
        if not url.startswith(("https://", "http://", "/")):
            raise PermanentError(f"the link `{url}` starts with none of https://, http:// and /")
        self.urls.append((name, url))

    def build(self) -> BuildInfo:
        return BuildInfo(
            id=1,
            builder="builder",
            number=1,
            url=f"{_PAGES}/builders/1/builds/1",
            worker="worker",
            workdir="/worker/builder/build",
            step="step",
            reason="a test",
            source_stamps=list(self.source_stamps),
            buildset=1,
            request=1,
            scheduler="test",
        )

    def changes(self) -> list[Change]:
        return list(self.build_changes)

    def build_data(self, name: str) -> BuildData | None:
        return self.data.get(name)

    def set_build_data(self, name: str, value: bytes, source: str) -> None:
        if re.fullmatch(r"[A-Za-z_-][A-Za-z0-9._-]*", name) is None:
            raise PermanentError(f"`{name}` cannot be the name of build data")
        _limit("the name of build data", len(name), _DATA_NAME_BYTES_MAX)
        _limit("build data", len(value), _DATA_BYTES_MAX)
        self.data[name] = BuildData(value, source or self.build().step)

    def upload_file(self, path: str, name: str) -> Artifact:
        content = self.files.content(path)
        if content is None:
            raise PermanentError(f"there is no file `{path}`")
        if not all(part not in ("", ".", "..") for part in name.split("/")):
            raise PermanentError(f"`{name}` cannot be the name of an artifact")
        self.artifacts[name] = content
        return _artifact(name, content)

    def upload_directory(self, path: str, name: str) -> UploadedDirectory:
        below = path.rstrip("/") + "/"
        start = f"{name}/" if name else ""
        found = [file for file in self.files.glob(f"{below}**") if self.files.content(file) is not None]
        return UploadedDirectory([self.upload_file(file, start + file.removeprefix(below)) for file in found], [])

    def download(self, build: BuildOf | None, name: str, path: str) -> Artifact:
        kept = self._artifacts_of(build)
        if name not in kept:
            raise PermanentError(f"there is no artifact `{name}`")
        self.files.write(path, kept[name], append=False)
        return _artifact(name, kept[name])

    def find_artifacts(self, build: BuildOf | None, prefix: str) -> list[Artifact]:
        kept = sorted(self._artifacts_of(build).items())
        return [_artifact(name, content) for name, content in kept if name.startswith(prefix)]

    def _artifacts_of(self, build: BuildOf | None) -> dict[str, bytes]:
        if build is None:
            return self.artifacts
        if build not in self.other_artifacts:
            raise PermanentError(f"there is no build {build[1]} of {build[0]}")
        return self.other_artifacts[build]

    def test_results(self, description: str, category: str, value_unit: str) -> MockTestSet:
        made = MockTestSet(description, category, value_unit)
        self.test_sets.append(made)
        return made

    def trigger(self, request: BuildRequest) -> _MockTriggered:
        self.triggered.append(request)
        results = self._results.pop(0) if self._results else {}
        return _MockTriggered(len(self.triggered), request, results)

    def is_cancelled(self) -> bool:
        return self.cancelled

    def placeholder(self, secret: str) -> str:
        self._secret(secret)
        return f"<secret {secret}>"

    def hmac_sha256(self, secret: str, data: bytes) -> bytes:
        return hmac.new(self._secret(secret), data, hashlib.sha256).digest()

    def _secret(self, name: str) -> bytes:
        if name not in self._secrets:
            raise ConfigError("", f"the secret `{name}` is not granted")
        return self._secrets[name]

    def value(self, key: str) -> bytes | None:
        return self.values.get(key)

    def set_value(self, key: str, value: bytes | None) -> None:
        _limit("a key", len(key.encode()), _KEY_BYTES_MAX)
        _limit("a value", len(value or b""), _VALUE_BYTES_MAX)
        if value is None:
            self.values.pop(key, None)
        else:
            self.values[key] = value

    def compare_and_set(self, key: str, expected: bytes | None, value: bytes | None) -> bool:
        if self.values.get(key) != expected:
            return False
        self.set_value(key, value)
        return True

    def keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self.values if key.startswith(prefix))

    def render(self, template: str, values: dict[str, Any]) -> str:
        if self._renderer is None:
            raise AssertionError("the test does not say how templates are rendered: use `MockHost.renders`")
        return self._renderer(template, values)

    def send_mail(self, mail: Mail, key: str) -> None:
        self.mails.append((key, mail))

    def http(self, request: Request) -> Response:
        self.requests.append(request)
        for place, (method, url, response) in enumerate(self._answers):
            if (method, url) == (request.method, request.url):
                del self._answers[place]
                return response
        raise AssertionError(f"the test has no answer for {request.method} {request.url}")

    def read_log(self, log: int, first: int, count: int) -> str:
        if log not in self._build_logs:
            raise PermanentError(f"there is no log {log}")
        return "\n".join(self._build_logs[log][first : first + count])


@dataclass
class MockTestSet:
    """A set of test results that was made."""

    description: str
    category: str
    value_unit: str
    results: list[TestResult] = field(default_factory=list)
    is_complete: bool = False
    passed: int | None = None
    failed: int | None = None

    def add(self, results: list[TestResult]) -> None:
        if self.is_complete:
            raise PermanentError("the set of test results is complete")
        if any(result.name is None and result.code_path is None for result in results):
            raise PermanentError("a test result has neither name nor code path")
        self.results += results

    def complete(self, passed: int | None, failed: int | None) -> None:
        self.add([])
        self.is_complete, self.passed, self.failed = True, passed, failed


class _MockTriggered:
    def __init__(self, number: int, request: BuildRequest, results: dict[str, Results]) -> None:
        self._number = number
        self._results = {builder: results.get(builder, Results.SUCCESS) for builder in sorted(request.builders)}

    def progress(self) -> Progress:
        builds = [
            TriggeredBuild(builder, number, None, f"{_PAGES}/requests/{number}", None)
            for number, builder in enumerate(self._results, start=1)
        ]
        return Progress(self._number, None, builds)

    def wait(self) -> Progress:
        builds = [
            TriggeredBuild(builder, number, 1, f"{_PAGES}/builders/{number}/builds/1", results)
            for number, (builder, results) in enumerate(self._results.items(), start=1)
        ]
        return Progress(self._number, max(self._results.values(), key=_BADNESS.index), builds)


class _OpenLog:
    def __init__(self, name: str, log: _Log) -> None:
        self._name = name
        self._log = log

    def append(self, stream: LogStream, data: bytes) -> None:
        if self._log.finished:
            raise PermanentError(f"the log `{self._name}` is finished")
        if self._log.kind is not LogKind.STDIO and stream is not LogStream.STDOUT:
            raise PermanentError(f"the log `{self._name}` has one stream only")
        self._log.content.append((stream, data))

    def finish(self) -> None:
        self.append(LogStream.STDOUT, b"")
        self._log.finished = True


def _artifact(name: str, content: bytes) -> Artifact:
    digest = hashlib.sha256(content).hexdigest()
    return Artifact(name, len(content), 0o644, digest, f"{_PAGES}/artifacts/{name}")


def _same_line(one: CommandLine, other: CommandLine) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return list(one) == list(other)


def _limit(what: str, value: int, most: int) -> None:
    if value > most:
        raise PermanentError(f"{what} is {value}, at most {most} is allowed")
