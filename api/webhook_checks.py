"""Whether webhooks may go where a caller wants them: asked when an address is given, and again at each send.

A caller is told one sentence, whatever the reason; that is in the log. See `producer/addresses.py`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from typing import cast

from flask import Response, current_app

from api.auth import caller
from api.errors import problem
from api.service import connection
from api.webhook_shapes import WantedWebhook
from producer import addresses, queue
from producer.addresses import Policy
from producer.errors import UnsafeUrl

log = logging.getLogger("segue.api")

ADDRESSES = "segue.addresses"
"""Where the app keeps its Addresses, in `app.extensions`."""

_GOOD_S = 30.0
_MOST_GOOD = 1000


class Addresses:
    """Says which addresses may be given. One that may is not looked up again for _GOOD_S: a send looks for itself."""

    def __init__(self, policy: Policy, clock: Callable[[], float] = time.monotonic) -> None:
        self.policy = policy
        self._clock = clock
        self._good: dict[str, float] = {}

    def check(self, url: str) -> None:
        """Raise UnsafeUrl if webhooks are not sent there."""
        if self._good.get(url, 0.0) > self._clock():
            return
        addresses.check(url, self.policy)
        if len(self._good) >= _MOST_GOOD:
            self._good.clear()
        self._good[url] = self._clock() + _GOOD_S


def policy() -> Policy:
    """Return where webhooks may go."""
    return _addresses().policy


def _addresses() -> Addresses:
    return cast(Addresses, current_app.extensions[ADDRESSES])


def unsafe(error: UnsafeUrl, pointer: str) -> Response:
    """Return the problem of an address that cannot be used. pointer: to it."""
    log.warning("no webhooks for %s: %s", caller().id, error.reason)
    return problem(error.code, str(error), [{"pointer": pointer, "detail": str(error)}])


def wrong_webhook(wanted: WantedWebhook | None, possible: Collection[str], key: str | None) -> Response | None:
    """Refuse a webhook that could not be sent, or would never be. possible: events that there are. Raises: Unavailable.

    key: the request's Idempotency-Key. If it is known, there is no webhook to be had that was not taken before.
    """
    if wanted is None:
        return None
    if not set(wanted.webhook.events) & set(possible):
        detail = f"of this only {', '.join(possible)} can be told"
        return problem("invalid-request", detail, [{"pointer": "/webhook/events", "detail": detail}])
    if key is not None and queue.is_known(connection(), caller().id, key):
        return None
    try:
        _addresses().check(wanted.url)
    except UnsafeUrl as error:
        return unsafe(error, "/webhook/url")
    return None
