"""HTTP over `wasi:http`, for plugins that want it: nothing else of this package imports it."""

from __future__ import annotations

from urllib.parse import urlsplit

from componentize_py_types import Err, Ok
from wit_world.imports import outgoing_handler, streams
from wit_world.imports import wasi_http_types as http

from ..errors import ConfigError, PermanentError, RetryableError
from ..http import BODY_BYTES_MAX, Request, Response
from .convert import case

_PIECE_BYTES = 4096
"""What one blocking write takes, as wasi:io has it."""
_READ_BYTES = 64 * 1024
_NANOSECONDS_PER_MS = 1_000_000

_METHODS = {
    "GET": http.Method_Get,
    "HEAD": http.Method_Head,
    "POST": http.Method_Post,
    "PUT": http.Method_Put,
    "DELETE": http.Method_Delete,
    "OPTIONS": http.Method_Options,
    "PATCH": http.Method_Patch,
}
_REFUSALS = {"HttpRequestDenied", "HttpRequestUriInvalid", "HttpRequestMethodInvalid", "DestinationIpProhibited"}
"""Errors that another try does not help against."""
_CONFIG = "config: "
"""How the host begins the text of an error that only the operator can do something about."""


def send(request: Request) -> Response:
    """Carries out a request."""
    try:
        return _send(request)
    except Err as failure:
        kind = case(failure.value)
        detail = getattr(failure.value, "value", None)
        if isinstance(detail, str) and detail.startswith(_CONFIG):
            raise ConfigError("", f"{request.method} {request.url}: {detail.removeprefix(_CONFIG)}") from None
        error = PermanentError if kind in _REFUSALS else RetryableError
        reason = f"{kind} {detail}" if detail else kind
        raise error(f"{request.method} {request.url}: {reason}") from None


def _send(request: Request) -> Response:
    outgoing = _outgoing(request)
    body = outgoing.body()
    answer = outgoing_handler.handle(outgoing, _options(request.timeout_ms))
    # Only now, because the host takes the body as it goes out.
    with body.write() as stream:
        for start in range(0, len(request.body), _PIECE_BYTES):
            stream.blocking_write_and_flush(request.body[start : start + _PIECE_BYTES])
    http.OutgoingBody.finish(body, None)
    with answer.subscribe() as answered:
        answered.block()
    with _unwrap(answer.get()) as response:
        with response.headers() as fields:
            headers = {name.lower(): value.decode(errors="replace") for name, value in fields.entries()}
        return Response(response.status(), headers, _read_body(response))


def _outgoing(request: Request) -> http.OutgoingRequest:
    address = urlsplit(request.url)
    if address.scheme not in ("http", "https") or not address.netloc:
        raise PermanentError(f"`{request.url}` is no address of HTTP")
    fields = [(name, value.encode()) for name, value in request.headers.items()]
    if request.body:
        fields.append(("content-length", str(len(request.body)).encode()))
    outgoing = http.OutgoingRequest(http.Fields.from_list(fields))
    method = _METHODS.get(request.method.upper())
    outgoing.set_method(method() if method else http.Method_Other(request.method))
    outgoing.set_scheme(http.Scheme_Https() if address.scheme == "https" else http.Scheme_Http())
    outgoing.set_authority(address.netloc)
    outgoing.set_path_with_query((address.path or "/") + (f"?{address.query}" if address.query else ""))
    return outgoing


def _options(timeout_ms: int) -> http.RequestOptions:
    options = http.RequestOptions()
    for limit in (options.set_connect_timeout, options.set_first_byte_timeout, options.set_between_bytes_timeout):
        limit(timeout_ms * _NANOSECONDS_PER_MS)
    return options


def _unwrap(answer: object) -> http.IncomingResponse:
    """The response in what the future gives: an outer result for asking twice, an inner one for the request."""
    while isinstance(answer, Ok):
        answer = answer.value
    if isinstance(answer, Err):
        raise answer
    return answer  # type: ignore[return-value]


def _read_body(response: http.IncomingResponse) -> bytes:
    data = bytearray()
    with response.consume() as body, body.stream() as stream:
        while len(data) <= BODY_BYTES_MAX:
            try:
                data += stream.blocking_read(_READ_BYTES)
            except Err as failure:
                if isinstance(failure.value, streams.StreamError_Closed):
                    return bytes(data)
                raise
    raise PermanentError(f"the answer has more than {BODY_BYTES_MAX} bytes")
