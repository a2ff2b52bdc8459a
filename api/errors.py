"""Every error as problem JSON (RFC 9457), from one table of stable codes.

The body: `type`, `title`, `status`, `detail`, `code`, `instance`; for wrong fields `errors`, a list of
`{pointer, detail}`.
`docs/reference/errors.md` lists the codes; a test compares the two.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, g, json, make_response
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from producer.errors import ProducerError

log = logging.getLogger("segue.api")

CODES: dict[str, tuple[HTTPStatus, str]] = {
    "malformed-json": (HTTPStatus.BAD_REQUEST, "The body is no JSON"),
    "bad-request": (HTTPStatus.BAD_REQUEST, "The request cannot be read"),
    "unauthorized": (HTTPStatus.UNAUTHORIZED, "This needs an API key"),
    "forbidden": (HTTPStatus.FORBIDDEN, "The API key does not allow this"),
    "not-found": (HTTPStatus.NOT_FOUND, "There is no such thing"),
    "method-not-allowed": (HTTPStatus.METHOD_NOT_ALLOWED, "This address does not take this method"),
    "expired": (HTTPStatus.GONE, "The result is no longer kept"),
    "not-acceptable": (HTTPStatus.NOT_ACCEPTABLE, "There is no such format"),
    "too-slow": (HTTPStatus.REQUEST_TIMEOUT, "The body did not arrive in time"),
    "job-failed": (HTTPStatus.CONFLICT, "The job has failed"),
    "job-canceled": (HTTPStatus.CONFLICT, "The job was canceled"),
    "too-large": (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too large"),
    "unsupported-media-type": (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body is of another type than JSON"),
    "invalid-request": (HTTPStatus.UNPROCESSABLE_ENTITY, "The request has wrong fields"),
    "idempotency-key-reused": (HTTPStatus.UNPROCESSABLE_ENTITY, "The Idempotency-Key belongs to another request"),
    "unsafe-url": (HTTPStatus.UNPROCESSABLE_ENTITY, "Webhooks are not sent to this address"),
    "rate-limited": (HTTPStatus.TOO_MANY_REQUESTS, "Too many requests"),
    "internal": (HTTPStatus.INTERNAL_SERVER_ERROR, "Something broke on our side"),
    "bad-message": (HTTPStatus.INTERNAL_SERVER_ERROR, "Redis holds what Segue did not write"),
    "busy": (HTTPStatus.SERVICE_UNAVAILABLE, "Too many requests at once"),
    "queue-full": (HTTPStatus.SERVICE_UNAVAILABLE, "Too many jobs wait"),
    "redis-unavailable": (HTTPStatus.SERVICE_UNAVAILABLE, "Redis does not answer"),
    "not-ready": (HTTPStatus.SERVICE_UNAVAILABLE, "No model is loaded yet"),
    "no-workers": (HTTPStatus.SERVICE_UNAVAILABLE, "No worker is alive"),
}

_CODE_OF_STATUS = {
    HTTPStatus.NOT_FOUND: "not-found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method-not-allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too-large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "unsupported-media-type",
}
_RETRY_AFTER_S = 2
_MAX_FIELD_ERRORS = 20


def problem(
    code: str,
    detail: str,
    errors: Sequence[dict[str, str]] = (),
    *,
    retry_after_s: float | None = None,
    more: Mapping[str, Any] | None = None,
) -> Response:
    """Return the problem JSON of `code`.

    detail: a sentence on this occurrence; errors: the wrong fields; more: further members of the body. retry_after_s:
    when to try again, rounded up to a whole second; None: in 2 s after a 503, not said after others.
    """
    status, title = CODES[code]
    body: dict[str, Any] = {
        "type": f"urn:segue:error:{code}",
        "title": title,
        "status": status.value,
        "detail": detail,
        "code": code,
        **(more or {}),
    }
    if "request_id" in g:
        body["instance"] = f"urn:segue:request:{g.request_id}"
    if errors:
        body["errors"] = list(errors)
    response = make_response(json.dumps(body), status)
    response.content_type = "application/problem+json"
    if retry_after_s is None and status is HTTPStatus.SERVICE_UNAVAILABLE:
        retry_after_s = _RETRY_AFTER_S
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(max(1, math.ceil(retry_after_s)))
    return response


def invalid_fields(error: ValidationError) -> Response:
    """Return the problem JSON of what pydantic found wrong, a JSON pointer (RFC 6901) to each field."""
    errors, count = wrong_fields(error), error.error_count()
    more = f" (the first {_MAX_FIELD_ERRORS} of {count})" if count > _MAX_FIELD_ERRORS else ""
    return problem(
        "invalid-request",
        f"{count} fields are wrong{more}; see errors"
        if count > 1
        else f"{errors[0]['pointer'] or 'the body'}: {errors[0]['detail']}",
        errors,
    )


def wrong_fields(error: ValidationError) -> list[dict[str, str]]:
    """Return pointer and detail of each wrong field, of the first twenty."""
    found = error.errors(include_url=False, include_context=False)
    return [{"pointer": _pointer(e["loc"]), "detail": _explain(e)} for e in found[:_MAX_FIELD_ERRORS]]


def _pointer(location: Sequence[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


def _explain(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "there is no such field"
    return str(error["msg"]).removeprefix("Value error, ")


def register(app: Flask) -> None:
    """Turn every exception of `app` into problem JSON; a traceback goes to the log, never to a client."""

    def known(error: ProducerError) -> Response:
        return problem(error.code, str(error), retry_after_s=getattr(error, "retry_after_s", None))

    def http(error: HTTPException) -> Response:
        status = HTTPStatus(error.code or 500)
        fallback = "bad-request" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "internal"
        answer = problem(_CODE_OF_STATUS.get(status, fallback), error.description or status.phrase)
        for name, value in error.get_headers():
            if name == "Allow":
                answer.headers[name] = value
        return answer

    def unexpected(error: Exception) -> Response:
        log.error("unhandled", exc_info=error)
        return problem("internal", "it was logged; the same request may fail again")

    app.register_error_handler(ProducerError, known)
    app.register_error_handler(HTTPException, http)
    app.register_error_handler(Exception, unexpected)
