"""Vetted answers to a bare greeting, thanks, a goodbye, or the question what is answering here.

Decides only about whole messages that are nothing else; used where the model is too small to be trusted with them.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

_FILE = Path(__file__).parent / "data" / "small_talk.yaml"
_NOT_A_WORD = re.compile(r"[^a-z ]+")


class _Kind(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    heard: tuple[str, ...] = Field(min_length=1)
    say: tuple[str, ...] = Field(min_length=1)


def small_talk(text: str, seed: int) -> str | None:
    """The words for a message that is small talk in English; None for every other. ``seed`` picks among equal ones."""
    answers = _answers().get(_plain(text))
    return answers[seed % len(answers)] if answers else None


def _plain(text: str) -> str:
    return " ".join(_NOT_A_WORD.sub(" ", text.lower().replace("'", "").replace("’", "")).split())


@cache
def _answers() -> dict[str, tuple[str, ...]]:
    kinds = TypeAdapter(dict[str, _Kind]).validate_python(yaml.safe_load(_FILE.read_text(encoding="utf-8")))
    return {heard: kind.say for kind in kinds.values() for heard in kind.heard}
