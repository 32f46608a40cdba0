"""Hints that a text tells who somebody is: contacts and names. Hints for a person to look at; it removes nothing."""

from __future__ import annotations

import re

import regex

from ..guards.contacts import find_contacts

_NAME = regex.compile(
    r"(?i:\bmy (?:full |first |last )?name(?:'s| is)|\bi(?:'m| am) called|\bcall me|\bsigned,?)\s+[A-Z][\p{L}'-]{1,30}"
)
_TITLED = regex.compile(r"\b(?:Dr|Mr|Mrs|Ms|Miss|Prof)\.? [A-Z][\p{L}'-]{2,30}")
_PLACE = regex.compile(r"\b\d{1,5} (?:[A-Z][\p{L}]+ ){1,3}(?:Street|St|Avenue|Ave|Road|Rd|Lane|Drive|Boulevard)\b")
_BORN = re.compile(r"(?i)\b(?:born on|date of birth|d\.?o\.?b\.?)\b.{0,20}\d")


def identity_hints(text: str) -> set[str]:
    """Kinds of hints in ``text``: contact, e-mail, web address, name, titled name, street, birthday."""
    found = {_kind(contact.text) for contact in find_contacts(text)}
    named = {"name": _NAME, "titled name": _TITLED, "street": _PLACE, "birthday": _BORN}
    return found | {kind for kind, pattern in named.items() if pattern.search(text)}


def _kind(contact: str) -> str:
    if "@" in contact:
        return "e-mail or handle"
    return "phone number" if sum(character.isdigit() for character in contact) >= 3 else "web address"
