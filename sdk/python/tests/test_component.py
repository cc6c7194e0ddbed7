"""Records of the generated bindings are read as the SDK's."""

import unittest
from dataclasses import dataclass
from enum import Enum
from typing import Any

from toolpost_sdk import Change, Property, Results, SourceStamp
from toolpost_sdk.component.convert import case, read, read_record
from toolpost_sdk.reporting import BuildReport
from toolpost_sdk.scheduling import FinishedBuild


class WitResults(Enum):
    SUCCESS = 0
    FAILURE = 2


@dataclass
class Wit:
    """Stands for any record of the bindings, which have the same names of fields."""

    values: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        return self.values[name]


class Event_BuildFinished:
    value = 3


class Conversion(unittest.TestCase):
    def test_a_record_becomes_a_dataclass(self) -> None:
        stamp = Wit(dict(codebase="", repository="r", project="", branch=None, revision="a1", patch=7))
        build = Wit(
            dict(
                id=5,
                builder="b",
                number=2,
                results=WitResults.FAILURE,
                buildset_id=3,
                source_stamps=[stamp],
                properties='{"x": [1]}',
            )
        )
        expected = FinishedBuild(
            5, "b", 2, Results.FAILURE, 3, [SourceStamp(repository="r", revision="a1", patch=7)], {"x": [1]}
        )
        self.assertEqual(read(FinishedBuild, build), expected)

    def test_what_is_missing_stays_missing(self) -> None:
        self.assertIsNone(read(Property, None))
        values = {**vars(BuildReport()), "properties": "{}", "results": None}
        self.assertEqual(read(BuildReport, Wit(values)), BuildReport())

    def test_given_fields_and_cases(self) -> None:
        values = {name: value for name, value in vars(Change()).items() if name != "properties"}
        self.assertEqual(read_record(Change, Wit(values), properties={"a": 1}), Change(properties={"a": 1}))
        self.assertEqual(case(Event_BuildFinished()), "BuildFinished")
