"""Carries errors over the border of the component, in both directions."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from componentize_py_types import Err
from wit_world.imports import types

from ..errors import ConfigError, Error, PermanentError, RetryableError
from .convert import case


@contextmanager
def imported() -> Iterator[None]:
    """Raises errors of the host as those of the SDK."""
    try:
        yield
    except Err as failure:
        message = failure.value.value
        match case(failure.value):
            case "Retryable":
                raise RetryableError(message) from None
            case "Config":
                raise ConfigError("", message) from None
            case _:
                raise PermanentError(message) from None


@contextmanager
def exported(tell: Callable[[str], None]) -> Iterator[None]:
    """Raises errors of the SDK as those of the contract. `tell` gets the stack of an error that is a bug."""
    try:
        yield
    except Error as error:
        raise _contract_error(error) from None
    except Exception as error:
        tell(traceback.format_exc())
        raise Err(types.Error_Permanent(f"{type(error).__name__}: {error}")) from None


def _contract_error(error: Error) -> Any:
    match error:
        case RetryableError():
            return Err(types.Error_Retryable(str(error)))
        case ConfigError():
            return Err(types.Error_Config(str(error)))
        case _:
            return Err(types.Error_Permanent(str(error)))
