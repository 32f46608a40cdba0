"""The chosen moves in vetted words, with the lines of the country put in. It writes no sentence of its own."""

from __future__ import annotations

from collections.abc import Sequence

from ...guards.hotlines import INTERNATIONAL, Directory
from ...guards.types import Category, Frozen, RiskLevel, Subject
from ..copy import Copy, choose
from ..events import CrisisCard
from .choose import Chosen
from .lines import said_lines
from .places import country_name, finder, how, name_of
from .playbook import Kind, Move
from .state import REMEMBERED, Progress

SHORT = 45
"""Words up to which a turn is one paragraph."""


class CrisisReply(Frozen):
    """Vetted words, perhaps a card, and what to remember."""

    text: str
    card: CrisisCard | None
    progress: Progress
    move_ids: tuple[str, ...]
    """Ids of the copy in ``text``, in order: ``suicide/ask_plan.2``."""


def say(chosen: Chosen, *, copy: Copy, directory: Directory, seed: int, reflect: str | None = None) -> CrisisReply:
    """Put the moves into words.

    Args:
        seed: picks among variants; the same seed gives the same words.
        reflect: what the person carries, in words that may be said back.
    """
    progress = chosen.progress
    filled = _filled(chosen, copy, directory, reflect)
    card = _card(chosen, copy, directory) if chosen.lines else None
    ids: list[str] = []
    paragraphs: list[list[str]] = [[]]
    for move in chosen.moves:
        id, text = choose(move.texts, seed, move.said_as, _recent(move, progress.said))
        ids.append(id)
        text = text.format(**filled) if move.holes else text
        if move.kind is Kind.ACT:
            paragraphs += [[text], []]
            if remark := _remark(chosen, copy, directory):
                paragraphs[-2].append(remark)
            if chosen.country is None and not _asked_before(chosen):
                paragraphs[-1].append(copy.texts.ask_country)
        elif "\n" in text:
            paragraphs += [[text], []]
        else:
            paragraphs[-1].append(text)
    blocks = [" ".join(part) for part in paragraphs if part]
    if len(blocks) == 1 and len(chosen.moves) > 1 and chosen.moves[-1].asks and len(blocks[0].split()) > SHORT:
        last = paragraphs[-1].pop() if paragraphs[-1] else ""
        blocks = [" ".join(part) for part in paragraphs if part] + [last]
    return CrisisReply(
        text="\n\n".join(blocks),
        card=card,
        move_ids=tuple(ids),
        progress=progress.model_copy(
            update={"said": (*(id for id in progress.said if id not in ids), *ids)[-REMEMBERED:]}
        ),
    )


def _recent(move: Move, said: Sequence[str]) -> Sequence[str]:
    """Wordings of a move that must not come now: all that were said, or the newer half where none is left."""
    of_move = [id for id in said if id.rpartition(".")[0] == move.said_as]
    return of_move if len(of_move) < len(move.texts) else of_move[len(of_move) // 2 :]


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


def safety_plan_text(progress: Progress, copy: Copy) -> str:
    """The safety plan as plain text, to be kept or printed: each step in the person's own words."""
    steps = copy.texts.safety_plan
    rows = [f"{title}: {progress.plan[step]}" for step, title in steps.steps.items() if step in progress.plan]
    return "\n".join((steps.title, *rows)) if rows else ""


def _asked_before(chosen: Chosen) -> bool:
    return "country:asked" in chosen.facts


def _filled(chosen: Chosen, copy: Copy, directory: Directory, reflect: str | None) -> dict[str, str]:
    progress, country, language = chosen.progress, chosen.country, copy.language
    number = directory.emergency(country, progress.categories)
    filled = {
        "emergency": number or copy.texts.emergency_unknown,
        "country": country_name(country, language) if country else "",
        "reflect": reflect or "",
        "who": progress.who or copy.texts.somebody,
        "plan": safety_plan_text(progress, copy),
        "finder": finder(country, language),
        "reach": "",
    }
    if chosen.lines:
        reach, flags = copy.texts.reach, progress.flags
        named = [
            reach.line.format(say=how(line, flags, language), name=name_of(line, language))
            for line in said_lines(chosen.lines, flags)
        ]
        two = len(named) > 1
        filled["reach"] = reach.two.format(first=named[0], second=named[1]) if two else reach.one.format(first=named[0])
        if two and all(line.free and line.always_open for line in said_lines(chosen.lines, flags)):
            filled["reach"] += f" {reach.always}"
    return filled


def _card(chosen: Chosen, copy: Copy, directory: Directory) -> CrisisCard:
    progress, titles = chosen.progress, copy.texts.card_title
    urgent = titles.imminent if progress.level >= RiskLevel.IMMINENT else titles.elevated
    return CrisisCard(
        level=progress.level,
        categories=progress.categories,
        country=chosen.country,
        title=titles.other if progress.subject is Subject.OTHER else urgent,
        lines=chosen.lines,
        emergency=directory.emergency(chosen.country, progress.categories),
        notice=copy.notice(),
    )


def _remark(chosen: Chosen, copy: Copy, directory: Directory) -> str:
    """What must be added about the lines themselves, if anything."""
    country = chosen.country
    if country is not None and chosen.lines[0].country == INTERNATIONAL:
        return copy.texts.no_lines.format(country=country_name(country, copy.language))
    unchecked = any(not line.checked and line.number for line in said_lines(chosen.lines, chosen.progress.flags))
    return copy.texts.unchecked_in_reply if unchecked else ""
