"""From a request for a playlist to its answer: find songs, choose, put them in order. Knows no Redis, RQ or HTTP."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from artifacts.model import Model
from producer.playlists.shapes import MAX_TRACKS, Playlist, PlaylistQuery, PlaylistTrack
from producer.songs import WINDOW
from worker import arcs, candidates, journey, lengths, sequence, strategies, transitions
from worker.candidates import DEFAULT_ORDER, Picked, Sought, Wish, WrongField
from worker.draft import Draft, too_soon
from worker.pool import F64, Pool, seconds_of
from worker.problem import Order, Problem
from worker.ranking import Candidate
from worker.reporting import Report, silent
from worker.resolve import LookUp
from worker.strategies import Strategy
from worker.transitions import Tracks

_SPARE = 3
"""Candidates, for each track wanted, that the order may choose from beside the best …"""

_LEAST_SPARE, _TIMED_SPARE = 60, 200
"""… at least, and where it is to last so many minutes: the more there are, the nearer it comes …"""

_LARGEST_POOL = 600
"""… and so many in all, unless the playlist is longer: the time of a search grows with it."""

_SHORT_S = 150.0
"""Seconds of a short song: so many fetch enough for a length in minutes."""

_TIMES = 3
"""How often the number of songs is set right by how long those last that were put in order."""

_OFF_ARC = 0.1
"""A mean distance from the arc that is worth a warning."""


def playlist(
    model: Model,
    query: PlaylistQuery,
    order: Sequence[Strategy] = DEFAULT_ORDER,
    look_up: LookUp | None = None,
    report: Report = silent,
) -> Playlist:
    """Answer `query` from `model`. order: the strategies to try unless the request says; look_up: None: no Spotify.

    The same model and query give the same playlist everywhere.

    Raises: WrongField.
    """
    report("seeds", 0.0)
    timed = query.length.minutes is not None
    if timed and model.manifest.coverage.get("duration_ms", 1) == 0:
        raise WrongField("/length/minutes", "this model has no duration_ms")
    sought = candidates.seek(model, query.given, query, order, look_up, timed)
    report("candidates", 0.1)
    points, said = journey.stops(model, sought) if query.waypoints else ([], [])
    if len(points) > 1:
        draft = journey.draft(model, query, sought, points, report)
        draft.warnings = [*said, *draft.warnings]
    else:
        draft = _composed(model, query, sought, report)
    if len(points) == 1:
        draft.warnings.append("only one waypoint was found: these are songs like it, not a path")
        draft.degraded = True
    report("writing", 0.9)
    return _written(model, query, sought, draft)


def _composed(model: Model, query: PlaylistQuery, sought: Sought, report: Report) -> Draft:
    """Choose tracks for what was given, and put them in order."""
    given, warnings = _given(model, query, sought)
    extend = bool(query.extend)
    listed = given if query.include_seeds else []
    wish_s = None if query.length.minutes is None else 60 * query.length.minutes
    if wish_s is None:
        wanted = query.length.tracks or 0
        listed = listed if extend else listed[:wanted]
        left = max(wanted - len(listed), 0)
        warnings += _too_many(query, len(given), len(listed), wanted)
    else:
        lasts = seconds_of(model, np.array(listed, np.intp))
        if not extend:
            listed = listed[: lengths.fitting(lasts, wish_s)]
            warnings += _too_long(query, len(given), len(listed))
        known = float(np.nansum(lasts[: len(listed)]))
        left = min(math.ceil(max(wish_s - known, 0.0) / _SHORT_S) + 1, MAX_TRACKS - len(listed))
    spare = 0
    if (query.arc is not None or query.harmonic or wish_s is not None) and not query.diversity:
        least = _LEAST_SPARE if wish_s is None else _TIMED_SPARE
        spare = min(max(_SPARE * left, least), max(_LARGEST_POOL - left, left // 5))
    before = model.credits(np.array(given if extend else listed, np.intp))
    strategy, picked, said = sought.climb.strategy, Picked([]), list[str]()
    # Half as far apart again as asked for, so that the order has room; where there are too few artists, as asked for.
    for gap in dict.fromkeys((query.artist_gap + (query.artist_gap + 1) // 2, query.artist_gap)) if left else ():
        attempts = len(sought.climb.attempts)
        wish = Wish(query, query.given, left, spare, gap, before)
        strategy, picked, said = candidates.gather(model, wish, sought)
        if len(picked.candidates) == left or gap == query.artist_gap:
            break
        del sought.climb.attempts[attempts:]
    report("ordering", 0.4)
    draft = Draft([], set(listed), strategy, picked, degraded=strategy not in strategies.FINDING)
    draft.warnings += [*warnings, *said]
    head = given[-max(query.artist_gap, WINDOW) :] if extend else []
    pool = Pool.of(model, head, [] if extend else listed, picked.candidates, picked.spare)
    standing = listed[: len(listed) - len(head)] if extend and listed else []
    new = _arranged(
        query, pool, draft, len(listed) if extend else 0, wish_s, seconds_of(model, np.array(standing, np.intp))
    )
    draft.order = [*(listed if extend else []), *(int(row) for row in pool.rows[new])]
    return draft


def _too_many(query: PlaylistQuery, given: int, listed: int, wanted: int) -> list[str]:
    """Say what became of more songs than there are places."""
    if query.extend and listed > wanted:
        return [f"the playlist has {listed} songs already, {wanted} were asked for: nothing was added"]
    if query.include_seeds and listed < given:
        return [f"{given} songs were given for {wanted} places: the first {listed} are in the playlist"]
    return []


def _too_long(query: PlaylistQuery, given: int, listed: int) -> list[str]:
    """Say what became of songs that last longer than the playlist is to."""
    if query.include_seeds and listed < given:
        return [
            f"{given} songs were given for {query.length.minutes:g} minutes: the first {listed} are in the playlist, "
            f"{given - listed} left out"
        ]
    return []


def _arranged(
    query: PlaylistQuery, pool: Pool, draft: Draft, stand: int, wish_s: float | None, standing_s: F64
) -> Order:
    """Return what follows the head, as places in the pool.

    stand: places of the answer that an extended playlist takes; standing_s: how long those last that are not in the
    head.
    """
    start = pool.start
    if wish_s is not None:
        wish_s -= float(np.nansum(standing_s))
        if not stand:
            wish_s += float(np.nansum(pool.seconds[: pool.head]))  # it is not in the answer
        start = _as_long(query, pool, start, wish_s)
    if len(start) == pool.head:
        draft.warnings += [] if wish_s is None else lengths.off(pool.seconds[start], wish_s)
        return start[pool.head :]
    problem, order, wanted = _solved(query, pool, start, stand)
    if wish_s is not None:
        for _ in range(_TIMES):
            # Those that were exchanged for the flow may be shorter or longer than the first ones.
            more = lengths.missing(pool.seconds[order], wish_s)
            places = min(len(order) + more, len(pool.rows), MAX_TRACKS - stand + pool.head)
            places = max(places, pool.head + max(pool.given, 1))
            if places == len(order):
                break
            problem, order, wanted = _solved(query, pool, np.arange(places), stand)
        exchanged = lengths.exchanged(problem, order, pool.seconds, wish_s)
        if not np.array_equal(exchanged, order):
            order = sequence.polish(problem, exchanged)
        draft.warnings += lengths.off(pool.seconds[order], wish_s)
    if clashes := problem.clashes(order) - problem.clashes(order[: pool.head]):
        draft.warnings.append(too_soon(clashes))
    if wanted is not None:
        draft.arc = [round(float(energy), 4) for energy in wanted]
        off_arc = float(np.nanmean(np.abs(pool.tracks.energy[order[pool.head :]] - wanted[stand:])))
        if off_arc > _OFF_ARC:
            draft.warnings.append(f"the songs could not follow the arc: they are {off_arc:.2f} off it on average")
    return order[pool.head :]


def _solved(query: PlaylistQuery, pool: Pool, start: Order, stand: int) -> tuple[Problem, Order, F64 | None]:
    """Put so many songs in order as `start` has, others of the pool instead of them where that pays.

    → the problem, the order, the energies that were aimed at, at all places of the answer.
    """
    wanted, behind = None, None
    if query.arc is not None:
        wanted = arcs.targets(query.arc, stand + len(start) - pool.head, pool.tracks.energy[pool.head :])
        behind = wanted[stand:]
    # One song to start from, and nothing said of how the energy goes: it opens the playlist.
    opening = int(pool.given == 1 and query.arc is None)
    problem = pool.problem(len(start), query.artist_gap, query.max_per_artist, query.harmonic, behind, opening)
    choose = (query.arc is not None or query.harmonic) and len(pool.rows) > len(start)
    starts = [start] if behind is None else [start, _by_energy(pool, start, behind)]
    return problem, sequence.solve(problem, starts, choose), wanted


def _as_long(query: PlaylistQuery, pool: Pool, start: Order, wish_s: float) -> Order:
    """Return so many of the first songs as can be made to last as long as is wished, by exchanging some."""
    ahead = pool.head + pool.given
    count = lengths.count(np.nan_to_num(pool.seconds[start]), wish_s, ahead)
    nearest, best = math.inf, start[:count]
    for taken in (count, count + 1, count - 1):
        if ahead <= taken <= len(start) and taken:
            problem = pool.problem(taken, query.artist_gap, query.max_per_artist, query.harmonic, None)
            order = lengths.exchanged(problem, start[:taken], pool.seconds, wish_s)
            off = abs(float(np.nansum(pool.seconds[order])) - wish_s)
            if off < nearest - lengths.NEAR_S:
                nearest, best = off, start[:taken]
    return best


def _by_energy(pool: Pool, start: Order, wanted: F64) -> Order:
    """Return the songs of `start` with the lowest energy where the lowest is wanted, and so on."""
    free = start[pool.head :]
    ranked = free[np.argsort(np.nan_to_num(pool.tracks.energy[free], nan=0.5), kind="stable")]
    order = start.copy()
    order[pool.head + np.argsort(wanted, kind="stable")] = ranked
    return order


def _given(model: Model, query: PlaylistQuery, sought: Sought) -> tuple[list[int], list[str]]:
    """Return the rows of the songs given, each song once, and what to say of the others."""
    rows: list[int] = []
    first: dict[int, int] = {}
    warnings = []
    for place, row in sought.songs:
        if query.given[place].weight < 0:
            continue
        song = int(model.song[row])
        if song in first:
            warnings.append(f"seed {place + 1}: the same song as seed {first[song] + 1}; it is listed once")
        else:
            first[song] = place
            rows.append(row)
    if query.include_seeds:
        tracks = {place for place, _ in sought.songs}
        warnings += [
            f"seed {i + 1}: not one song of the catalogue, so it guides the choice and is not in the playlist"
            for i, point in enumerate(sought.climb.points)
            if point is not None and i not in tracks and query.given[i].weight > 0
        ]
    return rows, warnings


def _written(model: Model, query: PlaylistQuery, sought: Sought, draft: Draft) -> Playlist:
    rows = np.array(draft.order, np.intp)
    tracks = Tracks.of(model, rows)
    found = {candidate.row: candidate for candidate in [*draft.picked.candidates, *draft.picked.spare]}
    steps = transitions.chain(tracks, np.arange(len(rows)), query.harmonic) if len(rows) else []
    seconds = seconds_of(model, rows)
    scored = draft.picked.request is not None or (query.method == "cluster" and draft.strategy in strategies.FINDING)
    wanted = query.length.tracks
    warnings = [*sought.warnings, *draft.warnings]
    if wanted is not None and len(rows) < wanted:
        warnings.append(f"{len(rows)} tracks instead of {wanted}: no more pass, with artists so far apart")
    return Playlist(
        model=model.manifest.version,
        strategy=draft.strategy,
        degraded=draft.degraded,
        attempts=sought.climb.attempts,
        seeds=sought.matches,
        scanned=round(draft.picked.scanned, 6),
        mean_score=candidates.mean_score(model, query, draft.picked),
        duration_ms=None if np.isnan(seconds).any() else round(1000 * float(seconds.sum())),
        flow=round(sum(step.score for step in steps) / len(steps), 4) if steps else None,
        arc=draft.arc,
        tracks=[
            PlaylistTrack(
                rank=place + 1,
                energy=None if math.isnan(energy) else round(energy, 4),
                given=row in draft.given,
                transition=steps[place - 1] if place else None,
                **_likeness(model, query, draft.picked, found.get(row), scored),
                **shown,
            )
            for place, (row, energy, shown) in enumerate(
                zip(draft.order, tracks.energy.tolist(), model.tracks(rows), strict=True)
            )
        ],
        warnings=warnings,
        notice=model.manifest.notice,
    )


def _likeness(
    model: Model, query: PlaylistQuery, picked: Picked, found: Candidate | None, scored: bool
) -> dict[str, Any]:
    """Return what a track's answer says of its likeness. found: None for a song that was given."""
    if found is None:
        return {"score": None}
    reasons = []
    if query.explain and picked.request is not None:
        reasons = candidates.reasons(model, picked.request(found), found)
    return {
        "score": round(found.score, 4) if scored else None,
        "closer_than": candidates.closer_than(picked, found),
        "reasons": reasons,
    }
