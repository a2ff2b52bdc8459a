"""What a worker's one step takes: by calls of the step itself, and by workers that note who was answered together."""

from __future__ import annotations

import itertools
import time
from typing import Any

import redis

from producer import keys
from producer.queue import now_text
from producer.scripts import STEP
from tests.bare import FUNCTION, Workers, ended, submit, told

ECHO, NAP = FUNCTION.format("echo"), FUNCTION.format("nap")


def step(connection: redis.Redis, worker: str = "one", **given: Any) -> tuple[list[int], list[str]]:
    """Take a step as a worker does. → what became of those that ended, and the ids taken."""
    usual = {"ended": [], "queues": keys.QUEUES, "most": 32, "batch": {ECHO: 32, NAP: 32}, "worked_s": 0.0}
    given = usual | {"at": now_text(), "lease_s": keys.LEASE_S, "step": f"{worker}.{time.monotonic_ns()}"} | given
    became, taken = STEP(connection, worker=worker, **given)[:2]
    return became, [row[0].decode() for row in taken]


def alive(connection: redis.Redis, *names: str) -> None:
    connection.zadd(keys.WORKERS, dict.fromkeys(names, time.time() + 60))


def test_what_somebody_waits_for_comes_before_the_rest(connection: redis.Redis) -> None:
    bulk = [submit(connection, "echo", queue=keys.BULK) for _ in range(3)]
    urgent = [submit(connection, "echo") for _ in range(3)]
    assert step(connection)[1] == urgent
    assert step(connection)[1] == bulk
    assert step(connection)[1] == []


def test_each_worker_takes_its_share(connection: redis.Redis) -> None:
    alive(connection, "one", "two", "three", "four")
    connection.zadd(keys.WORKERS, {"dead": time.time() - 1})
    ids = [submit(connection, "echo") for _ in range(10)]
    taken = [step(connection, name)[1] for name in ("one", "two", "three", "four", "one")]
    assert [len(part) for part in taken] == [3, 2, 2, 1, 1]
    assert [job_id for part in taken for job_id in part] == ids[:9]
    connection.delete(keys.WORKERS)
    assert step(connection)[1] == ids[9:]  # who is alone takes all, also before its first beat


def test_only_jobs_of_one_function_with_a_batch_form_are_taken_together(connection: redis.Redis) -> None:
    ids = [submit(connection, f) for f in ("echo", "echo", "nap", "nap", "alone", "alone", "echo")]
    sizes: list[int] = []
    while taken := step(connection)[1]:
        assert taken == ids[sum(sizes) : sum(sizes) + len(taken)]
        sizes.append(len(taken))
    assert sizes == [2, 2, 1, 1, 1]


def test_no_more_are_taken_than_there_is_room_for(connection: redis.Redis) -> None:
    for _ in range(50):
        submit(connection, "echo")
    assert len(step(connection, batch={ECHO: 5})[1]) == 5
    assert len(step(connection, most=7)[1]) == 7
    assert len(step(connection, batch={ECHO: 100})[1]) == 32
    assert len(step(connection, most=0)[1]) == 0


def test_a_job_that_was_started_before_is_taken_alone(connection: redis.Redis) -> None:
    ids = [submit(connection, "echo") for _ in range(5)]
    for job_id in (ids[1], ids[2]):
        connection.hset(f"rq:job:{job_id}", "worker_name", "who died of it")
    assert [step(connection)[1] for _ in range(4)] == [ids[:1], ids[1:2], ids[2:3], ids[3:]]


def test_what_is_no_job_any_more_is_passed_over(connection: redis.Redis) -> None:
    ids = [submit(connection, "echo") for _ in range(6)]
    connection.delete(f"rq:job:{ids[0]}")
    connection.hset(f"rq:job:{ids[1]}", "status", "finished")
    connection.hdel(f"rq:job:{ids[2]}", "data")
    connection.delete(f"rq:job:{ids[3]}")
    connection.set(f"rq:job:{ids[3]}", "no hash")
    connection.lpush("rq:queue:interactive", b"\xff\xfe", "rq:job:", "")
    assert step(connection)[1] == ids[4:]
    assert connection.llen("rq:queue:interactive") == 0


def test_a_job_taken_is_under_a_lease_and_says_who_has_it(connection: redis.Redis) -> None:
    job_id = submit(connection, "echo")
    step(connection, step="unique")
    assert connection.zrange("rq:wip:interactive", 0, -1) == [f"{job_id}:unique.0".encode()]
    score = connection.zscore("rq:wip:interactive", f"{job_id}:unique.0")
    assert score is not None
    assert 0 < score - time.time() <= keys.LEASE_S
    record = connection.hgetall(f"rq:job:{job_id}")
    assert (record[b"status"], record[b"worker_name"], record[b"lease"]) == (b"started", b"one", b"unique.0")
    assert connection.ttl(f"rq:job:{job_id}") == -1


def test_an_end_counts_only_under_the_lease_and_only_once(connection: redis.Redis) -> None:
    job_id = submit(connection, "echo")
    step(connection, step="first")
    end = {"id": job_id, "queue": keys.INTERACTIVE, "at": now_text(), "status": "finished", "answer": b"x", "ttl": 60}
    assert step(connection, ended=[end | {"lease": "another.0"}])[0] == [0]
    assert connection.hget(f"rq:job:{job_id}", "status") == b"started"
    assert step(connection, ended=[end | {"lease": "first.0"}])[0] == [1]
    assert step(connection, ended=[end | {"lease": "first.0", "answer": b"y"}])[0] == [0]
    assert connection.get(keys.RESULT.format(job_id=job_id)) == b"x"


def test_a_record_with_odd_numbers_is_worked_off(connection: redis.Redis, workers: Workers) -> None:
    odd = ("1e300", "99999999999999999", "-1", "0", "0.5", "1e-9", "inf", "nan", "no number", "")
    fields = ("result_ttl", "failure_ttl", "timeout", "time_limit", "retries_left")
    ids = {"echo": [], "broken": []}  # type: dict[str, list[str]]
    for function, field, value in itertools.product(ids, fields, odd):
        if field == "retries_left" and value in ("1e300", "99999999999999999", "inf"):
            continue  # that is a wish like any other
        job_id = submit(connection, function)
        connection.hset(f"rq:job:{job_id}", mapping={"retries_left": "0", field: value})
        ids[function].append(job_id)
    workers.start(quick=True)
    assert set(ended(connection, *ids["echo"])) == {"finished"}
    assert set(ended(connection, *ids["broken"])) == {"failed"}
    for job_id in ids["echo"] + ids["broken"]:
        assert 0 < connection.ttl(f"rq:job:{job_id}") <= 10 * 365 * 86_400


def test_a_batch_is_as_long_as_its_time_allows(connection: redis.Redis, workers: Workers) -> None:
    quick = [submit(connection, "echo") for _ in range(400)]
    slow = [submit(connection, "nap", {"seconds": 0.004}) for _ in range(40)]
    workers.start()
    assert set(ended(connection, *quick, *slow)) == {"finished"}
    assert max(told(connection, job_id)["together"] for job_id in quick) > 8  # it begins with 4
    assert {told(connection, job_id)["together"] for job_id in slow[-8:]} <= {1, 2}  # 10 ms are over after two


def test_a_steady_worker_makes_one_call_a_batch(connection: redis.Redis, workers: Workers) -> None:
    step(connection)  # Redis knows the script now
    ids = [submit(connection, "echo") for _ in range(200)]
    with connection.monitor() as monitor:
        workers.start()
        ended(connection, *ids)
        connection.echo("enough")
        by_client: dict[str, list[str]] = {}
        while "enough" not in (seen := monitor.next_command())["command"]:
            by_client.setdefault(f"{seen['client_address']}:{seen['client_port']}", []).append(seen["command"])
    calls = next(calls for calls in by_client.values() if sum(STEP.sha in call for call in calls) > 1)
    first = next(n for n, call in enumerate(calls) if STEP.sha in call)
    waits = next((n for n, call in enumerate(calls) if call.startswith("BLMOVE")), len(calls))
    assert all(call.startswith("EVALSHA") for call in calls[first:waits])
    batches = round(sum(1 / told(connection, job_id)["together"] for job_id in ids))
    assert batches < 30
    assert waits - first == batches + 1  # the last one hands in, and takes none
