"""The queue: a state machine on disk that outlives its process."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ingest.jobs import Job, Jobs
from rag.errors import UnavailableError


def one(jobs: Jobs, job_id: int) -> Job:
    job = jobs.get(job_id)
    assert job is not None
    return job


def test_jobs_are_claimed_in_the_order_they_came(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    first, second = jobs.add("documents", [("a.txt", "a" * 64, 1), ("b.txt", "b" * 64, 2)])
    claimed = [jobs.claim(), jobs.claim(), jobs.claim()]
    assert [job.id if job else None for job in claimed] == [first, second, None]
    assert one(jobs, first).state == "parsing"


def test_each_job_is_claimed_once_by_many_threads(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    ids = jobs.add("documents", [(f"{number}.txt", "a" * 64, 1) for number in range(40)])
    claimed: list[int] = []

    def claim_all() -> None:
        while (job := jobs.claim()) is not None:
            claimed.append(job.id)

    threads = [threading.Thread(target=claim_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == ids


def test_another_opener_of_the_same_folder_sees_the_same_jobs(tmp_path: Path) -> None:
    (job_id,) = Jobs(tmp_path).add("documents", [("a.txt", "a" * 64, 1)])
    Jobs(tmp_path).progress(job_id, pages=3, done=5, total=9)
    job = one(Jobs(tmp_path), job_id)
    assert (job.pages, job.chunks_done, job.chunks_total) == (3, 5, 9)


def test_a_queued_job_is_cancelled_at_once_and_a_running_one_is_asked_to_stop(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    running, queued = jobs.add("documents", [("a.txt", "a" * 64, 1), ("b.txt", "b" * 64, 1)])
    jobs.claim()
    jobs.cancel(running)
    jobs.cancel(queued)
    assert one(jobs, queued).state == "cancelled"
    assert one(jobs, running).state == "parsing"
    assert jobs.cancel_wanted(running)


def test_a_finished_job_cannot_be_cancelled_or_retried(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    (job_id,) = jobs.add("documents", [("a.txt", "a" * 64, 1)])
    jobs.move(job_id, "done")
    jobs.cancel(job_id)
    jobs.retry(job_id)
    assert one(jobs, job_id).state == "done"


def test_a_failed_job_is_queued_again_without_its_reason_and_its_cancel(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    (job_id,) = jobs.add("documents", [("a.txt", "a" * 64, 1)])
    jobs.claim()
    jobs.cancel(job_id)
    jobs.move(job_id, "cancelled", "Cancelled.")
    jobs.retry(job_id)
    assert (one(jobs, job_id).state, str(one(jobs, job_id).reason)) == ("queued", "")
    assert not jobs.cancel_wanted(job_id)


def test_running_jobs_of_a_stopped_process_are_marked_and_queued_ones_are_kept(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    running, queued = jobs.add("documents", [("a.txt", "a" * 64, 1), ("b.txt", "b" * 64, 1)])
    jobs.claim()
    assert [job.id for job in Jobs(tmp_path).interrupt_running()] == [running]
    assert one(jobs, running).state == "interrupted"
    assert "retry" in str(one(jobs, running).reason)
    assert one(jobs, queued).state == "queued"


def test_forgetting_a_document_leaves_the_same_document_elsewhere(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    jobs.add("documents", [("a.txt", "a" * 64, 1), ("b.txt", "b" * 64, 1)])
    jobs.add("demo", [("a.txt", "a" * 64, 1)])
    jobs.forget(collection="documents", document_id="a" * 64)
    assert [(job.collection, job.name) for job in jobs.entries()] == [("documents", "b.txt"), ("demo", "a.txt")]
    jobs.forget(collection="documents")
    assert [job.collection for job in jobs.entries()] == ["demo"]


def test_a_damaged_file_is_said_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "jobs.sqlite").write_bytes(b"this is not a database" * 100)
    with pytest.raises(UnavailableError, match=r"jobs\.sqlite cannot be read.*move it away"):
        Jobs(tmp_path)
