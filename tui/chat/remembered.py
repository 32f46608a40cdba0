"""The few choices the chat remembers between runs: country, theme, and that the first screen was read.

It never holds anything that a person wrote.
"""

from __future__ import annotations

import os
import tempfile
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tomli_w

from ...agent.settings import data_dir


def state_file() -> Path:
    """``state.toml`` beside the conversations."""
    return data_dir() / "state.toml"


@dataclass(frozen=True)
class Remembered:
    """Choices of the person at this computer."""

    welcomed: bool = False
    """True once the first screen was read and left."""
    country: str = ""
    """ISO 3166-1 alpha-2; empty when the person did not say."""
    theme: str = ""
    """``light`` or ``dark``; empty when never chosen."""

    @classmethod
    def read(cls, path: Path) -> Remembered:
        """What ``path`` holds. A missing or broken file counts as nothing remembered: the first screen asks again."""
        try:
            raw = tomllib.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            return cls()
        country, theme = _text(raw, "country").upper(), _text(raw, "theme")
        return cls(
            welcomed=raw.get("welcomed") is True,
            country=country if len(country) == 2 and country.isascii() and country.isalpha() else "",
            theme=theme if theme in ("light", "dark") else "",
        )

    def write(self, path: Path) -> None:
        """Write all of it or nothing: a new file takes the place of the old one.

        Raises:
            OSError: the directory cannot be written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".state-", suffix=".toml")
        try:
            with os.fdopen(handle, "wb") as file:
                tomli_w.dump(asdict(self), file)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _text(raw: dict[str, Any], key: str) -> str:
    value = raw.get(key)
    return value if isinstance(value, str) else ""
