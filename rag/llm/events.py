"""Read what a server sends: its events out of the bytes, and out of each event what the model wrote in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

MOST_EVENT_BYTES = 8 * 1024 * 1024
"""Far more than any event holds, also where a whole reply comes in one."""

DONE = b"[DONE]"
STATUS = re.compile("[45][0-9]{2}")
THOUGHTS = ("reasoning_content", "reasoning", "thinking", "reasoning_details")
"""Where servers put what the model thinks; some send the same under two of these names."""

WORDS = ("message", "detail", "msg", "error", "status_msg")
"""Where servers put their own words for people."""

WRAPPED = 6
"""How many values deep they are looked for."""

LISTED = 3
"""How many of a list of faults are told."""


class TooLongError(Exception):
    """An event has no end."""


@dataclass(frozen=True, slots=True)
class Delta:
    """What one event adds: text, thinking, and why the reply ends, "" as long as it does not."""

    text: str = ""
    thinking: str = ""
    finish: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """An error that a server reports in an event, in its own words; `status` is 0 where it gives none."""

    said: str
    code: str = ""
    status: int = 0


def read_events(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the data of each server-sent event, the last one also where no empty line ends it.

    Raises TooLongError for one of more than MOST_EVENT_BYTES.
    """
    data, size = list[bytes](), 0
    for line in _lines(chunks):
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
            size += len(line)
            if size > MOST_EVENT_BYTES:
                raise TooLongError
        elif not line and data:
            yield b"\n".join(data)
            data, size = [], 0
    if data:
        yield b"\n".join(data)


def read_whole(chunks: Iterable[bytes]) -> bytes:
    """Return a body that is no stream; raises TooLongError for one of more than MOST_EVENT_BYTES."""
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > MOST_EVENT_BYTES:
            raise TooLongError
    return bytes(body)


def read_delta(data: bytes) -> Delta | Fault:
    """Return what an event or a whole body adds; servers leave out any field.

    Raises ValueError for what is not JSON.
    """
    try:
        record = json.loads(data)
        if not isinstance(record, dict):
            return Delta()
        return _fault(record) or _delta(record)
    except RecursionError:
        raise ValueError from None


def words_of(said: Any, depth: int = WRAPPED) -> str:
    """Return a server's own words for people, wherever it put them, "" where there are none, as in a page."""
    if isinstance(said, list) and depth:
        return "; ".join(filter(None, (words_of(one, depth - 1) for one in said[:LISTED])))
    if isinstance(said, dict) and depth:
        return next(filter(None, (words_of(said.get(name), depth - 1) for name in WORDS)), "")
    return said if isinstance(said, str) and not said.lstrip().startswith("<") else ""


def fault_of(error: Any) -> Fault:
    """Return an error as a server describes it, in whichever shape."""
    fields = error if isinstance(error, dict) else {}
    codes = [str(fields[name]) for name in ("code", "type", "status") if fields.get(name)]
    status = next((int(code) for code in codes if STATUS.fullmatch(code)), 0)
    return Fault(words_of(error), " ".join(codes), status)


class Joiner:
    """Joins the two halves of a character that came in two pieces, as JSON escapes those beyond 16 bits."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> str:
        """Return the text with what was held back before it, but for a half at its end."""
        text = self._held + text
        self._held = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return _joined(text[:-1] if self._held else text)

    def end(self) -> str:
        """Return what is still held back: a half whose other half never came."""
        held, self._held = self._held, ""
        return held


def _joined(text: str) -> str:
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines without their ends, which may be of any kind, and split over chunks."""
    line, after_return = bytearray(), False
    for chunk in chunks:
        for part in chunk.splitlines(keepends=True):
            if after_return and part == b"\n":
                after_return = False
                continue
            line += part
            if len(line) > MOST_EVENT_BYTES:
                raise TooLongError
            after_return = part.endswith(b"\r")
            if part.endswith((b"\r", b"\n")):
                yield bytes(line.rstrip(b"\r\n"))
                line.clear()
    if line:
        yield bytes(line)


def _fault(record: dict[str, Any]) -> Fault | None:
    """Return the error that an event is, None where it is none."""
    error = record.get("error")
    if not error and not record.get("choices") and words_of(record):
        error = record
    return fault_of(error) if error else None


def _delta(record: dict[str, Any]) -> Delta:
    choices = record.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and choice.get("index") in (0, None):
            break
    else:
        return Delta()
    said = choice.get("delta") or choice.get("message")
    said = said if isinstance(said, dict) else {}
    parts = _parts(said.get("content") or said.get("refusal"))
    thoughts = next(filter(None, (_plain(said.get(name)) for name in THOUGHTS)), "")
    finish = choice.get("finish_reason")
    return Delta(
        text="".join(text for text, thinking in parts if not thinking),
        thinking=thoughts + "".join(text for text, thinking in parts if thinking),
        finish=finish if isinstance(finish, str) else "",
    )


def _parts(content: Any) -> list[tuple[str, bool]]:
    """Return the parts of a content, each with whether it is thinking: one text, or a list of typed parts."""
    if not isinstance(content, list):
        content = [content]
    return [(_plain(part), isinstance(part, dict) and _is_thought(part.get("type"))) for part in content]


def _is_thought(kind: Any) -> bool:
    return isinstance(kind, str) and ("think" in kind or "reason" in kind)


def _plain(value: Any) -> str:
    """Return the text in a part, whatever it is wrapped in."""
    if isinstance(value, list):
        return "".join(map(_plain, value))
    if isinstance(value, dict):
        return next(filter(None, (_plain(value.get(name)) for name in ("text", "content", "summary", *THOUGHTS))), "")
    return value if isinstance(value, str) else ""
