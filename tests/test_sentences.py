import pytest

from rag.text.sentences import split_sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Rice is fine. Bread is not! Why? It is white.", ["Rice is fine.", "Bread is not!", "Why?", "It is white."]),
        ('He said "Stop." She went on.', ['He said "Stop."', "She went on."]),
        ("So it was… Then it changed.", ["So it was…", "Then it changed."]),
        ("(See below.) Next.", ["(See below.)", "Next."]),
    ],
)
def test_english_ends_with_a_stop_before_a_space(text: str, sentences: list[str]):
    assert split_sentences(text) == sentences


@pytest.mark.parametrize(
    "text",
    [
        "Eat fruit, e.g. Apples and pears.",
        "It is 3.14 times as wide, see example.com for more.",
        "Ask Dr. Smith and Prof. Li.",
        "Follow No. 5 and Fig. 3 on p. 12.",
        "J. R. Smith wrote it in the U.S. Army.",
        "It costs approx. 5 euros, i.e. Little.",
        "“Really?” he asked.",
        "1. Wash the rice.",
        "**Alcohol on an empty stomach.** With insulin it can cause a low.",
    ],
)
def test_a_stop_inside_a_sentence_does_not_end_it(text: str):
    assert split_sentences(text) == [text]


def test_no_ends_a_sentence_where_no_number_follows():
    assert split_sentences("The answer is No. Then stop.") == ["The answer is No.", "Then stop."]


def test_chinese_ends_with_its_own_marks_and_keeps_closing_quotes():
    text = "他说：“可以。”米饭要少吃；面包也是！为什么？因为升糖快。"
    assert split_sentences(text) == ["他说：“可以。”", "米饭要少吃；", "面包也是！", "为什么？", "因为升糖快。"]


def test_english_marks_end_chinese_sentences_without_a_space():
    assert split_sentences("可以吗?可以!版本3.5已发布。") == ["可以吗?", "可以!", "版本3.5已发布。"]


def test_lines_are_sentences_of_their_own():
    text = "Taboos\n\n- Sugary drinks\n- White bread\n| Rice | 50 g |\n| Milk | 200 ml |\n饮食禁忌\n一、含糖饮料"
    assert split_sentences(text) == [
        "Taboos",
        "- Sugary drinks",
        "- White bread",
        "| Rice | 50 g |",
        "| Milk | 200 ml |",
        "饮食禁忌",
        "一、含糖饮料",
    ]


@pytest.mark.parametrize(
    "lines",
    [
        ["Opening hours", "Monday to Friday", "Saturdays too"],
        [
            "- Sugary drinks of every kind, also those made of fruit alone",
            "- Deep-fried food of every kind, also vegetables in batter",
        ],
    ],
    ids=["short", "full"],
)
def test_lines_of_a_list_are_not_joined(lines: list[str]):
    assert split_sentences("\n".join(lines)) == lines


def test_rows_that_begin_with_the_same_label_are_not_joined():
    rows = [
        "food: White rice; serving: 150 g cooked; glycaemic index: 75; class: high",
        "food: Lentils; serving: 150 g cooked; glycaemic index: 30; class: low",
    ]
    assert split_sentences("\n".join(rows)) == rows


def test_a_sentence_goes_on_in_the_next_line_where_the_paragraph_was_wrapped():
    text = (
        "In the first picture of the exhibition, which I like best, the\n"
        "Fed climbs a mountain. In the second one, which hangs beside the\n"
        "door, it rains.\n"
        "The third is sold."
    )
    assert split_sentences(text) == [
        "In the first picture of the exhibition, which I like best, the\nFed climbs a mountain.",
        "In the second one, which hangs beside the\ndoor, it rains.",
        "The third is sold.",
    ]


def test_a_chinese_sentence_goes_on_in_the_next_line_where_the_paragraph_was_wrapped():
    wrapped = "糖尿病患者在日常饮食中应当尽量避免摄入含糖饮料和各种甜点，\n并且要控制每餐的主食分量。"
    assert split_sentences(f"饮食禁忌\n{wrapped}") == ["饮食禁忌", wrapped]


@pytest.mark.parametrize("text", ["", " \n\n ", "...", "。"])
def test_text_without_words_yields_no_more_than_its_marks(text: str):
    assert split_sentences(text) == [text.strip()] * bool(text.strip())


def test_every_sentence_is_a_slice_of_the_text_and_nothing_but_space_is_lost():
    text = "Dr. Li (b. 1970) wrote:\n\n  “量子通信。”  See Fig. 2!\t| a | b |\n第一；第二… end"
    place = 0
    for sentence in split_sentences(text):
        found = text.index(sentence, place)
        assert text[place:found].strip() == ""
        place = found + len(sentence)
    assert text[place:].strip() == ""
