"""Labels: text from documents and people, in places that take Markdown."""

from __future__ import annotations

import pytest

from ui.plain import count_passages, label, place


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain name.pdf", "plain name.pdf"),
        ("**bold** _it_", r"\*\*bold\*\* \_it\_"),
        ("[a](http://x)", "\\[a\\]\\(http\\:\u200b//x\\)"),
        (":red[x]", "\\:\u200bred\\[x\\]"),
        ("<img src=x>", r"\<img src=x\>"),
        ("$x$ `code` ~~no~~", r"\$x\$ \`code\` \~\~no\~\~"),
        ("1. first", r"1\. first"),
        ("- item", r"\- item"),
        ("# title\nnext", r"\# title next"),
        ("www.example.org", "www\u200b.example.org"),
        ("https&colon;//x &#58;red", r"https\&colon;//x \&\#58;red"),
        ("mail a@b.example, @c", "mail a\u200b@b.example, @c"),
        ("a -> b -- c >= d a->b", "a -\u200b\\> b -\u200b- c \\>\u200b= d a-\\>b"),
        ("2026. July", r"2026\. July"),
        (":smile: :material/x:", "\\:\u200bsmile\\:\u200b \\:\u200bmaterial/x\\:\u200b"),
        ("a\x1b[31m\u202egnp.exe", r"a\\u001b\[31m\\u202egnp.exe"),
        ("睡眠.md", "睡眠.md"),
        ("back\\slash", r"back\\slash"),
    ],
)
def test_a_label_keeps_its_characters_and_loses_their_meaning(text: str, escaped: str) -> None:
    assert label(text) == escaped


def test_a_place_names_the_page_where_there_is_one() -> None:
    assert place("report.pdf", 7) == "report.pdf, p. 7"
    assert place("notes.md", None) == "notes.md"


def test_numbers_agree_with_their_nouns() -> None:
    assert [count_passages(number) for number in (0, 1, 2, 1204)] == [
        "0 passages",
        "1 passage",
        "2 passages",
        "1,204 passages",
    ]
