"""The names of the demo catalogue: the patterns that compose acts, titles and albums from the words of demo_words.

Every name is invented: ordinary words put together by chance, places and people built from syllables. A name is
a number (its code) until it is spelled, so that a million of them are drawn, compared and spelled as arrays.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from training.demo_words import (
    ACCENTED_FIRST,
    ACCENTED_LAST,
    ADJECTIVES,
    BANDS,
    CLAUSES,
    CYRILLIC,
    DETERMINERS,
    EL,
    EL_WHAT,
    ENDS,
    ENSEMBLES,
    ES,
    ES_OF,
    FIRST_NAMES,
    FORMS,
    GREEK,
    HANGUL,
    HEADS,
    JA,
    KANA,
    KO,
    KO_OF,
    LINKS,
    MIDDLES,
    MOODS,
    MOVEMENTS,
    NOUNS,
    NUMBERS,
    OPUS,
    PLACES,
    PT,
    PT_OF,
    ROMAN,
    RU,
    RU_WHAT,
    SURNAMES,
    TAILS,
    TRADES,
    VERBS,
    WHOM,
    Words,
)

Codes = npt.NDArray[np.int64]
Places = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Pattern:
    """One way to put words together.

    parts: literal text and tables of words, in the order of the name.
    weight: how often it is used, relative to the other patterns of its book.
    skew: 1 draws a table's words evenly; the higher, the more often the first ones.
    tongue: the language of the titles that an act of such a name sings (a key of TITLES).
    """

    parts: tuple[str | Words, ...]
    weight: float
    skew: float = 1.0
    tongue: str = "english"

    @property
    def tables(self) -> list[Words]:
        """The word tables among the parts."""
        return [part for part in self.parts if not isinstance(part, str)]

    @property
    def size(self) -> int:
        """How many names it can compose."""
        return math.prod(len(table) for table in self.tables)

    def draw(self, rng: np.random.Generator, n: int) -> Codes:
        """Return the codes of n names, int64 (n,), 0 … size − 1; the same name may come twice."""
        codes = np.zeros(n, np.int64)
        for table in self.tables:
            codes = codes * len(table) + (len(table) * rng.random(n) ** self.skew).astype(np.int64)
        return codes

    def spell(self, codes: Codes) -> pa.Array:
        """Return the names of the codes, a string array (n,)."""
        digits: list[Codes] = []
        for table in reversed(self.tables):
            codes, digit = np.divmod(codes, len(table))
            digits.insert(0, digit)
        pieces = [pa.scalar(p) if isinstance(p, str) else pa.array(p).take(pa.array(digits.pop(0))) for p in self.parts]
        return pc.binary_join_element_wise(*pieces, "")


class Book:
    """Several patterns as one: its codes run through the first pattern's names, then the second's, and so on."""

    def __init__(self, *patterns: Pattern) -> None:
        self.patterns = patterns
        self._starts = np.array([0, *accumulate(p.size for p in patterns)])
        self._shares = np.array([p.weight for p in patterns]) / sum(p.weight for p in patterns)

    def draw(self, rng: np.random.Generator, n: int) -> Codes:
        """Return the codes of n names, int64 (n,); the same name may come twice."""
        which = rng.choice(len(self.patterns), n, p=self._shares)
        codes = np.empty(n, np.int64)
        for i, pattern in enumerate(self.patterns):
            at = np.flatnonzero(which == i)
            codes[at] = self._starts[i] + pattern.draw(rng, len(at))
        return codes

    def draw_distinct(self, rng: np.random.Generator, n: int) -> Codes:
        """Return the codes of n different names, int64 (n,), shuffled.

        The book's first pattern stands in where another has too few. Raises: ValueError if it has too few as well.
        """
        counts = rng.multinomial(n, self._shares)
        sizes = np.diff(self._starts)
        counts[1:] = np.minimum(counts[1:], sizes[1:])
        counts[0] = n - counts[1:].sum()
        drawn = [
            start + rng.choice(size, count, replace=False, shuffle=False)
            for start, size, count in zip(self._starts[:-1], sizes, counts, strict=True)
        ]
        return rng.permutation(np.concatenate(drawn))

    def tongues(self, codes: Codes) -> npt.NDArray[np.str_]:
        """Return the tongue of each name's pattern, (n,)."""
        return np.array([pattern.tongue for pattern in self.patterns])[self._which(codes)]

    def spell(self, codes: Codes) -> pa.Array:
        """Return the names of the codes, a string array (n,)."""
        which = self._which(codes)
        at = [np.flatnonzero(which == i) for i in range(len(self.patterns))]
        pairs = zip(self.patterns, at, self._starts[:-1], strict=True)
        return scatter(at, [pattern.spell(codes[rows] - start) for pattern, rows, start in pairs])

    def _which(self, codes: Codes) -> npt.NDArray[np.intp]:
        return np.searchsorted(self._starts, codes, side="right") - 1


def pick(strings: pa.Array | Sequence[str], at: Places) -> pa.Array:
    """Return strings[at], a string array (len(at),)."""
    return (strings if isinstance(strings, pa.Array) else pa.array(strings)).take(pa.array(at))


def scatter(at: Sequence[Places], parts: Sequence[pa.Array]) -> pa.Array:
    """Put parts[i] at the places at[i]: a string array as long as all parts, each place given once."""
    places = np.concatenate(at)
    order = np.empty(len(places), np.int64)
    order[places] = np.arange(len(places))
    return pick(pa.concat_arrays(parts), order)


def fill(template: str, fields: Mapping[str, pa.Array]) -> pa.Array:
    """Replace each {name} of the template by the strings of that field, all of length n: a string array (n,)."""
    pieces = [piece for piece in re.split(r"(\{\w+\})", template) if piece]
    return pc.binary_join_element_wise(*(fields[p[1:-1]] if p[0] == "{" else pa.scalar(p) for p in pieces), "")


def fill_each(templates: Sequence[tuple[str, Places]], fields: Mapping[str, pa.Array]) -> pa.Array:
    """Fill each template at its own places only: a string array as long as all places together."""
    parts = [
        fill(template, {name: pick(strings, at) for name, strings in fields.items() if f"{{{name}}}" in template})
        for template, at in templates
    ]
    return scatter([at for _, at in templates], parts)


def titles(rng: np.random.Generator, singer: Places, tongue: npt.NDArray[np.str_]) -> pa.Array:
    """Draw a title for each song, a string array (n,), in the tongue of its singer, and hardly ever one twice.

    singer: int (n,). tongue: (singers,), keys of TITLES.
    """
    places: list[Places] = []
    parts: list[pa.Array] = []
    for name, book in TITLES.items():
        at = np.flatnonzero((tongue == name)[singer])
        codes = book.draw(rng, len(at))
        _, first = np.unique(singer[at] * (1 << 40) + codes, return_index=True)
        again = np.ones(len(at), bool)
        again[first] = False
        places += [at[~again], at[again]]
        parts += [book.spell(codes[~again]), ROOMY.spell(ROOMY.draw(rng, int(again.sum())))]
    return scatter(places, parts)


ARTISTS = Book(
    Pattern((FIRST_NAMES, " ", SURNAMES), 0.48),
    Pattern(("The ", TRADES, " ", BANDS), 0.02),
    Pattern(("The ", SURNAMES, " ", BANDS), 0.1),
    Pattern(("The ", SURNAMES, "s"), 0.02),
    Pattern((HEADS, MIDDLES, ENDS), 0.08),
    Pattern((SURNAMES, " & ", FIRST_NAMES), 0.03),
    Pattern((FIRST_NAMES, " & the ", BANDS), 0.03),
    Pattern((ADJECTIVES, " ", TRADES, " ", BANDS), 0.1),
    Pattern((SURNAMES, " ", ENSEMBLES), 0.08),
    Pattern(("DJ ", HEADS, ENDS), 0.01),
    Pattern((PLACES, " ", BANDS), 0.03),
    Pattern((ACCENTED_FIRST, " ", ACCENTED_LAST), 0.008, tongue="romance"),
    Pattern((CYRILLIC, " ", CYRILLIC), 0.004, tongue="russian"),
    Pattern((GREEK, " ", GREEK), 0.003, tongue="greek"),
    Pattern((KANA, "・", KANA[:30]), 0.003, tongue="japanese"),
    Pattern((HANGUL, " ", HANGUL), 0.002, tongue="korean"),
)
"""Acts: a solo name first, because it has the most names and stands in where another pattern runs out."""

ACCENTED = Book(
    Pattern((tuple(word for word in ES if not word.isascii()), " de ", ES_OF), 0.6),
    Pattern((tuple(word for word in PT if not word.isascii()), " de ", PT_OF), 0.4),
)
"""Titles that have an accent for certain."""
ROOMY = Book(Pattern((ADJECTIVES, " ", NOUNS, " ", LINKS, " ", NOUNS), 1.0))
"""Titles enough for everyone: what an act sings when its first draw gave the same title twice."""

TITLES: dict[str, Book] = {
    "english": Book(
        Pattern((MOODS,), 0.03),
        Pattern((NOUNS,), 0.14, 1.2),
        Pattern((FIRST_NAMES,), 0.01),
        Pattern((DETERMINERS, " ", NOUNS), 0.07, 1.3),
        Pattern((VERBS, " ", WHOM), 0.05, 1.2),
        Pattern((ADJECTIVES, " ", NOUNS), 0.1, 1.4),
        Pattern((CLAUSES, " ", VERBS, " ", WHOM), 0.05, 1.2),
        Pattern((VERBS, " ", WHOM, " ", TAILS), 0.04, 1.2),
        Pattern((CLAUSES, " ", VERBS, " ", WHOM, " ", TAILS), 0.09),
        Pattern((NOUNS, " ", LINKS, " ", NOUNS), 0.18, 1.1),
        Pattern((ADJECTIVES, " ", NOUNS, " ", LINKS, " ", NOUNS), 0.13),
        Pattern((NOUNS, " & ", NOUNS), 0.05, 1.1),
        Pattern(("Road to ", PLACES), 0.01),
        Pattern((NOUNS, " in ", PLACES), 0.05),
    ),
    "romance": Book(
        Pattern((ES,), 0.1, 1.4),
        Pattern((ES, " de ", ES_OF), 0.5, 1.2),
        Pattern((PT, " de ", PT_OF), 0.2, 1.2),
        Pattern((ES, " sin ", ES_OF), 0.2, 1.2),
    ),
    "works": Book(
        Pattern((FORMS, " No. ", NUMBERS, ", Op. ", OPUS), 0.3, 1.3),
        Pattern((FORMS, ", Op. ", OPUS, ": ", ROMAN, ". ", MOVEMENTS), 0.5, 1.2),
        Pattern((ADJECTIVES, " ", NOUNS), 0.2, 1.4),
    ),
    "russian": Book(Pattern((RU_WHAT, " ", RU), 0.8), Pattern((RU,), 0.2)),
    "greek": Book(Pattern((EL_WHAT, " ", EL), 0.8), Pattern((EL,), 0.2)),
    "japanese": Book(Pattern((JA, "の", JA), 0.8), Pattern((JA, "と", JA), 0.2)),
    "korean": Book(Pattern((KO_OF, " ", KO), 0.8), Pattern((KO,), 0.2)),
}
"""Titles by tongue. About a third of the English ones come from small patterns, which is why acts share titles."""

TONGUE_OF_GENRE = {
    **dict.fromkeys(("brazil", "forro", "latin", "salsa", "samba", "tango"), "romance"),
    **dict.fromkeys(("classical", "opera"), "works"),
}
"""What acts of a genre sing unless their name says otherwise."""

ALBUMS = Book(
    Pattern((ADJECTIVES, " ", NOUNS), 0.35),
    Pattern((NOUNS, " & ", NOUNS), 0.2),
    Pattern((NOUNS, " ", LINKS, " ", NOUNS), 0.25),
    Pattern(("Songs from ", PLACES), 0.05),
    Pattern((ADJECTIVES, " ", PLACES), 0.15),
)
