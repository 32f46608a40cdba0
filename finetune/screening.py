"""What the guards say about training pairs: whether a question is a crisis, and which sentences a model must not learn.

It reads and remembers; what becomes of a pair is for ``prepare.py`` to decide. The memory is bound to the guards and
the wording rules: when either changes, it starts anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from functools import cache
from multiprocessing import get_context
from pathlib import Path

from pydantic import Field

from .. import guards
from ..agent.prompt import support_prompt
from ..guards.types import Frozen, RiskLevel
from .pairs import Pair
from .wording import FILE as WORDING
from .wording import reword

UNJUDGED = "error"


class Screened(Frozen):
    """What was found out about one pair."""

    level: str
    """The crisis filter's verdict on the question, or ``error`` when it could not judge."""
    answer: str = ""
    """The answer as it may be learnt; empty when nothing of it may, or when the question is a crisis."""
    problems: tuple[str, ...] = ()
    """What the output guard found in ``answer`` as a whole, as ``diagnosis/you-have``."""
    left_out: tuple[str, ...] = Field(default=())
    """Why sentences are missing, once for each sentence."""

    @property
    def crisis(self) -> bool:
        """True for a question that the product answers without a model."""
        return self.level in (RiskLevel.ELEVATED, RiskLevel.IMMINENT)


def screen_pairs(
    pairs: Sequence[Pair],
    *,
    words: int | None,
    keep_crisis: bool = False,
    jobs: int = 1,
    memory: Path | None = None,
    progress: Callable[[int], object] = lambda _: None,
) -> list[Screened]:
    """What the guards say, one for each pair and in their order.

    Args:
        words: the answer's length after ``reword``; None leaves answers as they are.
        keep_crisis: read the answers to crisis questions too.
        jobs: processes.
        memory: folder for verdicts of earlier runs; None keeps none.
        progress: called with the number of pairs done since the last call.
    """
    known = _Memory(memory)
    keys = [_key(pair, words, keep_crisis) for pair in pairs]
    new = [(key, pair) for key, pair in zip(keys, pairs, strict=True) if key not in known.rows]
    new = list({key: (key, pair) for key, pair in new}.values())
    progress(len(pairs) - len(new))
    tasks = ((pair, words, keep_crisis) for _, pair in new)
    with known, _workers(min(jobs, len(new))) as pool:
        results: Iterable[Screened] = pool.map(_screen, tasks, chunksize=8) if pool else map(_screen, tasks)
        for (key, _), result in zip(new, results, strict=True):
            known.add(key, result)
            progress(1)
    return [known.rows[key] for key in keys]


def _screen(task: tuple[Pair, int | None, bool]) -> Screened:
    pair, words, keep_crisis = task
    verdict = _crisis_filter().screen(pair.question, pair.history)
    level = UNJUDGED if verdict.error else str(verdict.level)
    if verdict.crisis and not keep_crisis:
        return Screened(level=level)
    guard = _output_guard()
    if words is None:
        answer, left_out = pair.answer, ()
    else:
        done = reword(
            pair.answer, words, refused=lambda text, before: not guard.check(text, before, pair.question).safe
        )
        answer, left_out = done.text, done.left_out
    if not answer:
        return Screened(level=level, left_out=left_out)
    judged = guard.check(answer, context=pair.question, whole=True)
    problems = tuple(dict.fromkeys(f"{span.problem}/{span.rule.rpartition('/')[2]}" for span in judged.spans))
    return Screened(level=level, answer=answer, problems=(UNJUDGED,) if judged.error else problems, left_out=left_out)


@cache
def _crisis_filter() -> guards.CrisisFilter:
    return guards.CrisisFilter()


@cache
def _output_guard() -> guards.OutputGuard:
    return guards.OutputGuard(prompt=support_prompt().system)


def _workers(jobs: int):
    if jobs <= 1:
        return nullcontext(None)
    return ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))


def _key(pair: Pair, words: int | None, keep_crisis: bool) -> str:
    said = [turn.text for turn in pair.history]
    text = json.dumps([said, pair.question, pair.answer, words, keep_crisis], ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@cache
def rules_fingerprint() -> str:
    """Changes when anything changes that a verdict depends on: the guards' files, the wording rules, the prompt."""
    home = Path(guards.__file__).parent
    files = sorted(
        f for f in home.rglob("*") if f.suffix in {".py", ".yaml", ".json", ".onnx"} and "training" not in f.parts
    )
    digest = hashlib.sha256(support_prompt().system.encode())
    for file in [*files, WORDING, Path(__file__), Path(__file__).with_name("wording.py")]:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


class _Memory:
    """Verdicts of earlier runs under the same rules, in a file that each new verdict is added to at once."""

    def __init__(self, folder: Path | None) -> None:
        self.rows: dict[str, Screened] = {}
        self._file = folder / f"screened-{rules_fingerprint()}.jsonl" if folder else None
        self._out = None
        if self._file and self._file.exists():
            self.rows.update(_remembered(self._file))

    def __enter__(self) -> _Memory:
        if self._file:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._out = self._file.open("a", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        if self._out:
            self._out.close()

    def add(self, key: str, row: Screened) -> None:
        self.rows[key] = row
        if self._out:
            self._out.write(json.dumps([key, row.model_dump(mode="json")], ensure_ascii=False) + "\n")
            self._out.flush()


def _remembered(file: Path) -> Iterator[tuple[str, Screened]]:
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            key, row = json.loads(line)
            yield key, Screened.model_validate(row)
        except ValueError:
            continue  # the last line of a run that was killed


def default_jobs() -> int:
    """As many processes as this machine lets us run."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
