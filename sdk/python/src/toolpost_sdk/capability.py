"""What only the operator can allow, in the plugin's section of the configuration."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HttpHost:
    """HTTP requests to this host (`chat.example.org` or `chat.example.org:8443`).

    `*`: to hosts that only the operator knows, because they are parameters.
    """

    name: str


@dataclass(frozen=True)
class Secret:
    """The secret of this name. `*`: secrets that only the operator knows."""

    name: str


@dataclass(frozen=True)
class Environment:
    """This variable of the master's environment."""

    name: str


@dataclass(frozen=True)
class Storage:
    """Values that outlive a call."""


@dataclass(frozen=True)
class MailServer:
    """Mail through the master's server."""


@dataclass(frozen=True)
class Trigger:
    """Builds of this builder. `*`: of builders that only the operator knows, because they are parameters."""

    builder: str


@dataclass(frozen=True)
class KeptArtifacts:
    """Reading what builds of this builder have kept, when it is not the builder of the step.

    `*`: of builders that only the operator knows, because they are parameters.
    """

    builder: str


Capability = HttpHost | Secret | Environment | Storage | MailServer | Trigger | KeptArtifacts
"""Something that only the operator can allow."""
