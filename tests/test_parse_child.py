"""A file that hangs, crashes or exhausts its parser costs only itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import files
import pytest

from ingest.parse import parse_in_child
from rag.children.limited import run_limited
from rag.children.starting import CAN_FORK, Children, Spawned
from rag.errors import CancelledError, FileRefusedError, UnavailableError
from rag.types import Document, Section
from tests.waiting import wait_until

ROOT = Path(__file__).parents[1]


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


def test_the_child_gets_none_of_the_keys(monkeypatch):
    for name in ("LLM_API_KEY", "RERANK_API_KEY", "QDRANT_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "sk-secret")
    for start in ways("import os; print(dict(os.environ), flush=True)"):
        told = said(start)
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


def ways(code: str):
    """Return how a child is started that runs some code: as a command, and as a fork where there are any."""
    forking = [partial(Children("tests.child_of_code").start, code)] if CAN_FORK else []
    return [partial(Spawned, [sys.executable, "-c", code]), *forking]


def run(start, output, cancelled=lambda: False) -> None:
    run_limited(start, output, name="a.pdf", timeout=60, memory_mb=512, cancelled=cancelled)


def said(start) -> str:
    with tempfile.TemporaryFile() as output:
        run(start, output)
        output.seek(0)
        return output.read().decode()


@pytest.fixture(params=[0, 1] if CAN_FORK else [0], ids=["command", "fork"][: 1 + CAN_FORK])
def way(request):
    """Return a function that gives one of the ways to start a child."""
    return lambda code: ways(code)[request.param]


def test_a_crash_of_the_parser_costs_only_its_file(way):
    start = way("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    for _ in range(2):
        with (
            tempfile.TemporaryFile() as output,
            pytest.raises(FileRefusedError, match=r"crash \(signal 11\): it is probably"),
        ):
            run(start, output)


def test_a_child_that_the_system_kills_is_taken_to_be_out_of_memory(way):
    start = way("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with tempfile.TemporaryFile() as output, pytest.raises(FileRefusedError, match="needs more than 512 MB"):
        run(start, output)


def test_cancelling_kills_the_child(tmp_path, way):
    written = tmp_path / "pid"
    start = way("import os, time; print(os.getpid(), flush=True); time.sleep(60)")
    with written.open("wb") as output, pytest.raises(CancelledError, match=r"Reading a\.pdf was cancelled"):
        run(start, output, cancelled=lambda: written.read_text().endswith("\n"))
    with pytest.raises(ProcessLookupError):
        os.kill(int(written.read_text()), 0)


@pytest.mark.skipif(not CAN_FORK, reason="there are no fork servers on this system")
def test_a_server_forks_for_one_job_after_another_and_keeps_nothing_of_them():
    children, code = Children("tests.child_of_code"), "import os, sys; print(os.getpid(), os.getppid(), flush=True)"
    jobs = [said(partial(children.start, f"{code}; sys.modules['seen'] = 1")).split() for _ in range(2)]
    assert jobs[0][1] == jobs[1][1], "one server"
    assert jobs[0][0] != jobs[1][0], "a process for each job"
    assert said(partial(children.start, "import sys; print('seen' in sys.modules, flush=True)")) == "False\n"


@pytest.mark.skipif(not CAN_FORK, reason="there are no fork servers on this system")
def test_a_server_that_somebody_ends_is_replaced_and_costs_at_most_the_file_at_work():
    children = Children("tests.child_of_code")
    server = int(said(partial(children.start, "import os; print(os.getppid(), flush=True)")))
    os.kill(server, signal.SIGKILL)
    assert said(partial(children.start, "print(1, flush=True)")) == "1\n"
    with tempfile.TemporaryFile() as output, pytest.raises(FileRefusedError, match="needs more than 512 MB"):
        run(partial(children.start, "import os, signal; os.kill(os.getppid(), signal.SIGKILL)"), output)
    assert said(partial(children.start, "print(2, flush=True)")) == "2\n"


@pytest.mark.skipif(not CAN_FORK, reason="there are no fork servers on this system")
def test_jobs_at_once_have_a_server_each():
    children, together = Children("tests.child_of_code"), threading.Barrier(3)
    with ThreadPoolExecutor(3) as pool:

        def server() -> str:
            together.wait()
            return said(partial(children.start, "import os, time; print(os.getppid(), flush=True); time.sleep(0.5)"))

        assert len({one.result() for one in [pool.submit(server) for _ in range(3)]}) == 3


@pytest.mark.skipif(not CAN_FORK, reason="there are no fork servers on this system")
def test_a_server_ends_with_the_process_that_it_works_for():
    code = (
        "import tempfile, os; from rag.children.starting import Children\n"
        "with tempfile.TemporaryFile() as output:\n"
        "    start = Children('tests.child_of_code').start\n"
        "    child = start('import os; print(os.getppid(), flush=True)', output, output)\n"
        "    child.wait(None); output.seek(0); print(output.read().decode(), flush=True); os._exit(1)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    wait_until(lambda: not Path(f"/proc/{told.stdout.strip()}").exists())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_not_blamed_on_the_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("text")
    job = f'{{"path": "{path}", "name": "a.txt", "memory_mb": 512, "seconds": 9}}'
    command = [sys.executable, "-m", "ingest.parse.child", job]
    held = bytearray(400_000_000)  # by the process that starts the child, whose own use is small
    with Path("/dev/full").open("wb") as output, pytest.raises(UnavailableError, match="the disk is full"):
        run(partial(Spawned, command), output)
    assert len(held) == 400_000_000


def test_the_child_loads_only_the_parser_it_needs():
    code = "import sys, ingest.parse.child, ingest.parse.text; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"bs4", "docx", "pypdfium2", "numpy", "streamlit", "llama_index", "rag.config", "rag.embed.local"}
    assert not heavy & set(loaded)
