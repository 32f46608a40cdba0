"""Questions a person might ask, one turn each: the project's own 200, the paper's 200, or any file in either form.

``warmline200`` was written for this project: the 33 topics of MentalChat16K (arXiv 2503.13509) by their shares, in
different registers, lengths, ages and cultures. ``crisis`` says that its author meant a crisis, not what a filter says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from ..guards.types import Frozen
from .lines import EvalError, read_lines

DATA = Path(__file__).parent / "data"
WARMLINE200 = DATA / "warmline200.jsonl"


class Question(Frozen):
    """One question."""

    id: str = Field(min_length=1)
    topic: str = ""
    text: str = Field(min_length=1)
    lang: str = Field(default="en", pattern="^[a-z]{2}$")
    """ISO 639-1."""
    style: tuple[str, ...] = ()
    crisis: bool = False
    """Its author meant a crisis; a filter should route it."""


@dataclass(frozen=True)
class Bench:
    """A set of questions that was read."""

    name: str
    questions: tuple[Question, ...]
    checksum: str
    """SHA-256 of the file: two runs are compared only over the same questions."""
    left_out: tuple[str, ...] = ()
    """Lines that could not be used."""


def _question(row: Mapping[str, Any]) -> Question:
    if "turns" in row:  # the form of FastChat, which the paper's bench has
        turns = row["turns"]
        if not isinstance(turns, list) or not turns:
            raise ValueError("turns: wants a list with the question in it")
        return _checked({"id": str(row["question_id"]), "text": turns[0], "topic": str(row.get("category", ""))})
    return _checked(dict(row) | {"id": row["id"], "text": row["text"]})


_QUESTION = TypeAdapter(Question)


def _checked(row: Mapping[str, Any]) -> Question:
    try:
        question = _QUESTION.validate_python(row)
    except ValidationError as error:
        problem = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}") from None
    if not question.text.strip():
        raise ValueError("text: empty")
    return question


def read_questions(path: Path | None = None, *, name: str = "", skip_bad: bool = False) -> Bench:
    """The questions of a file; without one, ``warmline200``.

    Raises:
        EvalError: naming the file and its wrong lines.
    """
    file = path or WARMLINE200
    lines = read_lines(file, _question, key=lambda question: question.id, skip_bad=skip_bad)
    return Bench(name or ("warmline200" if path is None else file.stem), lines.rows, checksum(file), lines.wrong)


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Answer(Frozen):
    """What a system said to a question."""

    id: str
    """The question's."""
    text: str
    model: str = ""


def _answer(row: Mapping[str, Any]) -> Answer:
    if "choices" in row:
        turns = row["choices"][0]["turns"]
        return Answer(id=str(row["question_id"]), text=str(turns[0]), model=str(row.get("model_id", "")))
    return Answer(id=str(row["id"]), text=str(row["answer"]), model=str(row.get("model", "")))


def read_answers(path: Path, *, skip_bad: bool = False) -> tuple[Mapping[str, Answer], tuple[str, ...]]:
    """Published answers by the id of their question, in the form of FastChat or as ``{"id", "answer", "model"}``.

    Returns:
        The answers, and the lines that were left out.

    Raises:
        EvalError: naming the file and its wrong lines, or that it holds answers of several models.
    """

    def parse(row: Mapping[str, Any]) -> Answer:
        try:
            return _answer(row)
        except (IndexError, ValidationError):
            raise ValueError('wants "id" and "answer", or the form of FastChat') from None

    lines = read_lines(path, parse, key=lambda answer: answer.id, skip_bad=skip_bad)
    if len(models := sorted({answer.model for answer in lines.rows})) > 1:
        raise EvalError(f"{path}: answers of several models ({', '.join(models[:5])}); one file for each, please")
    return {answer.id: answer for answer in lines.rows}, lines.wrong
