"""The output guard: whether a sentence of a reply, or the whole reply, may reach the person.

It decides about text only, sends nothing, repairs nothing, and never raises: what it cannot judge is not safe.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

import regex
from pydantic import Field

from .canonical import canonical
from .contacts import find_contacts
from .output_rules import Problem, Rules, shipped_rules
from .types import Frozen

__all__ = ["OutputGuard", "OutputVerdict", "Problem", "ProblemSpan"]

CARRY = 160
"""Characters of the reply so far that are read again with each new sentence; about two spoken sentences."""

_LOOP_WINDOW = 2000
"""How far back a repeated sentence is looked for, in characters."""


class ProblemSpan(Frozen):
    """Where a problem stands in the text that was checked, in code points."""

    start: int = Field(ge=0)
    end: int = Field(ge=0)
    problem: Problem
    rule: str
    """What found it, e.g. ``diagnosis/you-have``."""


class OutputVerdict(Frozen):
    """What the output guard decided. ``error`` means *could not judge*; such a text is never safe."""

    safe: bool
    problems: tuple[Problem, ...] = ()
    """Each once, in the order of their first span."""
    spans: tuple[ProblemSpan, ...] = ()
    """A span that began in the reply so far starts at 0."""
    error: str | None = None
    """Name of what failed, without any text of the reply."""
    ms: float = 0.0
    """Wall time spent, in milliseconds."""


class OutputGuard:
    """Checks replies by rules, by the hotline directory and by their form. Safe to share between threads.

    Args:
        known_contact: whether a number, keyword with short code, e-mail or web address may be given to a person;
            by default, whether the shipped hotline directory holds it.
        prompt: the system prompt in use; eight of its words in a row count as a leak.
        rules: by default those that ship.
    """

    def __init__(
        self,
        known_contact: Callable[[str], bool] | None = None,
        *,
        prompt: str = "",
        rules: Rules | None = None,
    ) -> None:
        self._known_contact = known_contact or _in_shipped_directory
        self._rules = rules
        self._secret = _shingles(prompt)

    def check(self, sentence: str, before: str = "", context: str = "", whole: bool = False) -> OutputVerdict:
        """Judge ``sentence``; never raises.

        Args:
            sentence: the next words of a reply.
            before: the reply so far, as shown; read for statements that go on over a sentence end.
            context: the person's last message; some words are only wrong as an answer to it.
            whole: ``sentence`` is the entire reply; ``before`` is not read.
        """
        started = time.perf_counter()
        spans: tuple[ProblemSpan, ...] = ()
        failed: str | None = None
        try:
            spans = tuple(self._spans(sentence, "" if whole else before, context, whole))
        except Exception as error:
            failed = type(error).__name__
        return OutputVerdict(
            safe=not spans and failed is None,
            problems=tuple(dict.fromkeys(span.problem for span in spans)),
            spans=spans,
            error=failed,
            ms=(time.perf_counter() - started) * 1000,
        )

    def _spans(self, sentence: str, before: str, context: str, whole: bool) -> list[ProblemSpan]:
        found = list(_form(sentence))
        if not sentence.strip():
            return [*found, *([_span(0, 0, Problem.DEGENERATE, "empty")] if whole else [])]
        tail = _carry(before)
        found += self._contacts(tail, sentence)
        found += self._wording(tail, sentence, context)
        found += _loops(sentence, before)
        found += _language(sentence, tail)
        if self._secret:
            found += self._leaks(tail, sentence)
        return sorted(found, key=lambda span: (span.start, span.end))

    def _wording(self, tail: str, sentence: str, context: str) -> list[ProblemSpan]:
        old, new = canonical(tail), canonical(sentence)
        border = len(old.text)
        rules = self._rules or shipped_rules()
        spans: list[ProblemSpan] = []
        for hit in rules.find(old.text + new.text, border, canonical(context[-2000:]).text):
            start, end = new.span(max(0, hit.start - border), max(0, hit.end - border))
            spans.append(_span(start, end, hit.problem, hit.rule))
        return spans

    def _contacts(self, tail: str, sentence: str) -> list[ProblemSpan]:
        border = len(tail)
        return [
            _span(max(0, found.start - border), found.end - border, Problem.UNKNOWN_CONTACT, "directory")
            for found in find_contacts(tail + sentence)
            if found.end > border and not self._known_contact(found.text)
        ]

    def _leaks(self, tail: str, sentence: str) -> list[ProblemSpan]:
        leaked = not self._secret.isdisjoint(_shingles(tail + sentence))
        return [_span(0, len(sentence), Problem.PROMPT_LEAK, "system-prompt")] if leaked else []


def _in_shipped_directory(text: str) -> bool:
    return _shipped_directory().is_known_contact(text)


@cache
def _shipped_directory():
    from .hotlines import Directory

    return Directory.load()


def _span(start: int, end: int, problem: Problem, rule: str) -> ProblemSpan:
    return ProblemSpan(start=start, end=end, problem=problem, rule=rule)


def _carry(before: str) -> str:
    """The end of the reply so far, from a word's beginning."""
    if len(before) <= CARRY:
        return before
    at = before.find(" ", len(before) - CARRY)
    return before[at:] if at >= 0 else before[-CARRY:]


_WORDS = regex.compile(r"[\w']+")


def _shingles(text: str, size: int = 8) -> frozenset[str]:
    words = _WORDS.findall(text.lower())
    return frozenset(" ".join(words[i : i + size]) for i in range(len(words) - size + 1))


# --- form: what no reply may contain, whatever it says ---

_TOKENS = regex.compile(
    r"<\|[^|>\n]{0,40}\|?>?|\[/?(?:INST|SYS|ASSISTANT|USER|SYSTEM)\]|<</?SYS>>|</?s>|<(?:bos|eos|pad|unk)>"
    r"|<(?:start|end)_of_turn>|</?think(?:ing)?>|#{2,4}\s{0,2}(?:instructions?|response|input|system|user|assistant|human)\b"
    r"|(?:^|\n|[.!?]\s)\s{0,3}[*_]{0,2}(?:user|assistant|system|human|ai|bot|chatbot|counsel{1,2}or|therapist|client|patient|person"
    r"|supporter|listener|customer|support agent|agent|model|warmline|question|answer|q|a)[*_]{0,2}\s?:[*_]{0,2}(?:\s|$)",
    regex.I,
)
_CONTROLS = regex.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff"
    r"\ue000-\uf8ff\U000e0000-\U000e007f]"
)
_TAGS = regex.compile(
    r"</?[a-z][a-z0-9]{0,15}(?:\s[^<>\n]{0,200})?/?>|```|!?\[[^\]\n]{0,120}\]\([^)\n]{0,200}\)|&#?\w{2,8};", regex.I
)


def _form(text: str) -> list[ProblemSpan]:
    found: list[ProblemSpan] = []
    if "<" in text or "[" in text or "#" in text or ":" in text:
        found += (_span(*match.span(), Problem.PROMPT_LEAK, "chat-template") for match in _TOKENS.finditer(text))
    if not (text.isascii() and text.isprintable()):
        found += (_span(*match.span(), Problem.MARKUP, "control-character") for match in _CONTROLS.finditer(text))
        if regex.search(r"\p{M}{5}", text):
            found.append(_span(0, len(text), Problem.MARKUP, "combining-flood"))
    if "<" in text or "`" in text or "](" in text or "&" in text:
        found += (_span(*match.span(), Problem.MARKUP, "tag") for match in _TAGS.finditer(text))
    return found


# --- loops: small models fall into them ---

_EMPHASIS = frozenset(
    "very really so no yes yeah yep ha haha hee hey bye knock there ok okay many la oh well much never on".split()
)
_SAME_WORD = regex.compile(r"\b(\w{1,30})(?:\W{1,3}\1\b){2,200}", regex.I)
_SAME_PHRASE = regex.compile(r"\b(\w{1,30}(?:\W{1,3}\w{1,30}){1,11})(?:\W{1,4}\1\b){2,60}", regex.I)
_SAME_CHARACTER = regex.compile(r"([^\s.\d_=-])\1{11,}|([.\d_=-])\2{40,}")


def _loops(sentence: str, before: str) -> list[ProblemSpan]:
    text = sentence[-_LOOP_WINDOW:]
    words = [word.lower() for word in _WORDS.findall(text)]
    found: list[ProblemSpan] = []
    whole = (0, len(sentence))
    if _SAME_CHARACTER.search(text) or (not words and sum(not c.isspace() for c in text) > 40):
        found.append(_span(*whole, Problem.DEGENERATE, "same-character"))
    if len(words) - len(set(words)) >= 2:
        for match in _SAME_WORD.finditer(text):
            times = len(_WORDS.findall(match.group()))
            if times >= 6 or (match.group(1).lower() not in _EMPHASIS and not match.group(1).isdigit()):
                found.append(_span(*match.span(), Problem.DEGENERATE, "same-word"))
        if len(words) >= 6 and _is_looping(words):
            found.append(_span(*whole, Problem.DEGENERATE, "same-phrase"))
    plain = " ".join(words)
    if len(words) >= 3 and before and _said_before(plain, before) >= 2:
        found.append(_span(*whole, Problem.DEGENERATE, "same-sentence"))
    return found


def _is_looping(words: list[str]) -> bool:
    """Whether a phrase of two to twelve words stands three times in a row."""
    for size in range(2, min(12, len(words) // 3) + 1):
        same = 0
        for i in range(size, len(words)):
            same = same + 1 if words[i] == words[i - size] else 0
            if same >= 2 * size and len(set(words[i - size + 1 : i + 1])) > 1:
                return True
    return False


def _said_before(plain: str, before: str) -> int:
    return f" {' '.join(_WORDS.findall(before[-_LOOP_WINDOW:].lower()))} ".count(f" {plain} ")


# --- language: the rules read English; a text in another language has not been checked ---

_ENGLISH = frozenset(
    "the and you to of is it that a i in for not be are with on this have can what your my me do at so if but was we or how"
    " would as when there they from an about just more here has like will one feel".split()
)
_OTHER = frozenset(
    "el los las una que con por para como pero esta este eso muy usted tú te lo más porque estoy puedo der die das und ist nicht"
    " ich sie ein eine mit auf für von dir dich mir wir aber auch wie wenn sind haben le les des une est pas vous je et dans pour"
    " sur avec ce qui mais nous êtes suis il che di non per sono questo sei ti mi anche più o os uma não com você isso um em se"
    " het een van ik niet zijn jij voor maar dat och att det som är inte på jag du har på er til af ikke og ja tego nie się jest"
    " jestem bir ve bu için ne mai este care".split()
) - _ENGLISH  # fmt: skip
_LATIN = regex.compile(r"\p{Latin}")
_LETTER = regex.compile(r"\p{L}")


def _language(sentence: str, tail: str) -> list[ProblemSpan]:
    if not sentence.isascii():
        letters = len(_LETTER.findall(sentence))
        foreign = letters - len(_LATIN.findall(sentence))
        if foreign >= 2 and foreign * 5 > letters:
            return [_span(0, len(sentence), Problem.OTHER_LANGUAGE, "script")]
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
        return [_span(0, len(sentence), Problem.OTHER_LANGUAGE, "function-words")]
    return []


def _odd(words: list[str]) -> bool:
    return any(word in _OTHER for word in words)
