"""Receive webhooks with nothing but Python itself; what it does, any language can do.

From anywhere: WEBHOOK_SECRETS=whsec_… python webhook_receiver_plain.py --port 8001
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import os
import sys
import time
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

LONGEST = 64_000
TOLERANCE_S = 300


def is_signed(headers: dict[str, str], body: bytes, secrets: list[str]) -> bool:
    """Whether a webhook was signed with one of the secrets, within five minutes of now.

    The specification is that of Standard Webhooks: HMAC-SHA256 over id, timestamp and body, joined by dots.
    """
    at = headers.get("webhook-timestamp", "")
    if not (at.isascii() and at.isdecimal()) or abs(time.time() - int(at[:12])) > TOLERANCE_S:
        return False
    text = f"{headers.get('webhook-id', '')}.{at}.".encode() + body
    given = [part.encode() for part in headers.get("webhook-signature", "").split()]
    good = 0
    for secret in secrets:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        expected = b"v1," + base64.b64encode(hmac.digest(key, text, hashlib.sha256))
        good += sum(hmac.compare_digest(expected, one) for one in given)
    return good > 0


class Receiver(ThreadingHTTPServer):
    """The server. It remembers the last webhooks, so that one that comes again is dealt with once."""

    def __init__(self, port: int, secrets: list[str]) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.secrets = secrets
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._lock = Lock()

    def is_new(self, webhook_id: str) -> bool:
        """Whether this one has not come before. A restart forgets; keep the ids where you keep your data."""
        with self._lock:
            new = webhook_id not in self._seen
            self._seen[webhook_id] = None
            if len(self._seen) > 10_000:
                self._seen.popitem(last=False)
            return new


class Handler(BaseHTTPRequestHandler):
    """Answers 204 to what is signed, 400 to all else."""

    server: Receiver
    timeout = 10

    def do_POST(self) -> None:
        """Take a webhook."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LONGEST:
            self.send_error(413)
            return
        body = self.rfile.read(int(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        if not is_signed(headers, body, self.server.secrets):
            self.send_error(400)
            return
        if self.server.is_new(headers["webhook-id"]):
            event = json.loads(body)
            print(event["type"], event["data"]["id"], event["data"].get("status", ""), flush=True)
        self.send_response(204)
        self.end_headers()


def main() -> int:
    """Serve. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Print the webhooks that come.")
    parser.add_argument("--port", type=int, default=8001)
    asked = parser.parse_args()
    secrets = os.environ.get("WEBHOOK_SECRETS", "").split()
    if not secrets:
        print("set WEBHOOK_SECRETS to one secret, or two with a space between them", file=sys.stderr)
        return 2
    with Receiver(asked.port, secrets) as server:
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
