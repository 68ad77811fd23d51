"""What is said to a person, kept as a value until somebody reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, Union

Value = Union[str, int, float, "Message", tuple["Message", ...]]
"""What stands at a place of a message: data, which is shown as it is, or further messages."""


@dataclass(frozen=True, slots=True)
class Message:
    """A text with `values` at its {places}; `id` is the text in English, by which every catalogue knows it.

    Where it counts things, `id` is the text for one of them, `plural` that for any other number, and `number` among
    the values is how many there are. As a string it is English.
    """

    id: str
    values: Mapping[str, Value] = field(default_factory=dict, hash=False)
    plural: str = ""

    def __str__(self) -> str:
        return self.written({})

    def __bool__(self) -> bool:
        """Tell whether anything is said."""
        return bool(self.id)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Have a string read as a message too: earlier releases kept what they said in words."""
        from pydantic_core.core_schema import no_info_before_validator_function

        # Inside the schema, which is made once: what is around it is not there where the class is referred to.
        schema = handler(source)
        inside = handler.resolve_ref_schema(schema)
        inside["schema"] = no_info_before_validator_function(_fields, inside["schema"])
        return schema

    def written(self, catalogue: Mapping[str, str], space: str = " ") -> str:
        """Put the message into words with a catalogue's translations, of which a plural's is known by its `plural`.

        `space` is what the language has between two sentences. What has no translation is English. A place that asks
        for a {clause:clause} has the message at it without its full stop.
        """
        english = self.plural if self.plural and self.values["number"] != 1 else self.id
        text = catalogue.get(self.plural or self.id, english)
        if not self.values:
            return text
        return text.format(**{name: _written(value, catalogue, space) for name, value in self.values.items()})


NOTHING = Message("")
"""What is said where there is nothing to say."""


def message(text: str, plural: str = "", /, **values: object) -> Message:
    """Make a message; a value that is no number and no message is kept as its string.

    A path is named without what is above it: whoever reads a page need not know how this machine is laid out.
    """
    return Message(text, {name: _kept(value) for name, value in values.items()}, plural)


def joined(*sentences: Message) -> Message:
    """Make one message of several sentences, set one after another; those that say nothing are left out."""
    said = tuple(filter(None, sentences))
    return Message("{sentences}", {"sentences": said}) if len(said) > 1 else next(iter(said), NOTHING)


def verbatim(text: str) -> Message:
    """Make a message of what is in words already, and in no catalogue: a model's error, a record of an old release."""
    return Message("{text}", {"text": text}) if text else NOTHING


def in_english(record: Any) -> Any:
    """Return JSON values whose messages, keys of objects too, are in words: what the shell prints, and files have."""
    match record:
        case Message():
            return str(record)
        case Mapping():
            return {in_english(key): in_english(value) for key, value in record.items()}
        case list() | tuple():
            return [in_english(value) for value in record]
    return record


def _fields(kept: object) -> object:
    if not isinstance(kept, str):
        return kept
    said = verbatim(kept)
    return {"id": said.id, "values": said.values}


def _kept(value: object) -> Value:
    if isinstance(value, (str, int, float, Message)):
        return value
    if isinstance(value, PurePath):
        return named(value)
    return tuple(value) if isinstance(value, (tuple, list)) else str(value)


def named(path: PurePath) -> str:
    """Return a path as people are told of it: from the working folder, or else only its last two names."""
    if not path.is_absolute():
        return str(path)
    here = Path.cwd()
    if path != here and path.is_relative_to(here):
        return str(path.relative_to(here))
    return "/".join(("…", *path.parts[1:][-2:]))


class _Words(str):
    """What stands in words at a place of a message."""

    __slots__ = ()

    def __format__(self, form: str) -> str:
        return self.rstrip(".。 ") if form == "clause" else format(str(self), form)


def _written(value: Value, catalogue: Mapping[str, str], space: str) -> str | int | float:
    match value:
        case Message():
            return _Words(value.written(catalogue, space))
        case tuple():
            return _Words(space.join(one.written(catalogue, space) for one in value))
        case str():
            return _Words(value)
    return value
