"""Child processes get the variables that they need and no key; only the one that asks the hub gets the hub's token."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from rag.children.environment import child_environment, hub_environment
from rag.config import Settings


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    names = {name.upper() for name in Settings.__dataclass_fields__ if name.endswith("api_key")} | {"GITHUB_TOKEN"}
    for name in names:
        monkeypatch.setenv(name, "sk-secret")
    monkeypatch.setenv("HF_TOKEN", "hf-secret")
    return names


@pytest.mark.usefixtures("keys")
def test_no_child_gets_a_key() -> None:
    assert "sk-secret" not in [*child_environment().values(), *hub_environment().values()]
    assert "hf-secret" not in child_environment().values()
    assert hub_environment()["HF_TOKEN"] == "hf-secret"


@pytest.mark.usefixtures("keys")
def test_a_child_runs_with_what_it_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    command = [sys.executable, "-c", "import os, numpy; print(os.environ['PATH'], os.environ['LC_ALL'])"]
    told = subprocess.run(command, env=child_environment(), capture_output=True, text=True, check=True).stdout
    assert told == f"{os.environ['PATH']} C.UTF-8\n"
