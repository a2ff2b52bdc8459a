"""Calls of the client, the blocking one and the one for asyncio alike."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

from api.client import AsyncClient, Client


class Asker:
    """Makes a call with a client of its kind, which it closes; of a feed it returns all."""

    def __init__(self, kind: str, address: str) -> None:
        self.kind, self.address = kind, address

    def __call__(self, name: str, *args: Any, client: dict[str, Any] | None = None, **options: Any) -> Any:
        made = {"base_url": self.address, "timeout_s": 2.0, **(client or {})}
        if self.kind == "asyncio":
            return asyncio.run(self._awaited(name, made, *args, **options))
        with Client(**made) as blocking:
            got = getattr(blocking, name)(*args, **options)
            return list(got) if isinstance(got, Iterator) else got

    async def _awaited(self, name: str, made: dict[str, Any], *args: Any, **options: Any) -> Any:
        async with AsyncClient(**made) as client:
            got = getattr(client, name)(*args, **options)
            return await got if inspect.iscoroutine(got) else [item async for item in got]
