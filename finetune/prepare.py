"""From pairs to ``train.jsonl`` and ``validation.jsonl`` in the one chat format, with a manifest and a data card.

It decides which rows are learnt from and which are not, and says why for each row it drops. Rows that the guards refuse
are never kept in silence.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import regex

from ..agent.prompt import ChatMessage, support_prompt, to_chat
from .pairs import DataError, Pair
from .screening import UNJUDGED, Screened, screen_pairs
from .tokens import Estimate, TokenCount
from .wording import hears_the_person, shipped_wording

FORMAT = 1
"""Counted up when the files' form changes; training refuses another."""
TRAIN, VALIDATION, MANIFEST, CARD, DROPPED = "train.jsonl", "validation.jsonl", "data.json", "CARD.md", "dropped.jsonl"
SHORTEST = 12
"""Words under which an answer teaches little but brevity."""


class Reason(StrEnum):
    """Why a row was dropped. A row is counted under the first that holds, in this order."""

    EMPTY = "empty"
    """No question or no answer."""
    DUPLICATE = "duplicate"
    """Question and answer are those of an earlier row, case, spaces and punctuation aside."""
    LEAK = "leak"
    """The question is one of the bench's."""
    CRISIS = "crisis"
    """The crisis filter holds the question for elevated or imminent: no model answers such a turn."""
    UNJUDGED = "unjudged"
    """A guard could not judge it."""
    UNSAFE = "unsafe"
    """The output guard refuses the answer."""
    SHORT = "short"
    """Too little of the answer was left."""
    COLD = "cold"
    """A shortened answer that begins with advice: nothing in its first words hears the person."""
    LONG = "long"
    """Question and answer take more tokens than a training row may have."""


FLAGS = {Reason.CRISIS, Reason.UNJUDGED, Reason.UNSAFE}
"""What ``keep_flagged`` keeps."""


@dataclass(frozen=True)
class Options:
    """What is asked for."""

    words: int | None = 90
    """Answers are shortened to so many words; None leaves them as they are."""
    max_tokens: int = 512
    """Longest row, system prompt and chat template included."""
    validation: float = 0.1
    """Share of the questions that is held back."""
    seed: int = 7
    keep_flagged: bool = False
    """Keep what the guards refuse; the card says so."""
    jobs: int = 1
    memory: Path | None = None
    """Where verdicts of earlier runs are kept."""

    def __post_init__(self) -> None:
        if not 0 < self.validation < 1:
            raise DataError(f"--validation is {self.validation}; a share between 0 and 1, e.g. 0.1")
        if self.words is not None and self.words < 20:
            raise DataError(f"--shorten is {self.words}; a reply needs at least 20 words, e.g. 90; 0 shortens nothing")


_BREAKS = {ord(c): f"\\u{ord(c):04x}" for c in "\x85\u2028\u2029"}
"""Characters that some readers take for the end of a line; JSON need not escape them."""


@dataclass(frozen=True)
class Example:
    """A row to train on."""

    id: str
    source: str
    topic: str | None
    messages: tuple[ChatMessage, ...]

    def line(self) -> str:
        """As it stands in the file."""
        return json.dumps(vars(self), ensure_ascii=False).translate(_BREAKS) + "\n"


@dataclass(frozen=True)
class Dropped:
    """A row that is not learnt from."""

    id: str
    source: str
    reason: Reason
    detail: str = ""
    """Which rule, which earlier row, how many tokens; none of the text."""


@dataclass
class Prepared:
    """What became of the pairs."""

    train: list[Example] = field(default_factory=list)
    validation: list[Example] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    flagged: list[str] = field(default_factory=list)
    """Ids of rows that the guards refuse and that were kept all the same."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Sentences that were left out of answers, by reason."""
    levels: Counter[str] = field(default_factory=Counter)
    """The crisis filter's verdicts."""
    tokens: list[int] = field(default_factory=list)


def prepare(
    pairs: Sequence[Pair],
    options: Options,
    *,
    count: TokenCount | None = None,
    progress: Callable[[int], object] = lambda _: None,
) -> Prepared:
    """Decide about each pair, and part those that are kept.

    Raises:
        DataError: nothing is left to train on.
    """
    done = Prepared()
    unique = list(_without_copies(pairs, done.dropped))
    screened = screen_pairs(
        unique,
        words=options.words,
        keep_crisis=options.keep_flagged,
        jobs=options.jobs,
        memory=options.memory,
        progress=progress,
    )
    kept: list[Pair] = []
    for pair, seen in zip(unique, screened, strict=True):
        done.levels[seen.level] += 1
        done.left_out.update(seen.left_out)
        reason, detail = _refused(seen)
        if reason is None and options.words is not None and not hears_the_person(seen.answer):
            reason = Reason.COLD
        if reason in FLAGS and options.keep_flagged and seen.answer:
            done.flagged.append(pair.id)
        elif reason:
            done.dropped.append(Dropped(pair.id, pair.source, reason, detail))
            continue
        kept.append(pair.model_copy(update={"answer": seen.answer}))
    fitting = _that_fit(kept, options.max_tokens, count or Estimate(), done)
    _part(fitting, options, done)
    if not done.train or not done.validation:
        reasons = ", ".join(f"{n} {reason}" for reason, n in Counter(d.reason for d in done.dropped).most_common())
        raise DataError(
            f"of {len(pairs)} rows, {len(done.train)} are left to train on and {len(done.validation)} to validate "
            f"with; dropped: {reasons or 'none'}. It takes at least two different questions."
        )
    return done


def _refused(seen: Screened) -> tuple[Reason | None, str]:
    if seen.crisis:
        return Reason.CRISIS, seen.level
    if UNJUDGED in (seen.level, seen.problem):
        return Reason.UNJUDGED, ""
    if seen.problem:
        return Reason.UNSAFE, seen.problem
    words = len(seen.answer.split())
    return (Reason.SHORT, f"{words} words") if words < SHORTEST else (None, "")


_NO_WORD = regex.compile(r"[\W_]+")


def normal(text: str) -> str:
    """What two texts share that differ in case, spaces and punctuation only."""
    return _NO_WORD.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def _without_copies(pairs: Iterable[Pair], dropped: list[Dropped]):
    first: dict[tuple[str, str], str] = {}
    for pair in pairs:
        if not pair.question.strip() or not pair.answer.strip():
            empty = "question" if not pair.question.strip() else "answer"
            dropped.append(Dropped(pair.id, pair.source, Reason.EMPTY, empty))
            continue
        key = (normal(pair.question), normal(pair.answer))
        if (earlier := first.setdefault(key, pair.id)) != pair.id:
            dropped.append(Dropped(pair.id, pair.source, Reason.DUPLICATE, earlier))
            continue
        yield pair


def _that_fit(pairs: Sequence[Pair], max_tokens: int, count: TokenCount, done: Prepared) -> list[tuple[Pair, Example]]:
    """The question is never cut: a person's last words are often what is asked."""
    fitting: list[tuple[Pair, Example]] = []
    examples = [_example(pair) for pair in pairs]
    for pair, example, tokens in zip(pairs, examples, count.count([e.messages for e in examples]), strict=True):
        if tokens > max_tokens:
            done.dropped.append(Dropped(pair.id, pair.source, Reason.LONG, f"{tokens} tokens"))
        else:
            done.tokens.append(tokens)
            fitting.append((pair, example))
    return fitting


def _example(pair: Pair) -> Example:
    chat = [*to_chat(pair.history, pair.question), ChatMessage(role="assistant", content=pair.answer)]
    return Example(id=pair.id, source=pair.source, topic=pair.topic, messages=tuple(chat))


def _part(rows: Sequence[tuple[Pair, Example]], options: Options, done: Prepared) -> None:
    """All answers to a question stand on the same side, and a question stays there when other rows come or go."""
    for pair, example in rows:
        side = done.validation if held_back(normal(pair.question), options.validation, options.seed) else done.train
        side.append(example)
    order = random.Random(options.seed)
    order.shuffle(done.train)
    order.shuffle(done.validation)


def held_back(question: str, share: float, seed: int) -> bool:
    """Whether a question is one to validate with: decided by its own hash, never by its place in the file."""
    digest = hashlib.sha256(f"{seed}\n{question}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


@dataclass(frozen=True)
class Source:
    """Where pairs came from."""

    name: str
    licence: str
    rows: int
    path: str = ""


def write(
    done: Prepared, out: Path, *, sources: Sequence[Source], options: Options, count: TokenCount | None = None
) -> Mapping[str, object]:
    """Write the folder whole: an earlier one of ours is replaced at the end, anything else is left alone.

    Returns:
        The manifest.

    Raises:
        DataError: ``out`` holds something else.
    """
    from .card import card

    count = count or Estimate()
    if out.exists() and not (out.is_dir() and ((out / MANIFEST).exists() or not any(out.iterdir()))):
        raise DataError(f"{out}: is there and is no data folder of ours; name another with --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    new = out.with_name(f".{out.name}.{os.getpid()}.part")
    new.mkdir()
    try:
        sums = {}
        for name, rows in ((TRAIN, done.train), (VALIDATION, done.validation)):
            text = "".join(row.line() for row in rows)
            (new / name).write_text(text, encoding="utf-8")
            sums[name] = hashlib.sha256(text.encode()).hexdigest()
        lines = (
            json.dumps({"id": d.id, "source": d.source, "reason": d.reason, "detail": d.detail}) for d in done.dropped
        )
        (new / DROPPED).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        manifest = {
            "format": FORMAT,
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "prompt_version": support_prompt().version,
            "wording_version": shipped_wording().version if options.words else None,
            "sources": [vars(source) for source in sources],
            "rows": {"train": len(done.train), "validation": len(done.validation)},
            "dropped": dict(Counter(str(d.reason) for d in done.dropped)),
            "flagged": len(done.flagged),
            "words": options.words,
            "max_tokens": options.max_tokens,
            "tokenizer": count.name,
            "tokens_exact": count.exact,
            "validation_share": options.validation,
            "seed": options.seed,
            "sha256": sums,
        }
        (new / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        (new / CARD).write_text(card(done, manifest), encoding="utf-8")
        _replace(new, out)
    finally:
        _remove(new)
    return manifest


def _replace(new: Path, out: Path) -> None:
    if out.exists():
        _remove(out)
    new.rename(out)


def _remove(folder: Path) -> None:
    import shutil

    if folder.exists():
        shutil.rmtree(folder)
