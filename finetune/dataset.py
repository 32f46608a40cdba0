"""The folder that ``warmline finetune data`` writes, read back and checked before anything is trained on it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from ..agent.prompt import ChatMessage, support_prompt
from .pairs import DataError

FILES = ("train.jsonl", "validation.jsonl")


@dataclass(frozen=True)
class Conversation:
    """What the model is given and what it should answer."""

    id: str
    prompt: tuple[ChatMessage, ...]
    """System prompt and turns, the person's message last."""
    answer: str


@dataclass(frozen=True)
class Dataset:
    """A made data set."""

    folder: Path
    train: tuple[Conversation, ...]
    validation: tuple[Conversation, ...]
    manifest: dict[str, object]
    """What ``data.json`` says."""


def load_dataset(folder: Path) -> Dataset:
    """The data in ``folder``.

    Raises:
        DataError: a file is missing, changed since it was made or cannot be read, the prompt has another version by
            now, or a question stands in both parts.
    """
    manifest = _manifest(folder / "data.json")
    version = support_prompt().version
    if manifest.get("prompt_version") != version:
        raise DataError(
            f"{folder}/data.json: made with prompt version {manifest.get('prompt_version')}, the agent has {version}; "
            "make the data again with `warmline finetune data`"
        )
    sums = manifest.get("sha256")
    for name in FILES:
        if isinstance(sums, dict) and name in sums and _sha256(folder / name) != sums[name]:
            raise DataError(f"{folder / name}: changed since it was made; make it again with `warmline finetune data`")
    train, validation = (_read(folder / name) for name in FILES)
    asked = {one.prompt[-1]["content"] for one in train}
    if both := [one.id for one in validation if one.prompt[-1]["content"] in asked]:
        raise DataError(f"{folder}: questions in both parts, so the validation loss would flatter: {both[:3]}")
    return Dataset(folder, train, validation, manifest)


def _manifest(path: Path) -> dict[str, object]:
    try:
        made = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"{path} is missing; a good folder is what `warmline finetune data FILE --out DIR` wrote"
        ) from None
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error}); make the data again with `warmline finetune data`") from None
    if not isinstance(made, dict):
        raise DataError(f"{path}: not a manifest; make the data again with `warmline finetune data`")
    return made


def _read(path: Path) -> tuple[Conversation, ...]:
    found = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise DataError(f"{path} is missing; make the data again with `warmline finetune data`") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 ({error.reason} at byte {error.start})") from None
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            *prompt, answer = row["messages"]
            if answer["role"] != "assistant" or prompt[-1]["role"] != "user":
                raise ValueError("the last two messages must be a user's and an assistant's")
            messages = tuple(ChatMessage(role=one["role"], content=one["content"]) for one in prompt)
            found.append(Conversation(str(row["id"]), messages, answer["content"]))
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise DataError(f"{path}:{number}: not a conversation ({error})") from None
    if not found:
        raise DataError(f"{path} is empty; see the drop reasons in {path.parent}/CARD.md")
    return tuple(found)


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        raise DataError(f"{path} is missing; make the data again with `warmline finetune data`") from None
