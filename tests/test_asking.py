"""A question in a conversation, asked without any page: kept first, then found, told as it goes, answered and kept."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rag.database.lock import DataFolderLock
from rag.errors import CancelledError
from rag.language.message import NOTHING
from rag.types import Conversation, Filter, Retrieval, SearchOptions, Turn
from service.answering import Found, Observer, Reranking, Searching, Stage, Understanding, Waiting
from service.app import App, assemble
from service.asking import answer, ask, begin_answer, found_before
from service.writing import UNEXPECTED, Writing
from tests.llm_server import LlmServer, Reply
from tests.parts import ingest, offline_settings, open_library

QUESTION = "Which drinks raise blood sugar?"
TEXTS = {
    "sugar.txt": "Sugary drinks raise blood sugar quickly.",
    "heat.md": "Take the hot phone out of the sun and switch it off until it has cooled.",
    "pump.md": "Let the pump cool down for twenty minutes.",
}
OPTIONS = SearchOptions("notes", None, candidates=10, top=2)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    data = tmp_path_factory.mktemp("data")
    with open_library(offline_settings(data)) as library:
        for name, text in TEXTS.items():
            ingest(library, "notes", name, text)
        yield assemble(library.pipeline, library, DataFolderLock(data))


@pytest.fixture
def app(opened: App) -> App:
    """The app without a conversation."""
    for conversation in opened.history.conversations():
        opened.history.delete_conversation(conversation.id)
    return opened


def kept(app: App) -> Conversation:
    """Return the one conversation."""
    (listed,) = app.history.conversations()
    conversation = app.history.conversation(listed.id)
    assert conversation is not None
    return conversation


def last(app: App) -> Turn:
    return kept(app).turns[-1]


def finished(writing: Writing | None) -> str:
    assert writing is not None
    writing.write()
    return writing.text


def test_a_question_is_kept_before_anything_is_done_about_it(app: App) -> None:
    asked = ask(app, QUESTION, OPTIONS)
    assert (kept(app).id, last(app).id) == (asked.conversation_id, asked.turn_id)
    assert (last(app).question, last(app).options) == (QUESTION, OPTIONS)
    assert last(app).retrieval is last(app).answer is None


def test_the_stages_are_told_in_their_order_and_what_was_found_is_kept_when_it_is_told(app: App) -> None:
    told: list[Stage] = []
    kept_by_then: list[Retrieval | None] = []

    def observe(stage: Stage) -> None:
        told.append(stage)
        kept_by_then.append(last(app).retrieval)

    text = finished(answer(app, ask(app, QUESTION, OPTIONS), observe))
    found = last(app).retrieval
    assert found is not None
    assert told == [Understanding(), Searching(), Reranking(len(found.hits)), Found(found)]
    assert kept_by_then == [None, None, None, found]
    turn = last(app)
    assert turn.answer is not None
    assert turn.answer.text == text
    assert "Sugary drinks" in text
    assert len(found.kept) == OPTIONS.top


def test_a_stop_at_any_stage_leaves_the_question_as_it_was_kept(app: App) -> None:
    def stop(stage: Stage) -> None:
        if isinstance(stage, Reranking):
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        answer(app, ask(app, QUESTION, OPTIONS), stop)
    turn = last(app)
    assert (turn.question, turn.retrieval, turn.answer, turn.error) == (QUESTION, None, None, NOTHING)


def test_what_fails_is_kept_as_what_became_of_the_question(app: App) -> None:
    assert answer(app, ask(app, QUESTION, replace(OPTIONS, collection="nowhere"))) is None
    assert "nowhere" in str(last(app).error)

    def fail(stage: Stage) -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError):
        answer(app, ask(app, QUESTION, OPTIONS, kept(app)), fail)
    assert last(app).error == UNEXPECTED


def test_an_answer_is_made_and_kept_though_nobody_looks_on(app: App) -> None:
    asked = ask(app, QUESTION, OPTIONS)
    answering = begin_answer(app, asked)
    assert answering.wait(60)
    assert not answering.going
    assert app.answerings.of(asked.turn_id) is None
    turn = last(app)
    assert turn.answer is not None
    assert "Sugary drinks" in turn.answer.text
    assert answering.stage == Found(turn.retrieval)


def test_a_question_waits_for_the_answer_before_it_and_reads_it(app: App) -> None:
    first = ask(app, QUESTION, OPTIONS)
    gate, told = threading.Event(), list[Stage]()

    def held(observe: Observer) -> Writing | None:
        gate.wait(60)
        return answer(app, first, observe)

    app.answerings.begin(first.turn_id, held)
    second = ask(app, "How long must the pump cool down?", OPTIONS, kept(app))

    def observe(stage: Stage) -> None:
        told.append(stage)
        gate.set()

    finished(answer(app, second, observe))
    assert told[0] == Waiting()
    assert [turn.answer is not None for turn in kept(app).turns] == [True, True]
    before = app.history.turns_before(second.turn_id, 3)
    assert [turn.id for turn in before] == [first.turn_id]
    assert before[0].answer is not None


def test_a_stop_is_at_once_also_in_the_midst_of_a_search_and_what_waits_for_it_goes_on(app: App) -> None:
    first = ask(app, QUESTION, OPTIONS)
    gate = threading.Event()

    def held(observe: Observer) -> Writing | None:
        gate.wait(60)
        return answer(app, first, observe)

    answering = app.answerings.begin(first.turn_id, held)
    second = begin_answer(app, ask(app, QUESTION, OPTIONS, kept(app)))
    answering.stop()
    assert not answering.going
    assert second.wait(60)
    gate.set()
    stopped, answered = kept(app).turns
    assert (stopped.retrieval, stopped.answer, stopped.error) == (None, None, NOTHING)
    assert answered.answer is not None


def test_asking_in_place_of_a_turn_stops_its_answer(app: App) -> None:
    first, gate = ask(app, QUESTION, OPTIONS), threading.Event()

    def held(observe: Observer) -> Writing | None:
        gate.wait(60)
        return answer(app, first, observe)

    answering = app.answerings.begin(first.turn_id, held)
    asked = ask(app, "How is a hot phone cooled?", OPTIONS, kept(app), instead_of=last(app))
    assert not answering.going
    gate.set()
    finished(answer(app, asked))
    assert last(app).versions == (first.turn_id, asked.turn_id)


def test_closing_ends_what_is_being_answered(app: App) -> None:
    first, gate = ask(app, QUESTION, OPTIONS), threading.Event()

    def held(observe: Observer) -> Writing | None:
        gate.wait(60)
        observe(Searching())
        raise AssertionError("went on")

    answering = app.answerings.begin(first.turn_id, held)
    app.answerings.close()
    assert not answering.going
    gate.set()
    assert last(app).answer is None


def test_a_follow_up_is_rewritten_by_what_came_before_and_told_as_being_understood(tmp_path: Path) -> None:
    rewritten = "How long must the pump cool down?"
    with LlmServer(Reply(("Sugary drinks [1].",)), Reply((rewritten,)), Reply(("Twenty minutes [1].",))) as llm:
        settings = offline_settings(tmp_path, llm_base_url=llm.base_url, llm_model="m", history_turns=3)
        with open_library(settings) as library:
            ingest(library, "notes", "pump.md", TEXTS["pump.md"])
            ingest(library, "notes", "sugar.txt", TEXTS["sugar.txt"])
            app = assemble(library.pipeline, library, DataFolderLock(tmp_path))
            finished(answer(app, ask(app, QUESTION, OPTIONS)))
            told: list[Stage] = []
            asked = ask(app, "And how long for it?", OPTIONS, kept(app))
            assert finished(answer(app, asked, told.append)) == "Twenty minutes [1]."
    turn = last(app)
    assert turn.retrieval is not None
    assert (turn.question, turn.retrieval.question) == ("And how long for it?", rewritten)
    assert isinstance(told[0], Understanding)
    assert QUESTION in str(llm.requests[1].body)


def test_a_turn_that_is_asked_again_reads_what_was_found_and_stays_as_another_version(app: App) -> None:
    finished(answer(app, ask(app, QUESTION, OPTIONS)))
    first, conversation = last(app), kept(app)
    told: list[Stage] = []
    asked = ask(app, QUESTION, OPTIONS, conversation, instead_of=first)
    finished(answer(app, asked, told.append))
    assert first.retrieval is not None
    assert told == [Found(first.retrieval, again=True)]
    assert last(app).versions == (first.id, asked.turn_id)
    assert last(app).retrieval == first.retrieval


def test_other_settings_search_anew_with_the_text_that_was_searched_for(app: App) -> None:
    finished(answer(app, ask(app, QUESTION, OPTIONS)))
    told: list[Stage] = []
    asked = ask(app, QUESTION, replace(OPTIONS, reranker="none", top=1), kept(app), instead_of=last(app))
    finished(answer(app, asked, told.append))
    assert Understanding() not in told
    assert told[0] == Searching()
    retrieval = last(app).retrieval
    assert retrieval is not None
    assert (retrieval.reranker.state, len(retrieval.kept)) == ("off", 1)


def test_the_turns_before_a_question_are_those_of_its_branch_as_many_as_matter(app: App) -> None:
    asked = []
    for question in (QUESTION, "How is a hot phone cooled?", "How long must the pump cool down?"):
        listed = app.history.conversations()
        asked.append(ask(app, question, OPTIONS, app.history.conversation(listed[0].id) if listed else None).turn_id)
    assert [turn.id for turn in app.history.turns_before(asked[2], 3)] == asked[:2]
    assert [turn.id for turn in app.history.turns_before(asked[2], 1)] == asked[1:2]
    assert app.history.turns_before(asked[2], 0) == app.history.turns_before(asked[0], 3) == []
    edited = ask(app, "And a cold one?", OPTIONS, kept(app), instead_of=kept(app).turns[1])
    assert [turn.id for turn in app.history.turns_before(edited.turn_id, 3)] == asked[:1]


def test_the_same_search_is_not_made_again_until_a_document_has_changed(app: App) -> None:
    finished(answer(app, ask(app, QUESTION, OPTIONS)))
    turn = last(app)
    assert found_before(app, turn, OPTIONS) == turn.retrieval
    assert found_before(app, turn, replace(OPTIONS, candidates=9)) is None
    ingest(app.library, "notes", "new.txt", "Blood sugar rises with fruit juice.")
    try:
        assert found_before(app, turn, OPTIONS) is None
    finally:
        (new,) = [entry.id for entry in app.library.documents("notes") if entry.name == "new.txt"]
        app.library.delete_document("notes", new)
    assert turn.retrieval is not None
    (used,) = {hit.chunk.document_id for hit in turn.retrieval.hits if hit.rank == 1}
    assert used in [entry.id for entry in app.library.documents("notes")]
    first, *others = turn.retrieval.hits
    gone = replace(first, chunk=replace(first.chunk, document_id="0" * 64))
    changed = replace(turn, retrieval=replace(turn.retrieval, hits=(gone, *others)))
    assert found_before(app, changed, OPTIONS) is None


def limited_to(app: App, *names: str) -> SearchOptions:
    chosen = [entry for entry in app.library.documents("notes") if entry.name in names]
    within = Filter(tuple(entry.id for entry in chosen), tuple(entry.name for entry in chosen))
    return replace(OPTIONS, filter=within)


@pytest.fixture
def price(app: App) -> Iterator[SearchOptions]:
    """A document in the collection that a search is limited to; it is deleted at the end."""
    ingest(app.library, "notes", "price.txt", "The small box costs 10 EUR.")
    yield limited_to(app, "price.txt")
    for entry in app.library.documents("notes"):
        if entry.name in ("price.txt", "box.txt"):
            app.library.delete_document("notes", entry.id)


BOX = "What does the small box cost?"


def answer_of(app: App, options: SearchOptions, instead_of: Turn | None = None) -> str:
    conversation = kept(app) if instead_of is not None else None
    writing = answer(app, ask(app, BOX, options, conversation, instead_of))
    return finished(writing) if writing is not None else str(last(app).error)


def test_a_filter_follows_a_document_that_was_replaced(app: App, price: SearchOptions) -> None:
    assert "10 EUR" in answer_of(app, price)
    first = last(app)
    ingest(app.library, "notes", "price.txt", "The small box costs 11 EUR from May on.")
    assert "11 EUR" in answer_of(app, price, first)
    assert last(app).options == limited_to(app, "price.txt")
    assert last(app).retrieval is not None
    assert {hit.chunk.document for hit in last(app).retrieval.hits} == {"price.txt"}  # type: ignore[union-attr]


def test_a_filter_on_what_is_gone_says_so_and_searches_nothing_else(app: App, price: SearchOptions) -> None:
    app.library.delete_document("notes", price.filter.documents[0])
    said = answer_of(app, price)
    assert "limited to price.txt, which is no longer in 'notes'" in said
    assert last(app).retrieval is None
    ingest(app.library, "notes", "box.txt", "The small box costs 10 EUR.")
    assert "10 EUR" in answer_of(app, price, last(app)), "the same content under another name"
    assert last(app).options == limited_to(app, "box.txt")


def test_a_filter_of_which_a_part_is_gone_searches_the_rest_and_says_so(app: App, price: SearchOptions) -> None:
    both = limited_to(app, "price.txt", "sugar.txt")
    app.library.delete_document("notes", price.filter.documents[0])
    answer_of(app, both)
    found = last(app).retrieval
    assert found is not None
    assert {hit.chunk.document for hit in found.hits} == {"sugar.txt"}
    assert "No longer there, and so not searched: price.txt." in [str(warning) for warning in found.warnings]


def test_a_filter_on_what_is_being_indexed_anew_says_to_wait(app: App, price: SearchOptions) -> None:
    app.library.reindex("notes")
    try:
        assert "Nothing of 'notes' can be searched yet: 4 files are on their way." in answer_of(app, price)
    finally:
        while app.library.run_next():
            pass
    assert "10 EUR" in answer_of(app, price)


def test_how_many_files_were_on_their_way_is_kept_with_what_was_found(app: App) -> None:
    job = app.library.add_file("notes", "late.txt", io.BytesIO(b"The large crate costs 20 EUR."))
    try:
        finished(answer(app, ask(app, QUESTION, OPTIONS)))
        assert last(app).retrieval is not None
        assert last(app).retrieval.awaited == 1  # type: ignore[union-attr]
    finally:
        app.library.jobs.cancel_job(job.id)
    finished(answer(app, ask(app, QUESTION, OPTIONS, kept(app), instead_of=last(app))))
    assert last(app).retrieval is not None
    assert last(app).retrieval.awaited == 0  # type: ignore[union-attr]
