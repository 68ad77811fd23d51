"""Ask a language model for a short reply that is read as a whole, with an eye on whoever waits for it."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, Queue
from typing import Any

from rag.errors import UnavailableError
from rag.llm.base import ChatMessage, ChatModel, Limits, Piece, Transcript

POLL_SECONDS = 0.2

STRING = r'"(?:[^"\\]++|\\.)*+"'
FLAT = rf'(?:[^{{}}"\\]++|{STRING})*+'
OBJECT = re.compile(rf"\{{(?:{FLAT}\{{{FLAT}\}})*+{FLAT}\}}")
"""What may be a JSON object, which holds objects but none in those: however a reply nests, it is read a few times only.
"""


def ask(
    chat: ChatModel,
    messages: Sequence[ChatMessage],
    limits: Limits,
    while_waiting: Callable[[], None] = lambda: None,
) -> str:
    """Return the text of a reply, without what was thought aloud.

    `while_waiting` is called several times a second, and may raise to stop: the model stops with the next thing that it
    sends. Raises UnavailableError when the reply is not whole within the limits, or when the model fails.
    """
    arrived: Queue[Piece | Exception | None] = Queue()
    left = threading.Event()

    def read() -> None:
        try:
            for piece in chat.stream(messages, lambda: not left.is_set()):
                arrived.put(piece)
            arrived.put(None)
        except Exception as error:
            arrived.put(error)

    threading.Thread(target=read, daemon=True, name="language-model").start()
    try:
        return _collected(arrived, chat.name, limits, while_waiting)
    finally:
        left.set()


def json_objects(reply: str, key: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects that have a key, whatever stands around them in a reply.

    They may hold objects, which hold none.
    """
    at = 0
    while found := OBJECT.search(reply, at):
        record = _object(found[0])
        if key in record:
            yield record
        at = found.end() if key in record else found.start() + 1


def _object(text: str) -> dict[str, Any]:
    """Return a JSON object, empty where it is none."""
    try:
        record: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return record


def _collected(
    arrived: Queue[Piece | Exception | None], name: str, limits: Limits, while_waiting: Callable[[], None]
) -> str:
    transcript, characters = Transcript(), 0
    deadline = time.monotonic() + limits.seconds
    while time.monotonic() < deadline:
        while_waiting()
        try:
            piece = arrived.get(timeout=POLL_SECONDS)
        except Empty:
            continue
        if piece is None:
            return transcript.text
        if isinstance(piece, Exception):
            raise piece
        transcript.add(piece)
        characters += len(piece.text)
        if characters > limits.characters:
            raise UnavailableError(
                "{name} wrote more than {most:,} characters where a short reply was asked for: ask again, or set "
                "another language model (LLM_MODEL).",
                name=name,
                most=limits.characters,
            )
    raise UnavailableError(
        "{name} took longer than {seconds:g} s: ask again, or set a quicker language model (LLM_MODEL).",
        name=name,
        seconds=limits.seconds,
    )
