"""People whom a language model plays against the agent: who they are and how they write, as data.

They are invented. What a model plays is no evidence of how a person in distress writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError, model_validator

from ..guards.types import Frozen
from .lines import EvalError
from .questionnaire import read_table
from .rubrics import named, read_data

SHIPPED = Path(__file__).parent / "data" / "simulation" / "personas.yaml"
RISK_COLUMNS = ("Current Risk Level", "Acuity", "Risk Type")
"""Where the tables of VERA-MH say how much is at stake; the first that is there counts."""


class Persona(Frozen):
    """One person."""

    name: str = Field(min_length=1)
    risk: str = ""
    """How much is at stake, by which figures are grouped."""
    country: str = Field(default="", pattern="^([A-Z]{2})?$")
    """ISO 3166-1 alpha-2, for the hotlines; empty: the setting's."""
    about: dict[str, str] = Field(min_length=1)
    """What the model is told, by heading."""

    @property
    def id(self) -> str:
        """The name as files and tables have it."""
        return re.sub(r"[^\w-]+", "-", self.name.casefold()).strip("-")

    def told(self) -> str:
        """Everything about the person, one line for each heading."""
        return "\n".join([f"Name: {self.name}", *(f"{head}: {text}" for head, text in self.about.items() if text)])


class Personas(Frozen):
    """A file of people."""

    version: int = Field(default=1, ge=1)
    personas: tuple[Persona, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        ids = [persona.id for persona in self.personas]
        if again := sorted({id for id in ids if ids.count(id) > 1}):
            raise ValueError(f"there are several {', '.join(again)}")
        return self


def read_personas(path: Path = SHIPPED) -> tuple[Persona, ...]:
    """The people of a YAML file, or of a table (``.tsv``, ``.csv``) with a column ``Name``, such as VERA-MH's.

    Of a table every column is told to the model under its heading.

    Raises:
        EvalError: naming the file and what is wrong.
    """
    if path.suffix.lower() not in (".tsv", ".csv"):
        return read_data(path, Personas).personas
    with named(path):
        return Personas(personas=tuple(_rows(path))).personas


def _rows(path: Path) -> Iterator[Persona]:
    for line, row in read_table(path, ("Name",)):
        risk = next((row[column] for column in RISK_COLUMNS if row.get(column)), "")
        try:
            yield Persona(name=row["Name"], risk=risk, about={h: t for h, t in row.items() if h != "Name" and t})
        except ValidationError as error:
            problem = error.errors()[0]
            raise EvalError(f"{path}, line {line}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}") from None
