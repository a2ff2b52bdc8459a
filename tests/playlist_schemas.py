"""XSPF 1 and JSPF as schemas, written from their specifications, and playlists to write and read."""

from __future__ import annotations

from hypothesis import strategies as st

from producer.playlists.documents import Document, Song, clean

SPOTIFY = "4u7EnebtmKWzUH433cf5Qv"

XSPF = """
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="http://xspf.org/ns/0/"
           targetNamespace="http://xspf.org/ns/0/" elementFormDefault="qualified">
  <xs:element name="playlist">
    <xs:complexType>
      <xs:sequence>
        <xs:element name="title" type="xs:string" minOccurs="0"/>
        <xs:element name="creator" type="xs:string" minOccurs="0"/>
        <xs:element name="annotation" type="xs:string" minOccurs="0"/>
        <xs:element name="info" type="xs:anyURI" minOccurs="0"/>
        <xs:element name="location" type="xs:anyURI" minOccurs="0"/>
        <xs:element name="identifier" type="xs:anyURI" minOccurs="0"/>
        <xs:element name="image" type="xs:anyURI" minOccurs="0"/>
        <xs:element name="date" type="xs:dateTime" minOccurs="0"/>
        <xs:element name="license" type="xs:anyURI" minOccurs="0"/>
        <xs:element name="trackList">
          <xs:complexType>
            <xs:sequence><xs:element name="track" type="track" minOccurs="0" maxOccurs="unbounded"/></xs:sequence>
          </xs:complexType>
        </xs:element>
      </xs:sequence>
      <xs:attribute name="version" use="required">
        <xs:simpleType>
          <xs:restriction base="xs:string"><xs:enumeration value="1"/></xs:restriction>
        </xs:simpleType>
      </xs:attribute>
    </xs:complexType>
  </xs:element>
  <xs:complexType name="track">
    <xs:sequence>
      <xs:element name="location" type="xs:anyURI" minOccurs="0" maxOccurs="unbounded"/>
      <xs:element name="identifier" type="absolute" minOccurs="0" maxOccurs="unbounded"/>
      <xs:element name="title" type="xs:string" minOccurs="0"/>
      <xs:element name="creator" type="xs:string" minOccurs="0"/>
      <xs:element name="annotation" type="xs:string" minOccurs="0"/>
      <xs:element name="info" type="xs:anyURI" minOccurs="0"/>
      <xs:element name="image" type="xs:anyURI" minOccurs="0"/>
      <xs:element name="album" type="xs:string" minOccurs="0"/>
      <xs:element name="trackNum" type="xs:positiveInteger" minOccurs="0"/>
      <xs:element name="duration" type="xs:nonNegativeInteger" minOccurs="0"/>
    </xs:sequence>
  </xs:complexType>
  <xs:simpleType name="absolute">
    <xs:restriction base="xs:anyURI"><xs:pattern value="[A-Za-z][A-Za-z0-9+.\\-]*:.+"/></xs:restriction>
  </xs:simpleType>
</xs:schema>
"""

_URIS = {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9+.-]*:[!-~]+$"}}

JSPF = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["playlist"],
    "additionalProperties": False,
    "properties": {
        "playlist": {
            "type": "object",
            "required": ["track"],
            "additionalProperties": False,
            "properties": {
                **{name: {"type": "string"} for name in ("title", "creator", "annotation", "date")},
                "track": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {
                            "location": _URIS,
                            "identifier": _URIS,
                            **{name: {"type": "string", "minLength": 1} for name in ("title", "creator", "album")},
                            "duration": {"type": "integer", "minimum": 0},
                        },
                    },
                },
            },
        }
    },
}

HARD = [
    "Fünf & zwanzig <b>",
    "]]> --> <!-- &amp; <![CDATA[",
    '"quoted", \\, and; a\\b',
    "line\nbreak\r\nand\ttab\rend",
    "🎧 👩\u200d🚀 é\u0301",
    "عنوان \u202eיותר",
    "nul\x00 bell\x07 \x85 \u2028 \ufffe \ud83d alone",
    "=1+1",
    "'=1+1",
    "''@x",
    "+49 - 30",
    "-",
    "@SUM(A1)",
    "\t=cmd|' /C calc'!A0",
    "＝1+1",
    "#EXTINF:1,comment",
    "https://example.org/not-a-title",
    "../../etc/passwd",
    "CON",
    "x" * 5000,
    "Artist - Title - Live",
]

texts = st.text(st.characters(exclude_categories=()), max_size=40) | st.sampled_from(HARD)
names = texts.filter(lambda text: bool(clean(text).strip()))


@st.composite
def songs(draw: st.DrawFn) -> Song:
    """Draw a song: of Spotify's, of a catalogue of its own, or without an id."""
    track_id = draw(st.none() | st.just(SPOTIFY) | st.from_regex(r"demo[0-9a-z :/%#é]{1,10}", fullmatch=True))
    spotify = track_id == SPOTIFY
    return Song(
        title=draw(names),
        artists=tuple(draw(st.lists(names, max_size=3))),
        track_id=track_id,
        uri=f"spotify:track:{track_id}" if spotify else None,
        url=f"https://open.spotify.com/track/{track_id}" if spotify else None,
        album=draw(st.none() | texts),
        isrc=draw(st.none() | st.just("QZABC2600001")),
        duration_ms=draw(st.none() | st.integers(0, 10**8)),
        year=draw(st.none() | st.integers(1900, 2100)),
        genres=tuple(draw(st.lists(texts, max_size=2))),
        tempo=draw(st.none() | st.floats(40, 220)),
        key=draw(st.none() | st.integers(0, 11)),
        mode=draw(st.none() | st.integers(0, 1)),
        popularity=draw(st.none() | st.integers(0, 100)),
    )


documents = st.builds(
    lambda title, songs, note: Document(title, tuple(songs), note), texts, st.lists(songs(), max_size=4), texts
)
