"""Which lexicons a text is read with besides the English one: by its scripts, and by words English does not have.

It decides only who reads; a language that is not at stake costs nothing, and its lexicon is not even loaded.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import chain
from pathlib import Path

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from .canonical import letters
from .lexicon import SHIPPED, Lexicon, LexiconError, load_lexicon
from .reading import Reading
from .types import Frozen

TABLE = SHIPPED.parent / "languages.yaml"
"""What puts each shipped language at stake."""

_STRETCH = 6_000
_OVERLAP = 600
"""Characters of a long text that are asked about at once, and shared by neighbours: more than any pattern reaches."""
_SHORT = 200
"""Characters up to which every word counts, also one with a comma behind it."""
_OWN = 3
"""Words that a second language must have for itself: Spanish and Portuguese share too many."""
_WORD = re.compile(r"[^\W\d_]+")


class Signs(Frozen):
    """What shows that a language can be at stake; one of them is enough."""

    scripts: tuple[str, ...] = ()
    """Ranges of characters, such as "\\u0400-\\u04ff"."""
    words: str = Field(default="", description="Words that are no English words.")


class Languages:
    """Lexicons in other languages, each loaded when a text first asks for it. Safe to share between threads."""

    def __init__(self, signs: Mapping[str, Signs], load: Callable[[str], Lexicon] = load_lexicon) -> None:
        self._load = load
        self.codes = frozenset(signs)
        """ISO 639-1 codes of the languages that have a lexicon here."""
        self._words: dict[str, frozenset[str]] = {}
        scripts: dict[str, list[str]] = {}
        for code, sign in signs.items():
            for script in sign.scripts:
                scripts.setdefault(script, []).append(code)
            for word in letters(sign.words).split():
                self._words[word] = self._words.get(word, frozenset()) | {code}
        self._known = frozenset(self._words)
        self._scripts = [(re.compile(f"[{script}]"), codes) for script, codes in scripts.items()]

    def at_stake(self, text: str, start: int = 0, end: int | None = None) -> list[str]:
        """Codes of the languages that ``[start, end)`` of a canonical text can be written in, English aside."""
        end = len(text) if end is None else end
        found: set[str] = set()
        if not text.isascii():
            for script, codes in self._scripts:
                if script.search(text, start, end):
                    found.update(codes)
        # A longer text has enough words that no sign touches, and this is five times as quick.
        written = _WORD.findall(text, start, end) if end - start < _SHORT else text[start:end].split()
        if words := self._known.intersection(written):
            found.update(self._likely(words))
        return sorted(found)

    def _likely(self, words: frozenset[str]) -> list[str]:
        """The languages that most of the words belong to, and those that explain words which these do not."""
        counts = Counter(chain.from_iterable(self._words[word] for word in words))
        (best, most), *_ = counts.most_common(1)
        own = {code: sum(code in self._words[w] and best not in self._words[w] for w in words) for code in counts}
        return [code for code, count in counts.items() if 4 * count >= 3 * most or own[code] >= _OWN]

    def read(self, text: str) -> Iterator[tuple[Lexicon, Reading]]:
        """The canonical text as each language at stake reads it; a long text stretch by stretch."""
        for start in range(0, max(1, len(text) - _OVERLAP), _STRETCH - _OVERLAP):
            end = min(len(text), start + _STRETCH)
            for code in self.at_stake(text, start, end):
                lexicon = self._load(code)
                for reading in lexicon.read(text, start, end):
                    yield lexicon, reading


def load_languages(table: Path = TABLE) -> Languages:
    """The languages that a table names.

    Raises:
        LexiconError: naming the file and what is wrong.
    """
    try:
        data = yaml.load(table.read_text("utf-8"), Loader=yaml.CSafeLoader)
        return Languages(TypeAdapter(dict[str, Signs]).validate_python(data))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        raise LexiconError(f"{table}: {error}") from None


@lru_cache(maxsize=1)
def shipped_languages() -> Languages:
    """The languages whose lexicons ship."""
    return load_languages()
