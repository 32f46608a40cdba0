"""What people say of answers: ratings by the same rubrics and rankings, from the rating screen or from a CSV.

A rater's word is never changed: a later line counts in place of an earlier one, and every line stays in the file. It
compares nobody; ``results`` puts raters beside the judges.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from ..guards.types import Frozen
from .journal import cut_half_line
from .lines import EvalError, listed
from .rubrics import HIGHEST, LOWEST, Rubrics, shipped_rubrics

VERSION = 1
FOLDER = "ratings"
"""In the folder of a run, with a file for each rater: raters neither wait for each other nor see each other."""
NAME = r"[\w.+-]{1,64}"
"""A rater's name; it is the name of a file too."""
Score = Annotated[int, Field(ge=LOWEST, le=HIGHEST)]


class Rating(Frozen):
    """What one person gives one answer."""

    kind: Literal["rating"] = "rating"
    version: Literal[1] = VERSION
    rater: str
    question: str
    """Id of the question."""
    system: str
    scores: dict[str, Score]
    """By rubric id. With a rubric missing it is a beginning, kept for the rater and in no figure."""
    answer: str = ""
    """``fingerprint`` of what was rated; empty where it is not known, as in a CSV."""
    time: str = ""
    """ISO 8601."""

    def complete(self, rubrics: Rubrics) -> bool:
        """Whether every rubric has its points."""
        return set(self.scores) == set(rubrics.ids)


class Ranking(Frozen):
    """One person's order of several systems on one question."""

    kind: Literal["ranking"] = "ranking"
    version: Literal[1] = VERSION
    rater: str
    question: str
    order: tuple[tuple[str, ...], ...]
    """Systems, the best first; those in one group are as good as each other."""
    bench: str = ""
    """Checksum of the questions."""
    time: str = ""

    @property
    def systems(self) -> frozenset[str]:
        """Those that are ranked."""
        return frozenset(system for group in self.order for system in group)

    def place(self, system: str) -> float:
        """1 is the best; those that tie share the mean of their places."""
        before = 0
        for group in self.order:
            if system in group:
                return before + (len(group) + 1) / 2
            before += len(group)
        raise KeyError(system)


Line = Rating | Ranking
_LINE: TypeAdapter[Line] = TypeAdapter(Annotated[Line, Field(discriminator="kind")])


def fingerprint(text: str) -> str:
    """Tells whether an answer is still the one that was rated."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


@dataclass(frozen=True)
class Ratings:
    """What several people said; of each the last word."""

    ratings: tuple[Rating, ...] = ()
    rankings: tuple[Ranking, ...] = ()

    @classmethod
    def of(cls, lines: Iterable[Line]) -> Ratings:
        """The last line of each rater on each thing."""
        ratings: dict[tuple[str, str, str, str], Rating] = {}
        rankings: dict[tuple[str, str, str, frozenset[str]], Ranking] = {}
        for line in lines:
            if isinstance(line, Rating):
                ratings[line.rater, line.question, line.system, line.answer] = line
            else:
                rankings[line.rater, line.bench, line.question, line.systems] = line
        return cls(tuple(ratings.values()), tuple(rankings.values()))

    def __add__(self, other: Ratings) -> Ratings:
        return Ratings.of([*self.ratings, *self.rankings, *other.ratings, *other.rankings])


# -- the files of the rating screen ----------------------------------------------------------------------------------


def file_of(run: Path, rater: str) -> Path:
    """Where the ratings of a person lie, beside the run that they are about.

    Raises:
        EvalError: the name cannot be one of a file.
    """
    if not re.fullmatch(NAME, rater, re.ASCII) or rater.startswith("."):
        raise EvalError("a rater's name is 1 to 64 letters, digits or . + - _, such as --rater sam")
    return run / FOLDER / f"{rater}.jsonl"


def append(file: Path, line: Line) -> None:
    """Write a line; it is there when this returns. A half line of an earlier, killed run is cut off first.

    Raises:
        EvalError: it cannot be written, as on a full disk. What was written before is kept.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_file():
            cut_half_line(file)
        with file.open("ab") as there:
            there.write(line.model_dump_json().encode() + b"\n")
    except OSError as error:
        full = "the disk is full" if error.errno == errno.ENOSPC else error.strerror
        raise EvalError(f"{file}: {full}. What was rated before is kept.") from None


def read_file(file: Path) -> Ratings:
    """The ratings of one person. A last line that was cut in half is left out.

    Raises:
        EvalError: naming the file and the line that is damaged, or of another version.
    """
    return Ratings.of(_lines(file))


def _lines(file: Path) -> Iterator[Line]:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise EvalError(f"{file}: {error.strerror}") from None
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        try:
            yield _LINE.validate_json(line)
        except ValidationError:
            if (version := _version(line)) not in (None, VERSION):
                raise EvalError(
                    f"{file}, line {number}: written by another version (rating version {version}, this one reads "
                    f"{VERSION}); it was left as it is"
                ) from None
            raise EvalError(f"{file}, line {number}: damaged; mend or delete the line") from None


def _version(line: bytes) -> object:
    try:
        return json.loads(line)["version"]
    except (ValueError, KeyError, TypeError):
        return None


def read_beside(run: Path) -> Ratings:
    """The ratings of everybody, in the folder of a run; none where nobody has rated it."""
    files = sorted((run / FOLDER).glob("*.jsonl"))
    return Ratings.of(line for file in files for line in _lines(file))


# -- a CSV ------------------------------------------------------------------------------------------------------------


def read_csv(file: Path, rubrics: Rubrics | None = None, *, skip_bad: bool = False) -> tuple[Ratings, tuple[str, ...]]:
    """Ratings made elsewhere: the columns ``rater``, ``question``, ``system`` and one for each rubric.

    A rubric's column bears its id or its name; other columns are passed over. ``system`` is what the report calls it.

    Returns:
        The ratings, and the lines that were left out.

    Raises:
        EvalError: the file cannot be read, a column is missing or doubled, or lines are wrong and ``skip_bad`` is off.
    """
    rubrics = rubrics or shipped_rubrics()
    try:
        text = file.read_text("utf-8-sig")
    except OSError as error:
        raise EvalError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise EvalError(f"{file}: not UTF-8; save it as a CSV in UTF-8") from None
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    ratings: list[Rating] = []
    wrong: list[str] = []
    seen: dict[tuple[str, str, str], int] = {}
    try:
        head = next(rows, [])
        pick = _columns(file, head, rubrics)
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            number = rows.line_num
            try:
                made = _rating(row, head, pick, rubrics)
            except ValueError as error:
                wrong.append(f"line {number}: {error}")
                continue
            key = (made.rater, made.question, made.system)
            if (first := seen.setdefault(key, number)) != number:
                wrong.append(f"line {number}: {' / '.join(key)} is already there, in line {first}")
            else:
                ratings.append(made)
    except csv.Error as error:
        raise EvalError(f"{file}, line {rows.line_num}: no CSV ({error})") from None
    if wrong and not skip_bad:
        raise EvalError(f"{file}: {listed(wrong)}\n--skip-bad leaves these lines out and goes on.")
    if not ratings:
        raise EvalError(f"{file}: not one usable row" + (f"; {listed(wrong)}" if wrong else ""))
    return Ratings(tuple(ratings)), tuple(wrong)


def _columns(file: Path, head: Sequence[str], rubrics: Rubrics) -> Mapping[str, int]:
    """Where each thing stands."""
    wanted = {"rater": "rater", "question": "question", "system": "system"}
    for rubric in rubrics.rubrics:
        wanted |= {_plain(rubric.id): rubric.id, _plain(rubric.name): rubric.id}
    found: dict[str, int] = {}
    for place, cell in enumerate(head):
        if (name := wanted.get(_plain(cell))) is None:
            continue
        if name in found:
            raise EvalError(f"{file}, line 1: two columns for {name}")
        found[name] = place
    if missing := [name for name in ("rater", "question", "system", *rubrics.ids) if name not in found]:
        raise EvalError(f"{file}, line 1: no column for {', '.join(missing)}")
    return found


def _plain(name: str) -> str:
    return "".join(re.findall(r"\w+", name.casefold())).replace("_", "")


def _rating(row: Sequence[str], head: Sequence[str], pick: Mapping[str, int], rubrics: Rubrics) -> Rating:
    if len(row) != len(head):
        raise ValueError(f"{len(row)} cells, and {len(head)} columns")
    told = {name: row[place].strip() for name, place in pick.items()}
    if empty := [name for name in ("rater", "question", "system") if not told[name]]:
        raise ValueError(f"{empty[0]} is empty")
    scores: dict[str, int] = {}
    for id in rubrics.ids:
        if not re.fullmatch(r"\d{1,3}(\.0+)?", told[id], re.ASCII) or not LOWEST <= float(told[id]) <= HIGHEST:
            raise ValueError(f"{id} is {told[id][:20]!r}, and wants a whole number from {LOWEST} to {HIGHEST}")
        scores[id] = int(float(told[id]))
    return Rating(rater=told["rater"], question=told["question"], system=told["system"], scores=scores)
