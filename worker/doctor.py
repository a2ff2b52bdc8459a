"""Look at a playlist: how well its songs go together, which do not fit, what jars, and what would mend it."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from artifacts.model import Model, Rows
from artifacts.score import mean_target
from artifacts.score import query as score_query
from producer.playlists.shapes import Bridge, Clash, Diagnosis, DoctorQuery, Misfit, PlaylistTrack, Transition
from producer.schema import Asking, Track
from worker import candidates, misfits, sequence, transitions
from worker.candidates import DEFAULT_ORDER
from worker.pool import Pool
from worker.reporting import Report, silent
from worker.resolve import LookUp
from worker.strategies import Strategy
from worker.transitions import Tracks

F64 = npt.NDArray[np.float64]
Order = npt.NDArray[np.intp]

JARRING = 0.3
"""A transition below this jars: about the worst quarter of those in playlists that people made."""

MENDED = 0.6
"""Below this a transition is worth a song between the two …"""

BRIDGES = 5
"""… the worst ones, so many at most …"""

_BRIDGE_LOOK = 200
"""… which is one of so many that are near to both …"""

_GAIN = 0.02
"""… if each half is better than the whole was, by this much."""

ARTIST_GAP = 5
"""Other songs between two of an artist, in what the doctor proposes."""

_SAMPLES = 5
"""Random lists whose mean coherence is the usual one."""


def diagnose(
    model: Model,
    query: DoctorQuery,
    order: Sequence[Strategy] = DEFAULT_ORDER,
    look_up: LookUp | None = None,
    report: Report = silent,
) -> Diagnosis:
    """Say what is to be said of a playlist, by `model`. order, look_up: as for a playlist.

    The same model and query give the same diagnosis everywhere. Transitions are judged as with harmonic: key and tempo
    count.
    """
    report("seeds", 0.0)
    asking = Asking(strategies=query.strategies)
    sought = candidates.seek(model, query.playlist, asking, order, look_up)
    warnings = list(sought.warnings)
    found = sought.songs
    rows = np.array([row for _, row in found], np.intp)
    if len(rows) < len(query.playlist):
        warnings.append(f"{len(rows)} of {len(query.playlist)} songs were found: the places below are theirs")
    report("looking", 0.2)
    tracks = Tracks.of(model, rows)
    steps = transitions.chain(tracks, np.arange(len(rows)), harmonic=True) if len(rows) else []
    likeness = misfits.to_the_rest(tracks.vector)
    report("ordering", 0.4)
    best, best_flow = _best_order(model, rows, steps)
    report("bridges", 0.7)
    return Diagnosis(
        model=model.manifest.version,
        seeds=sought.matches,
        coherence=round(float(likeness.mean()), 4) if len(rows) > 1 else 0.0,
        usual_coherence=_usual(model, rows),
        flow=_flow(steps),
        best_flow=best_flow,
        duplicates=_duplicates(model, rows),
        misfits=[
            Misfit(
                place=place + 1,
                track=Track(**model.track(int(rows[place]))),
                likeness=round(float(likeness[place]), 4),
                why=misfits.why(model, rows, place),
            )
            for place in misfits.places(likeness)
        ],
        clashes=[Clash(place=i + 1, transition=step) for i, step in enumerate(steps) if step.score < JARRING],
        bridges=_bridges(model, rows, tracks, steps),
        order=[int(at) + 1 for at in best],
        tracks=_written(model, rows, tracks, steps),
        warnings=warnings,
        notice=model.manifest.notice,
    )


def _flow(steps: Sequence[Transition]) -> float:
    return round(sum(step.score for step in steps) / len(steps), 4) if steps else 0.0


def _written(model: Model, rows: Rows, tracks: Tracks, steps: Sequence[Transition]) -> list[PlaylistTrack]:
    return [
        PlaylistTrack(
            rank=place + 1,
            score=None,
            energy=None if np.isnan(energy) else round(energy, 4),
            given=True,
            transition=steps[place - 1] if place else None,
            **track,
        )
        for place, (track, energy) in enumerate(zip(model.tracks(rows), tracks.energy.tolist(), strict=True))
    ]


def _usual(model: Model, rows: Rows) -> float:
    """Return the coherence of as many random songs, the mean of a few draws. The playlist is the draw's seed."""
    count = min(len(rows), len(model))
    if count < 2:
        return 0.0
    text = "\n".join(model.id_of(int(row)) for row in rows)
    rng = np.random.default_rng(int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big"))
    by_id = model.arrays["id_row"]  # a draw of places among the ids does not depend on how rows are stored
    drawn = [np.asarray(by_id[rng.choice(len(model), count, replace=False)], np.intp) for _ in range(_SAMPLES)]
    return round(float(np.mean([misfits.to_the_rest(model.likeness_vectors(d)).mean() for d in drawn])), 4)


def _duplicates(model: Model, rows: Rows) -> list[list[int]]:
    places: dict[int, list[int]] = {}
    for place, song in enumerate(model.song[rows].tolist(), start=1):
        places.setdefault(song, []).append(place)
    return [same for same in places.values() if len(same) > 1]


def _best_order(model: Model, rows: Rows, steps: Sequence[Transition]) -> tuple[Order, float]:
    """Return the best order found of the songs, and its flow; as it is, where nothing better was found."""
    as_is = np.arange(len(rows))
    if len(rows) < 3:
        return as_is, _flow(steps)
    pool = Pool.of(model, [], [int(row) for row in rows], [], [])
    problem = pool.problem(len(rows), ARTIST_GAP, 10, True, None)
    best = sequence.solve(problem, [as_is])
    flow = _flow(transitions.chain(pool.tracks, best, harmonic=True))
    return (best, flow) if flow > _flow(steps) else (as_is, _flow(steps))


def _bridges(model: Model, rows: Rows, tracks: Tracks, steps: Sequence[Transition]) -> list[Bridge]:
    """Find songs for the worst transitions: near to both sides, and both halves better than the whole."""
    worst = sorted((i for i, step in enumerate(steps) if step.score < MENDED), key=lambda i: (steps[i].score, i))
    taken = {int(song) for song in model.song[rows]}
    credits = model.credits(rows)
    bridges = []
    for after in worst[:BRIDGES]:
        target = mean_target([model.target([int(row)]) for row in rows[after : after + 2]], [1.0, 1.0])
        near = model.nearest(score_query(target, {}), _BRIDGE_LOOK + len(taken)).rows
        around = {code for codes in credits[max(after + 1 - ARTIST_GAP, 0) : after + 1 + ARTIST_GAP] for code in codes}
        new = [
            not around & set(codes) and song not in taken
            for codes, song in zip(model.credits(near), model.song[near].tolist(), strict=True)
        ]
        near = near[new]
        if not len(near):
            continue
        between = Tracks.of(model, near)
        sides = tracks[np.array([after, after + 1])]
        halves = 1 - transitions.costs(sides, between, harmonic=True)
        best = int(np.lexsort((np.arange(len(near)), -halves.mean(axis=0).round(4), -halves.min(axis=0).round(4)))[0])
        worst_after = float(halves[:, best].min())
        if worst_after > steps[after].score + _GAIN:
            taken.add(int(model.song[near[best]]))
            bridges.append(
                Bridge(
                    after=after + 1,
                    track=Track(**model.track(int(near[best]))),
                    before_score=steps[after].score,
                    worst_after=round(worst_after, 4),
                )
            )
    return bridges
