"""What every plugin, and what steps and reporters may call."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from wit_world.imports import log

from ..errors import PermanentError
from ..http import Request, Response
from ..model import Level, Mail
from .failures import imported

# Schedulers have none of these.
with suppress(ImportError):
    from wit_world.imports import key_value, mail, secrets, templates

try:
    from .wasi_http import send as _send
except ImportError:  # The plugin wants no host.
    _send = None


class Operator:
    """What every plugin may call."""

    def write_operator_log(self, level: Level, message: str) -> None:
        log.write(log.Level[level.name], message)


class Services(Operator):
    """What steps and reporters may call."""

    def placeholder(self, secret: str) -> str:
        with imported():
            return secrets.placeholder(secret)

    def hmac_sha256(self, secret: str, data: bytes) -> bytes:
        with imported():
            return secrets.hmac_sha256(secret, data)

    def value(self, key: str) -> bytes | None:
        with imported():
            return key_value.get(key)

    def set_value(self, key: str, value: bytes | None) -> None:
        with imported():
            key_value.set(key, value)

    def compare_and_set(self, key: str, expected: bytes | None, value: bytes | None) -> bool:
        with imported():
            return key_value.compare_and_set(key, expected, value)

    def keys(self, prefix: str) -> list[str]:
        with imported():
            return key_value.keys(prefix)

    def render(self, template: str, values: dict[str, Any]) -> str:
        with imported():
            return templates.render(template, json.dumps(values))

    def send_mail(self, message: Mail, key: str) -> None:
        attachments = [mail.Attachment(one.name, one.content_type, one.data) for one in message.attachments]
        sent = mail.Message(**{**vars(message), "attachments": attachments})
        with imported():
            mail.send(sent, key)

    def http(self, request: Request) -> Response:
        if _send is None:
            raise PermanentError("this plugin asks for no HTTP host: name it in its `wants`")
        return _send(request)
