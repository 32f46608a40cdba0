"""JSONL files read line by line: what is wrong is told with its line, and the rest can be kept when that is wished.

It decides nothing about what a row means; it never drops a row in silence.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

Row = TypeVar("Row")
SHOWN = 20
"""Wrong lines that an error names; more are only counted."""


class EvalError(ValueError):
    """A bench, a run or a report cannot be made. The message names the file, line or option and what to change."""


@dataclass(frozen=True)
class Lines(Generic[Row]):
    """What was read of a file."""

    rows: tuple[Row, ...]
    wrong: tuple[str, ...] = ()
    """``line 7: missing "text"``, for every line that was left out."""


def read_lines(
    path: Path, parse: Callable[[Mapping[str, Any]], Row], *, key: Callable[[Row], str], skip_bad: bool = False
) -> Lines[Row]:
    """Every row of a JSONL file.

    Args:
        parse: makes a row of a JSON object; raises ValueError, KeyError or TypeError on a bad one.
        key: what must differ from row to row.
        skip_bad: leave wrong and repeated rows out, and name them in the result.

    Raises:
        EvalError: the file cannot be read, is empty, or has wrong lines and ``skip_bad`` is off.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EvalError(f"{path}: {error.strerror}") from None
    rows: list[Row] = []
    wrong: list[str] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            row = parse(_object(line))
        except KeyError as error:
            wrong.append(f"line {number}: missing {error.args[0]!r}")
        except (ValueError, TypeError) as error:
            wrong.append(f"line {number}: {_first_line(error)}")
        else:
            if (first := seen.setdefault(key(row), number)) != number:
                wrong.append(f"line {number}: {key(row)!r} is already there, in line {first}")
            else:
                rows.append(row)
    if wrong and not skip_bad:
        raise EvalError(f"{path}: {listed(wrong)}\n--skip-bad leaves these lines out and goes on.")
    if not rows:
        raise EvalError(f"{path}: not one usable row" + (f"; {listed(wrong)}" if wrong else "; the file is empty"))
    return Lines(tuple(rows), tuple(wrong))


def _object(line: bytes) -> Mapping[str, Any]:
    value = json.loads(line.decode("utf-8"))
    if not isinstance(value, dict):
        raise TypeError("not a JSON object")
    return value


def _first_line(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON ({error.msg}, column {error.colno})"
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def listed(wrong: Iterable[str]) -> str:
    """The first of them, each on a line of its own, and how many more there are."""
    wrong = list(wrong)
    rest = f"\n  and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    return "".join(f"\n  {line}" for line in wrong[:SHOWN]) + rest


def write_whole(path: Path, text: str) -> None:
    """Write a file, or leave the one that is there as it was.

    Raises:
        EvalError: it cannot be written, as on a full disk.
    """
    half = path.with_name(f".{path.name}.half")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        half.write_text(text, "utf-8")
        half.replace(path)
    except OSError as error:
        with suppress(OSError):
            half.unlink(missing_ok=True)
        full = "the disk is full" if error.errno == errno.ENOSPC else error.strerror
        raise EvalError(f"{path}: {full}. Nothing was written; what was there before is as it was.") from None
