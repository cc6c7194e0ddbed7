"""Why something could not be done, by what helps against it.

The texts are for people: lower-case fragments that say what they can do.
"""

from __future__ import annotations

from enum import Enum


class Error(Exception):
    """The plugin could not do its work. A test that fails is no error but an `Outcome`."""


class RetryableError(Error):
    """Trying again later may help: the worker was lost, a server did not answer.

    A step ends as RETRY, and the whole build runs again; a delivery of a reporter is tried again.
    """


class PermanentError(Error):
    """Trying again does not help: a program that does not exist. A step ends as EXCEPTION."""


class ConfigError(Error):
    """The configuration has to change, for a reason that the JSON Schema cannot express.

    `field` is the parameter, such as `thresholds.fail`; empty when it is about several.
    """

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        self.message = message
        super().__init__(f"parameter `{field}`: {message}" if field else message)


class FileErrorKind(Enum):
    """Why a file on the worker could not be used."""

    NOT_FOUND = "it does not exist"
    WRONG_KIND = "it is a directory where a file is needed, or the other way round"
    NOT_EMPTY = "the directory is not empty"
    OUTSIDE = "it leads outside the directory of the build"
    DENIED = "the worker's system does not allow it"
    OTHER = "it cannot be used"


class FileError(PermanentError):
    """A file on the worker could not be used. That its worker was lost is a `RetryableError` instead."""

    def __init__(self, action: str, path: str, kind: FileErrorKind, reason: str | None = None) -> None:
        self.action = action
        self.path = path
        self.kind = kind
        super().__init__(f"could not {action} `{path}`: {reason or kind.value}")
