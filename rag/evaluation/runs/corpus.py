"""What a set is measured on: the documents of its collection, or those that it brought along."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

from rag.embed.base import Embedder
from rag.embed.chunk import new_spec
from rag.embed.providers import find_provider
from rag.embed.shelf import ModelShelf
from rag.errors import CollectionError, InputError
from rag.evaluation.runs.configuration import Configuration, cut_for
from rag.evaluation.runs.indexing import Indexed, Reader, index_collection, index_dataset
from rag.evaluation.runs.progress import Progress, Say
from rag.evaluation.runs.search import DEPTH
from rag.evaluation.sets.beir import Dataset, read_dataset
from rag.evaluation.sets.targets import Target, judgments, same_document, units
from rag.evaluation.sets.types import QuestionSet
from rag.language.message import Message
from rag.models.files import BUNDLED_NAME, named_folder
from rag.retrieval.pipeline import Pipeline
from rag.store.base import Index, content_digest
from rag.types import Chunk

Opener = Callable[[Configuration, Indexed], tuple[Index, Embedder]]
"""Returns an index as a configuration wants it, made if need be, and its embedder."""


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


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents and the questions about them; `collection` is "" where a set brought its documents along.

    `digest` stands for the documents, of which there are so many; `gone` counts questions none of whose documents is
    there.
    """

    name: str
    collection: str
    digest: str
    documents: int
    questions: tuple[Question, ...]
    open: Opener
    gone: int = 0
    warnings: tuple[Message, ...] = ()


def corpus_of(pipeline: Pipeline, labelled: QuestionSet, beside: Pipeline, read: Reader | None) -> Corpus:
    """Return what a set is measured on; raises InputError or CollectionError when it cannot be.

    `beside` has the store for indexes that are made for measuring.
    """
    if labelled.folder is None:
        corpus = collection_corpus(pipeline, labelled, beside, read)
    else:
        wanted = {_on_one_line(one.question) for one in labelled.measurable}
        corpus = dataset_corpus(pipeline, read_dataset(labelled.folder), beside)
        # The labels are those of the files; questions that were taken out of the set are not measured.
        kept = tuple(one for one in corpus.questions if _on_one_line(one.text) in wanted)
        corpus = replace(corpus, name=labelled.name, questions=kept)
    if not corpus.questions:
        raise InputError(
            "The set {name!r} has nothing to measure: approve its drafts, or label passages that answer.",
            name=labelled.name,
        )
    return corpus


def dataset_corpus(pipeline: Pipeline, dataset: Dataset, beside: Pipeline, say: Say = lambda sentence: None) -> Corpus:
    """Return the corpus of a set in BEIR layout, indexed in the store of `beside` as a new collection would be."""
    fetching = Progress(say, "Megabytes of the embedder fetched")

    def fetched(done: int, total: int) -> None:
        fetching.done(done >> 20, total >> 20)

    named = _embedders(pipeline)

    def open_for(configuration: Configuration, indexed: Indexed) -> tuple[Index, Embedder]:
        embedder = named(configuration.embedder) or pipeline.shelf.embedder_for_new_collection(fetched)
        spec = cut_for(new_spec("", embedder), embedder, configuration)
        return index_dataset(dataset, embedder, beside, say, spec=spec, indexed=indexed), embedder

    return Corpus(
        name=dataset.name,
        collection="",
        digest=dataset.digest,
        documents=dataset.documents,
        questions=tuple(
            Question(
                id=identity,
                text=text,
                judgments=dataset.judgments[identity],
                rank=_documents,
                labels=_labels(text, dataset.judgments[identity]),
                without=identity if identity in dataset.own else None,
            )
            for identity, text in dataset.questions.items()
        ),
        open=open_for,
        warnings=dataset.warnings,
    )


def collection_corpus(
    pipeline: Pipeline, labelled: QuestionSet, beside: Pipeline | None = None, read: Reader | None = None
) -> Corpus:
    """Return the documents of a set's collection, measured as they are unless `read` reads them for an index beside."""
    collection = labelled.collection
    own = pipeline.store.open_collection(collection)
    entries = own.documents()
    named = _embedders(pipeline)

    def open_for(configuration: Configuration, indexed: Indexed) -> tuple[Index, Embedder]:
        embedder = named(configuration.embedder) or pipeline.shelf.embedder_of(own.spec)
        spec = cut_for(own.spec, embedder, configuration)
        if spec == own.spec:
            return own, embedder
        if beside is None or read is None:
            raise CollectionError(
                "Other chunks or another embedder need the stored files, which only the page reads: measure them on "
                "the Scorecard page."
            )
        index = index_collection(
            collection, entries, spec, embedder=embedder, pipeline=beside, read=read, indexed=indexed
        )
        return index, embedder

    def is_gone(targets: Sequence[Target]) -> bool:
        return not any(same_document(target, entry.id, entry.name) for target in targets for entry in entries)

    return Corpus(
        name=labelled.name,
        collection=collection,
        digest=content_digest(entries),
        documents=len(entries),
        questions=tuple(
            Question(
                id=str(one.id),
                text=one.question,
                judgments=judgments(one.targets),
                rank=partial(_units, targets=one.targets),
                labels=_labels(one.question, judgments(one.targets)),
                reference=one.reference,
            )
            for one in labelled.measurable
        ),
        open=open_for,
        gone=sum(is_gone(one.targets) for one in labelled.measurable),
    )


def _labels(question: str, graded: Mapping[str, int]) -> str:
    """Return the hash that stands for a question and what is relevant to it."""
    parts = [question, *(f"{identity} {grade}" for identity, grade in sorted(graded.items()))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _embedders(pipeline: Pipeline) -> Callable[[str], Embedder | None]:
    """Return what gives the embedder that EMBED_MODEL would stand for, each loaded once; None for "".

    It raises ModelError for one that cannot be had.
    """

    @cache
    def named(choice: str) -> Embedder | None:
        if choice in ("", "bundled"):
            return pipeline.shelf.bundled() if choice else None
        connect = find_provider(choice)
        if connect is not None:
            # By the settings as they are: the address and the key of EMBED_MODEL are for no other service.
            return pipeline.shelf.provided(choice, connect)
        if choice not in ("auto", BUNDLED_NAME):
            named_folder("embedder", choice, pipeline.settings)  # before it counts as set: it may have been typed
        return ModelShelf(replace(pipeline.settings, embed_model=choice)).embedder_for_new_collection()

    return named


def _units(chunks: Sequence[Chunk], targets: Sequence[Target]) -> list[str]:
    return units(chunks, targets)[:DEPTH]


def _documents(chunks: Sequence[Chunk]) -> list[str]:
    return list(dict.fromkeys(chunk.document for chunk in chunks))[:DEPTH]


def _on_one_line(question: str) -> str:
    return " ".join(question.split())
