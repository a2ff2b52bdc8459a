"""Headers that every answer has: what browsers may do with it, and which origins' pages may read it (CORS)."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Flask, Response, current_app, request

_SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_POLICY = "default-src 'none'; frame-ancestors 'none'"
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_ACCEPTED = "Authorization, Content-Type, Idempotency-Key, If-None-Match, Prefer, X-Request-Id"
_EXPOSED = (
    "Content-Disposition, ETag, Idempotency-Replayed, Location, Preference-Applied, RateLimit, RateLimit-Policy, "
    "Retry-After, Segue-Complete, Segue-Lines, Segue-Source, X-Request-Id"
)
_PREFLIGHT_S = 600
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def register(app: Flask, origins: Sequence[str]) -> None:
    """Add the headers to each answer of `app`. origins: whose pages may read it, exactly as browsers send them, or `*`.

    No answer is stored by caches unless its route says so. Cookies are of no use here, so no origin may send any.
    """

    def secure(response: Response) -> Response:
        told = response.headers
        told.extend(_SECURITY)
        told.setdefault("Content-Security-Policy", _PAGE_POLICY if response.mimetype == "text/html" else _POLICY)
        told.setdefault("Cache-Control", "no-store")
        return response

    def preflight() -> Response | None:
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            return None
        if request.routing_exception or not _allowed(origins):
            return None
        response = current_app.make_default_options_response()
        response.headers["Access-Control-Allow-Methods"] = ", ".join(m for m in _METHODS if m in response.allow)
        response.headers["Access-Control-Allow-Headers"] = _ACCEPTED
        response.headers["Access-Control-Max-Age"] = str(_PREFLIGHT_S)
        return response

    def share(response: Response) -> Response:
        if not origins:
            return response
        if tuple(origins) != ("*",):
            response.vary.add("Origin")
        if allowed := _allowed(origins):
            response.headers["Access-Control-Allow-Origin"] = allowed
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED
        return response

    app.before_request(preflight)
    app.after_request(share)
    app.after_request(secure)


def _allowed(origins: Sequence[str]) -> str | None:
    """Return the origin that may read the answer to this request, as it is to be told."""
    if tuple(origins) == ("*",):
        return "*"
    origin = request.headers.get("Origin")
    return origin if origin in origins else None
