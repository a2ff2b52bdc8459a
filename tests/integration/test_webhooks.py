"""Webhooks from end to end: jobs that end, the process that delivers, a real receiver, and all that goes wrong."""

from __future__ import annotations

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from standardwebhooks import Webhook as Judge

from producer import deliveries, endpoints, keys
from producer.webhooks import PING, Webhook
from tests import bare
from tests.bare import Workers
from tests.fakes.receiver import Receiver, Reply, dead, receiving
from tests.quick_webhooks import REGISTERED_S, SINGLE_S, TRY_S
from tests.services import stop, wait_for
from tests.webhooks import CALLER, POLICY, delivering, end, of, over


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def process(redis_url: str, connection: redis.Redis, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with delivering(redis_url, tmp_path / "webhooks.log") as running:
        yield running


def register(connection: redis.Redis, receiver: Receiver, path: str = "/hook") -> tuple[str, str]:
    """Register an endpoint. → its id and its secret."""
    endpoint, secret = endpoints.create(connection, CALLER, receiver.url(path), POLICY)
    return endpoint.id, secret


def arrived(receiver: Receiver, count: int, path: str = "/hook", deadline_s: float = 20.0) -> None:
    """Wait until a receiver has got so many different webhooks."""
    wait_for(lambda: len({got.id for got in receiver.at(path)}) >= count, f"{count} webhooks", deadline_s)


@pytest.mark.usefixtures("process")
def test_a_job_that_ends_is_told_to_its_address_and_its_callers_endpoints(
    connection: redis.Redis, receiver: Receiver
) -> None:
    endpoint_id, secret = register(connection, receiver, "/registered")
    job_id = end(connection, Webhook(receiver.url("/single"), include_result=True), metadata={"user": "Søren"})
    (delivery,), (registered,) = over(connection), over(connection, owner=endpoint_id)
    (single,), (other,) = receiver.at("/single"), receiver.at("/registered")
    mine = endpoints.caller_secret(connection, CALLER)
    for got, its_secret, its_delivery in ((single, mine, delivery), (other, secret, registered)):
        said = Judge(its_secret).verify(got.body, got.headers)
        assert (said["type"], said["data"]["id"]) == ("job.succeeded", job_id)
        assert said["data"]["metadata"] == {"user": "Søren"}
        assert got.headers["content-type"] == "application/json"
        assert (got.id, got.body) == (its_delivery.id, its_delivery.body)
        assert its_delivery.state == "delivered"
        (tried,) = its_delivery.tries
        assert (tried.number, tried.status, tried.error, tried.answer, tried.next_at) == (1, 200, "", "ok", None)
        assert 0 < tried.ms < 2000
    assert single.json["data"]["result"] == {"tracks": []}
    assert "result" not in other.json["data"]


@pytest.mark.usefixtures("process")
def test_a_failure_is_tried_again_under_its_id_with_a_new_time(connection: redis.Redis, receiver: Receiver) -> None:
    receiver.replies["/hook"] = [Reply(500, b"x" * 5000), Reply(reset=True), Reply(wait_s=1.1), Reply(302)]
    end(connection, Webhook(receiver.url()))
    (delivery,) = over(connection)
    assert (delivery.state, delivery.count) == ("delivered", 3)
    assert [tried.error for tried in delivery.tries] == ["status 500", "reset", ""]
    assert delivery.tries[0].answer == "x" * 1024
    assert all(tried.next_at for tried in delivery.tries[:2])
    assert {got.id for got in receiver.got} == {delivery.id}
    assert [got.headers["webhook-attempt"] for got in receiver.got] == ["1", "2", "3"]
    secret = endpoints.caller_secret(connection, CALLER)
    for got in receiver.got:
        Judge(secret).verify(got.body, got.headers)
    assert int(receiver.got[2].headers["webhook-timestamp"]) >= int(receiver.got[0].headers["webhook-timestamp"])
    pauses = [later.at - sooner.at for sooner, later in zip(receiver.got, receiver.got[1:], strict=False)]
    assert min(pauses) > 0.8 * SINGLE_S[1] * 0.9


@pytest.mark.usefixtures("process")
@pytest.mark.parametrize(
    "reply", [Reply(500), Reply(404), Reply(302, headers={"Location": "/other"}), Reply(hang=True)]
)
def test_after_the_last_try_it_is_a_dead_letter_that_can_be_replayed(
    connection: redis.Redis, receiver: Receiver, reply: Reply
) -> None:
    receiver.replies["/hook"] = [reply] * len(SINGLE_S) + [Reply(200)]
    end(connection, Webhook(receiver.url()))
    (delivery,) = over(connection, deadline_s=len(SINGLE_S) * (TRY_S + 2) + 5)
    assert (delivery.state, delivery.count) == ("dead", len(SINGLE_S))
    assert delivery.why
    assert "the last try" in delivery.why
    assert delivery.tries[-1].next_at is None
    assert deliveries.replay(connection, CALLER, delivery.id)
    wait_for(lambda: of(connection)[0].state == "delivered", "the replayed one", 10)
    assert {got.id for got in receiver.got} == {delivery.id}
    assert receiver.at("/other") == []


@pytest.mark.usefixtures("process")
def test_a_receiver_that_asks_for_time_gets_it(connection: redis.Redis, receiver: Receiver) -> None:
    receiver.replies["/hook"] = [Reply(429, headers={"Retry-After": "1"}), Reply(200)]
    _, _ = register(connection, receiver)
    end(connection)
    arrived(receiver, 1)
    wait_for(lambda: len(receiver.got) == 2, "the second try")
    first, second = receiver.got
    # It is believed up to the longest pause of the schedule, which is short here.
    assert second.at - first.at >= max(REGISTERED_S) * 0.9


@pytest.mark.usefixtures("process")
def test_410_switches_an_endpoint_off(connection: redis.Redis, receiver: Receiver) -> None:
    receiver.replies["/hook"] = [Reply(410)]
    endpoint_id, _ = register(connection, receiver)
    end(connection)
    (delivery,) = over(connection, owner=endpoint_id)
    assert (delivery.state, delivery.count) == ("dead", 1)
    found = endpoints.get(connection, CALLER, endpoint_id)
    assert (found.enabled, found.disabled_reason) == (False, "it answered 410 Gone")
    end(connection)
    assert connection.llen(keys.WEBHOOK_OUTBOX) == 0
    ping = endpoints.ping(connection, CALLER, endpoint_id)  # one that is off can be tested
    wait_for(lambda: deliveries.get(connection, CALLER, ping).state == "dead", "the ping's end")
    assert [got.json["type"] for got in receiver.got] == ["job.succeeded", PING]


@pytest.mark.usefixtures("process")
def test_410_ends_the_tries_of_an_address_in_a_request(connection: redis.Redis, receiver: Receiver) -> None:
    receiver.replies["/hook"] = [Reply(410)]
    end(connection, Webhook(receiver.url()))
    (delivery,) = over(connection)
    assert (delivery.state, delivery.count) == ("dead", 1)


@pytest.mark.usefixtures("process")
def test_an_endpoint_is_tested_and_its_new_secret_signs_at_once(connection: redis.Redis, receiver: Receiver) -> None:
    endpoint_id, old = register(connection, receiver)
    _, new = endpoints.rotate(connection, CALLER, endpoint_id)
    endpoints.ping(connection, CALLER, endpoint_id)
    over(connection, owner=endpoint_id)
    (got,) = receiver.got
    for secret in (old, new):
        assert Judge(secret).verify(got.body, got.headers)["type"] == PING


@pytest.mark.usefixtures("process")
def test_slow_receivers_delay_nobody_else(connection: redis.Redis, receiver: Receiver) -> None:
    end(connection, Webhook(receiver.url("/first")))
    arrived(receiver, 1, "/first")
    with ExitStack() as stack:
        bad = [stack.enter_context(dead(f"127.0.2.{n}")) for n in range(1, 11)]
        slow = [stack.enter_context(receiving(f"127.0.3.{n}")) for n in range(1, 31)]
        for one in slow:
            one.replies["/hook"] = [Reply(hang=True)]
        for address in (*bad, *(one.address for one in slow)):
            for _ in range(4):
                end(connection, Webhook(f"{address}/hook"))
        wait_for(lambda: sum(len(one.got) for one in slow) >= 30, "the slow ones to be called", 10)
        began = time.time()
        for _ in range(20):
            end(connection, Webhook(receiver.url()))
        arrived(receiver, 20, deadline_s=10)
        assert max(got.at for got in receiver.at("/hook")) - began < 1.0
        assert max(one.most_at_once for one in slow) == 1
        assert receiver.most_at_once <= 2


@pytest.mark.usefixtures("process")
def test_a_host_is_given_two_at_a_time(connection: redis.Redis, receiver: Receiver) -> None:
    receiver.replies["/hook"] = [Reply(wait_s=0.05)]
    for _ in range(30):
        end(connection, Webhook(receiver.url()))
    over(connection, 30)
    assert receiver.most_at_once == 2


@pytest.mark.usefixtures("process")
def test_a_host_that_was_away_is_back_soon(connection: redis.Redis) -> None:
    with receiving("127.0.0.9") as receiver:
        receiver.replies["/hook"] = [Reply(503)] * 6 + [Reply(200)]
        for _ in range(10):
            end(connection, Webhook(receiver.url()))
        found = over(connection, 10, deadline_s=30)
    assert {one.state for one in found} == {"delivered"}
    assert sum(one.count for one in found) == 16


def test_told_to_leave_it_hands_in_what_it_has(
    redis_url: str, connection: redis.Redis, receiver: Receiver, tmp_path: Path
) -> None:
    receiver.replies["/hook"] = [Reply(wait_s=1.0)]
    with delivering(redis_url, tmp_path / "log") as process:
        end(connection, Webhook(receiver.url()))
        arrived(receiver, 1)
        assert stop(process) == 0
    (delivery,) = of(connection)
    assert (delivery.state, delivery.count) == ("delivered", 1)
    assert connection.zcard(keys.WEBHOOK_FLYING) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_redis_may_go_and_come_back(
    redis_url: str, connection: redis.Redis, receiver: Receiver, tmp_path: Path
) -> None:
    with delivering(redis_url, tmp_path / "log") as process:
        end(connection, Webhook(receiver.url()))
        arrived(receiver, 1)
        connection.client_kill_filter(_type="normal", skipme=True)
        connection.script_flush()
        end(connection, Webhook(receiver.url()))
        arrived(receiver, 2)
        assert process.poll() is None


def test_the_process_that_is_delivered_starts_and_leaves(
    redis_url: str, connection: redis.Redis, receiver: Receiver, tmp_path: Path
) -> None:
    end(connection, Webhook(receiver.url()))
    end(connection, Webhook("https://127.1.0.1/"))
    with delivering(redis_url, tmp_path / "log", quick=False, WEBHOOK_ALLOW_NETWORKS="127.0.0.1/32") as process:
        arrived(receiver, 1)
        wait_for(lambda: {one.count for one in of(connection)} == {1}, "a try of each")
        assert {one.host: one.tries[0].error for one in of(connection)} == {"127.0.0.1": "", "127.1.0.1": "unsafe-url"}
        assert stop(process, signal.SIGINT) == 0


def test_whatever_is_killed_all_arrive_and_none_twice_under_two_ids(
    redis_url: str, connection: redis.Redis, workers: Workers, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    many = request.config.getoption("--webhooks")
    with ExitStack() as stack:
        receivers = [stack.enter_context(receiving(f"127.0.4.{n}")) for n in range(1, 9)]
        for receiver in receivers:
            receiver.replies["/hook"] = [Reply(wait_s=0.002)]
        processes = [_start(stack, redis_url, tmp_path / f"{n}.log") for n in range(2)]
        workers.start(2, quick=True)
        jobs = set()
        for n in range(many):
            hook = Webhook(receivers[n % len(receivers)].url())
            jobs.add(bare.submit(connection, "echo", caller=CALLER, webhook=hook, deadline_s=600))
            if n % (many // 4) == many // 8:
                bare.kill(workers.alive[0])
                workers.start(1, quick=True, wait=False)
                processes[0].kill()
                processes = [processes[1], _start(stack, redis_url, tmp_path / f"{n}-again.log")]

        def told() -> Counter[str]:
            return Counter(got.json["data"]["id"] for receiver in receivers for got in receiver.got)

        wait_for(lambda: told().keys() >= jobs, f"all of {many} webhooks", 60 + many / 20)
        ids = {(got.json["data"]["id"], got.id) for receiver in receivers for got in receiver.got}
        assert len(ids) == many  # each job under one id, however often it came
        assert told().keys() == jobs
        owner = deliveries.owner_of(CALLER)
        wait_for(
            lambda: len(deliveries.page(connection, owner, state="delivered", limit=10**5)[0]) == many,
            "all of them to be handed in",
            30,
        )
        secret = endpoints.caller_secret(connection, CALLER)
        for got in receivers[0].got:
            Judge(secret).verify(got.body, got.headers)


def _start(stack: ExitStack, redis_url: str, log: Path) -> subprocess.Popen[bytes]:
    return stack.enter_context(delivering(redis_url, log))
