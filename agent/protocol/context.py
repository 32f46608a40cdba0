"""What the filter is given to read a message by, and what an answer to a question of ours means. Pure.

The filter knows how dangerous words are; this knows what was asked. It keeps a short answer from being read as the
answer to something that was not asked, and a yes to our own question from being overheard in any language.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...guards.types import Category, Evidence, RiskLevel, Subject, Utterance, Verdict
from .playbook import Playbooks
from .state import SAFER, Answer, Progress
from .understand import Heard, plain, understand

_QUESTION = re.compile(r"(?:[^.?!…]*[.!…]\s+)?[^.?!…]*\?")
"""A question and the sentence before it: "Some people think about dying. Do you have thoughts like that?"."""
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|«[^»]*»|„[^“”]*[“”]")
_HELP = frozenset({"wants_skill", "wants_plan", "wants_therapist", "asks_number", "asks_line_works"})
"""Who asks for help, or tells of a step to safety, is read by this message alone: an earlier wish does not make "how do
i calm down now" a plan."""
_SAID = frozenset({Answer.YES, Answer.UNCLEAR})
_STATEMENT = re.compile(
    r"^(?:i (?:am|have|do|did|think|might) \w|(?:sometimes|often|lately|always|maybe) (?:they|he|she|the|my)\b)"
)
"""Begins with a short yes and goes on: only our own rules tell whether it is one."""


def read(
    text: str, pending: str | None, verdict: Verdict, playbooks: Playbooks, *, asks_country: bool = False
) -> Heard:
    """What the message says to the open question."""
    topic = playbooks.topics.get(pending or "")
    return understand(
        text,
        pending,
        verdict,
        playbooks.answers,
        soft=bool(topic and topic.soft),
        offer=bool(topic and topic.offer),
        asks_country=asks_country,
    )


def for_filter(
    text: str, history: Sequence[Utterance], pending: str | None, playbooks: Playbooks
) -> Sequence[Utterance]:
    """The history the filter reads the message after.

    Of our own last words only the question counts: a line that is called "Suicide & Crisis Lifeline" asks nothing. And
    "i am so tired of school" is no "i am".
    """
    if not history:
        return history
    heard = read(text, pending or "thoughts", Verdict(level=RiskLevel.NONE), playbooks)
    if _HELP & set(heard.acts) or SAFER & set(heard.states):
        return ()
    last = history[-1]
    if last.role != "assistant":
        return history
    told = heard.answer not in _SAID and _STATEMENT.search(plain(text, playbooks.language))
    asked = "" if told else question_of(last.text)
    return (*history[:-1], Utterance(role="assistant", text=asked))


def question_of(text: str) -> str:
    """The last question of a reply with the sentence before it; empty when it asks nothing. What is quoted for somebody
    else to say is no question."""
    last = _QUOTED.sub("", text).rsplit("\n\n", 1)[-1]
    found = _QUESTION.findall(last)
    return found[-1].strip() if found else ""


def in_answer(verdict: Verdict, text: str, progress: Progress, playbooks: Playbooks) -> Verdict:
    """The verdict once the open question is counted in.

    A yes to a question about danger is danger, in whatever language; "leave me alone" is said to us and no neglect.
    The open protocol takes its own answers in by itself.
    """
    pending = progress.pending
    topic = playbooks.topics.get(pending or "")
    neglect = verdict.level > RiskLevel.NONE and set(verdict.categories) == {Category.NEGLECT}
    asked = topic is not None and topic.danger is not None and not (progress.open or verdict.crisis or verdict.error)
    if not (neglect or asked):  # most messages: nothing to read
        return verdict
    heard = read(text, pending, Verdict(level=RiskLevel.NONE), playbooks)
    if neglect and "refusal" in heard.acts:
        return verdict.model_copy(
            update={"level": RiskLevel.NONE, "categories": (), "evidence": (), "reason": "It refuses to answer."}
        )
    if topic is None or not asked or heard.answer is not topic.danger:
        return verdict
    about = topic.about or next(iter(verdict.categories), None)
    return verdict.model_copy(
        update={
            "level": RiskLevel.ELEVATED,
            "categories": (about,) if about else verdict.categories,
            "subject": Subject.OTHER if (pending or "").startswith("they_") else Subject.SELF,
            "evidence": (*verdict.evidence, *_evidence(text, about, pending or "")),
            "reason": f"It answers our question about {pending} with danger.",
        }
    )


def _evidence(text: str, about: Category | None, pending: str) -> tuple[Evidence, ...]:
    if about is None or not text:
        return ()
    source = f"answer:{pending}"
    return (Evidence(start=0, end=len(text), text=text, category=about, level=RiskLevel.ELEVATED, source=source),)
