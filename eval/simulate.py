"""Simulated users: a model plays a person, the agent answers, and a judge answers a rubric's questions about it.

After VERA-MH (Belli and others, 2025, arXiv 2510.15297). What a model plays and a model judges shows where to look; it
is no evidence of how the agent does with people in distress. Nothing that is in the journal is paid for again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from ..guards.types import Frozen
from .at_once import at_once
from .endpoint import Client, EndpointError
from .journal import VERSION, Asked, Exchange, Header, Journal, Talked
from .judging import Chat, Unreadable, json_object
from .personas import Persona
from .questionnaire import Item, Questionnaire
from .rubrics import read_data
from .run import RAW_CHARS, Progress
from .systems import Counterpart

WORDS = Path(__file__).parent / "data" / "simulation" / "words.yaml"
TURNS = 12
"""Most messages of a person."""
LEAST = 3
"""Messages before a person may leave, as in VERA-MH."""
END_MARK = "[end]"
MESSAGE_TOKENS = 200
_STAGE = re.compile(r"^\s*\*[^*\n]{1,120}\*\s*|\s*\*[^*\n]{1,120}\*\s*$")
"""``*sighs*`` before or behind a message: models write it however often they are told not to."""


class Words(Frozen):
    """What the models are told."""

    version: int = Field(ge=1)
    person: str
    opens: str
    silent: str
    judge: str
    asks: str
    again: str

    @field_validator("asks")
    @classmethod
    def _has_its_places(cls, value: str) -> str:
        for place in ("transcript", "question", "answers", "fence"):
            if f"{{{place}}}" not in value:
                raise ValueError(f"wants a place for {{{place}}}")
        return value


@cache
def words() -> Words:
    """The shipped ones.

    Raises:
        EvalError: the file is damaged.
    """
    return read_data(WORDS, Words)


# -- the person ------------------------------------------------------------------------------------------------------


def person_asked(persona: Persona, turns: Sequence[Exchange], *, silent: bool = False) -> Chat:
    """What the model that plays ``persona`` is given for the next message: the roles are those of its side."""
    told = words().person.format(about=persona.told(), least=LEAST)
    chat = [{"role": "system", "content": told}, {"role": "user", "content": words().opens}]
    for turn in turns:
        chat += [{"role": "assistant", "content": turn.said}, {"role": "user", "content": turn.reply or "…"}]
    if silent:
        chat[-1] = {"role": "user", "content": f"{chat[-1]['content']}\n\n{words().silent}"}
    return chat


def person_said(text: str, persona: Persona) -> tuple[str, bool]:
    """The message without what is no part of it, and whether the person leaves with it."""
    before, mark, _ = text.partition(END_MARK)
    message = re.sub(rf"^\s*{re.escape(persona.name)}\s*:\s*", "", before, flags=re.I)
    message = _STAGE.sub("", message).strip()
    if len(message) > 1 and message[0] == message[-1] == '"' and '"' not in message[1:-1]:
        message = message[1:-1].strip()
    return message, bool(mark)


async def talk(persona: Persona, number: int, user: Client, counterpart: Counterpart, *, turns: int = TURNS) -> Talked:
    """One whole conversation.

    Raises:
        EndpointError: the model that plays the person, or the system, gave no answer.
    """
    other = await counterpart.open(persona.country)
    made: list[Exchange] = []
    tokens_in = tokens_out = 0
    left = False
    while len(made) < turns and not left:
        message = ""
        for silent in (False, True):
            said = await user.ask(
                person_asked(persona, made, silent=silent),
                temperature=0.8,
                max_tokens=MESSAGE_TOKENS,
                seed=1000 * number + len(made),
            )
            tokens_in, tokens_out = tokens_in + said.tokens_in, tokens_out + said.tokens_out
            message, left = person_said(said.text, persona)
            left = left and len(made) + bool(message) >= LEAST
            if message or left:
                break
        if not message:
            if left or len(made) >= LEAST:
                left = True
                break
            raise EndpointError(f"{user.endpoint.name} wrote nothing as {persona.name}")
        reply = await other.say(message)
        tokens_in, tokens_out = tokens_in + reply.tokens_in, tokens_out + reply.tokens_out
        made.append(Exchange(said=message, reply=reply.text, route=reply.route, ms=round(reply.ms, 1)))
    return Talked(
        id=f"{persona.id}/{number}",
        persona=persona.name,
        risk=persona.risk,
        turns=tuple(made),
        ended="person" if left else "length",
        tokens_in=tokens_in,
        tokens_out=tokens_out,
    )


# -- the judge -------------------------------------------------------------------------------------------------------


def transcript(talked: Talked) -> str:
    """The conversation as the judge reads it, with numbers that a reason can point at."""
    lines = []
    for number, turn in enumerate(talked.turns, 1):
        lines += [f"Person ({number}): {turn.said}", f"Chatbot ({number}): {turn.reply}"]
    return "\n".join(lines)


def judge_asked(talked: Talked, item: Item) -> Chat:
    """One question. The conversation stands in front, so that a server can keep what it has read of it."""
    text = transcript(talked)
    fence = "====" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
    asks = words().asks.format(
        fence=fence,
        transcript=text,
        question=item.asks,
        explains=item.explains,
        answers=" | ".join(json.dumps(answer, ensure_ascii=False) for answer in item.answers),
    )
    return [{"role": "system", "content": words().judge}, {"role": "user", "content": asks}]


def answer_schema(item: Item) -> dict[str, Any]:
    """What constrains the judge where its server can."""
    schema = {
        "type": "object",
        "properties": {
            "reason": {"type": "string", "maxLength": 400},
            "answer": {"type": "string", "enum": list(item.answers)},
        },
        "required": ["reason", "answer"],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}


def read_answer(text: str, item: Item) -> tuple[str, str]:
    """The answer as the rubric has it, and its reason.

    Raises:
        Unreadable: it is none of the answers.
    """
    made = json_object(text)
    said = str(made.get("answer", "")).strip().casefold()
    for answer in item.answers:
        if answer.casefold() == said:
            return answer, str(made.get("reason", ""))
    raise Unreadable("the answer is none of the possible ones")


async def ask(client: Client, questionnaire: Questionnaire, talked: Talked, item: Item) -> Asked:
    """One question to one judge. What cannot be read is asked for once more, and is then unscored."""
    messages = judge_asked(talked, item)
    answer: str | None = None
    reason = problem = raw = ""
    tokens_in = tokens_out = 0
    for _ in range(2):
        said = await client.ask(messages, max_tokens=400, response_format=answer_schema(item))
        tokens_in, tokens_out = tokens_in + said.tokens_in, tokens_out + said.tokens_out
        try:
            answer, reason = read_answer(said.text, item)
            problem = raw = ""
            break
        except Unreadable as error:
            problem, raw = str(error), said.text[:RAW_CHARS]
            again = words().again.format(problem=problem)
            messages = [*messages, {"role": "assistant", "content": said.text}, {"role": "user", "content": again}]
    return Asked(
        talk=talked.id,
        judge=client.endpoint.name,
        rubric=questionnaire.key,
        question=item.id,
        answer=answer,
        reason=reason,
        problem=problem,
        raw=raw,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
    )


# -- a run -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cast:
    """Who talks: the people, the model that plays them, and for how long."""

    name: str
    """Of the file of people."""
    personas: tuple[Persona, ...]
    user: str
    """``NAME@URL``."""
    turns: int = TURNS

    def header(self, counterpart: Counterpart) -> Header:
        """The first line of the log: other people, another player or another length is another run."""
        told = json.dumps([self.user, self.turns, words().person, *(p.model_dump(mode="json") for p in self.personas)])
        return Header(
            version=VERSION,
            bench=f"simulated users ({self.name})",
            checksum=hashlib.sha256(told.encode()).hexdigest(),
            system=counterpart.name,
            model=counterpart.model,
        )


async def simulate(
    cast: Cast,
    user: Client,
    counterpart: Counterpart,
    judges: Sequence[Client],
    questionnaire: Questionnaire,
    journal: Journal,
    *,
    repeats: int = 1,
    concurrency: int = 8,
    tell: Callable[[Progress], object] = lambda _: None,
) -> Progress:
    """Hold and judge what is not in ``journal`` yet. A step of the progress is a conversation held or judged.

    Args:
        repeats: conversations with each person.
        judges: none is allowed: then only the conversations are held.

    Raises:
        EvalError: nothing works, or the journal cannot be written. What was done is in the journal.
    """
    wanted = [(persona, number) for number in range(repeats) for persona in cast.personas]
    progress = Progress(len(wanted) * (1 + len(judges)))

    def step(tokens_in: int = 0, tokens_out: int = 0, *, kept: bool = False) -> None:
        progress.done += 1
        progress.kept += kept
        progress.tokens_in += tokens_in
        progress.tokens_out += tokens_out
        tell(progress)

    async def judge(talked: Talked, client: Client) -> None:
        answers = journal.asked[talked.id, client.endpoint.name, questionnaire.key]
        there = len(answers)
        while (item := questionnaire.walk(answers).asks) is not None:
            made = await ask(client, questionnaire, talked, item)
            journal.add(made)  # it is in ``answers`` now
            progress.unscored += made.answer is None
            progress.tokens_in += made.tokens_in
            progress.tokens_out += made.tokens_out
            tell(progress)
        step(kept=len(answers) == there)

    async def one(each: tuple[Persona, int]) -> None:
        persona, number = each
        try:
            talked = journal.talk(f"{persona.id}/{number}")
            if talked is None:
                talked = await talk(persona, number, user, counterpart, turns=cast.turns)
                journal.add(talked)
                step(talked.tokens_in, talked.tokens_out)
            else:
                step(kept=True)
            for client in judges:
                await judge(talked, client)
        except EndpointError as error:
            progress.fail(error)
            tell(progress)

    tell(progress)
    await at_once(wanted, one, concurrency)
    return progress
