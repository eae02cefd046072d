"""Text: a column of free text as the words, and the parts of words, that come up in several rows.

A text is a set of tokens: its words in small letters, and the runs of three characters in each word. A word is marked
where it begins and ends, so that "<red>" is the word, "red" may be inside any, and "ed>" is an ending.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

import numpy as np

from nineline.rows import LevelPart, sampled
from nineline.tables.contract import Column
from nineline.tables.series import is_missing, texts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import narwhals as nw
    import numpy.typing as npt

    from nineline.tables.contract import Part, Values

    Numbers = npt.NDArray[np.float64]

_WORD: Final = re.compile(r"\w+")
_CHARACTERS: Final = 1000  # of a text that are read
_PART: Final = 3  # characters of a part of a word
_TEXTS: Final = 100_000  # that tokens are learned from
_WORDS_AT_MOST: Final = 2**19  # different ones that are counted; then the rarer half is forgotten
_WORDS_OF_A_PART: Final = 2  # at least; what is in one word alone says what the word says
_NEARLY_ALL: Final = 0.9  # of the rows


@final
@dataclass(frozen=True)
class Text(Column):
    """Free text: which of the tokens that training rows had often enough it holds; each is an input that is 1 or 0.

    Tokens are words and parts of words. Those are kept that come up in five rows or more, and not in nine rows of ten;
    of parts those of two words or more; the 512 most frequent words, and the 256 most frequent parts. A compact row
    holds the numbers of a text's tokens, ascending, 32 at most: its words first, the rarest before others, then the
    rarest of its parts.

    References
    ----------
    Bojanowski, Grave, Joulin, Mikolov (2017), Enriching word vectors with subword information, TACL 5, section 3.2:
    words between marks, and their parts.
    """

    tokens: tuple[str, ...]
    """The most frequent first."""
    slots: int
    """How many tokens of a text a compact row holds at most."""

    kind = "text"
    phrase = "text"
    words_at_most: ClassVar[int] = 512
    parts_at_most: ClassVar[int] = 256
    slots_at_most: ClassVar[int] = 32
    rows_a_token: ClassVar[int] = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        texts = isinstance(self.tokens, tuple) and all(isinstance(token, str) for token in self.tokens)
        at_most = self.words_at_most + self.parts_at_most
        if not texts or not 0 < len(set(self.tokens)) == len(self.tokens) <= at_most:
            raise ValueError(f"column {self.name!r} has tokens that are not different texts, 1 to {at_most} of them")
        if type(self.slots) is not int or not 1 <= self.slots <= self.slots_at_most:
            raise ValueError(f"column {self.name!r} has {self.slots!r} slots; expected 1 to {self.slots_at_most}")

    @classmethod
    def learn(cls, name: str, texts: Sequence[str], shares: Numbers, *, missing: bool) -> Text | None:
        """Learn which tokens are kept, by different texts and the weight of each; None where none is.

        Of more than 100,000 different texts so many are looked at.
        """
        which = sampled(len(texts), _TEXTS)
        some, weights = [texts[place] for place in which], shares[which]
        rows = float(weights.sum())
        words = _counted(some, weights)
        kept = [(words, cls.words_at_most), (_parts_counted(words), cls.parts_at_most)]
        ranked = [_ranked(counts, cls.rows_a_token, _NEARLY_ALL * rows)[:at_most] for counts, at_most in kept]
        tokens = tuple(token for token, _ in sorted(itertools.chain(*ranked), key=_by_count))
        if not tokens:
            return None
        whole = cls(name, missing, tokens, cls.slots_at_most)
        of_word = functools.cache(whole._of_word)
        return cls(name, missing, tokens, max(len(whole._levels(text, of_word)) for text in some))

    def narrowed(self, share: float) -> Text:
        """Return the same with a share of the room that there is for words, for parts and in a compact row."""
        words = [token for token in self.tokens if is_word(token)][: math.ceil(share * self.words_at_most)]
        parts = [token for token in self.tokens if not is_word(token)][: math.ceil(share * self.parts_at_most)]
        kept = {*words, *parts}
        slots = min(self.slots, math.ceil(share * self.slots_at_most))
        return replace(self, tokens=tuple(token for token in self.tokens if token in kept), slots=slots)

    @property
    def own_width(self) -> int:
        return len(self.tokens)

    @property
    def encoding(self) -> tuple[Part, ...]:
        return (LevelPart(0, self.width),) * self.slots

    def values(self, series: nw.Series[Any]) -> tuple[Values, ...]:
        texts = texts_of(series)
        if series.dtype.is_numeric() and texts.values:
            raise self.mismatch(texts.values[0])
        of_word = functools.cache(self._of_word)
        held = np.array([self._held(self._levels(text, of_word)) for text in texts.values] + [self._missing], np.int32)
        return tuple(held[texts.codes].T)  # a missing one has the code -1

    def one(self, value: object) -> tuple[float, ...] | None:
        if is_missing(value):
            return self._missing
        if type(value) is not str:
            return None
        text = value.strip()
        return self._held(self.levels(text)) if text else self._missing

    def _held(self, levels: list[int]) -> tuple[int, ...]:
        """Return levels as a compact row holds them."""
        return (*levels, *itertools.repeat(-1, self.slots - len(levels)))

    @property
    def _missing(self) -> tuple[int, ...]:
        return self._held([self.own_width] if self.missing else [])

    @functools.cached_property
    def places(self) -> dict[str, int]:
        """The number of each token."""
        return {token: number for number, token in enumerate(self.tokens)}

    def levels(self, text: str) -> list[int]:
        """Return the numbers of a text's tokens, ascending, as many as there is room for."""
        return self._levels(text, self._of_word)

    def _levels(self, text: str, of_word: Callable[[str], tuple[set[int], set[int]]]) -> list[int]:
        """Return the same, given what returns the numbers of a word and of its parts; of many texts it remembers."""
        words: set[int] = set()
        parts: set[int] = set()
        for word in words_of(text):
            own, of_parts = of_word(word)
            words |= own
            parts |= of_parts
        found = sorted(words, reverse=True)[: self.slots]
        found += sorted(parts - words, reverse=True)[: self.slots - len(found)]
        return sorted(found)

    def _of_word(self, word: str) -> tuple[set[int], set[int]]:
        """Return the number of a word, where it is a token, and those of its parts."""
        places = self.places
        own = {places[word]} if word in places else set()
        return own, {places[part] for part in parts_of(word) if part in places}

    def summary(self) -> str:
        words = [token[1:-1] for token in self.tokens if is_word(token)]
        shown = ", ".join(words[:4]) + (", …" if len(words) > 4 else "")
        return f"{len(words)} words and {len(self.tokens) - len(words)} parts of words{': ' * bool(words)}{shown}"


def looks_like_text(texts: Sequence[str]) -> bool:
    """Return whether most of some texts have a word in them, which is letters alone.

    Examples
    --------
    >>> from nineline.tables.text import looks_like_text
    >>> looks_like_text(["a red chair", "Smith"]), looks_like_text(["A-7731", "someone@example.org", "9f0c2e"])
    (True, False)
    """
    some = [texts[place] for place in sampled(len(texts), _TEXTS)]
    worded = sum(any(len(word) > 1 and word.isalpha() for word in text[:_CHARACTERS].split()) for text in some)
    return worded > len(some) / 2


def words_of(text: str) -> list[str]:
    """Return the words of a text between marks.

    Examples
    --------
    >>> from nineline.tables.text import words_of
    >>> words_of("Red, or 2 Blue")
    ['<red>', '<or>', '<2>', '<blue>']
    """
    return [f"<{word}>" for word in _WORD.findall(text[:_CHARACTERS].lower())]


def parts_of(word: str) -> Iterator[str]:
    """Yield the parts of a word that stands between marks.

    Examples
    --------
    >>> from nineline.tables.text import parts_of
    >>> [*parts_of("<red>")], [*parts_of("<a>")]
    (['<re', 'red', 'ed>'], [])
    """
    if len(word) > _PART:
        for start in range(len(word) - _PART + 1):
            yield word[start : start + _PART]


def is_word(token: str) -> bool:
    """Return whether a token is a word, and not a part of some."""
    return token.startswith("<") and token.endswith(">")


def _counted(texts: Sequence[str], weights: Numbers) -> Counter[str]:
    """Return the weight of the rows that have each word."""
    counts: Counter[str] = Counter()
    for text, weight in zip(texts, weights.tolist(), strict=True):
        for word in set(words_of(text)):
            counts[word] += weight
        if len(counts) > _WORDS_AT_MOST:
            counts = Counter(dict(sorted(counts.items(), key=_by_count)[: _WORDS_AT_MOST // 2]))
    return counts


def _parts_counted(words: Counter[str]) -> Counter[str]:
    """Return the weight of the words that have each part, of parts that say more than a single word does."""
    counts: Counter[str] = Counter()
    holders: Counter[str] = Counter()
    for word, weight in words.items():
        parts = set(parts_of(word))
        counts.update(dict.fromkeys(parts, weight))
        holders.update(parts)
    return Counter({part: counts[part] for part, count in holders.items() if count >= _WORDS_OF_A_PART})


def _ranked(counts: Counter[str], low: float, high: float) -> list[tuple[str, float]]:
    """Return tokens and their counts, where these are neither too low nor too high, the most frequent first."""
    return sorted(((token, count) for token, count in counts.items() if low <= count <= high), key=_by_count)


def _by_count(each: tuple[str, float]) -> tuple[float, str]:
    """Return what to sort tokens and their counts by, so that the order depends on nothing else."""
    return -each[1], each[0]
