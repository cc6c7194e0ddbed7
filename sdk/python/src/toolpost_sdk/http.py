"""Requests and answers of HTTP, which the host carries out for plugins that are granted the host."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import PermanentError, RetryableError

BODY_BYTES_MAX = 4 * 1024 * 1024
"""The longest answer that is read."""
TIMEOUT_MS = 30_000
"""How long the connection, and each wait for bytes, may take unless the request says otherwise."""

_TOO_MANY_REQUESTS = 429


@dataclass(frozen=True)
class Request:
    """A request."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    timeout_ms: int = TIMEOUT_MS


@dataclass(frozen=True)
class Response:
    """An answer. Names of headers are in lower case."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def is_success(self) -> bool:
        """Whether the status is one of 200 to 299."""
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """The body as text; what is no UTF-8 becomes `\N{REPLACEMENT CHARACTER}`."""
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        """The body as JSON.

        Raises `PermanentError` when it is none.
        """
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise PermanentError(f"the answer is no JSON: {error}") from error

    def raise_for_status(self) -> None:
        """Raises an error unless the status says success: `RetryableError` when trying again may help."""
        if self.is_success:
            return
        kind = RetryableError if self.status >= 500 or self.status == _TOO_MANY_REQUESTS else PermanentError
        raise kind(f"the server answered {self.status}: {self.text:.200}")


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | str = b"",
    value: Any = None,
    timeout_ms: int = TIMEOUT_MS,
) -> Request:
    """Puts a request together; `value` is sent as JSON instead of a `body`."""
    fields = dict(headers or {})
    if value is not None:
        body = json.dumps(value)
        if not any(name.lower() == "content-type" for name in fields):
            fields["content-type"] = "application/json"
    data = body.encode() if isinstance(body, str) else body
    return Request(method, url, fields, data, timeout_ms)
