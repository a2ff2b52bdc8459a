"""The process that delivers webhooks: `python -m worker webhooks`. It loads no model.

It makes deliveries of the notices in the outbox, takes those that are due under a lease, posts them, and hands in what
came of it: a try is counted only then. If it is killed, its leases run out after WEBHOOK_LEASE_S, and others go on;
a receiver may then see a webhook twice, under the same id. Several such processes may share one Redis.

A slow receiver delays nobody else: 64 tries are in hand at most, two of one host, one of a host that did not answer
well and soon the last time; and a quarter of the 64 is for hosts that did alone.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Any, cast

import redis

from producer import deliveries, endpoints, keys, outbox, webhooks
from producer.errors import BadMessage, Unavailable
from producer.scripts import DELIVER
from worker.posting import Outcome, Poster, is_healthy

log = logging.getLogger("segue.webhooks")

SLOTS = 64
_FOR_OTHERS = 48
_PROMPT_MS = 2000
_NOTICES = 32
"""Made into deliveries in one step: some 2 ms, in which Redis answers nobody else."""

_LOOK_S = 1.0
_PAUSE_S = 0.5
_LEAVE_S = 8.0
"""How long tries in hand may go on after SIGTERM; what is not over then goes back, and was not a try."""

_HAND_IN_S = 3.0


@dataclass(frozen=True)
class Taken:
    """A delivery under this process's lease. round: tries since it was made or replayed; endpoint: "" for none."""

    id: str
    lease: str
    host: str
    event: str
    body: bytes
    url: str
    secrets: tuple[str, ...]
    tries: int
    round: int
    endpoint: str
    prompt: bool


class Delivering:
    """Delivers from `run` until `stop`. stopping: set when told to leave; the connection heeds it, too."""

    def __init__(self, connection: redis.Redis, poster: Poster, stopping: Event) -> None:
        self._connection, self._poster, self._stopping = connection, poster, stopping
        self._flying: dict[asyncio.Task[Outcome], Taken] = {}
        self._settled: list[dict[str, Any]] = []
        self._news, self._emptied = asyncio.Event(), asyncio.Event()
        self._noticed = True
        self._calls, self._prefix = 0, uuid.uuid4().hex[:12]

    def stop(self) -> None:
        """Take nothing more, and leave soon. Safe in a signal handler of the loop."""
        self._stopping.set()
        self._news.set()

    async def run(self) -> None:
        """Deliver until told to leave."""
        watching = asyncio.create_task(self._watch())
        looked = 0.0
        try:
            while not self._stopping.is_set():
                self._news.clear()
                try:
                    if self._noticed or time.monotonic() > looked + _LOOK_S:
                        looked = time.monotonic()
                        self._noticed = await asyncio.to_thread(self._expand) == _NOTICES
                        if not self._noticed:
                            self._emptied.set()
                    wait_s = await self._step(SLOTS)
                except (redis.RedisError, Unavailable) as error:
                    log.warning("Redis does not answer (%s); trying on", error)
                    await asyncio.sleep(_PAUSE_S)
                    continue
                if wait_s > 0 and not self._noticed:
                    await self._pause(wait_s)
        finally:
            watching.cancel()
            await self._leave()
            self._poster.close()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            pass

    async def _watch(self) -> None:
        """Notice what comes into the outbox, at once: moving its head to where it is, is a look that blocks."""
        while True:
            try:
                found = await asyncio.to_thread(
                    self._connection.blmove,
                    keys.WEBHOOK_OUTBOX,
                    keys.WEBHOOK_OUTBOX,
                    _PAUSE_S,  # type: ignore[arg-type]  # fractions are taken
                    "LEFT",
                    "LEFT",
                )
            except redis.RedisError:
                await asyncio.sleep(_PAUSE_S)  # the other calls say so
                continue
            if found:
                self._emptied.clear()
                self._noticed = True
                self._news.set()
                await self._emptied.wait()

    def _expand(self) -> int:
        """Make deliveries of the oldest notices. → how many notices there were."""
        raws = cast(list[bytes], self._connection.lrange(keys.WEBHOOK_OUTBOX, 0, _NOTICES - 1))
        entries, of_caller = list[dict[str, Any]](), dict[str, list[endpoints.Endpoint]]()
        for raw in raws:
            made: list[dict[str, Any]] = []
            try:
                notice = outbox.read_notice(raw)
                if notice.caller is not None and notice.caller not in of_caller:
                    of_caller[notice.caller] = endpoints.of_caller(self._connection, notice.caller)
                made = outbox.expand(
                    notice, of_caller.get(notice.caller or "", []) if notice.caller is not None else []
                )
            except (BadMessage, UnicodeError, LookupError, TypeError, ValueError) as error:
                log.error("dropped from the outbox what is no notice of ours: %s", error)
            entries.append({"raw": raw, "deliveries": made})
        if entries:
            deliveries.make(self._connection, entries)
        return len(raws)

    async def _step(self, slots: int) -> float:
        """Hand in what is over and take what is due. → how long nothing else is due, in seconds."""
        settled = self._settled[:]
        others = sum(not taken.prompt for taken in self._flying.values())
        room, room_for_others = max(0, slots - len(self._flying)), max(0, min(slots, _FOR_OTHERS) - others)
        off, rows, prompt_s, others_s, late = await asyncio.to_thread(self._deliver, settled, room, room_for_others)
        del self._settled[: len(settled)]
        for endpoint in off:
            log.warning("webhook endpoint %s was switched off: it only fails", endpoint.decode())
        if late:
            log.warning("%d webhooks of processes that died were given back", late)
        for row in rows:
            taken = _taken(row)
            task = asyncio.create_task(self._try(taken))
            self._flying[task] = taken
            task.add_done_callback(self._landed)
        others += sum(not row[-1] for row in rows)
        waits = [_LOOK_S]
        if len(self._flying) < slots:
            waits += [float(prompt_s)] if prompt_s else []
            waits += [float(others_s)] if others_s and others < _FOR_OTHERS else []
        return min(waits)

    def _deliver(self, settled: list[dict[str, Any]], room: int, room_for_others: int) -> Any:
        self._calls += 1
        return DELIVER(
            self._connection,
            settled=settled,
            lease=f"{self._prefix}.{self._calls}",
            lease_s=keys.WEBHOOK_LEASE_S,
            slots=room,
            others=room_for_others,
            breaker={
                "after": keys.WEBHOOK_BREAKER_FAILURES,
                "least_s": keys.WEBHOOK_BREAKER_S,
                "most_s": keys.WEBHOOK_BREAKER_MOST_S,
            },
            off_after_s=keys.WEBHOOK_OFF_AFTER_S,
            tries_kept=keys.WEBHOOK_TRIES_KEPT,
            host_ttl=keys.WEBHOOK_HOST_TTL_S,
        )

    async def _try(self, taken: Taken) -> Outcome:
        if not taken.secrets:
            return Outcome(None, "no-secret", 0.0)
        headers = webhooks.headers(taken.secrets, taken.id, int(time.time()), taken.body)
        headers |= {"Content-Type": "application/json", "User-Agent": "segue-webhooks"}
        return await self._poster.post(taken.url, headers | {"webhook-attempt": str(taken.tries + 1)}, taken.body)

    def _landed(self, task: asyncio.Task[Outcome]) -> None:
        taken = self._flying.pop(task)
        if task.cancelled():
            self._settled.append(_returned(taken))
        elif error := task.exception():
            # Ours, not the receiver's; but a delivery that breaks us must not come back for ever.
            log.error("webhook %s could not be tried", taken.id, exc_info=error)
            self._settled.append(settled(taken, Outcome(None, "internal", 0.0)))
        else:
            self._settled.append(settled(taken, task.result()))
        self._news.set()

    async def _leave(self) -> None:
        """Let what is in hand come to its end, for a while; give back the rest."""
        if self._flying:
            await asyncio.wait(list(self._flying), timeout=_LEAVE_S)
        for task in list(self._flying):
            task.cancel()
        if self._flying:
            await asyncio.wait(list(self._flying), timeout=1.0)
        until = time.monotonic() + _HAND_IN_S
        while self._settled:
            try:
                await self._step(0)
            except (redis.RedisError, Unavailable) as error:
                if time.monotonic() > until:
                    log.warning("left without handing in %d tries: %s", len(self._settled), error)
                    return
                await asyncio.sleep(_PAUSE_S)


def settled(taken: Taken, outcome: Outcome, roll: Callable[[], float] | None = None) -> dict[str, Any]:
    """Return what came of a try as `lua/deliver.lua` takes it. roll: 0–1, for tests."""
    registered = taken.endpoint and taken.event != webhooks.PING  # whoever tests an endpoint does not wait for days
    schedule = webhooks.REGISTERED_S if registered else webhooks.SINGLE_S
    pause_s: float | None = None
    if outcome.error and outcome.status != 410:
        rolled = {"roll": roll} if roll else {}
        pause_s = webhooks.pause_s(schedule, taken.round + 1, outcome.retry_after_s, **rolled)
    kind = "retry" if pause_s is not None else "dead" if outcome.error else "delivered"
    at = time.time() - outcome.ms / 1000
    return {
        "id": taken.id,
        "lease": taken.lease,
        "host": taken.host,
        "outcome": "gone" if outcome.status == 410 else kind,
        "pause_s": pause_s,
        "why": f"the last try: {outcome.error}" if kind == "dead" else None,
        "log": deliveries.pack_try(at, outcome.status, outcome.error, outcome.ms, outcome.answer, pause_s),
        "healthy": is_healthy(outcome),
        "prompt": not outcome.error and outcome.ms < _PROMPT_MS,
    }


def _returned(taken: Taken) -> dict[str, Any]:
    return {"id": taken.id, "lease": taken.lease, "host": taken.host, "outcome": "returned"}


def _taken(row: list[Any]) -> Taken:
    delivery_id, lease, host, event, body, url, secret, old, tries, round_, endpoint, prompt = row
    return Taken(
        id=delivery_id.decode(),
        lease=lease.decode(),
        host=host.decode(),
        event=event.decode(),
        body=body,
        url=url.decode(),
        secrets=tuple(one.decode() for one in (secret, old) if one),
        tries=int(tries),
        round=int(round_),
        endpoint=endpoint.decode(),
        prompt=bool(prompt),
    )
