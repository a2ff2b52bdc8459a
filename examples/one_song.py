"""Print songs like one song.

From the repository's root: python -m examples.one_song "Spider" "Perander Draythwaite" --limit 5
"""

from __future__ import annotations

import argparse
import sys

from api.client import Client, Seed, SegueError


def main() -> int:
    """Ask and print. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Print songs like one song.")
    parser.add_argument("name", help="its title")
    parser.add_argument("artist", nargs="?", help="one of its artists")
    parser.add_argument("--limit", type=int, default=10)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--key", help="an API key, if the service asks for one")
    asked = parser.parse_args()
    try:
        with Client(asked.url, asked.key) as segue:
            seed: Seed = {"name": asked.name, "artist": asked.artist} if asked.artist else {"name": asked.name}
            result = segue.recommend(seed, limit=asked.limit)
    except SegueError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    for track in result["tracks"]:
        print(f"{track['rank']:3}  {track['name']} - {', '.join(track['artists'])} ({track['year'] or '?'})")
    if result["degraded"]:
        print(f"{asked.name} was not found; these are {result['strategy']} tracks", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
