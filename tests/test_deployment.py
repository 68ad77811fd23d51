"""The container and its compose file fit the settings, and each other."""

from __future__ import annotations

import re
from dataclasses import fields
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from rag.config import Settings

ROOT = Path(__file__).parents[1]
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
INSTRUCTIONS = [
    line.split(maxsplit=1)
    for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    if line and not line.startswith("#")
]
COPIED = [source for name, rest in INSTRUCTIONS if name == "COPY" for source in rest.split()[:-1]]
KEY = re.compile(r"\$\{QDRANT_API_KEY:-(.+)\}")


def let_in(source: str) -> bool:
    """Return whether .dockerignore leaves a top-level file or folder in: the last pattern that matches decides."""
    inside = True
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").split():
        if fnmatch(source, line.removeprefix("!")):
            inside = line.startswith("!")
    return inside


def test_every_variable_given_to_the_app_is_a_setting():
    assert set(SERVICES["app"]["environment"]) <= {field.name.upper() for field in fields(Settings)}


def test_every_other_setting_comes_from_the_env_file_where_there_is_one():
    assert SERVICES["app"]["env_file"] == [{"path": ".env", "required": False}]


def test_both_services_share_a_key_that_is_never_empty():
    keys = [SERVICES["qdrant"]["environment"]["QDRANT__SERVICE__API_KEY"]]
    keys.append(SERVICES["app"]["environment"]["QDRANT_API_KEY"])
    assert all(KEY.fullmatch(key) for key in keys)
    assert len(set(keys)) == 1


def test_the_server_reports_nothing_to_its_maker():
    assert SERVICES["qdrant"]["environment"]["QDRANT__TELEMETRY_DISABLED"] == "true"


def test_the_app_waits_for_a_healthy_server_that_nobody_else_reaches():
    assert SERVICES["app"]["depends_on"] == {"qdrant": {"condition": "service_healthy"}}
    assert "healthcheck" in SERVICES["qdrant"]
    assert "ports" not in SERVICES["qdrant"]
    assert SERVICES["app"]["ports"] == ["127.0.0.1:8501:8501"]


def test_the_server_is_within_one_minor_version_of_the_client():
    server = re.fullmatch(r"qdrant/qdrant:v(\d+)\.(\d+)\.\d+", SERVICES["qdrant"]["image"])
    assert server is not None
    major, minor = version("qdrant-client").split(".")[:2]
    assert server[1] == major
    assert abs(int(server[2]) - int(minor)) <= 1


def test_the_volumes_are_mounted_where_the_data_is():
    assert SERVICES["app"]["environment"]["DATA_DIR"] == "/data"
    assert SERVICES["app"]["volumes"] == ["app-data:/data"]
    assert ["VOLUME", "/data"] in INSTRUCTIONS


def test_the_image_runs_as_a_user_of_its_own_and_says_how_it_is():
    assert [rest for name, rest in INSTRUCTIONS if name == "USER"] == ["resift"]
    assert any(name == "HEALTHCHECK" and "_stcore/health" in rest for name, rest in INSTRUCTIONS)


def test_the_image_listens_beyond_its_own_loopback():
    (command,) = [yaml.safe_load(rest) for name, rest in INSTRUCTIONS if name == "CMD"]
    assert command[command.index("--server.address") + 1] == "0.0.0.0"


@pytest.mark.parametrize("source", COPIED)
def test_what_the_image_copies_exists_and_is_let_in(source: str):
    assert (ROOT / source).exists()
    assert let_in(source)


def test_what_the_image_does_not_need_stays_out():
    assert not any(let_in(name) for name in (".env", ".git", ".venv", "data", "tests"))
