"""Makes a text safe to store and to show. Never changes its words, and never judges them."""

from __future__ import annotations

import re

import regex

from .canonical import ANSI

_HIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters but tab, line feed and carriage return; bidirectional embeddings, overrides and isolates."""
_FLOOD = regex.compile(r"(\p{M}{4})\p{M}+")
"""No living script stacks more than four marks on one letter."""


def clean(text: str) -> str:
    """``text`` without terminal escapes, control characters, bidi overrides, lone surrogates and floods of marks.

    ``\\n`` and ``\\t`` stay, ``\\r`` becomes ``\\n``; a lone surrogate becomes U+FFFD, a pair of them the character
    they stand for. Everything else, right-to-left text and emoji sequences included, stays as typed.
    """
    if text.isascii() and text.isprintable():
        return text
    if "\x1b" in text or "\x9b" in text:
        text = ANSI.sub("", text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _FLOOD.sub(r"\1", _HIDDEN.sub("", text))
