"""A second opinion on messages of which the local stages are unsure, from any server that speaks the OpenAI chat API.

It may raise a verdict to any level, and lower one by a single step; the filter asks it only in the grey band. A slow,
broken or refusing server, and an answer that is not exactly a label, leave the local verdict as it is.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import yaml
from pydantic import Field, ValidationError, field_validator

from .scope import strength
from .types import Category, Frozen, RiskLevel, Utterance, Verdict

if TYPE_CHECKING:
    import ssl

SHIPPED = Path(__file__).parent / "data" / "second_opinion.yaml"
BUDGET_S = 2.0
"""Seconds for the whole question, connecting included: a person is waiting."""
_LONGEST = 4_000
"""Characters of a message that are sent: its beginning and its end."""
_EARLIER = 3
_MOST_BYTES = 65_536


class Opinion(Frozen):
    """A label from a language model: the whole of what it is allowed to say."""

    level: RiskLevel
    categories: tuple[Category, ...] = Field(default=(), max_length=len(Category))


class SecondOpinion(Protocol):
    """What the filter asks in the grey band. ``None`` means: no opinion. Neither method raises."""

    def ask(self, text: str, history: Sequence[Utterance] = ()) -> Opinion | None:
        """The opinion on ``text``, written after ``history``."""
        ...

    async def aask(self, text: str, history: Sequence[Utterance] = ()) -> Opinion | None:
        """The same without holding up the event loop."""
        ...


class Example(Frozen):
    """One labelled message in the prompt."""

    message: str
    answer: Opinion


class Prompt(Frozen):
    """What is asked, and which messages speak to the one who labels."""

    instruction: str = Field(min_length=1)
    examples: tuple[Example, ...] = ()
    addresses_the_judge: str = ""
    """Regular expressions, one a line."""

    @field_validator("addresses_the_judge")
    @classmethod
    def _compiles(cls, value: str) -> str:
        re.compile(value)
        return value


class PromptError(ValueError):
    """A prompt file cannot be used. The message names the file and what is wrong with it."""


@cache
def load_prompt(path: Path = SHIPPED) -> Prompt:
    """
    Raises:
        PromptError: naming the file and what is wrong.
    """
    try:
        return Prompt.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except (OSError, yaml.YAMLError, ValidationError, re.error) as error:
        raise PromptError(f"{path}: {error}") from error


@cache
def _judge_addressed() -> re.Pattern[str]:
    lines = load_prompt().addresses_the_judge.splitlines()
    return re.compile("|".join(f"(?:{line.strip()})" for line in lines if line.strip()) or r"(?!)", re.IGNORECASE)


def heard(verdict: Verdict, text: str, opinion: Opinion | None) -> Verdict:
    """The verdict after an opinion: any level up, one step down, and never down for a text that speaks to the judge."""
    if opinion is None:
        return verdict
    stages = {**verdict.stages, "second opinion": strength(opinion.level)}
    if opinion.level > verdict.level:
        named = dict.fromkeys([*opinion.categories, *verdict.categories])
        return verdict.model_copy(
            update={
                "level": opinion.level,
                "categories": tuple(named),
                "scores": {**verdict.scores, **{c: max(verdict.scores.get(c, 0.0), 0.5) for c in named}},
                "stages": stages,
                "reason": f"A second opinion put this at {opinion.level.value}. {verdict.reason}",
            }
        )
    if opinion.level < verdict.level and not _judge_addressed().search(text):
        level = tuple(RiskLevel)[verdict.level.rank - 1]
        return verdict.model_copy(
            update={
                "level": level,
                "categories": verdict.categories if level > RiskLevel.NONE else (),
                "stages": stages,
                "reason": f"A second opinion lowered this from {verdict.level.value}. {verdict.reason}",
            }
        )
    return verdict.model_copy(update={"stages": stages})


_SCHEMA = {
    "type": "object",
    "properties": {
        "level": {"type": "string", "enum": [level.value for level in RiskLevel]},
        "categories": {"type": "array", "items": {"type": "string", "enum": [c.value for c in Category]}},
    },
    "required": ["level", "categories"],
    "additionalProperties": False,
}


def _fenced(tag: str, text: str) -> str:
    """``text`` as a JSON string in a fence that it cannot close: no ``<`` of its own is left."""
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]} [...] {text[-_LONGEST // 2 :]}"
    quoted = json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False)
    return f"<{tag}>{quoted.replace('<', chr(92) + 'u003c')}</{tag}>"


def _question(text: str, history: Sequence[Utterance]) -> str:
    earlier = [_fenced("earlier", u.text) for u in history if u.role == "user"][-_EARLIER:]
    return "\n".join([*earlier, _fenced("message", text)])


@dataclass(frozen=True)
class LLMOpinion:
    """Asks a chat model for a label. Thread-safe; keeps no connection and no text."""

    url: str
    """Base URL of an OpenAI-compatible server, such as ``http://127.0.0.1:8000/v1``."""
    model: str
    key: str | None = field(default=None, repr=False)
    budget_s: float = BUDGET_S

    def ask(self, text: str, history: Sequence[Utterance] = ()) -> Opinion | None:
        """The opinion within the budget, or ``None``."""
        # A thread of its own: the caller may stand in an event loop, and a name look-up that hangs cannot be cancelled.
        found: list[Opinion | None] = []
        thread = threading.Thread(target=lambda: found.append(asyncio.run(self.aask(text, history))), daemon=True)
        thread.start()
        thread.join(self.budget_s + 0.1)
        return found[0] if found else None

    async def aask(self, text: str, history: Sequence[Utterance] = ()) -> Opinion | None:
        """The opinion within the budget, or ``None``."""
        try:
            async with asyncio.timeout(self.budget_s):
                return _opinion(await self._post(self._request(text, history)))
        except Exception:  # whatever a server can do wrong, the local verdict stands
            return None

    def _request(self, text: str, history: Sequence[Utterance]) -> Mapping[str, object]:
        prompt = load_prompt()
        messages = [{"role": "system", "content": prompt.instruction}]
        for example in prompt.examples:
            messages.append({"role": "user", "content": _fenced("message", example.message)})
            messages.append({"role": "assistant", "content": example.answer.model_dump_json()})
        messages.append({"role": "user", "content": _question(text, history)})
        return {
            "model": self.model,
            "messages": messages,
            "temperature": 0,
            "max_tokens": 120,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "opinion", "strict": True, "schema": _SCHEMA},
            },
        }

    async def _post(self, body: Mapping[str, object]) -> bytes:
        import httpx

        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        verify = _tls() if self.url.startswith("https:") else False
        address = self.url.rstrip("/") + "/chat/completions"
        async with (
            httpx.AsyncClient(timeout=self.budget_s, follow_redirects=False, verify=verify) as client,
            client.stream("POST", address, json=body, headers=headers) as answer,
        ):
            answer.raise_for_status()
            read = b""
            async for chunk in answer.aiter_bytes():
                read += chunk
                if len(read) > _MOST_BYTES:
                    raise ValueError("the answer is too long for a label")
            return read


@cache
def _tls() -> ssl.SSLContext:
    import ssl

    return ssl.create_default_context()


def _opinion(answer: bytes) -> Opinion:
    """The label in a chat completion; raises for anything else, a refusal or an answer that was cut off included."""
    choice = json.loads(answer)["choices"][0]
    if choice.get("finish_reason") not in ("stop", None) or choice["message"].get("refusal"):
        raise ValueError("no finished answer")
    return Opinion.model_validate_json(choice["message"]["content"])
