"""The demo catalogue: same bytes for the same seed, real distributions, and every oddity that real files have."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import demo, demo_dirt, demo_names, demo_profiles, demo_words

ROOT = Path(__file__).parents[2]
NINE = [
    *("danceability", "energy", "loudness", "speechiness", "acousticness", "instrumentalness", "liveness"),
    *("valence", "tempo"),
]
VERSION = r" - Live| \(Live\)| - Remastered \d{4}| - \d{4} Remaster| \(Remastered \d{4}\)|Acoustic| - Radio Edit"


def normalised(name: str) -> str:
    plain = unicodedata.normalize("NFKD", re.sub(r" - .*|\(.*\)", "", name.casefold()))
    return re.sub(r"[\W_]+", " ", "".join(c for c in plain if not unicodedata.combining(c))).strip()


def joined_by_ampersand(artist: pd.Series) -> pd.Series:
    """Whether " & " joins two credited artists, rather than being part of a duo's name."""
    surnames, first_names = set(demo_words.SURNAMES), set(demo_words.FIRST_NAMES)

    def joined(name: str) -> bool:
        left, _, right = name.partition(" & ")
        duo = left in surnames and right in first_names
        return not duo and not (left in first_names and right.removeprefix("the ") in demo_words.BANDS)

    candidate = artist.str.contains(" & ", regex=False) & ~artist.str.contains(";|^ ")
    return candidate & artist.where(candidate, "").map(joined)


def main_artist(frame: pd.DataFrame) -> pd.Series:
    return frame["artist_name"].str.split(";").str[0]


@pytest.fixture(scope="module")
def large() -> pd.DataFrame:
    return demo.generate(150_000, 5)


@pytest.fixture(scope="module")
def clean(large: pd.DataFrame) -> pd.DataFrame:
    """The rows that are spoilt in no way, each with its main artist and normalised title."""
    frame = large.dropna()
    spoilt = (
        frame["artist_name"].str.contains(r", | Featuring |^ ")
        | joined_by_ampersand(frame["artist_name"])
        | (frame["tempo"] == 0)
        | (frame["loudness"] <= -60)
        | (frame["loudness"] > 0)
        | (frame["time_signature"] == 0)
        | (frame["year"] < 1950)
        | (frame["duration_ms"] < 4_000)
        | (frame["duration_ms"] > 3_600_000)
        | frame["track_id"].duplicated(keep=False)
        | frame["track_name"].str.contains("Ã")
    )
    frame = frame[~spoilt]
    return frame.assign(main=main_artist(frame), normalised=frame["track_name"].map(normalised))


@pytest.fixture(scope="module")
def scores(clean: pd.DataFrame) -> pd.DataFrame:
    """Normal scores of the features within their genre; ties share their mean rank."""
    features = demo_profiles.load_profiles().features
    levels = np.arange(1, 10_000) / 10_000
    table = [NormalDist().inv_cdf(level) for level in levels]
    genres = clean.groupby("genre")
    rank = (genres[features].rank() - 0.5).div(genres["year"].transform("size"), axis=0)
    return pd.DataFrame({feature: np.interp(rank[feature], levels, table) for feature in features}, clean.index)


@pytest.mark.parametrize("rows", [1, 2, 7, 17, 100, 1_999, 2_000, 2_001, 5_000])
def test_has_exactly_the_rows_and_columns_asked_for(rows: int) -> None:
    frame = demo.generate(rows, 3)
    assert len(frame) == rows
    assert list(frame.columns) == list(demo.COLUMNS)
    text = {"artist_name", "track_name", "track_id", "album_name", "genre"}
    whole = {"year", "key", "mode", "duration_ms", "time_signature"}
    for column in frame.columns:
        kind = "str" if column in text else "int64" if column in whole else "float64"
        assert str(frame[column].dtype) == {"popularity": "Int64", "explicit": "bool"}.get(column, kind), column


@pytest.mark.parametrize("rows", [0, -1])
def test_refuses_a_catalogue_without_rows(rows: int) -> None:
    with pytest.raises(ValueError, match=f"of {rows} tracks was asked for; ask for 1 or more"):
        demo.generate(rows)


def test_same_seed_gives_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    demo.write_csv(tmp_path / "here.csv", 3_000, 7)
    program = "import sys, pathlib; from training import demo; demo.write_csv(pathlib.Path(sys.argv[1]), 3000, 7)"
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "there.csv")],
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "4321", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert (tmp_path / "here.csv").read_bytes() == (tmp_path / "there.csv").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here.csv", "there.csv"]  # nothing is left aside


def test_other_seed_gives_other_tracks() -> None:
    one, other = demo.generate(3_000, 1), demo.generate(3_000, 2)
    assert not set(one["track_id"]) & set(other["track_id"])
    assert (one["track_name"] != other["track_name"]).mean() > 0.9
    assert (one["energy"] != other["energy"]).mean() > 0.9


def test_csv_reads_back_as_it_was(tmp_path: Path) -> None:
    demo.write_csv(tmp_path / "demo.csv", 2_500, 2)
    expected = demo.generate(2_500, 2)
    # A song may be called "None" or "NA"; only an empty field is missing.
    back = pd.read_csv(tmp_path / "demo.csv", keep_default_na=False, na_values=[""], dtype={"popularity": "Int64"})
    pd.testing.assert_frame_equal(back, expected)


def test_ids_are_of_the_demo_form_and_unique_but_for_the_deliberate_few(large: pd.DataFrame) -> None:
    assert large["track_id"].str.fullmatch("demo[0-9A-Za-z]{18}").all()
    twins = large[large["track_id"].duplicated(keep=False)]
    assert len(twins) == 2 * int(large.shape[0] * demo_dirt.DIRTY_NAMES["same id, other genre"])
    for _, pair in twins.groupby("track_id"):
        assert pair["genre"].nunique() == len(pair) == 2
        assert len(pair.drop(columns="genre").drop_duplicates()) == 1


def test_features_have_the_quantiles_of_their_genre(clean: pd.DataFrame) -> None:
    profiles = demo_profiles.load_profiles()
    originals = clean[~clean["track_name"].str.contains(VERSION)]
    inner = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
    error = np.zeros((len(profiles.genres), len(profiles.features), len(inner)))
    for g, genre in enumerate(profiles.genres):
        rows = originals[originals["genre"] == genre]
        for f, feature in enumerate(profiles.features):
            values = rows[feature].to_numpy(float)
            quantiles = profiles.quantiles[g, f, 1:-1]
            margin = np.maximum(np.abs(quantiles) * 0.005, 1.1e-6)  # both are rounded
            below = (values[:, None] < quantiles - margin).mean(0)
            upto = (values[:, None] <= quantiles + margin).mean(0)
            error[g, f] = np.maximum(below - inner, 0) - np.maximum(inner - upto, 0)
    # A genre has some tens to hundreds of artists here, so one genre may be off; all of them together may not.
    assert np.abs(error.mean(0)).max() < 0.02
    assert np.abs(error).mean() < 0.03


def test_features_keep_the_correlation_within_a_genre(scores: pd.DataFrame) -> None:
    profiles = demo_profiles.load_profiles()
    measured = scores.corr().to_numpy()
    assert np.abs(measured - profiles.correlation).max() < 0.06
    assert scores["energy"].corr(scores["loudness"]) > 0.6
    assert scores["energy"].corr(scores["acousticness"]) < -0.4


def test_years_follow_the_profile_and_stay_in_an_artists_era(clean: pd.DataFrame) -> None:
    assert clean["year"].between(1950, 2025).all()
    originals = clean[~clean["track_name"].str.contains(VERSION)]
    inner = [0.05, 0.25, 0.5, 0.75, 0.95]
    assert np.abs(originals["year"].quantile(inner).to_numpy() - demo_profiles.load_profiles().years[2:-2]).max() <= 2
    year = originals["year"].rank()
    n = year.groupby(originals["main"]).transform("size")
    deviation = ((year - year.groupby(originals["main"]).transform("mean")) ** 2 * n / (n - 1))[n >= 5]
    assert deviation.mean() < 0.3 * year[n >= 5].var()


def test_half_of_the_variance_within_a_genre_is_between_artists(clean: pd.DataFrame, scores: pd.DataFrame) -> None:
    pop = (clean["genre"] == "pop").to_numpy()
    artist = clean.loc[pop, "main"]
    for feature in ("danceability", "energy", "acousticness", "popularity"):
        column = scores.loc[pop, feature]
        n = column.groupby(artist).transform("size")
        deviation = ((column - column.groupby(artist).transform("mean")) ** 2 * n / (n - 1))[n >= 5]
        assert 0.4 < 1 - deviation.mean() / column[n >= 5].var() < 0.65, feature


def test_artists_have_one_name_each_and_long_tailed_output(clean: pd.DataFrame) -> None:
    output = clean["main"].value_counts()
    assert output.min() == 1
    assert output.median() < 10
    assert 100 < output.max() < 250
    names = pd.Series(output.index)
    assert names.map(lambda name: re.sub(r"\W+", " ", name.casefold())).is_unique
    assert 0.01 < (~names.map(str.isascii)).mean() < 0.04
    assert names.str.contains("[Ѐ-ӿͰ-Ͽぁ-ヿ가-힣]").any()
    famous = clean.groupby("main")["popularity"].agg(["mean", "size"])
    assert famous["mean"].corr(famous["size"], method="spearman") > 0.15


def test_artists_sing_in_the_script_of_their_name(clean: pd.DataFrame) -> None:
    for script in ("[Ѐ-ӿ]", "[Ͱ-Ͽ]", "[가-힣]"):
        rows = clean[clean["main"].str.contains(script)]
        assert len(rows) > 20
        assert rows["track_name"].str.contains(script).mean() > 0.7


def test_artists_keep_to_one_or_two_genres(clean: pd.DataFrame) -> None:
    genres = clean.groupby("main")["genre"].nunique()
    assert set(genres) == {1, 2}
    assert 0.05 < (genres == 2).mean() < 0.3
    sizes = clean["genre"].value_counts()
    assert len(sizes) == len(demo_profiles.load_profiles().genres)
    assert sizes.iloc[0] > 4 * sizes.iloc[-1]


def test_albums_have_several_tracks_and_one_year(clean: pd.DataFrame) -> None:
    albums = clean.groupby(["main", "album_name"])["year"].agg(["size", "nunique"])
    assert (albums["nunique"] == 1).mean() > 0.999
    assert albums["size"].mean() > 2.5
    assert (albums["size"] == 1).mean() > 0.2  # singles


@pytest.mark.parametrize("rows", [20_000, None])
def test_a_fifth_of_the_rows_share_their_title_with_another_artist(rows: int | None, clean: pd.DataFrame) -> None:
    frame = clean
    if rows:
        frame = demo.generate(rows, 1).dropna()
        frame = frame.assign(main=main_artist(frame), normalised=frame["track_name"].map(normalised))
    originals = frame[~frame["track_name"].str.contains(VERSION)].drop_duplicates(["main", "normalised"])
    shared = originals.groupby("normalised")["main"].transform("nunique") > 1
    assert 0.2 <= shared.mean() < 0.7
    assert originals["normalised"].nunique() > 0.5 * len(originals)
    assert originals["normalised"].value_counts(normalize=True).iloc[0] < 0.003


def pairs(clean: pd.DataFrame, suffix: str) -> pd.DataFrame:
    """Versions with the suffix beside their originals (columns ending in _0)."""
    versions = clean[clean["track_name"].str.contains(suffix)].drop_duplicates(["artist_name", "normalised"])
    originals = clean[~clean["track_name"].str.contains(VERSION)].drop_duplicates(["artist_name", "normalised"])
    return versions.merge(originals, on=["artist_name", "normalised"], suffixes=("", "_0"))


def test_live_versions_are_livelier(clean: pd.DataFrame) -> None:
    live = pairs(clean, r" - Live| \(Live\)")
    assert len(live) > 0.01 * len(clean)
    assert (live["liveness"] > live["liveness_0"]).mean() > 0.85
    assert (live["year"] > live["year_0"]).mean() > 0.99
    assert (live["album_name"] != live["album_name_0"]).all()
    assert (live["key"] == live["key_0"]).mean() > 0.99


def test_remasters_keep_the_features_and_change_year_and_album(clean: pd.DataFrame) -> None:
    remasters = pairs(clean, "Remaster")
    assert len(remasters) > 0.01 * len(clean)
    stated = remasters["track_name"].str.extract(r"(\d{4})(?: Remaster|\)|$)")[0].astype(int)
    assert (stated == remasters["year"]).all()
    assert (remasters["year"] > remasters["year_0"]).mean() > 0.99
    assert (remasters["album_name"] != remasters["album_name_0"]).all()
    assert (remasters["energy"] - remasters["energy_0"]).abs().median() < 0.3 * clean["energy"].std()


@pytest.mark.parametrize(("suffix", "feature", "sign"), [("Acoustic", "acousticness", 1), ("Edit", "duration_ms", -1)])
def test_other_versions_differ_as_their_name_says(suffix: str, feature: str, sign: int, clean: pd.DataFrame) -> None:
    versions = pairs(clean, suffix)
    assert len(versions) > 0.004 * len(clean)
    assert (sign * (versions[feature] - versions[f"{feature}_0"]) > 0).mean() > 0.85


def test_some_songs_are_released_again_with_the_same_nine_features(clean: pd.DataFrame) -> None:
    same = clean[clean.duplicated(["artist_name", "track_name", *NINE], keep=False)]
    assert 0.015 < len(same) / len(clean) < 0.03  # the re-releases and their originals
    songs = same.groupby(["artist_name", "track_name"])
    assert (songs["track_id"].nunique() == songs.size()).all()
    assert (songs["album_name"].nunique() > 1).all()


def test_versions_are_one_row_in_sixteen(clean: pd.DataFrame) -> None:
    titled = clean["track_name"].str.contains(VERSION).mean()
    again = clean[~clean["track_name"].str.contains(VERSION)].duplicated(["artist_name", "track_name", *NINE]).mean()
    assert 0.05 < titled + again < 0.07


def test_guests_are_other_artists_of_the_catalogue(clean: pd.DataFrame) -> None:
    several = clean["artist_name"][clean["artist_name"].str.contains(";")].str.split(";")
    assert 0.02 < len(several) / len(clean) < 0.04
    assert set(several.map(len)) == {2, 3}
    assert all(len(set(names)) == len(names) for names in several)
    known = set(clean["main"])
    assert np.mean([name in known for names in several for name in names[1:]]) > 0.95
    told = clean.loc[several.index, "track_name"].str.extract(r"\(feat\. ([^)]+)\)")[0].dropna()
    assert 0.3 < len(told) / len(several) < 0.5
    assert (told == several[told.index].map(lambda names: " & ".join(names[1:]))).all()
    assert not clean.drop(several.index)["track_name"].str.contains("feat.", regex=False).any()


def test_plain_columns_are_plausible(clean: pd.DataFrame) -> None:
    for feature in set(NINE) - {"loudness", "tempo"}:
        assert clean[feature].between(0, 1).all(), feature
        assert clean[feature].map(lambda value: float(f"{value:.3g}") == value).all(), feature
    assert clean["popularity"].between(0, 100).all()
    assert set(clean["key"]) == set(range(12))
    assert 0.55 < clean["mode"].mean() < 0.75
    assert clean["time_signature"].value_counts(normalize=True)[4] > 0.8
    assert 0.25 < (clean["instrumentalness"] == 0).mean() < 0.4
    assert 0.03 < clean["explicit"].mean() < 0.12
    speech = clean.groupby("explicit")["speechiness"].mean()
    assert speech[True] > 1.5 * speech[False]
    major = clean.groupby("genre")["mode"].mean()
    profiles = demo_profiles.load_profiles()
    assert np.corrcoef(major[profiles.genres], profiles.major_share)[0, 1] > 0.95


def dirt(frame: pd.DataFrame) -> dict[str, int]:
    """Count the dirty rows of each kind."""
    artist, title = frame["artist_name"], frame["track_name"]
    return {
        "failed analysis": int((frame[["tempo", "danceability", "valence", "speechiness"]] == 0).all(axis=1).sum()),
        "loudness above 0": int((frame["loudness"] > 0).sum()),
        "loudness -60": int((frame["loudness"] == -60).sum()),
        "time_signature 0": int((frame["time_signature"] == 0).sum()),
        "year 1900": int((frame["year"] == 1900).sum()),
        "year 0": int((frame["year"] == 0).sum()),
        "duration of 3 s": int(frame["duration_ms"].between(3_000, 3_999).sum()),
        "duration over an hour": int((frame["duration_ms"] > 3_600_000).sum()),
        "popularity missing": int(frame["popularity"].isna().sum()),
        "artist missing": int(artist.isna().sum()),
        "name missing": int(title.isna().sum()),
        "same id": int(frame["track_id"].duplicated().sum()),
        "joined by a comma": int(artist.str.contains(", ", regex=False).sum()),
        "joined by Featuring": int(artist.str.contains(" Featuring ", regex=False).sum()),
        "joined by &": int(joined_by_ampersand(artist.dropna()).sum()),
        "mojibake": int(title.str.contains("Ã").sum()),
        "stray space": int((title != title.str.strip()).sum() - title.isna().sum()),
    }


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_every_kind_of_dirt_is_there_from_2000_rows_on(seed: int) -> None:
    counts = dirt(demo.generate(2_000, seed))
    assert min(counts.values()) >= 1, counts
    assert (counts["artist missing"], counts["name missing"]) == (3, 2)


def test_dirt_is_a_small_share(large: pd.DataFrame) -> None:
    counts = dirt(large)
    assert (counts["artist missing"], counts["name missing"]) == (3, 2)
    assert 0.003 < sum(counts.values()) / len(large) < 0.008
    assert min(counts[kind] for kind in counts if "missing" not in kind) >= 10


def test_mojibake_can_be_undone() -> None:
    titles = demo.generate(20_000, 6)["track_name"].dropna()
    broken = titles[titles.str.contains("Ã")]
    mended = broken.map(lambda title: title.encode("latin-1").decode("utf-8"))
    assert mended.str.contains("[áéíóúñãçêÁÉ]").all()


def test_small_catalogues_are_clean() -> None:
    frame = demo.generate(1_999, 1)
    assert not frame.isna().to_numpy().any()
    assert frame["track_id"].is_unique
    assert (frame["year"] >= 1950).all()


def test_profile_file_is_small_and_sound() -> None:
    path = Path(demo.__file__).with_name("demo_profiles.json")
    assert path.stat().st_size <= 60_000
    profiles = demo_profiles.load_profiles()
    assert (np.diff(profiles.quantiles, axis=2) >= 0).all()
    assert (profiles.correlation == profiles.correlation.T).all()
    assert np.linalg.eigvalsh(profiles.correlation).min() > 0.05
    assert set(profiles.features) <= set(demo.COLUMNS)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=3), st.integers(0, 2**32 - 1))
def test_a_pattern_spells_each_code_differently_and_draws_only_codes_it_has(sizes: list[int], seed: int) -> None:
    tables = [tuple(f"{i}{'abcde'[word]}" for word in range(size)) for i, size in enumerate(sizes)]
    pattern = demo_names.Pattern((*tables, "!"), 1.0, skew=2.0)
    names = pattern.spell(np.arange(pattern.size)).to_pylist()
    assert len(set(names)) == pattern.size == np.prod(sizes)
    codes = pattern.draw(np.random.default_rng(seed), 50)
    assert codes.min() >= 0
    assert codes.max() < pattern.size


@given(st.integers(0, 30), st.integers(0, 2**32 - 1))
def test_distinct_names_are_distinct_even_when_a_pattern_runs_out(n: int, seed: int) -> None:
    roomy = demo_names.Pattern((tuple("abcdefghij"), tuple("klm")), 0.1)
    scarce = demo_names.Pattern((("X", "Y"),), 0.9)
    book = demo_names.Book(roomy, scarce)
    names = book.spell(book.draw_distinct(np.random.default_rng(seed), n)).to_pylist()
    assert len(names) == len(set(names)) == n


def test_no_more_names_than_there_are() -> None:
    book = demo_names.Book(demo_names.Pattern((("a", "b"),), 1.0))
    with pytest.raises(ValueError, match="larger"):
        book.draw_distinct(np.random.default_rng(1), 3)
