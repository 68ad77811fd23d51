"""A file that hangs, crashes or exhausts its parser costs only itself."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import files
import pytest

from ingest.parse import parse_in_child
from rag.errors import CancelledError, FileRefusedError, UnavailableError
from rag.limited import run_limited
from rag.types import Document, Section


@pytest.fixture
def parse(tmp_path: Path):
    """Return a function that parses a file in a child process."""

    def parse(name: str, content: bytes | str, **limits) -> Document:
        path = tmp_path / "stored"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return parse_in_child(path, document_id="id", name=name, **{"timeout": 60, "memory_mb": 2048} | limits)

    return parse


def test_a_file_is_parsed_in_a_child_process(parse):
    content = files.pdf([["One."], ["Two."]])
    document = parse("Two pages.PDF", content)
    assert document == Document(
        "id", "Two pages.PDF", "pdf", len(content), (Section("One.", page=1), Section("Two.", page=2))
    )


def test_a_hundred_thousand_rows_come_back_whole(parse):
    content = "n,city\n" + "".join(f"{n},城市{n}\n" for n in range(100_000))
    document = parse("rows.csv", content)
    assert len(document.sections) == 5000
    assert document.sections[-1].text.endswith("n: 99999; city: 城市99999")


def test_a_refusal_in_the_child_reaches_the_parent(parse):
    with pytest.raises(FileRefusedError, match=r"^scan\.pdf has no text layer"):
        parse("scan.pdf", files.scan())


def test_the_child_gets_none_of_the_keys(tmp_path: Path, monkeypatch):
    for name in ("LLM_API_KEY", "RERANK_API_KEY", "QDRANT_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "sk-secret")
    with (tmp_path / "output").open("w+b") as output:
        command = [sys.executable, "-c", "import os; print(dict(os.environ))"]
        run_limited(command, output, name="a.txt", timeout=60, memory_mb=1000, cancelled=lambda: False)
        output.seek(0)
        told = output.read().decode()
    assert "PYTHONPATH" in told
    assert "sk-secret" not in told


def test_a_file_that_takes_too_long_is_stopped(parse):
    with pytest.raises(FileRefusedError, match=r"took longer than 0.05 s .* raise PARSE_TIMEOUT"):
        parse("slow.csv", "a,b\n" * 200_000, timeout=0.05)


def test_a_file_that_needs_too_much_memory_is_refused(parse):
    with pytest.raises(FileRefusedError, match=r"needs more than 128 MB of memory .* raise PARSE_MEMORY_MB"):
        parse("large.txt", b"words " * 10_000_000, memory_mb=128)


def test_a_word_document_that_exhausts_memory_is_refused(parse):
    paragraphs = "<w:p><w:r><w:t>x</w:t></w:r></w:p>" * 1_000_000
    with pytest.raises(FileRefusedError, match="needs more than 256 MB of memory"):
        parse("many.docx", files.word_with_body(paragraphs), memory_mb=256)


def test_a_file_that_is_gone_is_refused(tmp_path):
    with pytest.raises(FileRefusedError, match=r"gone\.txt cannot be opened \(No such file"):
        parse_in_child(tmp_path / "gone", document_id="", name="gone.txt", timeout=9, memory_mb=999)


def test_a_library_that_fails_in_its_own_way_ends_in_a_sentence(parse):
    nested = "<w:sdt><w:sdtContent>" * 300 + "</w:sdtContent></w:sdt>" * 300
    with pytest.raises(FileRefusedError, match="is damaged or unusual"):
        parse("nested.docx", files.word_with_body(nested))


def test_odd_names_reach_the_child_as_they_are(parse):
    name = "-x 'quoted' \"名\" \udcff\n.txt"
    assert parse(name, "text").name == name


def run(code: str, output, cancelled=lambda: False) -> None:
    limits = {"name": "a.pdf", "timeout": 60, "memory_mb": 512}
    run_limited([sys.executable, "-c", code], output, cancelled=cancelled, **limits)


def test_a_crash_of_the_parser_costs_only_its_file():
    code = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    with (
        tempfile.TemporaryFile() as output,
        pytest.raises(FileRefusedError, match=r"crash \(signal 11\): it is probably"),
    ):
        run(code, output)


def test_a_child_that_the_system_kills_is_taken_to_be_out_of_memory():
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    with tempfile.TemporaryFile() as output, pytest.raises(FileRefusedError, match="needs more than 512 MB"):
        run(code, output)


def test_cancelling_kills_the_child(tmp_path):
    written = tmp_path / "pid"
    with written.open("wb") as output, pytest.raises(CancelledError, match=r"Reading a\.pdf was cancelled"):
        run(
            "import os, time; print(os.getpid(), flush=True); time.sleep(60)",
            output,
            cancelled=lambda: written.read_text().endswith("\n"),
        )
    with pytest.raises(ProcessLookupError):
        os.kill(int(written.read_text()), 0)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_not_blamed_on_the_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("text")
    job = f'{{"path": "{path}", "name": "a.txt", "memory_mb": 512, "seconds": 9}}'
    command = [sys.executable, "-m", "ingest.parse.child", job]
    held = bytearray(400_000_000)  # by the process that starts the child, whose own use is small
    with Path("/dev/full").open("wb") as output, pytest.raises(UnavailableError, match="the disk is full"):
        run_limited(command, output, name="a.txt", timeout=9, memory_mb=512, cancelled=lambda: False)
    assert len(held) == 400_000_000


def test_the_child_loads_only_the_parser_it_needs():
    code = "import sys, ingest.parse.child, ingest.parse.text; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"bs4", "docx", "pypdfium2", "numpy", "streamlit", "llama_index", "rag.config", "rag.embed.local"}
    assert not heavy & set(loaded)
