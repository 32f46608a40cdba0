"""Vetted sentences that a reviewer may begin with: read from data, checked when they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from ...guards.types import Frozen

DATA = Path(__file__).parent / "data" / "snippets.yaml"


class SnippetError(ValueError):
    """The file cannot be used. The message names the file, the entry and what is wrong."""


class Snippet(Frozen):
    """One vetted text."""

    id: str = Field(pattern=r"^[a-z_]+$")
    title: str = Field(min_length=1, max_length=40)
    text: str = Field(min_length=1, max_length=400, pattern=r"^[^!]+$")
    """Without exclamation marks."""


_SNIPPETS = TypeAdapter(Annotated[tuple[Snippet, ...], Field(min_length=1)])


def load_snippets(path: Path = DATA) -> tuple[Snippet, ...]:
    """Read the snippets.

    Raises:
        SnippetError: naming the file and what is wrong.
    """
    try:
        snippets = _SNIPPETS.validate_python(yaml.safe_load(path.read_text("utf-8")))
    except OSError as error:
        raise SnippetError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SnippetError(f"{path}: is not valid YAML: {error}") from None
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors(include_url=False))
        raise SnippetError(f"{path}: " + "; ".join(problems)) from None
    ids = [snippet.id for snippet in snippets]
    if twice := {id_ for id_ in ids if ids.count(id_) > 1}:
        raise SnippetError(f"{path}: the id {min(twice)} is there twice")
    return snippets
