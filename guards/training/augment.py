"""Other ways the same message could have been typed, and longer messages made of shorter ones.

Pure functions of a text and a ``random.Random``. They keep the label true or do not touch the text; letter case is left
alone because the encoder does not see it.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from ..canonical import letters
from .corpus import LEVELS, Message

_NEIGHBOURS = {
    "a": "sqz", "b": "vn", "c": "xv", "d": "sf", "e": "wr", "f": "dg", "g": "fh", "h": "gj", "i": "uo", "j": "hk",
    "k": "jl", "l": "k", "m": "n", "n": "bm", "o": "ip", "p": "o", "q": "w", "r": "et", "s": "ad", "t": "ry",
    "u": "yi", "v": "cb", "w": "qe", "x": "zc", "y": "tu", "z": "x",
}  # fmt: skip

# Both ways: chat spelling made plain breaks the tie between slang and risk as much as plain made chat does.
_CHAT = {
    "you": "u", "are": "r", "your": "ur", "because": "cuz", "people": "ppl", "tonight": "tonite", "and": "n",
    "though": "tho", "about": "abt", "please": "pls", "with": "w", "before": "b4", "someone": "sum1", "really": "rly",
    "right": "rite", "know": "kno", "night": "nite", "today": "2day", "tomorrow": "tmrw", "something": "smth",
    "anything": "anythin", "nothing": "nothin", "going": "goin", "myself": "myslf", "mom": "mum", "mum": "mom",
    "probably": "prob", "the": "da", "that": "dat", "thanks": "thx", "okay": "ok", "seriously": "srsly",
}  # fmt: skip
_PLAIN = {
    "u": "you", "r": "are", "ur": "your", "cuz": "because", "bc": "because", "ppl": "people", "n": "and",
    "tho": "though", "abt": "about", "pls": "please", "idk": "i don't know", "ngl": "not going to lie",
    "rn": "right now", "im": "i'm", "dont": "don't", "cant": "can't", "wont": "won't", "ive": "i've", "its": "it's",
    "hes": "he's", "shes": "she's", "didnt": "didn't", "isnt": "isn't", "wasnt": "wasn't", "thats": "that's",
    "gonna": "going to", "wanna": "want to", "tbh": "to be honest", "gotta": "have to", "gf": "girlfriend",
    "bf": "boyfriend", "w": "with", "tmrw": "tomorrow", "smth": "something", "sumthin": "something", "nite": "night",
    "tonite": "tonight", "nd": "and", "coz": "because",
}  # fmt: skip
_SOUND_ALIKE = {
    "their": "there", "there": "their", "they're": "there", "your": "you're", "you're": "your", "too": "to",
    "to": "too", "its": "it's", "it's": "its", "where": "were", "were": "where", "of": "off", "off": "of",
    "than": "then", "then": "than", "know": "no", "no": "know", "hear": "here", "here": "hear", "knife": "nife",
    "cut": "cutt", "would": "wood", "whole": "hole", "die": "dye", "by": "buy", "for": "four", "lose": "loose",
    "quite": "quiet", "passed": "past", "piece": "peace", "week": "weak", "break": "brake", "our": "are",
}  # fmt: skip
_EMOJI = "😭😂💀😔🙃😅❤️🥲😩😊🙏😬🤷👍😴🤣😞✨"
_FILLERS = (
    "um",
    "like",
    "so yeah",
    "you know",
    "i mean",
    "anyway",
    "well",
    "basically",
    "sort of",
    "honestly",
    "ok so",
)
_JOINTS = (" ", " ", ". ", ". ", "\n", "\n\n", " ... ", ", ", " also ", " and ", " anyway ", " btw ", " - ")
_COMPANY = 8
"""Calm messages that a language needs, to be joined with its own."""
_MIXED = 0.3
"""How often it is joined with any: people change the language within a message."""
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_SENTENCE = re.compile(r"(?<=[.!?…])\s+|\n+")


def _words(text: str, table: dict[str, str], share: float, rng: random.Random) -> str:
    def swap(found: re.Match[str]) -> str:
        other = table.get(found[0].lower().replace("’", "'"))
        return other if other is not None and rng.random() < share else found[0]

    return _WORD.sub(swap, text)


def misspell(text: str, rng: random.Random, share: float = 0.08) -> str:
    """Slips of the finger in about ``share`` of the words of four letters and more."""

    def slip(found: re.Match[str]) -> str:
        word = found[0]
        if len(word) < 4 or rng.random() >= share:
            return word
        at = rng.randrange(1, len(word) - 1)
        how = rng.randrange(4)
        if how == 0:
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        if how == 1:
            return word[:at] + word[at + 1 :]
        if how == 2:
            return word[:at] + word[at] + word[at:]
        return word[:at] + rng.choice(_NEIGHBOURS.get(word[at].lower(), word[at])) + word[at + 1 :]

    return _WORD.sub(slip, text)


def drop_apostrophes(text: str, rng: random.Random) -> str:
    """``don't`` as ``dont``."""
    return re.sub(r"(?<=\w)['’](?=\w)", "", text)


def drop_punctuation(text: str, rng: random.Random) -> str:
    """No stops or commas; apostrophes stay."""
    return re.sub(r"\s+", " ", re.sub(r"[^\w\s'’]", " ", text)).strip()


def lose_spaces(text: str, rng: random.Random) -> str:
    """One or two spaces between words missing."""
    for _ in range(rng.choice((1, 1, 2))):
        gaps = [found.start() for found in re.finditer(r"(?<=\w) (?=\w)", text)]
        if gaps:
            at = rng.choice(gaps)
            text = text[:at] + text[at + 1 :]
    return text


def chat_spelling(text: str, rng: random.Random) -> str:
    """``you`` as ``u``."""
    return _words(text, _CHAT, 0.7, rng)


def plain_spelling(text: str, rng: random.Random) -> str:
    """``u`` as ``you``."""
    return _words(text, _PLAIN, 1.0, rng)


def sound_alikes(text: str, rng: random.Random) -> str:
    """``their`` as ``there``, as dictation and autocorrect have it."""
    return _words(text, _SOUND_ALIKE, 0.4, rng)


def add_emoji(text: str, rng: random.Random) -> str:
    """One or two emoji that say nothing about risk: people laugh and cry in both."""
    return f"{text} {''.join(rng.choices(_EMOJI, k=rng.choice((1, 1, 2))))}"


def speak(text: str, rng: random.Random) -> str:
    """As a voice transcript: no punctuation, a filler or two."""
    words = drop_punctuation(text, rng).lower().split()
    for _ in range(rng.choice((1, 1, 2))):
        words.insert(rng.randrange(len(words) + 1), rng.choice(_FILLERS))
    return " ".join(words)


_STYLES = (
    misspell,
    misspell,
    drop_apostrophes,
    drop_punctuation,
    lose_spaces,
    chat_spelling,
    plain_spelling,
    plain_spelling,
    sound_alikes,
    add_emoji,
    speak,
)


def drop_accents(text: str, rng: random.Random) -> str:
    """``não`` as ``nao``, as many people type on a phone."""
    return letters(text)


def drop_stops(text: str, rng: random.Random) -> str:
    """No punctuation of any script; vowel signs, which are no letters to ``re``, stay."""
    return " ".join("".join(" " if unicodedata.category(c)[0] == "P" and c not in "'’" else c for c in text).split())


_ANY_LANGUAGE = (misspell, misspell, lose_spaces, drop_accents, drop_accents, drop_stops, add_emoji)
"""Styles that need no word of English."""


def restyle(text: str, rng: random.Random, language: str = "en") -> str:
    """One to three of the styles above, one after the other."""
    for style in rng.sample(_STYLES if language == "en" else _ANY_LANGUAGE, k=rng.choice((1, 1, 2, 3))):
        text = style(text, rng)
    return text


def _splice(texts: Sequence[str], rng: random.Random) -> str:
    joint = rng.choice(_JOINTS)
    return joint.join(text.rstrip(" .,") if joint in (", ", " and ", ". ") else text for text in texts)


def join(messages: Sequence[Message], rng: random.Random) -> Message:
    """One message that says all of them, in random order; the first one may be cut open for the others.

    The level is the highest and the categories are all of theirs: several calm messages stay calm.
    """
    order = list(messages)
    rng.shuffle(order)
    texts = [message.text for message in order]
    sentences = _SENTENCE.split(texts[0])
    if len(sentences) > 1 and rng.random() < 0.5:
        at = rng.randrange(1, len(sentences))
        texts = [" ".join(sentences[:at]), *texts[1:], " ".join(sentences[at:])]
    return replace(
        order[0],
        id="+".join(message.id for message in order),
        text=_splice(texts, rng),
        level=max((message.level for message in order), key=LEVELS.index),
        categories=frozenset().union(*(message.categories for message in order)),
        pair="",
    )


def epoch(messages: Sequence[Message], seed: int, number: int, joined: float = 0.25) -> list[Message]:
    """What one epoch is trained on: every message once, some restyled, plus joined ones; shuffled, same every time.

    A share of the crises is set into one to four calm messages, and as many calm messages are joined with each other,
    so that neither length nor a calm opening tells anything. What is not in English is mostly joined with its like.
    """
    rng = random.Random(f"{seed}/{number}")
    calm = [m for m in messages if not m.crisis and len(m.text) < 400]
    plain = [m for m in calm if m.level == LEVELS[0]]
    crises = [m for m in messages if m.crisis and len(m.text) < 400]
    spoken: defaultdict[str, list[Message]] = defaultdict(list)
    for message in plain:
        spoken[message.language].append(message)

    def around(language: str) -> list[Message]:
        own = spoken[language]
        return plain if language == "en" or len(own) < _COMPANY or rng.random() < _MIXED else own

    batch = list(messages)
    for crisis in rng.sample(crises, k=int(len(crises) * joined)):
        company = around(crisis.language)
        batch.append(join([crisis, *rng.sample(company, k=rng.choice((1, 1, 2, 2, 3, 4)))], rng))
        first = rng.choice(calm if company is plain else company)
        batch.append(join([first, *rng.sample(company, k=rng.choice((1, 1, 2, 3, 3, 4)))], rng))
    # The first epoch shows the messages mostly as they were written.
    share = 0.3 if number == 0 else 0.5
    batch = [replace(m, text=restyle(m.text, rng, m.language)) if rng.random() < share else m for m in batch]
    rng.shuffle(batch)
    return batch
