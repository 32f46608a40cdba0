"""What a match means where it stands: taken back by negation, past, idiom, fiction or jest, and about whom.

A cue takes back only what stands in its own clause; it never reaches over a clause border.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from .lexicon import Kind, Match, Rule
from .reading import Reading
from .types import RiskLevel, Subject


@dataclass(frozen=True, slots=True)
class Judged:
    """A match after its clause was read."""

    match: Match
    subject: Subject
    taken_back: Kind | None
    """What took it back, or ``None`` when it stands."""


_I = frozenset(("i", "me"))
_MINE = frozenset((" my", " mine"))
_STOPS = re.compile(r" [.](?= )")
_PAUSES = re.compile(r" ,(?= )")


def judge(reading: Reading, matches: Sequence[Match], scopes: Sequence[Match], reach: int) -> list[Judged]:
    """Each match with its subject and whether something in its clause takes it back."""
    return _Clauses(reading.text, scopes, reach).judge(matches)


class _Clauses:
    def __init__(self, text: str, scopes: Sequence[Match], reach: int) -> None:
        self._text = text
        self._reach = reach
        self._cues: dict[Kind, list[Match]] = {}
        for cue in scopes:
            self._cues.setdefault(cue.kind, []).append(cue)
        stops = [m.start() for m in _STOPS.finditer(text)]
        persons = {m.start for kind in ("first", "other") for m in self._cues.get(kind, ())}
        # A pause is a border when a new subject follows it: "this exam is killing me, i want to die".
        pauses = [m.start() for m in _PAUSES.finditer(text) if m.end() in persons]
        breaks = [m.start for m in self._cues.get("break", ())]
        self._sentences = [0, *stops, len(text)]
        self._borders = sorted({0, *stops, *pauses, *breaks, len(text)})

    def judge(self, matches: Sequence[Match]) -> list[Judged]:
        return [Judged(m, self._subject(m), self._taken_back(m)) for m in matches]

    def _clause(self, match: Match) -> tuple[int, int]:
        return _around(self._borders, match)

    def _in(self, kind: Kind, start: int, end: int) -> list[Match]:
        return [cue for cue in self._cues.get(kind, ()) if start <= cue.start and cue.end <= end]

    def _taken_back(self, match: Match) -> Kind | None:
        rule = match.rule
        start, end = self._clause(match)
        if any(i.start < match.end and match.start < i.end for i in self._cues.get("idiom", ())):
            return "idiom"
        if not isinstance(rule, Rule):
            negatable, ends, weak = True, False, False
        else:
            negatable, ends, weak = rule.negatable, rule.ends, rule.weak
        if negatable and self._negated(match, start):
            return "negation"
        if ends and self._past(match, start, end):
            return "past"
        if self._in("frame", start, end) and not self._first_person(match, start):
            return "frame"
        if weak and self._in("light", start, end):
            return "light"
        return None

    def _negated(self, match: Match, start: int) -> bool:
        for cue in self._in("negation", start, match.start):
            if self._text.count(" ", cue.end, match.start) > self._reach:
                continue
            if not any(e.start <= cue.start < e.end for e in self._cues.get("negation_except", ())):
                return True
        return False

    def _past(self, match: Match, start: int, end: int) -> bool:
        sentence = _around(self._sentences, match)
        # The "now" of "clean now" and the "any more" of "not any more" say that it is over.
        over = self._in("past", *sentence)
        for now in self._in("now", *sentence):
            told = any(o.start <= now.start and now.end <= o.end for o in over)
            if not told and not self._text.endswith((" not", " not "), 0, now.start):
                return False
        if self._in("past", start, end):
            return True
        # "Ten years ago, I tried": a clause that names only a time belongs to the next one.
        before = self._borders[max(0, bisect_left(self._borders, start) - 1)]
        return (
            sentence[0] <= before < start
            and self._text.count(" ", before, start) <= 8
            and bool(self._in("past", before, start))
            and not self._in("first", before, start)
        )

    def _first_person(self, match: Match, start: int) -> bool:
        """Whether the writer says it of themself; "my novel" does not make them its hero."""
        if match.who is not None:
            return match.who in _I
        said = [
            cue for kind in ("first", "other") for cue in self._cues.get(kind, ()) if start <= cue.start < match.end
        ]
        said = [cue for cue in said if self._text[cue.start : cue.end] not in _MINE]
        return bool(said) and max(said, key=lambda cue: cue.start).kind == "first"

    def _subject(self, match: Match) -> Subject:
        rule = match.rule
        if isinstance(rule, Rule) and rule.subject != "auto":
            return Subject(rule.subject)
        start, _ = self._clause(match)
        at = match.start if match.who is None else self._text.index(match.who, match.start) + len(match.who)
        if match.who is None and any(match.start <= cue.start < match.end for cue in self._cues.get("first", ())):
            return Subject.SELF
        nearest = [cue for kind in ("first", "other") for cue in self._cues.get(kind, ()) if start <= cue.start <= at]
        last = max(nearest, key=lambda cue: (cue.end, -cue.start), default=None)
        return Subject.OTHER if last is not None and last.kind == "other" else Subject.SELF


def _around(borders: list[int], match: Match) -> tuple[int, int]:
    i = bisect_right(borders, match.start)
    j = bisect_left(borders, match.end, lo=min(i, len(borders) - 1))
    return borders[max(0, i - 1)], borders[min(j, len(borders) - 1)]


def strength(level: RiskLevel) -> float:
    """The score that stands for a level where there is only a lexicon; not a probability."""
    return (0.05, 0.4, 0.8, 0.97)[level.rank]
