"""The yardsticks of `bench/load.py`: servers that do less than ours, built from the same parts.

bare: parses and validates the same body behind the same front, and answers with a constant. synchronous: the same
engine called inside a Flask view, no queue, as a service would do it that has none.
"""

from __future__ import annotations

import threading

from flask import Flask, Response, jsonify
from flask_openapi3.openapi import OpenAPI
from pydantic import BaseModel

import settings
import telemetry
from api import auth, headers, limits, tracing
from api.front import Front
from api.json_body import require_json
from producer.schema import Query

_CONSTANT = {"id": "0192f0c1-2f3a-7b00-8000-000000000000", "status": "queued", "links": {"self": "/v1/jobs/0"}}


class _Path(BaseModel):
    job_id: str


def bare() -> Front:
    """Return the server that validates, and answers with a constant."""
    config = settings.load()
    app = OpenAPI(__name__, doc_ui=False)
    tracing.register(app, telemetry.REQUEST_ID)
    headers.register(app, config.origins)
    auth.register(app, None, config.rate_per_s, config.rate_burst)
    limits.register(app)
    app.before_request(require_json)

    @app.post("/v1/recommendations")
    def submit(body: Query) -> tuple[Response, int]:
        return jsonify(_CONSTANT), 202

    @app.get("/v1/jobs/<job_id>")
    def job(path: _Path) -> Response:
        return jsonify(_CONSTANT | {"id": path.job_id})

    @app.get("/livez")
    def livez() -> Response:
        return jsonify({"status": "ok"})

    return Front(app, str(config.redis_url), config.api_threads)


def synchronous() -> Flask:
    """Return the server that computes in its views, an engine a process."""
    from artifacts import store
    from artifacts.model import Model
    from worker import pipeline

    config = settings.load()
    version = store.current(config.models_dir)
    assert version is not None
    model = Model.load(config.models_dir, version, verify=False)
    model.nearest(model.query([0], {}), 10)
    lock = threading.Lock()
    app = OpenAPI(__name__, doc_ui=False)

    @app.post("/v1/recommendations")
    def recommend(body: Query) -> Response:
        with lock:  # numpy would let threads in turn anyway, at worse latencies
            return jsonify(pipeline.recommend(model, body).model_dump())

    @app.get("/livez")
    def livez() -> Response:
        return jsonify({"status": "ok"})

    return app
