"""Waits for jobs: one subscription to Redis a process, however many callers wait."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import redis.asyncio
from redis.exceptions import RedisError

from producer import keys

log = logging.getLogger("segue.api")

_RECENT = 20_000
"""Ids that ended lately and are remembered: a job may end between its submission and its first waiter."""

_BLIND_S = 0.25
"""While nothing can be heard from Redis, a waiter looks for itself so often."""


class Hub:
    """Wakes whoever waits for a job that ends. Everything runs in one event loop."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._watching: dict[str, set[asyncio.Event]] = {}
        self._recent: OrderedDict[str, None] = OrderedDict()
        self._listening = False
        self.era = 0
        """Changes whenever something may have gone unheard."""

    async def wait(self, job_id: str, seconds: float, since: int) -> None:
        """Return when the job has ended, or may have, or `seconds` have passed; the caller has to look.

        since: the era when the caller last saw that the job was not over. What ends in an era is heard or remembered.
        """
        if not self._listening:
            await asyncio.sleep(min(seconds, _BLIND_S))
            return
        if job_id in self._recent or since != self.era:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(job_id, set()).add(future)
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            pass
        finally:
            self._waiting[job_id].discard(future)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    @contextmanager
    def watching(self, job_id: str) -> Iterator[asyncio.Event]:
        """Return what is set when a job has got on or ended, or may have; the caller clears it, and then looks."""
        event = asyncio.Event()
        self._watching.setdefault(job_id, set()).add(event)
        try:
            yield event
        finally:
            self._watching[job_id].discard(event)
            if not self._watching[job_id]:
                del self._watching[job_id]

    async def listen(self) -> None:
        """Hear of jobs that end, for ever; after an outage everybody is woken, because their job may have ended."""
        while True:
            with suppress(RedisError, OSError):
                await self._subscribed()
            if self._listening:
                log.warning("Redis does not say any more which jobs end; waiters look for themselves")
            self._listening = False
            self.era += 1
            for job_id in [*self._waiting, *self._watching]:
                self._wake(job_id)
            await asyncio.sleep(0.5)

    async def _subscribed(self) -> None:
        # No time-out on reading, because there may be nothing to say for hours; a ping tells a dead connection.
        client = redis.asyncio.Redis.from_url(
            self._url, socket_connect_timeout=2, socket_timeout=None, health_check_interval=5
        )
        async with client, client.pubsub() as channel:
            await channel.subscribe(keys.PROGRESS, keys.DONE)
            while True:
                message = await channel.get_message(timeout=2)
                await channel.check_health()
                if message is None:
                    continue
                about_ends = message["channel"] == keys.DONE.encode()
                if message["type"] == "subscribe" and about_ends:  # from here on nothing goes unheard
                    self._recent.clear()
                    self._listening = True
                    self.era += 1
                elif message["type"] == "message":
                    job_id = message["data"].decode()
                    if about_ends:
                        self._ended(job_id)
                    else:
                        self._stir(job_id)

    def _ended(self, job_id: str) -> None:
        self._recent[job_id] = None
        if len(self._recent) > _RECENT:
            self._recent.popitem(last=False)
        self._wake(job_id)

    def _wake(self, job_id: str) -> None:
        for future in self._waiting.get(job_id, ()):
            if not future.done():
                future.set_result(None)
        self._stir(job_id)

    def _stir(self, job_id: str) -> None:
        for event in self._watching.get(job_id, ()):
            event.set()
