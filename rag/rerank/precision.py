"""Which precision a cross-encoder runs in, and what is said of that."""

from __future__ import annotations

from rag.config import Settings
from rag.language.message import NOTHING, Message, message
from rag.models.files import ModelFiles
from rag.models.int8 import int8_files
from rag.models.loading import is_quantised
from rag.rerank.agreement import AGREES_FROM, PrecisionAgreement, read_agreement

NOT_MADE = message("no int8 copy has been made yet, which the running app does")
NOT_COMPARED = message("It runs in fp32 until there are documents enough to compare int8 on.")


def files_to_run(files: ModelFiles, settings: Settings) -> tuple[ModelFiles, Message]:
    """Return a cross-encoder's files in the precision to use now, and why that; nothing where that is no question."""
    if settings.rerank_precision == "fp32" or settings.model_provider != "cpu":
        return files, NOTHING
    made = int8_files(files, settings)
    if made is None:
        return files, NOTHING
    if settings.rerank_precision == "int8":
        return made, message("It runs in int8 (RERANK_PRECISION).")
    agreement = read_agreement(made)
    if agreement is None:
        return files, NOTHING
    return (made if agreement.sufficient else files), _on_agreement(agreement)


def why_not_int8(files: ModelFiles, settings: Settings) -> Message:
    """Say why no int8 copy of a model can be made or used here; nothing where it can."""
    if files.colbert:
        return message("a ColBERT model runs as it is")
    if settings.model_provider != "cpu":
        return message("models run on {provider}", provider=settings.model_provider)
    if is_quantised(files.folder / files.model_file):
        return message("the model's own files are quantised")
    return NOTHING


def _on_agreement(agreement: PrecisionAgreement) -> Message:
    measured = message(
        "on your documents (questions: {questions}, passages: {passages}), the first ten places agree with fp32 by "
        "Kendall's tau {tau:.2f}",
        questions=agreement.questions,
        passages=agreement.passages,
        tau=agreement.tau,
    )
    if agreement.sufficient:
        return message("It runs in int8: {measured}.", measured=measured)
    return message(
        "It runs in fp32 and not in int8: {measured}, and {least} is wanted.", measured=measured, least=AGREES_FROM
    )
