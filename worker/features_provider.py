"""Audio features of a track that the catalogue does not have, from ReccoBeats: only where an operator opted in.

ReccoBeats (api.reccobeats.com) is free, asks for no key, publishes no limits and promises nothing, so it is pressed
less than Spotify. It names its features as Spotify did, on the same scales.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import redis

from producer import keys
from producer.walled_http import Refused, Rubbish, read_json
from worker.breaker import Limits
from worker.outside import Call, Outcome, Service

RANGES = {
    "danceability": (0.0, 1.0),
    "energy": (0.0, 1.0),
    "loudness": (-60.0, 10.0),
    "speechiness": (0.0, 1.0),
    "acousticness": (0.0, 1.0),
    "instrumentalness": (0.0, 1.0),
    "liveness": (0.0, 1.0),
    "valence": (0.0, 1.0),
    "tempo": (20.0, 300.0),
    "key": (0.0, 11.0),
    "mode": (0.0, 1.0),
}
"""What is read of an answer: a column of `artifacts.features.RAW` → the least and the most it may be. Loudness in dB,
tempo in beats per minute."""

_WHOLE = ("key", "mode")
_ID = re.compile(r"[0-9A-Za-z]{22}")


@dataclass(frozen=True)
class ReccoBeatsConfig:
    """How ReccoBeats is asked. enabled: whether it is asked at all. budget_s: seconds that a look-up may take."""

    enabled: bool = False
    url: str = "https://api.reccobeats.com"
    budget_s: float = 2.5
    limits: Limits = field(default_factory=lambda: Limits(burst=10, per_s=0.5))


@dataclass(frozen=True)
class Features:
    """What became of a look-up. values: column → value; those that the service lacks are absent."""

    outcome: Outcome
    reason: str
    values: dict[str, float] = field(default_factory=dict)
    cached: bool = False
    ms: float = 0.0


class ReccoBeats:
    """ReccoBeats, as this process sees it. Makes no connection until it is asked."""

    def __init__(self, connection: redis.Redis, config: ReccoBeatsConfig) -> None:
        """Take a connection, best a `producer.connections.quick` one."""
        self._service: Service | None = None
        if not config.enabled:
            return
        self._url = config.url.rstrip("/") + "/v1/audio-features"
        self._service = Service(
            "reccobeats",
            connection,
            budget_s=config.budget_s,
            limits=config.limits,
            hit_ttl_s=keys.RECCOBEATS_HIT_TTL_S,
            miss_ttl_s=keys.RECCOBEATS_MISS_TTL_S,
        )

    def features_of(self, spotify_id: str, budget_s: float | None = None) -> Features:
        """Ask for the audio features of a track.

        spotify_id: 22 letters and digits. budget_s: seconds, where there are fewer left than the configured ones.
        """
        if self._service is None:
            return Features("skipped", "not switched on")
        if not _ID.fullmatch(spotify_id):
            return Features("no_match", "no id of Spotify's")
        answer = self._service.look_up(
            keys.RECCOBEATS_FEATURES.format(track_id=spotify_id), partial(self._ask, spotify_id), budget_s
        )
        return Features(answer.outcome, answer.reason, answer.value or {}, answer.cached, answer.ms)

    def close(self) -> None:
        """Close the connections to ReccoBeats."""
        if self._service:
            self._service.close()

    def _ask(self, spotify_id: str, call: Call) -> dict[str, float] | None:
        assert self._service
        try:
            answer = read_json(self._service.session.get(self._url, params={"ids": spotify_id}))
        except Refused as error:
            if error.status == 404:  # how it says of a single track that it has none
                return None
            raise
        items = answer.get("content") if isinstance(answer, dict) else None
        if not isinstance(items, list):
            raise Rubbish("rubbish answer: no features")
        for item in items:
            # Its own ids are others; the address of the track at Spotify says whose features these are.
            if isinstance(item, dict) and spotify_id in re.split(r"[/?:]", str(item.get("href", spotify_id))):
                return _values(item) or None
        return None


def _values(item: dict[str, Any]) -> dict[str, float]:
    values = {}
    for column, (least, most) in RANGES.items():
        value = item.get(column)
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if math.isfinite(value) and least <= value <= most and (column not in _WHOLE or value == int(value)):
            values[column] = float(value)
    return values
