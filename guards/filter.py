"""The crisis filter: one verdict for a message in its conversation.

The lexicon alone decides where no encoder is given. An encoder can raise a verdict, and lowers one only from elevated
to concern, where it is nearly sure. What is not in English is heard by an encoder of its own, and by both where the
language is in doubt. A second opinion, where there is one, is asked about what they are unsure of.
``screen`` never raises: what could not be judged is a verdict with ``error`` set, which never means "allow".
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from pydantic import Field

from .canonical import Canonical, canonical
from .language import CLEAR, language_of, latin, others, speaks
from .languages import Languages, shipped_languages
from .lexicon import Combination, Lexicon, Rule, load_lexicon
from .reading import Reading
from .scope import Judged, judge, strength
from .second_opinion import SecondOpinion, heard
from .subject import about_other
from .types import Category, Evidence, Frozen, RiskLevel, Subject, Together, Utterance, Verdict

HISTORY = 6
"""Utterances that are looked at, newest last: the cost of a turn does not grow with the conversation."""
_TAIL = 2_000
"""Characters of an earlier utterance that are looked at."""
_SHORT = 12
"""Words up to which a message is read together with the one before, as people split a sentence over two."""
TOGETHER = 2
"""Earlier messages of the person that are read as one text with the new one. Chosen on the dialogues of the corpus:
over their turns the crisis AUC was .84 for the message alone and .93 with two before it."""
_CLAUSE = 3.0
"""Evidence for another language from which on an English message is heard as that, too: about three words."""
_MOST_EVIDENCE = 40
_MOST_MATCHES = 400


class EncoderScores(Frozen):
    """What an encoder says about a text. All values are from 0 to 1."""

    crisis: float = Field(ge=0, le=1)
    """That the text is a crisis (elevated or imminent) at all."""
    categories: Mapping[Category, float] = Field(default_factory=dict)
    levels: Mapping[RiskLevel, float] = Field(default_factory=dict)


class Encoder(Protocol):
    """Scores a text; the cascade's second stage."""

    def scores(self, text: str) -> EncoderScores:
        """Scores for one message. May raise; the filter then says so in its verdict."""
        ...


Stage = Literal["encoder", "multilingual"]
"""The encoder for English, and the one for what is not."""


class Thresholds(Frozen):
    """From which score of the encoder on a level holds; the encoder's model card says how they were picked."""

    concern: float = Field(default=0.35, ge=0, le=1)
    crisis: float = Field(default=0.5, ge=0, le=1)
    imminent: float = Field(default=0.5, ge=0, le=1)
    category: float = Field(default=0.5, ge=0, le=1)
    overrule: float = Field(default=0.0, ge=0, le=1)
    """Under which score wording that the lexicon calls elevated is only a concern; imminent wording always stands."""
    window: float = Field(default=0.75, ge=0, le=1)
    """From which score on the last few messages, read as one, count as a crisis."""
    grey: tuple[float, float] | None = None
    """Scores between which a second opinion is asked; by default from half ``concern`` to halfway above ``crisis``."""

    def unsure(self, verdict: Verdict, stage: Stage = "encoder") -> bool:
        """Whether a verdict lies in the grey band: it rests on no sure wording, and its score is on neither side."""
        low, high = self.grey or (self.concern / 2, (1 + self.crisis) / 2)
        score = verdict.stages.get(stage)
        if verdict.error or verdict.stages.get("lexicon", 0.0) >= strength(RiskLevel.ELEVATED):
            return False
        return verdict.level is RiskLevel.CONCERN or (score is not None and low <= score < high)


@dataclass(frozen=True, slots=True)
class _Finding:
    """One piece of evidence before it is cut to the message's own text."""

    source: str
    level: RiskLevel
    categories: tuple[Category, ...]
    subject: Subject
    tags: frozenset[str]
    start: int
    end: int
    """``[start, end)`` in the canonical text."""
    token: int


_NAMED = 0.85
"""In ``Verdict.stages``, the lexicon's figure where a message calls a crisis by its clinical name ("I have been
struggling with self-harm"). Such a sentence is calm because it is formal, so the encoder's low score does not take it
back: of 2,358 questions of MentalChat16K it took back 39 true ones."""


class CrisisFilter:
    """Decides how urgent a message is, what it is about, who is at risk, and which words say so."""

    def __init__(
        self,
        lexicon: Lexicon | None = None,
        encoder: Encoder | Literal["shipped"] | None = "shipped",
        thresholds: Thresholds | None = None,
        languages: Languages | None = None,
        second_opinion: SecondOpinion | None = None,
        patience_s: float | None = None,
        foreign: Encoder | Literal["shipped"] | None = None,
    ) -> None:
        """By default everything that ships: the lexicons, the encoders and the thresholds they were calibrated for.

        ``encoder``: None leaves the lexicons alone to decide.
        ``thresholds``: those of ``encoder``; ``foreign`` has its own.
        ``foreign``: the encoder for messages that are not in English, "shipped" is loaded with the first of them. None
        is the shipped one where ``encoder`` is shipped too; an ``encoder`` given as an object then hears everything.
        ``languages``: the lexicons beside the English one.
        ``patience_s``: seconds after which a caller that cannot wait acts on a crisis that the wording alone shows.

        Raises:
            LexiconError, EncoderError: when what ships is asked for and cannot be read.
        """
        self.lexicon = lexicon or load_lexicon()
        self.languages = shipped_languages() if languages is None else languages
        if encoder == "shipped":
            from .encoder import shipped_encoder

            encoder = shipped_encoder()
            thresholds = thresholds or encoder.thresholds
            foreign = foreign or "shipped"
        self.encoder = encoder
        self.foreign: Encoder | Literal["shipped"] | None = foreign
        self.thresholds = thresholds or Thresholds()
        self.second_opinion = second_opinion
        self.patience_s = patience_s
        # A wish in an earlier turn counts for a combination only when this turn brings another part of it.
        self._combined = frozenset(tag for combination in self.lexicon.combinations for tag in combination.all)

    def screen(self, text: str, history: Sequence[Utterance] = ()) -> Verdict:
        """The verdict for ``text``, written after ``history``. Thread-safe; never raises."""
        started = time.perf_counter()
        verdict = self._local(text, history)
        if self.second_opinion is not None and self._unsure(verdict):
            verdict = heard(verdict, text, self.second_opinion.ask(text, history[-HISTORY:]))
        return verdict.model_copy(update={"ms": (time.perf_counter() - started) * 1_000})

    async def ascreen(self, text: str, history: Sequence[Utterance] = ()) -> Verdict:
        """``screen`` without holding up the event loop."""
        started = time.perf_counter()
        verdict = await asyncio.to_thread(self._local, text, history)
        if self.second_opinion is not None and self._unsure(verdict):
            verdict = heard(verdict, text, await self.second_opinion.aask(text, history[-HISTORY:]))
        return verdict.model_copy(update={"ms": (time.perf_counter() - started) * 1_000})

    def screen_batch(self, texts: Iterable[str]) -> list[Verdict]:
        """``screen`` for texts that have nothing to do with each other."""
        return [self.screen(text) for text in texts]

    def wording(self, text: str, history: Sequence[Utterance] = ()) -> Verdict:
        """What the lexicons alone say, in a fraction of the time; never raises."""
        try:
            return self._worded(text, history)
        except Exception as error:
            return _not_judged(error)

    def _local(self, text: str, history: Sequence[Utterance]) -> Verdict:
        try:
            return self._screen(text, history)
        except Exception as error:
            return _not_judged(error)

    def _worded(self, text: str, history: Sequence[Utterance]) -> Verdict:
        message = canonical(text)
        findings = self._findings(message.text)
        if recent := history[-HISTORY:]:
            findings += self._across(message.text, findings, recent)
        said = [u.text for u in history[-HISTORY:] if u.role == "user"]
        return _verdict(text, message, findings, _spoken(text, message, said))

    def _screen(self, text: str, history: Sequence[Utterance]) -> Verdict:
        verdict = self._worded(text, history)
        if self.encoder is None:
            return verdict
        stages = self._hearing(text, verdict.language)
        for stage in stages:
            verdict = self._fused(text, verdict, stage)
        said = [u.text[-_TAIL:] for u in history[-HISTORY:] if u.role == "user"][-TOGETHER:]
        if not said or verdict.crisis or verdict.error:
            return verdict
        return self._with_together("\n".join([*said, text[-_TAIL:]]), verdict, stages)

    def _hearing(self, text: str, language: str) -> tuple[Stage, ...]:
        """Which encoders hear a message: its language's own, or both where that is in doubt or two are mixed."""
        if self.foreign is None:
            return ("encoder",)
        english = speaks(text, "en")
        if language == "en":
            plain = canonical(text).text
            # Hardly a word of English, or a clause in something else.
            doubtful = self._foreign(text) and (english < CLEAR or others(plain) >= _CLAUSE)
            return ("encoder", "multilingual") if doubtful else ("encoder",)
        known = language in self.languages.codes and language == language_of(text)
        return ("multilingual",) if known and english < CLEAR else ("encoder", "multilingual")

    def _ear(self, stage: Stage) -> tuple[Encoder, Thresholds]:
        """The encoder of a stage, loaded where it was not yet, and its thresholds. EncoderError when it cannot be."""
        hears = self.encoder if stage == "encoder" else self.foreign
        if hears == "shipped":
            from .encoder import shipped_multilingual

            hears = shipped_multilingual()
        assert hears is not None and not isinstance(hears, str)
        return hears, self.thresholds if stage == "encoder" else getattr(hears, "thresholds", self.thresholds)

    def encoder_of(self, verdict: Verdict) -> Encoder | None:
        """The encoder that said most for a crisis in a verdict; None where none was asked."""
        if self.encoder is None:
            return None
        stages = verdict.stages
        other = "multilingual" in stages and stages["multilingual"] >= stages.get("encoder", 0.0)
        return self._ear("multilingual" if other else "encoder")[0]

    def _unsure(self, verdict: Verdict) -> bool:
        if "multilingual" in verdict.stages and self._ear("multilingual")[1].unsure(verdict, "multilingual"):
            return True
        return "multilingual" not in verdict.stages and self.thresholds.unsure(verdict)

    def _read(self, text: str) -> Iterator[tuple[Lexicon, Reading]]:
        """The text as English, and as each language that can be at stake in it."""
        yield from ((self.lexicon, reading) for reading in self.lexicon.read(text))
        yield from self.languages.read(text)

    def _foreign(self, text: str) -> bool:
        """Whether the text may be in a language of which the encoder knows too little to take anything back."""
        return bool(self.languages.at_stake(canonical(text).text))

    def _findings(self, text: str) -> list[_Finding]:
        found: dict[tuple[str, int, int], _Finding] = {}
        seen: Counter[str] = Counter()
        enough: set[str] = set()
        known: set[tuple[str, str]] = set()
        for lexicon, reading in self._read(text):
            if (lexicon.language, reading.text) in known:  # a flood of the same words has said all it has to say
                continue
            known.add((lexicon.language, reading.text))
            places = lexicon.places(reading)
            matches = lexicon.find(reading, places, enough)
            if not matches:
                continue
            # In a very long text the hundredth match of a rule says nothing new; this keeps the cost in bounds.
            seen.update(m.rule.id for m in matches if m.rule)
            enough = {rule for rule, times in seen.items() if times >= _MOST_MATCHES}
            scopes = lexicon.scopes(reading, places)
            for judged in judge(reading, matches, scopes, lexicon.negation_reach):
                if judged.taken_back is None:
                    match = judged.match
                    span, token = reading.span(match.start, match.end), reading.token(match.start + 1)
                    finding = _finding(judged, span, token)
                    found.setdefault((finding.source, finding.start, finding.end), finding)
        findings = list(found.values())
        return findings + _combined(self.lexicon.combinations, findings)

    def _across(self, text: str, findings: list[_Finding], recent: Sequence[Utterance]) -> list[_Finding]:
        """What the message means only together with what was said before it."""
        more: list[_Finding] = []
        short = text.count(" ") < _SHORT
        last = recent[-1]
        if short and last.role == "assistant":
            more += [
                _Finding(f"{e.category}/{e.id}", e.level, (e.category,), Subject.SELF, frozenset(), 0, len(text), 0)
                for e in self.lexicon.answers(canonical(last.text[-_TAIL:]).text, text)
            ]
        said = [u.text for u in recent if u.role == "user"]
        if said and short:
            # "i want to" / "kill myself": read as one sentence; counts only where this message takes part in it.
            before = canonical(said[-1][-_TAIL:]).text.rstrip()
            border = len(before) + 1
            more += [
                replace(f, start=max(0, f.start - border), end=f.end - border, token=0)
                for f in self._findings(f"{before} {text}")
                if f.start < border < f.end
            ]
        brought = {tag for f in findings for tag in f.tags} & self._combined
        if said and brought:
            earlier = [f for u in said[-3:] for f in self._findings(canonical(u[-_TAIL:]).text)]
            both = [_moved(f) for f in earlier] + [f for f in findings if f.tags]
            more += [f for f in _combined(self.lexicon.combinations, both) if f.token >= 0]
        return more

    def _literal(self, text: str) -> str | None:
        """``text`` in canonical form without its idioms; None when there are none, or nothing else."""
        whole = canonical(text).text
        spans = sorted(
            reading.span(scope.start, scope.end)
            for lexicon, reading in self._read(whole)
            for scope in lexicon.scopes(reading, lexicon.places(reading))
            if scope.kind == "idiom"
        )
        if not spans:
            return None
        kept, at = [], 0
        for start, end in spans:
            kept.append(whole[at : max(at, start)])
            at = max(at, end)
        return " ".join("".join([*kept, whole[at:]]).split()) or None

    def _scores(self, text: str, encoder: Encoder, suspect: float) -> EncoderScores:
        """The encoder's scores; of a text that reaches ``suspect``, those without its figures of speech.

        They are what a small network takes literally; without them it may see a calm sentence.
        """
        scores = encoder.scores(text)
        return encoder.scores(rest) if scores.crisis >= suspect and (rest := self._literal(text)) else scores

    def _fused(self, text: str, verdict: Verdict, stage: Stage) -> Verdict:
        try:
            encoder, limits = self._ear(stage)
            scores = self._scores(text, encoder, 2.0 if verdict.evidence else limits.concern)
        except Exception as error:
            if verdict.crisis:  # the crisis reply is safer than the hold reply, and needs no encoder
                return verdict
            return _failed(verdict, error)
        level = RiskLevel.NONE
        if scores.crisis >= limits.crisis:
            imminent = scores.levels.get(RiskLevel.IMMINENT, 0.0) >= limits.imminent
            level = RiskLevel.IMMINENT if imminent else RiskLevel.ELEVATED
        elif scores.crisis >= limits.concern or scores.levels.get(RiskLevel.CONCERN, 0.0) >= limits.crisis:
            level = RiskLevel.CONCERN
        merged = {c: max(verdict.scores.get(c, 0.0), scores.categories.get(c, 0.0)) for c in Category}
        ranked = sorted((c for c in Category if merged[c] >= limits.category), key=lambda c: -merged[c])
        if level >= RiskLevel.ELEVATED and not ranked and not verdict.categories:
            ranked = sorted(Category, key=lambda c: -merged[c])[:1]
        told = verdict.level
        named = verdict.stages.get("lexicon", 0.0) > strength(RiskLevel.ELEVATED)
        if told is RiskLevel.ELEVATED and not named and scores.crisis < limits.overrule and not self._foreign(text):
            # Strong words in a calm sentence: worth a gentle question, and no alarm. Never nothing.
            told = RiskLevel.CONCERN
        final = max(told, level)
        known = tuple(dict.fromkeys([*verdict.categories, *ranked])) if final > RiskLevel.NONE else ()
        reason, subject = verdict.reason, verdict.subject
        if not verdict.evidence and level > RiskLevel.NONE and about_other(canonical(text).text, known):
            subject = Subject.OTHER
        if level > verdict.level:
            reason = f"The encoder puts this at {level.value} ({scores.crisis:.2f})." + (
                f" {reason}" if verdict.evidence else ""
            )
        return verdict.model_copy(
            update={
                "level": final,
                "categories": tuple(sorted(known, key=lambda c: -merged[c])),
                "subject": subject,
                "scores": {c: s for c, s in merged.items() if s > 0},
                "stages": {**verdict.stages, stage: scores.crisis},
                "reason": reason,
            }
        )

    def _with_together(self, text: str, verdict: Verdict, stages: Sequence[Stage]) -> Verdict:
        """The verdict with what the last few messages, ``text``, say as one to whoever hears most in them."""
        try:
            heard = [self._together(text, stage) for stage in stages]
        except Exception as error:
            return _failed(verdict, error)
        together = max(heard, key=lambda one: (one.level, one.score))
        return verdict.model_copy(update={"together": together, "stages": {**verdict.stages, "window": together.score}})

    def _together(self, text: str, stage: Stage) -> Together:
        encoder, limits = self._ear(stage)
        scores = self._scores(text, encoder, limits.window)
        level = RiskLevel.ELEVATED if scores.crisis >= limits.window else RiskLevel.NONE
        ranked = sorted(Category, key=lambda c: -scores.categories.get(c, 0.0))
        likely = [c for c in ranked if scores.categories.get(c, 0.0) >= limits.category] or ranked[:1]
        return Together(level=level, categories=tuple(likely) if level > RiskLevel.NONE else (), score=scores.crisis)


def _not_judged(error: Exception) -> Verdict:
    return Verdict(
        level=RiskLevel.CONCERN,
        error=type(error).__name__,
        reason="The filter failed: not judged.",
    )


def _failed(verdict: Verdict, error: Exception) -> Verdict:
    return verdict.model_copy(
        update={
            "level": max(verdict.level, RiskLevel.CONCERN),
            "error": type(error).__name__,
            "reason": "The encoder failed, so only the lexicon was asked.",
        }
    )


def _finding(judged: Judged, span: tuple[int, int], token: int) -> _Finding:
    match, rule = judged.match, judged.match.rule
    tags = frozenset(rule.tags) if rule else frozenset[str]()
    if isinstance(rule, Rule) and match.category:
        return _Finding(match.source, rule.level, (match.category, *rule.also), judged.subject, tags, *span, token)
    source = f"cue/{rule.id}" if rule else "cue"
    return _Finding(source, RiskLevel.NONE, (), judged.subject, tags, *span, token)


def _moved(finding: _Finding) -> _Finding:
    """A finding of an earlier turn: near to this one whatever its place, and without words to show in it."""
    return replace(finding, start=0, end=0, token=-1)


def _combined(combinations: Sequence[Combination], findings: list[_Finding]) -> list[_Finding]:
    """New findings for the tags that stand together."""
    present = {tag for f in findings for tag in f.tags}
    made: list[_Finding] = []
    for combination in combinations:
        if not present.issuperset(combination.all):
            continue
        parts = [f for f in findings if not f.tags.isdisjoint(combination.all)]
        for anchor in parts:
            near = [f for f in parts if f.token < 0 or anchor.token <= f.token <= anchor.token + combination.within]
            # Every part must be brought by another piece of text, so that one phrase does not combine with itself.
            if (
                not {t for f in near for t in f.tags}.issuperset(combination.all)
                or len({(f.start, f.end) for f in near}) < 2
            ):
                continue
            last = max(near, key=lambda f: (f.token, f.end))
            categories = (
                (combination.category,) if combination.category else tuple(c for f in near for c in f.categories)
            )
            made.append(
                _Finding(
                    f"combination/{combination.id}",
                    combination.level,
                    categories,
                    next((f.subject for f in near if f.level > RiskLevel.NONE), Subject.SELF),
                    frozenset(),
                    last.start,
                    last.end,
                    last.token,
                )
            )
            break
    return made


def _spoken(text: str, message: Canonical, said: Sequence[str]) -> str:
    """ISO 639-1 code of a message after what the person ``said``; English where there is nothing to go by."""
    before = "en"
    for earlier in said:
        before = language_of(earlier, before)
    told = language_of(text, before)
    # Look-alike letters are no script: what they spell is in the canonical text.
    return told if told == before or told in latin() else language_of(message.text, before)


def _verdict(text: str, message: Canonical, findings: list[_Finding], language: str) -> Verdict:
    evident = [f for f in findings if f.level > RiskLevel.NONE and f.categories]
    if not evident:
        return Verdict(
            level=RiskLevel.NONE,
            stages={"lexicon": 0.0},
            language=language,
            reason="Nothing in it asks for a safety check.",
        )
    evident.sort(key=lambda f: -f.level.rank)
    scores: dict[Category, float] = {}
    weights: dict[Category, int] = {}
    for f in evident:
        for category in f.categories:
            scores[category] = max(scores.get(category, 0.0), strength(f.level))
            weights[category] = weights.get(category, 0) + 1
    top = evident[0].level
    if top >= RiskLevel.ELEVATED:  # a passing worry beside a crisis is no category of the message
        scores = {c: s for c, s in scores.items() if s >= strength(RiskLevel.ELEVATED)}
    categories = tuple(sorted(scores, key=lambda c: (-scores[c], -weights[c])))
    leading = [f for f in evident if f.level == top]
    subject = Subject.SELF if any(f.subject is Subject.SELF for f in leading) else Subject.OTHER
    evidence: list[Evidence] = []
    for f in evident[:_MOST_EVIDENCE]:
        start, end = message.span(f.start, f.end)
        for category in f.categories[:1]:
            evidence.append(
                Evidence(
                    start=start,
                    end=end,
                    text=text[start:end],
                    category=category,
                    level=f.level,
                    source=f"lexicon:{f.source}",
                )
            )
    named = any("named" in f.tags for f in evident)
    names = " and ".join(c.value.replace("_", " ") for c in categories[:2])
    whose = "the writer" if subject is Subject.SELF else "somebody the writer tells about"
    reason = f"Words that speak for {names} ({top.value}), about {whose}."
    return Verdict(
        level=top,
        categories=categories,
        subject=subject,
        evidence=tuple(evidence),
        scores=scores,
        stages={"lexicon": strength(top) if top is not RiskLevel.ELEVATED or not named else _NAMED},
        language=language,
        reason=reason,
    )
