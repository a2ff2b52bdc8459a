"""What others export and what we write is read, row by row; what cannot be used says why."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.playlists.documents import clean
from producer.playlists.reading import KINDS, MAX_ROWS, Reading, UnreadablePlaylist, read, text_of
from producer.playlists.rows import titled
from producer.playlists.writing import FORMATS, Document, Song
from producer.schema import Seed
from tests.playlist_schemas import SPOTIFY, documents

OTHER = "1301WleyT98MSxVHPZCA6M"
EXPORTIFY = (
    '"Track URI","Track Name","Artist URI(s)","Artist Name(s)","Album URI","Album Name","Added By","Added At"\n'
    f'"spotify:track:{SPOTIFY}","Get Up","spotify:artist:1, spotify:artist:2","Tyler\\, The Maker, Other","","","",""\n'
    '"spotify:local:Some+Band:Album:My+Own+Song:128","My Own Song","","Some Band","","","",""\n'
    '"spotify:local:Some+Band:Album:Ün%C3%ADt:128","","","","","","",""\n'
    f'"spotify:episode:{OTHER}","","","","","","",""\n'
    f'"spotify:track:{OTHER}","","","","","","",""\n'
)


def seeds(text: str, **how: Any) -> list[dict[str, Any] | None]:
    reading = read(text, **how)
    for row in reading.rows:
        assert (row.seed is None) != (row.error is None)
        if row.seed is not None:
            Seed.model_validate(row.seed)
    return [row.seed for row in reading.rows]


def errors(text: str, **how: Any) -> list[str | None]:
    return [row.error for row in read(text, **how).rows]


def test_exportify() -> None:
    assert seeds(EXPORTIFY) == [
        {"name": "Get Up", "artist": "Tyler, The Maker"},
        {"name": "My Own Song", "artist": "Some Band"},
        {"name": "Ünít", "artist": "Some Band"},
        None,
        {"track_id": OTHER},
    ]
    assert errors(EXPORTIFY)[3] == "it is a Spotify episode, not a song"
    assert seeds(EXPORTIFY, prefer="id")[0] == {"track_id": SPOTIFY}
    assert [row.number for row in read(EXPORTIFY).rows] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "table",
    [
        f"Track URI,Track Name,Album Name,Artist Name(s)|spotify:track:{SPOTIFY},Song,No matter,Somebody",
        f"Spotify ID,Track Name,Album,Artist Name|{SPOTIFY},Song,No matter,Somebody",
        "track_id;name;album;artist|;Song;No matter;Somebody",
        f"Track name\tArtist name\tAlbum\tSpotify - id|Song\tSomebody\tNo matter\t{SPOTIFY}",
        "title,artist,album,isrc,platform,id|Song,Somebody,No matter,QZABC2600001,spotify,17",
        '"TITLE";"ARTIST";"ALBUM";"ISRC"|"Song";"Somebody";"No matter";""',
        "artist;title|Somebody;Song",
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_headers_of_others_are_known_with_any_delimiter(table: str, end: str, mark: str) -> None:
    text = mark + table.replace("|", end) + end
    assert read(text).kind == "csv"
    assert seeds(text) == [{"name": "Song", "artist": "Somebody"}]


def test_playlists_of_rows_and_weights() -> None:
    text = "Track name,Artist name,Playlist name,weight\nA,B,Rock,2\nC,D,Pop,-1.5\nE,F,,\nG,H,,much\n"
    reading = read(text)
    assert [row.title for row in reading.rows] == ["Rock", "Pop", None, None]
    assert seeds(text)[0] == {"name": "A", "artist": "B", "weight": 2.0}
    assert seeds(text)[1] == {"name": "C", "artist": "D", "weight": -1.5}
    assert "'much' is no number" in str(reading.rows[3].error)
    assert read("Name,Track Name,Artist Name(s)\nMine,T,A\n").rows[0].title == "Mine"


def test_ids_of_any_catalogue_in_a_column_that_says_so() -> None:
    assert seeds("track_id,title\ndemo0000017,Wicked Valley\n") == [{"track_id": "demo0000017"}]
    assert seeds("id,title\n17,Wicked Valley\n") == [{"name": "Wicked Valley"}]


def test_several_artists() -> None:
    assert seeds("title,artist\nT,A;B\n")[0] == {"name": "T", "artist": "A"}
    assert seeds("title,artist\nT,'Tyler, The Maker'\n".replace("'", '"'))[0] == {
        "name": "T",
        "artist": "Tyler, The Maker",
    }
    many = ", ".join(f"Artist {i}" for i in range(40))
    assert seeds(f'title,artist\nT,"{many}"\n')[0] == {"name": "T", "artist": many[: many.index(", Artist 19")]}


def test_a_quote_that_is_never_closed_costs_one_row() -> None:
    text = 'title,artist\nA,B\n"C,D\nE,F\n' + "G,H\n" * 100 + '"I, J",K\n'
    rows = read(text).rows
    assert rows[1].error == "a quote in it is never closed"
    assert [row.seed for row in (rows[0], rows[2], rows[-1])] == [
        {"name": "A", "artist": "B"},
        {"name": "E", "artist": "F"},
        {"name": "I, J", "artist": "K"},
    ]
    assert len(rows) == 104


def test_csv_without_a_column_for_songs_says_what_it_needs() -> None:
    with pytest.raises(UnreadablePlaylist, match="Track Name, Title, Name, Track URI or track_id"):
        read("Bohemia,Queens\nx,y\n", filename="mine.csv")


def test_plain_lines() -> None:
    text = (
        f"# mine\nQueens - Some Song\n\nSome Song\nSome Song - Remastered 2011\nspotify:track:{SPOTIFY}\n"
        f"https://open.spotify.com/intl-de/track/{SPOTIFY}?si=1\n{SPOTIFY}\nurn:segue:track:demo%201\n"
        f"https://open.spotify.com/album/{SPOTIFY}\nhttps://youtu.be/x\nLive - Some Other\n"
    )
    reading = read(text)
    assert reading.kind == "lines"
    assert [row.number for row in reading.rows] == [2, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    assert seeds(text) == [
        {"artist": "Queens", "name": "Some Song"},
        {"name": "Some Song"},
        {"name": "Some Song - Remastered 2011"},
        *[{"track_id": SPOTIFY}] * 3,
        {"track_id": "demo 1"},
        None,
        None,
        {"artist": "Live", "name": "Some Other"},
    ]
    assert errors(text)[7] == "it is a Spotify album, not a song"
    assert "give title and artist" in str(errors(text)[8])
    assert set(reading.notes) == {"comments passed over: 1", "empty lines passed over: 1"}


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("Song - Somebody", {"name": "Song", "artist": "Somebody"}),
        ("Song - Live - Somebody", {"name": "Song - Live", "artist": "Somebody"}),
        ("Song - Remastered 2011", {"name": "Song - Remastered 2011"}),
        ("Song - ", {"name": "Song - "}),
        ("Song", {"name": "Song"}),
    ],
)
def test_words_with_the_title_first(words: str, names: dict[str, str]) -> None:
    assert titled(words) == names


def test_m3u8_of_players_and_of_spotify_links() -> None:
    text = (
        "#EXTM3U\r\n#PLAYLIST:Mine\r\n#EXTINF:123,The Band - The Song - Live\r\nC:\\Music\\x.mp3\r\n"
        "../Music/03 Band - Song.flac\r\n#EXTINF:-1,\r\nfile:///home/me/%C3%96l%20-%20Ding.ogg\r\n"
        f'https://open.spotify.com/track/{SPOTIFY}\r\n#EXTINF:-1 tvg-id="x",Only Title\r\nhttp://radio/1\r\n'
    )
    reading = read(text)
    assert (reading.kind, reading.rows[0].title) == ("m3u8", "Mine")
    assert seeds(text) == [
        {"artist": "The Band", "name": "The Song - Live"},
        {"artist": "Band", "name": "Song"},
        {"artist": "Öl", "name": "Ding"},
        {"track_id": SPOTIFY},
        {"name": "Only Title"},
    ]
    with pytest.raises(UnreadablePlaylist, match="stream"):
        read("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:9,\na.ts\n")


def test_jsonl_takes_seeds_tracks_and_says_what_is_wrong() -> None:
    lines = [
        {"name": "A", "artist": "B", "weight": -2.0},
        {"features": {"energy": 0.5}},
        {"track_id": "demo1", "name": "A", "artists": ["B"], "key": 3},
        {"name": "A", "artists": ["B", "C"]},
        {"energy": 0.5},
        {"name": 3},
        {"seeds": []},
        {"track_id": "x", "weight": 0},
        {"features": {"energy": 7}},
    ]
    text = "\n".join([*map(json.dumps, lines), "{", '"A - B"', "[]", "", "[" * 5000])
    assert seeds(text, kind="jsonl")[:4] == [
        lines[0],
        lines[1],
        {"track_id": "demo1"},
        {"name": "A", "artist": "B"},
    ]
    assert seeds(text, kind="jsonl")[4:9] == [None] * 5
    found = errors(text, kind="jsonl")
    assert "several seeds" in str(found[6])
    assert "features.energy" in str(found[8])
    assert found[9] == "it is no JSON"
    assert found[-1] == "it is no JSON"
    assert read(text).kind == "jsonl"


def test_xspf_with_a_doctype_is_refused_before_anything_is_expanded() -> None:
    laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
    bomb = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "ha">{laughs}]><playlist><title>&l11;</title></playlist>'
    outside = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]><playlist><title>&e;</title></playlist>'
    begin = time.monotonic()
    for text in (bomb, outside):
        with pytest.raises(UnreadablePlaylist, match="DOCTYPE"):
            read(text)
    assert time.monotonic() - begin < 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<playlist><trackList>", "well-formed"),
        ("<rss></rss>", "begins with <rss>"),
        ("<playlist>" + "<a>" * 60, "nested"),
        ("<playlist/>", "no songs"),
        ("<playlist>&e;</playlist>", "well-formed"),
        ('{"playlist": {"title": "x"}}', "track"),
        ('{"playlist": ', "JSON"),
        ("", "no songs"),
        ("# nothing\n\n", "no songs"),
        ("#EXTM3U\n", "no songs"),
        ("title,artist\n", "no songs"),
    ],
)
def test_files_that_are_unusable_say_why(text: str, why: str) -> None:
    with pytest.raises(UnreadablePlaylist, match=why):
        read(text)


def test_xspf_and_jspf_of_others() -> None:
    xspf = (
        '<?xml version="1.0" encoding="ISO-8859-1"?><playlist version="1" xmlns="http://xspf.org/ns/0/" '
        'xmlns:vlc="http://www.videolan.org/vlc/playlist/ns/0/"><title>Mine</title><trackList><track>'
        "<title>Söng &#x26; <![CDATA[<b>]]></title><creator>Bänd</creator><extension application='x'>"
        "<vlc:id>0</vlc:id><title>not this</title></extension></track>"
        f"<track><location>https://open.spotify.com/track/{SPOTIFY}</location></track><track/></trackList></playlist>"
    )
    assert seeds(xspf) == [{"name": "Söng & <b>", "artist": "Bänd"}, {"track_id": SPOTIFY}, None]
    assert read(xspf).rows[0].title == "Mine"
    jspf = {
        "playlist": {
            "title": "Mine",
            "track": [
                {"title": "T", "creator": "C", "identifier": ["https://musicbrainz.org/recording/1"]},
                {"identifier": f"spotify:track:{SPOTIFY}"},
                {"title": 3},
                7,
            ],
        }
    }
    assert seeds(json.dumps(jspf)) == [{"name": "T", "artist": "C"}, {"track_id": SPOTIFY}, None, None]
    assert read(json.dumps(jspf, indent=2)).kind == "jspf"


@given(documents.filter(lambda document: document.songs))
def test_what_we_write_we_read(document: Document) -> None:
    for name in ("m3u8", "xspf", "jspf", "csv", "jsonl"):
        reading = read(FORMATS[name].write(document))
        assert reading.kind == name
        assert len(reading.rows) == len(document.songs)
        for row, song in zip(reading.rows, document.songs, strict=True):
            if name != "m3u8":
                assert row.seed == expected(song, name), row
            if name not in ("csv", "m3u8"):
                assert row.title == (clean(document.title).strip() or None)


def expected(song: Song, form: str) -> dict[str, Any]:
    """Return the seed that a song comes back as."""
    if song.track_id and (not song.uri or form == "jsonl"):
        return {"track_id": song.track_id.strip()}
    title = clean(song.title).strip()
    artists = [clean(artist) for artist in song.artists]
    artist = (artists[0] if form in ("csv", "jsonl") else ", ".join(artists)).strip() if artists else ""
    if song.uri and not (artist and len(title) <= 200):
        return {"track_id": song.track_id}
    seed = {"name": title[:200].strip()}
    return {**seed, "artist": cut(artist)} if artist else seed


def cut(artists: str) -> str:
    if len(artists) <= 200:
        return artists
    whole, comma, _ = artists[:200].rpartition(", ")
    return (whole if comma else artists[:200]).strip()


@given(
    documents.filter(lambda document: document.songs), st.sampled_from(list(FORMATS)), st.randoms(use_true_random=False)
)
def test_a_retry_file_holds_the_rows_that_failed(document: Document, name: str, random: Any) -> None:
    text = FORMATS[name].write(document)
    try:
        reading = read(text)
    except UnreadablePlaylist:
        assert name == "uris"
        return
    some = [row for row in reading.rows if random.random() < 0.7] or list(reading.rows)
    again = read(reading.retry(some))
    assert again.kind == reading.kind
    assert [(row.seed, row.error, row.title) for row in again.rows] == [(r.seed, r.error, r.title) for r in some]


@given(
    st.text(max_size=300)
    | st.sampled_from(['"', "<", "{", "#EXTM3U\n", "title,artist\n"]).flatmap(
        lambda start: st.text(max_size=200).map(lambda rest: start + rest)
    ),
    st.sampled_from([None, *KINDS]),
)
def test_no_text_breaks_a_reader(text: str, kind: str | None) -> None:
    try:
        reading = read(text, kind)
    except UnreadablePlaylist:
        return
    assert isinstance(reading, Reading)
    for row in reading.rows:
        assert (row.seed is None) != (row.error is None)
        if row.seed is not None:
            Seed.model_validate(row.seed)


def test_encodings() -> None:
    assert text_of("\ufefföl".encode()) == "öl"
    assert text_of("öl".encode("utf-16")) == "öl"
    with pytest.raises(UnreadablePlaylist, match="line 2 is no UTF-8; save the file again"):
        text_of(b"a\n\xf6l")


def test_everything_is_bounded() -> None:
    with pytest.raises(UnreadablePlaylist, match="split"):
        read("x\n" * (MAX_ROWS + 1))
    long = read("title,artist\n" + "x" * 200_000 + ",B\nA,B\n")
    assert "over 20,000" in str(long.rows[0].error)
    assert long.rows[1].seed == {"name": "A", "artist": "B"}
    assert "over 20,000" in str(read("a\n" + "x" * 30_000).rows[1].error)
    with pytest.raises(ValueError, match="kind is one of"):
        read("x", kind="xml")


@pytest.mark.parametrize("line", ['"a,b', '"', "live " * 3000 + "!", "- " * 9000, "a;" * 9000, "[" * 19000])
@pytest.mark.parametrize("kind", ["csv", "lines", "jsonl", "m3u8"])
def test_hostile_lines_take_no_longer_than_others(line: str, kind: str) -> None:
    text = "title,artist\nA,B\n" + f"{line}\n" * 200
    begin = time.monotonic()
    read(text, kind)
    assert time.monotonic() - begin < 5
