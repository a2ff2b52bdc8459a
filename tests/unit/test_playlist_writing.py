"""What is written is valid by the formats' schemas, the same each time, and other people's parsers read it."""

from __future__ import annotations

import csv
import io
import json
import re
from xml.etree import ElementTree

import m3u8
import pytest
from hypothesis import given
from jsonschema import Draft202012Validator
from lxml import etree

from producer.playlists import writing
from producer.playlists.documents import clean, one_line, valid_uri
from producer.playlists.locations import as_uri, location
from producer.playlists.writing import FORMATS, Document, Song, document_of
from tests import playlist_schemas as given_schemas
from tests.playlist_schemas import HARD, SPOTIFY, documents

SCHEMA = etree.XMLSchema(etree.fromstring(given_schemas.XSPF))
NS = "{http://xspf.org/ns/0/}"
ALL_HARD = Document(
    "Hard <&> ]]>", tuple(Song(text, (text, "Second, with comma"), track_id=f"demo{i}") for i, text in enumerate(HARD))
)
SONG = Song("Title", ("A", "B"), SPOTIFY, f"spotify:track:{SPOTIFY}", f"https://open.spotify.com/track/{SPOTIFY}")
EXPORTIFY = (
    "Track URI,Track Name,Artist URI(s),Artist Name(s),Album URI,Album Name,Album Artist URI(s),Album Artist Name(s),"
    "Album Release Date,Album Image URL,Disc Number,Track Number,Track Duration (ms),Track Preview URL,Explicit,"
    "Popularity,ISRC,Added By,Added At"
)


def test_there_are_six_formats_in_this_order() -> None:
    assert [(f.name, f.suffix, f.media_type) for f in FORMATS.values()] == [
        ("m3u8", ".m3u8", "audio/x-mpegurl"),
        ("xspf", ".xspf", "application/xspf+xml"),
        ("jspf", ".jspf", "application/jspf+json"),
        ("csv", ".csv", "text/csv"),
        ("uris", ".txt", "text/uri-list"),
        ("jsonl", ".jsonl", "application/jsonl"),
    ]
    assert all(name == form.name for name, form in FORMATS.items())
    assert [form.name for form in FORMATS.values() if form.has_locations] == ["m3u8", "xspf"]


@given(documents)
def test_every_format_is_utf8_and_the_same_each_time(document: Document) -> None:
    for form in FORMATS.values():
        text = form.write(document)
        assert text == form.write(document)
        assert text.encode("utf-8").decode("utf-8") == text
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", text)


@given(documents)
def test_xspf_is_valid_and_two_parsers_read_what_was_meant(document: Document) -> None:
    text = writing.xspf(document)
    tree = etree.fromstring(text.encode())
    SCHEMA.assertValid(tree)
    again = ElementTree.fromstring(text)
    for root in (tree, again):
        assert (root.findtext(f"{NS}title") or "") == clean(document.title)
        tracks = root.findall(f"{NS}trackList/{NS}track")
        assert [track.findtext(f"{NS}title") for track in tracks] == [clean(song.title) for song in document.songs]
        assert [track.findtext(f"{NS}album") or "" for track in tracks] == [
            clean(s.album or "") for s in document.songs
        ]
        creators = [clean(", ".join(song.artists)) for song in document.songs]
        assert [track.findtext(f"{NS}creator") or "" for track in tracks] == creators
        durations = [str(song.duration_ms) if song.duration_ms is not None else None for song in document.songs]
        assert [track.findtext(f"{NS}duration") for track in tracks] == durations


def test_the_schema_refuses_what_is_no_xspf() -> None:
    text = writing.xspf(Document("t", (SONG,)))
    for broken in (
        text.replace('version="1"', 'version="2"'),
        text.replace("trackList", "tracks"),
        text.replace("<title>Title</title>", "").replace("</creator>", "</creator><title>Title</title>"),
        text.replace("spotify:track", "no uri"),
    ):
        assert not SCHEMA.validate(etree.fromstring(broken.encode()))


@given(documents)
def test_jspf_is_valid_and_holds_identifiers_as_lists(document: Document) -> None:
    whole = json.loads(writing.jspf(document))
    Draft202012Validator(given_schemas.JSPF).validate(whole)
    tracks = whole["playlist"]["track"]
    assert [track["title"] for track in tracks] == [clean(song.title) for song in document.songs]
    for track, song in zip(tracks, document.songs, strict=True):
        assert ("identifier" in track) == (song.track_id is not None)
        if song.uri:
            assert track["identifier"] == [song.uri]
            assert track["location"] == [song.url]


@given(documents)
def test_m3u8_has_two_lines_a_song_and_another_parser_reads_them(document: Document) -> None:
    text = writing.m3u8(document)
    lines = text.split("\n")
    assert lines[:2] == ["#EXTM3U", f"#PLAYLIST:{one_line(document.title)}"]
    assert len(lines) == 3 + 2 * len(document.songs)
    segments = m3u8.loads(text).segments
    assert len(segments) == len(document.songs)
    for segment, song in zip(segments, document.songs, strict=True):
        assert segment.duration == (-1 if song.duration_ms is None else round(song.duration_ms / 1000))
        title = one_line(song.title) if song.artists else one_line(song.title).replace(" - ", " – ")
        assert segment.title.endswith(title.replace("#EXTINF:", ""))  # which this parser takes out wherever it stands
        if song.url:
            assert segment.uri == song.url


@pytest.mark.parametrize("text", HARD)
def test_a_location_is_one_safe_path_that_xspf_can_hold(text: str) -> None:
    song = Song(text, (text,), album=text)
    path = location(song, "Music/{artist}/{album}/{title}.mp3")
    parts = path.split("/")
    assert len(parts) == 4
    assert all(len(part.encode()) <= 130 and not re.search(r'[\\:*?"<>|#\x00-\x1f]', part) for part in parts)
    assert not {"..", ".", "", "CON", "CON.mp3"} & set(parts)
    uri = as_uri(path)
    assert re.fullmatch(r"[!-~]+", uri)
    SCHEMA.assertValid(etree.fromstring(writing.xspf(Document("", (song,)), "Music/{artist}/{title}.mp3").encode()))


def test_locations_by_template() -> None:
    song = Song("What? 100%25", ("AC/DC", "B"), year=1980)
    assert location(song, "{artist} - {title}.mp3") == "AC_DC - What_ 100_25.mp3"
    assert location(song, "https://my.server/{title}.ogg") == "https://my.server/What%3F%20100%2525.ogg"
    assert location(Song("  ", ()), "{year}/{artist} - {title}") == "Unknown/Unknown - Unknown"
    assert as_uri("/home/me/ö.mp3") == "file:///home/me/%C3%B6.mp3"
    assert as_uri("C:\\Music\\a b.mp3") == "file:///C:/Music/a%20b.mp3"
    assert "C - Song.mp3" in writing.m3u8(Document("", (Song("Song", ("C",), track_id="demo1"),)))
    for template in ("{artist", "Music/track.mp3", "{artist.__class__}", "{nobody}", "{title}\nx", "#{title}"):
        with pytest.raises(ValueError, match=r"\{artist\}"):
            writing.m3u8(Document("", ()), template)


@given(documents)
def test_csv_has_exportify_columns_and_no_cell_that_is_a_formula(document: Document) -> None:
    text = writing.csv(document)
    assert text.replace('"', "").startswith(EXPORTIFY + ",")
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert len(rows) == 1 + len(document.songs)
    for row in rows[1:]:
        assert len(row) == len(rows[0])
        assert not any(re.match(r"\s*[=+\-@＝＋－＠]|[\t\r\n]", cell) for cell in row)
    for row, song in zip(rows[1:], document.songs, strict=True):
        values = dict(zip(rows[0], row, strict=True))
        assert values["Track Name"] in (clean(song.title), "'" + clean(song.title))
        assert values["Track Duration (ms)"] == str("" if song.duration_ms is None else song.duration_ms)


def test_uris_are_spotify_lines_or_our_own() -> None:
    other, unknown = Song("Other", ("B",), track_id="demo 1/é"), Song("No\nid", ("C",))
    text = writing.uris(Document("t", (SONG, other, unknown)))
    assert text == f"spotify:track:{SPOTIFY}\nurn:segue:track:demo%201%2F%C3%A9\n# C - No id\n"


@given(documents)
def test_jsonl_holds_all_that_is_known(document: Document) -> None:
    lines = writing.jsonl(document).split("\n")[:-1]
    assert len(lines) == len(document.songs)
    for line, song in zip(lines, document.songs, strict=True):
        fields = json.loads(line)
        assert fields["name"] == clean(song.title)
        assert fields.get("artists", []) == [clean(artist) for artist in song.artists]
        assert fields.get("playlist", "") == clean(document.title)
        for name in ("track_id", "duration_ms", "year", "tempo", "key", "mode", "popularity", "isrc"):
            assert fields.get(name) == getattr(song, name)


def test_addresses_become_valid() -> None:
    assert valid_uri("https://a.example/ö b#c#d%zz%20") == "https://a.example/%C3%B6%20b#c%23d%25zz%20"
    assert valid_uri("no scheme") is None


def test_an_answer_becomes_a_document() -> None:
    track = {
        "track_id": SPOTIFY,
        "name": "T",
        "artists": ["A"],
        "genres": ["pop"],
        "year": 1999,
        "popularity": 7,
        "tempo": 120.5,
        "key": 0,
        "mode": 1,
        "duration_ms": 1000,
        "cluster": 3,
        "rank": 1,
        "spotify_url": f"https://open.spotify.com/track/{SPOTIFY}",
    }
    answer = {"tracks": [track, {**track, "track_id": "demo1", "spotify_url": None}], "notice": "Invented."}
    document = document_of(answer, "Mine")
    assert (document.title, document.note) == ("Mine", "Invented.")
    assert document.songs[0].uri == f"spotify:track:{SPOTIFY}"
    assert document.songs[1].uri is None
    assert document.songs[1].url is None
    assert document.songs[1].track_id == "demo1"
    assert json.loads(writing.jsonl(document).split("\n")[0])["key"] == 0


def test_hard_texts_in_all_formats() -> None:
    for form in FORMATS.values():
        form.write(ALL_HARD).encode("utf-8")
    SCHEMA.assertValid(etree.fromstring(writing.xspf(ALL_HARD).encode()))
