"""Make a playlist for each row of a CSV file.

From the repository's root: python -m examples.batch_from_csv songs.csv --limit 20 > playlists.jsonl

The file has the columns name and, if you like, artist. Each line that is written is a row with its "tracks", or with
the "error" that kept it from having some. Run again after a crash, it finds the batches that it had submitted.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import sys
from pathlib import Path

from api.client import Client, Item, Seed, SegueError

MOST_ITEMS = 10_000


def seed(name: str, artist: str | None) -> Seed:
    """Return a row as the service takes it."""
    return {"name": name, "artist": artist} if artist else {"name": name}


def main() -> int:
    """Read, ask, write. Returns the exit code: 1 if some rows have no playlist."""
    parser = argparse.ArgumentParser(description="Make a playlist for each row of a CSV file.")
    parser.add_argument("csv", type=Path, help="its columns: name, artist")
    parser.add_argument("--limit", type=int, default=20, help="tracks a playlist")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--key", help="an API key, if the service asks for one")
    asked = parser.parse_args()
    with asked.csv.open(newline="", encoding="utf-8-sig") as file:
        rows = [seed(row["name"], row.get("artist")) for row in csv.DictReader(file)]
    failed = 0
    try:
        with Client(asked.url, asked.key) as segue:
            for first in range(0, len(rows), MOST_ITEMS):
                part = rows[first : first + MOST_ITEMS]
                items: list[Item] = [{"seeds": [row], "limit": asked.limit} for row in part]
                key = hashlib.sha256(json.dumps(items).encode()).hexdigest()
                for line in segue.batch_results(segue.batch(items, idempotency_key=key)):
                    answer = {"tracks": line["result"]["tracks"]} if "result" in line else {"error": line.get("error")}
                    failed += "error" in answer
                    print(json.dumps({**part[line["index"]], **answer}, ensure_ascii=False))
    except SegueError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(f"{len(rows)} rows, {failed} without a playlist", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
