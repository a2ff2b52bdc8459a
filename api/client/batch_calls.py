"""The calls about batches, and those that follow a batch or a job while it goes on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import monotonic
from typing import TypeVar, cast

from .asking import GOES_ON, MOST_WAIT_S, Lines, id_of, loaded, post
from .errors import NotFinished, Unavailable, of_problem
from .job_shapes import Batch, Job, Line, Webhook
from .playlist_shapes import PlaylistItem
from .shapes import Item
from .steps import Emit, Feed, Many, One, Send, Steps
from .submitting import Submitting, request

QUIET_S = 600.0
"""How long a batch or a job may show nothing new."""

T = TypeVar("T")


class BatchCalls(Submitting):
    """What both clients can do about batches."""

    @One
    def batch(
        self,
        items: Iterable[Item | PlaylistItem],
        *,
        metadata: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        webhook: Webhook | None = None,
    ) -> Steps[Batch]:
        """Ask for many things at once, 10,000 at most, and do not wait. → the batch. Raises: SegueError.

        webhook: where to tell of its end.
        """
        body = {
            "items": [request(item) for item in items],
            "metadata": metadata or {},
            **({"webhook": webhook} if webhook else {}),
        }
        return self._submit(Batch, "/v1/batches", body, idempotency_key, MOST_WAIT_S)

    @One
    def batch_status(self, batch: Batch | str, *, wait_s: float = 0) -> Steps[Batch]:
        """Return how a batch stands. wait_s: let the service hold the answer until it is over, 0–20 seconds."""
        return self._get(Batch, f"/v1/batches/{id_of(batch)}", wait_s)

    @One
    def cancel_batch(self, batch: Batch | str) -> Steps[Batch]:
        """Cancel what still waits of a batch. → the batch."""
        return self._read(Batch, post(f"/v1/batches/{id_of(batch)}/cancel", {}))

    @Many
    def batch_results(self, batch: Batch | str, *, after: int | None = None, timeout_s: float = QUIET_S) -> Feed[Line]:
        """Yield what became of each item, in the order of the items, as soon as it is known, until the batch is over.

        A download that breaks goes on where it was. after: the index of the last line that you have, to go on in
        another process. timeout_s: how long to wait for another line. Raises: SegueError; NotFinished.
        """
        path = f"/v1/batches/{id_of(batch)}"
        until, wait_s, broken, over = monotonic() + timeout_s, 1, 0, False
        while True:
            response = yield from self._ask(_stream(f"{path}/results", "application/jsonl", after=after))
            lines, due = Lines(), int(response.headers.get("Segue-Lines", 0))
            try:
                while (text := (yield from lines.next())) is not None:
                    line = loaded(Line, text, response)
                    after, until, wait_s, broken = line["index"], monotonic() + timeout_s, 1, 0
                    due -= 1
                    yield Emit(line)
                if due > 0:
                    raise Unavailable("the answer ended before its last line", code="no-answer")
            except Unavailable as error:
                broken = yield from self._again(error, broken)
                continue
            if over or response.headers.get("Segue-Complete") == "true":
                return
            _in_time(until, path)
            now = yield from self._poll(Batch, path, monotonic() + wait_s)
            over = now["status"] not in GOES_ON  # what is read from here on is all that there will be
            wait_s = min(2 * wait_s, MOST_WAIT_S)

    @Many
    def events(self, batch: Batch | str, *, timeout_s: float = QUIET_S) -> Feed[Batch]:
        """Yield a batch whenever it has got on, the last time when it is over. Connects again when that breaks.

        timeout_s: how long to wait for another event. Raises: SegueError; NotFinished.
        """
        return self._followed(Batch, f"/v1/batches/{id_of(batch)}/events", timeout_s)

    @Many
    def job_events(self, job: Job | str, *, timeout_s: float = QUIET_S) -> Feed[Job]:
        """Yield a job whenever it has got on, its `progress` in it, the last time when it is over, as `events` does."""
        return self._followed(Job, f"/v1/jobs/{id_of(job)}/events", timeout_s)

    def _followed(self, shape: type[T], path: str, timeout_s: float) -> Feed[T]:
        until, broken = monotonic() + timeout_s, 0
        while True:
            response = yield from self._ask(_stream(path, "text/event-stream"))
            lines, event = Lines(), b""
            try:
                while (line := (yield from lines.next())) is not None:
                    name, _, value = line.partition(b":")
                    if name == b"event":
                        event = value.strip()
                    elif name == b"data":  # the service writes the data of an event in one line, after its name
                        now = loaded(dict, value, response)
                        if "code" in now:
                            raise of_problem(now, response, now.get("status"))
                        until, broken = monotonic() + timeout_s, 0
                        yield Emit(cast(T, now))
                        if event == b"end":
                            return
                    _in_time(until, path)
                raise Unavailable("the events ended before what they are about", code="no-answer")
            except Unavailable as error:
                broken = yield from self._again(error, broken)


def _stream(path: str, accept: str, **params: object) -> Send:
    """Return a request whose answer is read as it comes. The service is never silent for longer than a poll."""
    given = {name: value for name, value in params.items() if value is not None}
    return Send("GET", path, given, {"Accept": accept}, hold_s=MOST_WAIT_S, stream=True)


def _in_time(until: float, path: str) -> None:
    """Raise NotFinished if it is later than `until`."""
    if monotonic() > until:
        raise NotFinished(f"nothing new of {path} for too long", code="not-finished")
