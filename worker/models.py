"""The holder of what this process answers with, its model above all: one of Segue's two pieces of state."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import redis

from artifacts import store
from artifacts.manifest import ModelError
from artifacts.model import Model
from producer import fallback
from producer.errors import NotReady
from producer.schema import ModelInfo, Track
from worker.pipeline import DEFAULT_ORDER
from worker.resolve import LookUp
from worker.strategies import Strategy

log = logging.getLogger("segue.worker")


class Holder:
    """Holds the model in service with its popular lists, empty until `load`, and how seeds are found.

    order: the strategies to try, unless a request says. look_up: finds songs outside the catalogue; None: nothing does.
    """

    def __init__(self) -> None:
        self._model: Model | None = None
        self._popular: dict[str, list[dict[str, Any]]] = {}
        self.order: Sequence[Strategy] = DEFAULT_ORDER
        self.look_up: LookUp | None = None

    def load(self, root: Path) -> Model:
        """Load the CURRENT version below `root`, check it and warm it up.

        Raises: ModelError if there is none, or it is damaged, of another release, or trained by another transform.
        """
        version = store.current(root)
        if version is None:
            raise ModelError(f"{root}: no model was published here; run `python -m training --demo` or with --data")
        model = Model.load(root, version)
        self._popular = store.read_public(root, version, "popular")
        for tracks in self._popular.values():
            for track in tracks:
                Track.model_validate(track)
        row = len(model) // 2
        model.nearest(model.query([row], {}), 10)  # touches every page that a request will need
        self._model = model
        log.info("model %s: %s tracks", version, f"{len(model):,}")
        return model

    @property
    def model(self) -> Model:
        """The model in service. Raises: NotReady before `load`."""
        if self._model is None:
            raise NotReady("this worker has not loaded a model yet")
        return self._model

    def announce(self, connection: redis.Redis) -> None:
        """Publish the popular lists and what the model holds, for answers that need no worker."""
        fallback.publish(connection, describe(self.model).model_dump(), self._popular)


HOLDER = Holder()
"""This process's holder: RQ calls the tasks by name, so they can be given nothing."""


def describe(model: Model) -> ModelInfo:
    """Return what clients may know of a model."""
    m = model.manifest
    return ModelInfo(
        version=m.version,
        created_at=m.created_at,
        tracks=m.tracks,
        songs=m.songs,
        artists=m.artists,
        genres=list(m.genres),
        clusters=m.clusters,
        explained_variance=round(float(np.float64(m.metrics["explained_variance"])), 4),
        coverage=m.coverage,
        source=m.source,
        synthetic=m.synthetic,
        notice=m.notice,
    )
