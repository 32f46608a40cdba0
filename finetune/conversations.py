"""Whole conversations as a source: our own exports, and chats in the form that the OpenAI API fine-tunes on.

Of our own exports (``warmline data export``) only what a human reviewer wrote is an answer to learn from; what the
agent said stands before it. Who consented to be learnt from is for the exporter to know.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..guards.types import Utterance
from .pairs import DataError, Pair

FORMAT = "warmline/conversation/1"


def exported(row: Mapping[str, Any]) -> bool:
    """Whether a row is a conversation that was exported."""
    return str(row.get("format", "")).startswith("warmline/conversation/")


def chat(row: Mapping[str, Any]) -> bool:
    """Whether a row is a chat: ``messages``, each with a ``role`` and a ``content``."""
    return isinstance(row.get("messages"), list)


def chat_pairs(path: Path, name: str, rows: Sequence[tuple[int, Mapping[str, Any]]]) -> list[Pair]:
    """A pair for each assistant message, with the turns before it; a system message is left out, ours takes its place.

    Raises:
        DataError: a row is no chat in which a user and an assistant take turns.
    """
    return [pair for number, row in rows for pair in _chat(path, name, number, row)]


def _chat(path: Path, name: str, number: int, row: Mapping[str, Any]) -> Iterator[Pair]:
    good = '{"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}'
    try:
        turns = [Utterance(role=one["role"], text=one["content"]) for one in row["messages"] if one["role"] != "system"]
    except (KeyError, TypeError, ValueError):
        raise DataError(f"{path}, line {number}: no chat; a row looks like {good}") from None
    if not turns or [turn.role for turn in turns] != ["user", "assistant"] * (len(turns) // 2):
        raise DataError(f"{path}, line {number}: user and assistant do not take turns; a row looks like {good}")
    for i in range(1, len(turns), 2):
        yield Pair(
            id=f"{name}-{row.get('id', number)}-{i // 2 + 1}",
            source=name,
            question=turns[i - 1].text.strip(),
            answer=turns[i].text.strip(),
            topic=row.get("topic"),
            history=tuple(turns[: i - 1]),
        )


def reviewed_pairs(path: Path, name: str, rows: Sequence[tuple[int, Mapping[str, Any]]]) -> list[Pair]:
    """A pair for each message that a human reviewer answered, with the conversation before it.

    Raises:
        DataError: a row is of another format, or no reviewer wrote anything.
    """
    pairs: list[Pair] = []
    for number, row in rows:
        if row.get("format") != FORMAT:
            raise DataError(f"{path}, line {number}: format {row.get('format')!r}, wants {FORMAT!r}; export it again")
        try:
            pairs += _pairs(name, row)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}, line {number}: not a whole export ({error}); export it again") from None
    if not pairs:
        raise DataError(
            f"{path}: {len(rows)} conversations, and no reviewer wrote in any; there is nothing to learn from"
        )
    return pairs


def _pairs(name: str, row: Mapping[str, Any]) -> Iterator[Pair]:
    written: dict[int, list[str]] = defaultdict(list)
    for message in row["handoff"]["human_messages"]:
        if message["kind"] == "message":
            written[message["after"]].append(message["text"].strip())
    history: list[Utterance] = []
    for turn in sorted(row["turns"], key=lambda turn: turn["number"]):
        answer = "\n\n".join(written[turn["number"]])
        if answer:
            yield Pair(
                id=f"{name}-{row['session']['id']}-{turn['number']}",
                source=name,
                question=turn["user_text"].strip(),
                answer=answer,
                history=tuple(history),
            )
        history.append(Utterance(role="user", text=turn["user_text"]))
        if said := answer or turn["reply"]:
            history.append(Utterance(role="assistant", text=said))
