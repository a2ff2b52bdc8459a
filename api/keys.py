"""API keys: made, listed and revoked from the shell, looked up when somebody calls.

A key reads `segue_<id>_<secret>`: 12 hexadecimal digits to find it by, and 256 random bits. Redis holds its SHA-256
only, so whoever reads Redis cannot call the API; nobody guesses 256 random bits, so no slower hash is needed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Any

import redis

from producer import codec
from producer.connections import translated
from producer.errors import BadMessage
from producer.keys import API_KEYS

REMEMBERED_S = 2.0
"""A process asks Redis for a key again after so many seconds: a revoked one works no longer than that."""

_MOST_REMEMBERED = 1000
_KEY = re.compile(r"segue_([0-9a-f]{12})_[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True)
class ApiKey:
    """A key, without its secret. per_s, burst: None where the settings decide; per_s 0: no limit."""

    id: str
    name: str
    digest: bytes
    scopes: tuple[str, ...]
    per_s: float | None
    burst: int | None
    created_at: str


def create(
    connection: redis.Redis, name: str, scopes: Sequence[str], per_s: float | None = None, burst: int | None = None
) -> str:
    """Make a key. → the key itself, which nobody can read again. Raises: Unavailable."""
    key_id = secrets.token_hex(6)
    key = f"segue_{key_id}_{secrets.token_urlsafe(32)}"
    created_at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    record = ApiKey(key_id, name, _digest(key), tuple(scopes), per_s, burst, created_at)
    with translated():
        connection.hset(API_KEYS, key_id, codec.pack(asdict(record)))
    return key


def list_all(connection: redis.Redis) -> list[ApiKey]:
    """Return all keys, the oldest first. Raises: Unavailable, BadMessage."""
    with translated():
        held = connection.hgetall(API_KEYS)
    return sorted(map(_record, held.values()), key=lambda key: (key.created_at, key.id))


def exist(connection: redis.Redis) -> bool:
    """Return whether there is any key. Raises: Unavailable."""
    with translated():
        return bool(connection.hlen(API_KEYS))


def revoke(connection: redis.Redis, key_id: str) -> bool:
    """Delete a key. → False: there is none with this id. Raises: Unavailable."""
    with translated():
        return bool(connection.hdel(API_KEYS, key_id))


class Known:
    """The keys as one process knows them: those that were used lately, no older than REMEMBERED_S."""

    def __init__(self, connection: redis.Redis) -> None:
        self._connection = connection
        self._lock = Lock()
        self._remembered: OrderedDict[str, tuple[float, ApiKey]] = OrderedDict()

    def find(self, presented: str) -> ApiKey | None:
        """Return the key that a caller presents, None if there is no such key. Raises: Unavailable, BadMessage."""
        parsed = _KEY.fullmatch(presented)
        key = self._get(parsed[1]) if parsed else None
        return key if key and hmac.compare_digest(key.digest, _digest(presented)) else None

    def _get(self, key_id: str) -> ApiKey | None:
        now = time.monotonic()
        with self._lock:
            until, key = self._remembered.get(key_id, (0.0, None))
        if now < until:
            return key
        with translated():
            packed = self._connection.hget(API_KEYS, key_id)
        key = _record(packed) if packed is not None else None
        with self._lock:
            self._remembered.pop(key_id, None)
            if key:  # an unknown id is not remembered, so that made-up ones cannot push others out
                self._remembered[key_id] = (now + REMEMBERED_S, key)
                if len(self._remembered) > _MOST_REMEMBERED:
                    self._remembered.popitem(last=False)
        return key


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _record(packed: Any) -> ApiKey:
    fields = codec.unpack(packed)
    try:
        return ApiKey(**fields | {"scopes": tuple(fields["scopes"])})
    except (TypeError, KeyError) as error:
        raise BadMessage(f"{API_KEYS} holds what is no key: {error}") from error
