"""What a file is, by its name and by its content."""

from __future__ import annotations

import zipfile
from pathlib import Path

from rag.errors import FileRefusedError
from rag.language.message import NOTHING, Message, joined, message

FORMATS: dict[str, str] = {
    ".pdf": "pdf",
    ".docx": "docx",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".txt": "text",
    ".text": "text",
    ".log": "text",
    ".csv": "csv",
    ".tsv": "csv",
}
"""The format of each suffix that is read; `ingest.parse.<format>` is its parser."""

CONVERSIONS: dict[str, str | Message] = {
    **dict.fromkeys((".doc", ".docm", ".dot", ".dotx", ".odt", ".pages", ".rtf", ".wps"), "DOCX"),
    **dict.fromkeys((".key", ".odp", ".pps", ".ppt", ".pptx", ".djvu", ".epub", ".mobi", ".ps", ".xps"), "PDF"),
    **dict.fromkeys((".numbers", ".ods", ".xls", ".xlsb", ".xlsm", ".xlsx"), "CSV"),
    **dict.fromkeys((".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"), message("a PDF with OCR")),
    **dict.fromkeys((".7z", ".gz", ".rar", ".tar", ".zip"), message("separate files")),
}
"""What to turn a file into whose suffix is known but not read."""

PDF, WORD, WEB_PAGE = message("a PDF"), message("a Word document"), message("a web page")
OLD_OFFICE, ZIP = message("an old Office file"), message("a ZIP archive")

NOUNS = {
    "pdf": PDF,
    "docx": WORD,
    "markdown": message("a Markdown file"),
    "html": message("an HTML page"),
    "text": message("a text file"),
    "csv": message("a CSV file"),
}

SIGNATURES: tuple[tuple[bytes, Message], ...] = (
    (b"%PDF-", PDF),
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", OLD_OFFICE),
    (b"{\\rtf", message("an RTF document")),
    (b"\x89PNG\r\n", message("a PNG picture")),
    (b"\xff\xd8\xff", message("a JPEG picture")),
    (b"GIF8", message("a GIF picture")),
    (b"II*\x00", message("a TIFF picture")),
    (b"MM\x00*", message("a TIFF picture")),
    (b"\x1f\x8b", message("a GZIP archive")),
    (b"7z\xbc\xaf\x27\x1c", message("a 7Z archive")),
    (b"Rar!\x1a\x07", message("a RAR archive")),
    (b"SQLite format 3\x00", message("a SQLite database")),
    (b"%!PS", message("a PostScript file")),
)

# The folder that the parts of each kind of file lie in inside its ZIP.
ZIP_FOLDERS = {
    "word/": WORD,
    "xl/": message("an Excel workbook"),
    "ppt/": message("a PowerPoint presentation"),
    "META-INF/": message("an OpenDocument or EPUB file"),
}

SUFFIX_OF_CONTENT = {PDF: ".pdf", WORD: ".docx", WEB_PAGE: ".html"}

HEAD_BYTES = 4096
PDF_HEADER_WITHIN = 1024  # readers accept a few bytes of rubbish before the header
ENCRYPTED_OFFICE_STREAM = "EncryptedPackage".encode("utf-16-le")


def format_of(name: str) -> str:
    """Return the format that a file's name stands for; raises FileRefusedError saying what is read instead."""
    suffix = Path(name).suffix.lower()
    if suffix in FORMATS:
        return FORMATS[suffix]
    if suffix in CONVERSIONS:
        raise FileRefusedError(
            "{name} cannot be read: {suffix} files are not supported. Convert it to {format} and upload that.",
            name=name,
            suffix=suffix,
            format=CONVERSIONS[suffix],
        )
    raise FileRefusedError(
        "{name} cannot be read: its name must end in one of {formats}.", name=name, formats=", ".join(FORMATS)
    )


def check_content(path: Path, name: str) -> None:
    """Raise FileRefusedError when a file is empty, protected, or its content is not what its name says."""
    expected = format_of(name)
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise FileRefusedError("{name} is empty (0 bytes): upload the complete file.", name=name)
    content = _identify(head)
    if content == ZIP:
        content = _identify_zip(path, name)
    if expected == "docx" and content == OLD_OFFICE and ENCRYPTED_OFFICE_STREAM in path.read_bytes():
        raise FileRefusedError("{name} is protected with a password: remove it and upload the file again.", name=name)
    if expected == "pdf":
        right = b"%PDF-" in head[:PDF_HEADER_WITHIN]
    elif expected == "docx":
        right = content == WORD
    else:
        right = content in (WEB_PAGE, NOTHING)
    if not right:
        raise FileRefusedError(_mismatch(name, expected, content))


def _identify(head: bytes) -> Message:
    for signature, content in SIGNATURES:
        if head.startswith(signature):
            return content
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return WEB_PAGE if start.startswith((b"<!doctype html", b"<html")) else NOTHING


def _identify_zip(path: Path, name: str) -> Message:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except zipfile.BadZipFile:
        raise FileRefusedError(
            "{name} is damaged or was cut off on its way: copy or download it again and upload that.", name=name
        ) from None
    for folder, content in ZIP_FOLDERS.items():
        if any(member.startswith(folder) for member in members):
            return content
    return ZIP


def _mismatch(name: str, expected: str, content: Message) -> Message:
    looks = content or message("something else")
    if not content:
        remedy = message("Check that it is complete and opens in its own program.")
    elif content == OLD_OFFICE:
        remedy = message("Save it as DOCX (tables as CSV) and upload that.")
    elif content in SUFFIX_OF_CONTENT:
        remedy = message("Rename it to end in {suffix}, or upload the right file.", suffix=SUFFIX_OF_CONTENT[content])
    else:
        remedy = message("Upload the document itself, as {formats}.", formats=", ".join(FORMATS))
    wrong = message(
        "{name} is not {expected}: its content looks like {looks}.", name=name, expected=NOUNS[expected], looks=looks
    )
    return joined(wrong, remedy)
