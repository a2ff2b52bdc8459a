"""How Segue logs: one line an event, to standard error, as text for people or as JSON for log collectors."""

from __future__ import annotations

import json
import logging
import sys
import time
from contextvars import ContextVar
from typing import Any

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that is being worked on; stands in every line logged meanwhile."""


class _JsonFormatter(logging.Formatter):
    """One JSON object a line: `time` (UTC, ISO 8601), `level`, `logger`, `message`, `pid`.

    Where there are any, also `request_id`, `error`, and what was logged with `extra={"event": {…}}`.
    """

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        event: dict[str, Any] = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "pid": record.process,
            **getattr(record, "event", {}),
        }
        if request_id := REQUEST_ID.get():
            event["request_id"] = request_id
        if record.exc_info:
            event["error"] = self.formatException(record.exc_info)
        return json.dumps(event, ensure_ascii=False)


class _TextFormatter(logging.Formatter):
    """One line: time, level, logger, the request's id if any, message."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 — logging's own name
        request_id = REQUEST_ID.get()
        record.request = f"[{request_id}] " if request_id else ""
        return super().formatMessage(record)


def configure(level: str, style: str) -> None:
    """Send all logging of this process to standard error. level: a `logging` name; style: "text" or "json"."""
    handler = logging.StreamHandler(sys.stderr)
    if style == "json":
        handler.setFormatter(_JsonFormatter())
    else:
        handler.setFormatter(_TextFormatter("%(asctime)s %(levelname)-7s %(name)s: %(request)s%(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # RQ says at INFO what it does with each job, some ten lines a job; its warnings are worth having.
    logging.getLogger("rq").setLevel(max(logging.WARNING, logging.getLevelName(level)))
