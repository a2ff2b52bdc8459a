"""What Redis holds of webhooks: notices written with every final state, deliveries made of them, tries."""

from __future__ import annotations

import json
import re
import secrets
import time
from pathlib import Path
from typing import Any

import msgpack
import pytest
import redis
from rq import Callback

from producer import batches, deliveries, endpoints, keys, outbox, overdue, queue, results
from producer.errors import KeyReused
from producer.schema import Query
from producer.webhooks import Webhook
from tests import bare, webhooks
from tests.bare import Workers
from tests.jobs import enqueue, finished
from tests.services import wait_for
from tests.webhooks import CALLER, HOOK, POLICY, came, deliver, end, events, expand, notices, register, submit

# Notices


def test_every_final_state_of_a_job_is_noted_in_the_step_that_makes_it(
    connection: redis.Redis, either: Workers
) -> None:
    hook: dict[str, Any] = {"caller": CALLER, "webhook": HOOK}
    jobs = {
        bare.submit(connection, "echo", **hook): "job.succeeded",
        bare.submit(connection, "broken", **hook): "job.failed",
        bare.submit(connection, "unpackable", **hook): "job.failed",
        bare.submit(connection, "hang", time_limit_s=0.1, **hook): "job.failed",
        bare.submit(connection, "nap", {"seconds": 1.5}, deadline_s=0.2, **hook): "job.failed",
        bare.submit(connection, "echo", queue="nobody's", deadline_s=0.1, **hook): "job.failed",
        (canceled := bare.submit(connection, "echo", queue="nobody's", **hook)): "job.canceled",
    }
    quiet = bare.submit(connection, "echo")
    assert queue.cancel(connection, canceled)
    either.start(2, quick=True)
    for job_id in (*jobs, quiet):
        assert finished(connection, job_id, 30).status.is_final
    assert {notice.text("id"): notice.text("event") for notice in notices(connection)} == jobs
    assert len(notices(connection)) == len(jobs)


def test_an_end_that_rqs_own_code_writes_is_noted_too(connection: redis.Redis, either: Workers) -> None:
    good = enqueue(connection, bare.FUNCTION.format("echo"), {}, on_success=Callback("worker.tasks.log_success"))
    bad = enqueue(
        connection, bare.FUNCTION.format("broken"), {}, on_failure=Callback("worker.tasks.log_failure"), retry=None
    )
    for job_id in (good, bad):
        connection.hset(f"rq:job:{job_id}", mapping={"caller": CALLER, "webhook": HOOK.packed()})
    either.start()
    assert bare.ended(connection, good, bad) == ["finished", "failed"]
    assert {n.text("id"): n.text("event") for n in notices(connection)} == {good: "job.succeeded", bad: "job.failed"}


def test_a_job_whose_worker_died_for_good_is_noted(connection: redis.Redis, workers: Workers) -> None:
    job_id = bare.submit(connection, "nap", {"seconds": 30}, time_limit_s=60, caller=CALLER, webhook=HOOK)
    connection.hset(f"rq:job:{job_id}", "retries_left", 0)
    (victim,) = workers.start(quick=True)
    bare.started(connection, job_id)
    bare.kill(victim)
    workers.start(quick=True)
    assert bare.ended(connection, job_id) == ["failed"]
    assert events(connection) == ["job.failed"]


def test_an_answer_that_is_an_error_is_a_failure_for_webhooks_as_for_clients(connection: redis.Redis) -> None:
    job_id = submit(connection, HOOK, deadline_s=0.01)
    time.sleep(0.02)
    assert overdue.answer(connection, [job_id]) == 1
    assert results.get_job(connection, job_id).status == "failed"
    assert events(connection) == ["job.failed"]


def test_nobody_is_told_of_what_nobody_asked_for(connection: redis.Redis) -> None:
    end(connection)
    end(connection, caller=None)
    register(connection, caller="another")
    end(connection)
    assert notices(connection) == []
    register(connection)
    end(connection, caller=None)  # a type-ahead, say
    assert notices(connection) == []
    end(connection)
    assert events(connection) == ["job.succeeded"]


def test_the_end_of_a_batch_is_noted_once_and_its_parts_are_not(connection: redis.Redis) -> None:
    register(connection)
    items = [{"custom_id": str(n), "seeds": [{"name": "x"}]} for n in range(20)]
    batch_id, _ = batches.submit(connection, items, metadata={"a": "b"}, limit=100, caller=CALLER, webhook=HOOK)
    for n in range(20 // batches.PART - 1):
        assert queue.finish(connection, f"{batch_id}-{n}", "finished", {"ok": {"items": []}})
    assert notices(connection) == []
    batches.cancel(connection, batch_id)
    assert events(connection) == ["batch.completed"]
    assert expand(connection) == 2
    body = json.loads(webhooks.of(connection)[0].body)
    batch = batches.get(connection, batch_id)
    assert body["type"] == "batch.completed"
    assert (body["data"]["id"], body["data"]["status"], body["data"]["metadata"]) == (batch_id, "canceled", {"a": "b"})
    assert body["data"]["counts"] == {
        "total": 20,
        "succeeded": 0,
        "failed": 20 - batches.PART,
        "canceled": batches.PART,
    }
    assert batch.counts.canceled == batches.PART
    assert body["data"]["finished_at"] == batch.finished_at


def test_another_webhook_is_another_request(connection: redis.Redis) -> None:
    query = Query.model_validate({"seeds": [{"name": "x"}]})
    options: dict[str, Any] = {"limit": 10, "idempotency_key": "k", "caller": CALLER}
    first, new = queue.recommend(connection, query, webhook=HOOK, **options)
    assert new
    assert queue.recommend(connection, query, webhook=HOOK, **options)[0].id == first.id
    with pytest.raises(KeyReused):
        queue.recommend(connection, query, webhook=Webhook("http://127.0.0.1:9/other"), **options)


# Deliveries


def test_a_notice_becomes_a_delivery_for_each_who_wants_it(connection: redis.Redis) -> None:
    all_events, failures = register(connection), register(connection, events=["job.failed"])
    off = register(connection)
    endpoints.change(connection, CALLER, off.id, POLICY, enabled=False)
    full = register(connection, include_result=True)
    answer = {"ok": {"tracks": [{"name": "Søster"}]}}
    job_id = end(connection, HOOK, answer, metadata={"user": "7"})
    assert expand(connection) == 3
    assert connection.llen(keys.WEBHOOK_OUTBOX) == 0
    assert [len(webhooks.of(connection, e.id)) for e in (all_events, failures, off, full)] == [1, 0, 0, 1]
    (thin,), (rich,), (single,) = (webhooks.of(connection, owner) for owner in (all_events.id, full.id, None))
    created, ended = connection.hmget(f"rq:job:{job_id}", "created_at", "ended_at")
    data = json.loads(thin.body)["data"]
    assert (data["id"], data["status"], data["metadata"]) == (job_id, "succeeded", {"user": "7"})
    assert [data["created_at"].encode(), data["finished_at"].encode()] == [created, ended]
    assert "result" not in data
    assert json.loads(rich.body)["data"]["result"] == answer["ok"]
    assert single.body == thin.body
    assert len({thin.id, rich.id, single.id}) == 3
    assert (single.state, single.endpoint, single.count) == ("pending", None, 0)


def test_a_notice_is_taken_out_in_the_step_that_makes_its_deliveries_and_makes_them_once(
    connection: redis.Redis,
) -> None:
    end(connection, HOOK)
    (notice,) = notices(connection)
    entries = [{"raw": notice.raw, "deliveries": outbox.expand(notice, [])}]
    assert deliveries.make(connection, entries) == 1
    assert deliveries.make(connection, entries) == 0  # two processes had read it
    connection.rpush(keys.WEBHOOK_OUTBOX, notice.raw)  # Redis lost its last second, but not the delivery
    assert expand(connection) == 0
    assert connection.llen(keys.WEBHOOK_OUTBOX) == 0
    assert len(webhooks.of(connection)) == 1


def test_what_is_no_notice_is_dropped_and_keeps_nobody_waiting(
    connection: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    for odd in (b"", b"\x80", msgpack.packb({"kind": 5}), msgpack.packb([1]), b"\xc1"):
        connection.rpush(keys.WEBHOOK_OUTBOX, odd)
    end(connection, HOOK)
    with webhooks.delivering(redis_url, tmp_path / "log"):
        wait_for(lambda: not connection.llen(keys.WEBHOOK_OUTBOX), "an empty outbox")
        assert len(webhooks.of(connection)) == 1
    assert (tmp_path / "log").read_text().count("no notice of ours") == 5


def test_a_result_is_carried_only_if_it_is_wanted_and_short(connection: redis.Redis) -> None:
    long = {"ok": {"tracks": [str(n) * 50 for n in range(1000)]}}
    noise = {"ok": {"tracks": [secrets.token_hex(32) for _ in range(1000)]}}
    for webhook, answer in ((HOOK, None), (Webhook(HOOK.url, include_result=True), long)):
        end(connection, webhook, answer)
    end(connection, Webhook(HOOK.url, include_result=True), noise)
    carried = ["answer" in notice.fields for notice in notices(connection)]
    assert carried == [False, True, False]
    assert expand(connection) == 3
    bodies = [json.loads(one.body)["data"] for one in webhooks.of(connection)]
    assert [("result" in one, "result_omitted" in one) for one in bodies] == [
        (True, True),
        (True, True),
        (False, False),
    ]
    assert all(len(one.body) < 2000 for one in webhooks.of(connection))


def test_an_owner_keeps_its_newest_deliveries_only(connection: redis.Redis) -> None:
    endpoint = register(connection)
    made = []
    for n in range(30):
        body, at = b"{}", time.time() + n
        made.append(deliveries.to_endpoint(f"msg_{n}", CALLER, endpoint.id, HOOK.url, "job.failed", body, at))
    assert deliveries.make(connection, [{"deliveries": made}], kept=10) == 30
    assert {one.id for one in webhooks.of(connection, endpoint.id)} == {f"msg_{n}" for n in range(20, 30)}
    assert connection.zcard(keys.WEBHOOK_WAITING.format(host="127.0.0.1")) == 10
    assert len(list(connection.scan_iter(keys.WEBHOOK_DELIVERY.format(delivery_id="*")))) == 10


def test_every_key_expires_but_those_that_are_there_until_deleted(connection: redis.Redis) -> None:
    endpoint = register(connection)
    end(connection, HOOK)
    expand(connection)
    (row,) = deliver(connection)
    deliver(connection, came(row, "retry", pause_s=5.0))
    for_ever = re.compile("segue:webhooks:(wants|endpoints?|secret|waiting|hosts|flying)(:|$)")
    for raw in connection.scan_iter("segue:webhooks:*"):
        key = raw.decode()
        assert bool(for_ever.match(key)) == (connection.ttl(key) == -1), key
    single, registered = (webhooks.of(connection, owner)[0].id for owner in (None, endpoint.id))
    for delivery_id, ttl in ((single, keys.WEBHOOK_SINGLE_TTL_S), (registered, keys.WEBHOOK_TTL_S)):
        assert ttl - 60 < connection.ttl(keys.WEBHOOK_DELIVERY.format(delivery_id=delivery_id)) <= ttl


# Tries


def test_a_delivery_is_with_one_process_until_its_lease_runs_out(connection: redis.Redis) -> None:
    end(connection, HOOK)
    expand(connection)
    (row,) = deliver(connection, lease_s=0.2)
    assert deliver(connection) == []
    (again,) = wait_for(lambda: deliver(connection), "the lease to run out", 5)
    assert again[0] == row[0]
    deliver(connection, came(row, "delivered"))  # too late: it is another's
    assert webhooks.of(connection)[0].state == "pending"
    deliver(connection, came(again, "delivered"))
    (delivery,) = webhooks.of(connection)
    assert (delivery.state, delivery.count) == ("delivered", 1)
    assert deliver(connection) == []


def test_what_is_given_back_was_not_a_try(connection: redis.Redis) -> None:
    end(connection, HOOK)
    expand(connection)
    (row,) = deliver(connection)
    (again,) = deliver(connection, came(row, "returned"))
    assert again[0] == row[0]
    assert webhooks.of(connection)[0].count == 0


def test_a_host_that_fails_is_left_alone_and_that_costs_no_try(connection: redis.Redis) -> None:
    for _ in range(8):
        end(connection, HOOK)
    expand(connection)
    rows = deliver(connection)
    for _ in range(5):
        assert len(rows) == 1  # one at a time, until it has answered well
        rows = deliver(connection, came(rows[0], "retry", pause_s=0.0, healthy=False))
    assert rows == []
    assert sum(one.count for one in webhooks.of(connection)) == 5
    host = keys.WEBHOOK_HOST.format(host="127.0.0.1")
    wait = float(connection.hget(host, "open_until") or 0) - time.time()
    assert 25 < wait <= 30
    connection.hset(host, "open_until", 0)
    connection.zadd(keys.WEBHOOK_OTHERS, {"127.0.0.1": 0})
    (probe,) = deliver(connection)
    assert deliver(connection, came(probe, "retry", pause_s=0.0, healthy=False)) == []
    assert float(connection.hget(host, "open_until") or 0) - time.time() > 50
    connection.hset(host, "open_until", 0)
    connection.zadd(keys.WEBHOOK_OTHERS, {"127.0.0.1": 0})
    (probe,) = deliver(connection)
    assert len(deliver(connection, came(probe, "delivered"))) == 2


def test_slow_and_unknown_hosts_leave_room_for_the_others(connection: redis.Redis) -> None:
    for n in range(60):
        end(connection, Webhook(f"http://127.0.1.{n}/"))
    expand(connection)
    taken = deliver(connection, slots=64, others=48)
    assert len(taken) == 48
    well = taken[0]
    deliver(connection, came(well, "delivered"), slots=0, others=0)
    for _ in range(5):
        end(connection, Webhook(f"http://{well[2].decode()}/"))
    expand(connection)
    assert [row[2] for row in deliver(connection, slots=17, others=0)] == [well[2]] * 2  # and no more than two


def test_what_became_too_old_is_given_up(connection: redis.Redis) -> None:
    end(connection, HOOK)
    expand(connection)
    (delivery,) = webhooks.of(connection)
    connection.hset(keys.WEBHOOK_DELIVERY.format(delivery_id=delivery.id), "give_up_at", time.time() - 1)
    assert deliver(connection) == []
    (delivery,) = webhooks.of(connection)
    assert (delivery.state, delivery.why, delivery.count) == ("dead", "it became too old", 0)


def test_days_of_nothing_but_failures_switch_an_endpoint_off(connection: redis.Redis) -> None:
    endpoint = register(connection)
    for _ in range(3):
        end(connection)
    expand(connection)
    (row,) = deliver(connection)
    (row,) = deliver(connection, came(row, "retry", pause_s=100.0), slots=1)
    found = endpoints.get(connection, CALLER, endpoint.id)
    assert (found.enabled, bool(found.failing_since)) == (True, True)
    key = keys.WEBHOOK_ENDPOINT.format(endpoint_id=endpoint.id)
    connection.hset(key, "failing_since", time.time() - 6 * 86_400)
    deliver(connection, came(row, "retry", pause_s=100.0))
    found = endpoints.get(connection, CALLER, endpoint.id)
    assert (found.enabled, found.disabled_reason) == (False, "nothing but failures for 6 days")
    assert found.disabled_at
    end(connection)
    assert notices(connection) == []
    assert deliver(connection) == []
    assert "the endpoint is switched off" in {one.why for one in webhooks.of(connection, endpoint.id)}
    endpoints.change(connection, CALLER, endpoint.id, POLICY, enabled=True)
    found = endpoints.get(connection, CALLER, endpoint.id)
    assert (found.enabled, found.failing_since, found.disabled_reason) == (True, None, None)
    end(connection)
    assert events(connection) == ["job.succeeded"]


def test_one_success_and_failing_begins_anew(connection: redis.Redis) -> None:
    endpoint = register(connection)
    key = keys.WEBHOOK_ENDPOINT.format(endpoint_id=endpoint.id)
    connection.hset(key, "failing_since", time.time() - 6 * 86_400)
    end(connection)
    expand(connection)
    (row,) = deliver(connection)
    deliver(connection, came(row, "delivered"))
    assert endpoints.get(connection, CALLER, endpoint.id).failing_since is None
