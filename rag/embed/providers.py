"""The services that embed: EMBED_MODEL=`word:model` chooses the one that the word stands for."""

from __future__ import annotations

from collections.abc import Callable

from rag.config import Settings
from rag.embed.base import Embedder
from rag.embed.remote import connect
from rag.embed.services import SERVICES

Connect = Callable[[str, Settings], Embedder]
"""Makes the embedder of a choice, whose name chooses it too; raises ModelError where a setting is missing."""

PROVIDERS: dict[str, Connect] = dict.fromkeys(SERVICES, connect)
"""Each service by its word. Adding one that speaks as the others is a record of rag/embed/services.py; any other is a
file with its embedder and an entry here.

A choice that begins with none of these words is a model on this machine or at the hub.
"""


def find_provider(choice: str) -> Connect | None:
    """Return the service that a choice, or the name of an embedder, belongs to."""
    word, colon, _ = choice.partition(":")
    return PROVIDERS.get(word.strip().lower()) if colon else None
