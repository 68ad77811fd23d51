"""The commands that scripts depend on: what they print, and what they end with."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ingest.inbox import Inbox
from rag.database.lock import DataFolderLock
from tests.outside import nothing_leaves
from tests.parts import offline_settings
from tests.waiting import wait_until

ROOT = Path(__file__).parents[1]


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the shell contract with no settings but the given ones.

    Fail if it has asked for anything from another machine, or written anything to its HOME.
    """
    command = [sys.executable, "-m", *arguments]
    with tempfile.TemporaryDirectory() as folder, nothing_leaves(Path(folder)) as watched:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=variables.get("CWD", ROOT),
            env={**watched, "HF_HUB_OFFLINE": "1", **variables},
            check=False,
        )


def outcomes(result: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """Read what `ingest --json` printed."""
    parsed: list[dict[str, Any]] = json.loads(result.stdout)
    return parsed


@contextmanager
def ingesting_while_the_folder_is_held(
    tmp_path: Path,
) -> Iterator[tuple[subprocess.Popen[bytes], Inbox, DataFolderLock]]:
    """Start `ingest --json` on a note while the data folder is held, and wait until it has handed the note over."""
    (tmp_path / "note.txt").write_text("A note about water.")
    data = tmp_path / "data"
    lock = DataFolderLock(data).acquire()
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "ingest", str(tmp_path / "note.txt"), "--data", str(data), "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT, env=environment
    ) as child:
        inbox = Inbox(offline_settings(data))
        wait_until(inbox.jobs.jobs_of)
        yield child, inbox, lock
    lock.release()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with two notes in the collection "notes"."""
    folder = tmp_path_factory.mktemp("shell")
    notes = folder / "notes"
    notes.mkdir()
    (notes / "heat.md").write_text("# Heat\n\nTake the phone out of the sun and switch it off until it has cooled.")
    (notes / "diet.md").write_text("# Diet\n\nSugary drinks raise blood sugar quickly.")
    result = run("ingest", str(notes), "--collection", "notes", "--data", str(folder / "data"), "--json")
    assert result.returncode == 0, result.stderr
    assert [outcome["state"] for outcome in outcomes(result)] == ["done", "done"]
    return folder / "data"


def test_ask_prints_one_object_with_the_fields_of_the_contract(data: Path) -> None:
    result = run("rag", "ask", "How do I cool a hot phone?", "--collection", "notes", "--data", str(data), "--json")
    assert result.returncode == 0, result.stderr
    record = json.loads(result.stdout)
    assert record["question"] == "How do I cool a hot phone?"
    assert record["collection"] == "notes"
    assert record["reranker"]["state"] == "on"
    assert {*record["recalled"][0]} == {"rank", "chunk_id", "document", "page", "heading", "text", "scores"}
    assert {*record["recalled"][0]["scores"]} == {"dense", "bm25", "fused"}
    assert {*record["reranked"][0]} >= {"rank", "from_rank", "chunk_id", "score", "kept"}
    assert record["answer"]["mode"] == "extractive"
    assert "switch it off" in record["answer"]["text"]
    assert {*record["citations"][0]} == {"number", "chunk_id", "document", "page", "quote", "marks"}
    assert record["citations"][0]["document"] == "heat.md"
    assert all(isinstance(value, float) for value in record["timings_ms"].values())
    assert isinstance(record["warnings"], list)


def test_ask_without_json_prints_the_answer_and_its_evidence(data: Path) -> None:
    result = run("rag", "ask", "hot phone", "--collection", "notes", "--data", str(data), "--top", "1")
    assert result.returncode == 0
    assert "switch it off" in result.stdout
    assert "[1]" in result.stdout
    assert "heat.md" in result.stdout


def test_ask_says_how_many_files_were_on_their_way(data: Path) -> None:
    inbox = Inbox(offline_settings(data))
    job = inbox.accept("notes", "later.txt", io.BytesIO(b"Not read yet."))
    try:
        asked = run("rag", "ask", "hot phone", "--collection", "notes", "--data", str(data))
        assert "! 1 file is on its way into 'notes' and was not searched" in asked.stdout, asked.stderr
    finally:
        inbox.jobs.cancel_job(job.id)
        inbox.close()


def test_ask_without_reranking_says_off_and_gives_no_scores(data: Path) -> None:
    result = run("rag", "ask", "phone", "--collection", "notes", "--data", str(data), "--reranker", "none", "--json")
    record = json.loads(result.stdout)
    assert record["reranker"]["state"] == "off"
    assert [item["from_rank"] for item in record["reranked"]] == [item["rank"] for item in record["reranked"]]
    assert all(item["score"] is None for item in record["reranked"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["rag", "ask", "", "--collection", "notes"], "The question is empty"),
        (["rag", "ask", "x", "--collection", "nowhere"], "nowhere"),
        (["rag", "ask", "x", "--collection", "No Name"], "cannot name a collection"),
        (["rag", "ask", "x", "--collection", "notes", "--top", "0"], "--top 0 is not allowed"),
        (["ingest", "README.md", "--collection", "No Name"], "cannot name a collection"),
    ],
)
def test_wrong_use_ends_with_two_and_one_sentence(data: Path, arguments: list[str], sentence: str) -> None:
    result = run(*arguments, "--data", str(data))
    assert result.returncode == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    result = run("rag", "ask", "x", "--data", str(tmp_path), RERANK_TOP="many")
    assert result.returncode == 2
    assert "RERANK_TOP=many is not allowed: give a whole number from 1 to 50" in result.stderr


def test_no_arguments_show_the_usage() -> None:
    for package in ("rag", "ingest"):
        result = run(package)
        assert result.returncode == 2
        assert "usage: python -m" in result.stderr


def test_bad_files_are_named_with_their_reasons_and_the_rest_goes_in(tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    (folder / "below").mkdir(parents=True)
    (folder / "good.txt").write_text("A good file about water.")
    (folder / "below" / "good.txt").write_text("Another file of the same name about heat.")
    (folder / "empty.txt").touch()
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 nothing more")
    (folder / "photo.raw").write_bytes(b"x")
    result = run("ingest", str(folder), str(tmp_path / "gone.txt"), "--data", str(tmp_path / "data"), "--json")
    assert result.returncode == 1
    states = {Path(outcome["path"]).relative_to(tmp_path).as_posix(): outcome for outcome in outcomes(result)}
    assert {path: outcome["state"] for path, outcome in states.items()} == {
        "mixed/good.txt": "done",
        "mixed/below/good.txt": "done",
        "mixed/empty.txt": "failed",
        "mixed/broken.pdf": "failed",
        "mixed/photo.raw": "skipped",
        "gone.txt": "failed",
    }
    assert "empty" in states["mixed/empty.txt"]["reason"]
    assert "There is no" in states["gone.txt"]["reason"]
    assert states["mixed/good.txt"]["chunks"] == 1


def test_two_files_of_one_name_in_one_call_are_both_kept(tmp_path: Path) -> None:
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "README.md").write_text(f"The {folder} of two files about water.")
    paths = [str(tmp_path / folder / "README.md") for folder in ("first", "second")]
    result = run("ingest", *paths, "--data", str(tmp_path / "data"), "--json")
    assert [outcome["reason"] for outcome in outcomes(result)] == ["", ""]
    inbox = Inbox(offline_settings(tmp_path / "data"))
    assert [job.name for job in inbox.jobs.jobs_of()] == ["README.md", "second › README.md"]


def test_a_job_that_somebody_takes_off_the_list_does_not_keep_the_command_waiting(tmp_path: Path) -> None:
    with ingesting_while_the_folder_is_held(tmp_path) as (child, inbox, _):
        (job,) = inbox.jobs.jobs_of()
        inbox.tasks.delete_task(job.id)
        printed, _ = child.communicate(timeout=60)
    assert child.returncode == 1
    assert json.loads(printed)[0]["state"] == "cancelled"


def test_the_same_folder_again_is_unchanged(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("A note about water.")
    arguments = ("ingest", str(tmp_path / "note.txt"), "--data", str(tmp_path / "data"), "--json")
    assert outcomes(run(*arguments))[0]["reason"] == ""
    again = run(*arguments)
    assert again.returncode == 0
    assert outcomes(again)[0]["reason"].startswith("Unchanged")


def test_files_are_handed_to_the_process_that_has_the_folder_and_taken_over_when_it_ends(tmp_path: Path) -> None:
    with ingesting_while_the_folder_is_held(tmp_path) as (child, inbox, lock):
        assert [job.state for job in inbox.jobs.jobs_of()] == ["queued"]
        assert child.poll() is None
        lock.release()
        printed, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    assert json.loads(printed)[0]["state"] == "done"


def test_a_folder_that_cannot_be_written_to_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    result = run("ingest", str(ROOT / "README.md"), "--data", str(tmp_path / "file" / "data"))
    assert result.returncode == 2
    assert "DATA_DIR" in result.stderr
    assert "Traceback" not in result.stderr


def test_links_inside_a_folder_are_followed_only_when_that_is_asked_for(tmp_path: Path) -> None:
    outside, notes = tmp_path / "outside", tmp_path / "notes"
    (outside / "more").mkdir(parents=True)
    notes.mkdir()
    (notes / "own.txt").write_text("A note about water.")
    (outside / "secret.txt").write_text("A secret that nobody meant to share.")
    (outside / "more" / "deep.txt").write_text("Another secret, deeper down.")
    (notes / "link.txt").symlink_to(outside / "secret.txt")
    (notes / "folder").symlink_to(outside / "more")
    (notes / "round").symlink_to(notes)
    os.mkfifo(notes / "pipe.txt")  # who opens it would wait for ever
    names = {
        Path(outcome["path"]).name: (outcome["state"], outcome["reason"])
        for outcome in outcomes(run("ingest", str(notes), "--data", str(tmp_path / "data"), "--json"))
    }
    link = ("skipped", "It is a link, which is not followed: add --follow-links to read what it leads to.")
    pipe = ("skipped", "It is a pipe, a socket or a device, which is not read.")
    assert names == {"own.txt": ("done", ""), "link.txt": link, "folder": link, "round": link, "pipe.txt": pipe}
    (notes / "pipe.txt").unlink()
    followed = run("ingest", str(notes), "--follow-links", "--data", str(tmp_path / "more"), "--json")
    assert sorted(Path(one["path"]).name for one in outcomes(followed)) == ["deep.txt", "link.txt", "own.txt"]
    assert {one["state"] for one in outcomes(followed)} == {"done"}
