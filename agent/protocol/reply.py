"""The crisis reply: which vetted words and which lines answer a crisis, given what was already said and offered.

Pure: the same arguments give the same reply. It writes no sentence of its own, asks no model, and never dials.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from ...guards.hotlines import INTERNATIONAL, Directory, Hotline, country_in
from ...guards.types import Category, Frozen, RiskLevel, Subject, Verdict
from ..copy import Copy, choose
from ..events import CrisisCard

REMEMBERED = 60
"""Move ids kept in `Progress`: enough that no variant comes back within a long crisis, small enough for each turn."""

_ASKS_FOR_NUMBERS = re.compile(
    r"\b(?:what|which|where|whats|give|send|show|tell|resend|repeat|need|want|have|lost|forgot|again|see|find)\b"
    r"[^.?]{0,40}\b(?:numbers?|hotlines?|helplines?|phone ?lines?|crisis lines?)\b"
    r"|\b(?:numbers?|hotlines?|helplines?|crisis lines?)\b[^.]{0,15}(?:\bagain\b|\bplease\b|\bpls\b|\?)"
    r"|\bwho (?:can|do|should|could) i (?:call|ring|phone|text|talk to)\b",
    re.IGNORECASE,
)


class Risk(Protocol):
    """What the reply needs to know about the running risk."""

    @property
    def level(self) -> RiskLevel:
        """Risk of the conversation after this message."""
        ...


class Progress(Frozen):
    """What the protocol has said and offered in this crisis; travels as JSON with the session."""

    asked: bool = False
    """The last turn asked a question about safety."""
    peak: RiskLevel = RiskLevel.NONE
    """The highest level answered so far; NONE while no crisis is open."""
    level: RiskLevel = RiskLevel.NONE
    """The level last answered: above it, the risk has risen."""
    categories: tuple[Category, ...] = ()
    """Categories that were answered, in the order they came."""
    subject: Subject = Subject.SELF
    country: str | None = None
    """The country the last card was made for; also when the person named it only in an answer."""
    offered: tuple[str, ...] = ()
    """Ids of the hotlines that were shown."""
    said: tuple[str, ...] = ()
    """Ids of the copy that was said, the newest last."""
    disclosed_ai: bool = False
    """The person was told that this is an AI."""
    asked_country: bool = False

    @property
    def open(self) -> bool:
        """True from the first crisis reply until `stepped_down`."""
        return self.peak > RiskLevel.NONE

    def stepped_down(self) -> Progress:
        """The state after the crisis: the next one starts afresh, with its lines and its AI notice, in other words."""
        return Progress(asked=self.asked, said=self.said, country=self.country)


class CrisisReply(Frozen):
    """Vetted words, perhaps a card, and what to remember."""

    text: str
    card: CrisisCard | None
    progress: Progress
    move_ids: tuple[str, ...]
    """Ids of the copy in ``text``, in order."""


def crisis_reply(
    *,
    text: str,
    verdict: Verdict,
    risk: Risk,
    country: str | None,
    directory: Directory,
    copy: Copy,
    progress: Progress,
    seed: int,
) -> CrisisReply:
    """Answer one message while a crisis is open, or opens with it.

    The whole reply with its card is given when the crisis opens, rises or shows a new category; the lines come back
    when the person asks for them or the country has become known; otherwise the reply is short and repeats no number.

    Args:
        text: the person's message; only read for a request for the numbers and for the country that was asked for.
        country: ISO 3166-1 alpha-2, or None when not known: then it is asked for, once, and the answer is kept in
            ``progress.country``.
        seed: picks among variants; the same seed gives the same words.
    """
    country = country or progress.country or (country_in(text) if progress.asked_country else None)
    level = max(RiskLevel.ELEVATED, verdict.level, risk.level)
    fresh = tuple(c for c in verdict.categories if c not in progress.categories) if verdict.crisis else ()
    subject = verdict.subject if verdict.crisis or not progress.open else progress.subject
    categories = _most_urgent_first((*fresh, *progress.categories) or verdict.categories)
    moment = RiskLevel.IMMINENT if level >= RiskLevel.IMMINENT else RiskLevel.ELEVATED
    words = _Words(copy, seed, progress.said)

    def card() -> CrisisCard:
        return _card(level, categories, subject, country, directory, copy)

    def open_end() -> None:
        if verdict.crisis:
            words.say(copy.again(level, subject), f"again.{subject}.{moment}")
        else:
            words.say(copy.stay(subject), f"stay.{subject}")

    shown: CrisisCard | None = None
    if not progress.open or level > progress.level or fresh:
        shown = card()
        # What built up over several turns was never said outright: no words may be put into the person's mouth.
        category = next(iter(_most_urgent_first(fresh or categories)), None) if verdict.crisis else None
        playbook = copy.playbook(category, subject)
        steps = playbook.imminent if moment is RiskLevel.IMMINENT else playbook.elevated
        name = f"crisis.{category or 'unclear'}.{subject}"
        words.say(steps.hear, f"{name}.{moment}.hear")
        words.say(steps.act, f"{name}.{moment}.act", **_reach(shown, copy))
        words.remark(_remark(shown, country, directory, copy, progress))
        if country is None and not progress.asked_country:
            words.say((copy.texts.ask_country,), "ask_country")
        if not progress.disclosed_ai:
            words.say((copy.notice(),), "notice")
        words.say(playbook.stay, f"{name}.stay")
    elif country is not None and country != progress.country:
        shown = card()
        words.say(copy.texts.new_country, "new_country", country=directory.country_name(country), **_reach(shown, copy))
        words.remark(_remark(shown, country, directory, copy, progress))
        open_end()
    elif _ASKS_FOR_NUMBERS.search(text):
        shown = card()
        words.say(copy.texts.numbers, "numbers", **_reach(shown, copy))
        words.remark(_remark(shown, country, directory, copy, progress))
    else:
        open_end()

    return CrisisReply(
        text="\n\n".join(words.paragraphs),
        card=shown,
        move_ids=tuple(words.moves),
        progress=Progress(
            asked="?" in words.paragraphs[-1],
            peak=max(progress.peak, level),
            level=level,
            categories=(*progress.categories, *fresh),
            subject=subject,
            country=country if shown else progress.country,
            offered=tuple(dict.fromkeys((*progress.offered, *(line.id for line in shown.lines))))
            if shown
            else progress.offered,
            said=tuple(dict.fromkeys((*progress.said, *words.moves)))[-REMEMBERED:],
            disclosed_ai=progress.disclosed_ai or "notice.1" in words.moves,
            asked_country=progress.asked_country or "ask_country.1" in words.moves,
        ),
    )


def help_card(country: str | None, directory: Directory, copy: Copy) -> CrisisCard:
    """The card behind "help": the lines of a country for anybody who asks, without a message and without a model."""
    usual = (Category.SUICIDE, Category.ABUSE, Category.NEGLECT, Category.SUBSTANCE_MISUSE, Category.EATING_DISORDER)
    return CrisisCard(
        level=RiskLevel.NONE,
        categories=(),
        country=country,
        title=copy.texts.card_title.help,
        lines=directory.lines(country, usual, limit=8),
        emergency=directory.emergency(country),
        notice=copy.notice(),
    )


class _Words:
    """The paragraphs of one reply and the ids of what was said."""

    def __init__(self, copy: Copy, seed: int, said: Sequence[str]) -> None:
        self._copy, self._seed, self._said = copy, seed, frozenset(said)
        self.paragraphs: list[str] = []
        self.moves: list[str] = []

    def say(self, variants: Sequence[str], key: str, **filled: str) -> None:
        move, text = choose(variants, self._seed, key, self._said)
        self.moves.append(move)
        # Only texts with placeholders are filled: braces in a name that was put in are never read again.
        self.paragraphs.append(text.format(**filled) if filled else text)

    def remark(self, text: str) -> None:
        if text:
            self.paragraphs.append(text)


def _most_urgent_first(categories: Sequence[Category]) -> tuple[Category, ...]:
    """Suicide goes before everything else; the rest keeps its order, most likely first."""
    return tuple(dict.fromkeys(sorted(categories, key=lambda category: category is not Category.SUICIDE)))


def _card(
    level: RiskLevel,
    categories: tuple[Category, ...],
    subject: Subject,
    country: str | None,
    directory: Directory,
    copy: Copy,
) -> CrisisCard:
    titles = copy.texts.card_title
    urgent = titles.imminent if level >= RiskLevel.IMMINENT else titles.elevated
    return CrisisCard(
        level=level,
        categories=categories,
        country=country,
        title=titles.other if subject is Subject.OTHER else urgent,
        lines=directory.lines(country, categories, level),
        emergency=directory.emergency(country, categories),
        notice=copy.notice(),
    )


def _woven(card: CrisisCard) -> tuple[Hotline, ...]:
    """The two lines named in the text: the best one, and one to write to where the best must be spoken to."""
    first, *rest = card.lines
    written = (line for line in rest if line.writes_first and not first.writes_first)
    return (first, *[next(written, None) or line for line in rest[:1]])


def _reach(card: CrisisCard, copy: Copy) -> dict[str, str]:
    reach = copy.texts.reach
    said = [reach.line.format(say=line.say, name=line.name) for line in _woven(card)]
    sentence = reach.two.format(first=said[0], second=said[1]) if len(said) > 1 else reach.one.format(first=said[0])
    return {"reach": sentence, "emergency": card.emergency or copy.texts.emergency_unknown}


def _remark(card: CrisisCard, country: str | None, directory: Directory, copy: Copy, progress: Progress) -> str:
    """What must be added about the lines themselves, if anything."""
    if country is not None and card.lines[0].country == INTERNATIONAL:
        return (
            "" if progress.country == country else copy.texts.no_lines.format(country=directory.country_name(country))
        )
    unchecked = any(not line.checked and line.number for line in _woven(card))
    return copy.texts.unchecked_in_reply if unchecked else ""
