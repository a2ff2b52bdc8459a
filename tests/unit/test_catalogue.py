"""From cleaned rows to the catalogue: credited artists, label sets, and which rows are one song."""

from __future__ import annotations

import unicodedata
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from artifacts.names import core_title, normalise, title_forms
from artifacts.nametables import build as build_names
from artifacts.strings import Strings
from artifacts.textindex import TextIndex
from tests import builders
from training import catalogue
from training.cleaning import Ledger, clean


def credits_of(*artists: str | None) -> tuple[list[list[str]], Ledger]:
    """Return the credited artists of tracks with these artist strings."""
    ledger = Ledger()
    arrays = catalogue.credit_arrays(builders.songs(*({"artist_name": a} for a in artists)), ledger)
    names = Strings(arrays["artist_offsets"], arrays["artist_utf8"])
    offsets = arrays["credit_offsets"]
    assert len(offsets) == len(artists) + 1
    codes = [arrays["credit_artist"][a:b].tolist() for a, b in pairwise(offsets.tolist())]
    assert sorted({c for row in codes for c in row}) == list(range(len(names))), "no artist without a track"
    return [[names[c] for c in row] for row in codes], ledger


@pytest.mark.parametrize(
    ("artist", "expected"),
    [
        ("Ann;Ben", ["Ann", "Ben"]),
        ("Ann ; Ben;Cy", ["Ann", "Ben", "Cy"]),
        *((f"Ann {word} Ben", ["Ann", "Ben"]) for word in ("feat.", "feat", "Featuring", "FEAT.")),
        ("Ann;Ben feat. Cy", ["Ann", "Ben", "Cy"]),
        *(
            (name, [name])
            for name in (
                "Ann ft. Ben",
                "Six ft Under",
                "Daft Punk",
                "Featherweight",
                "The Feat",
                "Swift ftm",
                "Kool-Aid",
                "AC/DC",
            )
        ),
        *((name, [name]) for name in ("Earth, Wind & Fire", "Tyler, The Creator", "Simon & Garfunkel", "R&B Kid")),
        *((";Ann;", ["Ann"]), ("Ann;Ann", ["Ann"]), ("Ann;", ["Ann"]), (None, [])),
    ],
)
def test_an_artist_string_alone(artist: str | None, expected: list[str]) -> None:
    assert credits_of(artist)[0] == [expected]


def test_commas_and_ampersands_part_artists_who_are_known_alone() -> None:
    credits, ledger = credits_of("Ann, Ben & Cy", "Ann", "Ben", "Cy", "Ann & Ben", "Ann, Dee")
    assert credits[0] == ["Ann", "Ben", "Cy"]
    assert credits[4] == ["Ann", "Ben"]
    assert credits[5] == ["Ann, Dee"], "nobody knows Dee"
    assert [e.count for e in ledger.entries] == [0, 2]


@pytest.mark.parametrize("joined", ["Ann ft. Ben", "Ann ft Ben", "Ann FT. Ben"])
def test_ft_is_feet_unless_both_are_known_alone(joined: str) -> None:
    assert credits_of(joined, "Ann", "Ben")[0][0] == ["Ann", "Ben"]
    assert credits_of(joined, "Ann")[0][0] == [joined]


def test_an_artist_is_known_alone_from_lists_too() -> None:
    assert credits_of("Ann & Ben", "Ann;Cy", "Dee feat. Ben")[0][0] == ["Ann", "Ben"]


def test_a_band_that_is_better_known_than_its_words_stays_whole() -> None:
    credits, _ = credits_of(*["Earth, Wind & Fire"] * 3, "Earth", "Wind", "Fire", "Earth", "Wind", "Fire")
    assert credits[0] == ["Earth, Wind & Fire"]


def test_the_ledger_counts_the_rows_that_were_split() -> None:
    _, ledger = credits_of("Ann;Ben", "Ann;Ben", "Ann feat. Cy", "Ann", "Ben", None)
    assert [(e.action, e.count) for e in ledger.entries] == [("mended", 3), ("mended", 0)]


def test_a_catalogue_of_unknown_artists() -> None:
    assert credits_of(None, None)[0] == [[], []]


def test_the_first_artist_is_the_first_that_is_credited() -> None:
    arrays = catalogue.credit_arrays(
        builders.songs(*({"artist_name": a} for a in ("B;A", None, "A", "C", "B"))), Ledger()
    )
    names = Strings(arrays["artist_offsets"], arrays["artist_utf8"])
    first = catalogue.first_artist(arrays)
    assert [None if code < 0 else names[code] for code in first] == ["B", None, "A", "C", "B"]


def genre_sets(
    pairs: list[tuple[int, str]], artist: list[int]
) -> tuple[list[set[str]], list[set[str]], tuple[str, ...]]:
    """Return the labels of each row, what the score takes for them, and all labels."""
    frame = pd.DataFrame(pairs, columns=["row", "genre"]).astype({"row": "int64", "genre": "str"})
    labels, arrays = catalogue.genre_arrays(frame, np.array(artist, np.int32))
    offsets, members = arrays["set_offsets"], arrays["set_genre"]
    sets = [{labels[g] for g in members[a:b]} for a, b in pairwise(offsets.tolist())]
    assert len({frozenset(s) for s in sets}) == len(sets), "no set twice"
    assert sets[0] == set()
    return [sets[c] for c in arrays["genre_set"]], [sets[c] for c in arrays["score_genre_set"]], labels


def test_label_sets() -> None:
    own, scored, labels = genre_sets([(0, "rock"), (0, "jazz"), (1, "pop"), (3, "jazz"), (3, "rock")], [0, 1, -1, 2])
    assert labels == ("jazz", "pop", "rock")
    assert own == scored == [{"rock", "jazz"}, {"pop"}, set(), {"rock", "jazz"}]


def test_a_row_without_labels_is_guessed_from_its_artists_commonest_set() -> None:
    pairs = [(0, "pop"), (1, "rock"), (1, "jazz"), (2, "jazz"), (2, "rock"), (4, "folk")]
    own, scored, _ = genre_sets(pairs, [7, 7, 7, 7, 8, 9, -1])
    assert own[3:] == [set(), {"folk"}, set(), set()], "what answers show is never a guess"
    assert scored == [{"pop"}, {"rock", "jazz"}, {"rock", "jazz"}, {"rock", "jazz"}, {"folk"}, set(), set()]


def test_no_labels_at_all() -> None:
    own, scored, labels = genre_sets([], [0, -1])
    assert (own, scored, labels) == ([set(), set()], [set(), set()], ())


def songs_of(*rows: dict[str, Any]) -> tuple[list[int], Ledger]:
    """Return the song number of each row, in the order given, renumbered by first appearance."""
    ledger = Ledger()
    frame, _, _ = clean(builders.songs(*rows), builders.NEWEST_YEAR)
    arrays = catalogue.credit_arrays(frame, Ledger())
    names = Strings(arrays["artist_offsets"], arrays["artist_utf8"])
    songs = catalogue.song_array(frame, catalogue.first_artist(arrays), names, ledger).tolist()
    assert sorted(set(songs)) == list(range(len(set(songs))))
    seen: dict[int, int] = {}
    return [seen.setdefault(song, len(seen)) for song in songs], ledger


VERSIONS = [
    *("Yellow Sun", "yellow sun", "Yellow Sun!", "Yellow Sun - Live", "Yellow Sun (Live at Old Mill, 1998)"),
    *("Yellow Sun - Remastered 2011", "Yellow Sun - 2011 Remaster", "Yellow Sun (Remastered)", "Yellow Sun [Demo]"),
    *("Yellow Sun - Radio Edit", "Yellow Sun (feat. Bo Lee)", "Yellow Sun feat. Bo Lee", "Yellow Sun (with Bo Lee)"),
    *("Yellow Sun - Acoustic", "Yellow Sun – Acoustic Version", "Yellow Sun (Deluxe Edition)", "Yellow Sun - Mono"),
    *("Yellow Sun (Live) - 2009 Remaster", "Yellow Sun (feat. Bo Lee) - Live", "Yellow Sun - 1999 Mix"),
    *(
        "Yellow Sun (Re-Recorded)",
        "Yellow Sun - Instrumental",
        "Yellow Sun - Original Mix",
        "Yellow Sun - MTV Unplugged",
    ),
]


@pytest.mark.parametrize("title", VERSIONS)
def test_versions_have_one_core_title(title: str) -> None:
    assert normalise(core_title(title)) == "yellow sun"


@pytest.mark.parametrize(
    "title",
    [
        *("Live", "Live Forever", "Live and Let Die", "Long Live", "Acoustic", "Demo", "Edit", "Mono", "The Remaster"),
        *(
            "Sun (Alive)",
            "Sun (Edited)",
            "Sun - Alive",
            "Sun - Edited",
            "Sun (Delivery)",
            "Sun - Democracy",
            "Sun (Oliver)",
        ),
        *(
            "Sun (Monologue)",
            "Sun - Stereotypes",
            "Sun (Editor)",
            "Sun - Inversions",
            "(Live)",
            "- Live",
            "feat. Nobody",
        ),
        *(
            "Sun-Live",
            "Anti-Live",
            "Song 2",
            "Part 2",
            "Sun - Part 2",
            "Sun (Part 2)",
            "1999 - 2004",
            "(I Am) Alive",
            "夜",
        ),
        *("Loft (Daft)", "Swift Sun", "Left Alone", "Featherlight", "Withered (Without You)", "Sun (Without You)"),
    ],
)
def test_what_only_looks_like_a_version_stays(title: str) -> None:
    assert core_title(title) == title


def test_the_versions_of_a_song_share_its_number() -> None:
    songs, ledger = songs_of(*({"track_name": title, "artist_name": "Vale;Gray"} for title in VERSIONS))
    assert songs == [0] * len(VERSIONS)
    assert [e.count for e in ledger.entries] == [len(VERSIONS) - 1]


def test_the_first_artist_says_whose_song_it_is() -> None:
    artists = ["Vale", "Vale;Gray", "VÂLE", "Gray", "Gray;Vale", None, None]
    songs, ledger = songs_of(*({"track_name": "Home", "artist_name": a} for a in artists))
    assert songs == [0, 0, 0, 1, 1, 2, 3], "unknown artists are not one artist"
    assert [e.count for e in ledger.entries] == [3]


def test_the_same_recording_under_another_id_is_one_song() -> None:
    same = {"tempo": 99.123, "valence": 0.333}
    songs, _ = songs_of(
        {**same, "track_name": "Glass", "artist_name": "Ola"},
        {**same, "track_name": "Glas (album)", "artist_name": "Ola"},  # the artist's other spelling of it
        {**same, "track_name": "Glass", "artist_name": "Ola & Band"},  # the same title, other credits
        {**same, "track_name": "Ice", "artist_name": "Per"},  # a chance meeting of nine numbers
        {"track_name": "Glass", "artist_name": "Quin"},
        {**same, "track_name": "Glas", "artist_name": "Quin", "loudness": -3.0},
    )
    assert songs == [0, 0, 0, 1, 2, 3]


def test_unknown_sounds_are_not_the_same_recording() -> None:
    songs, _ = songs_of(*({"tempo": 0, "track_name": f"Song {i}", "artist_name": "Ola"} for i in range(3)))
    assert songs == [0, 1, 2]


def test_versions_join_over_several_steps() -> None:
    same = {"tempo": 99.123}
    songs, _ = songs_of(
        {**same, "track_name": "Glass", "artist_name": "Ola"},
        {**same, "track_name": "Verre", "artist_name": "Ola"},
        {"track_name": "Verre - Live", "artist_name": "Ola"},
    )
    assert songs == [0, 0, 0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("Beyoncé", "beyonce"), ("BEYONCE", "beyonce"), ("Don’t Stop", "dont stop"), ("Don't Stop", "dont stop")),
        *(("Simon & Garfunkel", "simon and garfunkel"), ("AC/DC", "ac dc"), ("  Two   Words ", "two words")),
        *(
            ("Straße", "strasse"),
            ("ＦＵＬＬ　ＷＩＤＴＨ", "full width"),
            ("がまん", "がまん"),
            ("ガ", "ガ"),
            ("ﬁre", "fire"),
        ),
        *(("か\u3099", "が"), ("Группа Крови!", "группа крови"), ("???", "???"), ("...", "..."), ("÷ × =", "÷ × =")),
        *(("P!nk", "pink"), ("snake_case", "snake case"), ("Sigur Rós", "sigur ros"), ("ОДИН", "один"), ("", "")),
    ],
)
def test_normalised_names(text: str, expected: str) -> None:
    assert normalise(text) == expected


NAMES = [("Home", ["Ann", "Ben"]), ("Home - Live", ["Ann"]), ("Away", ["Ann"]), ("Home", [])]


@pytest.mark.parametrize(
    ("title", "artist", "expected"),
    [
        *(("HOME!", None, [0, 1, 3]), ("Home", "ben", [0]), ("home", "Ann", [0, 1]), ("Home - Live", "Ann", [1, 0])),
        *(("Home", "", [0, 1, 3]), ("Home", "Cy", []), ("Hom", None, []), ("Away", "Ben", [])),
    ],
)
def test_looking_up_names(title: str, artist: str | None, expected: list[int]) -> None:
    index = TextIndex(build_names(NAMES, np.full(len(NAMES), 50, np.int16)))
    assert index.exact(title, artist) == expected


VISIBLE = {"L", "N", "P", "S"}  # categories of letters, numbers, punctuation, symbols
titles = st.text(max_size=30) | st.lists(
    st.sampled_from(
        [
            *"aÉßが夜½´¨'&-–()[]!?_ ",
            "ᄀ",
            "ᅡ",
            "\u0301",
            "\u3099",
            " - ",
            "Live",
            "feat.",
            "(Live)",
            "2011",
            "Remaster",
            "ﬁ",
        ]
    ),
    max_size=8,
).map("".join)


@given(titles)
@example("´")
@example("¨ ˙")
@example("ᄀ'ᅡ")
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(titles)
@example("´")
@example("¨ ˙")
def test_what_can_be_seen_has_a_normalised_form(text: str) -> None:
    if any(unicodedata.category(c)[0] in VISIBLE for c in text):
        assert normalise(text) != ""


@given(titles)
def test_outer_spaces_and_the_form_of_unicode_do_not_matter(text: str) -> None:
    assert normalise(f"  {text} ") == normalise(text)
    assert normalise(unicodedata.normalize("NFD", text)) == normalise(unicodedata.normalize("NFC", text))


@given(titles)
def test_a_core_title_is_never_empty_and_has_no_core_of_its_own(text: str) -> None:
    core = core_title(text)
    assert bool(core) == bool(text)
    left = iter(text)
    assert all(c in left for c in core if not c.isspace()), "what is left of it, in its order"
    assert title_forms(text)[0] == normalise(text)
    assert normalise(core) in title_forms(text)
