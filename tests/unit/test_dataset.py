"""Reading a data set: three layouts, one frame; and every file that is not whole is refused in a sentence."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests import builders
from training.dataset import DatasetError, read

TRACKS = builders.songs(
    {"track_name": "None", "artist_name": "NA", "explicit": 1},
    {"track_name": "nan", "artist_name": "null", "year": 1975, "key": 11, "mode": 0},
    {"track_name": "Comma, Quote \" and 'so on'", "artist_name": "A;B", "genre": "r-n-b", "popularity": 0},
    {"track_name": "夜に駆ける", "artist_name": "Ólafur", "loudness": -60.0, "duration_ms": 3_000_000},
)
REQUIRED = [
    *("track_id", "track_name", "artist_name", "danceability", "energy", "key", "loudness", "mode", "speechiness"),
    *("acousticness", "instrumentalness", "liveness", "valence", "tempo"),
]


def refused(path: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        read(path)
    message = str(caught.value)
    assert str(path) in message
    return message


def csv_file(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "tracks.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def with_column(tracks: pd.DataFrame, row: int, **values: str) -> pd.DataFrame:
    """Return `tracks` with `values` in the row that the file counts as `row`, from 1."""
    changed = tracks.astype(dict.fromkeys(values, object))
    for column, value in values.items():
        changed.loc[row - 1, column] = value
    return changed


def raw_csv(tracks: pd.DataFrame) -> str:
    return str(tracks[list(builders.COLUMNS["million"])].to_csv())


@pytest.mark.parametrize("name", ["tracks.csv", "tracks.csv.gz", "tracks.parquet"])
def test_the_million_layout_reads_the_same_from_every_kind_of_file(tmp_path: Path, name: str) -> None:
    path = builders.write(tmp_path / name, TRACKS, "parquet" if name.endswith("parquet") else "million")
    pd.testing.assert_frame_equal(
        read(path), TRACKS.assign(album_name=pd.Series([None] * 4, dtype="str"), explicit=np.nan)
    )


@pytest.mark.parametrize("name", ["tracks.csv", "tracks.csv.gz"])
def test_the_hub_layout_reads_under_our_names(tmp_path: Path, name: str) -> None:
    path = builders.write(tmp_path / name, TRACKS, "hub")
    header = builders.csv_text(TRACKS, "hub").split("\n")[0]
    assert header.startswith(",track_id,artists,album_name,track_name,popularity,")
    assert header.endswith(",track_genre")
    pd.testing.assert_frame_equal(read(path), TRACKS.assign(year=np.nan))


def test_a_row_for_each_genre_stays_a_row_for_each_genre(tmp_path: Path) -> None:
    repeated = pd.concat([TRACKS, TRACKS.assign(genre="second")], ignore_index=True)
    path = builders.write(tmp_path / "tracks.csv", repeated, "hub")
    pd.testing.assert_frame_equal(read(path), repeated.assign(year=np.nan))


def test_songs_called_none_or_nan_stay_songs(tmp_path: Path) -> None:
    for name in ("tracks.csv", "tracks.parquet"):
        layout: builders.Layout = "parquet" if name.endswith("parquet") else "million"
        words = builders.songs(*({"track_name": word} for word in ("None", "NA", "null", "nan", "NaN", "n/a", "inf")))
        frame = read(builders.write(tmp_path / name, words, layout))
        assert frame["track_name"].tolist() == ["None", "NA", "null", "nan", "NaN", "n/a", "inf"]


def test_empty_text_is_unknown_and_so_are_the_usual_words_in_number_columns(tmp_path: Path) -> None:
    gaps = with_column(TRACKS, 1, tempo="NaN", year="null", key="NA")
    gaps = with_column(gaps, 2, artist_name="", genre="", tempo="", year="None", popularity="nan")
    frame = read(csv_file(tmp_path, raw_csv(gaps)))
    assert frame["tempo"].isna().tolist() == [True, True, False, False]
    assert frame["year"].isna().tolist() == [True, True, False, False]
    assert frame[["key", "popularity"]].isna().sum().tolist() == [1, 1]
    assert frame["artist_name"].isna().tolist() == frame["genre"].isna().tolist() == [False, True, False, False]


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    text = str(TRACKS[REQUIRED].to_csv(index=False))
    frame = read(csv_file(tmp_path, b"\xef\xbb\xbf" + text.encode()))
    assert frame["track_id"].tolist() == TRACKS["track_id"].tolist()


def test_windows_line_ends_a_missing_last_newline_and_blank_lines_at_the_end_do_no_harm(tmp_path: Path) -> None:
    text = builders.csv_text(TRACKS)
    whole = read(csv_file(tmp_path, text))
    for variant in (text.replace("\n", "\r\n"), text.rstrip("\n"), text + "\n\n"):
        pd.testing.assert_frame_equal(read(csv_file(tmp_path, variant)), whole)


def test_absent_optional_columns_are_wholly_unknown(tmp_path: Path) -> None:
    frame = read(csv_file(tmp_path, str(TRACKS[REQUIRED].to_csv(index=False))))
    absent = ["popularity", "year", "genre", "album_name", "duration_ms", "time_signature", "explicit"]
    assert frame[absent].isna().all(axis=None)
    assert frame[REQUIRED].notna().all(axis=None)
    assert str(frame["genre"].dtype) == "str"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "absent.csv")
    assert "no such file" in refused(tmp_path)


def test_an_empty_file(tmp_path: Path) -> None:
    assert "empty" in refused(csv_file(tmp_path, ""))


@pytest.mark.parametrize("name", ["tracks.csv", "tracks.csv.gz", "tracks.parquet"])
def test_a_header_without_rows(tmp_path: Path, name: str) -> None:
    layout: builders.Layout = "parquet" if name.endswith("parquet") else "million"
    assert "no rows" in refused(builders.write(tmp_path / name, TRACKS.head(0), layout))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("column", REQUIRED)
def test_a_missing_column_is_named(tmp_path: Path, column: str, suffix: str) -> None:
    lacking = builders.in_layout(TRACKS, "million").drop(columns=column)
    path = tmp_path / f"tracks.{suffix}"
    if suffix == "csv":
        lacking.to_csv(path)
    else:
        lacking.to_parquet(path)
    expected = f"{column} (or artists)" if column == "artist_name" else column
    assert f"column missing: {expected};" in refused(path)


def test_missing_columns_are_all_named(tmp_path: Path) -> None:
    message = refused(csv_file(tmp_path, "track_id,track_name\na,b\n"))
    assert all(column in message for column in REQUIRED[2:])
    assert "the file has: track_id, track_name" in message


@pytest.mark.parametrize("twin", ["tempo", "artists"])
def test_a_column_that_is_there_twice(tmp_path: Path, twin: str) -> None:
    head, *rows = builders.csv_text(TRACKS.head(2)).splitlines()
    path = csv_file(tmp_path, "\n".join([f"{head},{twin}", *(f"{line},120" for line in rows), ""]))
    assert f"there twice: {'tempo' if twin == 'tempo' else 'artist_name'}" in refused(path)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("column", "word"), [("tempo", "fast"), ("year", "MCMLXX"), ("popularity", "0,5"), ("key", "C#")]
)
def test_a_word_where_a_number_belongs(tmp_path: Path, column: str, word: str, suffix: str) -> None:
    spoilt = with_column(TRACKS, 3, **{column: word})
    if suffix == "csv":
        path = csv_file(tmp_path, raw_csv(spoilt))
    else:
        path = tmp_path / "tracks.parquet"
        spoilt[list(builders.COLUMNS["million"])].astype({column: "str"}).to_parquet(path)
    assert f"column {column}, row 3: {word!r} is no number" in refused(path)


def test_a_word_deep_in_a_long_file(tmp_path: Path) -> None:
    head, line = str(TRACKS[REQUIRED].head(1).to_csv(index=False)).splitlines()
    spoilt = line.rsplit(",", 1)[0] + ",quick"
    path = csv_file(tmp_path, "\n".join([head, *[line] * 100_122, spoilt, *[line] * 20, ""]))
    assert "column tempo, row 100123: 'quick' is no number" in refused(path)


@pytest.mark.parametrize("spoilt", [1, 2, 4])
def test_a_row_with_too_many_fields(tmp_path: Path, spoilt: int) -> None:
    lines = builders.csv_text(TRACKS).splitlines()
    lines[spoilt] += ",7"
    message = refused(csv_file(tmp_path, "\n".join([*lines, ""])))
    assert f"row {spoilt} has 21 fields, the header has 20" in message


def test_rows_that_all_have_one_field_too_many(tmp_path: Path) -> None:
    head, *rows = builders.csv_text(TRACKS).splitlines()
    assert "21 fields, the header has 20" in refused(
        csv_file(tmp_path, "\n".join([head, *(r + ",7" for r in rows), ""]))
    )


@pytest.mark.parametrize("spoilt", [1, 2])
def test_a_row_with_too_few_fields_amid_the_file(tmp_path: Path, spoilt: int) -> None:
    lines = builders.csv_text(TRACKS).splitlines()
    lines[spoilt] = lines[spoilt].rsplit(",", 3)[0]
    assert f"row {spoilt} has 17 fields" in refused(csv_file(tmp_path, "\n".join([*lines, ""])))


@pytest.mark.parametrize("end", ["", "\n"])
@pytest.mark.parametrize("rows", [1, 2, 4])
def test_a_last_row_that_is_cut_off(tmp_path: Path, rows: int, end: str) -> None:
    text = builders.csv_text(TRACKS.head(rows)).rstrip("\n").rsplit(",", 5)[0] + end
    message = refused(csv_file(tmp_path, text))
    assert f"row {rows} has 15 fields, the header has 20" in message
    assert "cut off" in message


def test_a_file_that_ends_inside_quotes(tmp_path: Path) -> None:
    text = builders.csv_text(TRACKS.head(3))
    assert text.count('"') == 4, "the third title is quoted, with a doubled quote in it"
    message = refused(csv_file(tmp_path, text[: text.index('"') + 9]))
    assert "row 3" in message


def test_a_quote_that_is_never_closed(tmp_path: Path) -> None:
    text = builders.csv_text(builders.songs({}, {"track_name": "Open"}, {}, {})).replace("Open", '"Open')
    refused(csv_file(tmp_path, text))


def test_an_open_quote_that_a_later_row_closes_swallows_no_rows_unseen(tmp_path: Path) -> None:
    tracks = builders.songs({}, {"track_name": "Open"}, {}, {"track_name": "One, Two"}, {})
    refused(csv_file(tmp_path, builders.csv_text(tracks).replace("Open", '"Open')))


def whole_rows(packed: bytes) -> int:
    """Return how many rows after the header can be unpacked from a damaged .gz."""
    unpacked, unpacker = b"", zlib.decompressobj(zlib.MAX_WBITS | 16)
    for i in range(len(packed)):
        try:
            unpacked += unpacker.decompress(packed[i : i + 1])
        except zlib.error:
            break
    return unpacked.count(b"\n") - 1


def packed_csv(rows: int) -> bytes:
    return gzip.compress(builders.csv_text(builders.songs(*[{}] * rows)).encode(), mtime=0)


@pytest.mark.parametrize("share", [0.2, 0.6, 0.99])
def test_a_gz_that_is_cut_off(tmp_path: Path, share: float) -> None:
    packed = packed_csv(3000)
    path = tmp_path / "tracks.csv.gz"
    path.write_bytes(packed[: int(len(packed) * share)])
    assert f"cut off or damaged after row {whole_rows(path.read_bytes())}" in refused(path)


def test_a_gz_with_damaged_bytes(tmp_path: Path) -> None:
    packed = bytearray(packed_csv(3000))
    packed[len(packed) // 2 : len(packed) // 2 + 64] = b"\xff" * 64
    path = tmp_path / "tracks.csv.gz"
    path.write_bytes(packed)
    found = re.search(r"cut off or damaged after row (\d+)$", refused(path))
    assert found
    assert 0 < int(found[1]) <= whole_rows(bytes(packed))


def test_a_gz_whose_checksum_is_wrong(tmp_path: Path) -> None:
    packed = bytearray(packed_csv(50))
    packed[-6] ^= 1
    path = tmp_path / "tracks.csv.gz"
    path.write_bytes(packed)
    assert "cut off or damaged after row" in refused(path)


def test_a_gz_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "tracks.csv.gz"
    path.write_text(builders.csv_text(TRACKS))
    refused(path)


@pytest.mark.parametrize("name", ["tracks.csv", "tracks.csv.gz"])
def test_text_that_is_not_utf8(tmp_path: Path, name: str) -> None:
    lines = [line.encode() for line in builders.csv_text(TRACKS).splitlines()]
    lines[2] = lines[2].replace(b",nan,", ",señor,".encode("latin-1"))
    text = b"\n".join([*lines, b""])
    path = tmp_path / name
    path.write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    assert "row 2 is not UTF-8" in refused(path)


def test_a_header_that_is_not_utf8(tmp_path: Path) -> None:
    assert "header" in refused(csv_file(tmp_path, b"\xff\xfe" + builders.csv_text(TRACKS).encode("utf-16-le")))


@pytest.mark.parametrize(
    "spoil",
    [lambda whole: whole[:-5], lambda whole: whole[: len(whole) // 2], lambda _: b"PAR1 no more", lambda _: b"x"],
)
def test_a_parquet_file_that_is_broken(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = builders.write(tmp_path / "tracks.parquet", TRACKS, "parquet")
    path.write_bytes(spoil(path.read_bytes()))
    assert "not a whole Parquet file" in refused(path)


def test_parquet_numbers_of_every_width_are_numbers(tmp_path: Path) -> None:
    narrow = builders.in_layout(TRACKS, "parquet").astype({"tempo": "float32", "key": "int8", "danceability": "str"})
    path = tmp_path / "tracks.parquet"
    narrow.to_parquet(path)
    frame = read(path)
    assert frame["tempo"].tolist() == pytest.approx(TRACKS["tempo"].tolist(), rel=1e-6)
    assert frame["key"].tolist() == [0, 11, 0, 0]
    assert frame["danceability"].tolist() == [0.5] * 4


def test_lists_of_artists_in_parquet_do_not_become_the_name_of_one(tmp_path: Path) -> None:
    path = tmp_path / "tracks.parquet"
    in_lists = builders.in_layout(TRACKS, "parquet")
    in_lists["artist_name"] = [["Ann", "Ben"], ["Cy"], ["Dee"], ["Eve"]]
    in_lists.to_parquet(path)
    assert "artist_name" in refused(path)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_flags_are_true_or_false(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"tracks.{suffix}"

    def write(flags: list[object]) -> None:
        flagged = builders.in_layout(TRACKS, "million").assign(explicit=pd.Series(flags, dtype="str"))
        flagged.to_csv(path) if suffix == "csv" else flagged.to_parquet(path)

    write(["True", "false", "1", None])
    assert read(path)["explicit"].tolist()[:3] == [1, 0, 1]
    assert np.isnan(read(path)["explicit"][3])
    write(["True", "false", "perhaps", None])
    assert "column explicit, row 3: 'perhaps' is neither true nor false" in refused(path)
