"""The chat page without a browser: versions, edits, ratings, the search, and every state that a turn can be in."""

from __future__ import annotations

import io
import sqlite3
import threading
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Expander

from rag.answer.writer import AnswerStream
from rag.database.feedback import ANSWER, Rating
from rag.database.lock import DataFolderLock
from rag.language.message import verbatim
from rag.llm.base import Piece
from rag.types import Answer, Filter, SearchOptions, Stage, StageTiming, Turn
from service.app import App, assemble
from service.writing import TurnKeeper, Writing
from tests.llm_providers import CASES
from tests.llm_server import LlmServer, Reply, Request
from tests.parts import ingest, offline_settings, open_library
from tests.waiting import wait_until
from ui.chat.asking import Asking
from ui.chat.conversation_list import highlight

NEAR_DAYS = ["Today", "Yesterday", "Previous 7 days"]
QUESTION = "Which drinks raise blood sugar?"
TEXTS = {
    "sugar.txt": "Sugary drinks raise blood sugar quickly.",
    "heat.md": "Take the hot phone out of the sun and switch it off until it has cooled.",
    "pump.md": "Let the pump cool down for twenty minutes.",
}


def draw_chat(app: object) -> None:
    # Streamlit runs this as a script of its own, which knows no names from above.
    import streamlit as st

    from ui.chat.page import show_chat

    st.session_state["library_page"] = st.Page(lambda: None, title="Library", url_path="library")
    show_chat(app)  # type: ignore[arg-type]


@contextmanager
def open_app(data: Path, **changes: Any) -> Iterator[App]:
    settings = offline_settings(data, collection="notes", rerank_candidates=10, rerank_top=2, **changes)
    with open_library(settings) as library:
        for name, text in TEXTS.items():
            ingest(library, "notes", name, text)
        yield assemble(library.pipeline, library, DataFolderLock(data))


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with open_app(tmp_path_factory.mktemp("data")) as app:
        yield app


@pytest.fixture
def app(opened: App) -> App:
    """The app without a conversation."""
    for conversation in opened.history.conversations():
        opened.history.delete_conversation(conversation.id)
    return opened


def open_page(app: App, **address: str) -> AppTest:
    page = AppTest.from_function(draw_chat, kwargs={"app": app}, default_timeout=30)
    for name, value in address.items():
        page.query_params[name] = value
    return checked(page.run())


def checked(page: AppTest) -> AppTest:
    assert not page.exception
    return page


def ask(page: AppTest, question: str) -> AppTest:
    page.chat_input[0].set_value(question)
    return answered(page.run())


def press(page: AppTest, key: str) -> AppTest:
    return answered(page.button(key=key).click().run())


def answered(page: AppTest) -> AppTest:
    """Look on until nothing is being answered any more."""
    while [button for button in checked(page).button if button.label == "Stop"]:
        page.run()
    return page


def turns(app: App) -> tuple[Turn, ...]:
    (conversation,) = app.history.conversations()
    found = app.history.conversation(conversation.id)
    assert found is not None
    return found.turns


def said(page: AppTest) -> str:
    kinds = ("caption", "text", "error", "info", "warning", "title")
    return "\n".join(element.value for kind in kinds for element in page.get(kind))


def test_a_new_chat_says_where_answers_come_from(app: App) -> None:
    page = open_page(app)
    assert "What do you want to know?" in said(page)
    assert "Answers come from the documents in “notes”" in said(page)


def test_an_empty_collection_says_what_to_do_first_or_what_is_on_its_way(app: App) -> None:
    app.library.add_file("empty", "later.txt", io.BytesIO(b"Not ingested yet."))
    try:
        page = open_page(app, collection="empty")
        assert "1 file is still on its way into “empty”" in said(page)
        ask(page, QUESTION)
        assert "1 file is on its way. Ask again when it is there." in said(page)
        (job,) = app.library.jobs.jobs_of("empty")
        app.library.jobs.cancel_job(job.id)
        assert "There are no documents in it yet" in said(open_page(app, collection="empty"))
    finally:
        app.library.drop_collection("empty")


def test_the_address_of_a_deleted_conversation_says_that_it_is_gone(app: App) -> None:
    assert "no longer there: it was deleted" in said(open_page(app, conversation="99"))


def test_an_answer_is_drawn_with_what_can_be_done_about_it(app: App) -> None:
    page = ask(open_page(app), QUESTION)
    assert "Sugary drinks raise blood sugar quickly. [1]" in said(page)
    assert "Quoted from your documents" in said(page)
    (turn,) = turns(app)
    assert turn.options == SearchOptions("notes", None, 10, 2)
    assert [thumbs.value for thumbs in page.get("feedback")] == [None, None]
    assert "Earlier" not in [button.label for button in page.button]


def labels(page: AppTest) -> set[str]:
    return {button.label for button in page.button}


def test_what_is_not_in_the_documents_is_said_with_buttons_for_what_to_do(app: App) -> None:
    page = ask(open_page(app), "Who won the football world cup in 1998?")
    assert "The answer is not in your documents." in said(page)
    assert {"Add documents", "Set up a language model"} <= labels(page)
    (turn,) = turns(app)
    press(page, f"turn-{turn.id}-set-up")
    assert "LLM_MODEL=" in page.code[0].value


def test_a_follow_up_without_a_language_model_is_said_to_be_searched_as_it_is_written(app: App) -> None:
    page = ask(open_page(app), QUESTION)
    assert "searched for as it is written" not in said(page)
    page = ask(page, "How long must the pump cool down?")
    assert "searched for as it is written" in said(page)
    assert [button.label for button in page.button].count("Set up a language model") == 1


def test_a_filter_that_found_nothing_is_named_and_all_documents_are_a_press_away(app: App) -> None:
    page = open_page(app)
    checked(page.multiselect(key="search-only-notes").set_value(["heat.md", "pump.md"]).run())
    ask(page, QUESTION)
    assert "The answer is not in the 2 documents that were searched: heat.md, pump.md." in said(page)
    (turn,) = turns(app)
    press(page, f"turn-{turn.id}-all")
    assert "Sugary drinks raise blood sugar quickly. [1]" in said(page)
    assert "2 of 2" in said(page)


def test_a_chosen_document_stays_chosen_when_it_is_replaced_and_is_missed_when_it_is_gone(app: App) -> None:
    ingest(app.library, "notes", "price.txt", "The small box costs 10 EUR.")
    try:
        page = open_page(app)
        checked(page.multiselect(key="search-only-notes").set_value(["price.txt"]).run())
        ask(page, "What does the small box cost?")
        assert "10 EUR" in said(page)
        ingest(app.library, "notes", "price.txt", "The small box costs 11 EUR from May on.")
        (first,) = turns(app)
        page.session_state[f"turn-{first.id}-answer-again"] = True
        checked(page.run())
        assert "Searching only in 1 document" in said(page)
        assert "Replaced since this answer, and searched in the new version: price.txt." in said(page)
        press(page, f"turn-{first.id}-answer-now")
        assert "11 EUR" in said(page)
        (new,) = (entry.id for entry in app.library.documents("notes") if entry.name == "price.txt")
        app.library.delete_document("notes", new)
        checked(page.run())
        assert "No longer there, and still chosen: price.txt." in said(page)
        ask(page, "What does the small box cost?")
        assert "limited to price.txt, which is no longer in 'notes'" in said(page)
        press(page, "choose-all")
        assert page.multiselect(key="search-only-notes").value == []
        assert "No longer there" not in said(page)
    finally:
        for entry in app.library.documents("notes"):
            if entry.name == "price.txt":
                app.library.delete_document("notes", entry.id)


def test_an_answer_made_while_files_were_on_their_way_says_so_and_offers_another(app: App) -> None:
    question = "What does the large crate cost?"
    job = app.library.add_file("notes", "crate.txt", io.BytesIO(b"The large crate costs 20 EUR."))
    try:
        page = open_page(app)
        assert "1 file is still on its way into “notes”" in said(page)
        ask(page, question)
        assert "The answer is not in the documents that were there when it was asked." in said(page)
        assert "1 is still on its way." in said(page)
        (turn,) = turns(app)
        assert f"turn-{turn.id}-with-awaited" not in {button.key for button in page.button}
        while app.library.run_next():
            pass
        checked(page.run())
        assert "They have come to their end: answer again." in said(page)
        press(page, f"turn-{turn.id}-with-awaited")
        assert "The large crate costs 20 EUR. [1]" in said(page)
        assert "on its way" not in said(page)
    finally:
        app.library.delete_document("notes", job.document_id)


def draw_reranking(app: object, first: object) -> None:
    import streamlit as st

    from ui.chat.search_options import choose_reranking

    st.session_state["chosen"] = choose_reranking(app, first, "again-")  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class LaterOptions(SearchOptions):
    """Options with a field that no control here knows of."""

    expand: bool = False


def test_what_is_not_set_by_the_controls_of_reranking_stays_as_it_was(app: App) -> None:
    first = LaterOptions("notes", "none", 10, 2, Filter(("d",)), expand=True)
    page = AppTest.from_function(draw_reranking, kwargs={"app": app, "first": first}, default_timeout=30)
    checked(page.run())
    checked(page.slider(key="again-top").set_value(1).run())
    assert page.session_state["chosen"] == replace(first, top=1)


def test_an_answer_again_is_searched_for_in_the_same_documents(app: App) -> None:
    within = Filter(
        tuple(entry.id for entry in app.library.documents("notes") if entry.name == "sugar.txt"), ("sugar.txt",)
    )
    page = open_page(app)
    page.session_state["asking"] = Asking(QUESTION, SearchOptions("notes", None, 10, 2, within))
    answered(page.run())
    (first,) = turns(app)
    page.session_state[f"turn-{first.id}-answer-again"] = True
    checked(page.run())
    checked(page.slider(key=f"turn-{first.id}-again-top").set_value(1).run())
    press(page, f"turn-{first.id}-answer-now")
    (second,) = turns(app)
    assert second.options == SearchOptions("notes", None, 10, 1, within)


def test_an_answer_with_other_settings_is_another_version_and_the_earlier_one_stays(app: App) -> None:
    page = ask(open_page(app), QUESTION)
    (first,) = turns(app)
    page.session_state["asking"] = Asking(QUESTION, SearchOptions("notes", "none", 10, 1), instead_of=first)
    answered(page.run())
    (second,) = turns(app)
    assert second.versions == (first.id, second.id)
    assert second.retrieval is not None
    assert second.retrieval.reranker.state == "off"
    assert len(second.retrieval.kept) == 1
    assert "2 of 2" in said(page)
    press(page, f"turn-{second.id}-earlier")
    assert turns(app) == (replace(first, versions=(first.id, second.id)),)
    assert "1 of 2" in said(page)


def test_an_edited_question_takes_the_place_of_the_earlier_one_and_what_followed_can_be_brought_back(app: App) -> None:
    page = ask(ask(open_page(app), QUESTION), "How long must the pump cool down?")
    first, _ = turns(app)
    press(page, f"turn-{first.id}-edit")
    page.text_area[0].set_value("How is a hot phone cooled?")
    answered(next(button for button in page.button if button.label == "Send").click().run())
    (edited,) = turns(app)
    assert edited.question == "How is a hot phone cooled?"
    press(page, f"turn-{edited.id}-earlier")
    assert [turn.question for turn in turns(app)] == [QUESTION, "How long must the pump cool down?"]


def test_an_edit_can_be_cancelled_and_an_empty_question_is_not_sent(app: App) -> None:
    page = ask(open_page(app), QUESTION)
    (turn,) = turns(app)
    press(page, f"turn-{turn.id}-edit")
    page.text_area[0].set_value("   ")
    answered(next(button for button in page.button if button.label == "Send").click().run())
    assert page.text_area
    press(page, f"turn-{turn.id}-cancel")
    assert not page.text_area
    assert turns(app) == (turn,)


def test_thumbs_and_a_reason_are_kept_at_once_and_can_be_taken_back(app: App) -> None:
    page = ask(open_page(app), QUESTION)
    (turn,) = turns(app)
    (conversation,) = app.history.conversations()

    def rate(key: str, thumb: int | None) -> None:
        checked(next(one for one in page.get("feedback") if one.key == f"{key}-thumb").set_value(thumb).run())

    rate(f"turn-{turn.id}", 0)
    checked(page.selectbox(key=f"turn-{turn.id}-reason").set_value("Incomplete").run())
    rate(f"turn-{turn.id}-source-1", 1)
    assert turn.answer is not None
    source = turn.answer.citations[0].chunk_id
    assert app.feedback.of_conversation(conversation.id) == {
        (turn.id, ANSWER): Rating("down", "Incomplete"),
        (turn.id, source): Rating("up"),
    }
    again = open_page(app, conversation=str(conversation.id))
    assert sorted(thumbs.value for thumbs in again.get("feedback")) == [0, 1]
    rate(f"turn-{turn.id}", None)
    assert app.feedback.of_conversation(conversation.id) == {(turn.id, source): Rating("up")}


def test_a_tab_that_was_open_before_does_not_undo_what_another_has_rated(app: App) -> None:
    page = ask(open_page(app), QUESTION)
    (turn,) = turns(app)
    app.feedback.rate(turn.id, ANSWER, "down", "Wrong")
    checked(page.run())
    assert next(one for one in page.get("feedback") if one.key == f"turn-{turn.id}-thumb").value == 0
    assert [row.reason for row in app.feedback.rows()] == ["Wrong"]


def test_the_search_finds_a_conversation_by_its_answer_and_opens_the_version_it_is_in(app: App) -> None:
    page = ask(open_page(app), QUESTION)
    (first,) = turns(app)
    app.history.keep_question(first.conversation_id, "Something else", instead_of=first.id)
    page.text_input(key="conversation-search").set_value("QUICKLY").run()
    assert "raise blood sugar **quickly**" in said(checked(page))
    press(page, f"open-{first.conversation_id}")
    assert [turn.id for turn in turns(app)] == [first.id]
    page.text_input(key="conversation-search").set_value("no such word").run()
    assert "Nothing found" in said(checked(page))


@pytest.mark.parametrize(
    ("text", "wanted", "shown"),
    [
        ("Sugar and sugars", "SUGAR", "**Sugar** and **sugar**s"),
        ("会升高血糖吗", "血糖", "会升高**血糖**吗"),
        ("a *b* [c](d)", "b", r"a \***b**\* \[c\]\(d\)"),
        ("[x] and y", "[x]", r"**\[x\]** and y"),
        ("as it is", "", "as it is"),
    ],
)
def test_what_is_searched_for_is_in_bold_and_everything_else_as_it_is(text: str, wanted: str, shown: str) -> None:
    assert highlight(text, wanted) == shown


def listed(page: AppTest) -> list[str]:
    return [button.label for button in page.button if (button.key or "").startswith("open-")]


def choose(page: AppTest, conversation_id: int, action: str) -> AppTest:
    return checked(page.menu_button(key=f"menu-{conversation_id}").click(action).run())


def test_only_the_last_conversations_are_listed_and_more_each_time_that_more_are_asked_for(app: App) -> None:
    titles = [f"Number {number}" for number in range(65)]
    for title in titles:
        app.history.start_conversation(title, "notes")
    page = open_page(app)
    assert listed(page) == titles[:-31:-1]
    press(page, "show-more")
    assert listed(page) == titles[:-61:-1]
    press(page, "show-more")
    assert listed(page) == titles[::-1]
    assert "show-more" not in [button.key for button in page.button]


def test_conversations_stand_under_the_day_or_the_month_of_their_last_use(app: App) -> None:
    today = datetime.now(UTC).date()
    expected = []
    # The earliest first, as their ids go; several days of a group have one heading.
    for days in (800, 400, 8, 7, 2, 1, 0):
        conversation_id = app.history.start_conversation(f"{days} days", "notes")
        used = datetime.combine(today - timedelta(days), time(0, 0), UTC)
        with closing(sqlite3.connect(app.settings.data_dir / "history.sqlite")) as db, db:
            db.execute("UPDATE conversations SET updated_at = ? WHERE id = ?", (used.isoformat(), conversation_id))
        if days >= 8:
            expected.append(f"{used:%B %Y}")
    page = open_page(app)
    headings = [one.value for one in page.sidebar.caption if one.value in {*NEAR_DAYS, *expected}]
    assert headings == [*NEAR_DAYS, *expected[::-1]]


def test_a_deleted_conversation_is_out_of_the_list_and_undo_brings_it_back(app: App) -> None:
    kept, deleted = (app.history.start_conversation(title, "notes") for title in ("Kept", "*Deleted*"))
    page = choose(open_page(app, conversation=str(kept)), deleted, "delete")
    assert listed(page) == ["Kept"]
    assert "“*Deleted*” was deleted." in said(page)
    assert page.query_params["conversation"] == str(kept)
    press(page, "conversations-undo")
    assert listed(page) == [r"\*Deleted\*", "Kept"]
    assert "conversations-undo" not in [button.key for button in page.button]


def test_deleting_the_open_conversation_begins_a_new_chat_and_undo_opens_it_again(app: App) -> None:
    page = ask(open_page(app), QUESTION)
    (conversation,) = app.history.conversations()
    choose(page, conversation.id, "delete")
    assert "What do you want to know?" in said(page)
    assert "conversation" not in page.query_params
    press(page, "conversations-undo")
    assert "Sugary drinks raise blood sugar quickly. [1]" in said(page)
    assert page.query_params["conversation"] == str(conversation.id)


def test_what_was_deleted_for_good_meanwhile_cannot_come_back_and_says_so(app: App) -> None:
    conversation_id = app.history.start_conversation("One", "notes")
    page = choose(open_page(app), conversation_id, "delete")
    app.history.purge()
    press(page, "conversations-undo")
    assert "cannot be brought back any more" in page.error[0].value
    assert "Your conversations will be listed here." in said(page)


def test_a_stopped_question_and_an_error_can_be_asked_again_in_their_place(app: App) -> None:
    conversation_id = app.history.start_conversation(QUESTION, "notes")
    turn_id = app.history.keep_question(conversation_id, QUESTION)
    page = open_page(app, conversation=str(conversation_id))
    assert "stopped before it was answered" in said(page)
    app.history.keep_error(turn_id, verbatim("The disk is *full*: make room."))
    checked(page.run())
    assert page.error[0].value.startswith(r"The disk is \*full\*")
    press(page, f"turn-{turn_id}-again")
    (turn,) = turns(app)
    assert turn.answer is not None
    assert turn.versions == (turn_id, turn.id)


def test_an_answer_that_another_tab_began_is_looked_on_and_stopped_from_here(app: App) -> None:
    gate = threading.Event()

    def pieces() -> Generator[Piece, None, Answer]:
        yield Piece("Sugary ")
        assert gate.wait(60)
        yield Piece("drinks")
        return Answer("Sugary drinks.", "llm")

    conversation_id = app.history.start_conversation(QUESTION, "notes")
    turn_id = app.history.keep_question(conversation_id, QUESTION)
    writing = Writing(AnswerStream(pieces()), TurnKeeper(app.history, turn_id))
    app.answerings.begin(turn_id, lambda observe: writing)
    wait_until(lambda: writing.text)
    page, other = (open_page(app, conversation=str(conversation_id)) for _ in range(2))
    for tab in (page, other):
        assert "Sugary" in said(tab)
        assert not {"Ask again", "Edit"} & {button.label for button in tab.button}
    press(page, f"turn-{turn_id}-stop")
    assert "The answer was stopped before it was complete." in said(page)
    assert said(checked(other.run())) == said(page)
    gate.set()


def test_a_conversation_whose_collection_is_gone_can_be_read_but_not_gone_on_with(app: App) -> None:
    conversation_id = app.history.start_conversation(QUESTION, "dropped")
    turn_id = app.history.keep_question(conversation_id, QUESTION)
    app.history.keep_answer(turn_id, Answer("Sugary drinks.", "extractive"))
    page = open_page(app, conversation=str(conversation_id))
    assert "Sugary drinks." in said(page)
    assert "The collection of this conversation is gone" in said(page)
    assert not page.chat_input
    assert not {"Edit", "Ask again"} & {button.label for button in page.button}
    checked(next(button for button in page.button if button.label == "Begin a new chat").click().run())
    assert "What do you want to know?" in said(page)


def test_the_list_of_ratings_shows_them_or_says_where_thumbs_are(app: App) -> None:
    page = ask(open_page(app), QUESTION)
    press(page, "ratings")
    assert "Nothing is rated yet" in said(page)
    (turn,) = turns(app)
    app.feedback.rate(turn.id, ANSWER, "down", "Wrong")
    press(page, "ratings")
    (row,) = page.dataframe[0].value.to_dict("records")
    assert (row["Rating"], row["Of"], row["Reason"], row["Question"]) == ("poor", "answer", "Wrong", QUESTION)


def test_with_a_language_model_the_same_passages_are_read_again_without_a_search(tmp_path: Path) -> None:
    with (
        LlmServer(Reply(("Sugary drinks [1].",)), Reply(("Soft drinks [1].",))) as llm,
        open_app(tmp_path, llm_base_url=llm.base_url, llm_model="test-model") as app,
    ):
        page = ask(open_page(app), QUESTION)
        (first,) = turns(app)
        page.session_state["asking"] = Asking(QUESTION, first.options, instead_of=first)
        answered(page.run())
        (second,) = turns(app)
        assert second.answer is not None
        assert second.answer.text == "Soft drinks [1]."
        assert second.retrieval == first.retrieval


def test_a_language_model_that_fails_half_way_leaves_what_it_wrote_and_a_way_on(tmp_path: Path) -> None:
    with (
        LlmServer(Reply(("Sugary drinks [1] ", "and"), ending="drop"), Reply(("Sugary drinks [1].",))) as llm,
        open_app(tmp_path, llm_base_url=llm.base_url, llm_model="test-model") as app,
    ):
        page = ask(open_page(app), QUESTION)
        (turn,) = turns(app)
        assert "Sugary drinks [1] and" in said(page)
        assert "The answer was stopped before it was complete." in said(page)
        assert page.warning
        press(page, f"turn-{turn.id}-again")
        assert "Sugary drinks [1]." in said(page)


def thoughts(page: AppTest) -> list[Expander]:
    return [fold for fold in page.expander if fold.label.startswith(("Thinking", "Thought"))]


def test_what_the_model_thinks_is_folded_beside_the_answer_while_it_thinks_and_after(app: App) -> None:
    gates = [threading.Event(), threading.Event()]

    def pieces() -> Generator[Piece, None, Answer]:
        yield Piece("Source [7]? *No*.", thinking=True)
        assert gates[0].wait(60)
        yield Piece("Sugary ")
        assert gates[1].wait(60)
        times = (StageTiming(Stage.THINK, 8_200),)
        return Answer("Sugary drinks.", "llm", timings=times, thinking="Source [7]? *No*.")

    def shown(label: str, text: str) -> bool:
        page = open_page(app, conversation=str(conversation_id))
        (fold,) = thoughts(page)
        assert [element.value for element in fold.text] == ["Source [7]? *No*."]
        return fold.label.startswith(label) and text in said(page)

    conversation_id = app.history.start_conversation(QUESTION, "notes")
    turn_id = app.history.keep_question(conversation_id, QUESTION)
    writing = Writing(AnswerStream(pieces()), TurnKeeper(app.history, turn_id))
    answering = app.answerings.begin(turn_id, lambda observe: writing)
    wait_until(lambda: writing.thinking)
    assert shown("Thinking…", QUESTION)
    gates[0].set()
    wait_until(lambda: writing.text)
    assert shown("Thought for ", "Sugary")
    gates[1].set()
    assert answering.wait(60)
    assert shown("Thought for 8 s", "Sugary drinks.")


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[App, LlmServer]]:
    """The app with a language model that says what a test has it say."""
    with (
        LlmServer(Reply(("Sugary drinks [1].",))) as llm,
        open_app(tmp_path_factory.mktemp("talking"), llm_base_url=llm.base_url, llm_model="tiny") as app,
    ):
        ingest(app.library, "notes", "room.md", "The server room was audited in March.")
        yield app, llm


def follow_up(talking: tuple[App, LlmServer], first: Answer, *replies: Reply) -> tuple[AppTest, Turn, list[Request]]:
    """Ask a second question after an answer; return the page, the second turn, and what the model was asked."""
    app, llm = talking
    conversation_id = app.history.start_conversation(QUESTION, "notes")
    app.history.keep_answer(app.history.keep_question(conversation_id, QUESTION), first)
    llm.answer_with(*replies)
    before = len(llm.requests)
    page = ask(open_page(app, conversation=str(conversation_id)), "Do sugary drinks raise blood sugar quickly?")
    found = app.history.conversation(conversation_id)
    assert found is not None
    return page, found.turns[-1], llm.requests[before:]


def test_thinking_is_in_no_prompt_and_no_title(talking: tuple[App, LlmServer]) -> None:
    first = Answer("Sugary drinks [1].", "llm", thinking="A secret thought.")
    thought = Reply(("<think>A secret thought.</think>", "Which drinks raise it slowly?"))
    page, turn, requests = follow_up(talking, first, thought, Reply(("<think>A secret thought.</think>Soft [1].",)))
    rewriting, answering = (str(request.body) for request in requests)
    assert "Which drinks raise it slowly?" in answering
    assert "secret" not in rewriting + answering
    assert turn.answer is not None
    assert (turn.answer.text, turn.answer.thinking) == ("Soft [1].", "A secret thought.")
    assert "secret" not in " ".join(one.title for one in talking[0].history.conversations())
    assert [fold.label for fold in thoughts(page)] == ["Thought for less than a second"] * 2


def test_a_reply_that_is_only_thinking_has_the_best_sentences_in_its_place(talking: tuple[App, LlmServer]) -> None:
    page, turn, _ = follow_up(talking, Answer("Sugary drinks.", "llm"), Reply(("<think>Source [1]",)))
    assert turn.answer is not None
    assert (turn.answer.mode, turn.answer.thinking) == ("extractive", "Source [1]")
    assert "tiny only thought aloud and gave no answer" in page.warning[0].value
    assert [fold.label for fold in thoughts(page)] == ["Thought for less than a second"]


ODD = (
    "no closing mark",
    "only reasoning",
    "typed parts",
    "dropped",
    "half an event",
    "error as its reason to end, and nothing else",
    "a tool call",
    "no choices",
    "a page",
    "an error of another shape",
    "details",
)
"""One of each kind; the others are tried by the slow tests."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in ODD else pytest.mark.slow, id=name) for name in CASES]
)
def test_an_odd_reply_in_a_follow_up_never_breaks_the_page(talking: tuple[App, LlmServer], name: str) -> None:
    page, turn, requests = follow_up(talking, Answer("Sugary drinks [1].", "llm"), CASES[name].sends)
    assert turn.retrieval is not None
    assert len(requests) >= len(("rewriting", "answering")) or not turn.retrieval.supported
    assert turn.answer is not None
    assert turn.answer.text
    assert not turn.error
    assert bool(page.warning) == bool(turn.answer.warnings)
    assert turn.answer.text.split("\n")[0] in said(page)
