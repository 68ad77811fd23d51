"""Take over the ingestion queue of the first releases, which had a file of its own."""

from __future__ import annotations

from pathlib import Path

from rag.database.connection import Connection, read_rows
from rag.serialization import to_json

FILE = "jobs.sqlite"
"""Is read once and left as it is."""

STAGES = ("parsing", "chunking", "embedding")


def take_over_jobs(db: Connection) -> None:
    """Add the jobs of a data folder's old queue to its tasks, in their order."""
    (place,) = (file for _, name, file in db.execute("PRAGMA database_list") if name == "main")
    path = Path(place).with_name(FILE)
    if not path.exists():
        return
    for job in read_rows(path, "SELECT * FROM jobs ORDER BY id"):
        spec = {name: job[name] for name in ("collection", "name", "document_id", "size")}
        running = job["state"] in STAGES
        db.execute(
            "INSERT INTO tasks (kind, title, spec, state, stage, done, total, reason, result, cancel, created_at,"
            " updated_at) VALUES ('ingest', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                job["name"],
                to_json(spec),
                "running" if running else job["state"],
                job["state"] if running else "",
                job["chunks_done"],
                job["chunks_total"],
                job["reason"],
                to_json({"pages": job["pages"]}) if job["state"] == "done" else None,
                job["cancel"],
                job["created_at"],
                job["updated_at"],
            ),
        )
