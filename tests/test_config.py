"""Settings: every wrong value is named with what is allowed."""

from __future__ import annotations

import os
import re
from dataclasses import fields
from io import StringIO
from pathlib import Path

import pytest
from dotenv import dotenv_values

from rag.config import Settings, check_collection_name, load_settings, read_settings
from rag.errors import SettingError

EXAMPLE = Path(__file__).parents[1] / ".env.example"


def test_an_empty_environment_gives_the_defaults() -> None:
    assert read_settings({}) == Settings()


def test_an_empty_value_counts_as_unset() -> None:
    assert read_settings({"RERANK_TOP": "", "QDRANT_URL": " "}) == Settings()


def test_each_kind_of_value_is_read() -> None:
    settings = read_settings(
        {
            "DATA_DIR": "/srv/resift",
            "RERANK_TOP": "3",
            "LLM_TIMEOUT": "2.5",
            "HF_HUB_OFFLINE": "yes",
            "LOG_LEVEL": "debug",
        }
    )
    assert settings.data_dir == Path("/srv/resift")
    assert settings.models_folder == Path("/srv/resift/models")
    assert (settings.rerank_top, settings.llm_timeout) == (3, 2.5)
    assert settings.hf_hub_offline
    assert settings.log_level == "DEBUG"


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("RERANK_TOP", "five", "a whole number from 1 to 50"),
        ("RERANK_TOP", "0", "a whole number from 1 to 50"),
        ("RECALL_LIMIT", "1001", "a whole number from 1 to 1000"),
        ("RERANK_TIMEOUT", "nan", "a number from 0.1 to 3600"),
        ("HF_HUB_OFFLINE", "maybe", "use 1 or 0"),
        ("QDRANT_URL", "localhost:6333", "http://host:port"),
        ("LLM_BASE_URL", "http://[::1", "http://host:port"),
        ("HF_ENDPOINT", "https://", "http://host:port"),
        ("LOG_LEVEL", "LOUD", "DEBUG, INFO, WARNING, ERROR"),
        ("COLLECTION", "My Docs", "lower-case letters"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(variable: str, value: str, allowed: str) -> None:
    with pytest.raises(SettingError) as caught:
        read_settings({variable: value})
    assert allowed in str(caught.value)
    assert value in str(caught.value)


def test_more_passages_to_read_than_are_reranked_are_refused() -> None:
    with pytest.raises(SettingError, match=r"RERANK_TOP is 10 but RERANK_CANDIDATES, .* is only 5:"):
        read_settings({"RERANK_TOP": "10", "RERANK_CANDIDATES": "5"})


def test_a_key_without_a_model_is_refused_without_showing_the_key() -> None:
    with pytest.raises(SettingError, match="LLM_MODEL") as caught:
        read_settings({"LLM_API_KEY": "sk-secret"})
    assert "sk-secret" not in str(caught.value)


def test_an_address_without_a_model_is_refused():
    with pytest.raises(SettingError, match="LLM_BASE_URL is set but LLM_MODEL is not: name the model"):
        read_settings({"LLM_BASE_URL": "http://localhost:11434/v1"})


def test_a_model_without_key_or_address_is_refused():
    with pytest.raises(SettingError, match="LLM_MODEL is set but neither LLM_API_KEY nor LLM_BASE_URL is"):
        read_settings({"LLM_MODEL": "qwen3:8b"})


def test_an_override_completes_what_the_environment_leaves_out():
    settings = read_settings({"LLM_BASE_URL": "http://localhost:11434/v1"}, llm_model="qwen3:8b", data_dir=None)
    assert settings.llm_configured
    assert settings.data_dir == Path("data")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_an_env_file_that_is_not_utf_8_is_refused(encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / ".env").write_text("RERANK_TOP=3\nLLM_MODEL=模型\n", encoding=encoding)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingError, match=r"\.env is not UTF-8 text: save it again with the encoding UTF-8"):
        load_settings()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_an_env_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / ".env").touch(mode=0)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingError, match=r"\.env cannot be read \(Permission denied\)"):
        load_settings()


def test_an_env_file_with_a_byte_order_mark_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / ".env").write_text("RERANK_TOP=3\n", encoding="utf-8-sig")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RERANK_TOP", "")
    monkeypatch.delenv("RERANK_TOP")
    assert load_settings().rerank_top == 3


def test_the_environment_wins_over_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / ".env").write_text("RERANK_TOP=3\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RERANK_TOP", "4")
    assert load_settings().rerank_top == 4


def test_secrets_do_not_show_in_the_representation() -> None:
    settings = read_settings({"LLM_API_KEY": "sk-secret", "LLM_MODEL": "m", "QDRANT_API_KEY": "q-secret"})
    assert "secret" not in repr(settings)
    assert "rerank_top=5" in repr(settings)


@pytest.mark.parametrize("variable", ["QDRANT_URL", "LLM_BASE_URL", "HF_ENDPOINT"])
def test_a_password_in_an_address_does_not_show_in_the_representation(variable: str) -> None:
    settings = read_settings({variable: "https://me:S3CRET@host:8443/v1?token=S3CRET"}, llm_model="m", llm_api_key="k")
    assert "S3CRET" not in repr(settings)
    assert f"{variable.lower()}='https://host:8443/v1'" in repr(settings)


@pytest.mark.parametrize(
    "address",
    [
        "me:S3CRET@host:80",
        "htp://me:S3CRET@host",
        "http:/me:S3CRET@host",
        "http://me:S3CRET@host:port",
        "http://me:pass/S3CRET@host",
        "http://me:pass?S3CRET#@host",
        "http://me:pass@S3CRET@host:x",
        "me:a://S3CRET@host",
        "http://host:port/?key=S3CRET",
        "http://host:port/#S3CRET",
    ],
)
def test_a_wrong_address_is_named_without_its_password(address: str) -> None:
    with pytest.raises(SettingError, match=r"LLM_BASE_URL=\S*host\S* is not an address") as caught:
        read_settings({"LLM_BASE_URL": address})
    assert "S3CRET" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "-a", "Ä", "a b", "a/b", "..", "x" * 64])
def test_a_name_that_no_collection_can_have_is_refused(name: str) -> None:
    with pytest.raises(SettingError, match="cannot name a collection"):
        check_collection_name(name)


def test_the_example_file_names_every_setting_and_nothing_else() -> None:
    named = re.findall(r"^([A-Z_]+)=", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(named) == sorted(field.name.upper() for field in fields(Settings))


def test_the_example_file_gives_the_defaults() -> None:
    pairs = re.findall(r"^([A-Z_]+)=(.*)$", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE)
    assert read_settings(dict(pairs)) == Settings()


@pytest.mark.parametrize(
    ("provider", "model"),
    [("OpenAI", "gpt-4o-mini"), ("DeepSeek", "deepseek-chat"), ("Ollama", "qwen3:8b"), ("vLLM", "Qwen/Qwen3-8B")],
)
def test_a_language_model_of_the_example_file_is_set_up_by_uncommenting_its_block(provider: str, model: str):
    blocks = EXAMPLE.read_text(encoding="utf-8").split("\n\n")
    (commented,) = [block for block in blocks if block.startswith(f"# {provider}")]
    uncommented = re.sub("^#(?=[A-Z])", "", commented, flags=re.MULTILINE)
    assert uncommented != commented
    text = "\n\n".join(uncommented if block == commented else block for block in blocks)
    settings = read_settings({name: value or "" for name, value in dotenv_values(stream=StringIO(text)).items()})
    assert settings.llm_configured
    assert settings.llm_model == model
