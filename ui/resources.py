"""What all sessions of the page share, opened once for the process."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.library import Library
from rag.config import Settings
from rag.history import History
from rag.lock import DataFolderLock
from rag.pipeline import Pipeline, open_pipeline


@dataclass(frozen=True, slots=True)
class App:
    """The parts of a running app; all of them may be used from any session's thread."""

    settings: Settings
    pipeline: Pipeline
    library: Library
    history: History
    lock: DataFolderLock

    def close(self) -> None:
        """End the worker and give the data folder back."""
        self.library.close()
        self.lock.release()


def open_app(settings: Settings) -> App:
    """Take the data folder, start the ingestion worker, and begin to fetch the reranker.

    Raises UnavailableError when another process has the folder.
    """
    lock = DataFolderLock(settings.data_dir).acquire()
    try:
        pipeline = open_pipeline(settings)
        library = Library(pipeline)
        history = History(settings.data_dir)
        library.start()
    except BaseException:
        lock.release()
        raise
    pipeline.shelf.fetch_reranker()
    return App(settings, pipeline, library, history, lock)
