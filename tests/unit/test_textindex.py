"""Names looked up in a small catalogue, whose right answers are known by construction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifacts import lexicon, nametables
from artifacts.likeness import alike
from artifacts.model import Model
from artifacts.textindex import ARTIST_ALONE, MATCH_THRESHOLD, OTHER_FIELDS, Hit, TextIndex

SONGS: list[tuple[str, list[str], int]] = [
    ("Paper Lanterns", ["The Harbour Lights"], 80),  # 0
    ("Paper Lanterns - Remastered 2011", ["The Harbour Lights"], 90),
    ("Paper Lanterns (Live)", ["The Harbour Lights"], 20),
    ("Paper Lanterns", ["Nadia Brennecke"], 95),
    ("Glass Orchard", ["Nadia Brennecke", "Tomás Ferreira"], 50),
    ("Glass Orchard", ["Wilderness"], -1),  # 5
    ("Wilderness", ["Copper Kettle"], 40),
    ("夜の橋", ["青い列車"], 30),
    ("Мосты", ["Северный Ветер"], 30),
    ("???", ["!!!"], 10),
    ("Thunder Parade", ["Ash & Willow"], 60),  # 10
    ("Thunder Parade, Pt. 2", ["Ash & Willow"], 61),
    ("Symphony No. 5 in C Minor", ["Orla Quist"], 5),
    ("Symphony No. 6 in F Major", ["Orla Quist"], 6),
    ("Never Told", [], 70),
    ("Zebra Crossing", ["AC/DB"], 33),  # 15
    ("", ["Nobody At All"], 1),
]
ODD = [
    "",
    " ",
    "(",
    ")",
    "*",
    "[",
    "]",
    ".*",
    "(?:a+)+$",
    "\\",
    "|",
    "\ud800",
    "\x00",
    "a" * 100_000,
    "( " * 9_000,
    "the",
]


def index_of(songs: Sequence[tuple[str, list[str], int]]) -> TextIndex:
    popularity = np.array([p for _, _, p in songs], np.int16)
    return TextIndex(nametables.build([(title, artists) for title, artists, _ in songs], popularity))


@pytest.fixture(scope="module")
def index() -> TextIndex:
    return index_of(SONGS)


def rows(hits: Sequence[Hit]) -> list[int]:
    return [hit.row for hit in hits]


def test_an_exact_name_is_found_with_score_one_the_best_known_first(index: TextIndex) -> None:
    assert index.exact("PAPER LANTERNS") == [3, 1, 0, 2]
    assert index.exact("paper lanterns", "harbour lights") == [1, 0, 2]
    hits = index.search("Paper lanterns", "the harbour lights")
    assert rows(hits) == [1, 0, 2]
    assert {hit.score for hit in hits} == {1.0}
    assert index.exact("Paper Lanterns", "Copper Kettle") == []
    assert index.exact("Paper Lanterns", limit=2) == [3, 1]


def test_the_version_that_is_asked_for_comes_first(index: TextIndex) -> None:
    assert index.exact("Paper Lanterns - Live", "The Harbour Lights") == [2, 1, 0]
    assert rows(index.search("Paper Lanterns (Live)", "The Harbour Lights")) == [2, 1, 0]
    assert rows(index.search("Paper Lanterns (feat. Somebody) [Remastered]", "The Harbour Lights")) == [1, 0, 2]


@pytest.mark.parametrize(
    ("title", "artist", "row"),
    [
        ("Papre Lanterns", "Harbour Lights", 1),
        ("Paper Lantens", "Harbor Lights", 1),
        ("Lanterns Paper", "Lights Harbour", 1),
        ("Glas Orchard", "Nadia Breneke", 4),
        ("Glass Orchard", "Tomas Fereira", 4),
        ("Thunder Parad", "Ash and Wilow", 10),
        ("Zebra Crossing", "acdb", 15),
        ("Мост", "Северный Ветер", 8),
        ("夜の橋梁", "青い列車", 7),
    ],
)
def test_misspelt_names_are_matches_but_not_exact(index: TextIndex, title: str, artist: str, row: int) -> None:
    first = index.search(title, artist)[0]
    assert first.row == row
    assert MATCH_THRESHOLD <= first.score < 1
    assert first.score == pytest.approx(first.title * first.artist)


def test_title_and_artist_may_be_swapped(index: TextIndex) -> None:
    exact = index.search("Nadia Brennecke", "Glass Orchard")[0]
    assert (exact.row, exact.score) == (4, OTHER_FIELDS)
    misspelt = index.search("Nadia Breneke", "Glass Orchrd")[0]
    assert (misspelt.row, misspelt.score < OTHER_FIELDS) == (4, True)


@pytest.mark.parametrize(
    "line",
    [
        "Glass Orchard Nadia Brennecke",
        "nadia brennecke - glass orchard",
        "Glass Orchard by Nadia Brennecke",
        "Tomas Ferreira: Glass Orchard (Live)",
        "Nadia Brenneke Glas Orchard",
    ],
)
def test_both_in_one_line(index: TextIndex, line: str) -> None:
    first = index.search(line)[0]
    assert first.row == 4
    assert MATCH_THRESHOLD <= first.score <= OTHER_FIELDS


def test_a_title_alone_is_a_match_only_if_it_is_near(index: TextIndex) -> None:
    assert index.search("Glass Orchard")[0].score == 1
    assert rows(index.search("Glass Orchrad"))[0] == 4
    assert index.search("Zebra Crosing")[0].score >= MATCH_THRESHOLD
    assert all(hit.score < MATCH_THRESHOLD for hit in index.search("Glass Orphans"))


def test_an_artist_alone_is_never_a_match(index: TextIndex) -> None:
    assert ARTIST_ALONE < MATCH_THRESHOLD
    for hits in (index.search("", "Nadia Brennecke"), index.search("Nadia Brennecke"), index.search("Nadja Brennecke")):
        assert rows(hits) == [3, 4]
        assert all(hit.score <= ARTIST_ALONE and np.isnan(hit.title) for hit in hits)


def test_rows_of_an_artist(index: TextIndex) -> None:
    assert index.artist_rows("harbour lights", 10) == [1, 0, 2]
    assert index.artist_rows("Nadia Brenneke", 1) == [3]
    assert index.artist_rows("Somebody Else", 10) == []
    assert index.artist_rows("", 10) == []


def test_each_of_several_artists_is_enough(index: TextIndex) -> None:
    for artist in ("Nadia Brennecke", "Tomás Ferreira", "Tomas Ferreira & Nadia Brennecke"):
        assert index.exact("Glass Orchard", artist) == [4]
    uncredited = index.search("Glass Orchard", "Nadia Brennecke feat. Orla Quist")[0]
    assert uncredited.row == 4
    assert MATCH_THRESHOLD <= uncredited.score < 1
    assert index.search("Thunder Parade", "Willow")[0].score < 1


def test_another_song_of_the_artist_is_no_match(index: TextIndex) -> None:
    for title in ("Symphony No. 7 in C Minor", "Silver Chimneys", "Thunder Parade, Pt. 3"):
        for artist in ("Orla Quist", "The Harbour Lights", "Ash & Willow"):
            assert all(hit.score < MATCH_THRESHOLD for hit in index.search(title, artist)), (title, artist)
    assert index.search("Qwrtz", "Xyzzy") == []


def test_rows_without_an_artist_or_a_title(index: TextIndex) -> None:
    assert index.exact("Never Told") == [14]
    assert index.exact("Never Told", "Orla Quist") == []
    assert index.search("Never Tolt")[0].row == 14
    assert index.search("", "Nobody At All")[0].row == 16
    assert index.exact("") == []


def test_other_scripts_and_no_letters(index: TextIndex) -> None:
    assert index.exact("夜の橋", "青い列車") == [7]
    assert index.search("青い列車 夜の橋")[0].row == 7
    assert index.exact("мосты", "СЕВЕРНЫЙ ВЕТЕР") == [8]
    assert index.exact("???", "!!!") == [9]
    assert 8 in index.complete("мос")


@pytest.mark.parametrize("text", ODD)
def test_user_text_is_never_a_pattern(index: TextIndex, text: str) -> None:
    """Defect 14: "(", "*" and "[" broke the search, or matched everything."""
    for call in (
        lambda: index.search(text),
        lambda: index.search(text, text),
        lambda: index.search("Glass Orchard" + text, text),
        lambda: index.artist_rows(text, 5),
        lambda: index.complete(text),
        lambda: index.exact(text, text),
    ):
        assert isinstance(call(), list)
    assert all(hit.score < MATCH_THRESHOLD for hit in index.search(text, text))


def test_no_match_is_said_so(index: TextIndex) -> None:
    """Defect 9: what was not found came back as a random song."""
    assert index.search("Completely Unknown", "Stranger") == []
    assert index.complete("xq") == []


@given(st.text(st.characters(), max_size=30), st.none() | st.text(st.characters(), max_size=20))
def test_any_text_is_answered_in_order(index: TextIndex, title: str, artist: str | None) -> None:
    hits = index.search(title, artist, 5)
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert len(hits) <= 5
    assert len(set(rows(hits))) == len(hits)
    exact = index.exact(title, artist)
    assert all((hit.score == 1) == (hit.row in exact) for hit in hits if artist or title.strip())
    assert len(index.complete(title, 3)) <= 3


def test_type_ahead_ranks_by_popularity_and_names_a_song_once(index: TextIndex) -> None:
    assert index.complete("pap") == [3, 1]
    assert index.complete("nadia") == [3, 4]
    assert index.complete("The Har") == [1]
    assert index.complete("wild") == [6, 5]  # a title, and an artist of unknown popularity
    assert index.complete("harbour lights pap") == [1]
    assert index.complete("paper lanterns har") == [1]
    assert index.complete("p", limit=1) == [3]
    assert index.complete("") == index.complete("  ") == []


@pytest.mark.parametrize(
    ("typed", "row"),
    [
        ("hrbour li", 1),  # a letter left out, the title not at its end
        ("paepr lant", 3),  # two swapped
        ("harbuor lihgts", 1),  # two edits, from eight letters on
        ("glas orch", 4),
        ("nadia bernn", 3),  # an artist
    ],
)
def test_type_ahead_finds_a_misspelt_start(index: TextIndex, typed: str, row: int) -> None:
    assert index.complete(typed) == []
    assert row in index.complete_nearly(typed)[:3]


def test_type_ahead_takes_no_other_name_for_a_misspelt_one(index: TextIndex) -> None:
    for typed in ("", " ", "zq", "hxrxour", "qwvbnm kjhgf"):
        assert index.complete_nearly(typed) == []
    assert len(index.complete_nearly("paepr", limit=1)) <= 2


def test_versions_of_a_song_are_one_song() -> None:
    index = index_of(
        [
            ("Paper Boats", ["Nadia"], 50),
            ("Paper Boats - Remastered 2011", ["Nadia"], 70),
            ("Paper Boats", ["Otto"], 90),
            ("Paper Boats (Live)", ["Nadia", "Otto"], 10),
        ]
    )
    assert index.each_song_once([3, 2, 1, 0], 10) == [3, 2]
    assert index.each_song_once([1, 2, 0], 1) == [1]
    assert index.each_song_once([], 3) == []


def test_ties_go_to_the_first_row_whatever_the_hash_seed() -> None:
    """Defect 10: the first match depended on the order of a set."""
    songs = [("Same Name", [f"Artist {i}"], 50) for i in range(40)]
    index = index_of(songs)
    assert index.exact("same name") == list(range(40))
    assert rows(index.search("same nane", limit=40)) == list(range(40))
    assert index.complete("sam", limit=40) == list(range(40))
    again = index_of(songs)
    assert again.search("artist 7 same nme") == index.search("artist 7 same nme")


def test_names_that_share_addresses_are_not_taken_for_each_other() -> None:
    """With a few hundred addresses for all trigrams, nearly every name collides with others."""
    random = Random(5)
    words = ["".join(random.choices("bcdfglmnprst", k=2)) + random.choice("aeiou") for _ in range(60)]
    names = sorted({" ".join(random.choices(words, k=3)) for _ in range(300)})
    index = index_of([(name, [name[::-1]], 1) for name in names])
    for row, name in enumerate(names):
        assert index.exact(name, name[::-1]) == [row]
        assert index.search(name[1:], name[::-1])[0].row == row


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.sampled_from(["a", "ab", "abc", "b", "ba"]), st.integers(-1, 9)), min_size=1, max_size=1500)
)
def test_the_best_rows_of_a_prefix_are_those_of_a_full_sort(songs: list[tuple[str, int]]) -> None:
    songs = songs * (2000 // len(songs))  # more than the blocks that are looked into
    index = index_of([(title, [str(i)], popularity) for i, (title, popularity) in enumerate(songs)])
    for prefix in ("a", "ab", "b"):
        fitting = [i for i, (title, _) in enumerate(songs) if title.startswith(prefix)]
        assert index.complete(prefix, 7) == sorted(fitting, key=lambda i: (-songs[i][1], i))[:7]


def test_the_index_lives_in_mapped_arrays_only(tmp_path: Path, index: TextIndex) -> None:
    arrays = nametables.build([(t, a) for t, a, _ in SONGS], np.array([p for _, _, p in SONGS], np.int16))
    assert all(name.startswith("text_") for name in arrays)
    mapped: dict[str, npt.NDArray[Any]] = {}
    for name, array in arrays.items():
        assert not array.dtype.hasobject
        np.save(tmp_path / f"{name}.npy", array, allow_pickle=False)
        mapped[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    on_disk = TextIndex(mapped)
    assert _owned(on_disk) == 0
    calls: list[Callable[[TextIndex], object]] = [
        lambda i: i.search("glas orchard", "nadia"),
        lambda i: i.complete("g"),
        lambda i: i.exact("Мосты"),
    ]
    assert [repr(call(on_disk)) for call in calls] == [repr(call(index)) for call in calls]


def _owned(thing: object, seen: set[int] | None = None) -> int:
    """Return the bytes of the arrays below an object that are its own memory."""
    seen = set() if seen is None else seen
    if id(thing) in seen or not hasattr(thing, "__dict__"):
        return 0
    seen.add(id(thing))
    values = list(vars(thing).values())
    own = sum(v.nbytes for v in values if isinstance(v, np.ndarray) and v.flags.owndata)
    return own + sum(_owned(value, seen) for value in values)


@given(st.text("ab 12", max_size=12), st.lists(st.text("ab 12", max_size=12), max_size=5))
def test_likeness_is_one_only_for_equals(wanted: str, names: list[str]) -> None:
    for part in (0.0, 0.7):
        likeness = alike(wanted, names, part)
        assert len(likeness) == len(names)
        for name, how in zip(names, likeness, strict=True):
            assert 0 <= how <= 1
            assert (how == 1) == (name == wanted)


def test_likeness_forgives_order_and_spaces_but_not_numbers() -> None:
    order, spaces, number = alike("copper kettle 5", ["kettle 5 copper", "copperkettle5", "copper kettle 6"])
    assert order > 0.9
    assert spaces > 0.9
    assert number < MATCH_THRESHOLD
    assert alike("willow", ["ash and willow", "willow tree"], 0.7, 0.85).tolist() == [0.85, 0.7]


def test_a_lexicon_of_nothing() -> None:
    empty = index_of([])
    assert empty.search("a", "b") == []
    assert empty.complete("a") == []
    assert lexicon.build([], np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0, np.int32))


def test_a_model_finds_its_tracks_by_name(demo_model: Model) -> None:
    for row in range(0, len(demo_model), 300):
        artists = demo_model.artists_of(row)
        found = demo_model.rows_of_name(demo_model.name[row], artists[0] if artists else None)
        assert row in found
        popularity = [
            demo_model.track(r)["popularity"] or -1 for r in demo_model.rows_of_name(demo_model.name[row], None)
        ]
        assert popularity
