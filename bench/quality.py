"""How good recommendations are on real playlists: `python -m bench.quality --data FILE --playlists FILE`.

Trains a model of the data, asks the engine and all systems of `python -m training evaluate` the same questions, and one
more: `raw`, the default score worked out in float64 from the data set's own columns, without artifacts/features.py and
what training stored. Prints Markdown tables, and whether the engine reaches what it must.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from artifacts import features, store
from artifacts.model import Model
from bench import machine
from training import cleaning, dataset, evaluate, metrics
from training.__main__ import FIRST_RELEASES_AHEAD
from training.baselines import SYSTEMS, Ground, Rows, Straight, by_order

F64 = npt.NDArray[np.float64]

WITHIN = 0.99
"""The engine must reach this share of what each judge does …"""
TIMES = 8
"""… and so many times what method "cluster" does, at k = 5."""


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m bench.quality")
    parser.add_argument("--data", type=Path, required=True, help="a data set to train on")
    parser.add_argument("--playlists", type=Path, required=True, help="playlists: docs/explanation/quality.md")
    parser.add_argument("--k", type=int, nargs="+", default=[1, 5, 10])
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--seed", type=int, default=evaluate.SEED)
    options = parser.parse_args()
    print(machine.describe(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "training", "--data", str(options.data), "--artifacts", folder]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        model = Model.load(Path(folder), store.versions(Path(folder))[-1])
        playlists, matched = evaluate.match(model, evaluate.read(options.playlists))
        straight = from_raw(model, options.data)

        def by_raw(ground: Ground, seeds: Rows, limit: int, _: np.random.Generator) -> Rows:
            return by_order(ground, straight.score(seeds), seeds, limit)

        systems = {"default": SYSTEMS["default"], "judge": SYSTEMS["judge"], "raw": by_raw, **SYSTEMS}
        outcomes = evaluate.evaluate(model, playlists, options.k, options.limit, systems, options.seed)
    known = (matched.by_id + matched.by_name) / matched.entries
    print(f"\n{matched.playlists:,} playlists, {matched.entries:,} entries, {known:.1%} of them in the catalogue")
    for outcome in outcomes:
        show(outcome, options.limit)
    short = [outcome.k for outcome in outcomes if not reached(outcome)]
    sys.exit(f"less than it must be at k = {short}" if short else 0)


def show(outcome: evaluate.Outcome, limit: int) -> None:
    """Print one k as a Markdown table."""
    heads = ["system", *metrics.headings(limit)]
    print(f"\nk = {outcome.k}, {outcome.playlists:,} playlists ({outcome.left_out:,} too short)\n")
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for name, figures in outcome.systems.items():
        print(f"| {name} | {' | '.join(metrics.cells(figures))} |")


def reached(outcome: evaluate.Outcome) -> bool:
    """Print how the engine stands to the judges and to method "cluster". → whether it reaches what it must."""
    well = True
    print(f"\ndefault and judge give the same list for {outcome.agree or 0:.1%} of the playlists")
    for other, least in (("judge", WITHIN), ("raw", WITHIN), ("cluster", TIMES if outcome.k == 5 else 0)):
        shares = []
        for measure in ("r_precision", "hit"):
            ours, theirs = (outcome.systems[name].accuracy[measure].mean for name in ("default", other))
            shares.append(ours / theirs if theirs else float("inf"))
        well &= min(shares) >= least
        must = f"must: {least:g}" if least else ""
        print(f"default ÷ {other}: R-precision {shares[0]:.3f}, Hit@10 {shares[1]:.3f}; {must}")
    return well


def from_raw(model: Model, data: Path) -> Straight:
    """Work out from a data set what the score needs, in float64, straight from docs/reference/features.md.

    Cleaning and who a row's first artist is are the model's own: they are no part of the score.
    """
    clean, genres, _ = cleaning.clean(dataset.read(data), time.gmtime().tm_year + FIRST_RELEASES_AHEAD)
    order = model.arrays["id_rank"]
    labels = genres.groupby("row")["genre"].agg(tuple).reindex(range(len(clean))).iloc[order].reset_index(drop=True)
    clean = clean.iloc[order].reset_index(drop=True)
    artist = pd.Series([next(iter(model.artist_codes(row)), None) for row in range(len(model))], dtype="float64")
    skewed = ("speechiness", "acousticness", "instrumentalness", "liveness")
    columns = {name: np.log(clean[name] + 0.01) if name in skewed else clean[name] for name in features.AUDIO[:-1]}
    columns["loudness"] = clean["loudness"].clip(-40, 0)
    columns["tempo"] = np.log2(clean["tempo"].clip(40, 240))
    columns["duration"] = np.log(clean["duration_ms"].clip(30_000, 1_200_000))
    columns["year"] = _recency(clean["year"])
    x = {name: (column - column.mean()) / column.std(ddof=0) for name, column in columns.items()}
    # A song is as old as its first version, and below as popular as its best known; the scale is that of all tracks.
    versions = clean.groupby(np.asarray(model.song))
    first = _recency(versions["year"].transform("min"))
    x["year"] = (first - columns["year"].mean()) / columns["year"].std(ddof=0)
    n = artist.groupby(artist).transform("size")
    pull = (0.5 * n / (n + 3)).fillna(0)
    for name in features.AUDIO:
        centroid = x[name].groupby(artist).transform("mean").fillna(0)
        x[name] = (1 - pull) * x[name].fillna(0) + pull * centroid
    year, doubt = _years(x["year"], artist)
    best_known = versions["popularity"].transform("max")
    popularity = (best_known - clean["popularity"].mean()) / clean["popularity"].std(ddof=0)
    label_set, genre = _genres(labels, artist, model.manifest.genres)
    return Straight(
        np.vstack([*(x[name] for name in features.AUDIO), year]),
        doubt,
        popularity.fillna(0).to_numpy(np.float64),
        genre,
        label_set,
    )


def _recency(year: pd.Series) -> pd.Series:
    logarithm: pd.Series = -np.log((2030 - year.clip(1950, 2026)).clip(lower=3))
    return logarithm


def _years(year: pd.Series, artist: pd.Series) -> tuple[F64, F64]:
    """Return ŷ and v: the year, else the artist's mean with 1 − R² of leaving one out, else 0 with 1."""
    total, count = (year.groupby(artist).transform(how) for how in ("sum", "count"))
    several = year.notna() & (count > 1)
    off = (year - (total - year) / (count - 1))[several]
    doubt = float((off**2).mean() / year[artist.notna()].var(ddof=0))
    by_artist = year.isna() & (count > 0)
    filled = year.where(~by_artist, total / count.where(count > 0)).fillna(0)
    v = np.where(year.notna(), 0.0, np.where(by_artist, min(doubt, 1.0), 1.0))
    return filled.to_numpy(np.float64), v


def _genres(labels: pd.Series, artist: pd.Series, names: Sequence[str]) -> tuple[npt.NDArray[np.int64], F64]:
    """Return the label set of each row, and unit vectors; a row without labels has its artist's commonest set."""
    labels = labels.map(lambda own: tuple(sorted(own)), na_action="ignore")
    counts = pd.DataFrame({"artist": artist, "labels": labels}).dropna().value_counts().reset_index()
    counts = counts.sort_values(["count", "artist"], ascending=[False, True], kind="stable")
    commonest = counts.drop_duplicates("artist").set_index("artist")["labels"]
    own = labels.fillna(artist.map(commonest))
    code, sets = pd.factorize(own)
    number = {name: i for i, name in enumerate(names)}
    genre = np.zeros((len(sets) + 1, len(names)))
    for vector, mine in zip(genre, sets, strict=False):
        vector[[number[name] for name in mine]] = 1 / np.sqrt(len(mine))
    return np.where(code < 0, len(sets), code), genre


if __name__ == "__main__":
    main()
