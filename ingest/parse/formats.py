"""The files that are read: a record for each format, and a parser of its name beside it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from rag.errors import FileRefusedError
from rag.language.message import Message, message


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file, which the module `ingest.parse.<name>` reads; `noun` is what one of them is called.

    It is known by a `signature` among its first `signature_within` bytes, or as a ZIP by the `zip_folder` that its
    parts lie in. What has neither is text, which may begin with one of `openings` (in lower case).
    """

    name: str
    suffixes: tuple[str, ...]
    title: Message
    noun: Message
    signature: bytes = b""
    signature_within: int = 0
    zip_folder: str = ""
    openings: tuple[bytes, ...] = ()


FORMATS = (
    # Readers of PDF accept a few bytes of rubbish before the signature.
    Format("pdf", (".pdf",), message("PDF"), message("a PDF"), signature=b"%PDF-", signature_within=1024),
    Format("docx", (".docx",), message("Word (DOCX)"), message("a Word document"), zip_folder="word/"),
    Format("markdown", (".md", ".markdown"), message("Markdown"), message("a Markdown file")),
    Format("html", (".html", ".htm"), message("HTML"), message("a web page"), openings=(b"<!doctype html", b"<html")),
    Format("text", (".txt", ".text", ".log"), message("text"), message("a text file")),
    Format("csv", (".csv", ".tsv"), message("CSV"), message("a CSV file")),
)
"""Every format that is read. Adding one is a record here and a parser."""

SUFFIXES = {suffix: one for one in FORMATS for suffix in one.suffixes}

CONVERSIONS: dict[str, str | Message] = {
    **dict.fromkeys((".doc", ".docm", ".dot", ".dotx", ".odt", ".pages", ".rtf", ".wps"), "DOCX"),
    **dict.fromkeys((".key", ".odp", ".pps", ".ppt", ".pptx", ".djvu", ".epub", ".mobi", ".ps", ".xps"), "PDF"),
    **dict.fromkeys((".numbers", ".ods", ".xls", ".xlsb", ".xlsm", ".xlsx"), "CSV"),
    **dict.fromkeys((".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"), message("a PDF with OCR")),
    **dict.fromkeys((".7z", ".gz", ".rar", ".tar", ".zip"), message("separate files")),
}
"""What to turn a file into whose suffix is known but not read."""


def format_of(name: str) -> Format:
    """Return the format that a file's name stands for; raises FileRefusedError saying what is read instead."""
    check_suffix(name, SUFFIXES)
    return SUFFIXES[Path(name).suffix.lower()]


def check_suffix(name: str, read: Collection[str]) -> None:
    """Raise FileRefusedError for a file whose name ends in none of the suffixes that are read, saying what to do."""
    suffix = Path(name).suffix.lower()
    if suffix in read:
        return
    conversion = CONVERSIONS.get(suffix)
    if conversion and (read is SUFFIXES or f".{conversion}".lower() in read):
        raise FileRefusedError(
            "{name} cannot be read: {suffix} files are not supported. Convert it to {format} and upload that.",
            name=name,
            suffix=suffix,
            format=conversion,
        )
    raise FileRefusedError(
        "{name} cannot be read: its name must end in one of {formats}.", name=name, formats=", ".join(read)
    )
