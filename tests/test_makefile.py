"""`make run` sets up once, and says in one sentence why it cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOO_OLD = '#!/bin/sh\nif [ "$1" = --version ]; then echo "Python 3.9.2"; else exit 1; fi\n'
ECHO = '#!/bin/sh\necho "$@"\n'

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not on the PATH")


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run this project's Makefile in a folder, with no variable that an outer make has set."""
    shutil.copy(ROOT / "Makefile", folder)
    command, variables = ["make", *arguments], {"PATH": os.environ["PATH"]}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=30, check=False)


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script, encoding="utf-8")
    path.chmod(0o755)
    return path


def set_up(folder: Path) -> None:
    """Leave what a first `make run` leaves, with a Python that prints its arguments."""
    for name in ("pyproject.toml", "constraints.txt"):
        (folder / name).touch()
    program(folder / ".venv" / "bin" / "python", ECHO)
    for number, stamp in enumerate((".python", ".run", ".test")):
        (folder / ".venv" / stamp).touch()
        soon = (folder / "constraints.txt").stat().st_mtime + number
        os.utime(folder / ".venv" / stamp, (soon, soon))


def test_a_missing_python_gives_one_sentence(tmp_path: Path):
    done = make(tmp_path, "run", "PYTHON=nowhere")
    assert done.returncode != 0
    assert done.stdout.splitlines() == [
        "Resift needs Python 3.11 or newer, and 'nowhere' was not found: "
        "install it, or name one that is there, for instance: make run PYTHON=python3.12"
    ]
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / ".venv").exists()


def test_a_python_that_is_too_old_gives_one_sentence(tmp_path: Path):
    old = program(tmp_path / "old" / "python3", TOO_OLD)
    done = make(tmp_path, "run", f"PYTHON={old}")
    assert done.returncode != 0
    assert done.stdout.splitlines() == [
        f"Resift needs Python 3.11 or newer, and '{old}' is Python 3.9.2: "
        "install a newer one, or name it, for instance: make run PYTHON=python3.12"
    ]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_second_run_only_opens_the_page(tmp_path: Path):
    set_up(tmp_path)
    done = make(tmp_path, "--silent", "run", "PORT=9000")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["-m streamlit run app.py --server.port 9000"]


def test_changed_dependencies_are_installed_before_the_page_opens(tmp_path: Path):
    set_up(tmp_path)
    later = (tmp_path / ".venv" / ".test").stat().st_mtime + 10
    os.utime(tmp_path / "pyproject.toml", (later, later))
    lines = make(tmp_path, "--silent", "run").stdout.splitlines()
    assert [line.split()[:3] for line in lines] == [["-m", "pip", "install"], ["-m", "streamlit", "run"]]


def test_the_programs_of_a_clone_that_moved_still_run(tmp_path: Path):
    set_up(tmp_path)
    done = make(tmp_path, "--silent", "test", "lint", "types")
    assert done.returncode == 0, done.stderr
    assert [" ".join(line.split()[:3]) for line in done.stdout.splitlines()] == [
        "-m pytest -n",
        "-m ruff check",
        "-m ruff format",
        "-c from importlinter.cli",
        "-m mypy",
    ]
