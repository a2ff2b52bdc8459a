"""Make a playlist for a party out of the guests' favourites, with as many songs for each guest.

From the repository's root: python -m examples.party ana.txt bo.csv cy.m3u8 --minutes 120 --out party.m3u8

A file a guest, in any format that can be read. The guests choose in turn: first their own favourites, then songs like
them. What they choose is put in an order that builds to a peak and lets keys and tempos fit. A song that is not found
is said, and harms nobody.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

from api.client import Client, SegueError, Track
from examples import songs

MOST_SONGS = 50
"""What the service puts in order at once; some three hours."""

MOST_FAVOURITES = 50
LIKE_THEM = 50


def wishes(segue: Client, guest: Path) -> Iterator[Track]:
    """Yield what a guest would choose: favourites, then songs like all of them in turn."""
    favourites = songs.found(segue, songs.in_file(guest)[:MOST_FAVOURITES], guest.stem)
    for track_id in favourites:
        yield segue.track(track_id)
    if favourites:
        yield from segue.recommend(
            [{"track_id": track_id} for track_id in favourites], combine="round_robin", limit=LIKE_THEM
        )["tracks"]


def chosen(guests: dict[str, Iterator[Track]], length_ms: float) -> dict[str, tuple[str, Track]]:
    """Let guests choose in turn until the length is reached. → by track id: who has chosen it, and the track."""
    taken: dict[str, tuple[str, Track]] = {}
    names: set[tuple[str, ...]] = set()
    left, total = dict(guests), 0.0
    for guest in cycle(guests):
        if not left or len(taken) == MOST_SONGS:
            break
        if guest not in left:
            continue
        for track in left[guest]:
            name = (re.split(r" [-(\[]", track["name"])[0].casefold(), *track["artists"][:1])  # in any version
            if track["duration_ms"] is not None and track["track_id"] not in taken and name not in names:
                break
        else:
            del left[guest]  # has no more to choose from
            continue
        if total + track["duration_ms"] / 2 > length_ms:  # with it, it would be farther off than without
            break
        taken[track["track_id"]] = guest, track
        names.add(name)
        total += track["duration_ms"]
    return taken


def main() -> int:
    """Read, choose, order, write. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Make a playlist for a party out of the guests' favourites.")
    parser.add_argument("guests", nargs="+", type=Path, metavar="FILE", help="a guest's favourites")
    parser.add_argument("--minutes", type=float, default=120, help="how long it lasts, give or take half a song")
    parser.add_argument("--out", type=Path, default=Path("party.m3u8"), help="its ending says the format")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--key", help="an API key, if the service asks for one")
    asked = parser.parse_args()
    if asked.out.suffix.lstrip(".") not in songs.KINDS:
        parser.error(f"--out ends with one of {', '.join(songs.KINDS)}")
    if len({guest.stem for guest in asked.guests}) < len(asked.guests):
        parser.error("two guests have files of the same name")
    try:
        with Client(asked.url, asked.key) as segue:
            guests = {guest.stem: wishes(segue, guest) for guest in asked.guests}
            taken = chosen(guests, 60_000 * asked.minutes)
            if not taken:
                print("nobody's songs were found", file=sys.stderr)
                return 1
            party = segue.playlist(
                [{"track_id": track_id} for track_id in taken],
                length={"tracks": len(taken)},
                arc="peak",
                harmonic=True,
            )
        songs.write(asked.out, party, "Party")
    except (SegueError, OSError, ValueError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    for track in party["tracks"]:
        whose, _ = taken.get(track["track_id"], ("for all", track))
        print(f"{track['rank']:3}  {track['name']} - {', '.join(track['artists'])}  ({whose})")
    shares = ", ".join(f"{guest} {sum(guest == who for who, _ in taken.values())}" for guest in guests)
    print(f"{(party['duration_ms'] or 0) / 60_000:.0f} minutes; songs of each: {shares}", file=sys.stderr)
    if len(taken) == MOST_SONGS:
        print(f"a party has {MOST_SONGS} songs at most: make another for the rest of the night", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
