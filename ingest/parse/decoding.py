"""Bytes of a text file into text, whatever encoding it was saved in."""

from __future__ import annotations

import codecs
import re

from rag.errors import FileRefusedError

BYTE_ORDER_MARKS = (  # UTF-32 before UTF-16, whose mark it begins with
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

SAMPLE = 65_536
CONTROL_BYTES = bytes(set(range(32)) - set(b"\t\n\x0b\x0c\r\x1b"))
LARGEST_CONTROL_SHARE = 0.02
LARGEST_BAD_SHARE = 0.02
"""Of the characters outside ASCII: a file cut off inside a character is still read."""

SMALLEST_COMMON_SHARE = 0.4
"""Of the characters outside ASCII in Chinese text; the traditional script in GBK has about 0.6."""

LARGEST_ACCENTED_SHARE = 0.5
"""Of all characters in text of a Western language; Cyrillic or Greek taken for it would have more."""

NON_ASCII = re.compile(r"[^\x00-\x7f]")


def decode(content: bytes, name: str, declared: str = "") -> str:
    """Return the text in a file's bytes.

    In this order: a byte order mark, UTF-16 without one, UTF-8, the encoding the file declares, GB18030 (which
    includes GBK and GB2312), Windows-1252 (which includes printable Latin-1). Raises FileRefusedError for binary
    content, and for text that none of these fits.
    """
    for mark, encoding in BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    if encoding := _unmarked_utf16(content):
        return content.decode(encoding, "replace")
    sample = content[:SAMPLE]
    if len(sample) - len(sample.translate(None, CONTROL_BYTES)) > LARGEST_CONTROL_SHARE * len(sample):
        raise FileRefusedError("{name} is not text: its content is binary. Upload the document itself.", name=name)
    for encoding in ("utf-8", declared, "gb18030"):
        text = _decode_nearly(content, encoding)
        if text is not None and (encoding != "gb18030" or _is_chinese(text)):
            return text
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError:
        text = ""
    if not text or len(NON_ASCII.findall(text, 0, SAMPLE)) > LARGEST_ACCENTED_SHARE * min(len(text), SAMPLE):
        raise FileRefusedError(
            "{name} is in an encoding that could not be told from its content: save it as UTF-8 and upload that.",
            name=name,
        )
    return text


def _unmarked_utf16(content: bytes) -> str:
    sample = content[: SAMPLE // 2 * 2]
    half = len(sample) // 2
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if len(content) % 2 or max(even, odd) < 0.4 * half or min(even, odd) > 0.02 * half:
        return ""
    return "utf-16-le" if odd > even else "utf-16-be"


def _decode_nearly(content: bytes, encoding: str) -> str | None:
    # Pages declare gb2312 and mean all of GBK.
    encoding = "gb18030" if encoding.lower() in ("gb2312", "gbk") else encoding
    try:
        text = content.decode(encoding, "replace")
    except (LookupError, UnicodeError):
        return None
    bad = text.count("\ufffd")
    return text if not bad or bad <= LARGEST_BAD_SHARE * len(NON_ASCII.findall(text)) else None


def _is_chinese(text: str) -> bool:
    # Accented Latin letters are mostly bytes above D7, and rarely come two in a row, so that they seldom look like
    # one of the common characters (rows B0 to D7 of GB2312) or their punctuation (rows A1 to A3).
    characters = NON_ASCII.findall(text, 0, SAMPLE)
    encoded = (character.encode("gb2312", "ignore") for character in characters)
    common = sum(1 for code in encoded if code and (0xA1 <= code[0] <= 0xA3 or 0xB0 <= code[0] <= 0xD7))
    return common >= SMALLEST_COMMON_SHARE * len(characters)
