"""What a set is measured on: the documents of its collection, or those that it brought along."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Protocol

from rag.embed.base import Embedder
from rag.embed.chunk import new_spec
from rag.embed.shelf import ModelShelf
from rag.errors import CollectionError, InputError
from rag.evaluation.runs.configuration import Configuration, cut_for
from rag.evaluation.runs.indexing import Indexed, Reader, index_collection, index_dataset
from rag.evaluation.runs.search import DEPTH
from rag.evaluation.sets.beir import Dataset, read_dataset
from rag.evaluation.sets.targets import Target, judgments, same_document, units
from rag.evaluation.sets.types import QuestionSet
from rag.retrieval.pipeline import Pipeline
from rag.store.base import Index
from rag.types import Chunk, DocumentEntry

NOTHING = "The set {name!r} has nothing to measure: approve its drafts, or label passages that answer."


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its judgments, by the ids that `rank` makes of passages.

    `labels` stands for the question and what is relevant to it; a question may not be answered by the document
    `without`.
    """

    id: str
    text: str
    judgments: Mapping[str, int]
    rank: Callable[[Sequence[Chunk]], list[str]]
    labels: str
    reference: str = ""
    without: str | None = None


class Corpus(Protocol):
    """Documents and the questions about them.

    `digest` stands for the documents, of which there are so many; `gone` counts questions none of whose documents is
    there.
    """

    digest: str
    documents: int
    gone: int
    questions: tuple[Question, ...]
    warnings: tuple[str, ...]

    def open(self, configuration: Configuration, indexed: Indexed) -> tuple[Index, Embedder]:
        """Return an index as a configuration wants it, made if need be, and its embedder."""


class CollectionCorpus:
    """A set about a collection; `apart` has the store for indexes that are made beside the collection's own."""

    warnings: tuple[str, ...] = ()

    def __init__(self, pipeline: Pipeline, apart: Pipeline, labelled: QuestionSet, read: Reader | None) -> None:
        self._pipeline = pipeline
        # Configurations that differ in their chunks share one model.
        self._embedder_named = cache(partial(embedder_named, pipeline=pipeline))
        self._apart = apart
        self._read = read
        self._index = pipeline.store.open(labelled.collection)
        self._entries = self._index.documents()
        self._collection = labelled.collection
        self.digest = corpus_digest(self._entries)
        self.documents = len(self._entries)
        self.questions = tuple(
            Question(
                id=str(one.id),
                text=one.question,
                judgments=judgments(one.targets),
                rank=_ranker(one.targets),
                labels=labels_of(one.question, judgments(one.targets)),
                reference=one.reference,
            )
            for one in labelled.measurable
        )
        self.gone = sum(not self._holds(one.targets) for one in labelled.measurable)
        if not self.questions:
            raise InputError(NOTHING.format(name=labelled.name))

    def open(self, configuration: Configuration, indexed: Indexed) -> tuple[Index, Embedder]:
        """Return the collection's own index where it is what is wanted, else one beside it."""
        base = self._index.spec
        if configuration.embedder:
            embedder = self._embedder_named(configuration.embedder)
        else:
            embedder = self._pipeline.shelf.embedder_of(base)
        spec = cut_for(base, embedder, configuration)
        if spec == base:
            return self._index, embedder
        if self._read is None:
            raise CollectionError(
                "Other chunks or another embedder need the stored files, which only the page reads: measure them on "
                "the Scorecard page."
            )
        index = index_collection(
            self._collection,
            self._entries,
            spec,
            embedder=embedder,
            pipeline=self._apart,
            read=self._read,
            indexed=indexed,
        )
        return index, embedder

    def _holds(self, targets: Sequence[Target]) -> bool:
        return any(same_document(target, entry.id, entry.name) for target in targets for entry in self._entries)


class DatasetCorpus:
    """A set with a corpus of its own, in BEIR layout, indexed in the store of `apart`.

    The labels are those of its files; questions that were taken out of the set are not measured.
    """

    gone = 0

    def __init__(self, pipeline: Pipeline, apart: Pipeline, labelled: QuestionSet, dataset: Dataset) -> None:
        kept = {_plain(one.question) for one in labelled.measurable}
        self._pipeline = pipeline
        # Configurations that differ in their chunks share one model.
        self._embedder_named = cache(partial(embedder_named, pipeline=pipeline))
        self._apart = apart
        self._dataset = dataset
        self.digest = dataset.digest
        self.documents = dataset.documents
        self.warnings = dataset.warnings
        self.questions = tuple(
            Question(
                id=identity,
                text=text,
                judgments=dataset.judgments[identity],
                rank=_documents,
                labels=labels_of(text, dataset.judgments[identity]),
                without=identity if identity in dataset.own else None,
            )
            for identity, text in dataset.questions.items()
            if _plain(text) in kept
        )
        if not self.questions:
            raise InputError(NOTHING.format(name=labelled.name))

    def open(self, configuration: Configuration, indexed: Indexed) -> tuple[Index, Embedder]:
        """Return the corpus's index, cut as a new collection is unless the configuration says otherwise."""
        if configuration.embedder:
            embedder = self._embedder_named(configuration.embedder)
        else:
            embedder = self._pipeline.shelf.embedder_for_new_collection()
        spec = cut_for(new_spec("", embedder), embedder, configuration)
        index = index_dataset(self._dataset, embedder, self._apart, lambda sentence: None, spec=spec, indexed=indexed)
        return index, embedder


def corpus_of(pipeline: Pipeline, apart: Pipeline, labelled: QuestionSet, read: Reader | None) -> Corpus:
    """Return what a set is measured on; raises InputError or CollectionError when it cannot be."""
    if labelled.folder is not None:
        return DatasetCorpus(pipeline, apart, labelled, read_dataset(labelled.folder))
    return CollectionCorpus(pipeline, apart, labelled, read)


def corpus_digest(entries: Sequence[DocumentEntry]) -> str:
    """Return the hash that stands for documents: the same one for the same contents, whatever they are called."""
    return hashlib.sha256("\n".join(sorted(entry.id for entry in entries)).encode()).hexdigest()


def labels_of(question: str, graded: Mapping[str, int]) -> str:
    """Return the hash that stands for a question and what is relevant to it."""
    parts = [question, *(f"{identity} {grade}" for identity, grade in sorted(graded.items()))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def embedder_named(choice: str, pipeline: Pipeline) -> Embedder:
    """Return the embedder that EMBED_MODEL would stand for; raises ModelError when it cannot be had."""
    if choice == "bundled":
        return pipeline.shelf.bundled()
    return ModelShelf(replace(pipeline.settings, embed_model=choice)).embedder_for_new_collection()


def _ranker(targets: Sequence[Target]) -> Callable[[Sequence[Chunk]], list[str]]:
    return lambda chunks: units(chunks, targets)[:DEPTH]


def _documents(chunks: Sequence[Chunk]) -> list[str]:
    return list(dict.fromkeys(chunk.document for chunk in chunks))[:DEPTH]


def _plain(question: str) -> str:
    return " ".join(question.split())
