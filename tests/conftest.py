"""Fixtures for every test, where tests keep their files, and in which order and how many at once they run."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from functools import partial
from pathlib import Path

import pytest

import rag  # noqa: F401 - before all tests: it tells libraries not to report to their makers
from tests.browser import chromium, debugging_address, disconnect
from tests.models import bge_hub, cross_encoder_folder, embedder_folder, word_overlap_folder

__all__ = [
    "bge_hub",
    "chromium",
    "cross_encoder_folder",
    "debugging_address",
    "embedder_folder",
    "word_overlap_folder",
]

MEMORY = Path("/dev/shm")
ROOM = 4 * 1024**3


def pytest_configure(config: pytest.Config) -> None:
    """Keep what tests write in memory, if TMPDIR names no other place, and let interrupts interrupt.

    On a disk, tests wait at every commit.
    """
    if "TMPDIR" not in os.environ and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ["TMPDIR"] = tempfile.tempdir = tempfile.mkdtemp(prefix="resift-tests-", dir=MEMORY)
        config.add_cleanup(partial(shutil.rmtree, os.environ["TMPDIR"], ignore_errors=True))
    # Before numpy is imported: its threads wait by turning round, in each of the processes that share the cores.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # In the background or under nohup it may be ignored, and processes that tests start and interrupt inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the browser's tests, which take longest, so that no process is left with one at the end."""
    items.sort(key=lambda item: not _needs_browser(item))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Keep the connection to Chromium from one of the browser's files to the next."""
    if not _needs_browser(item):
        disconnect()


def pytest_sessionfinish() -> None:
    """Let Chromium go before it is stopped."""
    disconnect()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run half as many processes again as there are cores: browser tests mostly wait."""
    return (os.cpu_count() or 1) * 3 // 2


def _needs_browser(item: pytest.Item) -> bool:
    return item.path.stem.endswith("_browser")
