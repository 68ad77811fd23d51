"""Where chunks and their vectors are kept: a folder by default, a Qdrant server when one is named."""

from __future__ import annotations

from rag.config import Settings
from rag.store.base import VectorStore


def open_store(settings: Settings) -> VectorStore:
    """Return the store the settings ask for; only its own library is imported, and nothing is opened yet."""
    if settings.qdrant_url:
        from rag.store.server import ServerStore

        return ServerStore.connect(
            settings.qdrant_url, settings.qdrant_api_key, settings.qdrant_shards, settings.qdrant_replicas
        )
    from rag.store.edge import EdgeStore

    return EdgeStore(settings.data_dir / "index")
