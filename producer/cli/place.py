"""Where the service is: an API's address, the Redis of the settings, or the one that `run.sh` has started here."""

from __future__ import annotations

from collections.abc import Callable

import redis_server
from producer.cli.errors import Away
from producer.cli.service import Direct, Service
from settings import Settings

WHAT_TO_DO = "start it with ./run.sh in another terminal, or say where it is: REDIS_URL, or --url for its API"


def find(config: Settings, url: str | None, key: str | None, told: Callable[[str], None]) -> Service:
    """Return the service. url, key: from the command line; None: the settings' own. told: as in `Direct`.

    Raises: Away: none was ever started here; Wrong: the address is none.
    """
    if url := url or config.segue_url:
        from producer.cli.http import Http  # only who asks over HTTP waits for its library

        secret = config.segue_api_key
        return Http(url, key or (secret.get_secret_value() if secret else None))
    return Direct(lambda: _redis(config), config.queue_limit, told)


def _redis(config: Settings) -> str:
    noted = config.redis_url or redis_server.noted_url(config.segue_home / "redis")
    if noted is None:
        raise Away(f"there is no service in {config.segue_home}: {WHAT_TO_DO}")
    return noted
