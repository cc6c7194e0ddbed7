"""Parameters become a JSON Schema, and values are read by it."""

import unittest
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, Literal

from toolpost_sdk import ConfigError
from toolpost_sdk.schema import parse, plain, schema_of


class Colour(Enum):
    RED = "red"
    GREEN = "green"


@dataclass
class Limits:
    most: int
    share: float = 0.5


@dataclass
class Parameters:
    """What it does."""

    command: Annotated[str | list[str], "What to run."]
    limits: Limits
    colour: Colour = Colour.RED
    mode: Literal["fast", 1] = "fast"
    names: dict[str, int] = field(default_factory=dict)
    note: Annotated[str | None, {"maxLength": 9}] = None
    extra: Any = None


class Schema(unittest.TestCase):
    maxDiff = None

    def test_every_type_has_its_schema(self) -> None:
        limits = {
            "type": "object",
            "properties": {"most": {"type": "integer"}, "share": {"type": "number", "default": 0.5}},
            "additionalProperties": False,
            "required": ["most"],
        }
        expected = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "description": "What it does.",
            "properties": {
                "command": {
                    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
                    "description": "What to run.",
                },
                "limits": limits,
                "colour": {"enum": ["red", "green"], "default": "red"},
                "mode": {"enum": ["fast", 1], "default": "fast"},
                "names": {"type": "object", "additionalProperties": {"type": "integer"}, "default": {}},
                "note": {"type": ["string", "null"], "maxLength": 9, "default": None},
                "extra": {"default": None},
            },
            "additionalProperties": False,
            "required": ["command", "limits"],
        }
        self.assertEqual(schema_of(Parameters), expected)

    def test_a_type_without_a_schema_is_refused(self) -> None:
        @dataclass
        class Odd:
            when: complex

        with self.assertRaisesRegex(TypeError, "complex"):
            schema_of(Odd)

    def test_values_are_read_and_written_again(self) -> None:
        value = {"command": ["a", "b"], "limits": {"most": 3.0}, "colour": "green", "mode": 1, "names": {"x": 1}}
        read = parse(Parameters, value)
        self.assertEqual(read, Parameters(["a", "b"], Limits(3), Colour.GREEN, 1, {"x": 1}))
        self.assertEqual(parse(Parameters, plain(read)), read)

    def test_what_does_not_fit_is_named(self) -> None:
        def check(field: str, message: str, **change: Any) -> None:
            value = {"command": "x", "limits": {"most": 3}, **change}
            with self.assertRaises(ConfigError) as caught:
                parse(Parameters, value)
            self.assertEqual(caught.exception.field, field)
            self.assertIn(message, caught.exception.message)

        check("limits.most", "is not of the type integer: 'x'", limits={"most": "x"})
        check("limits.most", "is not of the type integer: True", limits={"most": True})
        check("limits.most", "is missing", limits={})
        check("limits.mots", "is not known; there are most, share", limits={"mots": 1})
        check("command[1]", "is not of the type string", command=["x", 7])
        check("colour", "is not one of 'red', 'green'", colour=["red"])
        check("mode", "is not one of 'fast', 1", mode=True)
        check("names.y", "is not of the type integer", names={"y": None})
        check("limits", "is not an object", limits=[])
