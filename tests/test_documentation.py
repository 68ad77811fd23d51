"""What the documents say is there: files, commands, settings, dependencies and the demo's effects."""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from collections import Counter
from dataclasses import fields
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from rag.config import Settings
from tools.draw_house import BEGIN, END, drawing
from tools.measure_demo import MEASURED, README, TABLE_MARKERS, read_questions

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OWN = {"rag", "ingest", "service", "ui", "app", "tests", "tools", "bench"}
OTHERS = {"STREAMLIT_SERVER_ADDRESS", "OLLAMA_HOST"}
"""Variables of other programs that the documents name."""

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


@each_document
def test_every_relative_link_and_picture_leads_somewhere(document: Path):
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


@each_document
def test_every_make_command_exists(document: Path):
    text = document.read_text(encoding="utf-8")
    named = re.findall(r"^make ([a-z]+)", text, re.MULTILINE) + re.findall(r"`[^`\n]*\bmake ([a-z]+)[^`\n]*`", text)
    assert set(named) <= set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))


@each_document
def test_every_variable_given_a_value_is_a_setting(document: Path):
    named = set(re.findall(r"\b([A-Z][A-Z_]+)=", document.read_text(encoding="utf-8")))
    settings = {field.name.upper() for field in fields(Settings)}
    assert named - settings - OTHERS - set(re.findall(r"^([A-Z]+) \?=", MAKEFILE, re.MULTILINE)) == set()


def test_the_drawing_of_the_house_is_that_of_the_code():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert page.partition(BEGIN)[2].partition(END)[0] == drawing(), "Draw it anew: python -m tools.draw_house"


def test_every_file_that_a_change_goes_to_is_there():
    text = (ROOT / "docs" / "development.md").read_text(encoding="utf-8")
    named = re.findall(r"`([a-z_./]+/[a-z_.]+\.[a-z]+|[a-z]+\.[a-z]+)`", text)
    assert len(named) > 20
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_readme_names_the_commands_that_its_reader_starts_with():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^make ([a-z]+)", text, re.MULTILINE) == ["run", "test"]


def test_the_demo_readme_shows_the_effects_as_measured():
    begin, end = TABLE_MARKERS
    table = README.read_text(encoding="utf-8").partition(begin)[2].partition(end)[0]
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table.split("\n") if line]
    measured = json.loads(MEASURED.read_text(encoding="utf-8"))["questions"]
    expected = []
    for question in read_questions():
        one = measured[question.id]
        expected.append((question.question, str(one["before"] or "-"), str(one["after"] or "-"), one["effect"]))
    assert sorted(rows[2:]) == sorted(expected)


def test_the_readme_counts_the_effects_as_measured():
    effects = Counter(one["effect"] for one in json.loads(MEASURED.read_text(encoding="utf-8"))["questions"].values())
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert "two questions are rescued, most stay as they are, and one loses its source" in text
    assert (effects["rescued"], effects["lost"]) == (2, 1)
    assert effects["unchanged"] > effects.total() / 2


def top_level_imports(folders: list[str]) -> set[str]:
    paths = [ROOT / "app.py", *(path for folder in folders for path in (ROOT / folder).rglob("*.py"))]
    found: set[str] = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - OWN - set(sys.stdlib_module_names)


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=!~;\[ ]", name)[0]).lower()


def test_every_library_that_the_app_imports_is_declared():
    declared = {canonical(line) for line in PROJECT["dependencies"]}
    distributions = packages_distributions()
    undeclared = {
        library
        for library in top_level_imports(["rag", "ingest", "service", "ui"])
        if declared.isdisjoint(map(canonical, distributions.get(library, [library])))
    }
    assert undeclared == set()


def test_every_declared_library_is_pinned_and_without_an_index_address():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in lines)
    declared = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]
    assert {canonical(line) for line in declared} <= {canonical(line) for line in lines}


def test_each_thing_that_is_protected_names_tests_that_exist():
    files = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "tests").glob("*.py")}
    there = {name for text in files.values() for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)}
    lines = (ROOT / "docs" / "security.md").read_text(encoding="utf-8").splitlines()
    rows = [line.strip("|").split("|") for line in lines if line.startswith("| ") and "what is protected" not in line]
    assert len(rows) > 20
    for what, whom, how, tests in rows:
        named = re.findall(r"`(test_\w+)`", tests)
        assert named, f"no test says that {what.strip()} is protected"
        assert whom.strip()
        assert how.strip()
        assert set(named) <= there, f"{what.strip()}: {set(named) - there} do not exist"
