"""The rubrics an answer is rated by, and the words a judge is given: read from data and checked when loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Self, TypeVar

import yaml
from pydantic import Field, ValidationError, model_validator

from ..guards.types import Frozen
from .lines import EvalError

DATA = Path(__file__).parent / "data"
LOWEST, HIGHEST = 1, 10
File = TypeVar("File", bound=Frozen)


class Rubric(Frozen):
    """One thing that is rated."""

    id: str = Field(pattern="^[a-z_]+$")
    name: str
    """As the paper has it; in `paper` mode the judge's scores are found by it."""
    asks: str
    anchors: dict[int, str]
    """What each point means."""

    @model_validator(mode="after")
    def _every_point(self) -> Self:
        if sorted(self.anchors) != list(range(LOWEST, HIGHEST + 1)):
            raise ValueError(f"rubric {self.id}: wants one anchor for each point from {LOWEST} to {HIGHEST}")
        return self


class Rubrics(Frozen):
    """A file of rubrics."""

    version: int = Field(ge=1)
    rubrics: tuple[Rubric, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len({rubric.id for rubric in self.rubrics}) < len(self.rubrics):
            raise ValueError("a rubric id is there twice")
        return self

    @property
    def ids(self) -> tuple[str, ...]:
        """In their order."""
        return tuple(rubric.id for rubric in self.rubrics)

    def name(self, id: str) -> str:
        """The name of a rubric."""
        return next((rubric.name for rubric in self.rubrics if rubric.id == id), id)


class JudgeWords(Frozen):
    """What a judge is told, with places for the rubrics, the question and the answer or answers."""

    version: int = Field(ge=1)
    system: str
    user: str
    pair: str = ""
    """Two answers in one call; empty where that is not asked."""
    again: str
    again_paper: str = ""


def read_rubrics(path: Path) -> Rubrics:
    """The rubrics of a file.

    Raises:
        EvalError: naming the file and the key.
    """
    return read_data(path, Rubrics)


@cache
def shipped_rubrics() -> Rubrics:
    """The seven of MentalChat16K."""
    return read_rubrics(DATA / "rubrics.yaml")


@cache
def judge_words() -> JudgeWords:
    """The words of the `structured` mode."""
    return read_data(DATA / "judge.yaml", JudgeWords)


def read_data(path: Path, kind: type[File]) -> File:
    """A YAML file of that kind.

    Raises:
        EvalError: naming the file and the key.
    """
    with named(path):
        return kind.model_validate(yaml.safe_load(path.read_text("utf-8")))


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Tell whatever is wrong with the data of a file as an ``EvalError`` that names it, and the key."""
    try:
        yield
    except EvalError:
        raise
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, p['loc'])) or 'file'}: {p['msg']}" for p in error.errors())
        raise EvalError(f"{path}: {problems}") from None
    except OSError as error:
        raise EvalError(f"{path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise EvalError(f"{path}: not YAML: {error}") from None
    except ValueError as error:
        raise EvalError(f"{path}: {error}") from None
