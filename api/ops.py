"""The addresses that operators use."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from api.errors import problem
from api.service import connection
from producer import fallback, queue

ops = Blueprint("ops", __name__)


@ops.get("/livez")
def livez() -> Response:
    """Answer 200 as long as this process answers at all."""
    return jsonify({"status": "ok"})


@ops.get("/readyz")
def readyz() -> Response:
    """Answer 200 if a request sent now would be answered: Redis is up, a model is loaded and a worker is alive."""
    info = fallback.model_info(connection())
    workers = fallback.live_workers(connection())
    if workers == 0:
        return problem("no-workers", "jobs are taken, but nobody is there to work them off")
    waiting = queue.waiting(connection())
    return jsonify({"status": "ok", "workers": workers, "waiting": waiting, "model": info.version})
