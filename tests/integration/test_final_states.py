"""Every way a job can end: it is announced once on `segue:done`, and whoever looks then sees how it ended."""

from __future__ import annotations

import pickle
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from rq import Callback, Queue
from rq.registry import CanceledJobRegistry, FailedJobRegistry, FinishedJobRegistry

from producer import codec, keys, overdue, queue, results
from producer.errors import NotFound
from producer.jobs import Job, Status
from producer.schema import Query, Result
from tests.bare import FUNCTION, Workers, ended, kill, listening, started, status, submit, told
from tests.jobs import enqueue, finished
from tests.services import wait_for

REFUSED = ("os.getcwd", "worker.tasks.log_success", "tests.bare_worker.answer", "", "tests.bare_worker")


def empty_afterwards(connection: redis.Redis) -> None:
    """See that nothing of any job is left where jobs wait or run."""
    for name in keys.QUEUES:
        assert connection.zcard(f"rq:wip:{name}") == 0
        assert connection.llen(f"rq:queue:{name}") == 0
        assert connection.llen(f"rq:queue:{name}:intermediate") == 0
    assert connection.zcard(keys.DEADLINES) == 0


def craft(connection: redis.Redis, data: bytes, **fields: str | int) -> str:
    """Queue a job whose message is whatever `data` is."""
    job_id = submit(connection, "echo", queue="nobody's")
    connection.hset(f"rq:job:{job_id}", mapping={"data": data, "origin": keys.INTERACTIVE})
    for name, value in fields.items():
        connection.hset(f"rq:job:{job_id}", name, value)
    connection.lmove("rq:queue:nobody's", "rq:queue:interactive")
    return job_id


def call(*message: Any) -> bytes:
    """Return a message of Segue's."""
    return codec.pack(list(message))


def test_every_end_is_announced_once_and_seen_by_whoever_looks_then(connection: redis.Redis, either: Workers) -> None:
    either.start(2, quick=True)
    with listening(connection) as heard, looking_at_each(connection) as seen:
        ends = {
            submit(connection, "echo"): Status.SUCCEEDED,
            submit(connection, "broken"): Status.FAILED,
            submit(connection, "unpackable"): Status.FAILED,
            craft(
                connection, call(FUNCTION.format("hang"), None, [{}], {}), time_limit="0.1", timeout=1, retries_left=0
            ): (Status.FAILED),
            craft(connection, call("os.getcwd", None, [], {})): Status.FAILED,
            craft(connection, b"\x80\x04pickled"): Status.FAILED,
            submit(connection, "nap", {"seconds": 1}, deadline_s=0.1): Status.FAILED,
            submit(connection, "echo", queue="nobody's", deadline_s=0.1): Status.FAILED,
            (canceled := submit(connection, "echo", queue="nobody's")): Status.CANCELED,
            (running := submit(connection, "nap", {"seconds": 0.8})): Status.CANCELED,
            enqueue(connection, FUNCTION.format("echo"), {}): Status.SUCCEEDED,
            enqueue(connection, FUNCTION.format("broken"), {}, retry=None): Status.FAILED,
            enqueue(connection, FUNCTION.format("echo"), {}, on_success=Callback("worker.tasks.log_success")): (
                Status.SUCCEEDED
            ),
            enqueue(connection, FUNCTION.format("broken"), {}, on_failure=Callback("worker.tasks.log_failure")): (
                Status.FAILED
            ),
        }
        assert queue.cancel(connection, canceled)
        started(connection, running)
        assert queue.cancel(connection, running)
        assert {job_id: finished(connection, job_id, 30).status for job_id in ends} == ends
        either.stop()
        assert heard() == dict.fromkeys(ends, 1)
    assert seen == ends
    empty_afterwards(connection)


@contextmanager
def looking_at_each(connection: redis.Redis) -> Iterator[dict[str, Status]]:
    """Look at each job as soon as its end is announced, in a thread. → what was seen; complete at the end."""
    seen: dict[str, Status] = {}
    with connection.pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe(keys.DONE)
        wait_for(lambda: connection.pubsub_numsub(keys.DONE)[0][1] == 2, "the subscription")

        def look() -> None:
            while (message := channel.get_message(timeout=20)) is None or message["data"] != b"enough":
                if message and not message["data"].startswith(b"mark"):
                    job_id = message["data"].decode()
                    seen[job_id] = results.get_job(connection, job_id).status

        thread = threading.Thread(target=look)
        thread.start()
        yield seen
        connection.publish(keys.DONE, "enough")
        thread.join(20)


def test_a_job_whose_workers_all_died_is_announced_as_failed(connection: redis.Redis, either: Workers) -> None:
    jobs = {
        "ours": submit(connection, "nap", {"seconds": 30}, time_limit_s=60),
        "with callbacks": enqueue(
            connection, FUNCTION.format("nap"), {"seconds": 30}, on_failure=Callback("worker.tasks.log_failure")
        ),
    }
    with listening(connection) as heard:
        for job_id in jobs.values():
            connection.hset(f"rq:job:{job_id}", "retries_left", 0)
            (victim,) = either.start(quick=True)
            started(connection, job_id)
            kill(victim)
        either.start(quick=True)
        assert [finished(connection, job_id, 30).status for job_id in jobs.values()] == [Status.FAILED] * 2
        either.stop()
        assert heard() == dict.fromkeys(jobs.values(), 1)
    assert "Traceback" not in either.log.read_text()
    empty_afterwards(connection)


def test_a_canceled_job_is_not_run(connection: redis.Redis, either: Workers) -> None:
    job_id = submit(connection, "echo")
    assert queue.cancel(connection, job_id)
    assert not queue.cancel(connection, job_id)
    assert connection.llen("rq:queue:interactive") == 0
    assert job_id in CanceledJobRegistry(keys.INTERACTIVE, connection=connection).get_job_ids()
    found = results.get_job(connection, job_id)
    assert (found.status, found.result, found.error, found.started_at) == (Status.CANCELED, None, None, None)
    assert found.finished_at
    either.start()
    assert ended(connection, submit(connection, "echo")) == ["finished"]
    assert status(connection, job_id) == "canceled"
    assert 0 < connection.ttl(f"rq:job:{job_id}") <= keys.RESULT_TTL_S


def test_what_a_canceled_job_answers_is_discarded(connection: redis.Redis, either: Workers) -> None:
    either.start()
    job_id = submit(connection, "nap", {"seconds": 0.5})
    started(connection, job_id)
    assert queue.cancel(connection, job_id)
    assert ended(connection, submit(connection, "echo")) == ["finished"]  # the worker has gone on
    assert status(connection, job_id) == "canceled"
    assert connection.get(keys.RESULT.format(job_id=job_id)) is None
    empty_afterwards(connection)


def test_what_is_unknown_or_over_cannot_be_canceled(connection: redis.Redis, either: Workers) -> None:
    either.start()
    job_id = submit(connection, "echo")
    ended(connection, job_id)
    before = connection.hgetall(f"rq:job:{job_id}")
    assert not queue.cancel(connection, job_id)
    assert not queue.cancel(connection, queue.new_id())
    assert not queue.cancel(connection, "x" * 1000)
    assert connection.hgetall(f"rq:job:{job_id}") == before


def test_a_job_past_its_deadline_is_answered_by_whoever_asks(connection: redis.Redis) -> None:
    job_id = submit(connection, "echo", deadline_s=0.05)
    assert results.get_job(connection, job_id).status is Status.QUEUED
    found = finished(connection, job_id)  # no worker lives
    assert found.error
    assert (found.status, found.error.code) == (Status.FAILED, "deadline-exceeded")
    empty_afterwards(connection)


def test_a_job_past_its_deadline_is_answered_by_the_workers(connection: redis.Redis, either: Workers) -> None:
    either.start(quick=True)
    with listening(connection) as heard:
        ids = [submit(connection, "echo", queue="nobody's", deadline_s=0.05) for _ in range(250)]
        assert set(ended(connection, *ids)) == {"finished"}
        assert heard() == dict.fromkeys(ids, 1)
    empty_afterwards(connection)


def test_a_recommendation_past_its_deadline_is_answered_with_the_fallback(
    connection: redis.Redis, workers: Workers
) -> None:
    workers.start(quick=True)  # publishes a popular list
    query = Query.model_validate({"seeds": [{"name": "x"}], "deadline_s": 1})
    job, _ = queue.recommend(connection, query, limit=10)
    connection.lrem("rq:queue:interactive", 1, job.id)  # nobody takes it
    connection.zadd(keys.DEADLINES, {job.id: time.time()})
    found = finished(connection, job.id)
    assert (found.status, found.error) == (Status.SUCCEEDED, None)
    assert isinstance(found.result, Result)
    assert found.result.degraded
    assert [track.track_id for track in found.result.tracks] == ["popular"]


def test_without_a_deadline_a_job_waits(connection: redis.Redis) -> None:
    job_id = submit(connection, "echo", deadline_s=None)
    assert connection.zcard(keys.DEADLINES) == 0
    assert results.get_job(connection, job_id).status is Status.QUEUED


def test_a_deadline_of_a_job_that_is_gone_is_forgotten(connection: redis.Redis) -> None:
    connection.zadd(keys.DEADLINES, {"gone": 1, "gone too": 1})
    assert overdue.answer(connection, ["gone", "gone too"]) == 0
    assert connection.zcard(keys.DEADLINES) == 0
    with pytest.raises(NotFound):
        results.get_job(connection, "gone")


class _Touch:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return (Path.touch, (self.path,))


def test_a_pickled_job_is_refused_unread(connection: redis.Redis, either: Workers, tmp_path: Path) -> None:
    either.start()
    victim = tmp_path / "touched"
    pickled = Queue(keys.INTERACTIVE, connection=connection)  # RQ's default
    jobs = [str(pickled.enqueue(FUNCTION.format("echo"), _Touch(victim)).id)]
    jobs += [
        craft(connection, data) for data in (pickle.dumps(_Touch(victim)), zlib.compress(pickle.dumps(_Touch(victim))))
    ]
    assert set(ended(connection, *jobs)) == {"failed"}
    assert set(jobs) == set(FailedJobRegistry(keys.INTERACTIVE, connection=connection).get_job_ids())
    assert not victim.exists()
    pickle.loads(pickle.dumps(_Touch(victim)))
    assert victim.exists()  # it would have


MESSAGES: dict[str, bytes] = {
    "nothing": b"",
    "another format": b"\x07abc",
    "cut off": call(FUNCTION.format("echo"), None, [{"a": 1}], {})[:-3],
    "no call": call("a", "b"),
    "a map": codec.pack({"function": "os.getcwd"}),
    "an object's method": call(FUNCTION.format("echo"), {"an": "object"}, [{}], {}),
    "a list for a name": call([FUNCTION.format("echo")], None, [{}], {}),
    "a map for a name": call({}, None, [{}], {}),
    "a number for a name": call(5, None, [{}], {}),
    "a number for arguments": call(FUNCTION.format("echo"), None, 5, {}),
    "too many arguments": call(FUNCTION.format("echo"), None, [1, 2, 3], {"a": 1}),
    "unknown names": call(FUNCTION.format("echo"), None, [], {"colour": "red"}),
    "a list for names": call(FUNCTION.format("echo"), None, [{}], ["a"]),
    "broken zlib": b"\x78\x9c" + b"\xff" * 50,
    **{f"function {name!r}": call(name, None, [], {}) for name in REFUSED},
}


def test_what_is_no_message_of_ours_is_refused_at_once(connection: redis.Redis, workers: Workers) -> None:
    (process,) = workers.start()
    jobs = {craft(connection, data): what for what, data in MESSAGES.items()}
    good = submit(connection, "echo")
    assert ended(connection, good) == ["finished"]
    assert dict(zip(jobs.values(), ended(connection, *jobs), strict=True)) == dict.fromkeys(jobs.values(), "failed")
    for job_id in jobs:
        assert connection.hget(f"rq:job:{job_id}", "retries_left") == str(keys.RETRIES).encode(), jobs[job_id]
    assert process.is_alive()
    assert "ended with" not in workers.log.read_text()
    assert set(jobs) == set(FailedJobRegistry(keys.INTERACTIVE, connection=connection).get_job_ids())


def test_rqs_own_loop_refuses_them_too(connection: redis.Redis, either: Workers) -> None:
    (process,) = either.start()
    jobs = {craft(connection, data, retries_left=0): what for what, data in MESSAGES.items() if data}
    assert dict(zip(jobs.values(), ended(connection, *jobs), strict=True)) == dict.fromkeys(jobs.values(), "failed")
    assert ended(connection, submit(connection, "echo")) == ["finished"]
    assert process.is_alive()


@pytest.mark.parametrize("fields", [{}, {"success_callback_name": "worker.tasks.log_success"}])
def test_a_small_message_that_unpacks_into_a_huge_one_is_refused(
    connection: redis.Redis, either: Workers, fields: dict[str, str | int]
) -> None:
    (process,) = either.start()
    assert ended(connection, submit(connection, "echo")) == ["finished"]
    before = psutil.Process(process.pid).memory_info().rss
    packer = zlib.compressobj()
    bomb = b"".join([*(packer.compress(bytes(2**20)) for _ in range(400)), packer.flush()])
    assert len(bomb) < 500_000
    jobs = [craft(connection, bomb, retries_left=0, **fields), craft(connection, codec.COMPRESSED + bomb, **fields)]
    connection.hset(f"rq:job:{jobs[0]}", "exc_info", bomb)
    peak = 0

    def over() -> bool:
        nonlocal peak
        peak = max(peak, psutil.Process(process.pid).memory_info().rss)
        return {status(connection, job_id) for job_id in jobs} == {"failed"}

    wait_for(over, "the bombs to be refused")
    assert peak - before < 150 * 2**20
    assert ended(connection, submit(connection, "echo")) == ["finished"]


def test_each_end_is_in_its_registry(connection: redis.Redis, either: Workers) -> None:
    either.start()
    good, bad = submit(connection, "echo"), submit(connection, "broken")
    assert ended(connection, good, bad) == ["finished", "failed"]
    assert FinishedJobRegistry(keys.INTERACTIVE, connection=connection).get_job_ids() == [good]
    assert FailedJobRegistry(keys.INTERACTIVE, connection=connection).get_job_ids() == [bad]
    assert told(connection, good)["asked"] == {}
    found: Job = results.get_job(connection, bad)
    assert found.error
    assert found.error.code == "job-failed"
    assert "Traceback" not in found.model_dump_json()
    for job_id, kept_s in ((good, keys.RESULT_TTL_S), (bad, keys.FAILURE_TTL_S)):
        assert kept_s - 60 < connection.ttl(f"rq:job:{job_id}") <= kept_s
