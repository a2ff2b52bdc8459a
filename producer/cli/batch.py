"""A file of songs, asked for in batches: interrupted anywhere and taken up again, it asks for no row twice.

Rows are cut into chunks of CHUNK, each a batch of its own under a key that follows from run and chunk. So one that was
submitted is found again, whoever was killed; and if Redis has lost it, what it had not answered is asked once more,
under another key.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from producer.cli.errors import Away, Busy, Failed, Gone, OtherBody, Refused
from producer.cli.journal import Journal
from producer.cli.service import Fields, Service
from producer.cli.stopping import Stop
from producer.playlists.reading import Row

CHUNK = 1000
"""Rows of a batch: 250 jobs; all that are ahead fit in a queue of the usual 10,000."""

AHEAD = 4
"""Batches that are submitted before the first of them is read to its end."""

MOST_AWAY_S = 600.0
"""How long a service that does not answer, or a queue that is full, is waited for: longer than a restart takes."""

MOST_ATTEMPTS = 20
"""How often what is lost of a batch is asked again."""

_LOOK_S = 1.0


@dataclass
class _Chunk:
    """Some rows. asked: the numbers of those in its batch; attempt: how often one was lost; batch: None: none yet."""

    number: int
    asked: list[int]
    attempt: int = 0
    batch: str | None = None
    is_there: bool = False


class Run:
    """Asks for what the journal lacks.

    rows: those with a seed. request: the fields of each request beside its seed. told: hears what to know meanwhile;
    step: that a row is answered.
    """

    def __init__(
        self,
        service: Service,
        journal: Journal,
        rows: Sequence[Row],
        request: Fields,
        stop: Stop,
        told: Callable[[str], None],
        step: Callable[[], None],
    ) -> None:
        self._service, self._journal, self._request, self._stop = service, journal, request, stop
        self._told, self._step = told, step
        self._rows = {row.number: row for row in rows}
        self._key = str(journal.head["run"])
        numbers = list(self._rows)
        chunks = [self._chunk(n // CHUNK, numbers[n : n + CHUNK]) for n in range(0, len(numbers), CHUNK)]
        self._waiting = deque(chunk for chunk in chunks if self._missing(chunk))
        self._got_on = time.monotonic()

    def _chunk(self, number: int, rows: list[int]) -> _Chunk:
        noted = self._journal.batches.get(number)
        return _Chunk(number, noted["rows"], noted["attempt"], noted["batch"]) if noted else _Chunk(number, rows)

    def go(self) -> None:
        """Ask until every row is answered. Raises: Stopped; Away, when it has been for too long; CommandError."""
        while self._waiting:
            first = self._waiting[0]
            try:
                self._submit(first)
                for chunk in list(self._waiting)[1:AHEAD]:
                    if not self._has_room(chunk):
                        break
                self._read(first)
                if self._missing(first):
                    self._lost(first)
                else:
                    self._waiting.popleft()
            except Gone:
                self._lost(first)
            except Refused:
                raise
            except Busy as error:
                self._wait(error, error.retry_after_s)
            except Away as error:
                self._outlast(error)

    def _has_room(self, chunk: _Chunk) -> bool:
        """Submit a chunk ahead of its turn. → False: there is no room; its turn will come."""
        try:
            self._submit(chunk)
        except Busy:
            return False
        return True

    def _submit(self, chunk: _Chunk) -> None:
        """See to it that a chunk's batch is there, and whole: an outage may have kept part of it from being queued."""
        while not chunk.is_there:
            try:
                with self._stop.breakable():
                    if chunk.batch is not None and self._service.is_over(chunk.batch):
                        chunk.is_there = True
                        return
                    items = [self._item(number) for number in chunk.asked]
                    batch = self._service.submit(items, f"{self._key}/{chunk.number}/{chunk.attempt}")
            except (Gone, OtherBody):
                self._lost(chunk)
                continue
            if batch != chunk.batch:
                chunk.batch = batch
                self._journal.submitted(chunk.number, chunk.attempt, batch, chunk.asked)
            chunk.is_there = True

    def _item(self, number: int) -> Fields:
        return {"custom_id": str(number), **self._request, "seeds": [self._rows[number].seed]}

    def _lost(self, chunk: _Chunk) -> None:
        """Begin a chunk again, with what is missing of it."""
        if chunk.attempt == MOST_ATTEMPTS:
            raise Failed(
                f"rows {chunk.asked[0]} to {chunk.asked[-1]} were asked {MOST_ATTEMPTS} times, and lost each time"
            )
        chunk.asked = self._missing(chunk)
        chunk.attempt, chunk.batch, chunk.is_there = chunk.attempt + 1, None, False
        self._told(f"a batch of {len(chunk.asked):,} rows is no longer there; they are asked again")

    def _missing(self, chunk: _Chunk) -> list[int]:
        return [number for number in chunk.asked if not self._journal.has(number)]

    def _read(self, chunk: _Chunk) -> None:
        """Note the answers of a chunk, as they come, until it is over. Raises: Gone, Away, Stopped."""
        assert chunk.batch is not None
        known = next((n for n, number in enumerate(chunk.asked) if not self._journal.has(number)), len(chunk.asked))
        lines = self._service.lines(chunk.batch, known - 1)
        while True:
            with self._stop.breakable():
                line = next(lines, None)
            if line is None:
                return
            number = chunk.asked[line["index"]]
            if not self._journal.has(number):
                self._journal.answer(self._told_of(number, line))
                self._step()
            self._got_on = time.monotonic()

    def _told_of(self, number: int, line: Fields) -> Fields:
        """Return what the output holds of a row: nothing that depends on when or how often it was asked."""
        row = self._rows[number]
        kept: dict[str, Any] = {"row": number, "seed": row.seed} | ({"title": row.title} if row.title else {})
        if "result" not in line:
            detail = {"code": "canceled", "detail": "somebody has canceled it", "pointer": ""}
            return kept | {"status": "failed", "error": line.get("error", detail)}
        for attempt in line["result"]["attempts"]:
            attempt.pop("ms", None)
        return kept | {"status": "succeeded", "result": line["result"]}

    def _outlast(self, error: Away) -> None:
        """Wait until the service answers again. Raises: Away: it does not; Stopped."""
        for chunk in self._waiting:
            chunk.is_there = False  # it may have lost its last second
        self._told(f"{error}; waiting up to {MOST_AWAY_S / 60:.0f} minutes")
        while True:
            self._wait(error, _LOOK_S)
            try:
                with self._stop.breakable():
                    self._service.again()
                    self._service.state()
            except Refused:
                raise
            except Away:
                continue
            self._got_on = time.monotonic()
            return self._told("it answers again; going on")

    def _wait(self, error: Away, seconds: float) -> None:
        if time.monotonic() > self._got_on + MOST_AWAY_S:
            raise error
        self._journal.sync()
        with self._stop.breakable():
            time.sleep(seconds)
