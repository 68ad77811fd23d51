"""Who may ask from where: a page of somebody else's that is open in the same browser may not.

Any name can be made to lead to this machine (DNS rebinding), and then a page under that name counts as ours to the
browser. So requests have to name a host that is ours, and come from a page under that same host.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from rag.language.message import NOTHING, Message, message

THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
SHOWN_CHARACTERS = 100


class Hosts:
    """The names that the page answers to: this machine's, the address that a request arrived at, and `more`.

    A name such as "*.example.org" is for every host below example.org.
    """

    def __init__(self, more: Collection[str] = ()) -> None:
        names = {name.lower().rstrip(".") for name in (*THIS_MACHINE, *more)}
        self._endings = tuple(name[1:] for name in names if name.startswith("*."))
        self._names = {name for name in names if not name.startswith("*.")}

    def refusal(self, headers: Collection[tuple[bytes, bytes]], arrived_at: str) -> Message:
        """Return why a request is not answered, nothing where it is; `headers` have lower-case names."""
        hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
        name = _name_in(hosts[0]) if len(hosts) == 1 else ""
        if not name or not self._known(name, arrived_at):
            return message(
                "Resift does not answer at {host}: open it at http://localhost with its port, or, if that name is "
                "yours, set ALLOWED_HOSTS={name} and start Resift again.",
                host=_shown(hosts[0]) if hosts else "?",
                name=_shown(name) or "NAME",
            )
        origins = [value.decode("latin-1").lower() for header, value in headers if header == b"origin"]
        if any(_host_of(origin) != hosts[0].lower() for origin in origins):
            return message(
                "Resift does not answer {origin}, which is another page than the one at {host}. A proxy before Resift "
                "has to pass on the Host header as it came, with its port.",
                origin=_shown(origins[0]),
                host=_shown(hosts[0]),
            )
        return NOTHING

    def _known(self, name: str, arrived_at: str) -> bool:
        return name in self._names or name == arrived_at.removeprefix("::ffff:") or name.endswith(self._endings)


def _host_of(origin: str) -> str:
    """Return the host and port in an Origin header, "" for what has none, such as "null"."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


@lru_cache(maxsize=64)
def _name_in(host: str) -> str:
    """Return the name in a Host header, in lower case and without its port, "" for what is none."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return ""
    return (parts.hostname or "").rstrip(".") if parts.netloc == host and "@" not in host else ""


def _shown(text: str) -> str:
    return "".join(character for character in text if character.isprintable())[:SHOWN_CHARACTERS]


def arrived_at(scope: Any) -> str:
    """Return the address of this machine that a connection was made to, "" where it is not known."""
    server = scope.get("server")
    return str(server[0]) if server else ""
