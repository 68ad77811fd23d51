"""What a file is by its content, which must agree with its name."""

from __future__ import annotations

import zipfile
from pathlib import Path

from ingest.parse.formats import FORMATS, SUFFIXES, Format, format_of
from rag.errors import FileRefusedError
from rag.language.message import NOTHING, Message, joined, message

OLD_OFFICE, ZIP = message("an old Office file"), message("a ZIP archive")

SIGNATURES: tuple[tuple[bytes, Message], ...] = (
    *((one.signature, one.noun) for one in FORMATS if one.signature),
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

ZIP_FOLDERS = {
    "xl/": message("an Excel workbook"),
    "ppt/": message("a PowerPoint presentation"),
    "META-INF/": message("an OpenDocument or EPUB file"),
    **{one.zip_folder: one.noun for one in FORMATS if one.zip_folder},
}
"""The folder that the parts of each kind of file lie in inside its ZIP."""

HEAD_BYTES = 4096
ENCRYPTED_OFFICE_STREAM = "EncryptedPackage".encode("utf-16-le")


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
    if expected.zip_folder and content == OLD_OFFICE and ENCRYPTED_OFFICE_STREAM in path.read_bytes():
        raise FileRefusedError("{name} is protected with a password: remove it and upload the file again.", name=name)
    if expected.signature:
        right = expected.signature in head[: expected.signature_within]
    elif expected.zip_folder:
        right = content == expected.noun
    else:
        right = content == NOTHING or any(content == one.noun for one in FORMATS if one.openings)
    if not right:
        raise FileRefusedError(_mismatch(name, expected, content))


def _identify(head: bytes) -> Message:
    for signature, content in SIGNATURES:
        if head.startswith(signature):
            return content
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return next((one.noun for one in FORMATS if start.startswith(one.openings)), NOTHING)


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


def _mismatch(name: str, expected: Format, content: Message) -> Message:
    looks = content or message("something else")
    read = next((one for one in FORMATS if one.noun == content), None)
    if not content:
        remedy = message("Check that it is complete and opens in its own program.")
    elif content == OLD_OFFICE:
        remedy = message("Save it as DOCX (tables as CSV) and upload that.")
    elif read is not None:
        remedy = message("Rename it to end in {suffix}, or upload the right file.", suffix=read.suffixes[0])
    else:
        remedy = message("Upload the document itself, as {formats}.", formats=", ".join(SUFFIXES))
    wrong = message(
        "{name} is not {expected}: its content looks like {looks}.", name=name, expected=expected.noun, looks=looks
    )
    return joined(wrong, remedy)
