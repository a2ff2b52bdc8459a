"""How well and how fast names are found: `python -m bench.names --models DIR [--queries 400] [--naive 6]`.

Takes tracks of the model in service below DIR, spoils their names as people do (seeded), and looks them up again.
"Right": the same normalised title, version notes aside, and an artist in common. Then: type-ahead, the index's size and
build time, what a threshold lets through of songs that the index does not hold, and rapidfuzz over all names. Prints
Markdown tables.
"""

from __future__ import annotations

import argparse
import sys
import time
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt
from rapidfuzz import fuzz, process

from artifacts import nametables, store
from artifacts.model import Model
from artifacts.names import artist_form, core_title, normalise
from artifacts.textindex import MATCH_THRESHOLD, TextIndex
from bench import machine

Query = tuple[str, str | None]
Name = tuple[str, list[str]]
Spoil = Callable[[Random, Name], Query]

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def main() -> None:
    """Measure the model that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m bench.names")
    parser.add_argument("--models", type=Path, required=True, help="a folder with a published model")
    parser.add_argument("--queries", type=int, default=400, help="names of each kind (400)")
    parser.add_argument("--naive", type=int, default=4, help="look-ups by rapidfuzz over all names (4)")
    parser.add_argument("--held-out", type=int, default=400, help="songs to leave out of a second index (400)")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    version = store.current(options.models) or sys.exit(f"{options.models}: no model")
    model = Model.load(options.models, version, verify=False)
    print(machine.describe())
    names = [(model.name[row], model.artists_of(row)) for row in range(len(model))]
    random = Random(options.seed)
    told = [row for row, (title, artists) in enumerate(names) if artists and normalise(title)]
    print(f"\n{len(names):,} tracks, seed {options.seed}, {options.queries} names of each kind\n")
    print("| name as typed | p50 ms | p99 ms | right first % | in the first ten % | taken as the song % |")
    print("|---|---|---|---|---|---|")
    for kind, spoil in KINDS.items():
        rows = [row for row in told if len(names[row][1]) > 1] if "several" in kind else told
        if kind.startswith("not Latin"):
            rows = [row for row in told if not _latin(names[row][0])]
        if rows:
            accuracy(kind, model.names, names, random.sample(rows, min(options.queries, len(rows))), spoil, random)
    type_ahead(model.names, names, random, options.queries)
    popularity = np.asarray(np.load(options.models / version / "popularity.npy"))
    started = time.perf_counter()
    arrays = nametables.build(names, popularity)
    size = sum(array.nbytes for array in arrays.values()) / 2**20
    print(f"\nBuild: {time.perf_counter() - started:.1f} s; index: {size:,.0f} MB.")
    held_out(names, popularity, random, told, options.held_out)
    naive(names, random, told, options.naive)


def accuracy(
    kind: str, index: TextIndex, names: Sequence[Name], rows: Sequence[int], spoil: Spoil, random: Random
) -> None:
    """Print how one kind of spoilt names is found."""
    first = ten = taken = 0
    seconds = []
    for row in rows:
        title, artist = spoil(random, names[row])
        began = time.perf_counter()
        hits = index.search(title, artist, 10)
        seconds.append(time.perf_counter() - began)
        right = [_same(names[hit.row], names[row]) for hit in hits]
        first += right[:1] == [True]
        ten += any(right)
        taken += right[:1] == [True] and hits[0].score >= MATCH_THRESHOLD
    p50, p99 = np.percentile(np.array(seconds) * 1e3, [50, 99])
    shares = " | ".join(f"{100 * count / len(rows):.1f}" for count in (first, ten, taken))
    print(f"| {kind} | {p50:.2f} | {p99:.2f} | {shares} |", flush=True)


def type_ahead(index: TextIndex, names: Sequence[Name], random: Random, count: int) -> None:
    """Print how long beginnings of one to twelve letters take, and of which share of popular names they give."""
    prefixes = []
    for title, artists in random.sample(names, min(5 * count, len(names))):
        text = random.choice([title, *artists[:1], " ".join([*artists[:1], title])])
        prefixes.append(normalise(text)[: random.randint(1, 12)])
    seconds = []
    for prefix in prefixes:
        began = time.perf_counter()
        index.complete(prefix, 10)
        seconds.append(time.perf_counter() - began)
    p50, p99 = np.percentile(np.array(seconds) * 1e3, [50, 99])
    print(f"\nType-ahead, {len(prefixes):,} beginnings of 1 to 12 letters: p50 {p50:.3f} ms, p99 {p99:.3f} ms.")


def held_out(
    names: Sequence[Name], popularity: npt.NDArray[np.int16], random: Random, told: Sequence[int], count: int
) -> None:
    """Print, for songs that are not in the index, how often something else is scored above a threshold."""
    chosen = [names[row] for row in random.sample(told, min(count, len(told)))]
    songs = {(normalise(core_title(title)), artist_form(a)) for title, artists in chosen for a in artists}
    keep = [
        row
        for row, (title, artists) in enumerate(names)
        if not any((normalise(core_title(title)), artist_form(a)) in songs for a in artists)
    ]
    index = TextIndex(nametables.build([names[row] for row in keep], popularity[keep]))
    thresholds = (0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    print(f"\nSongs held out of the index, {len(chosen)}: % for which something is scored at or above\n")
    print("| asked by | " + " | ".join(map(str, thresholds)) + " |\n|---|" + "---|" * len(thresholds))
    strangers = random.sample(told, len(chosen))
    kinds: dict[str, list[Query]] = {
        "title and artist": [(title, artists[0]) for title, artists in chosen],
        "title and artist, one typo": [_typos(random, name, 1) for name in chosen],
        "title and artist, in one line": [(f"{artists[0]} {title}", None) for title, artists in chosen],
        "another track's title, this artist": [
            (names[row][0], artists[0])
            for row, (_, artists) in zip(strangers, chosen, strict=True)
            if not {artist_form(a) for a in artists} & {artist_form(a) for a in names[row][1]}
        ],
        "title alone, if nobody else has it": [(title, None) for title, _ in chosen if not index.exact(title)],
    }
    for kind, queries in kinds.items():
        best = [max((hit.score for hit in index.search(*query, limit=1)), default=0.0) for query in queries]
        shares = [f"{100 * np.mean(np.array(best) >= t):.1f}" for t in thresholds]
        print(f"| {kind} ({len(queries)}) | " + " | ".join(shares) + " |", flush=True)


def naive(names: Sequence[Name], random: Random, told: Sequence[int], count: int) -> None:
    """Print what rapidfuzz does over all names, one typo each."""
    lines = [normalise(f"{' '.join(artists)} {core_title(title)}") for title, artists in names]
    seconds, right = [], 0
    rows = random.sample(told, count)
    for row in rows:
        title, artist = _typos(random, (core_title(names[row][0]), names[row][1]), 1)
        began = time.perf_counter()
        found = process.extractOne(normalise(f"{artist} {title}"), lines, scorer=fuzz.WRatio)
        seconds.append(time.perf_counter() - began)
        right += found is not None and _same(names[found[2]], names[row])
    if rows:
        p50 = np.median(seconds) * 1e3
        print(f"\nrapidfuzz WRatio over all names, one typo: {p50:,.0f} ms, {right} of {count} right.")


def _same(a: Name, b: Name) -> bool:
    return normalise(core_title(a[0])) == normalise(core_title(b[0])) and bool(
        {artist_form(name) for name in a[1]} & {artist_form(name) for name in b[1]}
    )


def _latin(text: str) -> bool:
    return all(unicodedata.name(c, "").startswith("LATIN") for c in text if c.isalpha())


def _edit(random: Random, text: str) -> str:
    """Replace, insert, delete or swap a character."""
    at, letter = random.randrange(len(text)), random.choice(LETTERS)
    return random.choice(
        [
            text[:at] + letter + text[at + 1 :],
            text[:at] + letter + text[at:],
            text[:at] + text[at + 1 :],
            text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :],
        ]
    )


def _typos(random: Random, name: Name, count: int) -> tuple[str, str]:
    """Spoil title and first artist together, each by its share of the letters."""
    title, artist = name[0], name[1][0]
    for _ in range(count):
        if random.random() < len(title) / (len(title) + len(artist)):
            title = _edit(random, title) or title
        else:
            artist = _edit(random, artist) or artist
    return title, artist


def _shuffled(random: Random, text: str) -> str:
    words = text.split()
    random.shuffle(words)
    return " ".join(words)


def _plain(random: Random, name: Name) -> Query:
    stripped = (unicodedata.normalize("NFKD", text) for text in (core_title(name[0]), name[1][0].upper()))
    title, artist = ("".join(c for c in text if not unicodedata.combining(c)) for text in stripped)
    return title, artist


def _words_swapped(random: Random, name: Name) -> Query:
    artist = name[1][0]
    return _shuffled(random, core_title(name[0])), _shuffled(random, artist) if random.random() < 0.3 else artist


def _fields_swapped(random: Random, name: Name) -> Query:
    title, artist = _typos(random, name, 1)
    return artist, title


def _one_line(random: Random, name: Name) -> Query:
    parts = [name[1][0], core_title(name[0])]
    random.shuffle(parts)
    return _edit(random, " ".join(parts)), None


def _decorated(random: Random, name: Name) -> Query:
    note = random.choice([" (feat. Somebody)", " - Remastered 2011", " (feat. Some One) - Live", " [Radio Edit]"])
    return core_title(name[0]) + note, name[1][0]


KINDS: dict[str, Spoil] = {
    "as it is": lambda _, name: (name[0], name[1][0]),
    "no accents, no version notes, ARTIST": _plain,
    "1 typo": lambda random, name: _typos(random, name, 1),
    "2 typos": lambda random, name: _typos(random, name, 2),
    "words shuffled": _words_swapped,
    "fields swapped, 1 typo": _fields_swapped,
    "one line": lambda _, name: (f"{core_title(name[0])} {name[1][0]}", None),
    "one line, 1 typo": _one_line,
    "feat., Remastered, Live added": _decorated,
    "of several artists, only the first": lambda _, name: (name[0], name[1][0]),
    "of several artists, the last, 1 typo": lambda random, name: _typos(random, (name[0], name[1][-1:]), 1),
    "of several artists, all in a line": lambda _, name: (name[0], " & ".join(name[1])),
    "not Latin, 1 typo in the title": lambda random, name: (_edit(random, core_title(name[0])), name[1][0]),
    "title alone, 1 typo": lambda random, name: (_edit(random, core_title(name[0])), None),
}


if __name__ == "__main__":
    main()
