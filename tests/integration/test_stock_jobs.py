"""Jobs that others enqueue through RQ itself, with all that RQ knows: they are worked off as RQ's own worker would."""

from __future__ import annotations

import itertools
import socket
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from rq import Callback, Queue, Repeat, Retry
from rq.command import send_shutdown_command
from rq.job import Dependency
from rq.job import Job as RQJob
from rq.rate_limit import RateLimit
from rq.registry import DeferredJobRegistry, FailedJobRegistry, ScheduledJobRegistry
from rq.suspension import resume, suspend
from rq.webhook import Webhook

from producer import codec, keys, queue, results
from producer.jobs import Status
from tests.bare import FUNCTION, Workers, ended, listening, started, status, submit, told
from tests.services import wait_for

ECHO, BROKEN, NAP, MENDS, ADD = (FUNCTION.format(name) for name in ("echo", "broken", "nap", "mends", "add"))
SUCCESS, FAILURE = "worker.tasks.log_success", "worker.tasks.log_failure"


@pytest.fixture
def stock(connection: redis.Redis) -> Queue:
    """RQ's own Queue, with our serializer."""
    return Queue(keys.INTERACTIVE, connection=connection, serializer=codec.RQSerializer)


def fetch(connection: redis.Redis, job_id: str) -> RQJob:
    return RQJob.fetch(job_id, connection=connection, serializer=codec.RQSerializer)


def test_arguments_arrive_however_they_are_given(connection: redis.Redis, stock: Queue, either: Workers) -> None:
    either.start()
    jobs = {
        str(stock.enqueue(ADD, 1).id): 1,
        str(stock.enqueue(ADD, 1, 2).id): 3,
        str(stock.enqueue(ADD, first=1, second=2).id): 3,
        str(stock.enqueue(ADD, 1, second=5, description="an odd one").id): 6,
        str(stock.enqueue(ADD, args=(1,), kwargs={"second": 3}, description="").id): 4,
        str(stock.enqueue(ADD, 1, on_success=Callback(SUCCESS), second=7).id): 8,
    }
    assert set(ended(connection, *jobs)) == {"finished"}
    assert {job_id: told(connection, job_id)["asked"]["sum"] for job_id in jobs} == jobs


def test_an_argument_that_goes_by_its_name_only_is_not_dropped(
    connection: redis.Redis, stock: Queue, workers: Workers
) -> None:
    workers.start()
    job_id = str(stock.enqueue(ADD, 1, third=5).id)
    assert ended(connection, job_id) == ["failed"]
    latest = fetch(connection, job_id).latest_result()
    assert latest
    assert latest.exc_string == f"refused: {ADD}: third can only be given by name"


def test_lifetimes_are_kept_within_reason(connection: redis.Redis, stock: Queue, workers: Workers) -> None:
    workers.start()
    good = {ttl: str(stock.enqueue(ECHO, {}, result_ttl=ttl).id) for ttl in (-1, 0, 7, 10**12)}
    bad = {ttl: str(stock.enqueue(BROKEN, {}, failure_ttl=ttl).id) for ttl in (-1, 7, 10**12)}
    assert set(ended(connection, *good.values())) == {"finished"}
    assert set(ended(connection, *bad.values())) == {"failed"}
    for jobs, usual in ((good, keys.RESULT_TTL_S), (bad, keys.FAILURE_TTL_S)):
        for asked, most in ((-1, usual), (0, usual), (7, 7), (10**12, 366 * 86_400)):  # not for ever, and not at once
            if asked in jobs:
                assert 0 < connection.ttl(f"rq:job:{jobs[asked]}") <= most


def test_a_time_limit_of_never_is_ours(connection: redis.Redis, stock: Queue, either: Workers) -> None:
    either.start()
    jobs = [
        str(stock.enqueue(ECHO, {}, job_timeout=-1, on_success=success).id) for success in (None, Callback(SUCCESS))
    ]
    assert set(ended(connection, *jobs)) == {"finished"}


def test_callbacks_on_their_list_run_and_others_are_refused(
    connection: redis.Redis, stock: Queue, either: Workers
) -> None:
    (process,) = either.start()
    good = stock.enqueue(ECHO, {}, on_success=Callback(SUCCESS), on_failure=Callback(FAILURE))
    bad = stock.enqueue(BROKEN, {}, on_success=Callback(SUCCESS), on_failure=Callback(FAILURE))
    refused = [
        stock.enqueue(ECHO, {}, **{on: Callback("tests.bare_worker.poison")})
        for on in ("on_success", "on_failure", "on_stopped")
    ]
    assert ended(connection, good.id, bad.id) == ["finished", "failed"]
    assert set(ended(connection, *(job.id for job in refused))) == {"failed"}
    log = either.log.read_text()
    assert f"job {good.id} succeeded" in log
    assert f"job {good.id} failed" not in log
    assert f"job {bad.id} failed: RuntimeError: broken on purpose" in log
    assert process.is_alive()
    for job in refused:
        latest = fetch(connection, job.id).latest_result()
        assert latest
        assert "may not name the callbacks" in (latest.exc_string or "")


def test_rqs_webhooks_are_not_sent(connection: redis.Redis, stock: Queue, workers: Workers) -> None:
    workers.start()
    with socket.create_server(("127.0.0.1", 0)) as victim:
        victim.setblocking(False)
        hook = Webhook(f"http://127.0.0.1:{victim.getsockname()[1]}/", job_status="finished")
        job = stock.enqueue(ECHO, {}, webhooks=[hook])
        assert ended(connection, job.id) == ["finished"]
        with pytest.raises(BlockingIOError):
            victim.accept()


@pytest.mark.parametrize("known", ["before", "while it runs"])
def test_dependents_run_after_what_they_depend_on(
    connection: redis.Redis, stock: Queue, either: Workers, known: str
) -> None:
    if known == "while it runs":
        either.start()
    first = stock.enqueue(NAP, {"seconds": 0.4})
    if known == "while it runs":
        started(connection, first.id)
    second = stock.enqueue(ECHO, {"n": 2}, depends_on=first)
    third = stock.enqueue(ECHO, {"n": 3}, depends_on=[first, second])
    assert status(connection, second.id) == "deferred"
    assert results.get_job(connection, second.id).status is Status.QUEUED
    either.start()
    assert ended(connection, first.id, second.id, third.id) == ["finished"] * 3
    times = [fetch(connection, job.id) for job in (first, second, third)]
    for before, after in itertools.pairwise(times):
        assert (before.ended_at or 0) <= (after.started_at or 0)  # type: ignore[operator]
    assert connection.zcard(DeferredJobRegistry(keys.INTERACTIVE, connection=connection).key) == 0


def test_dependents_of_what_fails_run_only_if_they_allow_it(
    connection: redis.Redis, stock: Queue, workers: Workers
) -> None:
    first = stock.enqueue(BROKEN, {}, retry=Retry(max=1))
    strict = stock.enqueue(ECHO, {}, depends_on=first)
    lenient = stock.enqueue(ECHO, {}, depends_on=Dependency(jobs=[first], allow_failure=True))
    workers.start()
    assert ended(connection, first.id, lenient.id) == ["failed", "finished"]
    assert status(connection, strict.id) == "deferred"


def test_dependents_of_a_canceled_job_wait(connection: redis.Redis, stock: Queue, workers: Workers) -> None:
    first = submit(connection, "echo")
    dependent = stock.enqueue(ECHO, {}, depends_on=fetch(connection, first))
    assert queue.cancel(connection, first)
    assert queue.cancel(connection, dependent.id)
    assert connection.zcard("rq:deferred:interactive") == 0
    workers.start()
    assert ended(connection, submit(connection, "echo")) == ["finished"]
    assert status(connection, dependent.id) == "canceled"


def test_a_retry_with_a_pause_comes_after_it(
    connection: redis.Redis, stock: Queue, either: Workers, tmp_path: Path
) -> None:
    either.start(quick=True)
    job = stock.enqueue(MENDS, {"tries": str(tmp_path / "tries")}, retry=Retry(max=3, interval=[1, 1, 60]))
    began = time.monotonic()
    wait_for(lambda: status(connection, job.id) == "scheduled", "the pause")
    assert results.get_job(connection, job.id).status is Status.QUEUED
    assert ended(connection, job.id) == ["finished"]
    assert time.monotonic() - began > 1
    assert fetch(connection, job.id).retries_left == 1
    assert connection.zcard(ScheduledJobRegistry(keys.INTERACTIVE, connection=connection).key) == 0


def test_what_is_scheduled_runs_when_its_time_comes(connection: redis.Redis, stock: Queue, workers: Workers) -> None:
    workers.start(2, quick=True)
    with listening(connection) as heard:
        jobs = [stock.enqueue_in(timedelta(seconds=1), ECHO, {"n": n}) for n in range(20)]
        never = stock.enqueue_in(timedelta(hours=1), ECHO, {})
        assert status(connection, jobs[0].id) == "scheduled"
        assert set(ended(connection, *(job.id for job in jobs))) == {"finished"}
        assert heard() == {job.id: 1 for job in jobs}
    assert status(connection, never.id) == "scheduled"
    assert queue.cancel(connection, never.id)
    assert connection.zcard("rq:scheduled:interactive") == 0


def test_rqs_own_scheduler_is_not_disturbed(connection: redis.Redis, stock: Queue, workers: Workers) -> None:
    connection.set("rq:scheduler-lock:interactive", "somebody else's")
    workers.start(quick=True)
    job = stock.enqueue_in(timedelta(seconds=-1), ECHO, {})
    assert ended(connection, submit(connection, "nap", {"seconds": 0.6})) == ["finished"]  # some beats
    assert status(connection, job.id) == "scheduled"
    connection.delete("rq:scheduler-lock:interactive")
    assert ended(connection, job.id) == ["finished"]


def test_a_repeated_job_runs_as_often_as_asked_and_is_announced_at_its_end(
    connection: redis.Redis, stock: Queue, either: Workers, tmp_path: Path
) -> None:
    either.start(quick=True)
    notes = tmp_path / "notes"
    with listening(connection) as heard:
        job = stock.enqueue(
            FUNCTION.format("count"), {"n": 1, "notes": str(notes)}, repeat=Repeat(times=2, interval=[0, 1])
        )
        wait_for(lambda: notes.exists() and len(notes.read_text().split()) == 3, "three runs")
        assert ended(connection, job.id) == ["finished"]
        assert heard() == {job.id: 1}
    assert told(connection, job.id)["asked"]["n"] == 1


def test_rate_limited_jobs_run(connection: redis.Redis, stock: Queue, workers: Workers) -> None:
    workers.start(2)
    limit = RateLimit("one at a time", concurrency=1)
    jobs = [stock.enqueue(NAP, {"seconds": 0.1}, rate_limit=limit) for _ in range(4)]
    assert set(ended(connection, *(job.id for job in jobs))) == {"finished"}
    spans = sorted((fetched.started_at, fetched.ended_at) for fetched in (fetch(connection, job.id) for job in jobs))
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))  # type: ignore[operator]


def test_a_failed_job_can_be_requeued(connection: redis.Redis, stock: Queue, either: Workers, tmp_path: Path) -> None:
    either.start()
    job = stock.enqueue(MENDS, {"tries": str(tmp_path / "tries")})
    registry = FailedJobRegistry(queue=stock)
    for _ in range(2):
        assert ended(connection, job.id) == ["failed"]
        registry.requeue(job.id)
    assert ended(connection, job.id) == ["finished"]
    assert results.get_job(connection, job.id).status is Status.SUCCEEDED


def test_a_job_canceled_through_rq_is_not_run(connection: redis.Redis, stock: Queue, workers: Workers) -> None:
    job = stock.enqueue(ECHO, {})
    job.cancel()
    workers.start()
    assert ended(connection, submit(connection, "echo")) == ["finished"]
    assert results.get_job(connection, job.id).status is Status.CANCELED


def test_what_expires_in_the_queue_is_not_run(connection: redis.Redis, stock: Queue, workers: Workers) -> None:
    job = stock.enqueue(ECHO, {}, ttl=1)
    wait_for(lambda: not connection.exists(f"rq:job:{job.id}"), "its end")
    workers.start()
    assert ended(connection, submit(connection, "echo")) == ["finished"]
    assert connection.llen("rq:queue:interactive") == 0


def test_suspended_workers_rest_and_go_on(connection: redis.Redis, either: Workers) -> None:
    either.start(quick=True)
    assert ended(connection, submit(connection, "echo")) == ["finished"]
    suspend(connection)
    wait_for(lambda: _states(connection) == {b"suspended"}, "the worker to rest")
    ids = [submit(connection, "echo", queue=name) for name in keys.QUEUES]
    connection.config_resetstat()
    began = time.monotonic()
    wait_for(lambda: _calls(connection, "zcount") >= 8 or time.monotonic() - began > 3, "some beats")
    assert [status(connection, job_id) for job_id in ids] == ["queued", "queued"]
    assert _calls(connection, "evalsha") < 60  # it does not look again and again
    resume(connection)
    assert set(ended(connection, *ids)) == {"finished"}


def _calls(connection: redis.Redis, command: str) -> int:
    found: dict[str, Any] = connection.info("commandstats")
    return int(found.get(f"cmdstat_{command}", {}).get("calls", 0))


def _states(connection: redis.Redis) -> set[bytes | str | None]:
    return {connection.hget(str(name, "ascii"), "state") for name in connection.smembers("rq:workers")}  # type: ignore[arg-type]


def test_a_worker_can_be_told_to_leave_through_rq(connection: redis.Redis, workers: Workers) -> None:
    (process,) = workers.start()
    (name,) = connection.smembers("rq:workers")
    send_shutdown_command(connection, str(name, "ascii").removeprefix("rq:worker:"))  # type: ignore[arg-type]
    process.join(10)
    assert process.exitcode == 0


def test_garbage_among_the_leases_keeps_nobody_from_being_seen_to(
    connection: redis.Redis, stock: Queue, workers: Workers
) -> None:
    abandoned = [submit(connection, "echo"), stock.enqueue(ECHO, {}, on_success=Callback(SUCCESS)).id]
    for job_id in abandoned:
        connection.lrem("rq:queue:interactive", 1, job_id)
        connection.hset(f"rq:job:{job_id}", mapping={"status": "started", "retries_left": "2", "lease": "old"})
        connection.zadd("rq:wip:interactive", {f"{job_id}:old": 1})
    odd = stock.enqueue(ECHO, {}, on_success=Callback(SUCCESS))
    connection.lrem("rq:queue:interactive", 1, odd.id)
    connection.hset(f"rq:job:{odd.id}", mapping={"status": "started", "created_at": "long ago"})
    connection.zadd("rq:wip:interactive", {"nobody": 1, f"{odd.id}:old": 0.5, "gone:gone": 1})
    connection.zadd("rq:wip:interactive", {b"\xff:x": 1})
    late = submit(connection, "echo", queue="nobody's", deadline_s=0.01)
    due = stock.enqueue_in(timedelta(seconds=-1), ECHO, {})
    workers.start(quick=True)
    assert set(ended(connection, abandoned[0], late, due.id)) == {"finished"}


@pytest.mark.parametrize(
    "field", ["created_at", "timeout", "result_ttl", "retry_intervals", "enqueue_at_front", "status"]
)
def test_a_record_that_rq_cannot_read_costs_that_job_alone(
    connection: redis.Redis, stock: Queue, workers: Workers, field: str
) -> None:
    odd = stock.enqueue(ECHO, {}, on_success=Callback(SUCCESS))
    connection.hset(f"rq:job:{odd.id}", field, b"\xff nonsense")
    good = stock.enqueue(ECHO, {}, on_success=Callback(SUCCESS))
    (process,) = workers.start()
    assert ended(connection, good.id) == ["finished"]
    assert process.is_alive()
    assert connection.zcard("rq:wip:interactive") == 0
    if field != "status":  # then it is no job that waits
        assert ended(connection, odd.id) == ["failed"]
        assert odd.id in FailedJobRegistry(queue=stock).get_job_ids(cleanup=False)
