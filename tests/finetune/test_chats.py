"""Chats in OpenAI's form become pairs with the turns before them; ours ship whole and pass our own guards' rules."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from warmline.finetune.pairs import DataError
from warmline.finetune.read import read_pairs

DATA = Path(__file__).parents[2] / "finetune" / "data"
OURS = sorted(DATA.glob("companion_*.jsonl"))


def chat(*turns: tuple[str, str]) -> dict[str, object]:
    return {"id": "1", "messages": [{"role": role, "content": content} for role, content in turns]}


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_each_answer_is_a_pair_with_what_stood_before_it(tmp_path: Path) -> None:
    row = chat(("system", "be kind"), ("user", "hi"), ("assistant", "Hello."), ("user", "sad"), ("assistant", "I see."))
    pairs = read_pairs(write(tmp_path / "c.jsonl", row))
    assert [(len(pair.history), pair.question, pair.answer) for pair in pairs] == [
        (0, "hi", "Hello."),
        (2, "sad", "I see."),
    ]


@pytest.mark.parametrize(
    "row",
    [
        chat(("user", "hi")),
        chat(("assistant", "Hello."), ("user", "hi")),
        {"messages": ["hi"]},
        {"messages": []},
    ],
)
def test_a_row_without_turns_is_told_with_its_line(row: object, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 2"):
        read_pairs(write(tmp_path / "c.jsonl", chat(("user", "hi"), ("assistant", "Hello.")), row))


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.stem)
def test_our_own_chats_are_whole(file: Path) -> None:
    assert len(read_pairs(file)) > 100


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.stem)
def test_our_own_answers_are_short_and_never_shout(file: Path) -> None:
    assert not [pair.id for pair in read_pairs(file) if "!" in pair.answer or len(pair.answer.split()) > 80]
