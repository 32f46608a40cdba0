"""How many tokens a conversation takes: counted with the base model's tokenizer, or estimated where that is missing.

An estimate says that it is one; it never fetches anything.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..agent.prompt import ChatMessage

TOKENS_A_CHARACTER = 0.26
"""SmolLM2's tokens for each character of MentalChat16K's synthetic part are 0.19 on average and 0.26 in its densest
hundredth: an estimate shall rather drop a row that would fit than keep one that does not."""
AROUND = 8
"""Tokens that a chat template puts around each message, at most, in the templates of the presets."""


class TokenCount(Protocol):
    """Counts the tokens of conversations."""

    @property
    def name(self) -> str:
        """The tokenizer, or that it is an estimate; for the manifest."""
        ...

    @property
    def exact(self) -> bool:
        """False for an estimate."""
        ...

    def count(self, chats: Sequence[Sequence[ChatMessage]]) -> list[int]:
        """The tokens of each conversation with its template."""
        ...


@dataclass(frozen=True)
class Estimate:
    """Tokens by the number of characters."""

    name: str = f"estimate of {TOKENS_A_CHARACTER} tokens a character"
    exact: bool = False

    def count(self, chats: Sequence[Sequence[ChatMessage]]) -> list[int]:
        """Rather too many than too few."""
        return [sum(AROUND + round(len(m["content"]) * TOKENS_A_CHARACTER) for m in chat) for chat in chats]


class FromCheckpoint:
    """Tokens as the model's own tokenizer makes them; ``folder`` holds its ``tokenizer.json``.

    Each text is counted once, however often it stands in the data; what the template puts around it is added.
    """

    exact = True

    def __init__(self, folder: Path, name: str = "") -> None:
        from tokenizers import Tokenizer

        self.name = name or folder.name
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._known: dict[str, int] = {}

    def count(self, chats: Sequence[Sequence[ChatMessage]]) -> list[int]:
        """The contents' tokens, and those of the template around them."""
        new = list({m["content"]: None for chat in chats for m in chat if m["content"] not in self._known})
        for encoded, text in zip(self._tokenizer.encode_batch(new, add_special_tokens=False), new, strict=True):
            self._known[text] = len(encoded.ids)
        return [sum(AROUND + self._known[m["content"]] for m in chat) for chat in chats]


def token_count(folder: Path | None, name: str) -> TokenCount:
    """The checkpoint's own tokenizer where ``folder`` has one, else the estimate."""
    if folder is not None and _readable(folder / "tokenizer.json"):
        return FromCheckpoint(folder, name)
    return Estimate()


def _readable(file: Path) -> bool:
    try:
        return "model" in json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
