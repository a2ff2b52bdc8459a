"""Fill a radio's night, hour by hour, with no song and no artist that was on within some days.

From the repository's root: python -m examples.radio_rotation station.csv --out nights

For a timer, once a night. What was played is kept in a file; a night that was planned stays as it is, so running again
after a crash gives the same, and goes on where it stopped. The hours are M3U8 files, each there as a whole or not at
all.
"""

from __future__ import annotations

import argparse
import datetime
import json
import random
import sys
from pathlib import Path
from typing import Any, cast

from api.client import Client, Playlist, Seed, SegueError
from examples import songs

ARCS = ("wave", "flat", "wind_down", "wind_down", "flat", "build")
FIELDS = ("track_id", "name", "artists", "duration_ms", "spotify_url")
SEEDS_AN_HOUR = 5
MOST_EXCLUDED, MOST_ARTISTS = 1000, 200
ROUNDS = 8
KEPT_NIGHTS = 400
"""Nights whose songs are remembered, for whatever --days the next night has."""

Hour = list[dict[str, Any]]


def planned(segue: Client, sound: list[Seed], arc: Any, variation: int, played: list[Hour]) -> Hour:
    """Return an hour's tracks. played: the hours that must not be heard again, the last one last."""
    songs_played = [track["track_id"] for hour in reversed(played) for track in hour]
    artists = dict.fromkeys(artist for hour in reversed(played) for track in hour for artist in track["artists"])
    barred = list(artists)[:MOST_ARTISTS]
    for _ in range(ROUNDS):
        hour: Playlist = segue.playlist(
            sound,
            length={"minutes": 60},
            arc=arc,
            harmonic=True,
            artist_gap=50,
            include_seeds=False,
            combine="round_robin",
            variation=variation,
            filters={"exclude_tracks": songs_played[:MOST_EXCLUDED], "exclude_artists": barred},
        )
        if hour["degraded"]:
            raise ValueError("the service has only a fallback to offer; nothing was planned")
        heard = [artist for track in hour["tracks"] for artist in track["artists"]]
        again = {artist: None for artist in heard if artist in artists or heard.count(artist) > 1}
        if not again and hour["tracks"]:
            return [{field: cast(Any, track)[field] for field in FIELDS} for track in hour["tracks"]]
        barred = list(dict.fromkeys([*again, *barred]))[:MOST_ARTISTS]  # more were played than a request may name
    raise ValueError("there is not enough that was not played lately: give fewer --days, or more songs to start from")


def main() -> int:
    """Plan what is missing of the night, write its files. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Fill a radio's night, hour by hour, without repeats.")
    parser.add_argument("station", type=Path, help="songs that the station sounds like, in any format that can be read")
    parser.add_argument("--out", type=Path, default=Path("nights"), help="a folder; what was played is kept there, too")
    parser.add_argument("--night", type=datetime.date.fromisoformat, help="such as 2026-11-22; today if left out")
    parser.add_argument("--hours", type=int, default=6, help="of a night, 1-24")
    parser.add_argument("--days", type=int, default=7, help="within which nothing comes again")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--key", help="an API key, if the service asks for one")
    asked = parser.parse_args()
    if not (1 <= asked.hours <= 24 and asked.days >= 1):
        parser.error("--hours is 1-24, --days 1 or more")
    night = asked.night or datetime.datetime.now().astimezone().date()
    log = asked.out / "played.json"
    try:
        asked.out.mkdir(parents=True, exist_ok=True)
        nights: dict[str, list[Hour]] = json.loads(log.read_text(encoding="utf-8")) if log.exists() else {}
        first = (night - datetime.timedelta(days=asked.days)).isoformat()
        lately = [hour for day in sorted(nights) if first <= day < night.isoformat() for hour in nights[day]]
        tonight = nights.setdefault(night.isoformat(), [])
        with Client(asked.url, asked.key) as segue:
            sound = songs.found(segue, songs.in_file(asked.station), "station") if len(tonight) < asked.hours else []
            if len(tonight) < asked.hours and not sound:
                raise ValueError("no song of the station was found")
            for number in range(asked.hours):
                if number == len(tonight):
                    chance = random.Random(f"{night} {number}")
                    seeds: list[Seed] = [
                        {"track_id": track_id} for track_id in chance.sample(sound, min(len(sound), SEEDS_AN_HOUR))
                    ]
                    arc, variation = ARCS[number % len(ARCS)], chance.randrange(1, 2**31)
                    tonight.append(planned(segue, seeds, arc, variation, [*lately, *tonight]))
                    kept = dict(sorted(nights.items())[-KEPT_NIGHTS:])
                    songs.replace(log, json.dumps(kept, ensure_ascii=False))
                file = asked.out / f"{night}-{number:02d}.m3u8"
                songs.write(file, {"tracks": tonight[number]}, f"{night}, hour {number + 1}")
                print(f"{file}: {len(tonight[number])} songs")
    except (SegueError, OSError, ValueError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
