"""The addresses that operators use."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, render_template

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


@ops.get("/")
def index() -> str:
    """Show a person who opened the address in a browser what this is and how to ask it."""
    return render_template("index.html")
