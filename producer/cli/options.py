"""What commands can be told, in groups that several of them take; and what it means in a request."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from typer import Option

from producer.cli.errors import Wrong
from producer.cli.service import Fields
from producer.playlists import locations
from producer.playlists.writing import FORMATS

_LEAST, _MOST = {"year": 1900, "tempo": 0, "popularity": 0}, {"year": 2100, "tempo": 1000, "popularity": 100}
_RANGE = re.compile(r"(\d+(?:\.\d+)?)?(-)?(\d+(?:\.\d+)?)?")


class FormatName(StrEnum):
    """The forms of an answer: those of files, and all of it."""

    M3U8 = "m3u8"
    XSPF = "xspf"
    JSPF = "jspf"
    CSV = "csv"
    URIS = "uris"
    JSONL = "jsonl"
    JSON = "json"


class Combine(StrEnum):
    """How several seeds count."""

    MEAN = "mean"
    ROUND_ROBIN = "round_robin"


@dataclass(frozen=True)
class Where:
    """Where the service is."""

    url: Annotated[
        str | None,
        Option(metavar="URL", help="Ask this API over HTTP, instead of Redis.", rich_help_panel="The service"),
    ] = None
    key: Annotated[
        str | None, Option(metavar="KEY", help="The API key to send there.", rich_help_panel="The service")
    ] = None


Location = Annotated[
    str | None,
    Option(
        metavar="TEMPLATE",
        help="Where the songs are, in M3U8 and XSPF: Music/{artist}/{title}.mp3.",
        rich_help_panel="Output",
    ),
]


def check_location(template: str | None, forms: Sequence[str]) -> None:
    """See that a template is one, and that one of the forms has a place for it. Raises: Wrong."""
    if template is None:
        return
    try:
        locations.check(template)
    except ValueError as error:
        raise Wrong(f"--location: {error}") from None
    having = [form.name for form in FORMATS.values() if form.has_locations]
    if not set(having) & set(forms):
        raise Wrong(f"--location goes with {' and '.join(having)} alone")


@dataclass(frozen=True)
class Output:
    """Where an answer goes, and in which form."""

    format: Annotated[
        FormatName | None,
        Option(
            "--format",
            "-f",
            case_sensitive=False,
            help="The form of the answer; json is all of it. By default the ending of FILE says, else m3u8.",
            rich_help_panel="Output",
        ),
    ] = None
    output: Annotated[
        Path | None,
        Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write it here; - is standard output. By default a terminal gets a table.",
            rich_help_panel="Output",
        ),
    ] = None
    location: Location = None

    def __post_init__(self) -> None:
        check_location(self.location, [self.name])

    @property
    def is_file(self) -> bool:
        """Whether it is to be a file's text, wherever it goes."""
        return any(given is not None for given in (self.format, self.output, self.location))

    @property
    def name(self) -> str:
        """The format's name."""
        if self.format is not None:
            return self.format.value
        ending = self.output.suffix.lower() if self.output else ""
        return next((f.name for f in FORMATS.values() if f.suffix == ending), "json" if ending == ".json" else "m3u8")


@dataclass(frozen=True)
class Asking:
    """What holds of recommendations and playlists alike."""

    year: Annotated[str | None, Option(metavar="1970-1989", help="Years.", rich_help_panel="Filters")] = None
    genre: Annotated[
        list[str] | None, Option(metavar="GENRE", help="A genre; several: any of them.", rich_help_panel="Filters")
    ] = None
    tempo: Annotated[str | None, Option(metavar="110-130", help="Beats per minute.", rich_help_panel="Filters")] = None
    popularity: Annotated[str | None, Option(metavar="20-100", help="0–100.", rich_help_panel="Filters")] = None
    exclude_artist: Annotated[
        list[str] | None, Option(metavar="NAME", help="Nothing by this artist.", rich_help_panel="Filters")
    ] = None
    clean: Annotated[bool, Option("--clean", help="Nothing explicit.", rich_help_panel="Filters")] = False
    weight: Annotated[
        list[str] | None,
        Option(metavar="PART=N", help="How much a part of the score counts: year=3.", rich_help_panel="Choice"),
    ] = None
    combine: Annotated[
        Combine | None,
        Option(help="mean: near to all seeds; round_robin: each gets its share.", rich_help_panel="Choice"),
    ] = None
    diversity: Annotated[
        float | None, Option(metavar="0-1", help="0: the best; more: a wider mix.", rich_help_panel="Choice")
    ] = None
    max_per_artist: Annotated[
        int | None, Option(metavar="N", help="Tracks of an artist in any ten.", rich_help_panel="Choice")
    ] = None
    variation: Annotated[
        int | None, Option(metavar="N", help="Another number, another mix of the good.", rich_help_panel="Choice")
    ] = None
    explain: Annotated[bool, Option("--explain", help="Say why each track was chosen.", rich_help_panel="Choice")] = (
        False
    )
    deadline: Annotated[
        float | None,
        Option(metavar="SECONDS", help="After this a fallback answers.", rich_help_panel="Choice"),
    ] = None

    def fields(self) -> Fields:
        """Return what was said as fields of a request. Raises: Wrong."""
        ranges = {name: _between(name, text) for name in _LEAST if (text := getattr(self, name))}
        filters: Fields = ranges | _given(genres=self.genre, exclude_artists=self.exclude_artist)
        if self.clean:
            filters["explicit"] = False
        return _given(
            filters=filters,
            weights=dict(_weight(text) for text in self.weight or []),
            combine=self.combine and self.combine.value,
            diversity=self.diversity,
            max_per_artist=self.max_per_artist,
            variation=self.variation,
            explain=self.explain,
            deadline_s=self.deadline,
        )


@dataclass(frozen=True)
class Shape:
    """How a playlist is to be."""

    tracks: Annotated[
        int | None, Option(metavar="N", help="So many tracks.", rich_help_panel="Playlist", show_default="30")
    ] = None
    minutes: Annotated[float | None, Option(metavar="M", help="So many minutes.", rich_help_panel="Playlist")] = None
    arc: Annotated[
        str | None,
        Option(
            metavar="ARC",
            help="How the energy goes: flat, build, wind_down, wave, peak, or energies: 0.2,0.9,0.5.",
            rich_help_panel="Playlist",
        ),
    ] = None
    harmonic: Annotated[
        bool, Option("--harmonic", help="Keys and tempos of neighbours fit.", rich_help_panel="Playlist")
    ] = False
    gap: Annotated[
        int | None,
        Option(metavar="N", help="Tracks between two of an artist.", rich_help_panel="Playlist", show_default="5"),
    ] = None
    without_seeds: Annotated[
        bool, Option("--without-seeds", help="Leave the songs given out of it.", rich_help_panel="Playlist")
    ] = False

    def fields(self) -> Fields:
        """Return what was said as fields of a request; empty: nothing was. Raises: Wrong."""
        return _given(
            length=_given(tracks=self.tracks, minutes=self.minutes),
            arc=_arc(self.arc),
            harmonic=self.harmonic,
            artist_gap=self.gap,
            **({"include_seeds": False} if self.without_seeds else {}),
        )


def takes(**groups: type) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let a command take groups of options: `@takes(asking=Asking)` gives it `asking`, made of the options."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        hints = get_type_hints(command, include_extras=True)
        own = [
            parameter.replace(annotation=hints[name], kind=parameter.KEYWORD_ONLY)
            for name, parameter in inspect.signature(command).parameters.items()
            if name not in groups
        ]
        theirs = [
            inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hint)
            for group in groups.values()
            for field in fields(group)
            for hint in [get_type_hints(group, include_extras=True)[field.name]]
        ]

        @wraps(command)
        def flat(**options: Any) -> Any:
            made = {
                name: group(**{field.name: options.pop(field.name) for field in fields(group)})
                for name, group in groups.items()
            }
            return command(**options, **made)

        parameters = [*own, *theirs]
        vars(flat)["__signature__"] = inspect.Signature(parameters)
        flat.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return flat

    return decorate


def _given(**named: Any) -> Fields:
    """Return those that were given: neither None nor empty nor False. 0 counts."""
    return {
        name: value
        for name, value in named.items()
        if value is not None and value is not False and value not in ([], {})
    }


def _between(name: str, text: str) -> list[float]:
    """Read a range: 1970-1989, 1985, 1970-, -1989. Raises: Wrong."""
    found = _RANGE.fullmatch(text.replace(" ", ""))
    if not found or not (found[1] or found[3]):
        raise Wrong(f"--{name} {text!r}: give a range such as 1970-1989, 1970- or 1985")
    low = _number(found[1]) if found[1] else _LEAST[name]
    high = (_number(found[3]) if found[3] else _MOST[name]) if found[2] else low
    return [low, high]


def _number(text: str) -> float:
    return float(text) if "." in text else int(text)


def _weight(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        raise Wrong(f"--weight {text!r}: give a part of the score and a number, such as year=3") from None


def _arc(text: str | None) -> str | list[float] | None:
    if text is None or not re.match(r"[\d.]", text):
        return text and text.replace("-", "_")
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise Wrong(f"--arc {text!r}: give a name, or energies of 0–1 such as 0.2,0.9,0.5") from None
