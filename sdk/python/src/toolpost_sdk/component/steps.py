"""The exports and imports of a plugin with steps."""

from __future__ import annotations

import json
from typing import Any

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import step as contract
from wit_world.imports import (
    artifacts,
    build_data,
    build_info,
    cancellation,
    commands,
    properties,
    step_logs,
    step_status,
    test_results,
    triggers,
    types,
    worker_files,
)

from ..artifacts import Artifact, UploadedDirectory
from ..context import Context
from ..errors import FileError, FileErrorKind, PermanentError, RetryableError
from ..host import BuildOf, Chunk, CommandSpec, End, Exit, FileKind, FileStat, LogKind, LogStream, OutputSource
from ..model import BuildData, BuildInfo, Change, Property
from ..testing import TestResult
from ..triggering import BuildRequest, Progress, Sources
from . import bound
from .convert import case, read, read_record
from .failures import exported, imported
from .services import Services


class Step(exports.Step):
    """`step` of the contract."""

    def run(self, type_name: str, parameters: str) -> contract.StepOutcome:
        host = _StepHost()
        with exported(host.tell_of_a_bug):
            outcome = bound().step(type_name).run(json.loads(parameters), Context(host))
            return contract.StepOutcome(types.Results[outcome.results.name], outcome.summary)


class _StepHost(Services):
    def tell_of_a_bug(self, stack: str) -> None:
        """Shows the author of the plugin where it failed, in a log of the step."""
        try:
            self.open_log("traceback", LogKind.TEXT).append(LogStream.STDOUT, stack.encode())
        except PermanentError:
            print(stack)

    def get_property(self, name: str) -> Property | None:
        return read(Property, properties.get(name))

    def set_property(self, name: str, value: Any) -> None:
        with imported():
            properties.set(name, json.dumps(value))

    def properties(self) -> dict[str, Property]:
        return {name: read(Property, value) for name, value in properties.all()}

    def open_log(self, name: str, kind: LogKind) -> _Log:
        with imported():
            return _Log(step_logs.StepLog.open(name, step_logs.LogKind[kind.name]))

    def start_command(self, spec: CommandSpec) -> _Command:
        with imported():
            return _Command(commands.RunningCommand.start(_command_spec(spec)))

    def read_file(self, path: str, offset: int, limit: int) -> bytes:
        with _file("read", path):
            return worker_files.read(path, offset, limit)

    def write_file(self, path: str, data: bytes, append: bool) -> None:
        mode = worker_files.WriteMode.APPEND if append else worker_files.WriteMode.REPLACE
        with _file("write", path):
            worker_files.write(path, data, mode)

    def stat(self, path: str) -> FileStat:
        with _file("look at", path):
            return read_record(FileStat, stat := worker_files.stat(path), kind=FileKind[stat.kind.name])

    def glob(self, pattern: str) -> list[str]:
        with _file("list", pattern):
            return worker_files.glob(pattern)

    def mkdir(self, path: str) -> None:
        with _file("make", path):
            worker_files.mkdir(path)

    def remove(self, path: str, recursive: bool) -> None:
        with _file("remove", path):
            worker_files.remove(path, recursive)

    def set_summary(self, text: str) -> None:
        step_status.set_summary(text)

    def set_progress(self, done: int, total: int, unit: str) -> None:
        step_status.set_progress(done, total, unit)

    def add_url(self, name: str, url: str) -> None:
        with imported():
            step_status.add_url(name, url)

    def build(self) -> BuildInfo:
        return read(BuildInfo, build_info.get())

    def changes(self) -> list[Change]:
        with imported():
            return [read(Change, change) for change in build_info.changes()]

    def build_data(self, name: str) -> BuildData | None:
        with imported():
            return read(BuildData, build_data.get(name))

    def set_build_data(self, name: str, value: bytes, source: str) -> None:
        with imported():
            build_data.set(name, value, source)

    def upload_file(self, path: str, name: str) -> Artifact:
        with imported():
            return read(Artifact, artifacts.upload_file(path, name))

    def upload_directory(self, path: str, name: str) -> UploadedDirectory:
        with imported():
            return read(UploadedDirectory, artifacts.upload_directory(path, name))

    def download(self, build: BuildOf | None, name: str, path: str) -> Artifact:
        with imported():
            return read(Artifact, artifacts.download(_build_of(build), name, path))

    def find_artifacts(self, build: BuildOf | None, prefix: str) -> list[Artifact]:
        with imported():
            return [read(Artifact, one) for one in artifacts.find(_build_of(build), prefix)]

    def test_results(self, description: str, category: str, value_unit: str) -> _TestResults:
        with imported():
            return _TestResults(test_results.TestResultSet.create(description, category, value_unit))

    def trigger(self, request: BuildRequest) -> _Triggered:
        with imported():
            return _Triggered(triggers.Triggered.request(_build_request(request)))

    def is_cancelled(self) -> bool:
        return cancellation.is_cancelled()


class _Log:
    def __init__(self, log: step_logs.StepLog) -> None:
        self._log = log

    def append(self, stream: LogStream, data: bytes) -> None:
        with imported():
            self._log.append(step_logs.LogStream[stream.name], data)

    def finish(self) -> None:
        with imported():
            self._log.finish()


class _TestResults:
    def __init__(self, results: test_results.TestResultSet) -> None:
        self._results = results

    def add(self, results: list[TestResult]) -> None:
        with imported():
            self._results.add([test_results.TestResult(**vars(result)) for result in results])

    def complete(self, passed: int | None, failed: int | None) -> None:
        with imported():
            self._results.complete(passed, failed)


class _Triggered:
    def __init__(self, triggered: triggers.Triggered) -> None:
        self._triggered = triggered

    def progress(self) -> Progress:
        with imported():
            return read(Progress, self._triggered.progress())

    def wait(self) -> Progress:
        with imported():
            return read(Progress, self._triggered.wait())


class _Command:
    def __init__(self, command: commands.RunningCommand) -> None:
        self._command = command

    def read(self) -> Chunk | None:
        chunk = self._command.read()
        return None if chunk is None else Chunk(OutputSource[chunk.source.name], chunk.data)

    def wait(self) -> Exit:
        exit = self._command.wait()
        number = getattr(exit.status, "value", None)
        ends = {
            "Code": End.CODE,
            "Signal": End.SIGNAL,
            "IdleTimeout": End.IDLE_TIMEOUT,
            "TotalTimeout": End.TOTAL_TIMEOUT,
            "Interrupted": End.INTERRUPTED,
        }
        if case(exit.status) == "WorkerLost":
            raise RetryableError(f"the worker was lost: {number}")
        return Exit(ends[case(exit.status)], number, exit.elapsed_ms, exit.truncated)

    def interrupt(self) -> None:
        self._command.interrupt()

    def close(self) -> None:
        self._command.__exit__(None, None, None)


def _command_spec(spec: CommandSpec) -> commands.CommandSpec:
    is_shell = isinstance(spec.line, str)
    capture: commands.Capture = commands.Capture_Everything()
    if spec.capture_bytes is not None:
        capture = commands.Capture_First(spec.capture_bytes) if spec.capture_bytes else commands.Capture_Nothing()
    return commands.CommandSpec(
        command=commands.CommandLine_Shell(spec.line) if is_shell else commands.CommandLine_Argv(list(spec.line)),
        workdir=spec.workdir,
        env=list(spec.env.items()),
        stdin=spec.stdin,
        idle_timeout_ms=spec.idle_timeout_ms,
        total_timeout_ms=spec.total_timeout_ms,
        log=spec.log,
        capture=capture,
    )


def _build_of(build: BuildOf | None) -> artifacts.BuildOf:
    return artifacts.BuildOf_ThisBuild() if build is None else artifacts.BuildOf_Other(build)


def _build_request(request: BuildRequest) -> triggers.BuildRequest:
    if request.sources is Sources.OF_THIS_BUILD:
        sources: triggers.Sources = triggers.Sources_OfThisBuild()
    elif request.sources is Sources.NEWEST:
        sources = triggers.Sources_Newest()
    else:
        sources = triggers.Sources_Given([types.SourceStamp(**vars(stamp)) for stamp in request.sources])
    return triggers.BuildRequest(
        builders=list(request.builders),
        sources=sources,
        properties=[(name, json.dumps(value)) for name, value in request.properties.items()],
        reason=request.reason,
        priority=request.priority,
        waited_for=request.waited_for,
    )


class _file:
    """Raises errors of files on the worker as those of the SDK."""

    def __init__(self, action: str, path: str) -> None:
        self._action = action
        self._path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, failure: object, trace: object) -> None:
        if not isinstance(failure, Err):
            return
        reason = getattr(failure.value, "value", None)
        kinds = {
            "NotFound": FileErrorKind.NOT_FOUND,
            "WrongKind": FileErrorKind.WRONG_KIND,
            "NotEmpty": FileErrorKind.NOT_EMPTY,
            "Outside": FileErrorKind.OUTSIDE,
            "Denied": FileErrorKind.DENIED,
            "Other": FileErrorKind.OTHER,
        }
        if case(failure.value) == "WorkerLost":
            raise RetryableError(f"could not {self._action} `{self._path}`: the worker was lost: {reason}") from None
        raise FileError(self._action, self._path, kinds[case(failure.value)], reason) from None
