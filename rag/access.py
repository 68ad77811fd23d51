"""Where a service is asked, with which key and for what: no key goes to a host that it was not set for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol
from urllib.parse import urlsplit

from rag.config import Settings
from rag.errors import ModelError, SettingError

Purpose = Literal["rerank", "embed"]
"""What a service does here; its settings are called so, as in RERANK_MODEL, RERANK_URL and RERANK_API_KEY."""


class Service(Protocol):
    """A service by its name; `address` is "" where the user runs the server."""

    @property
    def name(self) -> str:
        """The word before the colon in what chooses it."""

    @property
    def example(self) -> str:
        """A model that it has; "" where none is named after the colon."""

    @property
    def address(self) -> str:
        """Where it is known to be."""


@dataclass(frozen=True, slots=True)
class Access:
    """`address` stands in for the known one of a service, if any; `key` is that of `variable`, "" where none is set."""

    address: str
    variable: str
    key: str


def require_model(choice: str, service: Service, model: str) -> None:
    """Refuse a choice without the model that its service wants named; raises ModelError."""
    if service.example and not model:
        raise ModelError(
            "{choice!r} names no model: write it after the colon, as in {name}:{example}.",
            choice=choice,
            name=service.name,
            example=service.example,
        )


def key_setting(service: Service) -> str:
    """Return the field of the settings that has the key of a service at its known address; "" where there is none."""
    return f"{service.name}_api_key" if service.address else ""


def endpoint(path: str, address: str) -> str:
    """Return where to ask at an address, which may end with a part of the path, or all of it."""
    parts = urlsplit(address)
    given = parts.path.rstrip("/")
    folder, _, last = path.rpartition("/")
    if given.endswith(f"/{last}"):
        whole = given
    elif folder and given.endswith(folder):
        whole = f"{given}/{last}"
    else:
        whole = given + path
    return parts._replace(path=whole).geturl()


def find_access(service: Service, settings: Settings, purpose: Purpose, named: str) -> Access:
    """Return where a service is asked and with which key; `named` is the service that the settings choose, if any.

    Raises SettingError for an address or a key that is missing or cannot be used.
    """
    access = _access(service, settings, purpose, named)
    url, own_key = f"{purpose}_url".upper(), f"{purpose}_api_key".upper()
    if not (access.address or service.address):
        raise SettingError(
            "{variable} is not set: give the address of your {name} server, for instance http://localhost:8080.",
            variable=url,
            name=service.name,
        )
    if not (access.address or access.key):
        raise SettingError(
            "{variable} is not set: give your key of {name}, which answers nothing without.",
            variable=access.variable,
            name=service.name,
        )
    if not (access.key.isascii() and access.key.isprintable()):
        raise SettingError("{variable} holds characters that no key has: copy the key again.", variable=access.variable)
    if access.key and "@" in urlsplit(access.address).netloc:
        raise SettingError(
            "{address} holds a user and {key} a key, and a request can carry only one of them: remove one.",
            address=url,
            key=own_key,
        )
    return access


def _access(service: Service, settings: Settings, purpose: Purpose, named: str) -> Access:
    """Return the access that is set, whether it can be used or not.

    The address and the key of a purpose belong together, and to the service that the settings choose for it: another
    service whose address is known is asked there, with a key of its own.
    """
    address: str = getattr(settings, f"{purpose}_url")
    key: str = getattr(settings, f"{purpose}_api_key")
    variable = f"{purpose}_api_key".upper()
    if not service.address or (address and named in ("", service.name)):
        return Access(address, variable, key)
    of_service: str = getattr(settings, key_setting(service))
    if named == service.name and (key or not of_service):
        return Access("", variable, key)
    return Access("", key_setting(service).upper(), of_service)
