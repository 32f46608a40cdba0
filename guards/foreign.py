"""A text as the multilingual encoder reads it: in its own letters, without what cannot be seen."""

from __future__ import annotations

import html
import re
import unicodedata

_SYMBOL = re.compile(r"[^\w\s\x00-\x7f]")
_UNSEEN = frozenset({"Sk", "Cf", "Cs", "Cn", "Co"})
"""Unicode categories that no vocabulary has and no reader sees."""
_REPEAT = re.compile(r"([^\W\d_])\1{2,}")
_SELECTOR = re.compile(r"[\ufe00-\ufe0f\u20d0-\u20ff\u00ad\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0]")


def symbols_named(text: str, also_unseen: frozenset[str] = frozenset()) -> str:
    """``text`` with emoji by their names, because vocabularies have few, and without what cannot be seen.

    Args:
        also_unseen: further Unicode categories to leave out.
    """

    def named(found: re.Match[str]) -> str:
        kind = unicodedata.category(found[0])
        if kind == "So":
            return f" {unicodedata.name(found[0], '').lower()} "
        return "" if kind in _UNSEEN or kind in also_unseen else found[0]

    return _SYMBOL.sub(named, text)


def own_spelling(text: str) -> str:
    """Lower case, one form for each letter, emoji by their names; accents and vowel signs stay, unlike in
    ``canonical``: in most languages they are part of the word. Never raises."""
    if not text.isascii():
        text = _SELECTOR.sub("", unicodedata.normalize("NFKC", text))
    if "&" in text:
        text = html.unescape(text)
    return _REPEAT.sub(r"\1\1", symbols_named(text.lower()))
