"""What each format's parser makes of real files, and how it refuses what it cannot read."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import docx
import files
import pytest

from ingest.parse import FORMATS, SUFFIXES
from ingest.parse.child import read_sections
from rag.errors import FileRefusedError
from rag.text.cutting import LONGEST_SECTION
from rag.types import Section

CHINESE = "糖尿病患者应当注意饮食，避免高糖食物。手机过热时应当立即关机，并移到阴凉处。\n"
TRADITIONAL = "糖尿病患者應當注意飲食，避免高糖食物。手機過熱時應當立即關機，並移到陰涼處。\n"
FRENCH = "L’été dernier, les élèves ont dû étudier à l'école : « ça coûte 5 € », a dit Noël.\n"
GERMAN = "Über die Größe der Straße sagt das nichts; der König für Österreich hört süße Töne.\n"


@pytest.fixture
def read(tmp_path: Path):
    """Return a function that gives the sections of a file with a name and content."""

    def read(name: str, content: bytes | str) -> list[Section]:
        path = tmp_path / "stored"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return list(read_sections(path, name))

    return read


@pytest.fixture
def refusal(read):
    """Return a function that gives the sentence with which a file is refused."""

    def refusal(name: str, content: bytes | str) -> str:
        with pytest.raises(FileRefusedError) as caught:
            read(name, content)
        return str(caught.value)

    return refusal


# PDF


def test_a_pdf_has_a_section_per_page_with_text_and_keeps_page_numbers(read):
    sections = read("three.pdf", files.pdf([["First page."], [], ["Third page."]]))
    assert sections == [Section("First page.", page=1), Section("Third page.", page=3)]


def test_sentences_and_words_of_a_pdf_are_whole_again(read):
    lines = [
        "A short title",
        "Reranking reads the question together with every passage that re-",
        "call has brought up, which costs more than a look into a vector in-",
        "dex but is well-known to help.",
        "- one item",
        "- another item",
    ]
    assert read("wrapped.pdf", files.pdf([lines]))[0].text == (
        "A short title\n"
        "Reranking reads the question together with every passage that recall has brought up, which costs more than a "
        "look into a vector index but is well-known to help.\n"
        "- one item\n"
        "- another item"
    )


def test_lines_of_chinese_in_a_pdf_join_without_a_space(read):
    lines = ["糖尿病患者应当注意饮食避免高糖食物并且每天按时测量", "血糖。"]
    assert read("chinese.pdf", files.pdf([lines]))[0].text == "".join(lines)


def test_rows_of_dots_in_a_contents_page_are_shortened(read):
    assert read("toc.pdf", files.pdf([["1 Introduction" + " ." * 30 + " 4"]]))[0].text == "1 Introduction ... 4"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (files.pdf([["secret"]], password="open sesame"), "is protected with a password: remove it"),
        (files.scan(2), "has no text layer: it is probably a scan. Run OCR"),
        (files.pdf([["a page"]] * 20)[:4000], "was cut off on its way"),
        (b"%PDF-1.7\n" + b"no objects here " * 20 + b"\n%%EOF", "is damaged: open it"),
        (files.png(), "is not a PDF: its content looks like a PNG picture"),
        (b"<!DOCTYPE html><html><p>Please log in", "is not a PDF: its content looks like a web page"),
    ],
    ids=["password", "scan", "cut off", "damaged", "picture", "web page"],
)
def test_a_pdf_that_cannot_be_read_is_refused_with_what_to_do(refusal, content, sentence):
    assert f"report.pdf {sentence}" in refusal("report.pdf", content)


# DOCX


def test_a_word_document_has_a_section_per_heading_with_lists_and_tables_in_place(read):
    document = docx.Document()
    document.add_heading("Phones", 0)
    document.add_heading("Overheating", 1)
    document.add_paragraph("Switch it off.")
    document.add_paragraph("Out of the sun", style="List Bullet")
    document.add_paragraph("Out of its case", style="List Bullet")
    table = document.add_table(3, 2)
    for row, values in zip(table.rows, [("Part", "Limit"), ("Battery", "45 °C"), ("Screen", "60 °C")], strict=True):
        for cell, value in zip(row.cells, values, strict=True):
            cell.text = value
    document.add_paragraph("After the table.")
    document.add_heading("Cold", 2)
    document.add_paragraph("Warm it slowly.")
    assert read("phones.docx", files.word(document)) == [
        Section(
            "Switch it off.\n\n- Out of the sun\n- Out of its case\n\n"
            "Part: Battery; Limit: 45 °C\nPart: Screen; Limit: 60 °C\n\nAfter the table.",
            heading="Phones > Overheating",
        ),
        Section("Warm it slowly.", heading="Phones > Overheating > Cold"),
    ]


def test_a_style_made_from_a_heading_style_is_a_heading(read):
    document = docx.Document()
    document.styles.add_style("House Title", 1).base_style = document.styles["Heading 1"]
    document.add_paragraph("Sleep", style="House Title")
    document.add_paragraph("Eight hours.")
    assert read("sleep.docx", files.word(document)) == [Section("Eight hours.", heading="Sleep")]


def test_inserted_text_and_content_controls_are_read_and_deleted_text_is_not(read):
    xml = (
        "<w:sdt><w:sdtContent><w:p><w:r><w:t>In a control.</w:t></w:r></w:p></w:sdtContent></w:sdt>"
        "<w:p><w:r><w:t>Kept, </w:t></w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del>"
        "<w:ins><w:r><w:t>inserted</w:t><w:tab/><w:t>end.</w:t></w:r></w:ins></w:p>"
    )
    assert read("tracked.docx", files.word_with_body(xml)) == [Section("In a control.\n\nKept, inserted\tend.")]


def test_a_merged_cell_stands_in_every_row_it_covers(read):
    document = docx.Document()
    table = document.add_table(3, 3)
    rows = [["City", "Year", "Rate"], ["Rome", "2023", "4"], ["", "2024", "3"]]
    for row, values in zip(table.rows, rows, strict=True):
        for cell, value in zip(row.cells, values, strict=True):
            cell.text = value
    table.cell(1, 0).merge(table.cell(2, 0))
    lines = read("merged.docx", files.word(document))[0].text.split("\n")
    assert lines == ["City: Rome; Year: 2023; Rate: 4", "City: Rome; Year: 2024; Rate: 3"]


def test_a_word_document_without_text_is_refused(refusal):
    assert "blank.docx has no text in it" in refusal("blank.docx", files.word(docx.Document()))


def test_a_word_document_that_unpacks_beyond_measure_is_refused(refusal):
    bomb = files.bomb(megabytes=600)
    assert len(bomb) < 4 * 1024**2
    assert "bomb.docx unpacks to 600 MB" in refusal("bomb.docx", bomb)
    assert re.search(r"bomb\.docx unpacks to \d+ times its size", refusal("bomb.docx", files.bomb(megabytes=80)))


def test_a_word_document_that_was_cut_off_is_refused(refusal):
    assert "half.docx is damaged or was cut off" in refusal("half.docx", files.word(docx.Document())[:9000])


def test_old_and_protected_office_files_are_told_apart(refusal):
    ole = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600)
    assert "looks like an old Office file. Save it as DOCX" in refusal("old.docx", ole)
    assert "is protected with a password" in refusal("locked.docx", ole + "EncryptedPackage".encode("utf-16-le"))


# Markdown


def test_markdown_has_a_section_per_heading_and_no_front_matter(read):
    text = (
        "---\ntitle: Dogs\n---\nBefore any heading.\n\n# Guide *dogs* #\n\nThey lead.\n\n## Robots\n\n- one\n- two\n\n"
        "Other dogs\n==========\nThey bark.\n"
    )
    assert read("dogs.md", text) == [
        Section("Before any heading."),
        Section("They lead.", heading="Guide dogs"),
        Section("- one\n- two", heading="Guide dogs > Robots"),
        Section("They bark.", heading="Other dogs"),
    ]


def test_a_hash_inside_fenced_code_is_no_heading(read):
    text = "# Setup\n\n```sh\n# install\nmake run\n```\n\n~~~~\n~~~\n# still code\n~~~~\nDone.\n"
    assert [section.heading for section in read("setup.md", text)] == ["Setup"]
    assert "# install\nmake run" in read("setup.md", text)[0].text


def test_a_rule_under_a_list_or_a_paragraph_of_two_lines_makes_no_heading(read):
    sections = read("rules.md", "- an item\n---\nOne line\nand another\n---\nText.\n")
    assert [section.heading for section in sections] == [""]


def test_rules_at_the_start_of_markdown_are_not_taken_for_front_matter(read):
    assert "All of this stays." in read("rules.md", "---\nAll of this stays.\n\n---\nAnd this.")[0].text


def test_each_row_of_a_markdown_table_carries_its_header(read):
    text = "| Model | Time |\n|:--|--:|\n| base \\| small | 10 ms |\n| large | 30 ms |\n\nAfter.\n"
    assert read("table.md", text)[0].text == "Model: base | small; Time: 10 ms\nModel: large; Time: 30 ms\n\nAfter."


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("Keep it **under 8 °C** and *dry*.", "Keep it under 8 °C and dry."),
        ("***Never*** open it, __really__, _not_ once, ~~ever~~.", "Never open it, really, not once, ever."),
        ("**Nested *in* strong** and **two\nlines**.", "Nested in strong and two\nlines."),
        ("必须**保持低温**，并且*干燥*。", "必须保持低温，并且干燥。"),
        ("* **Item**: one\n* *Item*: two", "* Item: one\n* Item: two"),
        ("Call `f(**options)` with 2*3*4, 2 * 3 or snake_case_name.",) * 2,
        ("```\nf(**a, **b)\n**kept**\n```",) * 2,
        ("See https://example.com/_a_/b and [**it**](x_y_z).", "See https://example.com/_a_/b and [it](x_y_z)."),
        ("All *.py and *.md files, def f(*args, **kwargs)",) * 2,
        ("A **mark alone\n\nand** another",) * 2,
        (r"5 \* 3, \_x\_", "5 * 3, _x_"),
        ("# **Bold** and `code` *heading* #\n\nText.", "Text."),
    ],
)
def test_markdowns_emphasis_is_taken_off_and_what_only_looks_like_it_stays(read, written, read_as):
    assert read("notes.md", written)[0].text == read_as


def test_pictures_and_comments_in_markdown_leave_only_the_description(read):
    picture = "data:image/png;base64,AAAA"
    text = f"![A chart]({picture}) of rates.<!-- todo\nlater -->\n\n![Map][1]\n\n[1]: <{picture}>"
    assert read("pictures.md", text)[0].text == "A chart of rates.\n\nMap"


def test_headings_with_nothing_under_them_become_text(read):
    text = "# Plan\n## Monday\n## Tuesday\nWork.\n# Appendix\n"
    assert read("plan.md", text) == [
        Section("Monday", heading="Plan"),
        Section("Work.", heading="Plan > Tuesday"),
        Section("Appendix"),
    ]


# HTML


def test_a_web_page_has_a_section_per_heading_without_what_is_not_read(read):
    html = """<!DOCTYPE html><html><head><title>Sleep &amp; health</title><style>p {}</style></head><body>
        <nav>Home | About</nav><script>alert(1)</script><template><p>template</p></template><!-- comment -->
        <p>Sleep   is<br>vital. <b>Ve</b>ry.</p><div hidden>hidden</div><p style="display: none">invisible</p>
        <h2>Tips</h2><ul><li>Dark<li>Cool</ul><div>Loose <p>Inner</p> end</div></body></html>"""
    assert read("sleep.html", html) == [
        Section("Sleep is\nvital. Very.", heading="Sleep & health"),
        Section("- Dark\n- Cool\n\nLoose\n\nInner\n\nend", heading="Sleep & health > Tips"),
    ]


def test_a_title_that_repeats_the_headline_is_left_out(read):
    html = "<title>Rates rise - The Daily</title><h1>Rates rise</h1><p>By a quarter."
    assert read("rates.html", html) == [Section("By a quarter.", heading="Rates rise")]


def test_each_row_of_a_web_table_carries_its_header_across_merged_cells(read):
    html = """<table><caption>Rates</caption><tr><th>City<th>Year<th>Rate</tr><tr><td rowspan=2>Rome<td>2023<td>4
        <tr><td>2024<td>3<tr><td colspan=2>All<td>7</table>"""
    assert read("rates.html", html)[0].text.split("\n") == [
        "Rates",
        "City: Rome; Year: 2023; Rate: 4",
        "City: Rome; Year: 2024; Rate: 3",
        "City: All; Rate: 7",
    ]


def test_a_web_table_with_its_headers_on_the_left_is_read_row_by_row(read):
    html = "<table><tr><th>Capital<td>Rome</tr><tr><th>People<td>59 million</tr></table>"
    assert read("italy.html", html)[0].text == "Capital: Rome\nPeople: 59 million"


def test_a_table_that_lays_out_the_page_keeps_its_headings(read):
    html = "<table><tr><td>Menu<td><h1>Story</h1><p>Told.</table>"
    assert read("old.html", html) == [Section("Menu"), Section("Told.", heading="Story")]


def test_a_page_in_a_declared_chinese_encoding_is_read(read):
    html = f"<html><head><meta charset=gb2312></head><body><p>{CHINESE}</body></html>".encode("gbk")
    assert read("page.htm", html) == [Section(CHINESE.strip())]


def test_ten_thousand_nested_elements_are_read(read):
    assert read("deep.html", "<div>" * 10_000 + "bottom") == [Section("bottom")]


# Text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "gbk", "gb18030"])
def test_chinese_text_is_read_in_every_usual_encoding(read, encoding):
    assert read("notes.txt", CHINESE.encode(encoding)) == [Section(CHINESE.strip())]


@pytest.mark.parametrize("text", [FRENCH, GERMAN])
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16-le", "utf-16-be"])
def test_western_text_is_read_in_every_usual_encoding(read, text, encoding):
    assert read("notes.txt", text.encode(encoding)) == [Section(text.strip())]


def test_latin_1_and_traditional_chinese_in_gbk_are_not_confused(read):
    assert read("latin.txt", "Müller und Söhne".encode("latin-1")) == [Section("Müller und Söhne")]
    assert read("traditional.txt", TRADITIONAL.encode("gbk")) == [Section(TRADITIONAL.strip())]


def test_text_cut_off_inside_a_character_is_read(read):
    assert read("cut.txt", (CHINESE * 3).encode()[:-2])[0].text.startswith(CHINESE.strip())
    assert read("cut.txt", (CHINESE * 3).encode("gbk")[:-2])[0].text.startswith(CHINESE.strip())


def test_text_in_an_encoding_that_cannot_be_told_is_refused(refusal):
    russian = "Повышение ставки влияет на рынок акций, но не сразу. ".encode("cp1251")
    assert "save it as UTF-8" in refusal("notes.txt", russian)


def test_binary_content_named_text_is_refused(refusal):
    assert "is not text: its content is binary" in refusal("notes.txt", bytes(range(256)) * 10)


def test_characters_that_are_not_read_are_dropped(read):
    first = "\ufeffSoft\u00adware \x1b[31mred\x1b[0m\x00 e\u0301 \u200b\u202een\U000e0041d  "
    text = f"{first}\r\nnext\r\rlast\n\n\n\n\nparagraph\n"
    assert read("odd.log", text) == [Section("Software red é end\nnext\n\nlast\n\nparagraph")]


def test_long_text_is_cut_where_a_line_ends(read):
    lines = [f"line {number}" for number in range(10_000)]
    sections = read("long.txt", "\n".join(lines))
    assert max(len(section.text) for section in sections) <= LONGEST_SECTION
    assert "\n".join(section.text for section in sections).split("\n") == lines


# CSV


def test_a_csv_may_have_long_cells_and_long_lines(read):
    cell = "word " * 60_000
    sections = read("long.csv", f'Name,Text\nTea,"{cell}"\nMilk,{",".join(["short"] * 50_000)}\n')
    assert sections[0].text.startswith("Name: Tea; Text: word word")
    assert sum(section.text.count("word") for section in sections) == 60_000
    assert sum(section.text.count("short") for section in sections) == 50_000


def test_each_row_of_a_csv_carries_its_header(read):
    assert read("cities.csv", 'City,Note\nRome,"Old, very\nold"\nParis,\n')[0].text == (
        "City: Rome; Note: Old, very old\nCity: Paris"
    )


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_of_a_csv_is_found(read, delimiter):
    rows = [["Name", "Price"], ["Tea", "1.5"], ["Milk", "2"]]
    content = "\n".join(delimiter.join(row) for row in rows)
    assert read("prices.csv", content)[0].text == "Name: Tea; Price: 1.5\nName: Milk; Price: 2"


def test_decimal_commas_are_not_delimiters(read):
    assert (
        read("preise.csv", "Name;Preis\nTee;1,5\nMilch;2,0\n")[0].text
        == "Name: Tee; Preis: 1,5\nName: Milch; Preis: 2,0"
    )


def test_a_csv_may_name_its_delimiter_and_be_in_gbk(read):
    assert read("表.csv", "sep=;\n城市;人口\n罗马;280万\n".encode("gbk"))[0].text == "城市: 罗马; 人口: 280万"


def test_twenty_rows_make_a_section(read):
    content = "n,square\n" + "".join(f"{n},{n * n}\n" for n in range(45))
    assert [section.text.count("\n") + 1 for section in read("squares.csv", content)] == [20, 20, 5]


@pytest.mark.parametrize(
    ("content", "text"),
    [("City,Rate\n", "City; Rate"), ("1,2\n3,4\n", "1; 2\n3; 4"), ("one\ntwo\n", "one\ntwo")],
    ids=["header alone", "numbers alone", "one column"],
)
def test_a_csv_without_header_and_rows_keeps_what_it_has(read, content, text):
    assert read("odd.csv", content)[0].text == text


# What a file is


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_file_is_refused(refusal, suffix):
    assert refusal("a" + suffix, b"") == f"a{suffix} is empty (0 bytes): upload the complete file."


@pytest.mark.parametrize("suffix", [suffix for suffix in SUFFIXES if SUFFIXES[suffix].name not in ("pdf", "docx")])
def test_a_file_of_blank_space_is_refused(refusal, suffix):
    assert "has no text in it" in refusal("blank" + suffix, " \n\t\n")


@pytest.mark.parametrize(
    ("name", "content", "looks_like"),
    [
        ("a.txt", files.pdf([["text"]]), "a PDF. Rename it to end in .pdf"),
        ("a.md", files.word(docx.Document()), "a Word document. Rename it to end in .docx"),
        ("a.csv", files.png(), "a PNG picture"),
        ("a.docx", files.archive({"xl/workbook.xml": b"<x/>"}), "an Excel workbook"),
        ("a.docx", files.archive({"readme.txt": b"hello"}), "a ZIP archive"),
        ("a.docx", b"plain text", "something else"),
        ("a.html", b"{\\rtf1 text}", "an RTF document"),
    ],
)
def test_a_file_whose_content_is_not_what_its_name_says_is_refused(refusal, name, content, looks_like):
    assert f"its content looks like {looks_like}" in refusal(name, content)


def test_html_named_text_is_read_as_text(read):
    assert read("source.txt", "<html><b>bold</b></html>") == [Section("<html><b>bold</b></html>")]


def test_unknown_and_legacy_suffixes_are_refused_with_what_is_allowed(refusal):
    assert refusal("song.mp3", b"x").endswith(f"must end in one of {', '.join(SUFFIXES)}.")
    assert "Convert it to DOCX" in refusal("LETTER.DOC", b"x")
    assert "Convert it to CSV" in refusal("book.xlsx", b"x")
    assert "must end in one of" in refusal("no suffix", b"x")


def test_the_table_of_formats_in_the_documentation_is_complete():
    page = (Path(__file__).parents[1] / "docs" / "formats.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`\..*?) \| (\w+) \|", page, re.MULTILINE)
    documented = [(name, tuple(re.findall(r"`(\.\w+)`", suffixes))) for suffixes, name in rows]
    assert documented == [(one.name, one.suffixes) for one in FORMATS]


def test_each_format_has_a_parser_of_its_name_and_no_suffix_of_another():
    for one in FORMATS:
        assert callable(importlib.import_module(f"ingest.parse.{one.name}").read_sections)
    assert len(SUFFIXES) == sum(len(one.suffixes) for one in FORMATS)
