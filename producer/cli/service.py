"""The service, asked straight through Redis. `http.py` asks the same over HTTP; whoever asks cannot tell the two apart.

Requests are dicts of the fields of a `Query`, `PlaylistQuery` or `DoctorQuery`, answers dicts of a `Result`,
`Playlist`, `Diagnosis`. Batch items are such requests with a `custom_id`, and `"type": "playlist"` where they are one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import redis
from pydantic import ValidationError

from producer import batches, connections, errors, fallback, queue, results
from producer.cli.errors import Away, Busy, CommandError, Failed, Gone, OtherBody, Wrong
from producer.jobs import Job
from producer.playlists.shapes import DoctorQuery, PlaylistQuery
from producer.schema import Message, Query

Fields = dict[str, Any]

_TIMEOUT_S = 5.0
"""For a call to Redis. Nobody else waits for this process, and a machine under load may take a while."""

_LONGEST_S = 60.0
"""How much longer than its deadline a job may take before nobody waits for it any more."""

_FIRST_LOOK_S, _MOST_LOOK_S = 0.004, 0.2
_LINES_LOOK_S, _QUIET_S = 0.05, 3.0

MOST_QUIET_S = 600.0
"""How long a batch may show nothing new."""


@dataclass(frozen=True)
class State:
    """What is there. waiting: jobs in the queues, None: it does not say; model: its version."""

    workers: int
    waiting: int | None
    model: str
    tracks: int
    notice: str | None


class Service(Protocol):
    """What commands ask. All calls raise CommandError."""

    @property
    def where(self) -> str:
        """Where it is, for people; without passwords."""

    def recommend(self, query: Fields) -> Fields:
        """Ask for songs like songs, and wait for the answer."""

    def playlist(self, query: Fields) -> Fields:
        """Ask for a playlist, and wait for it."""

    def diagnose(self, query: Fields) -> Fields:
        """Have a playlist looked at."""

    def popular(self, genre: str | None, limit: int) -> Fields:
        """Return popular tracks: a `PopularList`."""

    def state(self) -> State:
        """Return what is there; workers may be 0. Raises: Away: nobody answers, or no model was ever loaded."""

    def submit(self, items: Sequence[Fields], key: str) -> str:
        """Submit a batch under an idempotency key, or complete it. → its id. Raises: Busy, OtherBody."""

    def is_over(self, batch_id: str) -> bool:
        """Whether a batch has ended. Raises: Gone: it is not there."""

    def lines(self, batch_id: str, after: int) -> Iterator[Fields]:
        """Yield what became of its items behind `after`, in their order, until all are known. Raises: Gone."""

    def again(self) -> None:
        """Connect anew, to where the service is now. Raises: Away."""


@contextmanager
def translated() -> Iterator[None]:
    """Turn the message contract's errors into the command line's."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        place = "/".join(str(part) for part in first["loc"])
        why = first["msg"].removeprefix("Value error, ")
        raise Wrong(f"{place}: {why}" if place else why) from None
    except errors.QueueFull as error:
        raise Busy(str(error), 5) from error
    except errors.RateLimited as error:
        raise Busy(str(error), error.retry_after_s) from error
    except errors.KeyReused as error:
        raise OtherBody(str(error)) from error
    except (errors.NotFound, errors.Expired) as error:
        raise Gone(str(error)) from error
    except (errors.Unavailable, errors.NotReady) as error:
        raise Away(str(error)) from error
    except errors.InvalidRequest as error:
        raise Wrong(str(error)) from error
    except errors.ProducerError as error:
        raise Failed(str(error)) from error


def check(kind: type[Message], query: Fields) -> None:
    """See that a request has the shape that the service takes, before it is sent. Raises: Wrong."""
    with translated():
        kind.model_validate(query)


class Direct:
    """The service through Redis. address: gives the URL of Redis as it is now; told: hears what to know meanwhile."""

    def __init__(self, address: Callable[[], str], queue_limit: int, told: Callable[[str], None]) -> None:
        self._address, self._limit, self._told = address, queue_limit, told
        self.again()

    @property
    def where(self) -> str:
        """Redis, without its password."""
        return f"Redis at {self._url.rpartition('@')[2] if '@' in self._url else self._url}"

    def again(self) -> None:
        """Connect anew: a launcher that was started again has another Redis."""
        self._url = self._address()
        self._redis: redis.Redis = connections.quick(self._url, _TIMEOUT_S, 4)

    def recommend(self, query: Fields) -> Fields:
        """Submit, and wait for the answer."""
        with translated():
            asked = Query.model_validate(query)
            return self._answer(queue.recommend(self._redis, asked, limit=self._limit)[0].id, asked.deadline_s)

    def playlist(self, query: Fields) -> Fields:
        """Submit, and wait for the playlist."""
        with translated():
            asked = PlaylistQuery.model_validate(query)
            return self._answer(queue.playlist(self._redis, asked, limit=self._limit)[0].id, asked.deadline_s)

    def diagnose(self, query: Fields) -> Fields:
        """Submit, and wait for what the doctor says."""
        with translated():
            asked = DoctorQuery.model_validate(query)
            return self._answer(queue.diagnose(self._redis, asked, limit=self._limit)[0].id, asked.deadline_s)

    def popular(self, genre: str | None, limit: int) -> Fields:
        """Read the list that a worker has published."""
        try:
            with translated():
                return fallback.popular(self._redis, genre, limit).model_dump()
        except Gone as error:
            raise Wrong(f"this model has no genre {genre!r}") from error

    def state(self) -> State:
        """Ask Redis who is alive."""
        with translated():
            info = fallback.model_info(self._redis)
            workers, waiting = fallback.live_workers(self._redis), queue.waiting(self._redis)
        return State(workers, waiting, info.version, info.tracks, info.notice)

    def submit(self, items: Sequence[Fields], key: str) -> str:
        """Open the batch, and queue its parts."""
        parts = [_part(item) for item in items]
        try:
            with translated():
                return batches.submit(self._redis, parts, metadata={}, limit=self._limit, idempotency_key=key)[0]
        except Busy as error:
            raise Busy(str(error), self._pause_s(error)) from error

    def _pause_s(self, error: Busy) -> float:
        """Return when to try again: of a full queue, once a tenth of what waits is worked off."""
        if not isinstance(error.__cause__, errors.QueueFull) or not error.__cause__.waiting:
            return error.retry_after_s
        with translated():
            per_s = fallback.jobs_per_s(self._redis)
        return min(30.0, max(0.2, error.__cause__.waiting / 10 / per_s)) if per_s else 5.0

    def is_over(self, batch_id: str) -> bool:
        """Read its record."""
        with translated():
            return batches.get(self._redis, batch_id).status.is_final

    def lines(self, batch_id: str, after: int) -> Iterator[Fields]:
        """Look again and again until its end. Raises: Away: nothing new for QUIET_S."""
        got_on, silent = time.monotonic(), True
        while True:
            over = self.is_over(batch_id)  # what is read from here on is all
            with translated():
                for line in batches.results(self._redis, batch_id, after):
                    after, got_on, silent = line["index"], time.monotonic(), True
                    yield line
                if over:
                    return
                quiet_s = time.monotonic() - got_on
                if silent and quiet_s > _QUIET_S and fallback.live_workers(self._redis) == 0:
                    self._told("no worker is alive; the batch waits for one")
                    silent = False
            if quiet_s > MOST_QUIET_S:
                raise Away(f"nothing new of batch {batch_id} for {MOST_QUIET_S / 60:.0f} minutes")
            time.sleep(_LINES_LOOK_S)

    def _answer(self, job_id: str, deadline_s: float) -> Fields:
        """Wait until a job is over. Past its deadline, reading it answers it with the fallback."""
        until, look_s, asked = time.monotonic() + deadline_s + _LONGEST_S, _FIRST_LOOK_S, time.monotonic()
        silent = True
        while not (job := results.get_job(self._redis, job_id)).status.is_final:
            now = time.monotonic()
            if now > until:
                raise Away(f"job {job_id} is still {job.status}")
            if silent and now > asked + 1 and fallback.live_workers(self._redis) == 0:
                self._told(f"no worker is alive; waiting for one, up to {deadline_s:g} s")
                silent = False
            time.sleep(look_s)
            look_s = min(_MOST_LOOK_S, look_s * 1.3)
        return _of(job)


def _of(job: Job) -> Fields:
    """Return a job's result. Raises: Wrong, Failed."""
    if job.result is not None:
        return job.result.model_dump()
    if job.error is None:
        raise Failed(f"job {job.id} was {job.status}")
    raise of_code(job.error.code, wrong_field(job.error.detail, job.error.pointer))


def of_code(code: str, why: str) -> CommandError:
    """Return the error that a failed job's code means."""
    kinds: dict[str, type[CommandError]] = {"invalid-request": Wrong, "deadline-exceeded": Away}
    return kinds.get(code, Failed)(why)


def wrong_field(detail: str, pointer: str) -> str:
    """Return what is wrong, with where: a JSON pointer as people write it."""
    return f"{pointer.removeprefix('/')}: {detail}" if pointer else detail


def _part(item: Fields) -> Fields:
    """Return an item as the queue takes it: the fields of its query apart."""
    query = dict(item)
    return {name: query.pop(name) for name in ("custom_id", "type") if name in query} | {"query": query}
