"""What the death of a worker, a job that misbehaves, or a signal costs: never a job, and never an answer twice."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest
import redis
from rq.job import Job as RQJob
from rq.registry import FailedJobRegistry, StartedJobRegistry

from producer import codec, fallback, keys, queue, results
from producer.jobs import Status
from producer.queue import Work
from producer.scripts import RECOVER
from tests.bare import Workers, ended, kill, listening, send, started, status, submit, told
from tests.services import wait_for
from worker.batching import BatchWorker
from worker.heartbeat import ABANDONED
from worker.queue_worker import QueueWorker

WHERE = """
local places = {}
for _, id in ipairs(redis.call('LRANGE', 'rq:queue:interactive', 0, -1)) do places[id] = 1 end
for _, id in ipairs(redis.call('LRANGE', 'rq:queue:interactive:intermediate', 0, -1)) do places[id] = 1 end
for _, member in ipairs(redis.call('ZRANGE', 'rq:wip:interactive', 0, -1)) do
  local id = string.match(member, '^[^:]*')
  places[id] = (places[id] or 0) + 1
end
local open, odd = 0, {}
for _, id in ipairs(ARGV) do
  local status = redis.call('HGET', 'rq:job:' .. id, 'status')
  local over = status == 'finished' or status == 'failed'
  if not over then open = open + 1 end
  if (places[id] or 0) ~= (over and 0 or 1) then odd[#odd + 1] = status .. ' in ' .. (places[id] or 0) .. ' places' end
end
return {open, odd}
"""
"""One atomic look at where jobs are: a job that is not over is in a queue or under a lease, and never in two places."""


def error_of(connection: redis.Redis, job_id: str) -> str:
    """Return why a job failed, as RQ reads it."""
    assert job_id in FailedJobRegistry(keys.INTERACTIVE, connection=connection).get_job_ids(cleanup=False)
    latest = RQJob.fetch(job_id, connection=connection, serializer=codec.RQSerializer).latest_result()
    assert latest
    assert latest.type == latest.Type.FAILED
    return latest.exc_string or ""


def keep_alive(workers: Workers, over: Callable[[], Any]) -> int:
    """Start a worker whenever there is none, until all is over. → how often."""
    starts = 0

    def look() -> Any:
        nonlocal starts
        if not workers.alive:
            workers.start(quick=True, wait=False)
            starts += 1
        return over()

    wait_for(look, "the end of it", 40)
    return starts


def test_a_job_is_in_a_queue_or_under_a_lease_at_every_moment(connection: redis.Redis, workers: Workers) -> None:
    look = connection.register_script(WHERE)
    ids = [submit(connection, ("echo", "alone", "broken", "odd")[n % 4], {"n": n}) for n in range(1200)]
    assert look(args=ids) == [1200, []]
    workers.start(2)
    looks, open_jobs = 0, len(ids)
    deadline = time.monotonic() + 40
    while open_jobs and time.monotonic() < deadline:
        open_jobs, odd = look(args=ids)
        assert odd == []
        looks += 1
    assert open_jobs == 0
    assert looks > 20


def test_the_jobs_of_a_killed_worker_are_back_within_ten_seconds(connection: redis.Redis, either: Workers) -> None:
    either.start(2, quick=either.one_by_one)  # its leases are as long, in earnest
    job_id = submit(connection, "nap", {"seconds": 0.7})
    started(connection, job_id)
    first = worker_of(connection, job_id)
    victim = next(p for p in either.alive if connection.hget(f"rq:worker:{first}", "pid") == str(p.pid).encode())
    kill(victim)
    killed = time.monotonic()
    wait_for(lambda: worker_of(connection, job_id) != first, "another worker to take it")
    assert time.monotonic() - killed < 10
    assert ended(connection, job_id) == ["finished"]
    assert told(connection, job_id)["process"] != victim.pid
    assert StartedJobRegistry(keys.INTERACTIVE, connection=connection).get_job_ids(cleanup=False) == []


def test_a_job_that_was_taken_and_never_started_is_back_within_ten_seconds(
    connection: redis.Redis, workers: Workers
) -> None:
    workers.one_by_one = True
    job_id = submit(connection, "echo")
    # Where the death of a worker that runs RQ's own loop may leave a job: out of its queue, in no registry.
    connection.lmove("rq:queue:interactive", "rq:queue:interactive:intermediate")
    connection.rpush("rq:queue:interactive:intermediate", "gone", b"\xff")
    workers.start()
    assert ended(connection, job_id, deadline_s=10) == ["finished"]
    wait_for(lambda: connection.llen("rq:queue:interactive:intermediate") == 0, "the rest to be dropped")


def worker_of(connection: redis.Redis, job_id: str) -> str:
    found = connection.hget(f"rq:job:{job_id}", "worker_name")
    assert isinstance(found, bytes)
    return found.decode()


def test_a_worker_that_was_given_up_ends_nothing(connection: redis.Redis, either: Workers) -> None:
    (stunned,) = either.start(quick=True)
    ids = [submit(connection, "nap", {"seconds": 0.2, "n": n}) for n in range(2)]
    started(connection, ids[0])
    name = worker_of(connection, ids[0])
    send(stunned, signal.SIGSTOP)
    with listening(connection) as heard:
        either.start(quick=True)
        assert ended(connection, *ids) == ["finished", "finished"]
        before = [connection.hgetall(f"rq:job:{job_id}") for job_id in ids], [told(connection, i) for i in ids]
        assert {told(connection, job_id)["process"] for job_id in ids} != {stunned.pid}
        send(stunned, signal.SIGCONT)
        wait_for(lambda: "had ended or w" in either.log.read_text(), "the worker to say that it came too late")
        assert (
            [connection.hgetall(f"rq:job:{job_id}") for job_id in ids],
            [told(connection, i) for i in ids],
        ) == before
        assert heard() == dict.fromkeys(ids, 1)
    counters = {worker: connection.hgetall(worker).get(b"successful_job_count") for worker in _records(connection)}
    assert counters.pop(f"rq:worker:{name}") is None
    assert list(counters.values()) == [b"2"]


def _records(connection: redis.Redis) -> list[str]:
    return [str(name, "ascii") for name in connection.smembers("rq:workers") if isinstance(name, bytes)]


def test_a_long_job_keeps_its_lease(connection: redis.Redis, either: Workers) -> None:
    either.start(2, quick=True)  # leases of a second
    with listening(connection) as heard:
        job_id = submit(connection, "nap", {"seconds": 1.7})
        assert ended(connection, job_id) == ["finished"]
        assert heard() == {job_id: 1}
    assert connection.hget(f"rq:job:{job_id}", "retries_left") == str(keys.RETRIES).encode()


def test_what_kills_its_worker_fails_alone(connection: redis.Redis, workers: Workers) -> None:
    good = [submit(connection, "odd", {"n": n}) for n in range(3)]
    poison = submit(connection, "odd", {"how": "poison"})  # the four are taken together, once
    connection.hset(f"rq:job:{poison}", "retries_left", 1)
    starts = keep_alive(workers, lambda: set(ended_now(connection, poison, *good)) <= {"finished", "failed"})
    assert ended(connection, poison, *good) == ["failed", "finished", "finished", "finished"]
    assert error_of(connection, poison) == ABANDONED
    assert starts == 3  # it killed two


def test_what_kills_its_worker_fails_after_its_retries(connection: redis.Redis, workers: Workers) -> None:
    poison, good = submit(connection, "poison"), submit(connection, "echo")
    connection.hset(f"rq:job:{poison}", "retries_left", 1)
    keep_alive(workers, lambda: set(ended_now(connection, poison, good)) <= {"finished", "failed"})
    assert ended(connection, poison, good) == ["failed", "finished"]
    assert error_of(connection, poison) == ABANDONED
    assert results.get_job(connection, poison).status is Status.FAILED


def ended_now(connection: redis.Redis, *job_ids: str) -> list[str | None]:
    return [status(connection, job_id) for job_id in job_ids]


@pytest.mark.parametrize(
    ("function", "why"),
    [
        ("broken", "RuntimeError: broken on purpose"),
        ("unpackable", "BadMessage: cannot be packed"),
        ("later", "BadMessage: cannot be packed"),
        ("leave", "SystemExit: 3"),
    ],
)
def test_what_fails_is_tried_again_then_kept_with_its_traceback(
    connection: redis.Redis, either: Workers, function: str, why: str
) -> None:
    either.start()
    job_id = submit(connection, function)
    assert ended(connection, job_id) == ["failed"]
    error = error_of(connection, job_id)
    assert why in error
    assert "Traceback" in error
    assert connection.hget(f"rq:job:{job_id}", "retries_left") == b"0"
    (worker,) = _records(connection)
    wait_for(
        lambda: connection.hget(worker, "failed_job_count") == str(1 + keys.RETRIES).encode(), "the count of tries"
    )
    assert ended(connection, submit(connection, "echo")) == ["finished"]  # the worker is still there


def test_a_strange_error_message_is_kept(connection: redis.Redis, workers: Workers) -> None:
    workers.start()
    job_id = submit(connection, "broken", {"why": "x" * 100_000})
    assert ended(connection, job_id) == ["failed"]
    assert error_of(connection, job_id).strip().endswith("xxx")


def test_what_fails_now_and_then_is_answered(connection: redis.Redis, either: Workers, tmp_path: Any) -> None:
    either.start()
    job_id = submit(connection, "mends", {"tries": str(tmp_path / "tries")})
    assert ended(connection, job_id) == ["finished"]
    assert connection.hget(f"rq:job:{job_id}", "retries_left") == str(keys.RETRIES - 2).encode()


@pytest.mark.parametrize("how", ["raise", "few", "unpackable", "leave"])
def test_a_batch_that_fails_is_run_one_by_one(connection: redis.Redis, workers: Workers, how: str) -> None:
    good = [submit(connection, "odd", {"how": how}), submit(connection, "odd"), submit(connection, "odd")]
    bad = submit(connection, "odd", {"fail": True})
    workers.start()
    assert set(ended(connection, *good)) == {"finished"}
    assert [told(connection, job_id)["together"] for job_id in good] == [1, 1, 1]
    assert ended(connection, bad) == ["failed"]
    assert "this one fails" in error_of(connection, bad)
    assert f"a batch of {len(good) + 1} failed" in workers.log.read_text()


def test_a_batch_that_takes_too_long_is_run_one_by_one(connection: redis.Redis, workers: Workers) -> None:
    ids = [submit(connection, "odd", {"how": "hang"}, time_limit_s=0.2) for _ in range(4)]
    workers.start()
    assert set(ended(connection, *ids)) == {"finished"}
    assert "time limit of 0.2 s" in workers.log.read_text()


def test_jobs_are_run_by_what_they_name_not_by_how_they_are_described(
    connection: redis.Redis, workers: Workers
) -> None:
    ids = [submit(connection, ("echo", "odd")[n % 2], {"n": n}) for n in range(4)]
    for job_id in ids:
        connection.hset(f"rq:job:{job_id}", "description", "tests.bare_worker.echo")
    bad = submit(connection, "odd", {"fail": True})
    connection.hset(f"rq:job:{bad}", "description", "tests.bare_worker.echo")
    workers.start()
    assert set(ended(connection, *ids)) == {"finished"}
    assert ended(connection, bad) == ["failed"]


def test_a_job_is_stopped_within_a_fraction_of_a_second(connection: redis.Redis, workers: Workers) -> None:
    workers.start()
    job_id = submit(connection, "hang", time_limit_s=0.15)
    assert ended(connection, job_id) == ["failed"]
    assert "JobTimeoutException: took longer than its time limit of 0.15 s" in error_of(connection, job_id)
    worked_s = float(connection.hget(_records(connection)[0], "total_working_time") or 0)
    assert 4 * 0.15 <= worked_s < 4 * 0.9


def test_an_idle_worker_leaves_at_once(connection: redis.Redis, either: Workers) -> None:
    (process,) = either.start()
    began = time.monotonic()
    send(process, signal.SIGTERM)
    process.join(10)
    assert process.exitcode == 0
    assert time.monotonic() - began < 5
    assert fallback.live_workers(connection) == 0
    assert connection.smembers("rq:workers") == set()


@pytest.mark.parametrize("kind", [BatchWorker, QueueWorker])
def test_a_worker_told_to_leave_before_it_began_does_not_begin(
    connection: redis.Redis, kind: type[QueueWorker]
) -> None:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    stopping = Event()
    stopping.set()
    job_id = submit(connection, "nap", {"seconds": 0.1})
    try:
        assert not kind(connection, announce=lambda _: None, stopping=stopping).work(logging_level="WARNING")
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert status(connection, job_id) == "queued"


def test_a_worker_told_to_leave_hands_in_what_it_has(connection: redis.Redis, either: Workers) -> None:
    (process,) = either.start()
    submitted = [submit(connection, "nap", {"seconds": 0.3, "n": n}) for n in range(12)]
    started(connection, submitted[0])
    send(process, signal.SIGTERM)
    process.join(10)
    assert process.exitcode == 0
    words = [status(connection, job_id) or "" for job_id in submitted]
    assert set(words) == {"finished", "queued"}
    assert words == sorted(words)  # first those that it had in hand
    assert connection.zcard("rq:wip:interactive") == 0
    assert connection.llen("rq:queue:interactive") == words.count("queued")


def test_scripts_that_redis_forgets_are_taught_again(connection: redis.Redis, either: Workers) -> None:
    either.start(2)
    ids = []
    for n in range(200):
        ids.append(submit(connection, "echo", {"n": n}))
        if n % 20 == 0:
            connection.script_flush()
    assert set(ended(connection, *ids)) == {"finished"}


def test_a_worker_that_redis_forgets_is_there_again(connection: redis.Redis, either: Workers) -> None:
    either.start()
    connection.flushall()
    wait_for(lambda: fallback.live_workers(connection) and _records(connection), "the worker to be known again")
    wait_for(lambda: connection.exists(keys.MODEL), "its model to be known again")
    assert fallback.model_info(connection).version == "bare"
    assert ended(connection, submit(connection, "echo")) == ["finished"]
    (worker,) = _records(connection)
    wait_for(lambda: connection.hget(worker, "successful_job_count") == b"1", "the count of jobs")


def test_rqs_own_loop_keeps_a_job_whose_lease_ran_out_before_it_began(connection: redis.Redis) -> None:
    worker = QueueWorker(connection, announce=lambda _: None, stopping=Event())
    job_id = queue.submit(connection, Work(keys.TRACK, {}), limit=10)[0]
    found = worker.dequeue_job_and_maintain_ttl(None)
    assert found
    execution = worker.prepare_execution(found[0])
    connection.zadd("rq:wip:interactive", {execution.composite_key: 1})
    given = {"queues": keys.QUEUES, "at": queue.now_text(), "most": 100, "ttl": 60, "error": ""}
    RECOVER(connection, **given)  # by another worker
    worker.perform_job(*found, execution)
    assert status(connection, job_id) == "queued"  # its first try has failed, for want of a model
    assert connection.lrange("rq:queue:interactive", 0, -1) == [job_id.encode()]
