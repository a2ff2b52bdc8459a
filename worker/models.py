"""The holder of what this process answers with, its model above all: one of Segue's two pieces of state."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from artifacts import store
from artifacts.manifest import ModelError
from artifacts.model import Model
from producer import fallback
from producer.charts import Chart
from producer.errors import NotReady, Unavailable
from producer.public import PopularLists
from producer.schema import Query, Track
from worker.pipeline import DEFAULT_ORDER, recommend
from worker.resolve import LookUp
from worker.strategies import Strategy

log = logging.getLogger("segue.worker")


@dataclass(frozen=True)
class Loaded:
    """A model that is ready to answer, with what is published of it: never one of one version, one of another."""

    model: Model
    popular: PopularLists
    genres: list[dict[str, Any]]
    chart: Chart | None = None

    @property
    def version(self) -> str:
        """The name of its version."""
        return self.model.manifest.version


class Holder:
    """Holds the model in service, none until `load`, and how seeds are found.

    order: the strategies to try, unless a request says. look_up: finds songs outside the catalogue; None: nothing does.
    """

    def __init__(self) -> None:
        self._loaded: Loaded | None = None
        self._coming: tuple[str, Future[Loaded]] | None = None
        self._announced: str | None = None
        self.order: Sequence[Strategy] = DEFAULT_ORDER
        self.look_up: LookUp | None = None

    def load(self, root: Path, version: str | None = None) -> Model:
        """Load a version below `root`, or CURRENT, check it, hashes included, warm it up, and put it in service.

        Raises: ModelError if there is none, or it is damaged, of another release, or trained by another transform;
        then the one that was in service stays there.
        """
        version = version or store.current(root)
        if version is None:
            raise ModelError(f"{root}: no model was published here; run `python -m training --demo` or with --data")
        self._loaded = read(root, version)
        log.info("model %s: %s tracks", version, f"{len(self.model):,}")
        return self.model

    def follow(self, root: Path, version: str) -> None:
        """Get `version` into service: the first call has it loaded beside the one in service, a later one swaps them.

        Hashes are not checked: whoever names a version has done that. To be called between two batches, by the thread
        that answers; never waits. Raises: ModelError if the version cannot be loaded.
        """
        if self._coming is None:
            if self._loaded is None or version != self._loaded.version:
                self._coming = version, _load_beside(root, version)
        elif self._coming[1].done():
            (came, future), self._coming = self._coming, None
            if came == version:  # else another one is wanted by now
                self._loaded = future.result()
                log.info("answering from model %s", version)

    @property
    def model(self) -> Model:
        """The model in service. Raises: NotReady before `load`."""
        return self._in_service().model

    def announce(self, connection: redis.Redis) -> None:
        """Publish the popular lists and what the model holds, for answers that need no worker. Raises: Unavailable."""
        loaded = self._in_service()
        described = loaded.model.manifest.describe()
        fallback.publish(connection, described, loaded.popular, loaded.genres, loaded.chart)
        self._announced = loaded.version

    def announce_news(self, connection: redis.Redis) -> None:
        """Announce the model in service, unless it was the last one announced; with Redis down, the next call does."""
        if self._announced != self._in_service().version:
            try:
                self.announce(connection)
            except Unavailable as error:
                log.warning("model not announced yet: %s", error)

    def _in_service(self) -> Loaded:
        if self._loaded is None:
            raise NotReady("this worker has not loaded a model yet")
        return self._loaded


HOLDER = Holder()
"""This process's holder: RQ calls the tasks by name, so they can be given nothing."""


def read(root: Path, version: str, verify: bool = True) -> Loaded:
    """Load a version, check it and warm it up. verify: hashes, too. Raises: ModelError, whatever is wrong with it."""
    try:
        model = Model.load(root, version, verify)
        popular: PopularLists = store.read_public(root, version, "popular")
        for tracks in popular.values():
            for track in tracks:
                Track.model_validate(track)
        genres = store.read_public(root, version, "genres")
        chart = Chart(store.read_public(root, version, "map"), store.read_public(root, version, "map.png"))
        chart.check()
        _warm_up(model)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ModelError(f"{root / version}: of no use ({type(error).__name__}: {error})") from error
    except MemoryError as error:
        raise ModelError(f"{root / version}: there is not enough memory for it") from error
    return Loaded(model, popular, genres, chart)


def _load_beside(root: Path, version: str) -> Future[Loaded]:
    """Load a version in another thread."""
    future: Future[Loaded] = Future()

    def run() -> None:
        try:
            future.set_result(read(root, version, verify=False))
        except BaseException as error:  # noqa: BLE001 — raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=run, name="next model", daemon=True).start()
    return future


def _warm_up(model: Model) -> None:
    """Answer a request, so that the first one from outside finds the pages of the search and of the names in memory."""
    row = len(model) // 2
    name = f"{model.name[row]}x"  # misspelt: looks further than the exact name
    query = Query.model_validate({"seeds": [{"track_id": model.id_of(row)}, {"name": name}], "limit": 10})
    recommend(model, query, ("catalogue", "fuzzy"))
