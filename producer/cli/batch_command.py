"""`batch FILE`: what it takes, what it refuses, what it says at the end."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from typer import Argument, Option

import settings
from producer.cli import asked, place
from producer.cli.batch import Run
from producer.cli.errors import OK, SOME_FAILED, CommandError, Wrong
from producer.cli.journal import Journal
from producer.cli.options import Asking, FormatName, Location, Output, Shape, Where, check_location, takes
from producer.cli.outputs import Outputs, Trouble, put, refuse_input
from producer.cli.service import Fields, Service, check
from producer.cli.show import Screen
from producer.cli.stopping import Stop
from producer.playlists.reading import Reading
from producer.playlists.shapes import PlaylistQuery
from producer.schema import MAX_SEEDS, Query

_SHOWN = 20


@takes(shape=Shape, asking=Asking, where=Where)
def batch(
    file: Annotated[
        Path, Argument(metavar="FILE", help="CSV, JSONL, M3U8, XSPF, JSPF or a song a line; - is standard input.")
    ],
    out: Annotated[
        Path,
        Option(metavar="PLACE", help="A folder, for a file a row; or a name that ends in .jsonl, for a line a row."),
    ],
    form: Annotated[
        list[FormatName] | None,
        Option(
            "--format",
            "-f",
            case_sensitive=False,
            help="Of the files in the folder; several: each.",
            show_default="m3u8",
        ),
    ] = None,
    limit: Annotated[
        int | None, Option("--limit", "-n", metavar="N", help="How many tracks.", show_default="20")
    ] = None,
    one: Annotated[bool, Option("--one", help="One playlist from all rows, 50 at most; PLACE is its file.")] = False,
    location: Location = None,
    resume: Annotated[bool, Option("--resume", help="Go on with a run that was interrupted.")] = False,
    quiet: Annotated[bool, Option("--quiet", "-q", help="Say only what went wrong.")] = False,
    *,
    shape: Shape,
    asking: Asking,
    where: Where,
) -> int:
    """Make a list for each row of a file; with options of a playlist, a playlist. Files are written at the end."""
    screen = Screen(quiet)
    service = place.find(settings.load(), where.url, where.key, screen.warn)
    data = asked.bytes_of(file)
    reading = asked.read(file, data, screen.say)
    playlist = shape.fields()
    if (one or playlist) and limit is not None:
        raise Wrong("a playlist has --tracks or --minutes, not --limit")
    if one and resume:
        raise Wrong("--one asks once and keeps no journal, so --resume has nothing to go on with; leave it out")
    if one:
        output = _output_of_one(file, out, form, location)
        return _one(screen, service, reading, playlist | asking.fields(), output)
    request = (
        asking.fields() | ({"type": "playlist"} | playlist if playlist else {}) | ({"limit": limit} if limit else {})
    )
    _check(request)
    formats = [name.value for name in form or [FormatName("m3u8")]]
    outputs = Outputs(out, formats, reading, location)
    check_location(location, ["jsonl"] if outputs.is_lines else formats)
    outputs.prepare(file)
    with Stop() as stop:
        journal = Journal(outputs.journal, reading.rows[-1].number)
        try:
            _begin(journal, {"input": hashlib.sha256(data).hexdigest(), "request": request}, service, screen, resume)
            troubles = _run(service, journal, reading, request, outputs, screen, stop)
        except CommandError as error:
            journal.close()
            if journal.is_begun:
                answered = f"{journal.answered:,} of {len(reading.rows):,} rows are answered"
                screen.warn(f"{answered} and kept in {journal.path}; the same command with --resume goes on")
            if journal.is_begun and isinstance(error, Wrong):
                screen.warn("to begin anew, with other options or another input, delete that file")
            raise error
        journal.delete()
    return _sum_up(screen, outputs, reading, troubles)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(batch)


def _check(request: Fields) -> None:
    """See that a request is one, before thousands of it are sent. Raises: Wrong."""
    given = {name: value for name, value in request.items() if name != "type"} | {"seeds": [{"name": "any"}]}
    check(PlaylistQuery if "type" in request else Query, given)


def _begin(journal: Journal, asked_for: Fields, service: Service, screen: Screen, resume: bool) -> None:
    """Begin a run, or go on with the one in the journal. Raises: Wrong: that is another one; Away."""
    state = service.state()
    if state.workers == 0:
        screen.warn("no worker is alive; the rows wait for one")
    if journal.is_empty:
        if resume:
            screen.say("there is nothing to go on with; this begins anew")
        journal.begin({"run": str(uuid4()), "model": state.model, **asked_for})
        return
    journal.read_head()
    if not resume:
        raise Wrong(
            f"{journal.path} is of a run that was not finished: go on with it by --resume, or delete that file "
            "to begin anew"
        )
    for name, what in (("input", "another input"), ("request", "other options")):
        if journal.head[name] != asked_for[name]:
            raise Wrong(f"{journal.path} is of a run with {what}; give those, or delete that file to begin anew")
    journal.resume()
    if journal.head["model"] != state.model:
        screen.warn(f"the model was {journal.head['model']}, and is {state.model} for the rows from here on")
    screen.say(f"{journal.answered:,} rows are answered already")


def _run(
    service: Service,
    journal: Journal,
    reading: Reading,
    request: Fields,
    outputs: Outputs,
    screen: Screen,
    stop: Stop,
) -> list[Trouble]:
    rows = [row for row in reading.rows if row.seed is not None]
    with screen.progress(len(rows), journal.answered) as steps:
        Run(service, journal, rows, request, stop, screen.warn, steps.step).go()
    journal.sync()
    return outputs.write(journal, stop)


def _sum_up(screen: Screen, outputs: Outputs, reading: Reading, troubles: list[Trouble]) -> int:
    """Say how it went. Returns the exit code."""
    fallbacks = sum(trouble.fallback for trouble in troubles)
    failed = len(troubles) - fallbacks
    screen.say(f"{len(reading.rows) - failed:,} of {len(reading.rows):,} rows are in {outputs.out}")
    if not troubles:
        return OK
    for trouble in troubles[:_SHOWN]:
        screen.warn(f"row {trouble.row.number}{' (a fallback)' if trouble.fallback else ''}: {trouble.why}")
    if len(troubles) > _SHOWN:
        screen.warn(f"… and {len(troubles) - _SHOWN:,} more")
    counts = f"{failed:,} failed, {fallbacks:,} have a fallback"
    screen.warn(f"{counts}; {outputs.retry} holds those rows, to mend and try again")
    return SOME_FAILED


def _output_of_one(file: Path, out: Path, form: list[FormatName] | None, location: str | None) -> Output:
    """Return where the one playlist goes. Raises: Wrong."""
    if form and len(form) > 1:
        raise Wrong("--one writes one file, so one --format")
    refuse_input(file, out)
    return Output(form[0] if form else None, out, location)


def _one(screen: Screen, service: Service, reading: Reading, request: Fields, output: Output) -> int:
    """Make one playlist from all rows. Returns the exit code."""
    seeds = [row.seed for row in reading.rows if row.seed is not None]
    if len(seeds) > MAX_SEEDS:
        raise Wrong(
            f"one playlist starts from {MAX_SEEDS} songs at most, and these are {len(seeds):,}: "
            f"`playlist --extend` takes a longer list, and a run without --one makes a list for each"
        )
    bad = [row for row in reading.rows if row.seed is None]
    for row in bad:
        screen.warn(f"row {row.number}: {row.error}")
    query = {"seeds": seeds} | request
    check(PlaylistQuery, query)
    with screen.waiting("making a playlist …"):
        answer = service.playlist(query)
    screen.tell_of(answer)
    put(output, answer, f"A playlist from {len(seeds)} songs")
    return SOME_FAILED if bad or answer["degraded"] or not answer["tracks"] else OK
