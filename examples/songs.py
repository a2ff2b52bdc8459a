"""What the larger examples share: songs from files, found in the catalogue; and playlists to files."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from api.client import Client, Item, Seed
from producer import files
from producer.playlists import reading, writing

MOST_ITEMS = 10_000
KINDS = [form.suffix.lstrip(".") for form in writing.FORMATS.values()]


def in_file(path: Path) -> list[Seed]:
    """Return the songs that a file names, in any format that can be read. What cannot be used is said."""
    read = reading.read(reading.text_of(path.read_bytes()), filename=path.name)
    for row in read.rows:
        if row.error:
            print(f"{path.name}, row {row.number}: {row.error}", file=sys.stderr)
    return [cast(Seed, row.seed) for row in read.rows if row.seed]


def found(segue: Client, seeds: list[Seed], whose: str) -> list[str]:
    """Return the track ids of songs, each once. Those that the catalogue does not have are said."""
    ids: dict[str, None] = {}
    for first in range(0, len(seeds), MOST_ITEMS):
        part = seeds[first : first + MOST_ITEMS]
        items: list[Item] = [
            {"seeds": seed, "limit": 1, "strategies": ["catalogue", "spotify", "fuzzy"]} for seed in part
        ]
        for seed, line in zip(part, segue.batch_results(segue.batch(items)), strict=True):
            matches = line["result"]["seeds"] if "result" in line else []
            if matches and matches[0]["track_id"]:
                ids[matches[0]["track_id"]] = None
            else:
                name = " - ".join(str(seed[k]) for k in ("name", "artist", "track_id") if k in seed)
                print(f"{whose}: {name} was not found", file=sys.stderr)
    return list(ids)


def write(path: Path, answer: Mapping[str, Any], title: str) -> None:
    """Write an answer's tracks as a file of the kind that its name ends with; all of it or nothing."""
    form = next(form for form in writing.FORMATS.values() if form.suffix == path.suffix)
    replace(path, form.write(writing.document_of(answer, title)))


def replace(path: Path, text: str) -> None:
    """Put a text in a file's place, so that a crash leaves the old one or the new."""
    with files.whole(path, lasting=True) as file:
        file.write(text.encode())
