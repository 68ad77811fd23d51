"""What people have to know of the data folder on any page: which part is damaged, and that the disk is full."""

from __future__ import annotations

import logging
import threading

from ingest.library import Library
from rag.database.notices import Notice, dismiss, notices
from rag.disk import KEPT_FREE, LEAST_FREE, free_bytes, keep_reserve
from rag.errors import ResiftError
from rag.language.message import joined, message
from rag.store.damage import tell_damaged

DISK = "disk"
"""The id of what is said of a full disk, which goes by itself when there is room."""

REST_SECONDS = 60.0
"""How often it is looked which collections have been written to and can be read through again."""

log = logging.getLogger(__name__)


class Health:
    """Looks after one data folder; every method may be called from any thread, and what pages ask costs nothing."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._data_dir = library.pipeline.settings.data_dir
        self._closing = threading.Event()
        self._reader: threading.Thread | None = None

    def start(self) -> None:
        """Tell which collections are damaged, and begin to read the others through in a thread of this one's own."""
        self.look()
        self._reader = threading.Thread(target=self._keep_reading, daemon=True, name="health")
        self._reader.start()

    def notices(self) -> tuple[Notice, ...]:
        """Return what is to be said on every page."""
        keep_reserve(self._data_dir)
        return (*self._of_the_disk(), *notices(self._data_dir))

    def dismiss(self, notice: Notice) -> None:
        """Say a notice no more."""
        dismiss(self._data_dir, notice.id)

    def reindex(self, notice: Notice) -> None:
        """Make the collection of a notice anew from its stored files; raises what `Library.reindex` does."""
        self._library.reindex(notice.collection)

    def look(self) -> None:
        """Tell of each collection whose files are seen to be damaged without being read."""
        try:
            for name in self._library.damaged():
                tell_damaged(self._data_dir, name)
        except (ResiftError, OSError) as error:
            log.warning("The collections could not be looked at: %s", error)

    def read_through(self) -> None:
        """Read the files of the collections through, each once until it is written to, and tell which are damaged."""
        store = self._library.pipeline.store
        try:
            for name in store.names():
                if not store.verify(name):
                    tell_damaged(self._data_dir, name)
        except (ResiftError, OSError) as error:
            log.warning("The collections could not be read through: %s", error)

    def close(self) -> None:
        """End reading; what is being read is left."""
        self._closing.set()

    def _keep_reading(self) -> None:
        while not self._closing.is_set():
            self.read_through()
            self._closing.wait(REST_SECONDS)

    def _of_the_disk(self) -> tuple[Notice, ...]:
        free = free_bytes(self._data_dir)
        if free >= KEPT_FREE:
            return ()
        full = message("Only {megabytes:,.0f} MB are free on the disk of the data folder.", megabytes=free / 2**20)
        stops = message(
            "Nothing is uploaded, indexed or downloaded until there are {least:,.0f} MB.", least=KEPT_FREE / 2**20
        )
        if free < LEAST_FREE:
            stops = message("Nothing new is kept, questions included, until there is room.")
        way_out = message("Delete collections, documents or models that you no longer need.")
        return (Notice(DISK, joined(full, stops, way_out)),)
