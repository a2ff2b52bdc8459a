"""What everybody may know of the model in service, kept in Redis; and what to answer from it without a worker.

The worker that loads a model writes its description, genres and popular lists; the API reads them, so that it needs
neither the model nor a worker. `producer/public.py` reads the same from the model's own files.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import redis
from redis.client import Pipeline

from producer import codec, keys
from producer.connections import translated
from producer.errors import NotReady
from producer.public import GenreList, ModelInfo, PopularList, PopularLists, genre_list, popular_list
from producer.schema import Attempt, Filters, Query, RankedTrack, Result, Seed, SeedMatch
from producer.songs import next_allowed, plain, track_id_of

_Track = dict[str, Any]

_NO_MODEL = "no worker has loaded a model yet"


def publish(connection: redis.Redis, info: dict[str, Any], popular: PopularLists, genres: list[dict[str, Any]]) -> None:
    """Replace all of it in one step, so that no reader sees the lists of one model under the name of another.

    info: a `ModelInfo` as a dict; genres: `GenreCount` as dicts.
    """
    with translated(), connection.pipeline(transaction=True) as pipe:
        pipe.set(keys.MODEL, codec.pack(info))
        pipe.set(keys.GENRES, codec.pack(genres))
        pipe.delete(keys.POPULAR)
        pipe.hset(keys.POPULAR, mapping={genre: codec.pack(tracks) for genre, tracks in popular.items()})
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


def popular_lists(connection: redis.Redis, query: Query) -> tuple[ModelInfo, PopularLists]:
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
    takes a worker is left out: the seeds, weights, diversity, variation, reasons, and the filter on `explicit`.
    The same request gives the same answer.
    """
    known = {track["track_id"]: track for tracks in _needed(popular, query) for track in tracks}
    warnings = [f"no worker answered ({reason}): no seed was looked for; these are popular tracks, not similar ones"]
    if query.filters.explicit is not None:
        warnings.append("filters/explicit was dropped: the popular lists do not tell which tracks are explicit")
    if query.strategies is not None and "popular" not in query.strategies:
        chosen = []
        attempt = Attempt(strategy="popular", outcome="skipped", reason="not one of the request's strategies", ms=0.0)
    else:
        passing = _passing(sorted(known.values(), key=_by_popularity), query.filters)
        chosen = _choose(_songs(passing, query.seeds), query.limit, query.max_per_artist)
        attempt = Attempt(strategy="popular", outcome="used" if chosen else "no_match", reason=reason, ms=0.0)
    if len(chosen) < query.limit:
        warnings.append(f"{len(chosen)} tracks instead of {query.limit}: the popular lists hold no more that pass")
    return Result(
        model=info.version,
        strategy="popular" if chosen else "none",
        degraded=True,
        attempts=[attempt],
        seeds=[_seed_match(seed, known) for seed in query.seeds],
        scanned=0.0,
        tracks=[RankedTrack(rank=rank, score=None, **track) for rank, track in enumerate(chosen, start=1)],
        warnings=warnings,
        notice=info.notice,
    )


def _lists_for(query: Query) -> list[str] | None:
    """Return the names of the lists that `answer` chooses from, None for all: filters leave little of a single one."""
    if query.filters.genres:
        return query.filters.genres
    return [""] if query.filters == Filters() else None


def _needed(popular: PopularLists, query: Query) -> list[list[_Track]]:
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


def _choose(tracks: Iterable[_Track], limit: int, max_per_artist: int) -> list[_Track]:
    """Return up to `limit` tracks, none of an artist's more often than the cap allows: it waits its turn."""
    waiting, chosen = list(tracks), list[_Track]()
    while len(chosen) < limit:
        turn = next_allowed((t["artists"] for t in waiting), [t["artists"] for t in chosen], max_per_artist)
        if turn is None:
            break
        chosen.append(waiting.pop(turn))
    return chosen


def _artist(name: str) -> str:
    return plain(name).removeprefix("the ")


def forget(connection: redis.Redis) -> None:
    """Forget which model is in service and who is alive, for a start at which nobody is. Raises: Unavailable."""
    with translated():
        connection.delete(keys.MODEL, keys.GENRES, keys.POPULAR, keys.WORKERS)


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
