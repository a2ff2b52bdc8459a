"""Receive webhooks with Flask: verify, store, answer; each one is printed once, however often it comes.

From the repository's root: WEBHOOK_SECRETS=whsec_… python -m examples.webhook_receiver_flask --port 8001
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from flask import Flask, Response, request

from api.client import BadWebhook, verify_webhook


def create_app(secrets: list[str], store: Path) -> Flask:
    """Return the app. secrets: one, or two while they change. store: of what has come, kept over restarts."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 64_000  # webhooks are shorter
    with closing(sqlite3.connect(store)) as db, db:
        db.execute("CREATE TABLE IF NOT EXISTS webhooks (id TEXT PRIMARY KEY, body BLOB NOT NULL)")

    @app.post("/hook")
    def hook() -> Response:
        body = request.get_data()  # the bytes as they came: they are what was signed
        try:
            event = verify_webhook(body, request.headers, secrets)
        except BadWebhook as error:
            app.logger.warning("refused: %s", error)
            return Response(status=400)
        # Stored before it is answered: a 2xx says that it need not be sent again.
        with closing(sqlite3.connect(store)) as db, db:
            new = db.execute("INSERT OR IGNORE INTO webhooks VALUES (?, ?)", (request.headers["webhook-id"], body))
        if new.rowcount:
            # What takes longer than some seconds is for another process, which reads the table.
            print(event["type"], event["data"]["id"], event["data"].get("status", ""), flush=True)
        return Response(status=204)

    return app


def main() -> int:
    """Serve. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Print the webhooks that come to /hook.")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--store", type=Path, default=Path("webhooks.db"), help="a SQLite file (webhooks.db)")
    asked = parser.parse_args()
    secrets = os.environ.get("WEBHOOK_SECRETS", "").split()
    if not secrets:
        print("set WEBHOOK_SECRETS to one secret, or two with a space between them", file=sys.stderr)
        return 2
    # Flask's own server, for trying out; behind your usual one nothing changes.
    create_app(secrets, asked.store).run("127.0.0.1", asked.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
