"""The rerankers of this process, by name: each loaded once, in one precision, and shared by all threads."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rag.config import Settings
from rag.errors import DamagedModelError, ResiftError
from rag.identity import NO_RERANKER, RerankerIdentity
from rag.language.message import NOTHING, Message, joined, message
from rag.llm.base import ChatModel
from rag.models import catalogue
from rag.models.files import ModelFiles, bundled_model, find_model
from rag.models.int8 import discard, int8_files
from rag.models.preparation import Preparations
from rag.rerank.base import Contact, Judge, Reranker
from rag.rerank.blend import BlendReranker
from rag.rerank.choice import RerankerChoice
from rag.rerank.cross_encoder import CrossEncoderReranker
from rag.rerank.funnel import FunnelReranker
from rag.rerank.late_interaction import ColbertReranker, LateInteractionReranker
from rag.rerank.listwise import ListwiseReranker, listwise_reranker
from rag.rerank.precision import NOT_MADE, files_to_run, why_not_int8
from rag.rerank.remote import RemoteReranker, service_reranker
from rag.tokens.colbert import ColbertEncoder
from rag.tokens.passages import PassageTokens
from rag.tokens.store import TokenStore
from rag.types import RerankReport

log = logging.getLogger(__name__)


class Rerankers:
    """Hands out rerankers by what RERANK_MODEL takes; every method may be called from any thread.

    `preparations` are asked how far a model is that is not here yet. What is bundled stands in for it.
    """

    def __init__(
        self,
        settings: Settings,
        late_interaction: LateInteractionReranker,
        tokens: TokenStore,
        preparations: Preparations,
        chat: ChatModel | None = None,
    ) -> None:
        self._settings = settings
        self._tokens = tokens
        self._preparations = preparations
        self._chat = chat
        self._lock = threading.Lock()
        self._cross_encoders: dict[str, CrossEncoderReranker] = {}
        self._colberts: dict[Path, ColbertReranker] = {}
        self._others: dict[RerankerChoice, RemoteReranker | ListwiseReranker] = {}
        self._precisions: dict[str, Message] = {}
        self._unloadable: set[str] = set()
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
        loaded = self.loaded_cross_encoder(report.identity) if report.state == "on" else None
        return loaded or self.late_interaction

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
        return colberts.get(identity) or self.loaded_cross_encoder(identity)

    def loaded_cross_encoder(self, identity: RerankerIdentity) -> CrossEncoderReranker | None:
        """Return the cross-encoder of a model in the precision that runs now; None for one that nobody asked for."""
        with self._lock:
            return self._cross_encoders.get(identity.model) if identity.kind == "model" else None

    def contact(self, identity: RerankerIdentity) -> Contact | None:
        """Return how the last call of a service or of the language model ended; None where none was made."""
        with self._lock:
            asked = (held.contact for held in self._others.values() if held.identity == identity.last)
            return next((one for one in asked if one is not None), None)

    def files_of(self, report: RerankReport) -> list[ModelFiles]:
        """Return the models on this machine that made an order, a funnel's first pass first; none for a service."""
        passes = report.identity.passes if report.state == "on" else ()
        return [files for one in passes if (files := self._files(one)) is not None]

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

    def precision_of(self, identity: RerankerIdentity) -> Message:
        """Say whether int8 is used for a cross-encoder and why; nothing where nothing is known."""
        return self._precisions.get(identity.model, NOTHING) if identity.kind == "model" else NOTHING

    def explain_precision(self, files: ModelFiles, said: Message) -> None:
        """Keep what is to be said of a model's precision."""
        self._precisions[files.name] = said

    def set_aside(self, *names: str) -> bool:
        """Hand out no model of these names, which cannot be loaded; tell whether the first was set aside before."""
        with self._lock:
            before = names[0] in self._unloadable
            self._unloadable.update(names)
            return before

    def take_back(self, *names: str) -> None:
        """Hand out the models of these names again."""
        with self._lock:
            self._unloadable.difference_update(names)

    def warm_up(self, files: ModelFiles) -> None:
        """Load a model and time it; an int8 copy that cannot be loaded is removed. Raises ModelError."""
        if files.colbert:
            self._colbert(files).warm_up()
            return
        try:
            self.cross_encoder(files).warm_up()
        except DamagedModelError:
            made = int8_files(files, self._settings)
            if made is None or self.cross_encoder(files).files != made:
                raise
            log.warning("The int8 copy of %s cannot be loaded; it is removed, and fp32 runs.", files.name)
            discard(made)
            self.cross_encoder(files).warm_up()

    def cross_encoder(self, files: ModelFiles) -> CrossEncoderReranker:
        """Return the one reranker of a model, in the precision to use now; the other precision is let go."""
        settings = self._settings
        chosen, why = files_to_run(files, settings)
        if why:
            self.explain_precision(files, why)
        with self._lock:
            held = self._cross_encoders.get(files.name)
            if held is None or held.files != chosen:
                int8 = chosen != files
                held = CrossEncoderReranker(chosen, settings.model_threads, settings.model_provider, int8=int8)
                self._cross_encoders[files.name] = held
            return held

    def _chosen(self, choice: RerankerChoice) -> tuple[Reranker, RerankReport]:
        if choice.funnel:
            second, report = self._chosen(replace(choice, funnel=False))
            if second is self.late_interaction:
                return second, report
            funnel = FunnelReranker(self.late_interaction, second, self._settings.rerank_shortlist)
            return funnel, replace(report, identity=funnel.identity)
        match choice.kind:
            case "late interaction":
                return self.late_interaction, RerankReport(self.late_interaction.identity, "on")
            case "language model":
                reranker = self._held(choice, lambda: listwise_reranker(self._chat))
                return reranker, RerankReport(reranker.identity, "on")
            case "service":
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
            return held, RerankReport(held.identity, "on", about=_licence(held.files))
        name = choice.model
        files = find_model("reranker", name, self._settings)
        if files is not None and files.name not in self._unloadable:
            reranker = self._colbert(files) if files.colbert else self.cross_encoder(files)
            about = joined(_licence(files), self._why_fp32(files, reranker.identity))
            return reranker, RerankReport(reranker.identity, "on", about=about)
        until = message("Until it is there, the built-in reranker is used.")
        about = joined(self._why_absent(name), until)
        return self.late_interaction, RerankReport(self.late_interaction.identity, "on", about=about)

    def _why_fp32(self, files: ModelFiles, identity: RerankerIdentity) -> Message:
        """Say that fp32 runs although int8 is wanted; nothing where what runs is what is wanted."""
        if self._settings.rerank_precision != "int8" or identity.int8 or files.colbert:
            return NOTHING
        return message("It runs in fp32: {reason}.", reason=why_not_int8(files, self._settings) or NOT_MADE)

    def _why_absent(self, name: str) -> Message:
        preparation = self._preparations.get(name)
        absent = message("{name} is not on this machine.", name=name)
        if preparation is None:
            return absent if catalogue.find(name) else joined(absent, *catalogue.did_you_mean(name))
        if preparation.moving and preparation.total:
            return message("{name} is being fetched ({share:.0%}).", name=name, share=preparation.share)
        if preparation.moving:
            return message("{name} is being fetched.", name=name)
        if name in self._unloadable:
            return message("{name} cannot be loaded.", name=name)
        return absent if preparation.state == "ready" else message("{name} could not be fetched.", name=name)

    def _files(self, identity: RerankerIdentity) -> ModelFiles | None:
        if identity.kind == "late interaction":
            return bundled_model()
        if identity.kind != "model":
            return None
        held = self.loaded_cross_encoder(identity)
        if held is not None:
            return held.files
        return None if "@" in identity.model else find_model("reranker", identity.model, self._settings)

    def _colbert(self, files: ModelFiles) -> ColbertReranker:
        settings = self._settings
        assert files.record is not None
        with self._lock:
            held = self._colberts.get(files.folder)
            if held is None:
                encoder = ColbertEncoder(files, settings.model_threads, settings.model_provider, files.record.name)
                held = self._colberts[files.folder] = ColbertReranker(encoder, self._tokens, self.late_interaction)
            return held


def _licence(files: ModelFiles) -> Message:
    record = files.record
    if record is None or record.commercial:
        return NOTHING
    return message(
        "The licence of {name} ({licence}) allows no commercial use.", name=record.name, licence=record.licence
    )
