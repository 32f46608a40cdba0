"""What the guards say about training pairs: whether a question is a crisis, and which sentences a model must not learn.

It reads and remembers; what becomes of a pair is for ``prepare.py`` to decide. The memory holds hashes and verdicts,
never a word of the texts, and starts anew when a file of the guards changes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache, cached_property
from multiprocessing import get_context
from pathlib import Path

from .. import guards
from ..agent.prompt import support_prompt
from ..guards.types import Frozen, RiskLevel, Utterance
from .pairs import Pair
from .wording import reword

UNJUDGED = "error"
OVERRULED = "overruled"
"""The wording is a crisis, and the filter's encoder took it back. Right or not, such a question is none to learn on."""
CRISES = frozenset({RiskLevel.ELEVATED.value, RiskLevel.IMMINENT.value, OVERRULED})


class Screened(Frozen):
    """What was found out about one pair."""

    level: str
    """The crisis filter's verdict on the question; ``overruled``, or ``error`` when it could not judge."""
    answer: str = ""
    """The answer as it may be learnt; empty when nothing of it may, or when the question is a crisis."""
    problem: str = ""
    """What the output guard found in ``answer`` as a whole, such as ``diagnosis/you-have``."""
    left_out: tuple[str, ...] = ()
    """Why sentences are missing, once for each sentence."""

    @property
    def crisis(self) -> bool:
        """True for a question that the product answers without a model."""
        return self.level in CRISES


class Screen:
    """Both guards, asked once for each text.

    Args:
        memory: file of earlier verdicts; read here, and written by whoever takes ``news``.
    """

    def __init__(self, memory: Path | None = None) -> None:
        self._known = _remembered(memory) if memory else {}
        self._news: dict[str, str] = {}

    @cached_property
    def _crisis(self) -> guards.CrisisFilter:
        return guards.CrisisFilter()

    @cached_property
    def _wording(self) -> guards.CrisisFilter:
        return guards.CrisisFilter(encoder=None)

    @cached_property
    def _output(self) -> guards.OutputGuard:
        return guards.OutputGuard(prompt=support_prompt().system)

    def news(self) -> dict[str, str]:
        """Verdicts that were not in the memory, since the last call."""
        news, self._news = self._news, {}
        return news

    def pair(self, pair: Pair, words: int | None, keep_crisis: bool = False) -> Screened:
        """What the guards say about a pair whose answer is shortened to ``words`` words; None leaves it as it is."""
        level = self.level(pair.question, pair.history)
        if level in CRISES and not keep_crisis:
            return Screened(level=level)
        answer, left_out = pair.answer, ()
        if words is not None:
            done = reword(answer, words, refused=lambda text, so_far: bool(self.problem(text, so_far, pair.question)))
            answer, left_out = done.text, done.left_out
        problem = self.problem(answer, "", pair.question, whole=True) if answer else ""
        return Screened(level=level, answer=answer, problem=problem, left_out=left_out)

    def level(self, question: str, history: Sequence[Utterance]) -> str:
        """The crisis filter's level, ``overruled`` or ``error``."""

        def ask() -> str:
            verdict = self._crisis.screen(question, history)
            return UNJUDGED if verdict.error else str(verdict.level)

        level = self._asked(ask, "crisis", question, *(f"{turn.role}: {turn.text}" for turn in history))
        if level in (RiskLevel.NONE, RiskLevel.CONCERN) and self._wording.wording(question, history).crisis:
            return OVERRULED
        return level

    def problem(self, text: str, before: str, question: str, whole: bool = False) -> str:
        """What the output guard finds, as ``problem/rule`` with commas between; ``error``, or empty for nothing."""

        def ask() -> str:
            verdict = self._output.check(text, before, question, whole)
            if verdict.error:
                return UNJUDGED
            found = (span.rule if "/" in span.rule else f"{span.problem}/{span.rule}" for span in verdict.spans)
            return ", ".join(dict.fromkeys(found))

        return self._asked(ask, "reply", text, before, question, str(whole))

    def _asked(self, ask: Callable[[], str], *texts: str) -> str:
        key = hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:32]
        if key not in self._known:
            self._known[key] = self._news[key] = ask()
        return self._known[key]


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
        words: the answers' length after ``reword``; None leaves them as they are.
        keep_crisis: read the answers to crisis questions too.
        jobs: processes.
        memory: folder for verdicts of earlier runs; None keeps none.
        progress: called with the number of pairs done since the last call.
    """
    file = memory / f"verdicts-{rules_fingerprint()}.jsonl" if memory else None
    tasks = ((pair, words, keep_crisis) for pair in pairs)
    results: list[Screened] = []
    with _remembering(file) as remember, _workers(min(jobs, len(pairs) // 50), file) as each:
        for screened, news in each(tasks):
            results.append(screened)
            remember(news)
            progress(1)
    return results


Task = tuple[Pair, int | None, bool]
_here = Screen()
"""The screen of a worker process; set when it starts."""


def _start(memory: Path | None) -> None:
    global _here
    _here = Screen(memory)


def _screen(task: Task) -> tuple[Screened, dict[str, str]]:
    return _here.pair(*task), _here.news()


@contextmanager
def _workers(jobs: int, memory: Path | None):
    """A ``map`` over so many processes, or over this one alone where more would not pay."""
    if jobs <= 1:
        screen = Screen(memory)
        yield lambda tasks: ((screen.pair(*task), screen.news()) for task in tasks)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), _start, (memory,)) as pool:
        yield lambda tasks: pool.map(_screen, tasks, chunksize=8)


@contextmanager
def _remembering(file: Path | None):
    """Takes new verdicts and writes them at once: a run that is killed loses none."""
    if file is None:
        yield lambda news: None
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as out:

        def remember(news: dict[str, str]) -> None:
            out.writelines(json.dumps(item) + "\n" for item in news.items())
            out.flush()

        yield remember


def _remembered(file: Path) -> dict[str, str]:
    known: dict[str, str] = {}
    if file.exists():
        for line in file.read_text(encoding="utf-8").splitlines():
            try:
                key, verdict = json.loads(line)
                known[key] = verdict
            except (ValueError, TypeError):
                continue  # the last line of a run that was killed
    return known


@cache
def rules_fingerprint() -> str:
    """Changes when anything changes that a verdict depends on: a file of the guards, or the system prompt."""
    home = Path(guards.__file__).parent
    kinds = {".py", ".yaml", ".json", ".onnx"}
    files: Iterable[Path] = (f for f in home.rglob("*") if f.suffix in kinds and "training" not in f.parts)
    digest = hashlib.sha256(support_prompt().system.encode())
    for file in sorted(files):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def default_jobs() -> int:
    """As many processes as this machine lets us run."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
