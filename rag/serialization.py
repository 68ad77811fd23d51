"""Values as JSON and back, validated: what any release has kept is read by this one, or refused with a sentence.

Fields that an earlier release did not keep have their defaults, and those of a later one are left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from rag.errors import UnavailableError
from rag.language.message import Message, verbatim

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Value = TypeVar("Value")


def to_json(value: object) -> str:
    """Write a value, or JSON values, as JSON; what is no finite number is NaN or Infinity, as Python's own has it."""
    from pydantic_core import to_json

    return to_json(value, inf_nan_mode="constants").decode()


def to_record(value: object) -> Any:
    """Return a value as JSON values: objects, lists, texts, numbers."""
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(value, inf_nan_mode="constants")


def from_json(kind: type[Value], text: str | bytes) -> Value:
    """Read what `to_json` wrote of a kind of value; raises UnavailableError where it is damaged."""
    return _read(kind, _adapter(kind).validate_json, text)


def from_record(kind: type[Value], record: object) -> Value:
    """Read what `to_record` returned of a kind of value; raises UnavailableError where it is damaged."""
    return _read(kind, _adapter(kind).validate_python, record)


def record_from_json(text: str) -> Any:
    """Read JSON values as they are, without pydantic, whose import takes a while; raises UnavailableError."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise damaged("JSON", str(error)) from error


def to_column(said: Message) -> str:
    """Write a message for a column of text, "" for nothing; without pydantic, since every start writes some."""
    return json.dumps(asdict(said), ensure_ascii=False) if said else ""


def from_column(text: str) -> Message:
    """Read what `to_column` wrote, or what earlier releases kept: a sentence as it stood."""
    return from_json(Message, text) if text.startswith('{"id":') else verbatim(text)


def _make_adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


_adapter: Callable[[Any], TypeAdapter[Any]] = cache(_make_adapter)


def _read(kind: type[Value], validate: Callable[[Any], Value], given: object) -> Value:
    from pydantic import ValidationError

    try:
        return validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise damaged(".".join(map(str, (kind.__name__, *first["loc"]))), first["msg"]) from error


def damaged(what: str, reason: str) -> UnavailableError:
    """Return the error for something that was kept and cannot be what was written."""
    return UnavailableError(
        "What was kept here is damaged ({what}: {reason}): delete it, or restore the data folder from a copy of it.",
        what=what,
        reason=reason,
    )
