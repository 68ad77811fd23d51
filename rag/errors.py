"""Errors as a tree of what the user can do about them; every message is a sentence that says so."""

from __future__ import annotations

from rag.language.message import Message, message


class ResiftError(Exception):
    """A failure whose message is fit to be shown to the user: a text with the values at its {places}, or a message."""

    def __init__(self, text: str | Message, /, **values: object) -> None:
        self.message = text if isinstance(text, Message) else message(text, **values)
        super().__init__(self.message)


class SettingError(ResiftError):
    """A setting is wrong: name it and say what is allowed."""


class InputError(ResiftError):
    """What the user gave (a question, a file, a name) cannot be used as it is."""


class FileRefusedError(InputError):
    """A file cannot be read into the knowledge base."""


class CollectionError(ResiftError):
    """A collection is missing, damaged, or made with other models than those asked for."""


class DamagedCollectionError(CollectionError):
    """A collection's files are there and are not what was written."""


class ModelError(ResiftError):
    """A model's files are missing, incomplete or unusable."""


class DamagedModelError(ModelError):
    """A model's files are all there and cannot be loaded."""


class RerankError(ResiftError):
    """Reranking failed; the fused order still stands."""


class UnavailableError(ResiftError):
    """Something outside this process does not answer, or refuses: a server, a hub, a provider, a disk, a lock."""


class OutageError(UnavailableError):
    """A service is away or too busy, which may pass by itself; not before `after` seconds, where it says so."""

    def __init__(self, text: str | Message, /, after: float = 0.0, **values: object) -> None:
        super().__init__(text, **values)
        self.after = after


class FullDiskError(UnavailableError):
    """A disk has no room."""


class CancelledError(ResiftError):
    """The user asked to stop."""
