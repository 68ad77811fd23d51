"""From a question to its evidence: both searches, every reranker state, and honest warnings."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest.library import Library
from rag.config import Settings
from rag.errors import CancelledError, CollectionError, InputError
from rag.llm.base import Limits
from rag.llm.client import make_chat
from rag.models.preparation import Preparations
from rag.rerank.late_interaction import LateInteractionReranker
from rag.rerank.shelf import Rerankers
from rag.retrieval.pipeline import Pipeline
from rag.tokens.store import TokenStore
from rag.types import Answer, Filter, Hit, SearchOptions, Turn
from tests.llm_server import LlmServer, Reply
from tests.parts import ingest, offline_settings, open_library

NOTES = {
    "heat.md": "# Heat\n\nTake the phone out of the sun and switch it off until it has cooled.",
    "diet.md": "# Diet\n\nSugary drinks raise blood sugar quickly and are best avoided in diabetes.",
    "robot.md": "# Robot\n\nA guide-dog robot must learn to refuse an unsafe command.",
    "pump.md": "# Pump\n\nError E-4711 means that the inlet filter is blocked.",
    "睡眠.md": "# 睡眠\n\n睡前一小时放下手机，保持卧室黑暗而凉爽。",
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    with open_library(offline_settings(tmp_path_factory.mktemp("data"))) as opened:
        for name, content in NOTES.items():
            assert ingest(opened, "notes", name, content).state == "done"
        yield opened


@pytest.fixture
def pipeline(library: Library) -> Pipeline:
    return library.pipeline


def with_settings(pipeline: Pipeline, **changes: object) -> Pipeline:
    """Return a pipeline with other settings on the same store and models."""
    values = {name: getattr(pipeline.settings, name) for name in Settings.__dataclass_fields__}
    return Pipeline(
        settings=Settings(**{**values, **changes}),
        store=pipeline.store,
        shelf=pipeline.shelf,
        readiness=pipeline.readiness,
        words=pipeline.words,
        chat=pipeline.chat,
    )


def test_the_passage_that_answers_comes_first(pipeline: Pipeline) -> None:
    retrieval = pipeline.retrieve("How do I cool down a phone that is too hot?", SearchOptions("notes"))
    assert retrieval.ranked[0].hit.chunk.document == "heat.md"
    assert retrieval.supported
    assert retrieval.reranker.name == "late interaction"


def test_every_candidate_carries_all_its_scores(pipeline: Pipeline) -> None:
    retrieval = pipeline.retrieve("error E-4711", SearchOptions("notes"))
    assert [hit.rank for hit in retrieval.hits] == list(range(1, len(retrieval.hits) + 1))
    assert len({hit.chunk.id for hit in retrieval.hits}) == len(retrieval.hits) == 5
    first = retrieval.ranked[0]
    assert first.hit.chunk.document == "pump.md"
    assert first.hit.bm25 > 0
    assert first.hit.bm25_rank == 1
    others = [hit for hit in retrieval.hits if hit.chunk.document != "pump.md"]
    assert all(hit.bm25 == 0 and hit.bm25_rank is None and -1 <= hit.dense <= 1 for hit in others)


def test_the_stages_are_timed(pipeline: Pipeline) -> None:
    retrieval = pipeline.retrieve("sugar", SearchOptions("notes"))
    assert [timing.stage for timing in retrieval.timings] == ["embed question", "recall", "rerank", "check support"]
    assert all(timing.ms >= 0 for timing in retrieval.timings)


def test_only_the_chosen_documents_are_searched(pipeline: Pipeline, library: Library) -> None:
    (robot,) = [entry.id for entry in library.documents("notes") if entry.name == "robot.md"]
    retrieval = pipeline.retrieve("How do I cool down a phone?", SearchOptions("notes", filter=Filter((robot,))))
    assert {hit.chunk.document for hit in retrieval.hits} == {"robot.md"}


def test_a_filter_that_matches_nothing_is_said_to_be_why_nothing_was_found(pipeline: Pipeline) -> None:
    retrieval = pipeline.retrieve("sugar", SearchOptions("notes", filter=Filter(("f" * 64,))))
    assert not retrieval.hits
    assert [str(warning) for warning in retrieval.warnings] == [
        "The search was limited, and nothing in the 5 documents of 'notes' is what it was limited to: search all "
        "documents."
    ]


def test_candidates_and_top_are_obeyed(pipeline: Pipeline) -> None:
    retrieval = pipeline.retrieve("water", SearchOptions("notes", candidates=3, top=2))
    assert len(retrieval.hits) == len(retrieval.ranked) == 3
    assert len(retrieval.kept) == 2


def test_the_hits_are_told_before_they_are_reranked(pipeline: Pipeline) -> None:
    seen: list[tuple[Hit, ...]] = []
    retrieval = pipeline.retrieve("sugar", SearchOptions("notes"), after_recall=seen.append)
    assert seen == [retrieval.hits]


def test_reranking_off_keeps_the_fused_order_and_says_so(pipeline: Pipeline) -> None:
    retrieval = pipeline.retrieve("sugar", SearchOptions("notes", reranker="none"))
    assert retrieval.reranker.state == "off"
    assert [ranked.hit for ranked in retrieval.ranked] == list(retrieval.hits)
    assert all(ranked.score is None for ranked in retrieval.ranked)


def test_a_cross_encoder_from_a_folder_reranks(pipeline: Pipeline, word_overlap_folder: Path) -> None:
    retrieval = pipeline.retrieve("blood sugar", SearchOptions("notes", reranker=str(word_overlap_folder)))
    assert retrieval.reranker.state == "on"
    assert retrieval.reranker.name.startswith(word_overlap_folder.name)
    first = retrieval.ranked[0]
    assert first.hit.chunk.document == "diet.md"
    assert first.score is not None
    assert first.score.order == pytest.approx(4, abs=1e-4)


def test_a_wanted_model_that_is_not_here_is_said_and_stood_in_for(pipeline: Pipeline) -> None:
    retrieval = pipeline.retrieve("sugar", SearchOptions("notes", reranker="BAAI/bge-reranker-base"))
    assert retrieval.reranker.name == "late interaction"
    assert str(retrieval.reranker.about).startswith("BAAI/bge-reranker-base is not on this machine.")


def test_an_unknown_reranker_leaves_the_fused_order_and_near_names(pipeline: Pipeline) -> None:
    retrieval = pipeline.retrieve("sugar", SearchOptions("notes", reranker="bge-reranker-bse"))
    assert retrieval.reranker.state == "fallback"
    assert "Did you mean BAAI/bge-reranker-base" in str(retrieval.reranker.reason)
    assert [ranked.hit for ranked in retrieval.ranked] == list(retrieval.hits)


def test_a_folder_without_a_tokenizer_leaves_the_fused_order_and_names_what_is_missing(
    pipeline: Pipeline, tmp_path: Path, word_overlap_folder: Path
) -> None:
    (tmp_path / "model.onnx").write_bytes((word_overlap_folder / "model.onnx").read_bytes())
    retrieval = pipeline.retrieve("sugar", SearchOptions("notes", reranker=str(tmp_path)))
    assert retrieval.reranker.state == "fallback"
    assert "has no tokenizer.json" in str(retrieval.reranker.reason)
    assert pipeline.answer(retrieval).whole().text


def test_a_cross_encoder_whose_scores_are_no_numbers_leaves_the_fused_order_and_an_answer(
    pipeline: Pipeline, tmp_path: Path, word_overlap_folder: Path
) -> None:
    import onnx

    for value in (float("nan"), float("inf")):
        folder = tmp_path / str(value)
        shutil.copytree(word_overlap_folder, folder)
        model = onnx.load(folder / "model.onnx")
        (output,) = model.graph.output
        for node in model.graph.node:
            node.output[:] = ["finite" if name == output.name else name for name in node.output]
        model.graph.initializer.append(onnx.helper.make_tensor("wrong", onnx.TensorProto.FLOAT, [], [value]))
        model.graph.node.append(onnx.helper.make_node("Add", ["finite", "wrong"], [output.name]))
        onnx.save(model, folder / "model.onnx")
        retrieval = pipeline.retrieve("sugar", SearchOptions("notes", reranker=str(folder)))
        assert retrieval.reranker.state == "fallback"
        assert "a score that is not a number" in str(retrieval.reranker.reason)
        assert pipeline.answer(retrieval).whole().text


def test_a_question_that_the_reranker_cannot_read_whole_is_said(pipeline: Pipeline, word_overlap_folder: Path) -> None:
    retrieval = pipeline.retrieve("sugar " * 1600, SearchOptions("notes", reranker=str(word_overlap_folder)))
    assert retrieval.reranker.state == "on"
    assert "The reranker read the first 254 of the question's 1,600 tokens." in str(retrieval.reranker.reason)


def test_a_time_out_falls_back_to_the_fused_order_and_says_why(pipeline: Pipeline, tmp_path: Path) -> None:
    hurried = with_settings(pipeline, rerank_timeout=0.0)
    empty = TokenStore(tmp_path / "empty.sqlite")
    late = LateInteractionReranker(hurried.shelf.bundled(), hurried.words, empty)
    hurried.rerankers = Rerankers(hurried.settings, late, empty, Preparations())
    retrieval = hurried.retrieve("sugar", SearchOptions("notes", reranker="bundled"))
    assert retrieval.reranker.state == "fallback"
    assert "longer than 0 s" in str(retrieval.reranker.reason)
    assert [ranked.hit for ranked in retrieval.ranked] == list(retrieval.hits)


def test_a_damaged_model_falls_back_and_says_why(pipeline: Pipeline, tmp_path: Path, word_overlap_folder: Path) -> None:
    for path in word_overlap_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "model.onnx").write_bytes(b"damaged")
    retrieval = pipeline.retrieve("sugar", SearchOptions("notes", reranker=str(tmp_path)))
    assert retrieval.reranker.state == "fallback"
    assert "cannot be loaded" in str(retrieval.reranker.reason)


@pytest.mark.parametrize("question", ["", "   \n"])
def test_an_empty_question_is_refused(pipeline: Pipeline, question: str) -> None:
    with pytest.raises(InputError, match="question is empty"):
        pipeline.retrieve(question, SearchOptions("notes"))


def test_a_question_over_the_embedders_limit_is_searched_and_said_to_be_cut(pipeline: Pipeline) -> None:
    retrieval = pipeline.retrieve("blood sugar " * 400, SearchOptions("notes"))
    assert retrieval.ranked[0].hit.chunk.document == "diet.md"
    assert any("the embedder reads 256" in str(warning) for warning in retrieval.warnings)


def test_a_question_that_is_not_utf_8_is_searched_for_with_question_marks(pipeline: Pipeline) -> None:
    assert pipeline.retrieve("blood sugar \udcff", SearchOptions("notes")).question == "blood sugar ?"


def test_an_endless_question_is_refused_with_the_limit(pipeline: Pipeline) -> None:
    with pytest.raises(InputError, match="10,000 are allowed"):
        pipeline.retrieve("x" * 10_001, SearchOptions("notes"))


def test_a_chinese_question_finds_by_words_and_says_that_the_embedder_is_english(pipeline: Pipeline) -> None:
    retrieval = pipeline.retrieve("睡前怎样放下手机？", SearchOptions("notes"))
    assert retrieval.ranked[0].hit.chunk.document == "睡眠.md"
    assert any("knows English only" in str(warning) for warning in retrieval.warnings)


def test_what_the_documents_do_not_say_is_not_supported_and_not_invented(pipeline: Pipeline) -> None:
    retrieval = pipeline.retrieve("Who won the football world cup in 1998?", SearchOptions("notes"))
    assert not retrieval.supported
    stream = pipeline.answer(retrieval)
    text = stream.whole().text
    assert "not in your documents" in text
    assert stream.answer.citations == ()


def test_without_a_language_model_the_answer_quotes(pipeline: Pipeline) -> None:
    stream = pipeline.answer(pipeline.retrieve("Which drinks raise blood sugar quickly?", SearchOptions("notes")))
    text = stream.whole().text
    assert "Sugary drinks raise blood sugar quickly" in text
    assert "[1]" in text
    assert stream.answer.mode == "extractive"


def test_a_collection_that_is_not_there_is_said(pipeline: Pipeline) -> None:
    with pytest.raises(CollectionError, match="nowhere"):
        pipeline.retrieve("sugar", SearchOptions("nowhere"))


def test_a_collection_made_with_another_embedder_is_refused_with_the_way_out(
    pipeline: Pipeline, embedder_folder: Path
) -> None:
    with open_library(
        offline_settings(pipeline.settings.data_dir / "other", embed_model=str(embedder_folder))
    ) as other:
        ingest(other, "tiny", "heat.md", NOTES["heat.md"])
        spec = other._store.open_collection("tiny").spec
    with pytest.raises(CollectionError, match=r"set EMBED_MODEL to that folder"):
        pipeline.shelf.embedder_of(spec)


def with_chat(pipeline: Pipeline, server: LlmServer) -> Pipeline:
    """Return a pipeline that asks the server, on the same store and models."""
    asking = with_settings(pipeline, llm_model="test", llm_base_url=server.base_url)
    asking.chat = make_chat(asking.settings)
    return asking


def answered_turn() -> Turn:
    answer = Answer(text="Take it out of the sun. [1]", mode="llm")
    return Turn(1, 1, "How do I cool down a phone?", datetime(2026, 1, 1, tzinfo=UTC), answer=answer)


def test_a_follow_up_is_rewritten_by_the_language_model(pipeline: Pipeline) -> None:
    with LlmServer(Reply(("How do I cool down ", "a tablet?"))) as server:
        asking = with_chat(pipeline, server)
        assert asking.condense("And a tablet?", [answered_turn()]) == ("How do I cool down a tablet?", ())
        assert asking.condense("And a tablet?", []) == ("And a tablet?", ())
        assert len(server.requests) == 1


def test_a_follow_up_stays_as_it_is_when_the_language_model_fails(pipeline: Pipeline) -> None:
    with LlmServer(Reply(status=401)) as server:
        searched, warnings = with_chat(pipeline, server).condense("And a tablet?", [answered_turn()])
    assert searched == "And a tablet?"
    assert "searched for as it is written" in str(warnings[0])
    assert "refused the key" in str(warnings[1])


@pytest.mark.parametrize(
    ("reply", "searched"),
    [
        ("<think>It is a tablet.\n\nSo:</think>\n\nHow do I cool a tablet?\n", "How do I cool a tablet?"),
        ("<think>It is a tablet, so", "And a tablet?"),
        ("<think>Hm.</think>", "And a tablet?"),
        ("Sure!\nHow do I cool a tablet?", "And a tablet?"),
        ("x" * 501, "And a tablet?"),
        ("x" * 500, "x" * 500),
    ],
    ids=["thought", "only thinking", "nothing after thinking", "several lines", "too long", "as long as allowed"],
)
def test_only_a_short_line_is_taken_for_the_rewritten_question(pipeline: Pipeline, reply: str, searched: str) -> None:
    with LlmServer(Reply((reply,))) as server:
        asked_for, warnings = with_chat(pipeline, server).condense("And a tablet?", [answered_turn()])
    assert asked_for == searched
    assert bool(warnings) == (searched == "And a tablet?")


def test_the_caller_is_called_while_the_language_model_is_silent_and_may_stop_it(pipeline: Pipeline) -> None:
    calls: list[None] = []

    def stop_at_the_third() -> None:
        calls.append(None)
        if len(calls) == 3:
            raise CancelledError("The page was closed.")

    with LlmServer(Reply(("Late.",), pause=30)) as server, pytest.raises(CancelledError, match="The page was closed"):
        with_chat(pipeline, server).condense("And a tablet?", [answered_turn()], stop_at_the_third)
    assert len(calls) == 3


def test_a_follow_up_stays_as_it_is_when_the_language_model_takes_too_long(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.retrieval.rewrite.LIMITS", Limits(seconds=0.5))
    with LlmServer(Reply(("Late.",), pause=30)) as server:
        searched, warnings = with_chat(pipeline, server).condense("And a tablet?", [answered_turn()])
    assert searched == "And a tablet?"
    assert "test took longer than 0.5 s" in str(warnings[1])


def test_a_follow_up_stays_as_it_is_when_the_language_model_does_not_stop(pipeline: Pipeline) -> None:
    event = b'data: {"choices": [{"delta": {"reasoning": "' + b"Hm. " * 500 + b'"}}]}\n\n'
    with LlmServer(Reply(raw=(event,), ending="repeat")) as server:
        searched, warnings = with_chat(pipeline, server).condense("And a tablet?", [answered_turn()])
        assert server.client_left.wait(5)
    assert searched == "And a tablet?"
    assert "test wrote more than 20,000 characters" in str(warnings[1])


def test_the_language_model_is_given_the_kept_passages_and_its_marks_are_checked(pipeline: Pipeline) -> None:
    with LlmServer(Reply(("Take it out ", "of the sun [1]. ", "See also [9]."))) as server:
        asking = with_chat(pipeline, server)
        retrieval = asking.retrieve("How do I cool down a phone that is too hot?", SearchOptions("notes", top=2))
        stream = asking.answer(retrieval)
        assert "".join(piece.text for piece in stream) == "Take it out of the sun [1]. See also [9]."
    prompt = str(server.requests[0].body["messages"])
    assert all(ranked.hit.chunk.text in prompt for ranked in retrieval.kept)
    assert not any(ranked.hit.chunk.text in prompt for ranked in retrieval.ranked if not ranked.kept)
    assert [citation.document for citation in stream.answer.citations] == ["heat.md"]
    assert "[9]" not in stream.answer.text
    assert any("9" in str(warning) for warning in stream.answer.warnings)
