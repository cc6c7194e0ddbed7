"""Plain data of the contract that steps, schedulers and reporters share."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any

JSON_TEXT = "json"
"""Marks a field that is JSON text in the contract and a value here."""

JsonObject = Annotated[dict[str, Any], JSON_TEXT]
"""An object of JSON values by name."""


class Level(Enum):
    """How much a line for the operator matters."""

    DEBUG = 0
    """For the author of the plugin."""
    INFO = 1
    """Worth knowing."""
    WARN = 2
    """Something is odd, the work goes on."""
    ERROR = 3
    """The operator should look at it."""


@dataclass(frozen=True)
class SourceStamp:
    """Which sources a build works on, for one codebase."""

    codebase: str = ""
    """The name of the codebase; empty when there is only one."""
    repository: str = ""
    """Where the sources are, as the version control system names it."""
    project: str = ""
    """The project that they belong to; may be empty."""
    branch: str | None = None
    """The branch; `None` is the default one."""
    revision: str | None = None
    """The revision; `None` is the latest."""
    patch: int | None = None
    """The id of the patch that is applied to the revision; `None` without one. Such a build is of what somebody tries, and its
    result says nothing of the revision alone."""


@dataclass(frozen=True)
class Change:
    """What a change source reported."""

    id: int = 1
    """Its number; later ones are larger."""
    author: str = ""
    """Usually `Name <mail>`."""
    comments: str = ""
    """The commit message."""
    files: list[str] = field(default_factory=list)
    """Paths that it touched."""
    branch: str | None = None
    """The branch; `None` is the default one."""
    revision: str | None = None
    """The revision."""
    category: str | None = None
    """Free classification by the change source."""
    repository: str = ""
    """Where it was made."""
    project: str = ""
    """The project that it belongs to; may be empty."""
    codebase: str = ""
    """The codebase that it belongs to; empty when there is only one."""
    revlink: str | None = None
    """A page that shows it."""
    when_ms: int = 0
    """When it was made, in milliseconds since 1970, UTC."""
    properties: JsonObject = field(default_factory=dict)
    """Properties from the change source."""


@dataclass(frozen=True)
class Property:
    """A property of a build."""

    value: Annotated[Any, JSON_TEXT]
    """Any JSON value."""
    source: str
    """Who set it, for people."""


@dataclass(frozen=True)
class BuildData:
    """A named value of a build, for later steps and programs."""

    value: bytes
    source: str
    """Who set it, for people."""


@dataclass(frozen=True)
class BuildInfo:
    """The build that a step belongs to, and its place."""

    id: int
    """The id of the build, unique on the farm."""
    builder: str
    """The name of the builder."""
    number: int
    """The number of the build, counted per builder from 1."""
    url: str
    """The page of the build, for links in messages."""
    worker: str
    """The name of the worker."""
    workdir: str
    """The working directory of the step on the worker, absolute, for use in commands."""
    step: str
    """The name of this step."""
    reason: str
    """Why the build was made, for people."""
    source_stamps: list[SourceStamp]
    """The sources, one stamp for each codebase."""
    buildset: int
    """The id of the build set."""
    request: int
    """The id of the request that it carries out."""
    scheduler: str | None
    """The scheduler that asked for it; `None` when it was triggered, repeated or asked for by a program."""


@dataclass(frozen=True)
class Attachment:
    """A file that comes with a mail."""

    name: str
    content_type: str
    """Such as `text/plain; charset=utf-8`."""
    data: bytes


@dataclass(frozen=True)
class Mail:
    """A mail. At most 100 recipients and 4 MiB; it has `text`, `html` or both."""

    to: list[str]
    """Who gets it: `name@example.org` or `Name <name@example.org>`."""
    subject: str
    """One line."""
    text: str | None = None
    """The text."""
    html: str | None = None
    """The same as HTML."""
    sender: str | None = None
    """Who it is from; `None`: as configured."""
    cc: list[str] = field(default_factory=list)
    """Who gets a copy."""
    bcc: list[str] = field(default_factory=list)
    """Who gets a copy that the others don't see."""
    reply_to: str | None = None
    """Who gets an answer; `None`: the sender."""
    headers: list[tuple[str, str]] = field(default_factory=list)
    """Other headers, such as `List-Id`."""
    attachments: list[Attachment] = field(default_factory=list)
    """Files."""
