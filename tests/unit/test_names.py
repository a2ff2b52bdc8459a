"""The normaliser: total, idempotent, and blind to what people leave out or spell otherwise."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifacts.names import MAX_CHARS, artist_form, artist_parts, core_title, normalise, title_forms

ANY_TEXT = st.text(st.characters(), max_size=60)  # lone surrogates too
WORDS = st.text(st.sampled_from("aé&'$!n -–()[]./:19ßИ夜ْ"), max_size=40)
NOTES = st.lists(
    st.sampled_from([" - Live", " (feat. X)", " feat. Y", " - Remastered 2011", " [Demo]", " - 2009", " - Mono", " ("])
)


@given(ANY_TEXT | WORDS)
def test_normalise_is_idempotent_total_and_bounded(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert len(once) <= MAX_CHARS
    assert once == once.strip()
    assert "  " not in once
    once.encode("utf-8")


@given(ANY_TEXT | WORDS)
def test_artist_form_is_idempotent(text: str) -> None:
    assert artist_form(artist_form(text)) == artist_form(text)
    assert len(artist_parts(text)) != 1


@given(ANY_TEXT | WORDS, NOTES)
def test_core_title_is_idempotent_and_never_empty(text: str, notes: list[str]) -> None:
    title = "".join([text, *notes])
    core = core_title(title)
    assert core_title(core) == core
    assert bool(core) == bool(title)
    assert title_forms(title)[0] == normalise(title)


@given(ANY_TEXT)
def test_case_and_padding_do_not_matter(text: str) -> None:
    assert normalise(f"  {text}\t") == normalise(text)
    if text.isascii():
        assert normalise(text.upper()) == normalise(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Beyoncé", "BEYONCE"),
        ("Sigur Rós", "sigur ros"),
        ("MØ", "mo"),
        ("Straße", "STRASSE"),
        ("Æther", "aether"),
        ("Don’t Stop", "dont stop"),
        ("Don´t Stop", "Don't Stop"),
        ("Simon & Garfunkel", "Simon and Garfunkel"),
        ("Guns N' Roses", "guns and roses"),
        ("Rock ‘n’ Roll", "Rock & Roll"),
        ("AC/DC", "ac-dc"),
        ("A$AP Rocky", "asap rocky"),
        ("P!nk", "pink"),
        ("What's Up?", "whats up"),
        ("ＦＵＬＬ　ＷＩＤＴＨ", "full width"),
        ("Ёлка", "елка"),
        ("أغنية", "اغنية"),
        ("Ζορμπάς", "ΖΟΡΜΠΑΣ"),
        ("zero\u200bwidth", "zerowidth"),
    ],
)
def test_spellings_that_are_one(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("ハハ", "パパ"), ("हिन्दी", "हन्द"), ("夜", "夜曲"), ("Part 1", "Part 2"), ("$100", "s100"), ("???", "!!!")],
)
def test_spellings_that_are_two(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


@pytest.mark.parametrize("name", ["???", "!!!", "❤️", "+", "(", "*", "[", ".*", "\\"])
def test_a_name_without_letters_can_be_found(name: str) -> None:
    assert normalise(name)


@pytest.mark.parametrize("name", ["", "  ", "\ud800", "\u200b", "\x00"])
def test_a_name_with_nothing_to_see_is_empty(name: str) -> None:
    assert normalise(name) == ""
    assert title_forms(name) == ("",)


@pytest.mark.parametrize(
    "title",
    [
        "Song - Remastered 2011",
        "Song - 2011 Remaster",
        "Song Remastered 2011",
        "Song (Live)",
        "Song [Live] [Remastered]",
        "Song - Live in Rome, Italy - May 2013",
        "Song - Ao Vivo",
        "Song - Re-Recorded",
        "Song (feat. Somebody) - Radio Edit",
        "Song feat. Somebody & Someone",
        "Song ft. Somebody",
        "Song (with Somebody)",
        "Song (Official Music Video)",
        "Song – Acoustic Version",
    ],
)
def test_version_notes_are_no_part_of_the_core(title: str) -> None:
    assert core_title(title) == "Song"


@pytest.mark.parametrize(
    "title",
    [
        "Live and Let Die",
        "(Live)",
        "Song - Somebody Remix",
        "Song, Pt. 2",
        "Everybody (Backstreet's Back)",
        "Song - 2009",
        "Featherweight",
        "Edit",
        "99 Luftballons",
    ],
)
def test_what_is_part_of_the_core(title: str) -> None:
    assert core_title(title) == title


def test_a_remix_with_a_guest_is_that_remix() -> None:
    assert core_title("Song feat. Guest - Somebody Remix") == "Song - Somebody Remix"


def test_an_article_is_no_part_of_an_artist() -> None:
    assert artist_form("The Beatles") == artist_form("beatles")
    assert artist_form("The The") == "the"
    assert artist_form("Theory") == "theory"


def test_lines_of_several_artists_are_read_as_such() -> None:
    assert artist_parts("Queen & David Bowie") == ("queen", "david bowie")
    assert artist_parts("A feat. B, C") == ("a", "b", "c")
    assert artist_parts("Queen") == ()
    assert artist_parts("Queen, Queen") == ()


@pytest.mark.parametrize(
    "unit", ["(", "[(", " - ", "(live)", " feat. ", "n ", "'", "a\u0301", "& ", " - Live", "ﷺ", " "]
)
def test_long_names_take_no_long_time(unit: str) -> None:
    text = unit * 100_000
    started = time.perf_counter()
    title_forms(text), artist_form(text), artist_parts(text)
    assert time.perf_counter() - started < 0.5
