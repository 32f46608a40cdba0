"""The next moves of the protocol: what was just heard goes into the memory, then the playbooks say what may come next.

Pure. It asks at most one question, never one that was asked or answered since the risk last rose, and always finds
something to say. It chooses moves, never words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ...guards.hotlines import Directory, Hotline
from ...guards.types import Category, RiskLevel, Subject, Verdict
from .lines import lines_for, said_lines
from .playbook import AGENDA, Kind, Move, Playbook, Playbooks
from .state import HISTORY, SAFER, Answer, Progress
from .understand import Heard, exchanges

MOST_PLAN_WORDS = 240
"""Characters of a safety-plan answer that are kept."""


class Risk(Protocol):
    """What the protocol needs to know about the running risk."""

    @property
    def level(self) -> RiskLevel:
        """Risk of the conversation after this message."""
        ...


@dataclass(frozen=True)
class Chosen:
    """What will be said, and why it may be."""

    moves: tuple[Move, ...]
    progress: Progress
    """With the answer taken in and these moves made; their words are added when they are said."""
    facts: frozenset[str]
    """What held when they were chosen."""
    country: str | None
    lines: tuple[Hotline, ...]
    """The lines for the card, best first; empty when no card is shown."""


@dataclass(frozen=True)
class _Moment:
    """What this turn is in the course of the crisis."""

    opens: bool
    rises: bool
    fresh: tuple[Category, ...]
    built_up: bool

    @property
    def opening(self) -> bool:
        """The whole reply with its lines is due."""
        return self.opens or self.rises or bool(self.fresh)


def choose(
    playbooks: Playbooks,
    before: Progress,
    heard: Heard,
    *,
    verdict: Verdict,
    risk: Risk,
    country: str | None,
    directory: Directory,
    text: str = "",
) -> Chosen:
    """What to say next.

    Args:
        before: what the protocol remembers; a closed one opens here.
        heard: what was understood of the message.
        country: as the app knows it; what the person told comes second.
        text: the message, kept only as an answer to a step of the safety plan.
    """
    progress, moment = _take_in(playbooks, before, heard, verdict, risk, text)
    country = country or progress.told_country
    progress = _due(playbooks, progress)
    lead = _lead(progress, moment)
    lines = lines_for(directory, country, (*moment.fresh, *progress.categories), progress.level, progress.flags)
    books = list(_books(playbooks, progress, lead))
    new_country = country is not None and progress.country != country and not moment.opens
    facts = frozenset(_facts(playbooks, progress, before, heard, moment, lead, country, lines, new_country))
    moves = tuple(_opening(books, progress, facts, moment) if moment.opening else _following(books, progress, facts))
    if len(moves) == 2 and moves[0].id in _PLAIN and moves[1].kind is Kind.STAY:
        moves = moves[1:]
    for_card = any({"reach", "emergency"} & move.holes for move in moves if move.kind in (Kind.ACT, Kind.ANSWER))
    shown = lines if for_card else ()
    after = _made(playbooks, progress, moves, country=country if shown else None, lines=shown)
    return Chosen(moves, after, facts, country, shown)


# -- taking in what was heard ----------------------------------------------------------------------------------------


def _take_in(
    playbooks: Playbooks, before: Progress, heard: Heard, verdict: Verdict, risk: Risk, text: str
) -> tuple[Progress, _Moment]:
    opens = not before.open
    base = before if before.open else before.closed().model_copy(update={"watchful": before.watchful})
    verdict = _in_context(playbooks, before, heard, verdict)
    answered = _only_an_answer(verdict)
    answers = dict(before.answers)
    if heard.to:
        answers[heard.to] = heard.answer or answers.get(heard.to, Answer.UNCLEAR)
    for state in heard.states:
        topic, _, answer = state.partition(":")
        answers[topic] = Answer(answer)
    denied = _denied(playbooks, before, heard, answers)
    danger = any(
        topic in playbooks.topics and playbooks.topics[topic].danger == answer
        for topic, answer in ((s.partition(":")[0], s.partition(":")[2]) for s in _just_told(heard))
    )
    uneasy = {"worse", "retraction", "final_goodbye", "refusal", "angry", "wants_method"} & set(heard.acts)
    calm = verdict.level is RiskLevel.NONE and not (danger or uneasy or heard.barriers)
    steady = before.steady + 1 if calm and before.open else 0
    level = _level(playbooks, before, heard, verdict, risk, answers, denied=denied, steady=steady)
    rises = before.open and level > before.level
    if rises:  # the risk has risen: what was answered no may be answered otherwise now
        answers = {t: a for t, a in answers.items() if a is Answer.YES or t not in playbooks.topics or t == heard.to}
    found = verdict.categories if verdict.crisis else ()
    if verdict.level is RiskLevel.IMMINENT and verdict.subject is Subject.SELF and Category.SUICIDE in found:
        answers.setdefault("thoughts", Answer.YES)  # who says they are about to is not asked whether they think of it
    fresh = tuple(c for c in found if c not in before.categories) if before.open and not answered else ()
    categories = tuple(dict.fromkeys((*before.categories, *found)))
    # Whoever is in danger stays in sight: a word about somebody else does not turn the talk away from the writer.
    # The encoder alone does not know whom a message is about.
    turns = (
        verdict.crisis
        and bool(verdict.evidence)
        and verdict.subject is Subject.SELF
        and not (answered and before.subject is Subject.OTHER)
    )
    subject = verdict.subject if opens or turns else before.subject
    if before.open and before.subject is Subject.OTHER and subject is Subject.SELF:
        fresh = fresh or found  # the one who worried is in danger now: that is a crisis of its own
    progress = base.model_copy(
        update={
            "answers": answers,
            "denied": denied,
            "level": level,
            "peak": max(before.peak, level),
            "history": (*(before.history if before.open else ()), level)[-HISTORY:],
            "steady": steady if not rises else 0,
            "subject": subject,
            "who": heard.who or before.who,
            "categories": categories,
            "barriers": tuple(dict.fromkeys((*before.barriers, *heard.barriers))),
            "flags": _flags(before, heard, answers),
            "told_country": heard.country or before.told_country,
            "plan": _plan(before, heard, verdict, text),
            "off_topic": before.off_topic + ("off_topic" in heard.acts),
            "turn": base.turn + 1,
            "asked": () if rises else before.asked,
            "done": () if rises else before.done,
        }
    )
    return progress, _Moment(opens, rises, fresh if not opens else (), built_up=opens and not verdict.crisis)


def _danger(playbooks: Playbooks, topic: str | None) -> Answer | None:
    found = playbooks.topics.get(topic or "")
    return found.danger if found else None


def _in_context(playbooks: Playbooks, before: Progress, heard: Heard, verdict: Verdict) -> Verdict:
    """The verdict as it stands in this conversation.

    A "maybe" is a sign of suicide after the question about it and after no other. Who tells that somebody hurts or
    threatens them is at risk themselves, whoever is named.
    """
    if before.open and heard.to:
        pending = playbooks.topics.get(heard.to)
        speaks = pending.about if pending and heard.answer is pending.danger else None
        told = {playbooks.topics[name].about for name in _topics(heard.states) if name in playbooks.topics} | {speaks}
        empty = [e for e in verdict.evidence if e.source in exchanges() and e.category not in told]
        if "refusal" in heard.acts:  # "leave me alone" is said to us
            empty += [e for e in verdict.evidence if e.category is Category.NEGLECT]
        if empty:
            kept = [e for e in verdict.evidence if e not in empty]
            lost = {e.category for e in empty} - {e.category for e in kept}
            level = max((e.level for e in kept), default=RiskLevel.NONE)
            categories = tuple(c for c in verdict.categories if c not in lost)
            verdict = verdict.model_copy(update={"level": level, "categories": categories, "evidence": tuple(kept)})
    # What only the encoder hears in "no" or in "i gave her the pills" is less sure than the answer itself.
    answered = heard.answer is not None and heard.answer is not _danger(playbooks, heard.to)
    planning = (heard.to or "").startswith("plan_")  # "what could you give away?" is answered with what could hurt
    safer = answered or planning or bool(set(heard.states) & SAFER)
    if before.open and verdict.level > RiskLevel.NONE and not verdict.evidence:
        if safer:
            verdict = verdict.model_copy(update={"level": RiskLevel.NONE, "categories": ()})
        elif not (set(verdict.categories) & set(before.categories) or "hurt_by_somebody" in heard.acts):
            # It may raise the level of this crisis, and brings no other: nobody is met for what they never said.
            verdict = verdict.model_copy(update={"level": min(verdict.level, RiskLevel.CONCERN), "categories": ()})
    if before.open and verdict.evidence:  # what the encoder adds to a clear finding in a running talk is mostly noise
        sure = {e.category for e in verdict.evidence} | set(before.categories)
        verdict = verdict.model_copy(update={"categories": tuple(c for c in verdict.categories if c in sure)})
    if before.open and before.subject is Subject.OTHER and "away:yes" in heard.states:
        verdict = verdict.model_copy(
            update={"level": RiskLevel.NONE, "categories": (), "evidence": ()}
        )  # "i took them"
    if before.open and before.subject is Subject.SELF and verdict.subject is Subject.OTHER:
        verdict = verdict.model_copy(
            update={"categories": ()}
        )  # "i can't wake her": theirs is not the writer's trouble
    if "hurt_by_somebody" in heard.acts and verdict.crisis:
        theirs = {Category.VIOLENCE, Category.SUICIDE}  # of the one who threatens, not of the one who writes
        categories = dict.fromkeys((Category.ABUSE, *(c for c in verdict.categories if c not in theirs)))
        verdict = verdict.model_copy(update={"subject": Subject.SELF, "categories": tuple(categories)})
    return verdict


def _only_an_answer(verdict: Verdict) -> bool:
    """Whether the guards found danger only in what a short answer means to our question, not in words of its own."""
    danger = [e for e in verdict.evidence if e.level >= RiskLevel.ELEVATED]
    return bool(danger) and all(e.source in exchanges() for e in danger)


def _topics(states: Iterable[str]) -> set[str]:
    return {state.partition(":")[0] for state in states}


def _just_told(heard: Heard) -> Iterator[str]:
    yield from heard.states
    if heard.to and heard.answer:
        yield f"{heard.to}:{heard.answer}"


def _denied(playbooks: Playbooks, before: Progress, heard: Heard, answers: dict[str, Answer]) -> bool:
    """Whether the danger stands denied after this message."""
    denied = before.denied
    for told in _just_told(heard):
        name, _, answer = told.partition(":")
        topic = playbooks.topics.get(name)
        if topic is None or topic.danger is None:
            continue
        if answer == topic.danger:
            denied = False
        elif topic.denial and answer in (Answer.YES, Answer.NO) and {topic.about} >= set(before.categories):
            denied = True  # where there is another trouble too, one "no" does not end it
    return denied and "worse" not in heard.acts and answers.get("thoughts") is not Answer.YES


def _level(
    playbooks: Playbooks,
    before: Progress,
    heard: Heard,
    verdict: Verdict,
    risk: Risk,
    answers: dict[str, Answer],
    *,
    denied: bool,
    steady: int,
) -> RiskLevel:
    """Rises at once with the guards or with what was answered; falls one step, by denial and steady turns."""
    if not before.open:
        level = max(RiskLevel.ELEVATED, verdict.level, risk.level)
    else:
        level = max(before.level, verdict.level if verdict.crisis else RiskLevel.NONE)
        if verdict.level is RiskLevel.CONCERN or "worse" in heard.acts:
            level = max(level, RiskLevel.ELEVATED)
    told = {f"{topic}:{answer}" for topic, answer in answers.items()}
    told |= {f"heard:{act}" for act in heard.acts}
    new = set(_just_told(heard)) | {f"heard:{act}" for act in heard.acts}
    # Told now, not long ago: what once made it urgent must not hold it there for ever.
    if any(rule <= told and not rule.isdisjoint(new) for book in playbooks.books.values() for rule in book.raises):
        return RiskLevel.IMMINENT
    if level is not before.level or steady == 0:
        return level
    safer = denied or answers.get("intent") is Answer.NO or answers.get("safe") is Answer.YES
    safer |= answers.get("away") is Answer.YES and answers.get("with_someone") is Answer.YES
    safer |= answers.get("reached") is Answer.YES
    lighter = not {"better", "thanks"}.isdisjoint(heard.acts)
    if level is RiskLevel.IMMINENT:
        return RiskLevel.ELEVATED if steady >= 8 or (safer and (steady >= 3 or lighter)) else level
    if level is RiskLevel.ELEVATED:
        calm = 7 if before.peak is RiskLevel.IMMINENT else 4
        # Thoughts that were told do not fade by themselves.
        fades = steady >= 14 and answers.get("thoughts") is not Answer.YES
        return RiskLevel.CONCERN if fades or (denied and steady >= 2) or (lighter and steady >= calm) else level
    return level


def _flags(before: Progress, heard: Heard, answers: dict[str, Answer]) -> tuple[str, ...]:
    flags = dict.fromkeys((*before.flags, *heard.flags))
    if answers.get("with_someone") is Answer.NO:
        flags["alone"] = None
    elif answers.get("with_someone") is Answer.YES:
        flags.pop("alone", None)
    return tuple(flags)


def _plan(before: Progress, heard: Heard, verdict: Verdict, text: str) -> dict[str, str]:
    """The safety plan with this answer; words that speak of danger do not go into it."""
    plan = dict(before.plan)
    step = (heard.to or "").partition("plan_")[2]
    told = heard.answer not in (Answer.NO, Answer.REFUSED, Answer.UNCLEAR) and "off_topic" not in heard.acts
    if step and told and verdict.level is RiskLevel.NONE and len(text.split()) > (heard.answer is Answer.YES):
        plan[step] = " ".join(text.split())[:MOST_PLAN_WORDS]
    return plan


def _due(playbooks: Playbooks, progress: Progress) -> Progress:
    """In a long talk some questions may come back after a while, though nothing has changed: how it is now, what would
    help, something for the body. They are forgotten as asked; a question about danger never is."""
    due = {
        topic
        for topic, asked in progress.asked_at.items()
        if topic != progress.pending and progress.turn - asked >= playbooks.topics[topic].again
    }
    if not due:
        return progress
    moves = {id for id in progress.done if (move := playbooks.by_id.get(id)) and move.asks in due}
    return progress.model_copy(
        update={
            "asked": tuple(topic for topic in progress.asked if topic not in due),
            "answers": {topic: answer for topic, answer in progress.answers.items() if topic not in due},
            "done": tuple(id for id in progress.done if id not in moves),
            "asked_at": {topic: asked for topic, asked in progress.asked_at.items() if topic not in due},
        }
    )


# -- what holds ------------------------------------------------------------------------------------------------------


def _most_urgent_first(categories: Iterable[Category]) -> tuple[Category, ...]:
    """Suicide goes before everything else; the rest keeps its order, most likely first."""
    return tuple(dict.fromkeys(sorted(categories, key=lambda category: category is not Category.SUICIDE)))


def _lead(progress: Progress, moment: _Moment) -> Category | None:
    # What built up over several turns was never said outright: no words may be put into the person's mouth.
    if moment.built_up:
        return None
    # Voices that say to do harm are met as voices, whatever the harm.
    if Category.PSYCHOSIS in progress.categories and progress.answers.get("commands") is Answer.YES:
        return Category.PSYCHOSIS
    return next(iter(_most_urgent_first(moment.fresh or progress.categories)), None)


def _books(playbooks: Playbooks, progress: Progress, lead: Category | None) -> Iterator[Playbook]:
    """The playbooks that speak in this turn, the most urgent first."""
    if progress.subject is Subject.OTHER:
        yield playbooks.books["third_party"]
    else:
        if progress.level is RiskLevel.IMMINENT:
            yield playbooks.books["imminent"]
        yield playbooks.for_category(lead)
        for category in progress.categories:
            if category is not lead:
                yield playbooks.for_category(category)
        yield playbooks.books["own"]
    yield playbooks.books["common"]


def _facts(
    playbooks: Playbooks,
    progress: Progress,
    before: Progress,
    heard: Heard,
    moment: _Moment,
    lead: Category | None,
    country: str | None,
    lines: Sequence[Hotline],
    new_country: bool,
) -> Iterator[str]:
    yield from heard.facts()
    yield "other" if progress.subject is Subject.OTHER else "self"
    yield f"level:{progress.level.value}"
    yield f"lead:{lead.value if lead else 'unclear'}"
    yield from (f"category:{category.value}" for category in progress.categories)
    yield from (f"flag:{flag}" for flag in progress.flags)
    yield "country:known" if country else "country:unknown"
    yield from (f"asked:{topic}" for topic in progress.asked)
    for topic, answer in progress.answers.items():
        yield f"{topic}:{answer}"
        yield f"{topic}:known"
    for id in progress.done:
        yield f"done:{id}"
        move = playbooks.by_id.get(id)
        if move and move.offers:
            yield f"offered:{move.offers}"
    yield from (f"steady:{n}" for n in (1, 2, 3) if progress.steady >= n)
    yield from (f"turns:{n}" for n in (2, 4, 6) if len(progress.history) >= n)
    if moment.opens:
        yield "turn:open"
    if moment.rises:
        yield "turn:rise"
    if moment.fresh:
        yield "turn:fresh"
    if moment.built_up:
        yield "built_up"
    if any(line.id not in before.offered for line in said_lines(lines)):
        yield "lines:new"
    if before.asked_country:
        yield "country:asked"
    if new_country:
        yield "new:country"
    if progress.who:
        yield "knows:who"
    told = [name.partition(":")[0] for name in _just_told(heard)]
    yield from (f"told:{topic}" for topic in told)
    if heard.states:
        yield "heard:told"
    if SAFER & set(_just_told(heard)):
        yield "heard:safer"
    if before.open and progress.level < before.level:
        yield "fell"
    if progress.peak is RiskLevel.IMMINENT:
        yield "peak:imminent"
    if progress.watchful:
        yield "watchful"
    if progress.disclosed_ai:
        yield "disclosed"
    if progress.denied:
        yield "denied"
    yield "plan:started" if progress.plan else "plan:empty"


# -- choosing --------------------------------------------------------------------------------------------------------


def _free(move: Move, progress: Progress, facts: frozenset[str]) -> bool:
    """Whether the move may be made now."""
    if move.id in progress.done and not move.repeat:
        return False
    if move.asks and (move.asks in progress.asked or move.asks in progress.answers) and not move.repeat:
        return False
    return all(before in progress.done for before in move.after) and move.fits(facts)


def _first(
    books: Sequence[Playbook],
    progress: Progress,
    facts: frozenset[str],
    kinds: Iterable[Kind],
    asking: bool | None = None,
) -> Move | None:
    """The first free move of these kinds; ``asking=True`` wants a question, ``asking=False`` none."""
    wanted = frozenset(kinds)
    for book in books:
        for move in book.moves:
            if move.kind in wanted and (asking is None or bool(move.asks) is asking) and _free(move, progress, facts):
                return move
    return None


def _opening(books: Sequence[Playbook], progress: Progress, facts: frozenset[str], moment: _Moment) -> Iterator[Move]:
    """Take in, tell what to do, say what this is, and one question."""
    hear = _first(books, progress, facts, (Kind.HEAR,))
    if hear:
        yield hear
    if moment.opens or moment.rises or "lines:new" in facts:
        act = _first(books, progress, facts, (Kind.ACT,))
        if act:
            yield act
    if "disclosed" not in facts:
        disclose = _first(books, progress, facts, (Kind.DISCLOSE,))
        if disclose:
            yield disclose
    question = _first(books, progress, facts, AGENDA, asking=True)
    if question:
        yield question


_PLAIN = frozenset({"common/met_words", "common/met_short"})
"""Meet what was said without saying what; before words that only keep the talk open they would say the same twice."""
_WISHES = frozenset({"heard:wants_plan", "heard:wants_skill", "heard:wants_therapist"})


def _following(books: Sequence[Playbook], progress: Progress, facts: frozenset[str]) -> Iterator[Move]:
    """Meet what was said, then one thing more; one question at most."""
    kinds = (Kind.ANSWER, Kind.BARRIER, Kind.ACKNOWLEDGE)
    respond = next(filter(None, (_first(books, progress, facts, (kind,)) for kind in kinds)), None)
    if respond:
        yield respond
        if respond.asks or not facts.isdisjoint({"heard:goodbye", "heard:final_goodbye"}):
            return
        if {"told:reached", "reached:yes"} <= facts:  # a real person has them now; nothing of ours is more urgent
            return
    if "level:concern" in facts:  # steady again: nothing more is asked about the danger
        books = [book for book in books if book.category is None]
    if any(fact.startswith("to:plan_") or fact in _WISHES for fact in facts):  # a wish, or a plan half made, goes first
        books = sorted(books, key=lambda book: book.name != "own")
    closing = _first(books, progress, facts, (Kind.CLOSE,))
    if closing:
        yield closing
        return
    # Who is tired of questions gets none; an answer that took several sentences is followed by a question only.
    asking = False if "heard:stop_asking" in facts else True if respond and respond.kind in kinds[:2] else None
    following = _first(books, progress, facts, AGENDA, asking=asking)
    if following:
        yield following
        # Two things told and a question are too much at once, unless the first was only a short "I hear you".
        if asking is None and not following.asks and following.kind is not Kind.STAY:
            question = _first(books, progress, facts, AGENDA, asking=True)
            if question:
                yield question


def _made(
    playbooks: Playbooks, progress: Progress, moves: Sequence[Move], *, country: str | None, lines: Sequence[Hotline]
) -> Progress:
    """The memory once these moves are made."""
    asked = next((move.asks for move in moves if move.asks), None)
    again = {asked: progress.turn} if asked and playbooks.topics[asked].again else {}
    after = progress.model_copy(
        update={
            "pending": asked,
            "asked_at": {**progress.asked_at, **again},
            "asked": tuple(dict.fromkeys((*progress.asked, *([asked] if asked else ())))),
            "done": tuple(dict.fromkeys((*progress.done, *(move.id for move in moves)))),
            "offered": tuple(dict.fromkeys((*progress.offered, *(line.id for line in lines)))),
            "country": country or progress.country,
            "disclosed_ai": progress.disclosed_ai
            or any(move.kind is Kind.DISCLOSE or move.offers == "ai" for move in moves),
            "asked_country": progress.asked_country or (bool(lines) and country is None),
        }
    )
    return after.closed() if any(move.kind is Kind.CLOSE for move in moves) else after
