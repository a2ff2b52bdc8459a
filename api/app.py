"""The Flask app: thin, stateless but for its connection pool; and the front that serves it."""

from __future__ import annotations

from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI

import settings
import telemetry
from api import auth, errors, headers, keys, limits, tracing
from api.batches import BatchBody, batches
from api.catalogue import catalogue
from api.contract import describe
from api.docs import docs
from api.front import MAX_BATCH_BYTES, Front
from api.jobs import jobs
from api.json_body import require_json
from api.map import charts
from api.model import model
from api.ops import ops
from api.page import page
from api.parameters import refuse_unknown_parameters, refuse_what_did_not_arrive
from api.plain import plain
from api.playlists import playlists
from api.service import FILES, QUEUE_LIMIT, REDIS
from api.webhook_checks import ADDRESSES, Addresses
from api.webhooks import webhooks
from producer import connections, overdue
from producer.addresses import Policy
from producer.public import PublicFiles

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
        security_schemes={"key": {"type": "http", "scheme": "bearer", "description": "An API key: segue_…"}},
        openapi_extensions={"security": [{"key": []}] if config.asks_for_keys else []},
        doc_ui=False,
        validation_error_callback=errors.invalid_fields,
        static_folder=None,
    )
    app.config["MAX_CONTENT_LENGTH"] = MAX_BATCH_BYTES  # the front has bounded it, by address
    app.config[QUEUE_LIMIT] = config.queue_limit
    app.extensions[REDIS] = connections.quick(config.redis_url, config.redis_timeout_s, 2 * config.api_threads)
    app.extensions[FILES] = PublicFiles(config.models_dir)
    policy = Policy.of(config.webhook_allow_networks, config.webhook_ports, config.webhook_allow_http)
    app.extensions[ADDRESSES] = Addresses(policy)
    app.url_map.merge_slashes = False  # //v1 is no address of ours, and no redirect is problem JSON
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the default provider has it; fields stay in our order
    errors.register(app)
    tracing.register(app, telemetry.REQUEST_ID)
    headers.register(app, config.origins)
    known = keys.Known(app.extensions[REDIS]) if config.asks_for_keys else None
    auth.register(app, known, config.rate_per_s, config.rate_burst)
    limits.register(app)
    for look in (refuse_what_did_not_arrive, require_json, refuse_unknown_parameters):
        app.before_request(look)
    for contract in (jobs, playlists, batches, webhooks, catalogue, model, charts):
        app.register_api(contract)
    describe(app, BatchBody)
    for blueprint in (page, plain, docs, ops):
        app.register_blueprint(blueprint)
    return app


def from_environment() -> Front:
    """Return what serves, with the settings of the environment: each of the server's processes calls this once."""
    config = settings.load()
    telemetry.configure(config.log_level, config.log_format)
    app = create_app(config)
    redis = app.extensions[REDIS]
    return Front(app, str(config.redis_url), config.api_threads, tend=lambda: overdue.answer_due(redis))
