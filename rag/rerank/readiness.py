"""Making the reranker that the settings want ready: fetched, loaded, timed, and in the best precision."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from rag.config import Settings
from rag.errors import DamagedModelError, ResiftError
from rag.language.message import message
from rag.models.failed import FailedDownload, failed_download, fetch_once
from rag.models.files import ModelFiles, find_model
from rag.models.int8 import discard, fits_this_processor, int8_files, make_int8
from rag.models.names import hub_model
from rag.models.preparation import Preparation, Preparations, Reporter
from rag.rerank.agreement import COMPARED, ENOUGH_QUESTIONS, agreement_of, read_agreement, write_agreement
from rag.rerank.choice import RerankerChoice
from rag.rerank.cross_encoder import CrossEncoderReranker
from rag.rerank.precision import NOT_COMPARED, why_not_int8
from rag.rerank.shelf import Rerankers
from rag.types import Hit

Samples = Callable[[], Sequence[tuple[str, Sequence[Hit]]]]
"""Returns questions with their candidates from the user's own documents, to compare precisions on."""

log = logging.getLogger(__name__)


class Readiness:
    """Makes a shelf's wanted reranker ready in the background; every method may be called from any thread.

    `preparations` are those that the shelf asks too.
    """

    def __init__(self, settings: Settings, rerankers: Rerankers, preparations: Preparations) -> None:
        self._settings = settings
        self.rerankers = rerankers
        self._preparations = preparations
        self._lacks_samples = False

    @property
    def wanted_model(self) -> str:
        """The name of the model that the setting wants on this machine, "" when it wants none of its own."""
        return RerankerChoice.parse(self._settings.rerank_model).model

    @property
    def preparation(self) -> Preparation | None:
        """How far the wanted model is; None when none is wanted, or nothing was begun."""
        name = self.wanted_model
        return self._preparations.get(name) if name else None

    @property
    def awaits_samples(self) -> bool:
        """Whether int8 could not be compared yet, for want of documents, and nothing else is under way."""
        preparation = self.preparation if self._lacks_samples else None
        return preparation is not None and not preparation.moving

    @property
    def failed_download(self) -> FailedDownload | None:
        """How fetching the wanted model failed, in this run or an earlier one, where it has not come since."""
        name = self.wanted_model
        failed = failed_download(name, self._settings) if name else None
        return failed if failed is not None and find_model("reranker", name, self._settings) is None else None

    def make_ready(self, samples: Samples = tuple, *, again: bool = False) -> None:
        """Make the wanted reranker ready in the background, unless that is under way or nothing has to be done.

        A missing model is downloaded, but after one try that failed only `again`, when a person asks for it; one that
        could not be loaded is tried again and then fetched anew; int8 is made and compared with fp32 on `samples`.
        """
        name = self.wanted_model

        def work(report: Reporter) -> None:
            self.rerankers.late_interaction.warm_up()
            if name:
                self._choose_precision(self._load(name, report, again=again), samples, report)

        self._preparations.start(name, work)

    def cancel(self) -> None:
        """Stop the download of the wanted model; what is on disk already is used by the next one."""
        self._preparations.cancel(self.wanted_model)

    def close(self) -> None:
        """Stop what is under way, and begin nothing any more."""
        self._preparations.close()

    def quantise(self, choice: str | None) -> None:
        """Make the int8 copy of a cross-encoder if RERANK_PRECISION=int8 wants one, in this thread.

        `choice` is what RERANK_MODEL takes. Raises ModelError when it cannot be made.
        """
        if self._settings.rerank_precision != "int8":
            return
        _, report = self.rerankers.reranker(choice)
        held = self.rerankers.loaded_cross_encoder(report.identity)
        if held is not None and not report.identity.int8 and not why_not_int8(held.files, self._settings):
            make_int8(held.files, self._settings)

    def _load(self, name: str, report: Reporter, *, again: bool) -> ModelFiles:
        """Return the files of a reranker that has been loaded and timed, downloaded if need be."""
        files = find_model("reranker", name, self._settings) or self._download(name, report, again=again)
        report.enter("loading")
        try:
            self.rerankers.warm_up(files)
        except DamagedModelError:
            failed_before = self.rerankers.set_aside(files.name, name)
            if not failed_before or files.source == "folder":
                raise
            files = self._download(name, report, again=again, afresh=True)
            self.rerankers.warm_up(files)
        self.rerankers.take_back(files.name, name)
        return files

    def _download(self, name: str, report: Reporter, *, again: bool, afresh: bool = False) -> ModelFiles:
        report.enter("downloading")
        model = hub_model("reranker", name)
        return fetch_once(model, self._settings, report.progress, again=again, afresh=afresh)

    def _choose_precision(self, files: ModelFiles, samples: Samples, report: Reporter) -> None:
        """Make int8 if it is wanted and not there, and compare it; what fails leaves fp32 in use."""
        settings, rerankers = self._settings, self.rerankers
        self._lacks_samples = False
        if settings.rerank_precision == "fp32":
            return
        if why_not := why_not_int8(files, settings):
            if settings.rerank_precision == "int8":
                nothing = message("RERANK_PRECISION=int8 does nothing here: {reason}.", reason=why_not)
                rerankers.explain_precision(files, nothing)
            return
        try:
            made = self._int8_copy(files, report)
            if settings.rerank_precision == "auto" and read_agreement(made) is None:
                report.enter("comparing")
                self._compare(files, made, samples())
            rerankers.warm_up(files)
        except ResiftError as error:
            log.warning("%s", error)
            rerankers.explain_precision(files, error.message)

    def _int8_copy(self, files: ModelFiles, report: Reporter) -> ModelFiles:
        made = int8_files(files, self._settings)
        if made is not None and fits_this_processor(made):
            return made
        if made is not None:
            discard(made)
        report.enter("quantising")
        return make_int8(files, self._settings)

    def _compare(self, files: ModelFiles, made: ModelFiles, samples: Sequence[tuple[str, Sequence[Hit]]]) -> None:
        passages = [(question, [hit.chunk.passage for hit in hits]) for question, hits in samples]
        if len(passages) < ENOUGH_QUESTIONS or any(len(texts) < COMPARED for _, texts in passages):
            self._lacks_samples = True
            self.rerankers.explain_precision(files, NOT_COMPARED)
            return
        settings, fp32 = self._settings, self.rerankers.cross_encoder(files)
        int8 = CrossEncoderReranker(made, settings.model_threads, settings.model_provider, int8=True)
        agreement = agreement_of(
            [fp32.relevance(question, texts) for question, texts in passages],
            [int8.relevance(question, texts) for question, texts in passages],
        )
        write_agreement(made, agreement)
