"""Reads the records of the generated bindings as the SDK's dataclasses, which have the same names of fields.

What differs is told by the SDK's types: fields that are JSON text in the contract are values there.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from enum import Enum
from functools import cache
from typing import Annotated, Any, Union

from ..model import JSON_TEXT


def read(kind: Any, value: Any) -> Any:
    """The value as this type of the SDK."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if value is None:
        return None
    if origin is Annotated:
        return json.loads(value) if JSON_TEXT in arguments[1:] else read(arguments[0], value)
    if origin in (Union, types.UnionType):
        # All unions in records are of something and `None`.
        return read(arguments[0], value)
    if origin is list:
        return [read(arguments[0], item) for item in value]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind[value.name]
    if dataclasses.is_dataclass(kind):
        return read_record(kind, value)
    return value


def read_record(kind: Any, value: Any, /, **others: Any) -> Any:
    """The record as this dataclass; fields that are given are taken as they are."""
    fields = {name: read(hint, getattr(value, name)) for name, hint in _hints(kind).items() if name not in others}
    return kind(**fields, **others)


def case(value: Any) -> str:
    """The name of the case of a variant: the bindings have a class `Variant_Case` for each."""
    return type(value).__name__.rpartition("_")[2]


@cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}
