"""Playlists: how good their order is, and how long they take: `python -m bench.playlists --models DIR`.

One core. The songs to order are what the engine recommends for one popular song, harmonic and nothing exchanged: twelve
for the comparison of the local search, which orders longer lists, with the exact optimum (no artist gap there, as the
exact solver knows none), more for that with shuffles and the greedy order. Times are of whole answers.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from artifacts import store
from artifacts.model import Model
from bench import machine
from producer.playlists.shapes import DoctorQuery, PlaylistQuery
from worker import arcs, exact, sequence
from worker.doctor import diagnose
from worker.local_search import Search
from worker.playlists import playlist
from worker.pool import Pool
from worker.problem import Problem

GAP, MOST = 5, 2


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m bench.playlists")
    parser.add_argument("--models", type=Path, required=True, help="a folder of published models: its CURRENT one")
    parser.add_argument("--count", type=int, default=20, help="playlists of a kind")
    options = parser.parse_args()
    version = store.current(options.models)
    if version is None:
        parser.error(f"{options.models}: no model was published here")
    model = Model.load(options.models, version)
    print(machine.describe())
    print(f"{len(model):,} tracks, {options.count} playlists of a kind, medians")
    with threadpool_limits(1):
        seeds = chosen(model, options.count)
        quality(model, seeds)
        times(model, seeds)


def chosen(model: Model, count: int) -> list[dict[str, Any]]:
    """Return seeds: every so-and-so-many-th of the 3,000 best known songs."""
    rows = model.most_popular(3000)
    return [{"track_id": model.id_of(int(row))} for row in rows[:: max(len(rows) // count, 1)][:count]]


def problem(model: Model, seed: dict[str, Any], tracks: int, gap: int) -> Problem:
    """Return the problem of ordering what a playlist of one seed holds, nothing to be exchanged."""
    found = playlist(model, query(seeds=[seed], length={"tracks": tracks}))
    rows = [row for track in found.tracks if (row := model.row_of_id(track.track_id)) is not None]
    return Pool.of(model, [], rows, [], []).problem(len(rows), gap, MOST, True, None)


def quality(model: Model, seeds: list[dict[str, Any]]) -> None:
    """Print the mean cost of a transition, by each way to order the same songs."""
    few = np.arange(exact.LARGEST)
    over: list[float] = []
    arced: list[float] = []
    for seed in seeds:
        p = problem(model, seed, len(few), 0)
        for found, q in ((over, p), (arced, replace(p, place=rising(model, seed, len(few))))):
            search = Search(q, sequence.LEAST_WORK)
            alone = q.cost(search.kick(search.descend(few, False), False))
            found.append(alone / q.cost(exact.best(q.pair, q.place, few, 0)) - 1)
    for name, found in (("", over), (", build", arced)):
        print(f"local search over the exact optimum, 12 songs{name}: {np.mean(found):.2%}, worst {max(found):.2%}")
    print("\n| songs | ours | greedy | the best of 100 shuffles | shuffled |\n|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    for tracks in (12, 30, 100):
        figures = []
        for seed in seeds:
            p = problem(model, seed, tracks, GAP)
            start = np.arange(len(p.pair))
            shuffled = [p.cost(rng.permutation(len(start))) for _ in range(100)]
            ours, greedy = p.cost(sequence.solve(p, [start])), p.cost(sequence.nearest(p, start, 0))
            figures.append(np.array([ours, greedy, min(shuffled), np.median(shuffled)]) / (len(start) - 1))
        cells = " | ".join(f"{figure:.3f}" for figure in np.median(figures, axis=0))
        print(f"| {tracks} | {cells} |", flush=True)


def rising(model: Model, seed: dict[str, Any], tracks: int) -> npt.NDArray[np.float64]:
    """Return what the songs of `problem` cost at each place of an arc that rises."""
    found = playlist(model, query(seeds=[seed], length={"tracks": tracks}))
    energies = np.array([np.nan if track.energy is None else track.energy for track in found.tracks])
    return arcs.costs(arcs.targets("build", tracks, energies), energies)


def times(model: Model, seeds: list[dict[str, Any]]) -> None:
    """Print how long whole answers take."""
    print("\n| playlist | p50 ms | greatest ms |")
    print("|---|---|---|")
    kinds: dict[str, dict[str, Any]] = {"30 tracks": {"length": {"tracks": 30}}}
    for tracks in (30, 100, 200, 500):
        kinds[f"{tracks} tracks, harmonic"] = {"length": {"tracks": tracks}, "harmonic": True}
    kinds["100 tracks, harmonic, build"] = {"length": {"tracks": 100}, "harmonic": True, "arc": "build"}
    kinds["500 tracks, harmonic, wave, diversity"] = kinds["500 tracks, harmonic"] | {"arc": "wave", "diversity": 0.3}
    kinds["90 minutes, harmonic"] = {"length": {"minutes": 90}, "harmonic": True}
    for name, options in kinds.items():
        timed(name, [lambda s=seed, o=options: playlist(model, query(seeds=[s], **o)) for seed in seeds])
    for tracks in (30, 100, 500):
        ends = list(zip(seeds, seeds[1:] + seeds[:1], strict=True))
        options = {"length": {"tracks": tracks}}
        timed(
            f"path of {tracks} between two",
            [lambda e=pair, o=options: playlist(model, query(waypoints=list(e), **o)) for pair in ends],
        )
    songs = [{"track_id": model.id_of(int(row))} for row in model.most_popular(3000)]
    for count in (30, 400):
        lists = [songs[i : i + count] for i in range(0, 20 * len(seeds), 20)]
        timed(
            f"doctor, {count} songs",
            [lambda g=given: diagnose(model, DoctorQuery.model_validate({"playlist": g})) for given in lists],
        )


def query(**fields: Any) -> PlaylistQuery:
    """Return a request."""
    return PlaylistQuery.model_validate(fields)


def timed(name: str, calls: list[Any]) -> None:
    """Print what some calls take; the first is made once more before, uncounted."""
    calls[0]()
    taken = []
    for call in calls:
        started = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - started))
    print(f"| {name} | {np.median(taken):.0f} | {max(taken):.0f} |", flush=True)


if __name__ == "__main__":
    main()
