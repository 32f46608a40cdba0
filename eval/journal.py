"""The log of a run: a line for everything that was paid for, written when it is there and never changed.

A line that a kill cut in half is cut off at the next start, and only its one call is made again.
"""

from __future__ import annotations

import errno
import json
import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Annotated, Literal, Self

from pydantic import Field, TypeAdapter, ValidationError

from ..guards.types import Category, Frozen, RiskLevel
from .lines import EvalError

VERSION = 1


class Header(Frozen):
    """What a run is about; its first line. A run goes on only where this is the same."""

    kind: Literal["run"] = "run"
    version: int
    bench: str
    checksum: str
    """Of the questions."""
    system: str
    """What answers: ``agent``, ``agent without filter``, ``NAME@URL``, ``answers of NAME``."""
    model: str
    """The language model behind it, to tell when it judges itself."""
    left_out: int = 0
    """Lines of the bench that could not be used."""


class Answered(Frozen):
    """A question and what the system said."""

    kind: Literal["answer"] = "answer"
    id: str
    topic: str = ""
    question: str
    crisis: bool = False
    """The question's author meant a crisis."""
    text: str
    route: str = ""
    """``crisis`` where the crisis protocol answered in place of the model."""
    tokens_in: int = 0
    tokens_out: int = 0
    ms: float = 0.0


class Judged(Frozen):
    """One judgement of one answer, or why there is none."""

    kind: Literal["judgement"] = "judgement"
    id: str
    judge: str
    mode: str
    repeat: int = 0
    scores: dict[str, float] | None = None
    """By rubric id; ``None`` is unscored, which is no number."""
    reasons: dict[str, str] = Field(default_factory=dict)
    problem: str = ""
    """Why it is unscored."""
    raw: str = ""
    """What the judge said, where it could not be read."""
    tokens_in: int = 0
    tokens_out: int = 0

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What is paid for once."""
        return self.id, self.judge, self.mode, self.repeat


class Probed(Frozen):
    """One judgement that measures the judge: of a padded answer, or of two answers in one call."""

    kind: Literal["probe"] = "probe"
    id: str
    judge: str
    mode: str
    form: Literal["padded", "pair", "swapped"]
    """A pair is the plain answer and the padded one; swapped, the padded one and the plain one."""
    scores: tuple[dict[str, float], ...] | None = None
    """Of each text in the order in which they stood; ``None`` is unscored."""
    problem: str = ""
    raw: str = ""
    tokens_in: int = 0
    tokens_out: int = 0

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What is paid for once."""
        return self.id, self.judge, self.mode, self.form


class Screened(Frozen):
    """What one system of the crisis bench said about a message."""

    kind: Literal["screened"] = "screened"
    id: str
    system: str
    level: RiskLevel | None
    """``None``: it gave no verdict that could be read."""
    categories: tuple[Category, ...] = ()
    score: float | None = Field(default=None, ge=0, le=1)
    """How sure it is that this is a crisis, where it says so."""


class Exchange(Frozen):
    """One message of a person that a model plays, and what the system said to it."""

    said: str
    reply: str
    route: str = ""
    ms: float = 0.0


class Talked(Frozen):
    """A whole conversation. One that was cut off is not written, and begins anew."""

    kind: Literal["talk"] = "talk"
    id: str
    """``joy/0``: the persona and the how-manieth."""
    persona: str
    risk: str = ""
    turns: tuple[Exchange, ...]
    ended: Literal["person", "length"]
    """Who ended it: the person, or the most turns that were wished."""
    tokens_in: int = 0
    tokens_out: int = 0


class Asked(Frozen):
    """One question about a conversation, as one judge answered it."""

    kind: Literal["question"] = "question"
    talk: str
    judge: str
    rubric: str
    """``Questionnaire.key``."""
    question: str
    answer: str | None = None
    """``None``: it could not be read."""
    reason: str = ""
    problem: str = ""
    raw: str = ""
    tokens_in: int = 0
    tokens_out: int = 0


Line = Header | Answered | Judged | Probed | Screened | Talked | Asked
_LINE: TypeAdapter[Line] = TypeAdapter(Annotated[Line, Field(discriminator="kind")])


def read_run(path: Path) -> Iterator[Line]:
    """The lines of a run, the header first. A last line that was cut in half is left out.

    Raises:
        EvalError: it is no run, one of another version, or damaged; with the line.
    """
    return (line for _, line in _lines(path))


def _lines(path: Path) -> Iterator[tuple[int, Line]]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise EvalError(f"{path}: {error.strerror}") from None
    start = 0
    with file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                if number == 1:
                    _right_version(path, line)
                yield start, _LINE.validate_json(line)
                start += len(line)
            except ValidationError:
                raise EvalError(f"{path}, line {number}: damaged; delete the line to have it made again") from None


def _right_version(path: Path, line: bytes) -> None:
    try:
        first = json.loads(line)
        version = first["version"] if first["kind"] == "run" else None
    except (ValueError, KeyError, TypeError):
        version = None
    if not isinstance(version, int):
        raise EvalError(f"{path}: this is no log of `warmline eval run`")
    if version != VERSION:
        raise EvalError(
            f"{path}: written by another version (log version {version}, this one reads {VERSION}); "
            "it was left as it is. Choose another --out."
        )


class Journal:
    """Writes a run. What was written before stays.

    Raises:
        EvalError: the file holds another run, or cannot be written.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.answered: dict[str, int] = {}
        """Ids of what was answered, and where in the file it stands."""
        self.judged: dict[tuple[str, str, str, int], bool] = {}
        """What was judged, and whether it has scores."""
        self.probed: set[tuple[str, str, str, str]] = set()
        """What the judges were probed with."""
        self.screened: set[tuple[str, str]] = set()
        """Message and system."""
        self.talked: dict[str, int] = {}
        """Ids of whole conversations, and where in the file they stand."""
        self.asked: dict[tuple[str, str, str], dict[str, str | None]] = defaultdict(dict)
        """By conversation, judge and rubric: the answers to its questions."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size and cut_half_line(path):
            for start, line in _lines(path):
                match line:
                    case Header():
                        _same(path, line, header)
                    case _:
                        self._note(line, start)
        new = not path.exists() or not path.stat().st_size
        self._file = path.open("ab", buffering=0)
        self._reading = path.open("rb")
        if new:
            self._write(header)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        self._reading.close()

    def answer(self, id: str) -> Answered | None:
        """What was answered to a question; read from the file, so that a long run needs no more memory."""
        if (start := self.answered.get(id)) is None:
            return None
        self._reading.seek(start)
        return Answered.model_validate_json(self._reading.readline())

    def talk(self, id: str) -> Talked | None:
        """A conversation, read from the file."""
        if (start := self.talked.get(id)) is None:
            return None
        self._reading.seek(start)
        return Talked.model_validate_json(self._reading.readline())

    def add(self, line: Answered | Judged | Probed | Screened | Talked | Asked) -> None:
        """Write a line; it is there when this returns.

        Raises:
            EvalError: the disk is full or the file cannot be written; what was written before is kept.
        """
        start = self._file.seek(0, os.SEEK_END)
        self._write(line)
        self._note(line, start)

    def _note(self, line: Answered | Judged | Probed | Screened | Talked | Asked, start: int) -> None:
        if isinstance(line, Answered):
            self.answered[line.id] = start
        elif isinstance(line, Judged):
            self.judged[line.key] = line.scores is not None
        elif isinstance(line, Probed):
            self.probed.add(line.key)
        elif isinstance(line, Talked):
            self.talked[line.id] = start
        elif isinstance(line, Asked):
            self.asked[line.talk, line.judge, line.rubric][line.question] = line.answer
        else:
            self.screened.add((line.id, line.system))

    def _write(self, line: Line) -> None:
        data, start = line.model_dump_json(exclude_defaults=False).encode() + b"\n", self._file.tell()
        try:
            if self._file.write(data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            with suppress(OSError):  # what was written of the line goes; the lines before it stay
                self._file.truncate(start)
            full = "the disk is full" if error.errno == errno.ENOSPC else error.strerror
            raise EvalError(f"{self.path}: {full}. What was written is kept; the same command goes on.") from None


def cut_half_line(path: Path) -> bool:
    """Cut off what stands behind the last line end. False when nothing is left."""
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 65536)
            file.seek(start)
            if (found := file.read(end - start).rfind(b"\n")) >= 0:
                file.truncate(start + found + 1)
                return True
            end = start
        file.truncate(0)
    return False


def _same(path: Path, there: Header, wanted: Header) -> None:
    if (there.bench, there.checksum, there.system, there.model) != (
        wanted.bench,
        wanted.checksum,
        wanted.system,
        wanted.model,
    ):
        raise EvalError(
            f"{path} holds another run: {there.system} on {there.bench}, not {wanted.system} on {wanted.bench} "
            "with these questions. Choose another --out."
        )
