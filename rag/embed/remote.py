"""Embed with a service, asked over HTTP; what differs between services stands in rag/embed/services.py."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rag.access import find_access, require_model
from rag.config import Settings
from rag.embed.client import EmbeddingClient, Request
from rag.embed.services import SERVICES, EmbeddingService
from rag.embed.spending import count_request
from rag.errors import ModelError
from rag.models import catalogue
from rag.models.catalogue import PLAIN, ModelRecord
from rag.text.encodable import encodable

QUESTION_SECONDS = 15.0
"""How long a question waits for its vector at most: somebody sits before it."""

PASSAGE_TRIES = 4

TOKENS = re.compile(r"([A-Za-z]+)|(\d+)|([^\W\d_\u2e80-\uffff]+)|(\S)")
CHARACTERS_A_TOKEN = (4, 2, 2, 1)
"""Of a word in Latin letters, a number, a word of another script with spaces, and anything else: tokenizers of all
kinds make fewer of most texts."""
MARKS = 2


class RemoteEmbedder:
    """Embeds questions and passages with one model of a service, which they are sent to."""

    def __init__(
        self, service: EmbeddingService, model: str, dimensions: int, client: EmbeddingClient, seconds: float
    ) -> None:
        self.name = f"{service.name}:{model}" + (f"#{dimensions}" if dimensions else "")
        record = _record(service, model)
        self.max_tokens = min(service.max_tokens, record.max_tokens) if record else service.max_tokens
        # A service that is told what a text is puts the model's prompt before it by itself.
        self._usage = record.usage if record and not service.question else PLAIN
        self._service = service
        self._client = client
        self._seconds = seconds

    @property
    def dimension(self) -> int:
        """Length of the vectors, as the service gives one now."""
        return len(self.embed_question("dimension"))

    def embed_passages(
        self, texts: Sequence[str], after_batch: Callable[[int], None] = lambda done: None
    ) -> NDArray[np.float32]:
        """Return unit vectors of shape (texts, dimension); `after_batch` is told how many are done and may raise.

        Raises OutageError where the service is away, ModelError where it does not do what it is asked for.
        """
        prompted = [encodable(self._usage.passage + text) for text in texts]
        vectors: list[NDArray[np.float32]] = []
        for batch in self._batches(prompted):
            vectors += self._embed(batch, self._service.passage, self._seconds, PASSAGE_TRIES)
            if len(vectors[-1]) != len(vectors[0]):
                raise self._client.unusable_lengths()
            after_batch(len(vectors))
        return np.stack(vectors) if vectors else np.empty((0, self.dimension), dtype=np.float32)

    def embed_question(self, text: str) -> NDArray[np.float32]:
        """Return the unit vector of a question; raises as `embed_passages` does, and soon."""
        seconds = min(QUESTION_SECONDS, self._seconds)
        return self._embed([encodable(self._usage.question + text)], self._service.question, seconds, 2)[0]

    def count_tokens(self, text: str) -> int:
        """Estimate the number of tokens, rather too high: the service's tokenizer is not known here."""
        return estimate_tokens(text)

    def _embed(
        self, texts: Sequence[str], kind: Mapping[str, str], seconds: float, tries: int
    ) -> list[NDArray[np.float32]]:
        """Return the vectors of a batch; where the service takes less at a time, in halves."""
        answer = self._client.ask(Request(texts, kind, seconds, tries))
        if answer is None:
            half = len(texts) // 2
            parts = (texts[:half], texts[half:])
            return [vector for part in parts for vector in self._embed(part, kind, seconds, tries)]
        vectors, tokens = answer
        count_request(sum(map(estimate_tokens, texts)) if tokens is None else tokens)
        return vectors

    def _batches(self, texts: Sequence[str]) -> Iterator[Sequence[str]]:
        """Yield texts in their order, as many as one request may hold."""
        most_tokens = self._service.most_tokens or math.inf
        start, tokens = 0, 0
        for position, text in enumerate(texts):
            counted = estimate_tokens(text)
            if position > start and (position - start == self._service.most or tokens + counted > most_tokens):
                yield texts[start:position]
                start, tokens = position, 0
            tokens += counted
        if start < len(texts):
            yield texts[start:]


def estimate_tokens(text: str) -> int:
    """Return about how many tokens a text has for a tokenizer that is not known, with the marks that surround it."""
    return MARKS + sum(
        math.ceil(len(match[0]) / CHARACTERS_A_TOKEN[(match.lastindex or 1) - 1]) for match in TOKENS.finditer(text)
    )


def connect(choice: str, settings: Settings, services: Mapping[str, EmbeddingService] = SERVICES) -> RemoteEmbedder:
    """Return the embedder of a choice such as "openai:text-embedding-3-small" or "tei:"; nothing is asked of it yet.

    Raises ModelError for a missing model or a length of vectors that cannot be, SettingError for an address or a key
    that is missing or cannot be used.
    """
    name, _, named_model = choice.partition(":")
    service = services[name.strip().lower()]
    model, mark, length = (part.strip() for part in named_model.partition("#"))
    require_model(choice, service, model)
    if mark and not (length.isascii() and length.isdigit() and 0 < int(length) <= 65_536):
        raise ModelError(
            "{choice!r} asks for vectors of length {length!r}: give a whole number after the #, such as 512.",
            choice=choice,
            length=length,
        )
    if mark and not service.dimensions:
        raise ModelError(
            "{choice!r} asks for shorter vectors, which {name} does not make: leave out the # and what follows it.",
            choice=choice,
            name=service.name,
        )
    configured = settings.embed_model.partition(":")[0].strip().lower()
    access = find_access(service, settings, "embed", configured if configured in services else "")
    dimensions = int(length) if mark else 0
    client = EmbeddingClient(service, model, dimensions, access)
    return RemoteEmbedder(service, model, dimensions, client, settings.embed_timeout)


def near_service(choice: str, services: Mapping[str, EmbeddingService] = SERVICES) -> str:
    """Return the service whose name was probably meant by what stands before a colon, "" for none."""
    word, colon, _ = choice.partition(":")
    near = difflib.get_close_matches(word.strip().lower(), services, n=1, cutoff=0.75) if colon else []
    return near[0] if near else ""


def _record(service: EmbeddingService, model: str) -> ModelRecord | None:
    """Return what the catalogue says of the model that a service serves by a name, with or without a tag after it."""
    bare = model.partition(":")[0]
    record = catalogue.find(service.known_as.get(bare, bare))
    return record if record is not None and record.kind == "embedder" else None
