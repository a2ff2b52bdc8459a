"""Measure recommendations on playlists that people made.

    python -m training evaluate --playlists lists.parquet        # the engine, and all that it is compared with
    python -m training evaluate --playlists lists.csv --limit 100 --k 5 --system default judge
    python -m training evaluate --playlists lists.csv --url http://127.0.0.1:8000 # through the running service

Of each playlist k random songs are the seeds, and the others the truth; every song but the seeds may be answered. The
protocol, the measures and what they do not tell: docs/explanation/quality.md.
"""

from __future__ import annotations

import argparse
import gzip
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow
import pyarrow.parquet
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from artifacts import store
from artifacts.manifest import ModelError
from artifacts.model import Model
from training import baselines, metrics
from training.baselines import SYSTEMS, Ground, Rank
from training.dataset import DatasetError
from training.metrics import Figures, Rows
from training.options import positive

COLUMNS = ("playlist_id", "position", "track_id", "track_name", "artist_name")
LEAST_TRUTH = 5
"""A playlist with fewer songs beside its seeds is left out."""

SEED = 20171101
_WIDE = 200

_DAMAGED = (
    *(pyarrow.ArrowException, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError),
    *(gzip.BadGzipFile, zlib.error, EOFError),
)

Tell = Callable[[str, int, int], None]
"""Told what is being done, of how many, and how many are done."""


@dataclass(frozen=True)
class Playlist:
    """A playlist as far as the catalogue has it. rows: one of each song, in its order; songs: their numbers."""

    name: str
    rows: Rows
    songs: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Matched:
    """What became of the entries of all playlists."""

    playlists: int
    entries: int
    by_id: int
    by_name: int


@dataclass(frozen=True)
class Draw:
    """One question: seeds, one row a song, and the other songs of the playlist. random: a number of its own."""

    seeds: Rows
    truth: frozenset[int]
    random: int


@dataclass(frozen=True)
class Outcome:
    """What came of one k. agree: share of the draws where engine and judge gave the same list, if both were asked."""

    k: int
    playlists: int
    left_out: int
    systems: dict[str, Figures]
    agree: float | None


def main(arguments: list[str], models_dir: Path) -> int:
    """Run the evaluation. models_dir: where models are if --artifacts does not say.

    Raises: DatasetError, ModelError, OSError.
    """
    options = _parser().parse_args(arguments)
    limit, systems = options.limit, {name: SYSTEMS[name] for name in options.system or SYSTEMS}
    root = options.artifacts or models_dir
    frame = read(options.playlists)
    version = store.current(root) if options.url is None else baselines.service_model(options.url)
    if version is None:
        raise ModelError(f"{root}: no model there; train one first")
    if options.url is not None:
        if max(options.k) > baselines.SERVICE_SEEDS:
            raise baselines.ServiceError(f"--k {max(options.k)}: the service takes {baselines.SERVICE_SEEDS} seeds")
        limit = min(limit, baselines.SERVICE_LIMIT)
        systems = {name: SYSTEMS[name] for name in options.system or ("default", "judge", "cluster")}
        for name, method in (("default", "blend"), ("cluster", "cluster")):
            if name in systems:
                systems[name] = baselines.through_service(options.url, method, options.max_per_artist)
    model = Model.load(root, version)
    playlists, matched = match(model, frame)
    with _Bar(Console(stderr=True)) as bar:
        outcomes = evaluate(model, playlists, options.k, limit, systems, options.seed, bar.tell)
    about = {
        "model": version,
        "catalogue": model.manifest.source,
        "file": options.playlists.name,
        "through": options.url or "engine",
        "limit": limit,
        "seed": options.seed,
        **asdict(matched),
    }
    _show(about, outcomes)
    if options.json:
        found = {**about, "outcomes": [asdict(outcome) for outcome in outcomes]}
        options.json.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def read(path: Path) -> pd.DataFrame:
    """Return the entries of `path` in the order of playlists and positions, with COLUMNS; unknown text is "".

    Raises: DatasetError, naming file, column and row (from 1, without the header).
    """
    if not path.is_file():
        raise DatasetError(f"{path}: no such file")
    try:
        if path.suffix == ".parquet":
            schema = pyarrow.parquet.read_schema(path)
            _check_columns(path, schema.names)
            if nested := [name for name in COLUMNS if pyarrow.types.is_nested(schema.field(name).type)]:
                raise DatasetError(f"{path}: column {nested[0]} holds {schema.field(nested[0]).type}, not text")
            frame = pyarrow.parquet.read_table(path, columns=list(COLUMNS)).to_pandas()
        else:
            frame = pd.read_csv(path, dtype="str", keep_default_na=False, encoding="utf-8-sig")
            _check_columns(path, list(frame.columns))
    except _DAMAGED as error:
        raise DatasetError(f"{path}: not a whole {path.suffix or 'CSV'} file ({error})") from error
    frame = frame[list(COLUMNS)]
    if frame.empty:
        raise DatasetError(f"{path}: has columns but no rows")
    positions = pd.to_numeric(frame["position"], errors="coerce")
    _refuse(path, frame, "position", ~np.isfinite(positions.to_numpy(np.float64, na_value=np.nan)), "is no number")
    for column in COLUMNS:
        if column != "position":
            frame[column] = frame[column].astype("str").fillna("").str.strip()
    _refuse(path, frame, "playlist_id", (frame["playlist_id"] == "").to_numpy(bool), "names no playlist")
    ordered: pd.DataFrame = frame.assign(position=positions).sort_values(
        ["playlist_id", "position"], kind="stable", ignore_index=True
    )
    return ordered


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    if missing := [column for column in COLUMNS if column not in columns]:
        raise DatasetError(f"{path}: column missing: {', '.join(missing)}; the file has: {', '.join(columns)[:500]}")


def _refuse(path: Path, frame: pd.DataFrame, column: str, bad: npt.NDArray[np.bool_], why: str) -> None:
    if bad.any():
        at = int(bad.argmax())
        raise DatasetError(f"{path}: column {column}, row {at + 1}: {str(frame[column].iloc[at])[:80]!r} {why}")


def match(model: Model, frame: pd.DataFrame) -> tuple[list[Playlist], Matched]:
    """Find the entries of playlists in the catalogue: by id, else by normalised title and artist.

    frame: from `read`. Versions of a song are joined: the first of a playlist stands for it.
    """
    names = frame[["track_id", "track_name", "artist_name"]]
    code, distinct = pd.factorize(pd.MultiIndex.from_frame(names))
    found = np.full(len(distinct), -1, np.intp)
    by_id = np.zeros(len(distinct), bool)
    for i, (track_id, title, artist) in enumerate(distinct):
        row = model.row_of_id(track_id.removeprefix("spotify:track:")) if track_id else None
        by_id[i] = row is not None
        if row is None and title and artist:
            row = next(iter(model.rows_of_name(title, artist)), None)
        found[i] = -1 if row is None else row
    rows = found[code]
    playlists = []
    for name, mine in frame.groupby("playlist_id", sort=True).indices.items():
        known = rows[mine][rows[mine] >= 0]
        first = np.sort(np.unique(model.song[known], return_index=True)[1])
        playlists.append(Playlist(str(name), known[first], np.asarray(model.song[known[first]])))
    hits = int((rows >= 0).sum())
    ids = int(by_id[code].sum())
    return playlists, Matched(len(playlists), len(frame), ids, hits - ids)


def draw(playlist: Playlist, k: int, seed: int) -> Draw | None:
    """Take k songs of a playlist as seeds; None if fewer than LEAST_TRUTH are left.

    The draw depends on the playlist and `seed` alone, so other playlists in the file change nothing; and the seeds of a
    smaller k are among those of a greater.
    """
    if len(playlist.rows) < k + LEAST_TRUTH:
        return None
    number = int.from_bytes(blake2b(f"{seed}\n{playlist.name}".encode(), digest_size=8).digest(), "big")
    order = np.random.default_rng(number).permutation(len(playlist.rows))
    return Draw(playlist.rows[order[:k]], frozenset(playlist.songs[order[k:]].tolist()), number)


def evaluate(
    model: Model,
    playlists: Sequence[Playlist],
    ks: Sequence[int],
    limit: int,
    systems: Mapping[str, Rank],
    seed: int,
    tell: Tell = lambda what, of, done: None,
) -> list[Outcome]:
    """Put the same questions to each system. limit: length of the lists. tell: told what goes on, and how far it is.

    Raises: DatasetError if no playlist is long enough.
    """
    ground = Ground.of(model)
    outcomes = []
    for k in ks:
        draws = [found for playlist in playlists if (found := draw(playlist, k, seed))]
        if not draws:
            raise DatasetError(f"no playlist has {k + LEAST_TRUTH} songs of this catalogue, as k = {k} needs")
        lists = {
            name: _ask(ground, draws, limit, rank, partial(tell, f"k = {k}, {name}", len(draws)))
            for name, rank in systems.items()
        }
        figures = {name: _measure(ground, draws, found, limit, seed) for name, found in lists.items()}
        agree = None
        if "default" in lists and "judge" in lists:
            pairs = zip(lists["default"], lists["judge"], strict=True)
            agree = float(np.mean([np.array_equal(a, b) for a, b in pairs]))
        outcomes.append(Outcome(k, len(draws), len(playlists) - len(draws), figures, agree))
    return outcomes


def _ask(ground: Ground, draws: Sequence[Draw], limit: int, rank: Rank, tell: Callable[[int], None]) -> list[Rows]:
    lists = []
    for done, question in enumerate(draws):
        tell(done)
        lists.append(rank(ground, question.seeds, limit, np.random.default_rng([question.random, len(question.seeds)])))
    tell(len(draws))
    return lists


def _measure(ground: Ground, draws: Sequence[Draw], lists: Sequence[Rows], limit: int, seed: int) -> Figures:
    song = ground.model.song
    reached = np.array(
        [
            metrics.accuracy(song[rows].tolist(), question.truth, limit)
            for rows, question in zip(lists, draws, strict=True)
        ]
    )
    means = {name: metrics.bootstrap(reached[:, i], seed) for i, name in enumerate(metrics.ACCURACY)}
    return Figures(means, metrics.describe(ground.model, ground.sound, lists, [question.seeds for question in draws]))


def _show(about: Mapping[str, Any], outcomes: Sequence[Outcome]) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDE)
    known = about["by_id"] + about["by_name"]
    console.print(
        f"{about['file']}: {about['entries']:,} entries, {known / about['entries']:.1%} of them in model "
        f"{about['model']} ({about['by_id']:,} by id, {about['by_name']:,} by name); lists of {about['limit']}, "
        f"through {about['through']}; means with 95 % intervals",
        highlight=False,
    )
    for outcome in outcomes:
        table = Table(
            "system",
            *metrics.headings(about["limit"]),
            title=f"k = {outcome.k}: {outcome.playlists:,} playlists, {outcome.left_out:,} left out: "
            f"fewer than {outcome.k + LEAST_TRUTH} songs",
        )
        for name, figures in outcome.systems.items():
            table.add_row(name, *metrics.cells(figures))
        console.print(table)
        if outcome.agree is not None:
            console.print(f"default and judge: the same list for {outcome.agree:.1%} of the playlists", highlight=False)


class _Bar:
    """Show on standard error what goes on: a bar, or where that is no screen a line for each system."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._console, self._what = console, ""

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def tell(self, what: str, of: int, done: int) -> None:
        """Say how far something is."""
        if what != self._what:
            self._what = what
            self._task = self._progress.add_task(what, total=of)
            if not self._console.is_terminal:
                self._console.print(f"{what} …", highlight=False)
        self._progress.update(self._task, completed=done)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training evaluate", description="Measure on playlists.")
    parser.add_argument("--playlists", type=Path, required=True, metavar="FILE", help=".parquet, .csv or .csv.gz")
    parser.add_argument("--k", type=positive, nargs="+", default=[1, 5, 10], help="how many seeds (1 5 10)")
    parser.add_argument("--limit", type=positive, default=500, help="length of the lists (500; 100 with --url)")
    parser.add_argument("--system", nargs="+", choices=list(SYSTEMS), metavar="NAME", help=", ".join(SYSTEMS))
    parser.add_argument("--url", help="ask the service there for default and cluster")
    parser.add_argument(
        "--max-per-artist", type=positive, default=baselines.NO_CAP, help="with --url: of any ten tracks (10: no cap)"
    )
    parser.add_argument("--seed", type=int, default=SEED, metavar="N", help=f"of every draw ({SEED})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--artifacts", type=Path, metavar="DIR", help="where the models are (ARTIFACTS_DIR)")
    return parser
