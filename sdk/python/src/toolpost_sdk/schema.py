"""Makes a JSON Schema of a dataclass, and reads values that fit it. Never runs code of the values' author.

Types may be `str`, `int`, `float`, `bool`, `None`, `Any`, `list`, `dict` with `str` keys, `Literal`, enumerations,
unions of these, and dataclasses of them. `Annotated[int, "How often.", {"minimum": 1}]` adds a description and further
keywords, which the host checks.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, Literal, TypeVar, Union

from .errors import ConfigError

T = TypeVar("T")

_PRIMITIVES: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def schema_of(parameters: type) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a dataclass."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_schema(parameters)}


def parse(kind: type[T], value: Any) -> T:
    """Reads a JSON value as this type.

    Raises `ConfigError`, which names the field, when it does not fit.
    """
    parsed: T = _parse(kind, value, "")
    return parsed


def fields_of(kind: type) -> dict[str, tuple[Any, dataclasses.Field[Any]]]:
    """The types and definitions of the fields of a dataclass by name."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return {field.name: (hints[field.name], field) for field in dataclasses.fields(kind) if field.init}


def _schema(kind: Any) -> dict[str, Any]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return {}
    if origin is Annotated:
        return _annotated(arguments)
    if kind in _PRIMITIVES:
        return {"type": _PRIMITIVES[kind]}
    if origin in (Union, types.UnionType):
        return _union(arguments)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is list or kind is list:
        return {"type": "array", **({"items": _schema(arguments[0])} if arguments else {})}
    if origin is dict or kind is dict:
        return {"type": "object", **({"additionalProperties": _schema(arguments[1])} if arguments else {})}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"enum": [member.value for member in kind]}
    if dataclasses.is_dataclass(kind):
        return _object(kind)
    raise TypeError(f"{kind!r} has no JSON Schema; see the documentation of toolpost_sdk.schema for the types that do")


def _annotated(arguments: tuple[Any, ...]) -> dict[str, Any]:
    schema = _schema(arguments[0])
    for extra in arguments[1:]:
        if isinstance(extra, str):
            schema["description"] = extra
        elif isinstance(extra, Mapping):
            schema.update(extra)
    return schema


def _union(arguments: tuple[Any, ...]) -> dict[str, Any]:
    branches = [_schema(argument) for argument in arguments]
    if all(branch.keys() == {"type"} for branch in branches):
        return {"type": [branch["type"] for branch in branches]}
    return {"anyOf": branches}


def _object(kind: Any) -> dict[str, Any]:
    properties, required = {}, []
    for name, (hint, field) in fields_of(kind).items():
        properties[name] = _schema(hint)
        if field.default is not dataclasses.MISSING:
            properties[name]["default"] = _plain(field.default)
        elif field.default_factory is not dataclasses.MISSING:
            properties[name]["default"] = _plain(field.default_factory())
        else:
            required.append(name)
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    # A dataclass without documentation gets its own signature as one, which is of no use to people.
    documentation = inspect.getdoc(kind)
    if documentation and not documentation.startswith(f"{kind.__name__}("):
        schema["description"] = documentation
    if required:
        schema["required"] = required
    return schema


def _plain(value: Any) -> Any:
    """The value as JSON has it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


plain = _plain
"""A value of any type that has a JSON Schema, as JSON has it."""


def _parse(kind: Any, value: Any, path: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if origin is Annotated:
        return _parse(arguments[0], value, path)
    if kind in _PRIMITIVES:
        return _primitive(kind, value, path)
    if origin in (Union, types.UnionType):
        return _first_that_fits(arguments, value, path)
    if origin is Literal:
        return _one_of({argument: argument for argument in arguments}, value, path)
    if origin is list or kind is list:
        item = arguments[0] if arguments else Any
        items = value if isinstance(value, list) else _misfit("a list", value, path)
        return [_parse(item, entry, f"{path}[{index}]") for index, entry in enumerate(items)]
    if origin is dict or kind is dict:
        item = arguments[1] if arguments else Any
        entries = value if isinstance(value, dict) else _misfit("an object", value, path)
        return {name: _parse(item, entry, _below(path, name)) for name, entry in entries.items()}
    if issubclass(kind, Enum):
        return _one_of({member.value: member for member in kind}, value, path)
    return _parse_object(kind, value, path)


def _parse_object(kind: Any, value: Any, path: str) -> Any:
    entries = value if isinstance(value, dict) else _misfit("an object", value, path)
    fields = fields_of(kind)
    for name in entries:
        if name not in fields:
            raise ConfigError(_below(path, name), f"is not known; there are {', '.join(fields) or 'none'}")
    arguments = {}
    for name, (hint, field) in fields.items():
        if name in entries:
            arguments[name] = _parse(hint, entries[name], _below(path, name))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(_below(path, name), "is missing")
    return kind(**arguments)


def _primitive(kind: Any, value: Any, path: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    # In JSON 3.0 and 3 are the same number.
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    # Python takes a bool for an int, JSON does not.
    if isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool):
        return value
    return _misfit(f"of the type {_PRIMITIVES[kind]}", value, path)


def _one_of(known: dict[Any, Any], value: Any, path: str) -> Any:
    for name, meaning in known.items():
        # `True == 1` in Python, and not in JSON.
        if type(name) is type(value) and name == value:
            return meaning
    return _misfit(f"one of {', '.join(map(repr, known))}", value, path)


def _first_that_fits(kinds: tuple[Any, ...], value: Any, path: str) -> Any:
    errors = []
    for kind in kinds:
        try:
            return _parse(kind, value, path)
        except ConfigError as error:
            errors.append(error)
    # The branch that got furthest knows best what is wrong.
    raise max(errors, key=lambda error: len(error.field))


def _misfit(expected: str, value: Any, path: str) -> Any:
    raise ConfigError(path, f"is not {expected}: {value!r:.100}")


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
