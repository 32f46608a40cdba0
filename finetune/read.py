"""Files of questions and answers, read into pairs: JSONL, CSV and Parquet with any column names.

A row that cannot be read stops everything, with its line; an empty question or answer is not an error but a reason to
drop the row, which is for ``prepare.py`` to do.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .conversations import chat, chat_pairs, exported, reviewed_pairs
from .pairs import DataError, Pair

Row = tuple[int, Mapping[str, Any]]
"""A line number, or a row number for Parquet, and the row's columns."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a file hold what. The names that MentalChat16K has are looked for by default."""

    question: str | None = None
    answer: str | None = None
    topic: str | None = None


_ANSWERS = ("output", "answer", "answerText", "response", "completion", "gpt-3.5-turbo")
_QUESTIONS = ("question", "questionText", "prompt", "query", "text")
_TOPICS = ("topic", "topics", "category")


def read_pairs(path: Path, columns: Columns | None = None, *, name: str = "") -> list[Pair]:
    """The pairs of a file whose name ends in .jsonl, .json, .csv, .tsv or .parquet.

    Known without naming columns: MentalChat16K's and Alpaca's (instruction, input, output), CounselChat's, IMHI's
    (query, gpt-3.5-turbo), other common names, chats in OpenAI's form (messages),
    and our own exports, where a human reviewer's replies are the answers.

    An ``instruction`` that most rows share is a system prompt (as on the hub) and left out; the question is then in
    ``input``.

    Raises:
        DataError: naming the file, the line, and what it should be.
    """
    rows = list(_rows(path))
    if any(exported(row) for _, row in rows):
        return reviewed_pairs(path, name or path.stem, rows)
    if rows and all(chat(row) for _, row in rows):
        return chat_pairs(path, name or path.stem, rows)
    return pairs_of_rows(path, name or path.stem, rows, columns)


def pairs_of_rows(path: Path | str, name: str, rows: Sequence[Row], columns: Columns | None = None) -> list[Pair]:
    """The pairs in rows that were read; ``path`` is what errors point at.

    Raises:
        DataError: naming ``path``, the line, and what it should be.
    """
    if not rows:
        raise DataError(f"{path}: no rows in it; a row looks like {EXAMPLE}")
    return list(_pairs(path, name, rows, columns or Columns()))


EXAMPLE = '{"instruction": "I can\'t sleep …", "input": "", "output": "That sounds exhausting …"}'


def _pairs(path: Path | str, name: str, rows: Sequence[Row], columns: Columns) -> Iterator[Pair]:
    there = list(dict.fromkeys(key for _, row in rows for key in row))
    answer = _column(path, there, columns.answer, _ANSWERS, "answer")
    topic = columns.topic or next((c for c in _TOPICS if c in there), None)
    alpaca = columns.question is None and "instruction" in there
    question = None if alpaca else _column(path, there, columns.question, _QUESTIONS, "question")
    shared = _shared_instruction(rows) if alpaca else None
    for number, row in rows:
        wrong = [c for c in (answer, question or "instruction") if not isinstance(row.get(c, ""), str | None)]
        if wrong:
            raise DataError(f'{path}, line {number}: "{wrong[0]}" is no text; a row looks like {EXAMPLE}')
        if answer not in row or (question or "instruction") not in row:
            missing = answer if answer not in row else question or "instruction"
            raise DataError(f'{path}, line {number}: no "{missing}" in it; a row looks like {EXAMPLE}')
        asked = _asked(row, shared) if question is None else row[question]
        about = row.get(topic) if topic else None
        yield Pair(
            id=f"{name}-{number}",
            source=name,
            question=(asked or "").strip(),
            answer=(row[answer] or "").strip(),
            topic=str(about).strip() or None if about else None,
        )


def _column(path: Path | str, there: Sequence[str], wanted: str | None, usual: Sequence[str], what: str) -> str:
    found = wanted if wanted in there else next((c for c in usual if c in there), None) if wanted is None else None
    if found is None:
        sought = f'no column "{wanted}"' if wanted else f"no column for the {what} ({', '.join(usual)})"
        raise DataError(f"{path}: {sought}; it has {', '.join(there)}. Name it with --{what}-column.")
    return found


def _shared_instruction(rows: Sequence[Row]) -> str | None:
    """The instruction that is a system prompt: more than half of the rows with an input have it."""
    counted = Counter(row.get("instruction") for _, row in rows if row.get("input"))
    if not counted:
        return None
    text, times = counted.most_common(1)[0]
    return text if times >= 2 and times * 2 > counted.total() else None


def _asked(row: Mapping[str, Any], shared: str | None) -> str:
    instruction, more = row["instruction"] or "", row.get("input") or ""
    if not more.strip():
        return instruction
    return more if instruction == shared else f"{instruction}\n\n{more}"


def _rows(path: Path) -> Iterator[Row]:
    kind = path.suffix.lower()
    if kind == ".parquet":
        yield from _parquet(path)
    elif kind in (".csv", ".tsv"):
        yield from _csv(path, "\t" if kind == ".tsv" else ",")
    elif kind == ".jsonl":
        yield from _jsonl(path)
    elif kind == ".json":
        yield from _json(path)
    else:
        raise DataError(f"{path}: its name should end in .jsonl, .json, .csv, .tsv or .parquet")


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line}: not UTF-8 (byte {error.start}); convert it first, e.g. "
            f"`iconv -f windows-1252 -t utf-8 {path.name} > utf8{path.suffix}`"
        ) from None


def _jsonl(path: Path) -> Iterator[Row]:
    for number, line in enumerate(_text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}, line {number}: not JSON ({error.msg}); a line looks like {EXAMPLE}") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}: not a JSON object; a line looks like {EXAMPLE}")
        yield number, row


def _json(path: Path) -> Iterator[Row]:
    try:
        rows = json.loads(_text(path) or "[]")
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: not JSON ({error.msg})") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path}: wants a list of objects like [{EXAMPLE}]; for one object a line, name it .jsonl")
    yield from enumerate(rows, 1)


def _csv(path: Path, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(10_000_000)
    reader = csv.DictReader(io.StringIO(_text(path), newline=""), delimiter=delimiter)
    try:
        for row in reader:
            if None in row or None in row.values():
                wrong = "more" if None in row else "fewer"
                raise DataError(
                    f"{path}, line {reader.line_num}: {wrong} fields than the header's {len(reader.fieldnames or ())}; "
                    "a field with commas or line breaks stands in double quotes"
                )
            yield reader.line_num, row
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not CSV ({error})") from None


def _parquet(path: Path) -> Iterator[Row]:
    try:
        import pyarrow.parquet as parquet  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise DataError(f"{path}: reading Parquet needs pyarrow; `pip install 'warmline[finetune]'`") from None
    try:
        rows = parquet.read_table(path).to_pylist()
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a Parquet file that can be read ({str(error).splitlines()[0]})") from None
    yield from enumerate(rows, 1)
