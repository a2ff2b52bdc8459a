"""The Lua scripts, each one step in Redis.

`lua/jobs.lua` says how a job changes its state, `lua/deliveries.lua` how a webhook's delivery does, the others what is
asked.

Keys are built inside the scripts, so they need one Redis server, not a Redis Cluster.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgpack
import redis
from redis.client import Pipeline
from redis.exceptions import NoScriptError

_FOLDER = Path(__file__).parent / "lua"


class Script:
    """A script that takes one map, `given` in its text. sha: how Redis calls it. about: what its text begins with."""

    def __init__(self, name: str, about: str = "jobs") -> None:
        self._text = "\n".join((_FOLDER / f"{part}.lua").read_text(encoding="utf-8") for part in (about, name))
        self.sha = hashlib.sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, connection: redis.Redis, **given: Any) -> Any:
        """Run it: one round trip, but for the first call after Redis forgot its scripts. Raises: redis.RedisError."""
        packed = _packed(given)
        try:
            return connection.evalsha(self.sha, 0, packed)
        except NoScriptError:
            return connection.eval(self._text, 0, packed)

    def within(self, pipeline: Pipeline, **given: Any) -> None:
        """Add it to a transaction, which has no second try: so with its whole text."""
        pipeline.eval(self._text, 0, _packed(given))


def _packed(given: dict[str, Any]) -> bytes:
    packed: bytes = msgpack.packb(_without_none(given), use_bin_type=False)
    return packed


def _without_none(given: Any) -> Any:
    """Leave out what is None: in Lua it would be a value, not an absence."""
    if isinstance(given, dict):
        return {name: _without_none(value) for name, value in given.items() if value is not None}
    if isinstance(given, list):
        return [_without_none(value) for value in given]
    return given


SUBMIT = Script("submit")
READ = Script("read")
FINISH = Script("finish")
STEP = Script("step")
BEAT = Script("beat")
PROGRESS = Script("progress")
RECOVER = Script("recover")
OPEN_BATCH = Script("open_batch")
ADD_PARTS = Script("add_parts")
TOLD = Script("told")
EXPAND = Script("expand", "deliveries")
DELIVER = Script("deliver", "deliveries")
REPLAY = Script("replay", "deliveries")
ENDPOINT = Script("endpoint", "deliveries")
SECRET = Script("secret", "deliveries")
