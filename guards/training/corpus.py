"""The labelled messages the encoder learns from, read from JSONL. It reads and checks; it never changes a label."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..types import Category, RiskLevel

CATEGORIES: tuple[Category, ...] = tuple(Category)
"""Order of the category outputs."""

LEVELS: tuple[RiskLevel, ...] = tuple(RiskLevel)
"""Order of the level outputs, rising."""

HERE = Path(__file__).parents[1] / "corpus"
"""The corpus kept in the repository; it is not part of the wheel."""


@dataclass(frozen=True, slots=True)
class Message:
    """One labelled message. ``kind`` and ``style`` are annotation for reports and never reach the encoder."""

    id: str
    text: str
    level: RiskLevel
    categories: frozenset[Category]
    author: str
    language: str = "en"
    kind: str = ""
    style: tuple[str, ...] = ()
    pair: str = ""
    """Contrast pair: messages with the same non-empty ``pair`` differ by a small change and share a split."""

    @property
    def crisis(self) -> bool:
        """True for elevated and imminent."""
        return self.level >= RiskLevel.ELEVATED


def read_file(path: Path) -> list[Message]:
    """Messages of one JSONL file, in order. A wrong line raises ValueError that names file, line and field."""
    messages = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            author = str(row.get("author") or path.stem.split("_")[0])
            messages.append(
                Message(
                    id=str(row.get("id") or f"{path.stem}:{number}"),
                    text=row["text"],
                    level=RiskLevel(row["level"]),
                    categories=frozenset(Category(name) for name in row.get("categories", ())),
                    author=author,
                    language=row.get("lang", "en"),
                    kind=row.get("kind", ""),
                    style=tuple(row.get("style", ())),
                    pair=f"{path.stem}:{row['pair']}" if "pair" in row else "",
                )
            )
        except (json.JSONDecodeError, KeyError, ValueError, AttributeError) as error:
            raise ValueError(f"{path}, line {number}: {error!r}; see {HERE / 'README.md'} for the format") from error
    return messages


def read_glosses(path: Path) -> list[Message]:
    """The English glosses of a multilingual file, as messages of their own (author ``<author>-gloss``)."""
    messages = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        row = json.loads(line)
        if row.get("en"):
            messages.append(
                Message(
                    id=f"{path.stem}:{number}:en",
                    text=row["en"],
                    level=RiskLevel(row["level"]),
                    categories=frozenset(Category(name) for name in row.get("categories", ())),
                    author=f"{row.get('author') or 'e'}-gloss",
                    kind=row.get("kind", ""),
                    style=("gloss",),
                )
            )
    return messages


def read_corpus(folder: Path = HERE, languages: Collection[str] = ("en",)) -> list[Message]:
    """Every message of ``folder/*.jsonl`` in some languages, duplicates dropped, files in the order of their names.

    Raises:
        FileNotFoundError: when the folder holds no messages; the wheel ships none.
        ValueError: for a wrong line, see ``read_file``.
    """
    paths = sorted(folder.glob("*.jsonl"))
    if not paths:
        raise FileNotFoundError(
            f"no *.jsonl in {folder}: work in a checkout of the repository, or give --corpus FOLDER"
        )
    seen: set[str] = set()
    messages = []
    for path in paths:
        if path.stem.startswith("dialogues"):
            continue
        found = read_file(path)
        if "en" in languages and any(message.language != "en" for message in found):
            found = [*found, *read_glosses(path)]
        for message in found:
            key = " ".join(message.text.lower().split())
            if message.language in languages and key and key not in seen:
                seen.add(key)
                messages.append(message)
    return messages


def read_every_language(folder: Path = HERE) -> list[Message]:
    """Every message of ``folder/*.jsonl`` as it stands, other languages and doubles included; no glosses."""
    return [
        m for path in sorted(folder.glob("*.jsonl")) if not path.stem.startswith("dialogues") for m in read_file(path)
    ]


def unseen(message: Message) -> bool:
    """Whether a message, or the one it is the gloss of, is for judging other languages only: every second line of
    ``multilingual.jsonl``. Nobody who mended a lexicon looked at these, and nothing is trained or chosen on them."""
    stem, _, line = message.id.partition(":")
    return stem == "multilingual" and int(line.partition(":")[0]) % 2 == 0


def spared(message: Message) -> bool:
    """Whether the multilingual network is calibrated on a message, and never trained on it: a quarter of the pairs of
    k1 and l1. What l1 says in five languages is spared in all of them."""
    number = message.id.rpartition("-")[2]
    return message.author in ("k1", "l1") and number.isdigit() and (int(number) - 1) // 2 % 4 == 3


def seen_half(folder: Path = HERE) -> list[Message]:
    """``read_every_language`` without what is kept for judging."""
    return [m for m in read_every_language(folder) if not unseen(m)]


def by_author(messages: Iterable[Message], authors: Sequence[str]) -> tuple[list[Message], list[Message]]:
    """(messages of other authors, messages of ``authors``). An author nobody wrote as raises ValueError."""
    messages = list(messages)
    known = {message.author for message in messages}
    if unknown := sorted(set(authors) - known):
        raise ValueError(f"no messages by {', '.join(unknown)}; authors are {', '.join(sorted(known))}")
    held = set(authors)
    return [m for m in messages if m.author not in held], [m for m in messages if m.author in held]
