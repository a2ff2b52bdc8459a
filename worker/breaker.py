"""Whether a service outside may be asked now: a circuit breaker and a token bucket, in Redis, one for all workers.

The breaker is *closed* (ask), *open* (nobody asks until a time), or *half-open* (that time has passed: one caller asks,
as a probe; its success closes the breaker, its failure opens it again). The clock is Redis's, the same for everybody.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import redis

from producer import keys

log = logging.getLogger("segue.worker")

# KEYS[1]  the breaker, a hash: until (ms, when it may be tried again; absent: closed), reason,
#          probe (who is trying), probe_until (ms, when that one is given up), failures and since (ms) while closed
# KEYS[2]  the bucket, a hash: tokens (at most the burst), at (ms, when they were counted)
_NOW = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)     -- Unix milliseconds
local function ms(number) return string.format('%d', number) end
"""

# ARGV[1]  who asks: any id, the same for all calls of one look-up, so that a probe may call twice
# ARGV[2]  ms after which a probe that has said nothing is given up
# ARGV[3]  the burst: tokens of a full bucket        ARGV[4]  tokens that flow in a second
# → verdict, ms to wait, reason. The verdicts: go, probe (go, and say how it went), open, probing, empty.
_ENTER = f"""{_NOW}
local breaker = redis.call('HMGET', KEYS[1], 'until', 'reason', 'probe', 'probe_until')
local open_until = tonumber(breaker[1] or 0)                  -- 0: closed
if open_until > now then
    return {{'open', open_until - now, breaker[2]}}
end
local probe_until = tonumber(breaker[4] or 0)
if open_until > 0 and breaker[3] ~= ARGV[1] and probe_until > now then
    return {{'probing', probe_until - now, breaker[2]}}       -- half-open, and another one is trying
end
local burst, per_s = tonumber(ARGV[3]), tonumber(ARGV[4])
local tokens = burst                                          -- an absent bucket is a full one
local bucket = redis.call('HMGET', KEYS[2], 'tokens', 'at')
if bucket[1] then
    local passed_s = math.max(0, now - bucket[2]) / 1000      -- never negative, though the clock be set back
    tokens = math.min(burst, bucket[1] + passed_s * per_s)
end
if tokens < 1 then                                            -- nothing is written: asking in vain costs nothing
    return {{'empty', math.ceil((1 - tokens) / per_s * 1000), ''}}
end
redis.call('HSET', KEYS[2], 'tokens', string.format('%.6f', tokens - 1), 'at', ms(now))
redis.call('PEXPIRE', KEYS[2], ms(burst / per_s * 1000 + 1000))   -- full again by then
if open_until == 0 then
    return {{'go', 0, ''}}
end
redis.call('HSET', KEYS[1], 'probe', ARGV[1], 'probe_until', ms(now + ARGV[2]))
return {{'probe', 0, ''}}
"""

# ARGV[1]  the reason     ARGV[2]  failures that open the breaker     ARGV[3]  ms within which they must come
# ARGV[4]  ms for which it opens          ARGV[5]  ms for which it is remembered half-open after that
# → 1 if this failure opened it
_FAILED = f"""{_NOW}
local breaker = redis.call('HMGET', KEYS[1], 'until', 'failures', 'since')
local open_until = tonumber(breaker[1] or 0)
if open_until > now then
    return 0                                                  -- a straggler: it is open already
end
local failures, since = tonumber(breaker[2] or 0), tonumber(breaker[3] or 0)
if now - since > tonumber(ARGV[3]) then                       -- the old ones are too long ago
    failures, since = 0, now
end
failures = failures + 1
if open_until == 0 and failures < tonumber(ARGV[2]) then      -- half-open, one failure is enough
    redis.call('HSET', KEYS[1], 'failures', failures, 'since', ms(since))
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
    return 0
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'until', ms(now + ARGV[4]), 'reason', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ms(ARGV[4] + ARGV[5]))
return 1
"""

# ARGV[1]  the reason     ARGV[2]  ms for which it opens     ARGV[3]  ms for which it is remembered after that
# → 1 if it is open by this, 0 if it was open for longer already
_OPEN = f"""{_NOW}
if tonumber(redis.call('HGET', KEYS[1], 'until') or 0) >= now + ARGV[2] then
    return 0
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'until', ms(now + ARGV[2]), 'reason', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ms(ARGV[2] + ARGV[3]))
return 1
"""

# Closes the breaker if it is half-open: one that another caller has opened meanwhile stays so.
_SUCCEEDED = f"""{_NOW}
local open_until = tonumber(redis.call('HGET', KEYS[1], 'until') or 0)
if open_until > 0 and open_until <= now then
    redis.call('DEL', KEYS[1])
end
"""


class Closed(Exception):
    """The service may not be asked now; the message says why and for how long."""


@dataclass(frozen=True)
class Limits:
    """How hard a service may be pressed, by all workers together.

    burst, per_s: the token bucket; in any t seconds at most burst + t × per_s calls, so 60 in 30 s by default.
    failures, window_s, open_s: so many within so long open the breaker for so long.
    """

    burst: int = 30
    per_s: float = 1.0
    failures: int = 5
    window_s: float = 60.0
    open_s: float = keys.BREAKER_OPEN_S


class Gate:
    """The breaker and the bucket of one service. Every method raises redis.RedisError where Redis fails."""

    def __init__(self, connection: redis.Redis, service: str, limits: Limits, probe_s: float) -> None:
        """service: names the keys. probe_s: how long a probe may take before another one is let through."""
        self._service, self._limits, self._probe_s = service, limits, probe_s
        self._breaker, self._bucket = keys.BREAKER.format(service=service), keys.BUCKET.format(service=service)
        self._enter_script = connection.register_script(_ENTER)
        self._failed_script = connection.register_script(_FAILED)
        self._open_script = connection.register_script(_OPEN)
        self._succeeded_script = connection.register_script(_SUCCEEDED)

    def enter(self, caller: str) -> bool:
        """Take a token for a call by `caller`. → whether it is a probe. Raises: Closed."""
        verdict, wait_ms, reason = self._enter_script(
            keys=[self._breaker, self._bucket],
            args=[caller, _ms(self._probe_s), self._limits.burst, self._limits.per_s],
        )
        wait_s, why = int(wait_ms) / 1000, bytes(reason or b"").decode("utf-8", "replace")
        match bytes(verdict):
            case b"open":
                until = datetime.now(UTC) + timedelta(seconds=wait_s)
                raise Closed(f"breaker open until {until:%H:%M:%S} UTC: {why}")
            case b"probing":
                raise Closed(f"breaker half-open, another caller is trying: {why}")
            case b"empty":
                raise Closed(f"rate limited for {wait_s:.1f} s by our own bound")
            case other:
                return other == b"probe"

    def failed(self, reason: str) -> None:
        """Count a failure; the last of too many opens the breaker."""
        limits = self._limits
        why = f"{limits.failures} failures, the last: {reason}" if limits.failures > 1 else reason
        if self._failed_script(
            keys=[self._breaker],
            args=[why, limits.failures, _ms(limits.window_s), _ms(limits.open_s), _ms(keys.BREAKER_MEMORY_S)],
        ):
            log.warning("%s: not asked for %.0f s: %s", self._service, limits.open_s, why)

    def open(self, reason: str, for_s: float) -> None:
        """Open the breaker for `for_s` seconds from now, unless it is open for longer already."""
        if self._open_script(keys=[self._breaker], args=[reason, _ms(for_s), _ms(keys.BREAKER_MEMORY_S)]):
            log.warning("%s: not asked for %.0f s: %s", self._service, for_s, reason)

    def succeeded(self) -> None:
        """Say that the service answered: closes the breaker if it is half-open."""
        self._succeeded_script(keys=[self._breaker])


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
