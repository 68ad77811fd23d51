"""Settings: built once from the environment, frozen, every wrong value named with what is allowed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dotenv import load_dotenv

from rag.errors import SettingError
from rag.language.message import message

HOST_NAME = re.compile(r"(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|[0-9A-Fa-f:.]+")
COLLECTION_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
ADDRESSES = ("qdrant_url", "llm_base_url", "hf_endpoint", "embed_url", "rerank_url")
"""The settings that are addresses, which may hold a user and a password."""

SECRET_PARTS = re.compile(r"^([a-z][a-z0-9+.-]*://)?.*@|[?#].*", re.IGNORECASE | re.DOTALL)
"""What stands before an address's host, with the scheme to keep, and its query."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings; a field's name in capitals is its environment variable."""

    data_dir: Path = Path("data")
    models_dir: Path | None = None
    model_folders: tuple[Path, ...] = ()
    collection: str = "documents"

    embed_model: str = "auto"
    embed_url: str = ""
    embed_api_key: str = ""
    embed_timeout: float = 60.0
    embed_price: float = 0.0
    rerank_model: str = "auto"
    model_threads: int = 0
    model_provider: str = "cpu"
    hf_endpoint: str = "https://huggingface.co"
    hf_hub_offline: bool = False

    recall_limit: int = 30
    rerank_candidates: int = 24
    rerank_top: int = 5
    rerank_timeout: float = 20.0
    rerank_budget_ms: int = 0
    rerank_shortlist: int = 24
    rerank_blend: float = 0.0
    rerank_precision: str = "auto"
    rerank_url: str = ""
    rerank_api_key: str = ""
    openai_api_key: str = ""
    cohere_api_key: str = ""
    jina_api_key: str = ""
    voyage_api_key: str = ""
    siliconflow_api_key: str = ""
    zhipu_api_key: str = ""

    llm_base_url: str = ""
    llm_model: str = ""
    llm_api_key: str = ""
    llm_timeout: float = 60.0
    llm_max_characters: int = 200_000
    llm_max_seconds: float = 600.0
    history_turns: int = 4

    qdrant_url: str = ""
    qdrant_api_key: str = ""
    qdrant_shards: int = 1
    qdrant_replicas: int = 1

    max_file_mb: int = 100
    parse_timeout: float = 120.0
    parse_memory_mb: int = 2048

    log_level: str = "INFO"
    allowed_hosts: tuple[str, ...] = ()

    @property
    def models_folder(self) -> Path:
        """Where downloaded models are kept."""
        return self.models_dir or self.data_dir / "models"

    @property
    def llm_configured(self) -> bool:
        """Whether a language model can be asked: a model name, and a key or an address of one's own."""
        return bool(self.llm_model and (self.llm_api_key or self.llm_base_url))

    def __repr__(self) -> str:
        """Show every setting but the secrets."""
        shown = []
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in ADDRESSES:
                value = without_secrets(value)
            shown.append(f"{field.name}={'***' if field.name.endswith('api_key') and value else repr(value)}")
        return f"Settings({', '.join(shown)})"


LIMITS: dict[str, tuple[float, float]] = {
    "model_threads": (0, 256),
    "embed_timeout": (1, 3600),
    "embed_price": (0, 1_000_000),
    "recall_limit": (1, 1000),
    "rerank_candidates": (1, 1000),
    "rerank_top": (1, 50),
    "rerank_timeout": (0.1, 3600),
    "rerank_budget_ms": (0, 3_600_000),
    "rerank_shortlist": (1, 1000),
    "rerank_blend": (0, 1),
    "llm_timeout": (1, 3600),
    "llm_max_characters": (1_000, 10_000_000),
    "llm_max_seconds": (1, 86_400),
    "history_turns": (0, 50),
    "qdrant_shards": (1, 1024),
    "qdrant_replicas": (1, 64),
    "max_file_mb": (1, 10_000),
    "parse_timeout": (1, 86_400),
    "parse_memory_mb": (128, 1_000_000),
}
"""The smallest and largest value of each numeric setting."""

CHOICES: dict[str, tuple[str, ...]] = {
    "log_level": ("DEBUG", "INFO", "WARNING", "ERROR"),
    "model_provider": ("cpu", "cuda", "coreml", "directml", "openvino"),
    "rerank_precision": ("auto", "fp32", "int8"),
}


def read_settings(environment: Mapping[str, str], **overrides: Any) -> Settings:
    """Build the settings from variables; an empty one counts as unset, overrides that are None as not given.

    Raises SettingError naming the variable and what is allowed.
    """
    values: dict[str, Any] = {}
    for field in fields(Settings):
        raw = environment.get(field.name.upper(), "").strip()
        if raw:
            values[field.name] = _parse(field.name, raw)
    values |= {name: value for name, value in overrides.items() if value is not None}
    settings = Settings(**values)
    if settings.rerank_top > settings.rerank_candidates:
        raise SettingError(
            "RERANK_TOP is {rerank_top} but RERANK_CANDIDATES, the number of passages that are reranked, is only "
            "{rerank_candidates}: give RERANK_TOP the same number or a smaller one.",
            rerank_top=settings.rerank_top,
            rerank_candidates=settings.rerank_candidates,
        )
    _check_language_model(settings)
    return settings


def load_settings(**overrides: Any) -> Settings:
    """Build the settings from `.env` in the working folder and the environment, which wins."""
    try:
        load_dotenv(Path(".env"), encoding="utf-8-sig")
    except ValueError:
        raise SettingError("The file .env is not UTF-8 text: save it again with the encoding UTF-8.") from None
    except OSError as error:
        raise SettingError(
            "The file .env cannot be read ({reason}): make it a file that you may read, or remove it.",
            reason=error.strerror,
        ) from None
    return read_settings(os.environ, **overrides)


def without_secrets(address: str) -> str:
    """Return an address, also a misspelt one, as it may be shown: without user, password and query."""
    return SECRET_PARTS.sub(r"\1", address)


def check_collection_name(name: str) -> str:
    """Return the name of a collection if it can be one; raises SettingError otherwise."""
    if not COLLECTION_NAME.fullmatch(name):
        raise SettingError(
            "{name!r} cannot name a collection: use 1 to 63 lower-case letters, digits, '-' and '_', "
            "beginning with a letter or a digit.",
            name=name,
        )
    return name


def _check_language_model(settings: Settings) -> None:
    if settings.llm_model and not settings.llm_configured:
        raise SettingError(
            "LLM_MODEL is set but neither LLM_API_KEY nor LLM_BASE_URL is: give the provider's key, or the address of "
            "a model of your own, for instance http://localhost:11434/v1."
        )
    given = next((name for name in ("llm_api_key", "llm_base_url") if getattr(settings, name)), None)
    if given and not settings.llm_model:
        raise SettingError(
            "{variable} is set but LLM_MODEL is not: name the model to ask, for instance gpt-4o-mini.",
            variable=given.upper(),
        )


def _parse(name: str, raw: str) -> Any:
    variable, kind = name.upper(), Settings.__dataclass_fields__[name].type
    if name in READERS:
        return READERS[name](raw)
    if kind == "bool":
        if raw.lower() not in ("0", "1", "true", "false", "yes", "no", "on", "off"):
            raise SettingError("{variable}={value} is neither yes nor no: use 1 or 0.", variable=variable, value=raw)
        return raw.lower() in ("1", "true", "yes", "on")
    if kind in ("int", "float"):
        low, high = LIMITS[name]
        try:
            number = int(raw) if kind == "int" else float(raw)
        except ValueError:
            number = None
        if number is None or not low <= number <= high:
            whole = message("a whole number") if kind == "int" else message("a number")
            raise SettingError(
                "{variable}={value} is not allowed: give {whole} from {low:g} to {high:g}.",
                variable=variable,
                value=raw,
                whole=whole,
                low=low,
                high=high,
            )
        return number
    if name in CHOICES:
        return _choice(name, raw)
    if name in ADDRESSES:
        return _address(variable, raw)
    return raw


def _choice(name: str, raw: str) -> str:
    for choice in CHOICES[name]:
        if raw.lower() == choice.lower():
            return choice
    raise SettingError(
        "{variable}={value} is not allowed: use one of {choices}.",
        variable=name.upper(),
        value=raw,
        choices=", ".join(CHOICES[name]),
    )


def _folder(raw: str) -> Path:
    return Path(raw).expanduser()


def _folders(raw: str) -> tuple[Path, ...]:
    return tuple(_folder(part.strip()) for part in raw.split(os.pathsep) if part.strip())


def _hosts(raw: str) -> tuple[str, ...]:
    """Return the names of hosts; "*." and a domain stand for all hosts below it."""
    names = raw.replace(",", " ").split()
    for name in names:
        if not HOST_NAME.fullmatch(name):
            raise SettingError(
                "ALLOWED_HOSTS={value} is not the name of a host: give names as they stand in the browser's address, "
                "such as docs.example.org or *.example.org, with commas between them.",
                value=without_secrets(name),
            )
    return tuple(name.lower() for name in names)


READERS: dict[str, Callable[[str], Any]] = {
    "data_dir": _folder,
    "models_dir": _folder,
    "model_folders": _folders,
    "collection": check_collection_name,
    "allowed_hosts": _hosts,
}
"""How a setting that is neither a number, a choice nor an address is read from its variable."""


def _address(variable: str, raw: str) -> str:
    try:
        parts = urlsplit(raw)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid:
        raise SettingError(
            "{variable}={value} is not an address: it must look like http://host:port or https://host.",
            variable=variable,
            value=without_secrets(raw),
        )
    return raw
