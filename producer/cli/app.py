"""The commands, and how they end: 0 well, 1 some of it failed or is a fallback, 2 usage, 3 no service, 130 stopped."""

from __future__ import annotations

import json
import logging
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option
from typer.exceptions import TyperException

import settings
from producer.cli import asked, batch_command, place, push
from producer.cli.errors import OK, SOME_FAILED, USAGE, Away, CommandError, Wrong
from producer.cli.options import Asking, Output, Shape, Where, takes
from producer.cli.outputs import put
from producer.cli.service import Fields, Service, check
from producer.cli.show import Screen, song
from producer.playlists.shapes import DoctorQuery, PlaylistQuery
from producer.schema import Query

NAME = "python -m producer"

app = typer.Typer(
    help="Songs that sound like the songs you name. docs/howto/command-line.md shows every command at work.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
batch_command.register(app)
push.register(app)

Seeds = Annotated[
    list[str] | None,
    Argument(metavar="SEED...", help='A song: "Title - Artist", an id, a Spotify URI or URL; - reads standard input.'),
]


def main(arguments: list[str] | None = None) -> int:
    """Run a command. Returns the exit code, after a message on standard error unless it is 0."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a stop is a stop
    logging.getLogger("segue").addHandler(logging.NullHandler())  # what is to be known, this says itself
    try:
        given = sys.argv[1:] if arguments is None else arguments
        # A shell completes the words after a command's name, so completion is of the script `segue`.
        name = "segue" if given[:1] in (["--show-completion"], ["--install-completion"]) else NAME
        return app(given, prog_name=name, complete_var="_SEGUE_COMPLETE", standalone_mode=False) or OK
    except TyperException as error:
        print(f"{error.format_message()}\n({NAME} --help says more)", file=sys.stderr)
        return error.exit_code
    except settings.BadSettings as error:
        print(f"{NAME}: {error}", file=sys.stderr)
        return USAGE
    except CommandError as error:
        hint = f"\n{place.WHAT_TO_DO}" if type(error) is Away and place.WHAT_TO_DO not in str(error) else ""
        print(f"{NAME}: {error}{hint}", file=sys.stderr)
        return error.exit_code


@app.callback(invoke_without_command=True)
def _all(
    version: Annotated[bool, Option("--version", help="Say which release this is.", is_eager=True)] = False,
) -> None:
    if version:
        print(f"Segue {settings.version()}")
        raise typer.Exit


@app.command()
@takes(asking=Asking, output=Output, where=Where)
def recommend(
    seeds: Seeds = None,
    artist: Annotated[str | None, Option(help="Whose songs the seeds are; alone: a seed.")] = None,
    avoid: Annotated[list[str] | None, Option("--not", metavar="SEED", help="A song to keep away from.")] = None,
    limit: Annotated[int, Option("--limit", "-n", metavar="N", help="How many tracks.")] = 20,
    *,
    asking: Asking,
    output: Output,
    where: Where,
) -> int:
    """Find songs like the ones you name."""
    screen, service = _start(where)
    query = {"seeds": _with_avoided(screen, seeds, artist, avoid), "limit": limit} | asking.fields()
    check(Query, query)
    with screen.waiting("asking …"):
        answer = service.recommend(query)
    return _give(screen, output, answer, f"Songs like {_named(answer, query)}")


@app.command()
@takes(shape=Shape, asking=Asking, output=Output, where=Where)
def playlist(
    seeds: Seeds = None,
    extend: Annotated[
        Path | None, Option(metavar="FILE", help="A playlist that goes on; its songs come first.")
    ] = None,
    path: Annotated[bool, Option("--path", help="The seeds are a path: from the first to the last.")] = False,
    artist: Annotated[str | None, Option(help="Whose songs the seeds are; alone: a seed.")] = None,
    avoid: Annotated[list[str] | None, Option("--not", metavar="SEED", help="A song to keep away from.")] = None,
    *,
    shape: Shape,
    asking: Asking,
    output: Output,
    where: Where,
) -> int:
    """Make a playlist in an order that flows: from seeds, from a playlist that goes on, or along a path."""
    screen, service = _start(where)
    if extend is not None and (seeds or path):
        raise Wrong("--extend goes without seeds and without --path")
    if extend is not None:
        given: Fields = {"extend": asked.songs(extend, screen.warn)}
    else:
        given = {"waypoints" if path else "seeds": _with_avoided(screen, seeds, artist, avoid)}
    query = given | shape.fields() | asking.fields()
    check(PlaylistQuery, query)
    with screen.waiting("making a playlist …"):
        answer = service.playlist(query)
    return _give(screen, output, answer, f"A playlist from {_named(answer, query)}")


@app.command()
@takes(output=Output, where=Where)
def doctor(
    file: Annotated[Path, Argument(metavar="FILE", help="A playlist; - is standard input.")],
    *,
    output: Output,
    where: Where,
) -> int:
    """Say what is odd about a playlist: songs that do not fit, keys that clash, songs that would mend it."""
    screen, service = _start(where)
    query = {"playlist": asked.songs(file, screen.warn)}
    check(DoctorQuery, query)
    with screen.waiting("looking …"):
        found = service.diagnose(query)
    screen.tell_of(found)
    if not output.is_file:
        screen.diagnosis(found)
    else:
        put(output, found, file.stem)
    return OK


@app.command()
@takes(output=Output, where=Where)
def popular(
    genre: Annotated[str | None, Option(metavar="GENRE", help="Of this genre alone.")] = None,
    limit: Annotated[int, Option("--limit", "-n", min=1, max=50, metavar="N", help="How many tracks.")] = 20,
    *,
    output: Output,
    where: Where,
) -> int:
    """Show what is popular. No worker is asked."""
    screen, service = _start(where)
    return _give(screen, output, service.popular(genre, limit), f"Popular: {genre or 'all genres'}")


@app.command()
@takes(where=Where)
def status(
    as_json: Annotated[bool, Option("--json", help="As JSON.")] = False,
    *,
    where: Where,
) -> int:
    """Say whether a request would be answered now: exit code 0, else 3."""
    screen, service = _start(where)
    state = service.state()
    if as_json:
        print(json.dumps(vars(state) | {"service": service.where}, ensure_ascii=False))
    else:
        screen.state(service.where, state)
    if state.workers == 0:
        raise Away("jobs are taken, but no worker is alive to answer them")
    return OK


def _start(where: Where) -> tuple[Screen, Service]:
    screen = Screen()
    return screen, place.find(settings.load(), where.url, where.key, screen.warn)


def _with_avoided(screen: Screen, words: list[str] | None, artist: str | None, avoid: list[str] | None) -> list[Fields]:
    wanted = asked.seeds(words, screen.warn, artist)
    if not wanted:
        raise Wrong('name a song, such as "Spider - Perander Draythwaite"')
    return [*wanted, *(seed | {"weight": -1.0} for seed in asked.seeds(avoid, screen.warn))]


def _named(answer: Fields, query: Fields) -> str:
    """Return the first seed by its name, and how many more there are."""
    found = next((seed for seed in answer["seeds"] if seed["name"]), None)
    first: Fields = next(iter(query.get("seeds") or query.get("waypoints") or query["extend"]))
    name = song(found) if found else str(first.get("name") or first.get("track_id") or first.get("artist"))
    more = len(answer["seeds"]) - 1
    return f"{name} and {more} more" if more > 0 else name


def _give(screen: Screen, output: Output, answer: Fields, title: str) -> int:
    """Show an answer, or write it. → SOME_FAILED for a fallback, or for nothing at all."""
    screen.tell_of(answer)
    if not output.is_file and screen.is_terminal:
        screen.tracks(answer, title)
    else:
        put(output, answer, title)
    return SOME_FAILED if answer.get("degraded") or not answer["tracks"] else OK
