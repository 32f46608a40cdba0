"""Data sets of the Hugging Face hub, and folders that are laid out like one, through ``datasets``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .pairs import DataError, Pair
from .read import Columns, pairs_of_rows

MENTALCHAT = "ShenLab/MentalChat16K"
_FILES = {"interview": "Interview_Data_6K", "synthetic": "Synthetic_Data_10K"}
_ID = re.compile(r"[\w.-]+/[\w.-]+")


def names_data_set(source: str) -> bool:
    """Whether a source that is no file here can be a data set's id, such as ``ShenLab/MentalChat16K``."""
    return bool(_ID.fullmatch(source)) and not Path(source).suffix


def load_pairs(source: str, part: str = "both", columns: Columns | None = None) -> list[Pair]:
    """The pairs of a data set by its id, or of a folder that holds its files.

    Args:
        part: of MentalChat16K: the interviews (6k, with family caregivers, reworded), the synthetic questions (10k).

    Raises:
        DataError: ``datasets`` is missing, the hub is out of reach, or the data set has no such file or columns.
    """
    name = source.rstrip("/").rpartition("/")[2]
    if not _has_parts(source):
        return _read(source, None, name, columns)
    wanted = list(_FILES) if part == "both" else [part]
    return [pair for one in wanted for pair in _read(source, f"{_FILES[one]}*", f"{name}-{one}", columns)]


def _has_parts(source: str) -> bool:
    here = Path(source)
    return any(here.glob(f"{stem}*") for stem in _FILES.values()) if here.is_dir() else source == MENTALCHAT


def _read(source: str, files: str | None, name: str, columns: Columns | None) -> list[Pair]:
    try:
        from datasets import load_dataset  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise DataError(f"{source}: reading a data set needs `pip install 'warmline[finetune]'`") from None
    try:
        rows: Any = load_dataset(source, data_files=files, split="train")
    except Exception as error:  # its own errors share no class, and a dead network raises those of four libraries
        raise DataError(_why(source, files, error)) from None
    return pairs_of_rows(source, name, list(enumerate(rows, 1)), columns)


def _why(source: str, files: str | None, error: Exception) -> str:
    what = f"{source}{f' ({files})' if files else ''}"
    told = str(error).splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, FileNotFoundError) and Path(source).is_dir():
        there = ", ".join(sorted(file.name for file in Path(source).iterdir())[:8])
        return f"{what}: no such file in this folder; it holds {there}"
    if isinstance(error, ConnectionError | OSError) or "offline" in told.lower() or "connect" in told.lower():
        return (
            f"{what}: neither a file here nor reachable on the Hugging Face hub ({told}). Fetch its files on a machine "
            f"with a network, e.g. `hf download --repo-type dataset {source} --local-dir data`, and name that folder."
        )
    return f"{what}: cannot be loaded ({told})"
