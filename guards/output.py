"""The output guard: whether a sentence of a reply, or the whole reply, may reach the person.

It decides about text only, sends nothing, repairs nothing, and never raises: what it cannot judge is not safe.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Protocol

import regex

from .canonical import canonical
from .contacts import find_contacts
from .form import ProblemSpan, faults_of_form, span
from .output_rules import Problem, Rules, shipped_rules
from .types import Frozen

__all__ = ["OutputGuard", "OutputVerdict", "Problem", "ProblemSpan", "ReplyScorer"]

CARRY = 120
"""Characters of the reply so far that are read again with each new sentence; about two spoken sentences."""


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


class ReplyScorer(Protocol):
    """A learned judge of replies, behind the rules: it can stop a sentence and never lets one through."""

    def scores(self, sentence: str, before: str = "", context: str = "") -> Mapping[Problem, float]:
        """From 0 to 1 for each problem that it knows; arguments as for ``OutputGuard.check``. May raise."""
        ...


class OutputGuard:
    """Checks replies by rules, by the hotline directory and by their form. Safe to share between threads.

    Args:
        known_contact: whether a number, keyword with short code, e-mail or web address may be given to a person;
            by default, whether the shipped hotline directory holds it.
        prompt: the system prompt in use; eight of its words in a row count as a leak.
        rules: by default those that ship.
        scorer: asked about what the rules let through; none by default.
        limits: from which score on a problem stops a sentence; 0.5 for one that is not named.
    """

    def __init__(
        self,
        known_contact: Callable[[str], bool] | None = None,
        *,
        prompt: str = "",
        rules: Rules | None = None,
        scorer: ReplyScorer | None = None,
        limits: Mapping[Problem, float] | None = None,
    ) -> None:
        self._known_contact = known_contact or _in_shipped_directory
        self._rules = rules
        self._secret = _shingles(prompt)
        self._scorer = scorer
        self._limits = dict(limits or {})

    def warm(self) -> None:
        """Compile every rule and read the directory now (about a second) instead of during the first replies."""
        (self._rules or shipped_rules()).warm()
        self._known_contact("")

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
        tail = _carry(before)
        found = faults_of_form(sentence, before, tail)
        if not sentence.strip():
            return [*found, *([span(0, 0, Problem.DEGENERATE, "empty")] if whole else [])]
        found += self._contacts(tail, sentence)
        found += self._wording(tail, sentence, context)
        if self._secret:
            found += self._leaks(tail, sentence)
        if not found and self._scorer is not None:
            found += self._learned(self._scorer, tail, sentence, context)
        return sorted(found, key=lambda span: (span.start, span.end))

    def _wording(self, tail: str, sentence: str, context: str) -> list[ProblemSpan]:
        old, new = canonical(tail), canonical(sentence)
        border = len(old.text)
        rules = self._rules or shipped_rules()
        spans: list[ProblemSpan] = []
        for hit in rules.find(old.text + new.text, border, canonical(context[-2000:]).text):
            start, end = new.span(max(0, hit.start - border), max(0, hit.end - border))
            spans.append(span(start, end, hit.problem, hit.rule))
        return spans

    def _contacts(self, tail: str, sentence: str) -> list[ProblemSpan]:
        border = len(tail)
        return [
            span(max(0, found.start - border), found.end - border, Problem.UNKNOWN_CONTACT, "directory")
            for found in find_contacts(tail + sentence)
            if found.end > border and not self._known_contact(found.text)
        ]

    def _learned(self, scorer: ReplyScorer, tail: str, sentence: str, context: str) -> list[ProblemSpan]:
        scores = scorer.scores(sentence, tail, context[-2000:])
        stopped = [p for p, score in scores.items() if not score < self._limits.get(p, 0.5)]  # NaN stops, too
        return [span(0, len(sentence), p, "scorer") for p in sorted(stopped, key=lambda p: -scores[p])]

    def _leaks(self, tail: str, sentence: str) -> list[ProblemSpan]:
        leaked = not self._secret.isdisjoint(_shingles(tail + sentence))
        return [span(0, len(sentence), Problem.PROMPT_LEAK, "system-prompt")] if leaked else []


def _in_shipped_directory(text: str) -> bool:
    return _shipped_directory().is_known_contact(text)


@cache
def _shipped_directory():
    from .hotlines import Directory

    return Directory.load()


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
