"""A plugin as tables of its types, and the decorators that make them."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, is_dataclass, replace
from typing import Any, TypeVar

from . import schema
from .capability import Capability
from .context import Context, ReporterContext, SchedulerContext
from .errors import PermanentError
from .outcome import Outcome
from .reporting import Delivery, ReportOutcome
from .scheduling import Event, Forced, Reaction


@dataclass(frozen=True)
class StepType:
    """A step type: one value of `use` in a `[[builder.step]]` of the configuration."""

    name: str
    summary: str
    parameters: type
    function: Callable[[Any, Context], Outcome]

    def run(self, parameters: dict[str, Any], ctx: Context) -> Outcome:
        """Runs it with the parameters as JSON has them."""
        return self.function(schema.parse(self.parameters, parameters), ctx)


@dataclass(frozen=True)
class SchedulerType:
    """A scheduler type: one value of `use` in a `[[scheduler]]` of the configuration."""

    name: str
    summary: str
    parameters: type
    function: Callable[[Any, Any, Event, SchedulerContext], Reaction]
    state: Any = Any
    """What the annotation of its state says."""
    force: type | None = None
    """What a person fills in who forces it."""

    def handle(self, parameters: dict[str, Any], state: Any, event: Event, ctx: SchedulerContext) -> Reaction:
        """Takes in an event with parameters, state and filled in values as JSON has them, and answers likewise."""
        if isinstance(event, Forced) and self.force is not None:
            event = replace(event, values=schema.parse(self.force, event.values))
        reaction = self.function(schema.parse(self.parameters, parameters), self._parse_state(state), event, ctx)
        return replace(reaction, state=schema.plain(reaction.state))

    def _parse_state(self, state: Any) -> Any:
        # A class whose fields all have defaults is its own beginning.
        if state is None and is_dataclass(self.state):
            return self.state()  # type: ignore[operator]
        return schema.parse(self.state, state)


@dataclass(frozen=True)
class ReporterType:
    """A reporter type: one value of `use` in a `[[reporter]]` of the configuration."""

    name: str
    summary: str
    parameters: type
    function: Callable[[Any, Delivery, ReporterContext], ReportOutcome]

    def report(self, parameters: dict[str, Any], delivery: Delivery, ctx: ReporterContext) -> ReportOutcome:
        """Delivers one thing with the parameters as JSON has them."""
        return self.function(schema.parse(self.parameters, parameters), delivery, ctx)


_Typed = TypeVar("_Typed", StepType, SchedulerType, ReporterType)


@dataclass(frozen=True)
class Plugin:
    """A plugin: who it is, and what it brings."""

    name: str
    """The name of its file without `.wasm`."""
    version: str
    """The author's version, for people."""
    description: str
    """What it is for, in one sentence."""
    steps: Sequence[StepType] = ()
    schedulers: Sequence[SchedulerType] = ()
    reporters: Sequence[ReporterType] = ()
    wants: Sequence[Capability] = ()
    """What it needs beyond the contract."""
    schemas: dict[type, dict[str, Any]] = field(default_factory=dict, init=False, repr=False)
    """The JSON Schemas of all parameters, made when the plugin is built and not when it is loaded."""

    def __post_init__(self) -> None:
        types: list[StepType | SchedulerType | ReporterType] = [*self.steps, *self.schedulers, *self.reporters]
        if not types:
            raise ValueError("a plugin has at least one step, scheduler or reporter")
        forces = [scheduler.force for scheduler in self.schedulers if scheduler.force]
        for parameters in [*(kind.parameters for kind in types), *forces]:
            self.schemas[parameters] = schema.schema_of(parameters)

    @property
    def kinds(self) -> list[str]:
        """The kinds of its types: `step`, `scheduler`, `reporter`."""
        tables = {"step": self.steps, "scheduler": self.schedulers, "reporter": self.reporters}
        return [kind for kind, table in tables.items() if table]

    def step(self, name: str) -> StepType:
        """The step type of this name."""
        return self._find("step", self.steps, name)

    def scheduler(self, name: str) -> SchedulerType:
        """The scheduler type of this name."""
        return self._find("scheduler", self.schedulers, name)

    def reporter(self, name: str) -> ReporterType:
        """The reporter type of this name."""
        return self._find("reporter", self.reporters, name)

    def _find(self, kind: str, table: Sequence[_Typed], name: str) -> _Typed:
        for entry in table:
            if entry.name == name:
                return entry
        raise PermanentError(f"the plugin {self.name} has no {kind} type `{name}`")


def plugin(
    name: str,
    version: str,
    description: str,
    *,
    steps: Sequence[StepType] = (),
    schedulers: Sequence[SchedulerType] = (),
    reporters: Sequence[ReporterType] = (),
    wants: Sequence[Capability] = (),
) -> Plugin:
    """Makes a plugin of these types. `toolpost plugin build` looks for it under the name `PLUGIN` in `plugin.py`."""
    return Plugin(name, version, description, steps, schedulers, reporters, wants)


def step(name: str, *, summary: str) -> Callable[[Callable[[Any, Context], Outcome]], StepType]:
    """Makes a function a step type. Its first argument is a dataclass, which becomes the JSON Schema:

    @dataclass
    class Parameters:
        target: Annotated[str, "The target to build."] = "all"

    @step("make", summary="Builds a target with make.")
    def make(parameters: Parameters, ctx: Context) -> Outcome:
        exit = ctx.argv("make", parameters.target, log="stdio").run()
        return Outcome(exit.results, f"make {parameters.target}")
    """

    def decorate(function: Callable[[Any, Context], Outcome]) -> StepType:
        (parameters,) = _annotations(function, ["parameters", "ctx"])[:1]
        return StepType(name, summary, _dataclass(function, parameters), function)

    return decorate


def scheduler(
    name: str, *, summary: str, force: type | None = None
) -> Callable[[Callable[[Any, Any, Event, SchedulerContext], Reaction]], SchedulerType]:
    """Makes a function a scheduler type: `(parameters, state, event, ctx) -> Reaction`.

    It must give the same answer for the same input, so it has no clock but `ctx.now`. `state` is what the last
    reaction said; its annotation can be a dataclass whose fields all have defaults. `force` is a dataclass of what a
    person fills in who forces it; without one it cannot be forced.
    """

    def decorate(function: Callable[[Any, Any, Event, SchedulerContext], Reaction]) -> SchedulerType:
        parameters, state = _annotations(function, ["parameters", "state", "event", "ctx"])[:2]
        return SchedulerType(name, summary, _dataclass(function, parameters), function, state, force)

    return decorate


def reporter(
    name: str, *, summary: str
) -> Callable[[Callable[[Any, Delivery, ReporterContext], ReportOutcome]], ReporterType]:
    """Makes a function a reporter type: `(parameters, delivery, ctx) -> ReportOutcome`.

    A delivery comes at least once: after a crash it comes again, with the same `key`.
    """

    def decorate(function: Callable[[Any, Delivery, ReporterContext], ReportOutcome]) -> ReporterType:
        (parameters,) = _annotations(function, ["parameters", "delivery", "ctx"])[:1]
        return ReporterType(name, summary, _dataclass(function, parameters), function)

    return decorate


def _annotations(function: Callable[..., Any], arguments: list[str]) -> list[Any]:
    """The annotations of the arguments of a function, by position; `Any` where there is none."""
    names = list(inspect.signature(function).parameters)
    if len(names) != len(arguments):
        raise TypeError(f"{function.__name__} takes ({', '.join(names)}), not ({', '.join(arguments)})")
    hints = typing.get_type_hints(function, include_extras=True)
    return [hints.get(name, Any) for name in names]


def _dataclass(function: Callable[..., Any], parameters: Any) -> type:
    if not is_dataclass(parameters):
        raise TypeError(f"the first argument of {function.__name__} has to be annotated with a dataclass")
    return typing.cast(type, parameters)
