"""The rerankers of this process, by name: each loaded once and shared by all threads, larger ones made ready behind."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from rag.config import Settings
from rag.errors import CancelledError, DamagedModelError, ResiftError
from rag.identity import NO_RERANKER, RerankerIdentity
from rag.language.message import message, verbatim
from rag.llm import ChatModel
from rag.models import catalogue
from rag.models.download import download_model
from rag.models.files import ModelFiles, bundled_model, find_model, hub_model
from rag.models.loading import is_quantised
from rag.models.precision import (
    AGREES_FROM,
    COMPARED,
    ENOUGH_QUESTIONS,
    Agreement,
    agreement_of,
    discard,
    fits_this_processor,
    int8_files,
    make_int8,
    read_agreement,
    write_agreement,
)
from rag.rerank.base import Judge, Reranker
from rag.rerank.blend import BlendReranker
from rag.rerank.choice import RerankerChoice
from rag.rerank.cross_encoder import CrossEncoderReranker
from rag.rerank.funnel import FunnelReranker
from rag.rerank.late_interaction import ColbertReranker, LateInteractionReranker
from rag.rerank.listwise import ListwiseReranker, listwise_reranker
from rag.rerank.remote import RemoteReranker, service_reranker
from rag.tokens.colbert import ColbertEncoder
from rag.tokens.passages import PassageTokens
from rag.tokens.store import TokenStore
from rag.types import Hit, RerankReport

FetchState = Literal["ready", "waiting", "downloading", "loading", "quantising", "comparing", "cancelled", "failed"]
Samples = Callable[[], Sequence[tuple[str, Sequence[Hit]]]]
"""Returns questions with their candidates from the user's own documents, to compare precisions on."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fetch:
    """How far making the wanted reranker ready is; `done` and `total` in bytes; `reason` says why it stopped."""

    name: str
    state: FetchState
    done: int = 0
    total: int = 0
    reason: str = ""

    @property
    def moving(self) -> bool:
        """Whether it is still under way."""
        return self.state not in ("ready", "cancelled", "failed")


class Rerankers:
    """Hands out rerankers by what RERANK_MODEL takes; every method may be called from any thread."""

    def __init__(
        self,
        settings: Settings,
        late_interaction: LateInteractionReranker,
        tokens: TokenStore,
        chat: ChatModel | None = None,
    ) -> None:
        self._settings = settings
        self._tokens = tokens
        self._chat = chat
        self._lock = threading.Lock()
        self._cross_encoders: dict[str, CrossEncoderReranker] = {}
        self._colberts: dict[Path, ColbertReranker] = {}
        self._others: dict[RerankerChoice, RemoteReranker | ListwiseReranker] = {}
        self._precisions: dict[str, str] = {}
        self._unloadable: set[str] = set()
        self._awaits_samples = False
        self._stop = threading.Event()
        self._fetch: Fetch | None = None
        self._worker: threading.Thread | None = None
        self.late_interaction = late_interaction

    def reranker(self, choice: str | None = None, candidates: int = 0) -> tuple[Reranker | None, RerankReport]:
        """Return the reranker to use now, and what to say of it; None for no reranking.

        `choice` is what RERANK_MODEL takes; under auto, more `candidates` than the shortlist holds go through a funnel.
        Raises ModelError for a name that no model has and for an incomplete folder, SettingError for a service
        whose address or key is missing.
        """
        wanted = RerankerChoice.parse(choice or self._settings.rerank_model)
        if wanted.kind == "none":
            return None, RerankReport(NO_RERANKER, "off", message("Reranking is off."))
        if wanted.kind == "auto" and candidates > self._settings.rerank_shortlist:
            wanted = replace(wanted, funnel=True)
        reranker, report = self._chosen(wanted)
        if self._settings.rerank_blend:
            reranker = BlendReranker(reranker, self._settings.rerank_blend)
        return reranker, report

    def judge(self, report: RerankReport) -> Judge:
        """Return what scores single sentences for a retrieval that was reranked so: something on this machine."""
        if report.state != "on":
            return self.late_interaction
        return self._loaded(report.identity) or self.late_interaction

    def _loaded(self, identity: RerankerIdentity) -> CrossEncoderReranker | None:
        return self._cross_encoders.get(identity.model) if identity.kind == "model" else None

    def on_this_machine(
        self, report: RerankReport
    ) -> LateInteractionReranker | ColbertReranker | CrossEncoderReranker | None:
        """Return what had the last word in a retrieval; None for a service, a language model or what is not loaded."""
        identity = report.identity.last
        if report.state != "on":
            return None
        if identity == self.late_interaction.identity:
            return self.late_interaction
        with self._lock:
            colberts = {held.identity: held for held in self._colberts.values()}
            return colberts.get(identity) or self._loaded(identity)

    def files_of(self, report: RerankReport) -> list[ModelFiles]:
        """Return the models on this machine that made an order, a funnel's first pass first; none for a service."""
        passes = report.identity.passes if report.state == "on" else ()
        return [files for one in passes if (files := self._files(one)) is not None]

    def _files(self, identity: RerankerIdentity) -> ModelFiles | None:
        if identity.kind == "late interaction":
            return bundled_model()
        if identity.kind != "model":
            return None
        held = self._loaded(identity)
        if held is not None:
            return held.files
        return None if "@" in identity.model else find_model("reranker", identity.model, self._settings)

    def colbert_tokens(self) -> PassageTokens | None:
        """Return what makes the token vectors of the wanted ColBERT model; None when another kind is wanted or here."""
        try:
            wanted = RerankerChoice.parse(self._settings.rerank_model)
            if wanted.kind == "none":
                return None
            reranker, _ = self._chosen(replace(wanted, funnel=False))
        except ResiftError:
            return None
        return reranker.tokens if isinstance(reranker, ColbertReranker) else None

    def prepare(self, choice: str | None) -> None:
        """Make the int8 copy of a cross-encoder if RERANK_PRECISION=int8 wants one, in this thread.

        Raises ModelError when it cannot be made.
        """
        if self._settings.rerank_precision != "int8":
            return
        _, report = self.reranker(choice)
        held = self._loaded(report.identity)
        if report.identity.int8 or held is None:
            return
        files = held.files
        if not self._why_not_int8(files):
            make_int8(files, self._settings)

    def _precision_note(self, identity: RerankerIdentity) -> str:
        """Say that fp32 runs although int8 is wanted, "" where what runs is what is wanted."""
        held = self._loaded(identity)
        if self._settings.rerank_precision != "int8" or identity.int8 or held is None:
            return ""
        why_not = self._why_not_int8(held.files)
        return f"It runs in fp32: {why_not or 'no int8 copy has been made yet, which the running app does'}."

    def precision_of(self, identity: RerankerIdentity) -> str:
        """Return a sentence on whether int8 is used for a cross-encoder and why, "" where nothing is known."""
        return self._precisions.get(identity.model, "") if identity.kind == "model" else ""

    def make_ready(self, samples: Samples = tuple) -> None:
        """Make the wanted reranker ready in the background, unless that is under way or nothing has to be done.

        A missing model is downloaded, one that could not be loaded is tried again and then fetched anew; int8 is made
        and compared with fp32 on `samples`.
        """
        with self._lock:
            if self._worker is not None and self._worker.is_alive():
                return
            self._stop.clear()
            name = self.wanted_model
            self._fetch = Fetch(name, "waiting") if name else None
            self._worker = threading.Thread(
                target=self._work, args=(name, samples), daemon=True, name="make-reranker-ready"
            )
            self._worker.start()

    @property
    def awaits_samples(self) -> bool:
        """Whether int8 could not be compared yet, for want of documents, and nothing else is under way."""
        return self._awaits_samples and self._fetch is not None and not self._fetch.moving

    def cancel_fetch(self) -> None:
        """Stop the background download; what is on disk already is used by the next one."""
        self._stop.set()

    @property
    def fetch(self) -> Fetch | None:
        """How far the background work is; None when none was started."""
        return self._fetch

    def _chosen(self, choice: RerankerChoice) -> tuple[Reranker, RerankReport]:
        if choice.funnel:
            second, report = self._chosen(replace(choice, funnel=False))
            if second is self.late_interaction:
                return second, report
            funnel = FunnelReranker(self.late_interaction, second, self._settings.rerank_shortlist)
            return funnel, replace(report, identity=funnel.identity)
        if choice.kind == "late interaction":
            return self.late_interaction, RerankReport(self.late_interaction.identity, "on")
        if choice.kind == "language model":
            reranker = self._held(choice, lambda: listwise_reranker(self._chat))
            return reranker, RerankReport(reranker.identity, "on")
        if choice.kind == "service":
            reranker = self._held(choice, lambda: service_reranker(choice.name, self._settings))
            return reranker, RerankReport(reranker.identity, "on")
        return self._model(choice)

    def _held(
        self, choice: RerankerChoice, make: Callable[[], RemoteReranker | ListwiseReranker]
    ) -> RemoteReranker | ListwiseReranker:
        with self._lock:
            if choice not in self._others:
                self._others[choice] = make()
            return self._others[choice]

    def _model(self, choice: RerankerChoice) -> tuple[Reranker, RerankReport]:
        held = self._cross_encoders.get(choice.name)
        if held is not None and "@" in choice.name:
            return held, RerankReport(held.identity, "on", verbatim(_licence(held.files)))
        name = choice.model
        files = find_model("reranker", name, self._settings)
        if files is not None and files.name not in self._unloadable:
            reranker = self._of_files(files)
            notes = (_licence(files), self._precision_note(reranker.identity))
            return reranker, RerankReport(reranker.identity, "on", verbatim(" ".join(filter(None, notes))))
        reason = f"{self._why_absent(name)} Until it is there, late interaction with the bundled model runs."
        return self.late_interaction, RerankReport(self.late_interaction.identity, "on", verbatim(reason))

    @property
    def wanted_model(self) -> str:
        """The name of the model that the setting wants on this machine, "" when it wants none of its own."""
        return RerankerChoice.parse(self._settings.rerank_model).model

    def _work(self, name: str, samples: Samples) -> None:
        try:
            self.late_interaction.warm_up()
            if not name:
                return
            files = self._load(name)
            self._choose_precision(files, samples)
            self._set_fetch(state="ready")
        except CancelledError:
            self._set_fetch(state="cancelled", reason="The download was cancelled.")
        except ResiftError as error:
            log.info("%s", error)
            self._set_fetch(state="failed", reason=str(error))
        except Exception:
            log.exception("Making the reranker %s ready failed", name)
            self._set_fetch(state="failed", reason="An unexpected error, whose trace is in the log.")

    def _load(self, name: str) -> ModelFiles:
        """Return the files of a reranker that has been loaded and timed, downloaded if need be."""
        files = find_model("reranker", name, self._settings)
        if files is None:
            files = self._download(name)
        self._set_fetch(state="loading")
        try:
            self._warm_up(files)
        except DamagedModelError:
            failed_before = files.name in self._unloadable
            self._unloadable |= {files.name, name}
            if not failed_before or files.source == "folder":
                raise
            files = self._download(name, afresh=True)
            self._warm_up(files)
        self._unloadable -= {files.name, name}
        return files

    def _choose_precision(self, files: ModelFiles, samples: Samples) -> None:
        """Make int8 if it is wanted and not there, and compare it; what fails leaves fp32 in use."""
        settings = self._settings
        self._awaits_samples = False
        if settings.rerank_precision == "fp32":
            return
        why_not = self._why_not_int8(files)
        if why_not:
            if settings.rerank_precision == "int8":
                self._precisions[files.name] = f"RERANK_PRECISION=int8 does nothing here: {why_not}."
            return
        try:
            made = int8_files(files, settings)
            if made is not None and not fits_this_processor(made):
                discard(made)
                made = None
            if made is None:
                self._set_fetch(state="quantising")
                made = make_int8(files, settings)
            if settings.rerank_precision == "auto" and read_agreement(made) is None:
                self._set_fetch(state="comparing")
                self._compare(files, made, samples())
            self._warm_up(files)
        except ResiftError as error:
            log.warning("%s", error)
            self._precisions[files.name] = str(error)

    def _why_not_int8(self, files: ModelFiles) -> str:
        if _is_colbert(files):
            return "a ColBERT model runs as it is"
        if self._settings.model_provider != "cpu":
            return f"models run on {self._settings.model_provider}"
        return "the model's own files are quantised" if is_quantised(files.folder / files.model_file) else ""

    def _compare(
        self,
        files: ModelFiles,
        made: ModelFiles,
        samples: Sequence[tuple[str, Sequence[Hit]]],
    ) -> None:
        passages = [(question, [hit.chunk.passage for hit in hits]) for question, hits in samples]
        enough = len(passages) >= ENOUGH_QUESTIONS and all(len(texts) >= COMPARED for _, texts in passages)
        if not enough:
            self._awaits_samples = True
            self._precisions[files.name] = "It runs in fp32 until there are documents enough to compare int8 on."
            return
        fp32, int8 = self._cross_encoder(files), self._new_cross_encoder(made)
        agreement = agreement_of(
            [fp32.relevance(question, texts) for question, texts in passages],
            [int8.relevance(question, texts) for question, texts in passages],
        )
        write_agreement(made, agreement)

    def _download(self, name: str, *, afresh: bool = False) -> ModelFiles:
        self._set_fetch(state="downloading")
        return download_model(hub_model("reranker", name), self._settings, self._report, afresh=afresh)

    def _report(self, done: int, total: int) -> None:
        if self._stop.is_set():
            raise CancelledError("The download was cancelled.")
        self._set_fetch(done=done, total=total)

    def _set_fetch(self, **changes: object) -> None:
        with self._lock:
            if self._fetch is not None:  # there is none where no model of its own is wanted
                self._fetch = replace(self._fetch, **changes)  # type: ignore[arg-type]

    def _why_absent(self, name: str) -> str:
        fetch = self._fetch
        if fetch is None or fetch.name != name:
            hint = "" if catalogue.find(name) else "".join(f" {near}" for near in catalogue.did_you_mean(name))
            return f"{name} is not on this machine.{hint}"
        if fetch.moving:
            percent = f" ({fetch.done / fetch.total:.0%})" if fetch.total else ""
            return f"{name} is being fetched{percent}."
        if name in self._unloadable:
            return f"{name} cannot be loaded."
        return f"{name} {'is not on this machine' if fetch.state == 'ready' else 'could not be fetched'}."

    def _of_files(self, files: ModelFiles) -> Reranker:
        return self._colbert(files) if _is_colbert(files) else self._cross_encoder(files)

    def _warm_up(self, files: ModelFiles) -> None:
        if _is_colbert(files):
            self._colbert(files).warm_up()
            return
        try:
            self._cross_encoder(files).warm_up()
        except DamagedModelError:
            made = int8_files(files, self._settings)
            if made is None or self._cross_encoder(files).files != made:
                raise
            log.warning("The int8 copy of %s cannot be loaded; it is removed, and fp32 runs.", files.name)
            discard(made)
            self._cross_encoder(files).warm_up()

    def _colbert(self, files: ModelFiles) -> ColbertReranker:
        settings = self._settings
        with self._lock:
            held = self._colberts.get(files.folder)
            if held is None:
                encoder = ColbertEncoder(files, settings.model_threads, settings.model_provider, _fastembed_name(files))
                held = ColbertReranker(encoder, self._tokens, self.late_interaction)
                self._colberts[files.folder] = held
            return held

    def _cross_encoder(self, files: ModelFiles) -> CrossEncoderReranker:
        """Return the one reranker of a model, in the precision to use now; the other precision is let go."""
        chosen = self._in_precision(files)
        with self._lock:
            held = self._cross_encoders.get(files.name)
            if held is None or held.files != chosen:
                held = self._cross_encoders[files.name] = self._new_cross_encoder(chosen)
            return held

    def _in_precision(self, files: ModelFiles) -> ModelFiles:
        settings = self._settings
        if settings.rerank_precision == "fp32" or settings.model_provider != "cpu":
            return files
        made = int8_files(files, settings)
        if made is None:
            return files
        if settings.rerank_precision == "int8":
            self._precisions[files.name] = "It runs in int8 (RERANK_PRECISION)."
            return made
        agreement = read_agreement(made)
        if agreement is not None:
            self._precisions[files.name] = _on_agreement(agreement)
        return made if agreement is not None and agreement.sufficient else files

    def _new_cross_encoder(self, files: ModelFiles) -> CrossEncoderReranker:
        settings = self._settings
        made = files == int8_files(files, settings)
        return CrossEncoderReranker(files, settings.model_threads, settings.model_provider, int8=made)


def _on_agreement(agreement: Agreement) -> str:
    measured = (
        f"on {agreement.questions} questions and {agreement.passages} passages of your documents, the first ten places "
        f"agree with fp32 by Kendall's tau {agreement.tau:.2f}"
    )
    if agreement.sufficient:
        return f"It runs in int8: {measured}."
    return f"It runs in fp32 and not in int8: {measured}, and {AGREES_FROM} is wanted."


def _is_colbert(files: ModelFiles) -> bool:
    return files.record is not None and files.record.kind == "late interaction"


def _fastembed_name(files: ModelFiles) -> str:
    assert files.record is not None
    return files.record.name


def _licence(files: ModelFiles) -> str:
    record = files.record
    if record is None or record.commercial:
        return ""
    return f"The licence of {record.name} ({record.licence}) allows no commercial use."
