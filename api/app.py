"""The Flask app: thin, stateless but for its connection pool."""

from __future__ import annotations

from flask import Response, jsonify
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI

import settings
import telemetry
from api import errors
from api.ops import ops
from api.routes import QUEUE_LIMIT, REDIS, require_json, routes
from producer import connections

MAX_BODY_BYTES = 1_000_000
VERSION = "0.1.0"


def create_app(config: settings.Settings) -> OpenAPI:
    """Return the app. Connects to Redis at the first request, so it starts, and says what is wrong, without one.

    Raises: BadSettings if REDIS_URL is not set.
    """
    if config.redis_url is None:
        raise settings.BadSettings("REDIS_URL is not set: say which Redis holds the queue, or start with ./run.sh")
    app = OpenAPI(
        __name__,
        info=Info(title="Segue", version=VERSION, description="Songs that sound like the songs you name."),
        doc_ui=False,
        validation_error_callback=errors.invalid_fields,
        static_folder=None,
    )
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.config[QUEUE_LIMIT] = config.queue_limit
    app.extensions[REDIS] = connections.quick(config.redis_url, config.redis_timeout_s, 2 * config.api_threads)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the default provider has it; fields stay in our order
    errors.register(app)
    app.before_request(require_json)
    app.after_request(_security_headers)
    app.register_api(routes)
    app.register_blueprint(ops)
    app.add_url_rule("/openapi.json", "openapi", lambda: jsonify(app.api_doc))
    return app


def from_environment() -> OpenAPI:
    """Return the app with the settings of the environment: what the WSGI server calls in each of its processes."""
    config = settings.load()
    telemetry.configure(config.log_level, config.log_format)
    return create_app(config)


def _security_headers(response: Response) -> Response:
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    if response.mimetype == "text/html":
        response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'self'; frame-ancestors 'none'"
    return response
