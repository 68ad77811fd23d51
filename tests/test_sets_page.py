"""The question sets on the scorecard page: made, uploaded, drafted, edited, and everything taken back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from rag.database.lock import DataFolderLock
from rag.evaluation.sets.drafting import KIND
from rag.evaluation.sets.targets import Target
from rag.evaluation.sets.types import QuestionSet
from service.app import App, assemble
from tests.llm_server import LlmServer, Reply
from tests.parts import ingest, offline_settings, open_library
from tests.test_set_files import BEIR, archive

HEAT = (
    "Take the hot phone out of the sun and switch it off until it has cooled. Charge it again only when it is no "
    "warmer than your hand, which may take an hour."
)


def draw_sets(app: object) -> None:
    # Streamlit runs this as a script of its own, which knows no names from above.
    from ui.scorecard.sets import show_sets

    show_sets(app)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    data = tmp_path_factory.mktemp("data")
    with open_library(offline_settings(data, collection="notes")) as library:
        ingest(library, "notes", "heat.md", HEAT)
        yield assemble(library.pipeline, library, DataFolderLock(data))


@pytest.fixture
def app(opened: App) -> App:
    for one in opened.question_sets.sets():
        opened.question_sets.delete_set(one.id)
    return opened


def drawn(app: App) -> AppTest:
    return checked(AppTest.from_function(draw_sets, kwargs={"app": app}, default_timeout=30).run())


def checked(page: AppTest) -> AppTest:
    assert not page.exception
    return page


def click(page: AppTest, key: str) -> AppTest:
    return checked(page.button(key=key).click().run())


def said(page: AppTest) -> str:
    kinds = ("caption", "markdown", "info", "error", "warning", "text")
    return " ".join([element.value for kind in kinds for element in page.get(kind)]).replace("\\", "")


def only_set(app: App) -> QuestionSet:
    (one,) = app.question_sets.sets()
    found = app.question_sets.question_set(one.id)
    assert found is not None
    return found


def test_without_a_set_the_page_says_how_to_come_to_one(app: App) -> None:
    page = drawn(app)
    assert "There is no question set yet." in said(page)
    page.text_input(key="sets-new-name-0").set_value("care").run()
    click(page, "sets-create-0")
    assert only_set(app).name == "care"
    assert "No questions are in this set yet." in said(page)


def test_a_name_that_is_taken_is_refused_with_a_sentence(app: App) -> None:
    app.question_sets.create_set("care", "notes")
    page = drawn(app)
    page.text_input(key="sets-new-name-0").set_value("care").run()
    click(page, "sets-create-0")
    assert "There is a question set called 'care' already" in page.error[0].value.replace("\\", "")
    assert page.selectbox(key="sets-chosen").options == ["care · 0 questions"]


def test_a_table_is_shown_before_it_is_taken(app: App) -> None:
    page = drawn(app)
    table = "question,document,quote\nHow?,heat.md,Take the hot phone out of the sun\n,x,\nWhere?,lost.md,\n"
    page.file_uploader[0].set_value([("mine.csv", table.encode("utf-16"), "text/csv")]).run()
    checked(page)
    assert "2 questions, 2 labelled answers" in said(page)
    assert "Rows without a question, left out: 1 (3)" in said(page)
    assert "Documents that the collection does not have, which count as not found: 1 (lost.md)" in said(page)
    assert app.question_sets.sets() == []
    click(page, "sets-take")
    taken = only_set(app)
    assert (taken.name, taken.collection, taken.size) == ("mine", "notes", 2)
    assert taken.questions[0].targets[0].document_id
    assert "1 answer is stale: its document is gone or has changed." in said(page)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("set.csv", b"text,label\na,b\n", "has no column for the questions"),
        ("set.csv", bytes(range(32)) * 40, "is not text"),
        ("set.zip", b"no archive", "The archive is damaged"),
        ("set.zip", archive({"a.txt": b"a"}), "no labelled set"),
    ],
)
def test_a_file_that_is_no_set_is_refused_and_the_rest_stays(app: App, name: str, content: bytes, message: str) -> None:
    app.question_sets.create_set("care", "notes")
    page = drawn(app)
    page.file_uploader[0].set_value([(name, content, "")]).run()
    checked(page)
    assert message in page.error[0].value.replace("\\", "")
    assert "No questions are in this set yet." in said(page)


def test_a_file_that_no_set_is_read_from_stays_with_its_reason_beside_one_that_is(app: App) -> None:
    page = drawn(app)
    files = [("mine.csv", b"question\nHow?\n", ""), ("mine.xlsx", b"PK", ""), ("photo.png", b"x", "")]
    page.file_uploader[0].set_value(files).run()
    checked(page)
    assert "1 question, 0 labelled answers" in said(page)
    assert "2 files were not taken" in said(page)
    reasons = said(page).replace("\u200b", "")
    assert "mine.xlsx cannot be read: .xlsx files are not supported. Convert it to CSV and upload that." in reasons
    assert "photo.png cannot be read: its name must end in one of .csv, .tsv" in reasons


def test_a_beir_set_is_kept_with_its_documents(app: App) -> None:
    page = drawn(app)
    page.file_uploader[0].set_value([("tiny.zip", archive(BEIR), "application/zip")]).run()
    checked(page)
    assert "It brings documents of its own (2)" in said(page)
    click(page, "sets-take")
    taken = only_set(app)
    assert taken.folder is not None
    assert (taken.folder / "corpus.jsonl").read_bytes() == BEIR["corpus.jsonl"]
    assert "with documents of its own" in said(page)


def test_an_upload_that_is_left_leaves_nothing(app: App) -> None:
    page = drawn(app)
    before = list(app.question_sets.folder.glob("*"))
    page.file_uploader[0].set_value([("tiny.zip", archive(BEIR), "application/zip")]).run()
    click(page, "sets-leave")
    assert list(app.question_sets.folder.glob("*")) == before
    assert app.question_sets.sets() == []


def test_questions_are_added_changed_and_removed_and_each_can_be_taken_back(app: App) -> None:
    app.question_sets.create_set("care", "notes")
    page = drawn(app)
    page.text_input(key="sets-add-question-0").set_value("How do I cool a phone?")
    page.selectbox(key="sets-add-document-0").set_value(app.library.documents("notes")[0].id).run()
    click(page, "sets-add-button")
    (question,) = only_set(app).questions
    assert question.targets[0].document == "heat.md"

    page.text_area(key=f"sets-edit-{question.id}-text").set_value("How long?").run()
    click(page, f"sets-edit-{question.id}-save")
    assert only_set(app).questions[0].question == "How long?"
    click(page, "sets-undo")
    assert only_set(app).questions == (question,)

    click(page, f"sets-target-{question.id}-{question.targets[0].id}")
    assert "1 question has no answer labelled, and is not measured." in said(page)
    click(page, "sets-undo")
    click(page, f"sets-remove-{question.id}")
    assert only_set(app).questions == ()
    click(page, "sets-undo")
    assert only_set(app).questions == (question,)


def test_what_is_typed_counts_even_when_the_click_follows_at_once(app: App) -> None:
    # Text and click then come in one message, before any run of the script has seen the text.
    page = drawn(app)
    page.text_input(key="sets-new-name-0").set_value("care")
    click(page, "sets-create-0")
    made = only_set(app)
    assert made.name == "care"
    page.text_input(key=f"sets-name-{made.id}-care").set_value("cool")
    click(page, "sets-save-name")
    assert only_set(app).name == "cool"
    page.selectbox(key="sets-add-document-0").set_value(app.library.documents("notes")[0].id).run()
    page.text_input(key="sets-add-question-0").set_value("How do I cool a phone?")
    click(page, "sets-add-button")
    (question,) = only_set(app).questions
    assert (question.question, question.targets[0].document) == ("How do I cool a phone?", "heat.md")
    page.text_area(key=f"sets-edit-{question.id}-text").set_value("How long?")
    click(page, f"sets-edit-{question.id}-save")
    assert only_set(app).questions[0].question == "How long?"


def test_a_set_is_renamed_and_deleted_and_both_can_be_taken_back(app: App) -> None:
    made = app.question_sets.create_set("care", "notes")
    page = drawn(app)
    page.text_input(key=f"sets-name-{made.id}-care").set_value("cool").run()
    click(page, "sets-save-name")
    assert only_set(app).name == "cool"
    click(page, "sets-undo")
    assert only_set(app).name == "care"
    click(page, "sets-delete")
    assert app.question_sets.sets() == []
    assert "“care” was deleted." in said(page)
    click(page, "sets-undo")
    assert only_set(app).name == "care"


def test_stale_answers_are_marked_and_can_be_looked_at_alone(app: App) -> None:
    made = app.question_sets.create_set("care", "notes")
    app.question_sets.add_question(made.id, "There?", [Target("heat.md", "")])
    app.question_sets.add_question(made.id, "Gone?", [Target("gone.md", "")])
    page = drawn(app)
    assert "stale: the document is not in the collection" in said(page)
    page.toggle(key=f"sets-only-stale-{made.id}").set_value(True).run()
    shown = [text.value for text in checked(page).text]
    assert "Gone?" in shown
    assert "There?" not in shown


def test_many_questions_are_found_by_a_part_of_them(app: App) -> None:
    made = app.question_sets.create_set("many", "notes")
    for number in range(20):
        app.question_sets.add_question(made.id, f"Question {number}?", [Target("heat.md", "")])
    page = drawn(app)
    assert "Page 1 of 2" in said(page)
    page.text_input(key=f"sets-find-{made.id}").set_value("TION 17").run()
    assert [text.value for text in checked(page).text] == ["Question 17?"]


def test_without_a_language_model_drafting_says_how_to_set_one(app: App) -> None:
    app.question_sets.create_set("care", "notes")
    assert "No language model is set. Set LLM_MODEL" in said(drawn(app)).replace("LLM\\_", "LLM_")


def test_drafts_are_approved_changed_or_rejected(tmp_path: Path) -> None:
    draft = Reply(('{"question": "How do I cool a hot phone in the sun?", "answer": "Switch it off."}',))
    with LlmServer(draft) as server:
        settings = offline_settings(
            tmp_path, llm_base_url=server.base_url, llm_model="m", rerank_model="bundled", collection="notes"
        )
        with open_library(settings) as library:
            ingest(library, "notes", "heat.md", HEAT)
            app = assemble(library.pipeline, library, DataFolderLock(tmp_path))
            made = app.question_sets.create_set("care", "notes")
            page = drawn(app)
            click(page, "sets-draft-start")
            assert "Waiting for its turn…" in said(page) or page.button(key="sets-draft-cancel")
            assert app.tasks.run_next()
            checked(page.run())
            assert "Last drafting: 1 kept, 0 dropped" in said(page)
            (waiting,) = only_set(app).questions
            assert HEAT in [text.value for text in page.text]
            assert not waiting.approved

            page.text_input(key=f"sets-draft-question-{waiting.id}").set_value("How is a hot phone cooled?")
            click(page, f"sets-approve-{waiting.id}")
            (approved,) = only_set(app).questions
            assert (approved.question, approved.approved) == ("How is a hot phone cooled?", True)
            click(page, "sets-undo")
            assert only_set(app).questions == (waiting,)
            click(page, f"sets-reject-{waiting.id}")
            assert only_set(app).questions == ()
            assert [task.spec["set_id"] for task in app.tasks.store.tasks_of(KIND)] == [made.id]
