"""Our own exports (``warmline data export``): what a human reviewer wrote to a person is a good answer to learn from.

What the agent said is never learnt, it only stands before. Who consented to be learnt from is for the exporter to know.
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
