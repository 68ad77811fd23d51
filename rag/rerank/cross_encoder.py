"""Cross-encoders: a model reads the question and a passage together."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rag.errors import ModelError, RerankError
from rag.identity import RerankerIdentity
from rag.language.message import NOTHING, Message, joined, message
from rag.models.batching import TOKENS_PER_BATCH, run_in_micro_batches
from rag.models.files import ModelFiles
from rag.models.transformer import Transformer, failure_of
from rag.rerank.base import Deadline, Scored, left_out_for_time, reaches
from rag.rerank.cache import ScoreCache
from rag.rerank.pace import Pace
from rag.types import Hit, RankedHit, RerankScore

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

SPECIAL_TOKENS = 4
"""Marks around a pair: [CLS] and two [SEP] for BERT, four marks for XLM-RoBERTa."""

UNSUPPORTED_BELOW = 0.02
"""Relevance under which a passage does not answer; cross-encoders put unrelated pairs far below it."""

WARM_UP_WORDS = 150
"""The length of the passages that a fresh model is timed with: near that of a chunk."""

WAVE = 4
"""Batches for each worker between two looks at the budget."""

ACCELERATOR_WAVE = 64
"""Passages between two looks at the budget on an accelerator."""

ACCELERATOR_TOKENS = 16_384
"""Padded tokens in one run on an accelerator, which wants large batches, unlike a processor core."""


class CrossEncoderReranker:
    """Runs a cross-encoder from its ONNX file; loads it once, on first use, from any thread."""

    weak_below = 0.3
    keeps_scores = True

    def __init__(self, files: ModelFiles, threads: int = 0, provider: str = "cpu", *, int8: bool = False) -> None:
        self.files = files
        self.identity = RerankerIdentity("model", files.name, int8=int8)
        self._model = Transformer(files, provider)
        self._on_processor = provider == "cpu"
        self._workers = (threads or os.cpu_count() or 1) if self._on_processor else 1
        self._cache = ScoreCache()
        self._pace = Pace()

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's own tokenizer without truncation."""
        return self._model.tokenizer

    def warm_up(self) -> None:
        """Load the model, and time it on passages of a chunk's length so that a prediction can be made."""
        passage = " ".join(["passage"] * WARM_UP_WORDS)
        asked, _ = self._fitted("warm up")
        self._score(asked, [f"{number} {passage}" for number in range(2 * self._workers)], Deadline(math.inf))

    def score(self, question: str, hits: Sequence[Hit], deadline: Deadline) -> Scored:
        """Return the logit as `order` and its sigmoid as `relevance`.

        With a budget, passages are scored in the order of `hits` for as long as they fit into it.
        """
        asked, whole = self._fitted(question)
        logits = self._cached(question, asked, [hit.chunk.passage for hit in hits], deadline)
        left = logits.count(None)
        scores = tuple(None if logit is None else RerankScore(logit, sigmoid(logit)) for logit in logits)
        left_out = left_out_for_time(left, len(hits), deadline)
        return Scored(scores, note=joined(_cut_short(len(asked.ids), whole), left_out))

    def relevance(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return the sigmoid of each text's logit."""
        asked, _ = self._fitted(question)
        logits = self._cached(question, asked, texts, Deadline(math.inf))
        return [sigmoid(logit) for logit in logits if logit is not None]

    def supports(self, question: str, kept: Sequence[RankedHit]) -> bool:
        """Tell whether any kept passage's relevance reaches UNSUPPORTED_BELOW."""
        return reaches(kept, UNSUPPORTED_BELOW)

    def predicted_ms(self, passages: int) -> float | None:
        """Return about how long so many passages take, by what was measured since the model was loaded."""
        return self._pace.predicted_ms(passages)

    def windows(self, question: str, passage: str) -> list[str]:
        """Return the passage, or, where it does not fit beside the question, windows that overlap by a quarter."""
        asked, encoded = self._model.encode([question, passage])
        return _windows(passage, encoded, self._room(asked)) or [passage]

    def _cached(
        self, question: str, asked: Encoding, passages: Sequence[str], deadline: Deadline
    ) -> list[float | None]:
        known: list[float | None] = [None] * len(passages)
        if not deadline.anew:
            known = self._cache.get_many(question, passages)
        missing = list(dict.fromkeys(text for text, logit in zip(passages, known, strict=True) if logit is None))
        if missing:
            fresh = self._score(asked, missing, deadline, known=len(passages) - known.count(None))
            self._cache.put_many(question, fresh)
            known = [fresh.get(text) if logit is None else logit for text, logit in zip(passages, known, strict=True)]
        return known

    def _score(self, asked: Encoding, passages: Sequence[str], deadline: Deadline, known: int = 0) -> dict[str, float]:
        """Return the logit of each passage that fits into the budget, by its text; `known` others need no time."""
        if self._model.load():
            deadline.begin_again()
        pairs = self._pairs(asked, passages, deadline)
        logits: list[float] = []
        while len(logits) < len(pairs):
            fitting = self._fitting(pairs[len(logits) :], deadline)
            if known + len(logits) + fitting < min(2, known + len(pairs)):
                raise RerankError(self._too_small(deadline))
            if not fitting:
                break
            logits += self._run_wave(pairs[len(logits) : len(logits) + fitting], len(logits), len(pairs), deadline)
        return dict(zip(passages, logits, strict=False))

    def _pairs(self, asked: Encoding, passages: Sequence[str], deadline: Deadline) -> list[list[Encoding]]:
        """Return each passage beside the question, in as many windows as it needs."""
        room, pairs = self._room(asked), []
        for passage, encoded in zip(passages, self._model.encode(passages), strict=True):
            deadline.check(0, len(passages))
            windows = self._model.encode(_windows(passage, encoded, room)) or [encoded]
            pairs.append([self._model.pair(asked, window) for window in windows])
        return pairs

    def _fitted(self, question: str) -> tuple[Encoding, int]:
        """Return the tokens of a question, of which half of the model's input is read at most, and how many it has."""
        most = (self.files.max_tokens - SPECIAL_TOKENS) // 2
        (asked,) = self._model.encode([question])
        whole, cut = len(asked.ids), most
        # The text is cut and not the encoding: what that leaves over would be paired with every passage.
        while len(asked.ids) > most and cut:
            (asked,) = self._model.encode([question[: asked.offsets[cut - 1][1]]])
            cut -= 1  # a text that is cut within a word may have more tokens than before
        return asked, whole

    def _fitting(self, pairs: list[list[Encoding]], deadline: Deadline) -> int:
        """Return how many of the next passages to score before the budget is looked at again."""
        if math.isinf(deadline.budget):
            return len(pairs)
        fitting, tokens = 0, 0
        for windows in pairs[: WAVE * self._workers if self._on_processor else ACCELERATOR_WAVE]:
            tokens += _tokens(windows)
            if deadline.spent + (self._pace.seconds(tokens) or 0.0) > deadline.budget:
                break
            fitting += 1
        return fitting

    def _too_small(self, deadline: Deadline) -> Message:
        left = max(deadline.budget - deadline.spent, 0.0) * 1000
        two = self.predicted_ms(2)
        budget = deadline.budget * 1000
        if two is None:
            return message(
                "{left:,.0f} ms are left of the budget of {budget:,.0f} ms: allow it more time (RERANK_BUDGET_MS), "
                "or choose a smaller reranker",
                left=left,
                budget=budget,
            )
        return message(
            "{left:,.0f} ms are left of the budget of {budget:,.0f} ms, and two passages take about {needed:,.0f} ms "
            "here: allow it more time (RERANK_BUDGET_MS), or choose a smaller reranker",
            left=left,
            budget=budget,
            needed=two,
        )

    def _run_wave(self, wave: list[list[Encoding]], done: int, total: int, deadline: Deadline) -> list[float]:
        """Return the best logit of each passage's windows."""
        encodings = [window for windows in wave for window in windows]
        owners = [owner for owner, windows in enumerate(wave) for _ in windows]
        seconds: list[float] = []

        def run(batch: list[Encoding]) -> list[float]:
            started = time.perf_counter()
            logits = self._run(batch)
            seconds.append(time.perf_counter() - started)
            return logits

        try:
            scores = run_in_micro_batches(
                encodings,
                [len(encoding.ids) for encoding in encodings],
                run,
                tokens=self._tokens_per_batch,
                workers=self._workers,
                after_batch=lambda scored: deadline.check(done + scored * len(wave) // len(encodings), total),
            )
        except (RerankError, ModelError, MemoryError):
            raise
        except Exception as error:  # onnxruntime has no public base class of its errors
            raise RerankError(failure_of(error)) from error
        # Without the time in which the workers served somebody else.
        self._pace.observe(len(wave), sum(_tokens(windows) for windows in wave), sum(seconds) / self._workers)
        best = [-math.inf] * len(wave)
        for owner, score in zip(owners, scores, strict=True):
            if not math.isfinite(score):
                raise RerankError("the model returned a score that is not a number")
            best[owner] = max(best[owner], score)
        return best

    def _run(self, encodings: list[Encoding]) -> list[float]:
        output = self._model.run(encodings)
        if output.shape not in ((len(encodings),), (len(encodings), 1)):
            shape = " x ".join(str(size) for size in output.shape) or "1"
            raise RerankError(
                "the model in {folder} is not a cross-encoder: for a batch of {size} it gave {shape} numbers, "
                "not one score a passage. Set RERANK_MODEL to a cross-encoder",
                folder=self.files.folder,
                size=len(encodings),
                shape=shape,
            )
        return [float(score) for score in output.reshape(-1)]

    @property
    def _tokens_per_batch(self) -> int:
        if self._model.quantised:
            return 1
        return TOKENS_PER_BATCH if self._on_processor else ACCELERATOR_TOKENS

    def _room(self, asked: Encoding) -> int:
        """Tokens left for the passage; a question takes half of the input at most."""
        limit = self.files.max_tokens - SPECIAL_TOKENS
        return limit - min(len(asked.ids), limit // 2)


def sigmoid(logit: float) -> float:
    """Return 1 / (1 + exp(-logit)) without overflow."""
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    return math.exp(logit) / (1 + math.exp(logit))


def _windows(passage: str, encoded: Encoding, room: int) -> list[str]:
    """Return windows of `room` tokens that overlap by a quarter, [] for a passage that fits."""
    offsets = encoded.offsets
    if len(offsets) <= room:
        return []
    starts = range(0, max(1, len(offsets) - room // 4), room - room // 4)
    return [passage[offsets[start][0] : offsets[min(start + room, len(offsets)) - 1][1]] for start in starts]


def _tokens(windows: Sequence[Encoding]) -> int:
    return sum(len(window.ids) for window in windows)


def _cut_short(read: int, whole: int) -> Message:
    if read == whole:
        return NOTHING
    return message("The reranker read the first {read} of the question's {whole:,} tokens.", read=read, whole=whole)
