"""What `python -m worker webhooks` does: deliver webhooks, in this process."""

from __future__ import annotations

import asyncio
import logging
import signal
from threading import Event

import settings
from producer import connections
from producer.addresses import Policy
from worker.delivery import Delivering
from worker.posting import Poster

log = logging.getLogger("segue.webhooks")


def run(config: settings.Settings, redis_url: str) -> None:
    """Deliver until SIGTERM or SIGINT; then finish what is in hand, or give it back."""
    policy = Policy.of(config.webhook_allow_networks, config.webhook_ports, config.webhook_allow_http)
    if policy.networks:
        log.warning("webhooks may go to the networks %s, by plain http, too", ", ".join(map(str, policy.networks)))
    stopping, proxy_url = Event(), config.webhook_proxy_url.get_secret_value()

    async def deliver() -> None:
        delivering = Delivering(connections.patient(redis_url, stopping), Poster(policy, proxy_url), stopping)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, delivering.stop)
        log.info("delivering webhooks")
        await delivering.run()

    asyncio.run(deliver())
