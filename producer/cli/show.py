"""What a person sees: tables on standard output, all else on standard error, plain where that is no terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from producer.cli.service import Fields, State
from producer.songs import camelot_name, camelot_place

_SAY_EVERY_S = 10.0
_BEFORE_SURE = 0.95
_MOST_REASONS = 2
_Justify = Literal["left", "right"]
_NEAR: list[tuple[str, _Justify]] = [("genre", "left"), ("BPM", "right"), ("closer", "right")]
_FLOW: list[tuple[str, _Justify]] = [("BPM", "right"), ("key", "right"), ("energy", "right"), ("flow", "right")]


def clean(text: str) -> str:
    """Return text as a terminal may have it: a title must not steer it."""
    return "".join(c if c.isprintable() else " " for c in text)


class Screen:
    """Both outputs. quiet: nothing on standard error but what went wrong."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self.out = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
        self._err = Console(stderr=True, highlight=False, soft_wrap=True)

    @property
    def is_terminal(self) -> bool:
        """Whether somebody looks at standard output."""
        return sys.stdout.isatty()

    def say(self, text: str) -> None:
        """Tell how it goes on, unless it is to be quiet."""
        if not self._quiet:
            self.warn(text)

    def warn(self, text: str) -> None:
        """Tell what has to be known."""
        self._err.print(Text(f"segue: {clean(text)}"))

    def line(self, text: str = "") -> None:
        """Print a line of the answer."""
        self.out.print(Text(clean(text)))

    def tell_of(self, answer: Fields) -> None:
        """Say what has to be known of an answer: that it is a fallback, what its seeds were taken for, warnings."""
        if answer.get("degraded"):
            self.warn(f"this is a fallback ({answer['strategy']}), not what was asked for")
        for place, seed in enumerate(answer.get("seeds", []), 1):
            if seed["track_id"] and seed["match"] < _BEFORE_SURE:
                self.warn(f"seed {place}: taken for {song(seed)} (sure by {seed['match']:.0%})")
            if seed["alternatives"] and (not seed["track_id"] or seed["match"] < _BEFORE_SURE):
                self.warn(f"seed {place}: did you mean {'; '.join(song(other) for other in seed['alternatives'])}?")
        for warning in answer["warnings"]:
            self.warn(warning)
        if answer.get("notice"):
            self.say(answer["notice"])

    def tracks(self, answer: Fields, title: str) -> None:
        """Show the tracks of an answer as a table."""
        tracks: list[Fields] = answer["tracks"]
        flows = any("transition" in track for track in tracks)
        columns: list[tuple[str, _Justify]] = [("", "right"), ("title", "left"), ("artists", "left"), ("year", "right")]
        why = any(track.get("reasons") for track in tracks)
        columns += _FLOW if flows else _NEAR[2 if why else 0 :]
        columns += [("why", "left")] if why else []
        rows = []
        for place, track in enumerate(tracks, 1):
            cells = [str(place), track["name"], ", ".join(track["artists"]), _number(track["year"])]
            cells += _flow(track) if flows else _near(track)[2 if why else 0 :]
            rows.append([*cells, _why(track)] if why else cells)
        table = Table(title=clean(title), title_justify="left", title_style="bold", box=None, pad_edge=False)
        for name, justify in columns:
            table.add_column(name, justify=justify)
        for fitting in _fitting(rows, [name for name, _ in columns], self.out.width):
            table.add_row(*fitting)
        self.out.print(table)
        if flows:
            self.line(_sum(answer))

    def state(self, where: str, state: State) -> None:
        """Show what is there."""
        self.line(f"service  {where}")
        self.line(f"model    {state.model}, {state.tracks:,} tracks" + (f" ({state.notice})" if state.notice else ""))
        self.line(f"workers  {state.workers} alive")
        self.line(f"waiting  {'unknown' if state.waiting is None else f'{state.waiting:,} jobs'}")

    def diagnosis(self, found: Fields) -> None:
        """Show what the doctor says."""
        tracks = {track["rank"]: track for track in found["tracks"]}

        def at(place: int) -> str:
            return f"{place} {song(tracks[place])}" if place in tracks else str(place)

        self.line(f"coherence  {found['coherence']:.2f} (songs at random: {found['usual_coherence']:.2f})")
        self.line(f"flow       {found['flow']:.2f} (in the best order: {found['best_flow']:.2f})")
        for places in found["duplicates"]:
            self.line(f"twice      {' = '.join(at(place) for place in places)}")
        for misfit in found["misfits"]:
            self.line(f"odd        {at(misfit['place'])}: {', '.join(misfit['why'])} ({misfit['likeness']:.2f})")
        for clash in found["clashes"]:
            why = "; ".join(part["text"] for part in clash["transition"]["parts"])
            self.line(f"clash      {at(clash['place'])} → {at(clash['place'] + 1)}: {why}")
        for bridge in found["bridges"]:
            better = f"{bridge['before_score']:.2f} → {bridge['worst_after']:.2f}"
            self.line(f"bridge     after {at(bridge['after'])}: {song(bridge['track'])} ({better})")
        if found["order"] != sorted(found["order"]):
            self.line(f"order      {' '.join(str(place) for place in found['order'])}")

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Show that something goes on, if somebody looks."""
        if self._quiet or not self._err.is_terminal:
            yield
            return
        with self._err.status(what):
            yield

    @contextmanager
    def progress(self, total: int, done: int) -> Iterator[Steps]:
        """Show how far something is: a bar for somebody who looks, else a line now and then."""
        if self._quiet or not self._err.is_terminal:
            yield Steps(self, total, done)
            return
        columns = (
            *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()),
            *(TextColumn("{task.fields[rate]}"), TimeRemainingColumn()),
        )
        with Progress(*columns, console=self._err, transient=True) as bar:
            task = bar.add_task("rows", total=total, completed=done, rate="")
            yield Steps(self, total, done, lambda n, rate: bar.update(task, completed=n, rate=f"{rate:,.0f}/s"))


class Steps:
    """How far something is. shown: shows it; None: in lines."""

    def __init__(self, screen: Screen, total: int, done: int, shown: Any = None) -> None:
        self._screen, self._total, self._shown = screen, total, shown
        self.done, self._first = done, done
        self._started = self._said = time.monotonic()

    def step(self) -> None:
        """One more is done."""
        self.done += 1
        now = time.monotonic()
        if now - self._said < (0.1 if self._shown else _SAY_EVERY_S):
            return
        self._said, rate = now, (self.done - self._first) / (now - self._started)
        if self._shown:
            self._shown(self.done, rate)
        else:
            left = (self._total - self.done) / rate
            self._screen.say(f"{self.done:,} of {self._total:,} rows, {rate:,.0f} a second, {left:,.0f} s left")


def _fitting(rows: Sequence[Sequence[str]], heads: Sequence[str], width: int) -> Iterator[list[Text]]:
    """Yield rows whose names are cut so that all columns have room: titles and artists, in the columns 1 and 2."""
    cells = [[Text(clean(cell)) for cell in row] for row in rows]
    widths = [max(len(head), *(row[n].cell_len for row in cells)) for n, head in enumerate(heads)]
    room = max(16, width - sum(w for n, w in enumerate(widths) if n not in (1, 2)) - 2 * len(heads))
    title = max(min(widths[1], room // 2), room - widths[2])
    for row in cells:
        row[1].truncate(title, overflow="ellipsis")
        row[2].truncate(max(8, room - title), overflow="ellipsis")
        yield row


def song(named: Fields) -> str:
    """Return a song as people write it."""
    return clean(f"{named['name']} by {', '.join(named['artists'])}" if named["artists"] else str(named["name"]))


def camelot(key: int | None, mode: int | None) -> str:
    """Return a key by its place on the Camelot wheel, such as 8A for A minor; empty: unknown."""
    if key is None or mode is None:
        return ""
    return camelot_name(camelot_place(key, mode))


def _near(track: Fields) -> Sequence[str]:
    closer = track.get("closer_than")
    return (", ".join(track["genres"]), _number(track["tempo"]), "" if closer is None else f"{closer:.2%}")


def _flow(track: Fields) -> Sequence[str]:
    energy, transition = track["energy"], track["transition"]
    return (
        _number(track["tempo"]),
        camelot(track["key"], track["mode"]),
        "" if energy is None else f"{energy:.2f}",
        "" if transition is None else f"{transition['score']:.2f}",
    )


def _why(track: Fields) -> str:
    reasons = sorted(track["reasons"], key=lambda reason: -abs(reason["value"]))[:_MOST_REASONS]
    return " ".join(f"{reason['part']} {reason['value']:+.1f}" for reason in reasons)


def _sum(playlist: Fields) -> str:
    length = playlist["duration_ms"]
    minutes = "" if length is None else f", {length / 60_000:.0f} minutes"
    flow = "" if playlist["flow"] is None else f", flow {playlist['flow']:.2f}"
    return f"{len(playlist['tracks'])} tracks{minutes}{flow}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"
