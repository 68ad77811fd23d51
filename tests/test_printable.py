"""What is printed commands no terminal: names, answers and logs are shown as they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ingest.__main__ import main
from rag.language.printable import printable
from rag.log import print_text

NAME = "a\x1b[2J\u202egnp\nb\x9b31m\u2066.txt"
SHOWN = r"a\u001b[2J\u202egnp\nb\u009b31m\u2066.txt"


def test_what_does_something_when_it_is_printed_is_written_out() -> None:
    assert printable(NAME) == SHOWN
    assert printable("naïve 睡眠 😀 שלום\u200f", keeping="\n") == "naïve 睡眠 😀 שלום\u200f"
    assert printable("\U000e0041\ud800") == r"\udb40\udc41\ud800"


def test_lines_of_an_answer_stay_lines_and_its_commands_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    print_text("One.\n\tTwo\x1b]0;title\x07\r.")
    assert capsys.readouterr().out == "One.\n\tTwo\\u001b]0;title\\u0007\\r.\n"


def test_the_shell_prints_no_command_of_a_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / NAME), "--data", str(tmp_path / "data")]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.count(SHOWN) == 2
    assert line.startswith("failed")


def test_a_name_forges_no_line_of_the_log() -> None:
    program = (
        "import logging; from rag.log import set_up_logging; set_up_logging('INFO');"
        f"logging.getLogger('rag.x').info('Read %s', {NAME!r})"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, encoding="utf-8")
    assert result.stderr.endswith(f"INFO rag.x: Read {SHOWN}\n")
    assert result.stderr.count("\n") == 1
