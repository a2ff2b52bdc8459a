"""What everybody may know of the model in service, kept in Redis; and what to answer from it without a worker.

The worker that loads a model writes its description, genres and popular lists; the API reads them, so that it needs
neither the model nor a worker. `producer/public.py` reads the same from the model's own files.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import redis
from redis.client import Pipeline

from producer import charts, codec, keys
from producer.charts import Chart
from producer.connections import translated
from producer.errors import NotReady
from producer.playlists.shapes import MAX_TRACKS, Playlist, PlaylistQuery, PlaylistTrack
from producer.public import GenreList, ModelInfo, PopularList, PopularLists, genre_list, popular_list
from producer.schema import SOUND, Asking, Attempt, Filters, Query, RankedTrack, Result, Seed, SeedMatch
from producer.songs import next_allowed, plain, track_id_of

_Track = dict[str, Any]

_NEAR_MINUTES = 0.5
_LOOKED_BACK_AT = 50

_NO_MODEL = "no worker has loaded a model yet"


def publish(
    connection: redis.Redis,
    info: dict[str, Any],
    popular: PopularLists,
    genres: list[dict[str, Any]],
    chart: Chart | None = None,
) -> None:
    """Replace all of it in one step, so that no reader sees the lists of one model under the name of another.

    info: a `ModelInfo` as a dict; genres: `GenreCount` as dicts; chart: the map, None: there is none.
    """
    with translated(), connection.pipeline(transaction=True) as pipe:
        pipe.set(keys.MODEL, codec.pack(info))
        pipe.set(keys.GENRES, codec.pack(genres))
        pipe.delete(keys.POPULAR)
        pipe.hset(keys.POPULAR, mapping={genre: codec.pack(tracks) for genre, tracks in popular.items()})
        charts.publish(pipe, info, chart)
        pipe.execute()


def model_info(connection: redis.Redis) -> ModelInfo:
    """Return what the model in service holds. Raises: NotReady, Unavailable."""
    with translated():
        return _info(connection.get(keys.MODEL))


def popular(connection: redis.Redis, genre: str | None, limit: int) -> PopularList:
    """Return the `limit` most popular tracks of `genre`, or of all.

    Raises: NotReady; NotFound if the model has no such genre; Unavailable.
    """
    info, tracks = _of_one_model(connection, lambda pipe: pipe.hget(keys.POPULAR, genre or ""))
    return popular_list(info, genre, codec.unpack(tracks) if tracks else None, limit)


def genres(connection: redis.Redis) -> GenreList:
    """Return the genres with how many tracks each has. Raises: NotReady, Unavailable."""
    with translated():
        info, packed = connection.mget(keys.MODEL, keys.GENRES)
    if not isinstance(packed, bytes):
        raise NotReady(_NO_MODEL)
    return genre_list(_info(info), codec.unpack(packed))


def popular_lists(connection: redis.Redis, query: Asking) -> tuple[ModelInfo, PopularLists]:
    """Return the model's description with the popular lists that `answer` needs. Raises: NotReady, Unavailable."""
    names = _lists_for(query)
    if names is None:
        return all_lists(connection)
    info, packed = _of_one_model(connection, lambda pipe: pipe.hmget(keys.POPULAR, names))
    return info, {n: codec.unpack(tracks) for n, tracks in zip(names, packed, strict=True) if tracks is not None}


def all_lists(connection: redis.Redis) -> tuple[ModelInfo, PopularLists]:
    """Return the model's description with all of its popular lists. Raises: NotReady, Unavailable."""
    info, packed = _of_one_model(connection, lambda pipe: pipe.hgetall(keys.POPULAR))
    return info, {name.decode(): codec.unpack(tracks) for name, tracks in packed.items()}


def _of_one_model(connection: redis.Redis, read: Callable[[Pipeline], Any]) -> tuple[ModelInfo, Any]:
    """Return the model's description, and what `read` asks for, of the same model. Raises: NotReady, Unavailable.

    No transaction, because a Redis that is full refuses those: if the model changed meanwhile, it is read again.
    """
    for _ in range(3):
        with translated(), connection.pipeline(transaction=False) as pipe:
            pipe.get(keys.MODEL)
            read(pipe)
            pipe.get(keys.MODEL)
            before, found, after = pipe.execute()
        if before == after:
            return _info(before), found
    raise NotReady("the model changes again and again; try once more")


def _info(packed: Any) -> ModelInfo:
    if packed is None:
        raise NotReady(_NO_MODEL)
    return ModelInfo.model_validate(codec.unpack(packed))


def answer(query: Query, info: ModelInfo, popular: PopularLists, reason: str) -> Result:
    """Answer a request without a worker: with popular tracks that pass its filters. Degraded, and it says so.

    popular: the lists of that model, from Redis or from its files. reason: why no worker answered, in a few words. What
    takes a worker is left out: the seeds, weights, diversity, variation, reasons, and the filters on `explicit` and on
    audio features.
    The same request gives the same answer.
    """
    found = _found(query, query.seeds, popular)
    chosen = list(islice(_chosen(found.tracks, query.max_per_artist), query.limit))
    warnings = [f"no worker answered ({reason}): no seed was looked for; these are popular tracks, not similar ones"]
    warnings += found.warnings
    if len(chosen) < query.limit:
        warnings.append(f"{len(chosen)} tracks instead of {query.limit}: the popular lists hold no more that pass")
    return Result(
        model=info.version,
        strategy="popular" if chosen else "none",
        degraded=True,
        attempts=[found.attempt(chosen, reason)],
        seeds=found.seeds,
        scanned=0.0,
        tracks=[RankedTrack(rank=rank, score=None, **track) for rank, track in enumerate(chosen, start=1)],
        warnings=warnings,
        notice=info.notice,
    )


@dataclass(frozen=True)
class _Found:
    """What the popular lists have for a request. tracks: that pass, the best known first, each song once, no seed."""

    tracks: Iterator[_Track]
    seeds: list[SeedMatch]
    warnings: list[str]
    allowed: bool

    def attempt(self, chosen: Collection[_Track], reason: str) -> Attempt:
        if not self.allowed:
            unwanted = "not one of the request's strategies"
            return Attempt(strategy="popular", outcome="skipped", reason=unwanted, ms=0.0)
        return Attempt(strategy="popular", outcome="used" if chosen else "no_match", reason=reason, ms=0.0)


def _found(query: Asking, seeds: list[Seed], popular: PopularLists) -> _Found:
    known = {track["track_id"]: track for tracks in _needed(popular, query) for track in tracks}
    warnings = []
    for name in SOUND:
        if getattr(query.filters, name) is not None:
            warnings.append(f"filters/{name} was dropped: the popular lists do not tell how tracks sound")
    if query.filters.explicit is not None:
        warnings.append("filters/explicit was dropped: the popular lists do not tell which tracks are explicit")
    allowed = query.strategies is None or "popular" in query.strategies
    passing = _passing(sorted(known.values(), key=_by_popularity), query.filters) if allowed else iter(())
    return _Found(_songs(passing, seeds), [_seed_match(seed, known) for seed in seeds], warnings, allowed)


def playlist(query: PlaylistQuery, info: ModelInfo, popular: PopularLists, reason: str) -> Playlist:
    """Answer a request for a playlist without a worker, as `answer` does one for recommendations.

    It is as long as the popular lists can make it, and no artist comes twice within the gap; the songs that were given
    are not in it, nor is it put into an order: nobody has looked those songs up, and the lists know no energy.
    """
    found = _found(query, query.given, popular)
    chosen = _as_long(found.tracks, query)
    given = "playlist to extend" if query.extend else "waypoint" if query.waypoints else "seed"
    warnings = [f"no worker answered ({reason}): no {given} was looked for; these are popular tracks, in no order"]
    if query.include_seeds:
        warnings.append("the songs that were given are not in it")
    warnings += [
        f"{name} was dropped: it takes a worker"
        for name, wanted in (("arc", query.arc is not None), ("harmonic", query.harmonic))
        if wanted
    ]
    warnings += found.warnings
    durations = [track["duration_ms"] for track in chosen]
    duration_ms = None if None in durations else sum(durations)
    if query.length.minutes is not None:
        minutes = (duration_ms or 0) / 60_000
        if abs(minutes - query.length.minutes) >= _NEAR_MINUTES:
            warnings.append(
                f"{minutes:.1f} minutes instead of {query.length.minutes:g}: as near as popular tracks came"
            )
    elif len(chosen) < (query.length.tracks or 0):
        wanted = query.length.tracks
        warnings.append(f"{len(chosen)} tracks instead of {wanted}: the popular lists hold no more that fit")
    return Playlist(
        model=info.version,
        strategy="popular" if chosen else "none",
        degraded=True,
        attempts=[found.attempt(chosen, reason)],
        seeds=found.seeds,
        scanned=0.0,
        duration_ms=duration_ms,
        flow=None,
        tracks=[
            PlaylistTrack(rank=rank, score=None, energy=None, given=False, transition=None, **track)
            for rank, track in enumerate(chosen, start=1)
        ],
        warnings=warnings,
        notice=info.notice,
    )


def _as_long(tracks: Iterable[_Track], query: PlaylistQuery) -> list[_Track]:
    """Choose as many tracks as were asked for, or until the minutes are as near as one more or less can bring them."""
    if query.length.minutes is None:
        return list(islice(_chosen(tracks, query.max_per_artist, query.artist_gap), query.length.tracks))
    wanted_ms, total_ms, chosen = query.length.minutes * 60_000, 0, list[_Track]()
    timed = (track for track in tracks if track["duration_ms"] is not None)
    for track in islice(_chosen(timed, query.max_per_artist, query.artist_gap), MAX_TRACKS):
        longer_ms = total_ms + track["duration_ms"]
        if chosen and abs(wanted_ms - longer_ms) >= abs(wanted_ms - total_ms):
            break
        chosen.append(track)
        total_ms = longer_ms
    return chosen


def _lists_for(query: Asking) -> list[str] | None:
    """Return the names of the lists that an answer is chosen from, None for all: filters leave little of a single one.

    So does the length of a playlist.
    """
    if query.filters.genres:
        return query.filters.genres
    return [""] if query.filters == Filters() and isinstance(query, Query) else None


def _needed(popular: PopularLists, query: Asking) -> list[list[_Track]]:
    names = _lists_for(query)
    return [tracks for name, tracks in popular.items() if names is None or name in names]


def _seed_match(seed: Seed, known: Mapping[str, _Track]) -> SeedMatch:
    """Return what the answer says of a seed: an id of the lists is that track, all else was not looked for."""
    track = known.get(track_id_of(seed.track_id)) if seed.track_id is not None else None
    if track is None:
        return SeedMatch(track_id=None, name=None, artists=[], match=0.0)
    return SeedMatch(track_id=track["track_id"], name=track["name"], artists=track["artists"], match=1.0)


def _by_popularity(track: _Track) -> tuple[int, str]:
    """Return what to sort by: the best known first, the unknown last, ties by id, as in a worker's answers."""
    return (1 if track["popularity"] is None else -track["popularity"], track["track_id"])


def _passing(tracks: Iterable[_Track], filters: Filters) -> Iterator[_Track]:
    """Yield the tracks that pass, as far as they tell. One whose value is unknown does not pass."""
    between = [(n, b) for n in ("year", "popularity", "tempo", "duration_ms") if (b := getattr(filters, n)) is not None]
    without_tracks = {track_id_of(text) for text in filters.exclude_tracks}
    without_artists = {_artist(name) for name in filters.exclude_artists}
    for track in tracks:
        if (
            all(track[name] is not None and low <= track[name] <= high for name, (low, high) in between)
            and (filters.key is None or track["key"] in filters.key)
            and (filters.mode is None or track["mode"] == filters.mode)
            and (filters.genres is None or not set(filters.genres).isdisjoint(track["genres"]))
            and track["track_id"] not in without_tracks
            and not (without_artists and any(_artist(name) in without_artists for name in track["artists"]))
        ):
            yield track


def _songs(tracks: Iterable[_Track], seeds: Iterable[Seed]) -> Iterator[_Track]:
    """Yield each song once and no seed of the request, as far as ids, titles and artists tell."""
    seed_ids = {track_id_of(seed.track_id) for seed in seeds if seed.track_id is not None}
    seed_names = [(plain(seed.name), seed.artist and _artist(seed.artist)) for seed in seeds if seed.name is not None]
    songs = set()
    for track in tracks:
        title, artists = plain(track["name"]), [_artist(name) for name in track["artists"]]
        song = (title, *artists[:1])
        is_seed = any(title == name and (not artist or artist in artists) for name, artist in seed_names)
        if song not in songs and not is_seed and track["track_id"] not in seed_ids:
            songs.add(song)
            yield track


def _chosen(tracks: Iterable[_Track], max_per_artist: int, gap: int = 0) -> Iterator[_Track]:
    """Yield the tracks, none of an artist's more often or nearer than allowed: it waits its turn.

    No more is looked at than is needed: whoever is refused a request does not have thousands of titles compared.
    """
    source, waiting, artists = iter(tracks), list[_Track](), list[list[str]]()
    while True:
        before = artists[-_LOOKED_BACK_AT:]
        turn = next_allowed((track["artists"] for track in waiting), before, max_per_artist, gap)
        while turn is None:
            track = next(source, None)
            if track is None:
                return
            waiting.append(track)
            if next_allowed([track["artists"]], before, max_per_artist, gap) is not None:
                turn = len(waiting) - 1
        track = waiting.pop(turn)
        artists.append(track["artists"])
        yield track


def _artist(name: str) -> str:
    return plain(name).removeprefix("the ")


def forget(connection: redis.Redis) -> None:
    """Forget which model is in service and who is alive, for a start at which nobody is. Raises: Unavailable."""
    with translated():
        connection.delete(keys.MODEL, keys.GENRES, keys.POPULAR, keys.MAP, keys.WORKERS)


def worker_gone(connection: redis.Redis, name: str) -> None:
    """Say that worker `name` has left."""
    connection.zrem(keys.WORKERS, name)


def jobs_per_s(connection: redis.Redis) -> float:
    """Return how many jobs a second workers have ended lately, of the last 10 to 20 s. Raises: Unavailable."""
    now = time.time()
    tenths = [keys.ENDED.format(tenth=int(now // 10) - back) for back in (0, 1)]
    with translated():
        counted = connection.mget(tenths)
    return sum(int(n or 0) for n in counted) / (10 + now % 10)


def live_workers(connection: redis.Redis) -> int:
    """Return how many workers are alive. Raises: Unavailable."""
    with translated():
        return int(connection.zcount(keys.WORKERS, time.time(), "+inf"))
