"""Words that are written otherwise: one term in every notation, and none for what only looks alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import qdrant_edge

from rag.embed.sparse import Bm25Encoder
from rag.retrieval.recall import search_words
from rag.store.base import Index
from rag.store.edge import EdgeStore
from rag.text.folding import fold
from rag.text.notations import find_notations
from rag.types import Chunk, CollectionSpec, DocumentEntry, SparseVector, chunk_id

ENCODER = Bm25Encoder()
ENGINE = qdrant_edge.Bm25(qdrant_edge.Bm25Config(tokenizer=qdrant_edge.TokenizerType.Word, language="english"))

THIRD_OF_MAY = (
    "2024-05-03",
    "2024/05/03",
    "2024/5/3",
    "2024.05.03",
    "2024. 5. 3.",
    "20240503",
    "2024-05-03T10:00:00Z",
    "03.05.2024",
    "3.5.2024",
    "03.05.24",
    "3/5/2024",
    "5/3/2024",
    "5/3/24",
    "03-05-2024",
    "3 May 2024",
    "3rd of May 2024",
    "03-MAY-24",
    "May 3, 2024",
    "May 3rd, 2024",
    "May 3 2024",
    "2024 May 3",
    "3. Mai 2024",
    "3 mai 2024",
    "3 de mayo de 2024",
    "2024年5月3日",
    "2024年05月03号",
    "2024 年 5 月 3 日",
    "24年5月3日",
    "二〇二四年五月三日",
    "２０２４年５月３日",
    "2024년 5월 3일",
    "٢٠٢٤/٠٥/٠٣",
)
MAY = ("2024-05", "2024/05", "05/2024", "5.2024", "May 2024", "May, 2024", "Mai 2024", "2024年5月", "二〇二四年五月")
WHOLE = (
    "1959",
    "1,959",
    "1.959",
    "1,959.00",
    "1.959,00",
    "1959.00",
    "1959,0",
    "1 959",
    "1 959,00",
    "1'959.00",
    "١٬٩٥٩",
)
DECIMAL = ("1959.5", "1,959.50", "1.959,50", "1959,5", "1 959,50", "1’959.5", "١٬٩٥٩٫٥", "１，９５９．５")
MILLIONS = ("1234567", "1,234,567", "1.234.567", "1 234 567", "1'234'567", "1,234,567.00")


def names(text: str) -> set[str]:
    """Return the names of all notations in a text."""
    return {name for notation in find_notations(fold(text)) for name in notation.names}


def shared(question: str, passage: str) -> set[int]:
    """Return the terms that a question and a passage have in common."""
    return set(ENCODER.weigh_question(question).indices) & set(ENCODER.weigh_passages([passage])[0].indices)


def term(word: str) -> int:
    """Return the one term that the engine makes of a word."""
    (found,) = ENGINE.embed_query(word).indices
    return found


@pytest.mark.parametrize("written", THIRD_OF_MAY)
def test_a_date_is_one_term_in_every_notation(written: str) -> None:
    for sentence in ("{}", "On {}, the board met.", "董事会于{}开会。", "({})", "report_{}.pdf"):
        if sentence == "report_{}.pdf" and not written[0].isdigit():
            continue
        assert "date20240503" in names(sentence.format(written)), sentence
    assert term("date20240503") in shared(written, "Minutes of 2024-05-03") & shared("2024年5月3日", f"Am {written}.")


@pytest.mark.parametrize("written", ["5/3/2024", "3-5-2024", "03/05/24"])
def test_a_date_that_can_be_read_in_two_ways_has_both(written: str) -> None:
    assert names(written) == {"date20240503", "date20240305"}


def test_a_date_that_can_be_read_in_one_way_has_that_alone() -> None:
    assert names("5/13/2024") == names("13/5/2024") == {"date20240513"}
    assert names("05.03.2024") == {"date20240305"}


def test_both_dates_of_a_range_are_found() -> None:
    for written in ("03.05.2024-05.05.2024", "2024-05-03/2024-05-05", "5/13/2024 to 3 May 2024 and May 5, 2024"):
        assert {"date20240503", "date20240505"} <= names(written)


@pytest.mark.parametrize("written", MAY)
def test_a_month_is_one_term_in_every_notation_and_in_each_of_its_dates(written: str) -> None:
    assert names(written) == {"month202405"}
    assert term("month202405") in shared(f"What happened in {written}?", "The board met on 3 May 2024.")


@pytest.mark.parametrize("asked", WHOLE)
def test_a_whole_amount_is_its_plain_number_in_every_notation(asked: str) -> None:
    for written in WHOLE:
        assert term("1959") in shared(f"Which invoice amounts to {asked} EUR?", f"{written}欧元")


@pytest.mark.parametrize(("amounts", "name"), [(DECIMAL, "1959point5"), (MILLIONS[1:], "1234567")])
def test_other_amounts_have_one_name_in_every_notation(amounts: tuple[str, ...], name: str) -> None:
    for written in amounts:
        assert name in names(f"It costs €{written}."), written
    assert term(name) in shared(amounts[0], amounts[1])


def test_a_number_that_can_be_read_in_both_conventions_has_both_values() -> None:
    assert names("1.234") == names("1,234") == {"1234", "1point234"}
    assert names("8,000") == names("8.000") == {"8000"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5/3/2024", "2024-05-04"),
        ("5/3/2024", "2023-05-03"),
        ("31/12/2024", "2024-12-13"),
        ("1.234", "1,234.5"),
        ("1,959.00", "1,959.50"),
        ("1.5", "15"),
        ("VX-4717-B", "VX-4718-B"),
        ("1.2.3", "3.2.1"),
        ("snake_case", "snake_charmer"),
    ],
)
def test_what_differs_has_no_name_in_common(one: str, other: str) -> None:
    assert not names(one) & names(other)


@pytest.mark.parametrize(
    "text",
    [
        "12:30",
        "at 10:15:30",
        "+49 30 123456",
        "(212) 555-0199",
        "212-555-0199",
        "1-800-555-0199",
        "138 1234 5678",
        "01 23 45 67 89",
        "612 345 678",
        "030.123.456",
        "10-12",
        "3/4",
        "in 2024. 5 people",
        "31 February 2024",
        "2024-13-40",
        "12 items 2024",
        "2024",
        "in May",
        "state-of-the-art",
        "20th",
        "一年三月",
        "他今年五十岁",
    ],
)
def test_times_telephones_and_words_have_no_names(text: str) -> None:
    assert names(text) == set()


def test_a_version_is_no_date_and_no_amount() -> None:
    assert names("1.2.3") == names("v1.2.3") == {"version1x2x3"}
    assert not any(name.startswith(("date", "month")) for name in names("1.2.3, 10.11.12.13 and 3.11"))


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("VX-4717-B", "VX4717B"),
        ("VX4717B", "VX-4717-B"),
        ("vx_4717_b", "VX‑4717‑B"),
        ("getUserName", "get_user_name"),
        ("get_user_name", "getUserName"),
        ("COVID-19", "covid19"),
        ("ＶＸ－４７１７－Ｂ", "型号VX-4717-B的阀门"),
    ],
)
def test_an_identifier_is_found_whole_in_every_notation(asked: str, written: str) -> None:
    whole = term(fold(asked).replace("-", "").replace("_", "").lower())
    assert whole in shared(asked, f"See {written} for more.")


@pytest.mark.parametrize(
    ("part", "written"),
    [
        ("4717", "VX-4717-B"),
        ("4717", "VX4717B"),
        ("vx", "VX4717B"),
        ("user", "getUserName"),
        ("name", "get_user_name"),
        ("case", "CamelCase"),
        ("server", "HTTPServer"),
        ("kg", "10kg"),
        ("python", "python3.11"),
    ],
)
def test_an_identifier_is_found_by_its_parts(part: str, written: str) -> None:
    assert shared(part, written) == {term(part)}


@pytest.mark.parametrize("text", ["iPhone and eBay", "PDFs, URLs and IDs", "the 20th", "a3f9c2e17b4d5a6f"])
def test_not_every_capital_divides_a_word(text: str) -> None:
    assert find_notations(text) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("合同编号117", "合同编号１１７"),
        ("117", "١١٧"),
        ("117", "११७"),
        ("H2O", "H₂O"),
        ("Straße", "STRASSE"),
        ("Maßstab", "MASSSTAB"),
        ("ﬁnance", "finance"),
        ("圖書館的負責人是誰？", "图书馆的负责人是谁？"),
        ("會議室", "会议室"),
        ("裡面", "裏面"),
        ("臺灣", "台湾"),
        ("乾燥", "干燥"),
    ],
)
def test_other_scripts_widths_and_digits_are_the_same_text(one: str, other: str) -> None:
    assert fold(one).casefold() == fold(other).casefold()
    passages = ENCODER.weigh_passages([one, other])
    assert passages[0] == passages[1]
    assert set(passages[0].indices) <= shared(one, other)


@pytest.mark.parametrize(("text", "number"), [("2019¹", "2019"), ("10²", "10"), ("1½", "1"), ("5①", "5")])
def test_a_mark_after_a_number_is_not_one_number_with_it(text: str, number: str) -> None:
    assert term(number) in shared(number, text)


def test_japanese_stays_as_it_is() -> None:
    assert fold("電話番号を教えてください") == "電話番号を教えてください"
    assert fold("鮮の生活雜誌的電話號碼是多少") == "鲜の生活杂志的电话号码是多少"


@pytest.mark.parametrize("text", ["圖書館的負責人是誰", "Straße", "الرقم ١١٧", "電話"])
def test_a_question_still_has_the_terms_of_indexes_made_before(text: str) -> None:
    before = qdrant_edge.Bm25(
        qdrant_edge.Bm25Config(tokenizer=qdrant_edge.TokenizerType.Multilingual, language="english")
    )
    assert set(before.embed_query(text).indices) <= set(ENCODER.weigh_question(text).indices)


def weights(text: str) -> dict[int, float]:
    """Return the weight of each term of a passage."""
    (vector,) = ENCODER.weigh_passages([text])
    return dict(zip(vector.indices, vector.values, strict=True))


def test_notations_leave_the_weights_of_words_as_they_are() -> None:
    plain, noted = weights("The board met and agreed"), weights("The board met and agreed 2024-05-03 1,959.00")
    assert {index: noted[index] for index in plain} == plain


def test_a_date_in_a_question_weighs_as_one_word_and_its_month_as_half() -> None:
    vector = ENCODER.weigh_question("2024-05-03")
    by_term = dict(zip(vector.indices, vector.values, strict=True))
    assert by_term[term("date20240503")] == 1.0
    assert by_term[term("month202405")] == 0.5
    assert len(by_term) == 5


@pytest.mark.parametrize(
    ("question", "passage", "share"),
    [
        ("battery phone", "The phone is hot.", 1 / 2),
        ("the of and", "The phone is hot.", 0.0),
        ("What did the board approve on 3 May 2024?", "The board met on 2024-05-03 and approved item 207.", 1.0),
        ("What did the board approve on 5/3/2024?", "The board met on 2024-05-03 and approved item 207.", 1.0),
        # board, approve and 2024 of board, approve, 3, may and 2024.
        ("What did the board approve on 3 May 2024?", "The board met on 2024-05-04 and approved item 208.", 3 / 5),
        ("invoice 1.959,00", "The invoice is 1959 EUR.", 1.0),
        ("getUserName", "Call get_user_name here.", 1.0),
    ],
)
def test_coverage_counts_a_word_once_in_whatever_notation(question: str, passage: str, share: float) -> None:
    assert ENCODER.coverage(question, [passage, ""]) == pytest.approx([share, 0.0])


MINUTES = tuple(f"The board met on 2024-{month:02}-{day:02}." for month in range(3, 12) for day in (1, 3, 5, 12))
INVOICES = tuple(f"The invoice amounts to {1000 + 137 * number:,}.00 EUR." for number in range(24))
ROOMS = tuple(
    f"{room}的負責人是第{number}組。" for number, room in enumerate(("圖書館", "會議室", "體育館", "醫務室", "餐廳"))
)
CONTRACTS = tuple(f"合同编号１{number}的付款期限。" for number in range(10, 30))
VALVES = tuple(f"The valve VX-{number}-B seals hot water lines." for number in range(4700, 4720))
NOTES = (*MINUTES, *INVOICES, *ROOMS, *CONTRACTS, *VALVES)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """Passages in the embedded engine, each in one notation."""
    folder: Path = tmp_path_factory.mktemp("index")
    with closing(EdgeStore(folder)) as store:
        spec = CollectionSpec(name="notes", embedder="none", dimension=2, chunk_tokens=200, chunk_overlap=0)
        made = store.create_collection(spec)
        chunks = [Chunk(chunk_id("n", at), "n", "notes.md", at, text) for at, text in enumerate(NOTES)]
        made.stage(chunks, np.ones((len(NOTES), 2), dtype=np.float32), ENCODER.weigh_passages(NOTES))
        added = datetime(2026, 1, 2, tzinfo=UTC)
        made.publish(DocumentEntry("n", "notes.md", "md", 1, None, len(NOTES), added))
        yield made


def first(index: Index, bm25: SparseVector) -> str:
    best, second = search_words(index, bm25, 2)
    assert best.score > second.score
    return best.chunk.text


@pytest.mark.parametrize(
    ("question", "passage"),
    [
        ("What did the board approve on 3 May 2024?", "The board met on 2024-05-03."),
        ("Was geschah am 03.05.2024?", "The board met on 2024-05-03."),
        ("董事会2024年5月3日做了什么？", "The board met on 2024-05-03."),
        ("Whose invoice amounts to 1959 EUR?", "The invoice amounts to 1,959.00 EUR."),
        ("谁的发票是1.959,00欧元？", "The invoice amounts to 1,959.00 EUR."),
        ("图书馆的负责人是谁？", "圖書館的負責人是第0組。"),
        ("会议室的负责人是谁？", "會議室的負責人是第1組。"),
        ("合同编号117的付款期限是多少天？", "合同编号１17的付款期限。"),
        ("ＶＸ－４７１７－Ｂ torque limit", "The valve VX-4717-B seals hot water lines."),
        ("torque limit of the VX4717B", "The valve VX-4717-B seals hot water lines."),
    ],
)
def test_a_question_in_one_notation_finds_first_the_passage_in_another(
    index: Index, question: str, passage: str
) -> None:
    assert first(index, ENCODER.weigh_question(question)) == passage
