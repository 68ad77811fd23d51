"""The queue: files on their way in, as tasks that outlive their process."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from ingest.files import StoredFile
from ingest.jobs import INTERRUPTED, KIND, LONG_AGO, Job, Jobs, job_of
from rag.database.notices import notices
from rag.errors import UnavailableError
from rag.tasks.store import Progress, TaskStore


def file(name: str, letter: str = "a") -> StoredFile:
    return StoredFile(name, letter * 64, 1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TaskStore]:
    with closing(TaskStore(tmp_path)) as opened:
        yield opened


@pytest.fixture
def jobs(store: TaskStore) -> Jobs:
    return Jobs(store)


def one(jobs: Jobs, job: Job) -> Job:
    found = jobs.job(job.id)
    assert found is not None
    return found


def test_jobs_are_claimed_in_the_order_they_came(store: TaskStore, jobs: Jobs) -> None:
    first, second = jobs.add("documents", [file("a.txt"), file("b.txt", "b")])
    claimed = [store.claim([KIND]), store.claim([KIND]), store.claim([KIND])]
    assert [task.id if task else None for task in claimed] == [first.id, second.id, None]
    assert one(jobs, first).state == "parsing"


def test_those_ahead_are_claimed_first_and_those_of_a_held_collection_wait(store: TaskStore, jobs: Jobs) -> None:
    (held,) = jobs.add("held", [file("a.txt")])
    (late,) = jobs.add("documents", [file("b.txt")])
    ahead = jobs.add_again("documents", [(file("c.txt"), LONG_AGO), (file("d.txt"), LONG_AGO)], INTERRUPTED)
    store.resume_task(*(job.id for job in ahead))
    claimed = [store.claim([KIND], ["held"]) for _ in range(4)]
    assert [task.id if task else None for task in claimed] == [*(job.id for job in ahead), late.id, None]
    assert one(jobs, held).state == "queued"


def test_each_job_is_claimed_once_by_many_threads(store: TaskStore, jobs: Jobs) -> None:
    added = jobs.add("documents", [file(f"{number}.txt") for number in range(40)])
    claimed: list[int] = []

    def claim_all() -> None:
        while (task := store.claim([KIND])) is not None:
            claimed.append(task.id)

    threads = [threading.Thread(target=claim_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == [job.id for job in added]


def test_another_opener_of_the_same_folder_sees_the_same_jobs(store: TaskStore, jobs: Jobs, tmp_path: Path) -> None:
    (added,) = jobs.add("documents", [file("a.txt")])
    store.claim([KIND])
    with closing(TaskStore(tmp_path)) as other:
        other.progress(added.id, Progress(5, 9, "embedding"))
    job = one(jobs, added)
    assert (job.state, job.chunks_done, job.chunks_total) == ("embedding", 5, 9)


def test_a_queued_job_is_cancelled_at_once_and_a_running_one_is_asked_to_stop(store: TaskStore, jobs: Jobs) -> None:
    running, queued = jobs.add("documents", [file("a.txt"), file("b.txt")])
    store.claim([KIND])
    jobs.cancel_job(running.id)
    jobs.cancel_job(queued.id)
    assert one(jobs, queued).state == "cancelled"
    assert one(jobs, running).state == "parsing"
    assert store.cancel_wanted(running.id)


def test_a_finished_job_cannot_be_cancelled_or_retried(store: TaskStore, jobs: Jobs) -> None:
    (job,) = jobs.add("documents", [file("a.txt")])
    store.end(job.id, "done")
    jobs.cancel_job(job.id)
    jobs.retry(job.id)
    assert one(jobs, job).state == "done"


def test_a_cancelled_job_is_queued_again_without_its_reason_its_cancel_and_how_far_it_was(
    store: TaskStore, jobs: Jobs
) -> None:
    (job,) = jobs.add("documents", [file("a.txt")])
    store.claim([KIND])
    jobs.cancel_job(job.id)
    store.end(job.id, "cancelled", INTERRUPTED, progress=Progress(3, 9, "embedding"))
    jobs.retry(job.id)
    again = one(jobs, job)
    assert (again.state, str(again.reason), again.chunks_done, again.chunks_total) == ("queued", "", 0, 0)
    assert not store.cancel_wanted(job.id)
    store.claim([KIND])
    assert one(jobs, job).state == "parsing"


def test_running_jobs_of_a_stopped_process_are_marked_and_queued_ones_are_kept(store: TaskStore, jobs: Jobs) -> None:
    running, queued = jobs.add("documents", [file("a.txt"), file("b.txt")])
    store.claim([KIND])
    assert [task.id for task in store.interrupt_running([KIND], INTERRUPTED)] == [running.id]
    assert one(jobs, running).state == "interrupted"
    assert "retry" in str(one(jobs, running).reason)
    assert one(jobs, queued).state == "queued"


def test_forgetting_a_document_leaves_the_same_document_elsewhere_and_other_work(store: TaskStore, jobs: Jobs) -> None:
    jobs.add("documents", [file("a.txt"), file("b.txt", "b")])
    jobs.add("demo", [file("a.txt")])
    run = store.add_task("run", "of the collection", {"collection": "documents"})
    jobs.forget("documents", "a" * 64)
    assert [(job.collection, job.name) for job in jobs.jobs_of()] == [("documents", "b.txt"), ("demo", "a.txt")]
    assert [job.name for job in jobs.jobs_of("documents")] == ["b.txt"]
    jobs.forget("documents")
    assert [job.collection for job in jobs.jobs_of()] == ["demo"]
    assert store.task(run.id) is not None
    assert jobs.job(run.id) is None


def test_each_file_comes_in_later_than_those_before_it_and_keeps_its_time_when_it_is_read_again(jobs: Jobs) -> None:
    added = jobs.add("documents", [file(f"{number}.txt") for number in range(20)])
    added += jobs.add("documents", [file("last.txt")])
    times = [job.accepted_at for job in added]
    assert sorted(set(times)) == times
    (again,) = jobs.add_again("documents", [(file("0.txt"), times[0])], INTERRUPTED)
    assert again.accepted_at == times[0] < again.created_at


def test_what_is_settled_leaves_the_list_and_what_came_later_or_under_another_name_stays(
    store: TaskStore, jobs: Jobs
) -> None:
    names = ("done.txt", "a.txt", "b.txt", "a.txt", "a.txt")
    done, earlier, other, later, waiting = (jobs.add("documents", [file(name)])[0] for name in names)
    store.end(done.id, "done")
    for job in (earlier, other, later):
        jobs.cancel_job(job.id)
    jobs.forget_settled("documents", [(file("a.txt"), earlier.accepted_at)])
    assert [job.id for job in jobs.jobs_of()] == [other.id, later.id, waiting.id]


def test_a_collection_is_busy_until_its_last_file_has_ended(store: TaskStore, jobs: Jobs) -> None:
    first, second = jobs.add("documents", [file("a.txt"), file("b.txt")])
    jobs.add("demo", [file("a.txt")])
    assert jobs.collections() == ["demo", "documents"]
    store.end(first.id, "done")
    store.claim([KIND])
    assert jobs.busy("documents")
    store.end(second.id, "failed")
    assert [jobs.busy(name) for name in ("documents", "demo", "nowhere")] == [False, True, False]


def test_only_what_has_ended_is_dismissed(store: TaskStore, jobs: Jobs) -> None:
    ended, queued = jobs.add("documents", [file("a.txt"), file("b.txt")])
    store.end(ended.id, "failed")
    assert [jobs.dismiss(job.id) for job in (ended, queued, ended)] == [{ended.id}, set(), set()]
    assert jobs.jobs_of() == [queued]


def test_what_is_asked_again_and_again_takes_as_long_whatever_else_there_is(store: TaskStore, tmp_path: Path) -> None:
    field = "json_extract(spec, '$.{}')".format
    asked = {
        "SELECT id FROM tasks WHERE state = 'queued' AND kind IN (SELECT value FROM json_each('[]'))"
        f" AND coalesce({field('collection')}, '') NOT IN (SELECT value FROM json_each('[]'))"
        " ORDER BY ahead DESC, id LIMIT 1": "SEARCH tasks USING INDEX tasks_by_turn (state=?)",
        f"SELECT * FROM tasks WHERE kind = ? AND {field('collection')} = ? AND {field('document_id')} = ?": (
            "SEARCH tasks USING INDEX tasks_by_document (kind=? AND <expr>=? AND <expr>=?)"
        ),
        f"SELECT state, count(*) FROM tasks WHERE kind = ? AND {field('collection')} = ? GROUP BY state": (
            "SEARCH tasks USING INDEX tasks_by_state (kind=? AND <expr>=?)"
        ),
        f"SELECT * FROM tasks WHERE kind = ? AND {field('collection')} = ? AND state = ? ORDER BY id DESC LIMIT ?": (
            "SEARCH tasks USING INDEX tasks_by_state (kind=? AND <expr>=? AND state=?)"
        ),
    }
    with closing(sqlite3.connect(tmp_path / "tasks.sqlite")) as db:
        for query, plan in asked.items():
            steps = [step for *_, step in db.execute(f"EXPLAIN QUERY PLAN {query}", ("",) * query.count("?"))]
            assert steps[0] == plan
            assert not any("TEMP B-TREE" in step for step in steps)


OLD = """
CREATE TABLE jobs (id INTEGER PRIMARY KEY, collection TEXT NOT NULL, name TEXT NOT NULL, document_id TEXT NOT NULL,
size INTEGER NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', pages INTEGER NOT NULL DEFAULT 0,
chunks_done INTEGER NOT NULL DEFAULT 0, chunks_total INTEGER NOT NULL DEFAULT 0, cancel INTEGER NOT NULL DEFAULT 0,
created_at TEXT NOT NULL, updated_at TEXT NOT NULL)
"""
OLD_JOBS = [
    ("a.pdf", "done", "Replaced the earlier version.", 7, 30, 30, 0),
    ("b.txt", "failed", "b.txt is empty.", 0, 0, 0, 0),
    ("c.txt", "embedding", "", 0, 64, 99, 1),
    ("d.txt", "queued", "", 0, 0, 0, 0),
]


def write_old_queue(folder: Path) -> None:
    at = "2026-01-02T03:04:05+00:00"
    with closing(sqlite3.connect(folder / "jobs.sqlite")) as db, db:
        db.execute(OLD)
        for name, state, reason, *numbers in OLD_JOBS:
            values = ("documents", name, name[0] * 64, 5, state, reason, *numbers, at, at)
            db.execute(f"INSERT INTO jobs VALUES (NULL, {', '.join('?' * len(values))})", values)


def test_the_queue_of_the_first_release_is_taken_over_once(tmp_path: Path) -> None:
    write_old_queue(tmp_path)
    before = (tmp_path / "jobs.sqlite").read_bytes()
    for _ in range(2):
        with closing(TaskStore(tmp_path)) as store:
            jobs = Jobs(store).jobs_of("documents")
            assert [(job.name, job.state, str(job.reason), job.pages, job.chunks_done) for job in jobs] == [
                ("a.pdf", "done", "Replaced the earlier version.", 7, 30),
                ("b.txt", "failed", "b.txt is empty.", 0, 0),
                ("c.txt", "embedding", "", 0, 64),
                ("d.txt", "queued", "", 0, 0),
            ]
            assert {(job.size, f"{job.created_at:%Y-%m-%d %H:%M}") for job in jobs} == {(5, "2026-01-02 03:04")}
            assert store.cancel_wanted(jobs[2].id)
    assert (tmp_path / "jobs.sqlite").read_bytes() == before


def test_a_taking_over_that_was_cut_off_is_done_anew(tmp_path: Path) -> None:
    write_old_queue(tmp_path)
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite")) as db, db:
        db.execute("CREATE TABLE kept AS SELECT * FROM jobs")
        db.execute("DROP TABLE jobs")
    with pytest.raises(UnavailableError, match=r"jobs\.sqlite cannot be read"):
        TaskStore(tmp_path)
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite")) as db, db:
        db.execute("ALTER TABLE kept RENAME TO jobs")
    with closing(TaskStore(tmp_path)) as store:
        assert len(Jobs(store).jobs_of()) == len(OLD_JOBS)


def test_a_damaged_old_queue_is_set_aside_and_what_to_do_is_said(tmp_path: Path) -> None:
    (tmp_path / "jobs.sqlite").write_bytes(b"this is not a database" * 100)
    with closing(TaskStore(tmp_path)) as store:
        assert Jobs(store).jobs_of() == []
    assert [path.name for path in tmp_path.glob("jobs.sqlite*")] == [f"jobs.sqlite.damaged-{date.today()}"]
    assert "Upload again what was still waiting" in str(notices(tmp_path)[0].text)


def test_what_a_person_sees_of_a_job_is_in_its_task(store: TaskStore, jobs: Jobs) -> None:
    (job,) = jobs.add("documents", [file("a.txt")])
    task = store.task(job.id)
    assert task is not None
    assert json.dumps(task.spec) == json.dumps(
        {"collection": "documents", "name": "a.txt", "document_id": "a" * 64, "size": 1}
    )
    assert job_of(task) == job
