"""Libraries that report to their makers are told not to before they are loaded, wherever Python starts.

That nothing is asked for is checked at the end of every page that tests serve and of every command that they run
(tests/outside.py).
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
REPORTING = {"onnxruntime", "fastembed", "huggingface_hub"}
"""What reports, and what loads it."""

PACKAGES = {"bench", "tools"}
"""Their first lines import rag, and so do those of the tests' conftest.py."""


def imported(file: Path) -> set[str]:
    """Return the top-level names of all that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def test_what_reports_is_imported_only_where_rag_was_imported_before():
    files = [file for folder in ("rag", "ingest", "service", "ui", *PACKAGES) for file in (ROOT / folder).rglob("*.py")]
    found = {file.relative_to(ROOT).parts[0] for file in [*files, ROOT / "app.py"] if imported(file) & REPORTING}
    assert found <= {"rag", *PACKAGES}


def test_each_package_tells_them_as_its_first_import():
    variables = {name: value for name, value in os.environ.items() if "TELEMETRY" not in name}
    for package in ("rag", *sorted(PACKAGES), "tests.conftest"):
        code = (
            f"import os, sys; import {package}; "
            "assert os.environ['ORT_DISABLE_TELEMETRY'] == os.environ['HF_HUB_DISABLE_TELEMETRY'] == '1'; "
            f"assert not {REPORTING} & set(sys.modules), sys.modules"
        )
        told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=variables, capture_output=True, check=False)
        assert told.returncode == 0, told.stderr.decode()
