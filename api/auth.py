"""Who asks, and whether they may: API keys at the door of every address but the open ones.

Without keys (on loopback, or with AUTH=off) everybody may do everything, and a caller is known by its address.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import cast

from flask import Flask, Response, g, request

from api.errors import problem
from api.keys import Known

SCOPES = {
    "read": "GET whatever there is",
    "submit": "submit and cancel jobs, batches and playlists",
    "webhooks": "manage webhook endpoints",
    "*": "all of these",
}

OPEN = frozenset({"/", "/livez", "/readyz", "/health", "/openapi.json", "/docs"})
"""Addresses that need no key: an operator's probes, and what a person sees before having one."""

_OPEN_FILES = ("/static/", "/docs/", "/page/")


@dataclass(frozen=True)
class Caller:
    """Who asks. id: of its API key, or `ip:<address>`. per_s, burst: how often it may submit; per_s 0: no limit."""

    id: str
    scopes: frozenset[str]
    per_s: float
    burst: int


def caller() -> Caller:
    """Return who sent the request that is being answered."""
    return cast(Caller, g.caller)


def register(app: Flask, known: Known | None, per_s: float, burst: int) -> None:
    """Find out before each request of `app` who asks, and refuse it with 401 or 403.

    known: None where no keys are asked for. per_s, burst: of callers whose key does not say.
    """

    def identify() -> Response | None:
        asked = request.url_rule
        rule = asked.rule if asked else None
        # No rule: an address that does not exist, or a method that it does not take; both are public knowledge.
        # OPTIONS: browsers ask without a key whether they may ask with one.
        if rule is None or rule in OPEN or rule.startswith(_OPEN_FILES) or request.method == "OPTIONS":
            g.caller = Caller(_address(), frozenset(), 0, 0)
            return None
        if known is None:
            g.caller = Caller(_address(), frozenset("*"), per_s, burst)
            return None
        g.caller = Caller(_address(), frozenset(), 0, 0)
        scheme, _, presented = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return _unauthorized("this address needs an API key: Authorization: Bearer segue_…", "Bearer")
        key = known.find(presented.strip())
        if key is None:
            return _unauthorized("there is no such API key, or it was revoked", 'Bearer error="invalid_token"')
        g.caller = Caller(
            key.id,
            frozenset(key.scopes),
            per_s if key.per_s is None else key.per_s,
            burst if key.burst is None else key.burst,
        )
        wanted = _scope(rule, request.method)
        if g.caller.scopes.isdisjoint({wanted, "*"}):
            answer = problem("forbidden", f"this API key lacks the scope {wanted!r}")
            answer.headers["WWW-Authenticate"] = f'Bearer error="insufficient_scope", scope="{wanted}"'
            return answer
        return None

    app.before_request(identify)


def _scope(rule: str, method: str) -> str:
    if rule.startswith("/v1/webhook"):
        return "webhooks"
    return "read" if method in ("GET", "HEAD") else "submit"


def _unauthorized(detail: str, challenge: str) -> Response:
    answer = problem("unauthorized", detail)
    answer.headers["WWW-Authenticate"] = challenge
    return answer


def _address() -> str:
    """Return `ip:` and the client's address; of IPv6 its /64, because that is what one client has to itself."""
    text = (request.remote_addr or "").strip("[]")
    try:
        address = ipaddress.ip_address(text)
    except ValueError:  # a Unix socket
        return "ip:"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return f"ip:{address.ipv4_mapped}"
        return f"ip:{ipaddress.ip_network((int(address), 64), strict=False)}"
    return f"ip:{address}"
