"""The lab's "why it moved": what is said of it, and the page with real models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from rag.database.lock import DataFolderLock
from rag.identity import RerankerIdentity
from rag.lab.comparison import Comparison, compare
from rag.lab.heat import Heat, Word
from rag.lab.reasons import Reason
from rag.lab.removal import Removal, Removals
from rag.types import Chunk, RerankReport, SearchOptions
from service.app import App, assemble
from tests.parts import ingest, offline_settings, open_library
from tools.random_model import PRESETS, build_random_model
from ui.lab.why import heat_data, removal_data
from ui.lab.why_texts import describe_cautions, describe_heat, describe_reason, why_no_removal

QUESTION = "How do I cool a hot phone?"
HOSTILE = '<img src=x onerror="window.harmed=1"> **bold** [a](javascript:harm())'
TEXTS = {
    "heat.md": "Take the hot phone out of the sun. Bananas are yellow. Switch it off until it is cool.",
    "hostile.txt": f"Cool drinks are sweet. {HOSTILE}",
    "pump.md": "Let the pump rest for twenty minutes.",
}
FOUND = Removals(0.9, 2, (Removal(0, 4, 0.2, 9), Removal(5, 9, 0.95, 1)))


def test_the_pieces_of_a_text_are_the_text() -> None:
    chunk = Chunk("c", "d", "a.md", 0, "Hot. Cold. Lost", heading="Heat")
    passage = tuple(Word(start, end, 0.5, True) for start, end in ((0, 4), (5, 8), (10, 14)))
    heat = Heat((Word(0, 3, 0.81, True),), passage, ((0.2, 0.809, 0.3),), (1,), 0.81, 1, 0, 4, 15)
    removals = Removals(0.9, None, (Removal(0, 4, 0.2, None), Removal(5, 10, 0.9, None)))
    data = heat_data(heat, "hot?", chunk, removals)
    assert data["question"] == [["hot", 0, -1, True], ["?", -1, -1, True]]
    assert data["heading"] == [["Heat", 0, -1, True], ["\n", -1, -1, True]]
    assert "".join(piece[0] for piece in data["passage"]) == chunk.text
    assert data["passage"][0] == ["Hot", 1, 0, True]
    assert data["passage"][-1] == [" Lost", -1, -1, False], "it is past what was read"
    assert data["similarities"] == [[20, 81, 30]]
    assert json.loads(json.dumps(data)) == data


def test_a_paragraph_that_was_wrapped_is_shown_as_running_text() -> None:
    text = "Take the hot phone out of the sun and\nswitch it off.\n\n- One\n- Two\n\n手机过热时放在\n阴凉处等待。"
    heat = Heat((), (), (), (), 0.0, 0, 0, 0, len(text))
    pieces = heat_data(heat, "", Chunk("c", "d", "a.md", 0, text))["passage"]
    assert "".join(piece[0] for piece in pieces) == text.replace("and\nswitch", "and switch")


@pytest.mark.parametrize(
    ("similarities", "scale"), [((0.1, 0.2, 0.3, 0.9), [0.4, 0.9]), ((0.78, 0.79, 0.8, 0.83), [0.8, 0.9])]
)
def test_the_scale_begins_where_most_words_are(similarities: tuple[float, ...], scale: list[float]) -> None:
    words = tuple(Word(place, place + 1, 0.5, True) for place in range(4))
    heat = Heat((Word(0, 1, 0.9, True),), words, (similarities,), (3,), 0.9, 1, 0, 1, 4)
    assert heat_data(heat, "a", Chunk("c", "d", "a.md", 0, "abcd"))["scale"] == scale


def test_a_question_that_the_bundled_model_cannot_read_is_said_to_be(comparison: Comparison) -> None:
    asked = replace(comparison.reranked[0], question="手机过热怎么办？")
    (caution,) = describe_cautions(asked, own=True, english=True)
    assert caution.startswith("The bundled model knows English only")
    assert describe_cautions(asked, own=True, english=False) == []


def test_the_sentence_that_counts_is_told_with_relevance_and_rank() -> None:
    data = removal_data(FOUND, 2, "bge")
    assert data["removal"] == (
        "Without the marked sentence, bge would give relevance 0.20 instead of 0.90, and rank 9 instead of 2."
    )
    assert [one["worst"] for one in data["sentences"]] == [True, False]
    assert [one["change"] for one in data["sentences"]] == ["-0.70", "+0.05"]
    assert [one["share"] for one in data["sentences"]] == [pytest.approx(0.7 / 0.9, abs=0.001), 0.0]
    assert data["sentences"][1]["note"] == "Without this sentence: relevance 0.95 (+0.05), rank 1"


def test_ranks_are_not_told_where_relevance_alone_does_not_decide_them() -> None:
    data = removal_data(FOUND, 5, "bge")
    assert data["removal"] == "Without the marked sentence, bge would give relevance 0.20 instead of 0.90."
    assert {one["rank"] for one in data["sentences"]} == {""}


def test_that_no_sentence_counts_is_told_too() -> None:
    none = Removals(0.9, 2, (Removal(0, 4, 0.899, 2), Removal(5, 9, 0.9, 2)))
    assert removal_data(none, 2, "bge")["removal"] == (
        "No single sentence decides: without any one of them, relevance falls by less than 0.01."
    )
    assert removal_data(Removals(0.9, 2, ()), 2, "bge")["removal"] == (
        "The passage is one sentence: there is nothing to leave out."
    )


def test_a_reason_has_a_chip_a_sentence_and_a_side() -> None:
    year = describe_reason(Reason("other year", "2023", "2024"))
    assert year == {
        "kind": "against",
        "chip": "says 2023, asked 2024",
        "text": "The passage names 2023, and the question is about 2024.",
    }
    assert describe_reason(Reason("same identifier", "HP-220"))["chip"] == "exact identifier HP-220"
    assert "82%" in describe_reason(Reason("near-duplicate", share=0.82))["text"]


@pytest.mark.parametrize("name", ["cohere:rerank-v3.5", "llm", "funnel:llm"])
def test_what_is_paid_for_is_not_asked_again_for_each_sentence(name: str) -> None:
    told = why_no_removal(RerankerIdentity.parse(name))
    assert "each try would be one more request to" in told
    assert "funnel" not in told


def test_a_model_that_is_gone_is_said_to_be() -> None:
    assert "bge is not loaded any more" in why_no_removal(RerankerIdentity.parse("bge"))


def test_marks_of_the_model_are_counted() -> None:
    heat = Heat((), (), (), (), 0.5, 32, 21, 0, 0)
    told = describe_heat(heat, RerankerIdentity.parse("colbert"), explains=True)
    assert "Relevance 0.50 is the mean of the best similarity of each of the question's tokens (32)." in told
    assert "21 of the tokens are marks that the model adds." in told
    assert not any("Relevance" in one for one in describe_heat(heat, RerankerIdentity.parse("bge"), explains=False))


def draw_why(app: object, comparison: object, order: int, opened: str) -> None:
    # Streamlit runs this as a script of its own, which knows no names from above.
    from ui.lab.why import show_why

    fused, after = comparison.fused, comparison.reranked[order]  # type: ignore[attr-defined]
    hit = next(one for one in fused.hits if one.chunk.document == opened)
    show_why(app, comparison, fused, after, hit)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    data = tmp_path_factory.mktemp("data")
    with open_library(offline_settings(data, collection="notes", rerank_candidates=10, rerank_top=2)) as library:
        for name, text in TEXTS.items():
            ingest(library, "notes", name, text)
        yield assemble(library.pipeline, library, DataFolderLock(data))


@pytest.fixture(scope="module")
def comparison(app: App, word_overlap_folder: Path) -> Comparison:
    choices = ["bundled", str(word_overlap_folder)]
    return compare(app.pipeline, QUESTION, SearchOptions("notes", candidates=10, top=2), choices)


def draw(app: App, comparison: Comparison, order: int, opened: str) -> AppTest:
    arguments = {"app": app, "comparison": comparison, "order": order, "opened": opened}
    page = AppTest.from_function(draw_why, kwargs=arguments, default_timeout=30).run()
    assert not page.exception
    return page


def shown(page: AppTest) -> dict[str, Any]:
    (component,) = page.get("bidi_component")
    data: dict[str, Any] = json.loads(component.proto.json)
    return data


def test_late_interaction_is_explained_by_its_own_match(app: App, comparison: Comparison) -> None:
    data = shown(draw(app, comparison, 0, "heat.md"))
    assert data["cautions"] == []
    assert data["sentences"] == []
    asked = [word for word, _, _ in data["asked"]]
    assert data["words"][data["best"][asked.index("phone")]][0] == "phone"
    ranked = next(one for one in comparison.reranked[0].ranked if one.hit.chunk.document == "heat.md")
    assert ranked.score is not None
    assert f"Relevance {ranked.score.relevance:.2f} is the mean" in data["reading"][0]


def test_a_cross_encoder_is_explained_by_the_sentence_that_costs_most(app: App, comparison: Comparison) -> None:
    data = shown(draw(app, comparison, 1, "heat.md"))
    assert "The shades are those of late interaction" in data["cautions"][0]
    worst = [one["worst"] for one in data["sentences"]]
    # Of how, do, i, cool, a, hot, phone and ?, the first sentence has hot and phone, the last cool.
    assert worst == [True, False, False]
    assert data["removal"].startswith("Without the marked sentence, ")


def test_what_takes_long_is_done_when_it_is_asked_for(
    app: App, comparison: Comparison, tmp_path: Path, word_overlap_folder: Path
) -> None:
    with open_library(offline_settings(tmp_path, rerank_model=str(word_overlap_folder))) as library:
        pipeline = library.pipeline
        # Loaded by no run yet, so nobody knows how long a run takes.
        _, report = pipeline.rerankers.reranker()
        other = assemble(pipeline, library, DataFolderLock(tmp_path))
        after = replace(comparison.reranked[1], reranker=report)
        page = draw(other, Comparison(comparison.fused, (after,)), 0, "heat.md")
        assert shown(page)["sentences"] == []
        assert page.button[0].label == "Which sentence counts most?"
        page.button[0].click().run()
        assert not page.exception
        assert len(shown(page)["sentences"]) == 3


def test_for_a_service_the_match_is_shown_and_no_request_is_made(app: App, comparison: Comparison) -> None:
    report = RerankReport(RerankerIdentity.parse("cohere:rerank-v3.5"), "on")
    paid = Comparison(comparison.fused, (replace(comparison.reranked[1], reranker=report),))
    page = draw(app, paid, 0, "heat.md")
    data = shown(page)
    assert not page.button
    assert "one more request to cohere:rerank-v3.5" in data["notes"][0]
    assert "late interaction" in data["cautions"][0]


def test_a_colbert_model_is_explained_by_its_own_match(app: App, comparison: Comparison, tmp_path: Path) -> None:
    after = replace(comparison.reranked[0], reranker=colbert(app, tmp_path))
    data = shown(draw(app, Comparison(comparison.fused, (after,)), 0, "heat.md"))
    assert (data["cautions"], data["removal"]) == ([], "")
    assert any("marks that the model adds" in text for text in data["reading"])


def test_a_passage_that_cannot_be_explained_is_shown_with_the_reason(
    app: App, comparison: Comparison, tmp_path: Path
) -> None:
    after = replace(comparison.reranked[0], reranker=colbert(app, tmp_path))
    (tmp_path / "colbertv2.0" / "model.onnx").write_bytes(b"damaged")
    page = draw(app, Comparison(comparison.fused, (after,)), 0, "hostile.txt")
    assert not page.get("bidi_component")
    assert [text.value for text in page.text] == [TEXTS["hostile.txt"]]
    assert "This cannot be explained: " in page.caption[0].value


def colbert(app: App, folder: Path) -> RerankReport:
    """Return the report of a tiny ColBERT model that is known and not loaded yet."""
    build_random_model(PRESETS["tiny-colbert"], folder / "colbertv2.0")
    _, report = app.pipeline.rerankers.reranker(str(folder / "colbertv2.0"))
    return report
