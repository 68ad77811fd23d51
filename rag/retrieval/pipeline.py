"""The composition root of the question side: recall, fuse, rerank, cut, answer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from rag.answer.writer import AnswerStream, answer
from rag.config import Settings
from rag.embed.shelf import ModelShelf
from rag.embed.sparse import Bm25Encoder
from rag.errors import CancelledError, InputError, ModelError, ResiftError, SettingError
from rag.identity import NO_RERANKER, RerankerIdentity
from rag.language.message import Message, message
from rag.llm.base import ChatModel
from rag.llm.client import make_chat
from rag.models.download import DownloadProgress
from rag.models.preparation import Preparations
from rag.rerank.agreement import COMPARED
from rag.rerank.attempt import attempt, deadline_of
from rag.rerank.base import Deadline, Reranker, rank
from rag.rerank.late_interaction import LateInteractionReranker
from rag.rerank.readiness import Readiness
from rag.rerank.shelf import Rerankers
from rag.retrieval.recall import Recalled, recall
from rag.retrieval.rewrite import rewrite
from rag.store import open_store
from rag.store.base import Index, VectorStore
from rag.text.encodable import encodable
from rag.text.sentences import split_sentences
from rag.timing import Stopwatch
from rag.tokens.store import TOKENS_FILE, TokenStore
from rag.types import EVERYTHING, Filter, Hit, RankedHit, RerankReport, Retrieval, SearchOptions, Stage, Turn

MAX_QUESTION_CHARACTERS = 10_000
SAMPLES = 5
"""Questions on which int8 is compared with fp32, with their candidates."""
MAX_SAMPLE_CHARACTERS = 200
log = logging.getLogger(__name__)


class Pipeline:
    """Answers questions about collections; every method may be called from any thread."""

    def __init__(
        self,
        *,
        settings: Settings,
        store: VectorStore,
        shelf: ModelShelf,
        readiness: Readiness,
        words: Bm25Encoder,
        chat: ChatModel | None,
    ) -> None:
        self.settings = settings
        self.store = store
        self.shelf = shelf
        self.readiness = readiness
        self.rerankers = readiness.rerankers
        self.words = words
        self.chat = chat

    @property
    def writer(self) -> str:
        """The name of the language model that answers, "" where sentences are quoted."""
        return self.chat.name if self.chat is not None else ""

    def retrieve(
        self,
        question: str,
        options: SearchOptions,
        *,
        while_fetching: DownloadProgress = lambda done, total: None,
        after_recall: Callable[[tuple[Hit, ...]], None] = lambda hits: None,
    ) -> Retrieval:
        """Find the passages that answer a question.

        `while_fetching` is told how far the download of a missing embedder is, `after_recall` the hits before they
        are reranked. Raises InputError for a question that cannot be asked, CollectionError for a collection that
        cannot be opened. A reranker that is unknown or incomplete leaves the fused order, and the report says why.
        """
        question = _checked(question)
        index = self.store.open_collection(options.collection)
        recalled = self._recall(index, question, options, while_fetching)
        after_recall(recalled.hits)
        fused = Retrieval(
            question=question,
            collection=options.collection,
            hits=recalled.hits,
            ranked=(),
            reranker=RerankReport(NO_RERANKER, "off"),
            supported=False,
            timings=recalled.timings,
            warnings=(*_nothing_found(index, options.filter, recalled.hits), *recalled.warnings),
        )
        retrieval = self.rerank(fused, options.reranker, options.top)
        if self.readiness.awaits_samples and len(recalled.hits) >= COMPARED:
            self.make_ready()
        return retrieval

    def rerank(
        self, retrieval: Retrieval, choice: str | None = None, top: int | None = None, *, anew: bool = False
    ) -> Retrieval:
        """Return the same candidates in the order of a reranker (what RERANK_MODEL takes), the best `top` kept.

        Arguments left out come from the settings; `anew` uses no scores of earlier runs, so that the time is a whole
        run's. A reranker that is unknown, incomplete or fails leaves the fused order, and the report says why.
        """
        question, hits = retrieval.question, retrieval.hits
        chosen, report = self._reranker(choice, len(hits))
        watch = Stopwatch()
        with watch.stage(Stage.RERANK):
            deadline = deadline_of(self.settings, anew=anew)
            ranked, report = self._order(retrieval, chosen, report, deadline, top or self.settings.rerank_top)
        kept = [hit for hit in ranked if hit.kept]
        scored = any(hit.score is not None for hit in kept)
        judge = chosen if chosen is not None and scored else self.rerankers.late_interaction
        with watch.stage(Stage.CHECK_SUPPORT):
            supported = bool(kept) and judge.supports(question, kept)
        return replace(
            retrieval,
            ranked=ranked,
            reranker=report,
            supported=supported,
            timings=(
                *(one for one in retrieval.timings if one.stage not in (Stage.RERANK, Stage.CHECK_SUPPORT)),
                *watch.timings,
            ),
            warnings=(*(one for one in retrieval.warnings if not _is_weak(one)), *_weak_evidence(kept, judge)),
        )

    def condense(
        self, question: str, history: Sequence[Turn], while_waiting: Callable[[], None] = lambda: None
    ) -> tuple[str, tuple[Message, ...]]:
        """Rewrite a follow-up so that it can be searched for on its own; it stays as it is, with why, if that fails.

        `while_waiting` is called several times a second until then, and may raise to stop.
        """
        turns = self._recent(history)
        if self.chat is None or not turns:
            return question, ()
        return rewrite(self.chat, question, turns, while_waiting)

    def answer(self, retrieval: Retrieval, history: Sequence[Turn] = (), *, quote: bool = False) -> AnswerStream:
        """Answer from what was found: by the language model if there is one and not to `quote`, else by sentences."""
        judge = self.rerankers.judge(retrieval.reranker)
        return answer(retrieval, None if quote else self.chat, judge.relevance, self._recent(history))

    def make_ready(self, *, again: bool = False) -> None:
        """Make the wanted reranker ready in the background: fetched, loaded, timed, and in the best precision."""
        self.readiness.make_ready(self._samples, again=again)

    def _samples(self) -> list[tuple[str, tuple[Hit, ...]]]:
        """Return sentences out of a collection's documents as questions, with what is recalled for them."""
        samples: list[tuple[str, tuple[Hit, ...]]] = []
        for name in self.store.names():
            try:
                samples = self._samples_of(self.store.open_collection(name))
            except ResiftError as error:
                log.info("Nothing can be compared on the collection %s: %s", name, error)
            if len(samples) == SAMPLES and all(len(hits) >= COMPARED for _, hits in samples):
                break
        return samples

    def _samples_of(self, index: Index) -> list[tuple[str, tuple[Hit, ...]]]:
        entries = index.documents()
        spread = entries[:: max(1, len(entries) // SAMPLES)][:SAMPLES]
        chunks = [chunk for entry in spread for chunk in index.chunks(entry.id)]
        questions = (
            max(split_sentences(chunk.text), key=len, default="")[:MAX_SAMPLE_CHARACTERS]
            for chunk in chunks[:: max(1, len(chunks) // SAMPLES)]
        )
        options = SearchOptions(index.spec.name)
        return [
            (question, self._recall(index, question, options, _only_what_is_here).hits)
            for question in islice(filter(None, questions), SAMPLES)
        ]

    def _recall(
        self, index: Index, question: str, options: SearchOptions, while_fetching: DownloadProgress
    ) -> Recalled:
        return recall(
            question,
            replace(options, candidates=options.candidates or self.settings.rerank_candidates),
            index,
            self.shelf.embedder_of(index.spec, while_fetching),
            self.words,
            limit=self.settings.recall_limit,
        )

    def _recent(self, history: Sequence[Turn]) -> Sequence[Turn]:
        return history[-self.settings.history_turns :] if self.settings.history_turns else ()

    def close(self) -> None:
        """Stop background work, and release the store and the file of token vectors."""
        self.readiness.close()
        self.rerankers.late_interaction.tokens.store.close()
        self.store.close()

    def _reranker(self, choice: str | None, candidates: int) -> tuple[Reranker | None, RerankReport]:
        try:
            return self.rerankers.reranker(choice, candidates)
        except (ModelError, SettingError) as error:
            log.warning("Nothing reranks: %s", error)
            asked_for = RerankerIdentity.parse(choice or self.settings.rerank_model)
            return None, RerankReport(asked_for, "fallback", error.message)

    @staticmethod
    def _order(
        retrieval: Retrieval, reranker: Reranker | None, report: RerankReport, deadline: Deadline, top: int
    ) -> tuple[tuple[RankedHit, ...], RerankReport]:
        hits = retrieval.hits
        if reranker is None or not hits:
            return rank(hits, None, top), report
        outcome = attempt(reranker, retrieval.question, hits, deadline, top)
        if outcome.scored is not None:
            return outcome.ranked, replace(report, reason=outcome.scored.note)
        log.warning("Reranking with %s did not run: %s", reranker.identity, outcome.failure)
        return outcome.ranked, replace(report, state="fallback", reason=outcome.failure)


def _checked(question: str) -> str:
    """Return a question as it can be searched for; raises InputError for an empty or very long one."""
    question = encodable(question).strip()
    if not question:
        raise InputError("The question is empty: write what you want to know.")
    if len(question) > MAX_QUESTION_CHARACTERS:
        raise InputError(
            "The question has {length:,} characters, and {most:,} are allowed: ask for one thing at a time, "
            "and upload long texts as documents.",
            length=len(question),
            most=MAX_QUESTION_CHARACTERS,
        )
    return question


def _only_what_is_here(done: int, total: int) -> None:
    """Stand for the progress of a download that is not wanted."""
    raise CancelledError("The embedder is not on this machine.")


def open_pipeline(settings: Settings) -> Pipeline:
    """Wire the question side together; nothing heavy is loaded before it is used."""
    words = Bm25Encoder()
    chat = make_chat(settings)
    shelf = ModelShelf(settings)
    tokens = TokenStore(settings.data_dir / TOKENS_FILE)
    preparations = Preparations()
    late_interaction = LateInteractionReranker(shelf.bundled(), words, tokens)
    rerankers = Rerankers(settings, late_interaction, tokens, preparations, chat)
    return Pipeline(
        settings=settings,
        store=open_store(settings),
        shelf=shelf,
        readiness=Readiness(settings, rerankers, preparations),
        words=words,
        chat=chat,
    )


def _nothing_found(index: Index, within: Filter, hits: Sequence[Hit]) -> Iterator[Message]:
    if hits:
        return
    name, documents = index.spec.name, len(index.documents())
    if within == EVERYTHING or not documents:
        yield message("The collection {name!r} has nothing to search: add documents on the Library page.", name=name)
        return
    yield message(
        "The search was limited, and nothing in the {number:,} document of {name!r} is what it was limited to: search "
        "all documents.",
        "The search was limited, and nothing in the {number:,} documents of {name!r} is what it was limited to: search "
        "all documents.",
        number=documents,
        name=name,
    )


def _weak_evidence(kept: Sequence[RankedHit], judge: Reranker) -> Iterator[Message]:
    best = max((hit.score.relevance for hit in kept if hit.score), default=None)
    if best is not None and best < judge.weak_below:
        yield _weak(best)


def _weak(relevance: float) -> Message:
    return message("The evidence is weak: the best passage has a relevance of {relevance:.2f}.", relevance=relevance)


def _is_weak(warning: Message) -> bool:
    return warning.id == _weak(0.0).id
