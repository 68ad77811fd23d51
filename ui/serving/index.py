"""The page as a browser first gets it: Streamlit's, with our name and mark until it has drawn something, and a policy.

The policy (Content-Security-Policy) says what the page may load and where it may send anything: here, and nowhere else.
So an address in a document or in an answer makes no browser ask for it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from ui.serving.files import Sent, packed

SPLASH = Path(__file__).with_name("splash.html")
ROOT = '<div id="root"></div>'
INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Index:
    """The page: what is sent, the tag by which a browser asks whether it is still the same, and its policy."""

    sent: Sent
    tag: bytes
    scripts: str

    def policy(self, host: str) -> bytes:
        """Return what the page may do, at a host as a request names it."""
        return "; ".join(
            (
                "default-src 'self'",
                # Streamlit's charts compile their expressions, and a component's script is loaded from a blob.
                f"script-src 'self' 'unsafe-eval' blob: {self.scripts}",
                "style-src 'self' 'unsafe-inline'",
                "img-src 'self' data: blob:",
                "font-src 'self' data:",
                # Named, because 'self' does not cover websockets in every browser.
                f"connect-src 'self' ws://{host} wss://{host} data: blob:",
                "worker-src 'self' blob:",
                "object-src 'none'",
                "frame-src 'none'",
                "frame-ancestors 'none'",
                "base-uri 'none'",
                "form-action 'self'",
            )
        ).encode("latin-1")


def make_index(html: str) -> Index:
    """Make the page of Streamlit's own."""
    html = html.replace("<title>Streamlit</title>", "<title>Resift</title>")
    html = html.replace(ROOT, ROOT + SPLASH.read_text(encoding="utf-8"))
    scripts = [hashlib.sha256(script.encode()).digest() for script in INLINE_SCRIPT.findall(html)]
    body = html.encode()
    return Index(
        packed(body, "text/html; charset=utf-8"),
        f'"{hashlib.sha256(body).hexdigest()[:32]}"'.encode(),
        " ".join(f"'sha256-{base64.b64encode(script).decode()}'" for script in scripts),
    )
