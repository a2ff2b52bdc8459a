"""Make a week of daily mixes out of a music library: songs that you know, and new ones like them.

From the repository's root: python -m examples.daily_mixes library.csv --out mixes

The library is any list that can be read, such as a CSV file of Exportify's. Its songs are parted into up to seven
moods, by the clusters of the model that they lie in; each day has one of them. The same week always gives the same
mixes, another week others.
"""

from __future__ import annotations

import argparse
import datetime
import random
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from api.client import Client, SegueError, Track
from examples import songs

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
ARCS: tuple[Any, ...] = ("build", "wave", "flat", "wave", "build", "peak", "wind_down")
MOST_SEEDS = 50
MOST_EXCLUDED = 1000
LEAST_OF_A_MOOD = 3


def moods(tracks: list[Track]) -> list[list[Track]]:
    """Part tracks by their clusters, the largest seven; the others join the one that they share genres with."""
    clusters: dict[int, list[Track]] = {}
    for track in tracks:
        clusters.setdefault(track["cluster"], []).append(track)
    largest = sorted(clusters.values(), key=len, reverse=True)
    kept = [part for part in largest[: len(DAYS)] if len(part) >= LEAST_OF_A_MOOD] or largest[:1]
    genres = [Counter(genre for track in part for genre in track["genres"]) for part in kept]
    for part in largest[len(kept) :]:
        for track in part:
            shared = [sum(counts[genre] for genre in track["genres"]) for counts in genres]
            kept[shared.index(max(shared))].append(track)
    return kept


def title_of(mood: list[Track], day: str) -> str:
    """Return what to call a mix: the day, and what its mood is mostly."""
    genres = Counter(genre for track in mood for genre in track["genres"]).most_common(2)
    return f"{day.title()}: {', '.join(genre for genre, _ in genres) or 'mixed'}"


def main() -> int:
    """Read, part, ask, write. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Make a week of daily mixes out of a music library.")
    parser.add_argument("library", type=Path, help="any playlist or list of songs")
    parser.add_argument("--out", type=Path, default=Path("mixes"), help="a folder")
    parser.add_argument("--week", help="such as 2026-W47; this week if left out")
    parser.add_argument("--tracks", type=int, default=30, help="of a mix")
    parser.add_argument("--known", type=float, default=0.4, help="share of them that the library has, 0.1-0.9")
    parser.add_argument("--kind", choices=songs.KINDS, default="m3u8")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--key", help="an API key, if the service asks for one")
    asked = parser.parse_args()
    year, number, _ = datetime.datetime.now().astimezone().isocalendar()
    week = asked.week or f"{year}-W{number:02d}"
    if not re.fullmatch(r"\d{4}-W\d\d", week):
        parser.error("--week is like 2026-W47")
    if not (0.1 <= asked.known <= 0.9 and 5 <= asked.tracks <= 100):
        parser.error("--known is 0.1-0.9, --tracks 5-100")
    asked.out.mkdir(parents=True, exist_ok=True)
    try:
        with Client(asked.url, asked.key) as segue:
            library = songs.found(segue, songs.in_file(asked.library), "library")
            if not library:
                print("no song of the library was found", file=sys.stderr)
                return 1
            parts = moods([segue.track(track_id) for track_id in library])
            shift = random.Random(week).randrange(len(parts))
            for place, day in enumerate(DAYS):
                mood, chance = parts[(place + shift) % len(parts)], random.Random(f"{week} {day}")
                known = [track["track_id"] for track in mood]
                known = chance.sample(known, min(len(known), MOST_SEEDS, max(1, round(asked.known * asked.tracks))))
                new = [track["track_id"] for track in mood] + library  # of the same mood first: those are nearest
                others = [track_id for track_id in dict.fromkeys(new) if track_id not in known]
                mix = segue.playlist(
                    [{"track_id": track_id} for track_id in known],
                    length={"tracks": asked.tracks},
                    arc=ARCS[place],
                    combine="round_robin",
                    variation=chance.randrange(1, 2**31),
                    filters={"exclude_tracks": others[:MOST_EXCLUDED]},
                )
                file = asked.out / f"{week}-{place + 1}-{day}.{asked.kind}"
                songs.write(file, mix, title_of(mood, day))
                print(f"{file}: {len(mix['tracks'])} songs, {len(known)} of them yours")
    except (SegueError, OSError, ValueError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
