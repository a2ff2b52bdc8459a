"""An id for each request, from its first log line to its answer and into its job; a log line when it is answered."""

from __future__ import annotations

import logging
import re
import time
from contextvars import ContextVar
from urllib.parse import quote

from flask import Flask, Response, g, request

from api.front import LAST, WAIT
from producer.queue import new_id

log = logging.getLogger("segue.access")

_ENVIRON = "segue.request_id"
"""In the WSGI environ, once the app has seen a request; whoever asks again for a waiting caller copies the environ."""

_BEGAN, _LOGGED = "segue.began", "segue.logged"
"""In the environ, too: when the request came in, and whether it has its line in the log."""

_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_MOST_PATH = 200


def register(app: Flask, current: ContextVar[str]) -> None:
    """Give each request of `app` an id, its caller's own if there is one, in `g.request_id` and in `current`.

    A request that is asked again keeps its id; the answer that is sent is logged, with the time that it took in all.
    """

    def begin() -> None:
        environ = request.environ
        environ.setdefault(_BEGAN, time.perf_counter())
        request_id = environ.get(_ENVIRON)
        if request_id is None:
            offered = environ.get("HTTP_X_REQUEST_ID", "")
            request_id = environ[_ENVIRON] = offered if _ACCEPTED.fullmatch(offered) else new_id()
        g.request_id = request_id
        current.set(request_id)

    def say(response: Response) -> Response:
        response.headers.add("X-Request-Id", g.request_id)
        environ = request.environ
        is_sent = LAST in environ or WAIT not in response.headers
        if is_sent and _LOGGED not in environ and log.isEnabledFor(logging.INFO):
            environ[_LOGGED] = True
            _log(response.status_code, 1000 * (time.perf_counter() - environ[_BEGAN]))
        return response

    def end(_error: BaseException | None) -> None:
        current.set("")  # the thread goes on to other requests

    app.before_request(begin)
    app.after_request(say)
    app.teardown_request(end)


def _log(status: int, ms: float) -> None:
    """Log that a request was answered: its path quoted, for line breaks in it, and no query, for secrets in it."""
    method, path = request.method, quote(request.path)[:_MOST_PATH]
    asking = g.caller.id if "caller" in g else "-"
    event = {"method": method, "path": path, "status": status, "ms": round(ms, 1), "caller": asking}
    log.info("%s %s %d %.1f ms %s", method, path, status, ms, asking, extra={"event": event})
