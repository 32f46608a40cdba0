"""The protocol's data files as plain values that remember their lines, so that every complaint names file and line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound=BaseModel)


class PlaybookError(ValueError):
    """A playbook file cannot be used. The message names the file, the line and what is wrong."""


class Lines:
    """A YAML file as plain values, with the line of every value."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.at: dict[tuple[str | int, ...], int] = {}
        try:
            node = yaml.compose(path.read_text("utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except OSError as error:
            raise PlaybookError(f"{path}: cannot be read: {error.strerror}") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise PlaybookError(f"{path}: is not valid YAML: {error}") from None
        self.value = self._plain(node, ())

    def _plain(self, node: Any, where: tuple[str | int, ...]) -> Any:
        if node is None:
            return None
        self.at[where] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            found: dict[str, Any] = {}
            for key, value in node.value:
                if key.value in found:
                    raise PlaybookError(f"{self.path}:{key.start_mark.line + 1}: the key {key.value} is there twice")
                found[key.value] = self._plain(value, (*where, key.value))
                self.at[(*where, key.value)] = key.start_mark.line + 1
            return found
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item, (*where, number)) for number, item in enumerate(node.value)]
        if node.tag.endswith(":bool") and node.value in ("true", "false"):
            return node.value == "true"
        return node.value

    def line(self, *where: str | int) -> int:
        """The line of the value, or of the nearest one above it."""
        while where and where not in self.at:
            where = where[:-1]
        return self.at.get(where, 1)

    def error(self, where: Sequence[str | int], message: str) -> PlaybookError:
        """The complaint about a value, with file and line."""
        return PlaybookError(f"{self.path}:{self.line(*where)}: {message}")

    def read(self, model: type[M]) -> M:
        """The file as ``model``."""
        try:
            return model.model_validate(self.value)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise self.error(first["loc"], f"{where}: {first['msg']}") from None
