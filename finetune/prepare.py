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
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path

import regex

from ..agent.prompt import ChatMessage, support_prompt, to_chat
from .alike import alike, groups, likeness, runs, stems
from .identity import identity_hints
from .pairs import DataError, Pair
from .screening import UNJUDGED, Screened, screen_pairs
from .tokens import Estimate, TokenCount
from .wording import hears_the_person, names_danger, shipped_wording

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
    NEAR_DUPLICATE = "near duplicate"
    """Question and answer share most of their wording with an earlier row's."""
    LEAK = "leak"
    """The question is one of the bench's."""
    CRISIS = "crisis"
    """The crisis filter, or its wording alone, holds the question for a crisis: no model answers such a turn."""
    DANGER = "danger"
    """The question names self-harm, violence, an eating disorder or the like."""
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


NEAR_DUPLICATE = 0.8
"""Likeness of the questions, and of the answers, from which on a row says nothing new. No two questions of
MentalChat16K's synthetic part reach 0.7: the limit is for forum data, where a text is posted again slightly changed."""
SAME_QUESTION = 0.5
"""Likeness from which on two questions stand on the same side. Read on the same data: from 0.5 on they ask the same
thing with another last sentence; below it they begin to differ in what they ask for."""
LEAK = 0.6
"""Likeness of a question with one of the bench's, by the stems of their words because mentalchat200 is lemmatised.
Questions that have nothing to do with each other reach 0.23 at most (2,358 against 400)."""

FLAGS = {Reason.CRISIS, Reason.DANGER, Reason.UNJUDGED, Reason.UNSAFE}
"""What ``keep_flagged`` keeps."""


@dataclass(frozen=True)
class Options:
    """What is asked for."""

    words: int | None = 80
    """Answers are shortened to so many words; None leaves them as they are."""
    max_tokens: int = 512
    """Longest row, system prompt and chat template included."""
    validation: float = 0.1
    """Share of the questions that is held back."""
    seed: int = 7
    keep_flagged: bool = False
    """Keep what the guards refuse; the card says so."""
    jobs: int = 1
    drop_leaks: bool = False
    """Drop rows whose question is one of the bench's; otherwise they stop everything."""
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
    hints: Counter[str] = field(default_factory=Counter)
    """Rows kept that may tell who somebody is, by kind of hint."""


def prepare(
    pairs: Sequence[Pair],
    options: Options,
    *,
    count: TokenCount | None = None,
    bench: Mapping[str, str] | None = None,
    screen: Callable[[Sequence[Pair]], Sequence[Screened]] | None = None,
    progress: Callable[[int], object] = lambda _: None,
) -> Prepared:
    """Decide about each pair, and part those that are kept.

    Args:
        bench: questions by id that must not be learnt, because answers to them are judged later.
        screen: what judges the pairs; by default both guards, and ``reword``.

    Raises:
        DataError: nothing is left to train on, or a question is one of the bench's and ``drop_leaks`` is off.
    """
    done = Prepared()
    unique = list(_without_copies(pairs, done.dropped))
    unique = _without_leaks(unique, bench or {}, options.drop_leaks, done.dropped)
    unique = _without_near_copies(unique, done.dropped)
    screened = (screen or _both_guards(options, progress))(unique)
    kept: list[Pair] = []
    for pair, seen in zip(unique, screened, strict=True):
        done.levels[seen.level] += 1
        done.left_out.update(seen.left_out)
        reason, detail = _refused(pair, seen)
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


def _both_guards(options: Options, progress: Callable[[int], object]) -> Callable[[Sequence[Pair]], Sequence[Screened]]:
    return partial(
        screen_pairs,
        words=options.words,
        keep_crisis=options.keep_flagged,
        jobs=options.jobs,
        memory=options.memory,
        progress=progress,
    )


def _refused(pair: Pair, seen: Screened) -> tuple[Reason | None, str]:
    if seen.crisis:
        return Reason.CRISIS, seen.level
    if names_danger(pair.question):
        return Reason.DANGER, ""
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
    seen: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        if not pair.question.strip() or not pair.answer.strip():
            empty = "question" if not pair.question.strip() else "answer"
            dropped.append(Dropped(pair.id, pair.source, Reason.EMPTY, empty))
            continue
        same_question = seen[normal(pair.question)]
        answer = normal(pair.answer) if same_question else ""
        if earlier := next((one.id for one in same_question if normal(one.answer) == answer), None):
            dropped.append(Dropped(pair.id, pair.source, Reason.DUPLICATE, earlier))
            continue
        same_question.append(pair)
        yield pair


def _without_leaks(pairs: list[Pair], bench: Mapping[str, str], drop: bool, dropped: list[Dropped]) -> list[Pair]:
    ids = list(bench)
    texts = [stems(text) for text in [*bench.values(), *(pair.question for pair in pairs)]]
    leaks: dict[int, str] = {}
    for known, place in alike(texts, LEAK, known=len(ids)):
        leaks.setdefault(place - len(ids), ids[known])
    if leaks and not drop:
        shown = "".join(f"\n  {pairs[place].id} asks what {known} asks" for place, known in list(leaks.items())[:20])
        more = f"\n  and {len(leaks) - 20} more" if len(leaks) > 20 else ""
        raise DataError(
            f"{len(leaks)} questions are in the bench, so its figures would flatter:{shown}{more}\n"
            "--drop-leaks leaves these rows out."
        )
    dropped += [Dropped(pairs[place].id, pairs[place].source, Reason.LEAK, known) for place, known in leaks.items()]
    return [pair for place, pair in enumerate(pairs) if place not in leaks]


def _without_near_copies(pairs: list[Pair], dropped: list[Dropped]) -> list[Pair]:
    copies: dict[int, int] = {}
    for earlier, later in alike([runs(pair.question) for pair in pairs], NEAR_DUPLICATE):
        same = likeness(runs(pairs[earlier].answer), runs(pairs[later].answer)) >= NEAR_DUPLICATE
        if same and earlier not in copies:
            copies.setdefault(later, earlier)
    for later, earlier in copies.items():
        dropped.append(Dropped(pairs[later].id, pairs[later].source, Reason.NEAR_DUPLICATE, pairs[earlier].id))
    return [pair for place, pair in enumerate(pairs) if place not in copies]


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
    """All answers to a question, and to questions much like it, stand on the same side; and a question stays there when
    other rows come or go."""
    questions = sorted({normal(pair.question) for pair, _ in rows})
    group = groups(len(questions), alike([runs(question) for question in questions], SAME_QUESTION))
    first = {question: questions[place] for question, place in zip(questions, group, strict=True)}
    for pair, example in rows:
        held = held_back(first[normal(pair.question)], options.validation, options.seed)
        (done.validation if held else done.train).append(example)
        done.hints.update(identity_hints(f"{pair.question}\n{pair.answer}"))
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
            "identity_hints": dict(done.hints),
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
