"""The variables that child processes get: what a program needs to run, and none of the keys among the settings."""

from __future__ import annotations

import os

NEEDED = {
    *("PATH", "HOME", "TMPDIR", "TEMP", "TMP", "TZ", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
    *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "PATHEXT", "COMSPEC", "USERPROFILE", "LOCALAPPDATA", "APPDATA"),
}
FAMILIES = ("LC_", "PYTHON", "OMP_", "OPENBLAS_", "MKL_")
"""How the names of more variables begin: language, Python itself, the threads of numerical libraries."""

NETWORK = {
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
}
HUB = {"HF_TOKEN", "HF_TOKEN_PATH", "HF_HOME", "HF_HUB_DISABLE_IMPLICIT_TOKEN", "XDG_CACHE_HOME"}


def child_environment(**own: str) -> dict[str, str]:
    """Return the variables of a child that asks nobody for anything, with those that are its own."""
    return _chosen(NEEDED) | own


def hub_environment(**own: str) -> dict[str, str]:
    """Return the variables of a child that asks the model hub: its token, and how servers are reached, besides."""
    return _chosen(NEEDED | NETWORK | HUB) | own


def _chosen(names: set[str]) -> dict[str, str]:
    return {
        name: value for name, value in os.environ.items() if name.upper() in names or name.upper().startswith(FAMILIES)
    }
