"""A text as the multilingual encoder reads it: in its own letters, without what cannot be seen."""

from __future__ import annotations

import html
import re
import unicodedata

_SYMBOL = re.compile(r"[^\w\s\x00-\x7f]")
_UNSEEN = frozenset({"Sk", "Cf", "Cs", "Cn", "Co"})
_REPEAT = re.compile(r"([^\W\d_])\1{2,}")
_SELECTOR = re.compile(r"[\ufe00-\ufe0f\u20d0-\u20ff\u00ad\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0]")


def _named(found: re.Match[str]) -> str:
    character = found[0]
    kind = unicodedata.category(character)
    if kind == "So":
        return f" {unicodedata.name(character, '').lower()} "
    return "" if kind in _UNSEEN else character


def own_spelling(text: str) -> str:
    """Lower case, one form for each letter, emoji by their names; accents and vowel signs stay, unlike in
    ``canonical``: in most languages they are part of the word. Never raises."""
    if not text.isascii():
        text = _SELECTOR.sub("", unicodedata.normalize("NFKC", text))
    if "&" in text:
        text = html.unescape(text)
    return _REPEAT.sub(r"\1\1", _SYMBOL.sub(_named, text.lower()))
