"""Real files of every format, built in memory for the tests."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence

import docx
from PIL import Image
from reportlab.lib import pdfencrypt
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

CHINESE_FONT = "STSong-Light"


def pdf(pages: Sequence[Sequence[str]], password: str = "") -> bytes:
    """Return a PDF with the given lines on each page; with a password, it cannot be opened without."""
    buffer = io.BytesIO()
    encryption = pdfencrypt.StandardEncryption(password, canPrint=0) if password else None
    pdfmetrics.registerFont(UnicodeCIDFont(CHINESE_FONT))
    canvas = Canvas(buffer, pagesize=A4, encrypt=encryption, invariant=True)
    for lines in pages:
        for number, line in enumerate(lines):
            canvas.setFont("Helvetica" if line.isascii() else CHINESE_FONT, 11)
            canvas.drawString(60, 780 - 14 * number, line)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def scan(pages: int = 1) -> bytes:
    """Return a PDF whose pages are pictures, as a scanner makes them."""
    image = Image.new("L", (200, 280), color=230)
    buffer = io.BytesIO()
    image.save(buffer, "PDF", save_all=True, append_images=[image] * (pages - 1))
    return buffer.getvalue()


def word(document: docx.document.Document) -> bytes:
    """Return a document built with python-docx as the bytes of a DOCX file."""
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def word_with_body(xml: str) -> bytes:
    """Return a DOCX file whose body is the given WordprocessingML, for what python-docx cannot write."""
    with zipfile.ZipFile(io.BytesIO(word(docx.Document()))) as empty:
        members = {member: empty.read(member) for member in empty.namelist()}
    start, rest = members["word/document.xml"].split(b"<w:body>")
    members["word/document.xml"] = start + b"<w:body>" + xml.encode() + rest[rest.index(b"<w:sectPr") :]
    return archive(members)


def archive(members: Mapping[str, bytes]) -> bytes:
    """Return a ZIP archive with the given members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return buffer.getvalue()


def png() -> bytes:
    """Return a small picture."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    return buffer.getvalue()


def bomb(megabytes: int) -> bytes:
    """Return a small ZIP archive, made like a DOCX file, that unpacks to so many megabytes of zeros."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed,
        packed.open("word/document.xml", "w") as document,
    ):
        for _ in range(megabytes):
            document.write(bytes(1024**2))
    return buffer.getvalue()
