"""Judge answers by a language model, through llama-index-core's evaluators."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rag.answer.citations import without_marks
from rag.errors import CancelledError, ResiftError, UnavailableError
from rag.language.message import NOTHING, Message, joined, message
from rag.llm.base import ChatMessage, ChatModel, Limits
from rag.llm.reply import ask
from rag.retrieval.pipeline import Pipeline
from rag.types import Retrieval

if TYPE_CHECKING:
    from llama_index.core.evaluation import BaseEvaluator, EvaluationResult
    from llama_index.core.llms import CustomLLM

REPLY_LIMITS = Limits(characters=50_000, seconds=120.0)
CONTEXT_TOKENS, REPLY_TOKENS = 16_384, 512
"""What the evaluators may fill a request with, and leave for the reply."""

HIGHEST_GRADE = 5
YES_OR_NO = re.compile(r"yes|\bno\b", re.IGNORECASE)

MOST_CALLS = 4
"""An answer is written, and judged for faithfulness, relevancy and, where there is a reference, correctness."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What a language model says of one answer; None stands for what was not judged.

    `faithful`: the passages support it. `relevant`: with them, it fits the question. `correctness` is from 1 to 5,
    against the reference. `calls` is how often the model was asked, `error` why something was not judged.
    """

    answer: str
    faithful: bool | None = None
    relevant: bool | None = None
    correctness: float | None = None
    calls: int = 0
    error: Message = NOTHING


def answer_and_judge(
    retrieval: Retrieval, reference: str, *, pipeline: Pipeline, check: Callable[[], None] = lambda: None
) -> Quality:
    """Have a retrieval's question answered as the chat does, and the answer judged; a failure is kept as a sentence."""
    assert pipeline.chat is not None
    try:
        with closing(pipeline.answer(retrieval)) as stream:
            for _ in stream:
                check()
        written = stream.answer
        answer = without_marks(written)
        asked = 1 if retrieval.supported else 0
        if asked and (written.mode != "llm" or not written.complete):
            return Quality(answer, calls=asked, error=joined(*written.warnings))
        passages = [one.hit.chunk.passage for one in retrieval.kept]
        judged = judge_answer(pipeline.chat, retrieval.question, answer, passages, reference=reference, check=check)
        return replace(judged, calls=judged.calls + asked)
    except CancelledError:
        raise
    except ResiftError as error:
        return Quality("", error=error.message)


def judge_answer(
    chat: ChatModel,
    question: str,
    answer: str,
    passages: Sequence[str],
    *,
    reference: str = "",
    check: Callable[[], None] = lambda: None,
) -> Quality:
    """Judge an answer from its passages; what the model fails at is left out, with the reason.

    `check` is called several times a second and may raise, which ends it. Passages stand in the prompts of the
    evaluators as they are.
    """
    from llama_index.core.evaluation import CorrectnessEvaluator, FaithfulnessEvaluator, RelevancyEvaluator

    asked: list[str] = []
    model = _model(chat, asked, check)
    found: dict[str, Any] = {}
    errors: list[Message] = []
    evaluators: dict[str, Callable[..., BaseEvaluator]] = {
        "faithful": FaithfulnessEvaluator,
        "relevant": RelevancyEvaluator,
    }
    if reference:
        evaluators["correctness"] = CorrectnessEvaluator
    for name, evaluator in evaluators.items():
        try:
            result = asyncio.run(
                evaluator(llm=model).aevaluate(
                    query=question, response=answer, contexts=list(passages), reference=reference
                )
            )
        except UnavailableError as error:
            errors.append(error.message)
            continue
        except ValueError:  # the reply to CorrectnessEvaluator is not a score and a reason on lines of their own
            result = None
        value = None if result is None else _grade(result) if name == "correctness" else _verdict(result)
        if value is None:
            errors.append(message("{name} did not reply with a judgment as it was asked to.", name=chat.name))
        else:
            found[name] = value
    return Quality(answer, calls=len(asked), error=joined(*dict.fromkeys(errors)), **found)


def _grade(result: EvaluationResult) -> float | None:
    return result.score if result.score is not None and 1 <= result.score <= HIGHEST_GRADE else None


def _verdict(result: EvaluationResult) -> bool | None:
    """Return yes or no; the evaluators take any reply without a yes for a no."""
    return result.passing if YES_OR_NO.search(result.feedback or "") else None


def _model(chat: ChatModel, asked: list[str], check: Callable[[], None]) -> CustomLLM:
    """Return a language model as llama-index-core calls one; every prompt is added to `asked`."""
    from llama_index.core.llms import CompletionResponse, CompletionResponseGen, CustomLLM, LLMMetadata

    class Judge(CustomLLM):
        @property
        def metadata(self) -> LLMMetadata:
            return LLMMetadata(context_window=CONTEXT_TOKENS, num_output=REPLY_TOKENS, model_name="judge")

        def complete(self, prompt: str, formatted: bool = False, **options: Any) -> CompletionResponse:
            asked.append(prompt)
            return CompletionResponse(text=ask(chat, [ChatMessage("user", prompt)], REPLY_LIMITS, check).strip())

        def stream_complete(self, prompt: str, formatted: bool = False, **options: Any) -> CompletionResponseGen:
            yield self.complete(prompt)

    return Judge()
