"""Keep what tells of a machine or a person out of what is taken away: paths, addresses, hosts and keys."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path, PurePath
from typing import TypeVar
from urllib.parse import urlsplit

from rag.config import ADDRESSES, Settings
from rag.language.message import Message, Value

Said = TypeVar("Said", str, Message)

ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]{0,40}+://[^\s,;)\"']+", re.IGNORECASE)
PATH = re.compile(r"(?<![\w.…/\\])(?:~|[A-Za-z]:)?(?:[\\/][^\\/\s'\"(),;:]+)+[\\/]?")
"""An absolute path, or one from the home folder, as far as the next space."""


class Privacy:
    """Rewrites the program's own sentences, which may name what is set up; documents and questions are left alone."""

    def __init__(self, settings: Settings, choices: Sequence[str] = ()) -> None:
        """Know what is set; `choices` are rerankers as they were asked for, which may be folders."""
        keys = [getattr(settings, field.name) for field in fields(settings) if field.name.endswith("api_key")]
        hosts = [urlsplit(address).hostname for name in ADDRESSES if (address := getattr(settings, name))]
        folders = [settings.data_dir.resolve(), settings.models_folder.resolve(), Path.home()]
        known = {str(folder): "…" for folder in folders if len(folder.parts) > 1}
        known |= {choice: model_name(choice) for choice in choices if _is_path(choice)}
        self._known = dict.fromkeys((*keys, *filter(None, hosts)), "…") | known
        self._known.pop("", None)

    def __call__(self, said: Said) -> Said:
        """Return a sentence with only the last name of each path, and without addresses, hosts and keys."""
        return self._message(said) if isinstance(said, Message) else self._text(said)

    def _message(self, said: Message) -> Message:
        return replace(said, values={name: self._value(value) for name, value in said.values.items()})

    def _value(self, value: Value) -> Value:
        match value:
            case Message():
                return self._message(value)
            case tuple():
                return tuple(map(self._message, value))
            case str():
                return self._text(value)
        return value

    def _text(self, text: str) -> str:
        text = ADDRESS.sub("…", text)
        for known in sorted(self._known, key=len, reverse=True):
            # Whole words: a key of one letter, as local servers take it, is in many others.
            text = re.sub(rf"(?<!\w){re.escape(known)}(?!\w)", lambda found: self._known[found[0]], text)
        return PATH.sub(lambda path: f"…/{PurePath(path[0].replace(chr(92), '/')).name}", text)


def model_name(choice: str) -> str:
    """Name a model without the folder it is in; any other name stays as it is."""
    return PurePath(choice.replace("\\", "/")).name if _is_path(choice) else choice


def _is_path(choice: str) -> bool:
    return choice.startswith((".", "~", "/", "\\")) or choice[1:3] in (":\\", ":/")
