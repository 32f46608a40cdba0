"""What no reply may contain, whatever it says: template tokens, markup, loops, a language that no rule can read."""

from __future__ import annotations

import regex
from pydantic import Field

from .output_rules import Problem
from .types import Frozen


class ProblemSpan(Frozen):
    """Where a problem stands in the text that was checked, in code points."""

    start: int = Field(ge=0)
    end: int = Field(ge=0)
    problem: Problem
    rule: str
    """What found it, e.g. ``diagnosis/you-have``."""


_WORDS = regex.compile(r"[\w']+")
_LOOP_WINDOW = 2000
"""How far back a repeated sentence is looked for, in characters."""


def faults_of_form(sentence: str, before: str, tail: str) -> list[ProblemSpan]:
    """Every fault of ``sentence``; ``before`` is the reply so far, ``tail`` its last words."""
    found = _marks(sentence)
    return [*found, *_loops(sentence, before), *_language(sentence, tail)] if sentence.strip() else found


def span(start: int, end: int, problem: Problem, rule: str) -> ProblemSpan:
    return ProblemSpan(start=start, end=end, problem=problem, rule=rule)


_TOKENS = regex.compile(
    r"<\|[^|>\n]{0,40}\|?>?|\[/?(?:INST|SYS|ASSISTANT|USER|SYSTEM)\]|<</?SYS>>|</?s>|<(?:bos|eos|pad|unk)>"
    r"|<(?:start|end)_of_turn>|</?think(?:ing)?>|#{2,4}\s{0,2}(?:instructions?|response|input|system|user|assistant|human)\b"
    r"|(?:^|\n|[.!?]\s)\s{0,3}[*_]{0,2}(?:user|assistant|system|human|ai|bot|chatbot|counsel{1,2}or|therapist|client|patient"
    r"|person|supporter|listener|customer|support agent|agent|model|question|answer|q|a)[*_]{0,2}\s?:[*_]{0,2}(?:\s|$)",
    regex.I,
)
_CONTROLS = regex.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff"
    r"\ue000-\uf8ff\U000e0000-\U000e007f]"
)
_TAGS = regex.compile(
    r"</?[a-z][a-z0-9]{0,15}(?:\s[^<>\n]{0,200})?/?>|```|!?\[[^\]\n]{0,120}\]\([^)\n]{0,200}\)|&#?\w{2,8};", regex.I
)


def _marks(text: str) -> list[ProblemSpan]:
    found: list[ProblemSpan] = []
    if "<" in text or "[" in text or "#" in text or ":" in text:
        found += (span(*match.span(), Problem.PROMPT_LEAK, "chat-template") for match in _TOKENS.finditer(text))
    if not (text.isascii() and text.isprintable()):
        found += (span(*match.span(), Problem.MARKUP, "control-character") for match in _CONTROLS.finditer(text))
        if regex.search(r"\p{M}{5}", text):
            found.append(span(0, len(text), Problem.MARKUP, "combining-flood"))
    if "<" in text or "`" in text or "](" in text or "&" in text:
        found += (span(*match.span(), Problem.MARKUP, "tag") for match in _TAGS.finditer(text))
    return found


# --- loops: small models fall into them ---

_EMPHASIS_WORDS = """
very really so no yes yeah yep ha haha hee hey bye knock there ok okay many la oh well much never on
"""
_EMPHASIS = frozenset(_EMPHASIS_WORDS.split())
_SAME_CHARACTER = regex.compile(r"([^\s.\d_=-])\1{11,}|([.\d_=-])\2{40,}")


def _loops(sentence: str, before: str) -> list[ProblemSpan]:
    text = sentence[-_LOOP_WINDOW:]
    words = _WORDS.findall(text.lower())
    rule = None
    if _SAME_CHARACTER.search(text) or (not words and sum(not c.isspace() for c in text) > 40):
        rule = "same-character"
    elif len(words) >= 3 and before and _times_said(words, before) >= 2:
        rule = "same-sentence"
    else:
        past = _WORDS.findall(before[-_LOOP_WINDOW // 4 :].lower())[-3 * _LONGEST_PHRASE :]
        rule = _loop(past + words, len(past))
    return [span(0, len(sentence), Problem.DEGENERATE, rule)] if rule else []


_LONGEST_PHRASE = 12


def _loop(words: list[str], new_from: int) -> str | None:
    """Whether a word, or a phrase of up to twelve, stands three times in a row, the last time after ``new_from``."""
    if len(words) - len(set(words)) < 2:
        return None
    for size in range(1, min(_LONGEST_PHRASE, len(words) // 3) + 1):
        same = 0
        for i in range(size, len(words)):
            same = same + 1 if words[i] == words[i - size] else 0
            if same < 2 * size or i < new_from:
                continue
            if size == 1 and same < 5 and (words[i] in _EMPHASIS or words[i].isdigit()):
                continue
            if size == 1 or len(set(words[i - size + 1 : i + 1])) > 1:
                return "same-word" if size == 1 else "same-phrase"
    return None


def _times_said(words: list[str], before: str) -> int:
    recent = before[-_LOOP_WINDOW:].lower()
    if recent.count(max(words, key=len)) < 2:
        return 0
    said = _WORDS.findall(recent)
    return "".join(f" {word} " for word in said).count("".join(f" {word} " for word in words))


# --- language: the rules read English; a text in another language has not been checked ---

_ENGLISH_WORDS = """
the and you to of is it that a i in for not be are with on this have can what your my me do at so if
but was we or how would as when there they from an about just more here has like will one feel
"""
_ENGLISH = frozenset(_ENGLISH_WORDS.split())
_OTHER_WORDS = """
el los las una que con por para como pero esta este eso muy usted tú te lo más porque estoy puedo
der das und ist nicht ich sie ein eine mit auf für von dir dich mir wir aber auch wie wenn sind
haben le les des une est pas vous je et dans pour sur avec ce qui mais nous êtes suis il che di non
per sono questo sei ti mi anche più o os uma não com você isso um em se het een van ik niet zijn jij
voor maar dat och att det som är inte på jag du har på er til af ikke og ja tego nie się jest jestem
bir ve bu için ne
"""
_OTHER = frozenset(_OTHER_WORDS.split()) - _ENGLISH
_LATIN = regex.compile(r"\p{Latin}")
_LETTER = regex.compile(r"\p{L}")


def _language(sentence: str, tail: str) -> list[ProblemSpan]:
    if not sentence.isascii():
        letters = len(_LETTER.findall(sentence))
        foreign = letters - len(_LATIN.findall(sentence))
        if foreign >= 2 and foreign * 5 > letters:
            return [span(0, len(sentence), Problem.OTHER_LANGUAGE, "script")]
    words = [word.lower() for word in _WORDS.findall(sentence)]
    if len(words) < 4:
        words = [word.lower() for word in _WORDS.findall(tail)][-8:] + words if tail and _odd(words) else words
    other = sum(word in _OTHER for word in words)
    if (
        other >= 2
        and other > 2 * sum(word in _ENGLISH for word in words)
        and len(words) >= 3
        and other * 5 >= len(words)
    ):
        return [span(0, len(sentence), Problem.OTHER_LANGUAGE, "function-words")]
    return []


def _odd(words: list[str]) -> bool:
    return any(word in _OTHER for word in words)
