"""Blind rating: what a person is shown in which order, and where what they say is kept.

Which system wrote an answer shows in nothing that is handed out. What several systems said word for word alike is shown
once and counts for each of them. Everybody rates the same questions, in an order of their own.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from . import ratings
from .lines import EvalError
from .ratings import Ranking, Rating, Ratings, fingerprint
from .results import RunResult, told_apart
from .rubrics import Rubrics, shipped_rubrics

MOST_RUNS = 9
"""Places of a ranking that a digit can name."""


@dataclass(frozen=True)
class Shown:
    """An answer without its author."""

    letter: str
    text: str
    systems: tuple[str, ...]
    """Who said it. Never shown to the rater."""


@dataclass(frozen=True)
class Task:
    """A question and what was said to it."""

    bench: str
    question: str
    """Its id."""
    text: str
    answers: tuple[Shown, ...]


@dataclass(frozen=True)
class Page:
    """One thing to do: rate an answer, or, without one, rank all answers of the task."""

    task: Task
    answer: Shown | None = None

    @property
    def kind(self) -> str:
        """``rate`` or ``rank``."""
        return "rank" if self.answer is None else "rate"


def tasks(runs: Sequence[RunResult], rater: str, *, seed: int = 0, questions: int | None = None) -> list[Task]:
    """What a rater is shown: the same questions as everybody with this ``seed``, shuffled for this rater.

    Raises:
        EvalError: one run is there twice, or there are more than nine.
    """
    runs = told_apart(runs)
    if len(runs) > MOST_RUNS:
        raise EvalError(f"{len(runs)} runs are too many to be told apart; {MOST_RUNS} at most")
    there: dict[tuple[str, str], list[RunResult]] = defaultdict(list)
    for run in runs:
        for id in run.answers:
            there[run.header.checksum, id].append(run)
    keys = sorted(there)
    random.Random(f"{seed}").shuffle(keys)
    keys = keys[:questions]
    random.Random(f"{seed}/{rater}").shuffle(keys)
    return [_task(key, there[key], random.Random(f"{seed}/{rater}/{key}")) for key in keys]


def _task(key: tuple[str, str], runs: Sequence[RunResult], order: random.Random) -> Task:
    bench, id = key
    by_text: dict[str, list[str]] = defaultdict(list)
    for run in runs:
        by_text[run.answers[id].text].append(run.name)
    said = sorted(by_text.items())
    order.shuffle(said)
    shown = tuple(
        Shown(letter, text, tuple(systems)) for letter, (text, systems) in zip(ascii_uppercase, said, strict=False)
    )
    return Task(bench, id, runs[0].answers[id].question, shown)


def pages(some: Sequence[Task]) -> Iterator[Page]:
    """Every answer of a question, then, where there are several, their order."""
    for task in some:
        yield from (Page(task, answer) for answer in task.answers)
        if len(task.answers) > 1:
            yield Page(task)


class Sheet:
    """One rater's work: the pages in their order, and what was said on each, kept beside the runs as it is said.

    Args:
        now: the time as ISO 8601.
    """

    def __init__(
        self,
        runs: Sequence[RunResult],
        rater: str,
        *,
        now: Callable[[], str],
        seed: int = 0,
        questions: int | None = None,
        rubrics: Rubrics | None = None,
    ) -> None:
        self.rater, self.rubrics, self._now = rater, rubrics or shipped_rubrics(), now
        self.pages = tuple(pages(tasks(runs, rater, seed=seed, questions=questions)))
        runs = told_apart(runs)
        self._files = {(run.header.checksum, run.name): ratings.file_of(run.path.parent, rater) for run in runs}
        self._systems = {run.name: run.header.system for run in runs}
        kept = Ratings()
        for file in self._files.values():
            if file.exists():
                kept += ratings.read_file(file)
        self._ratings = {(r.question, r.system, r.answer): r.scores for r in kept.ratings}
        self._rankings = {(r.bench, r.question, r.systems): r for r in kept.rankings}

    def points(self, page: Page) -> dict[str, int]:
        """What was said on a page so far: by rubric id, or by letter the place."""
        task, answer = page.task, page.answer
        if answer is None:
            kept = self._rankings.get((task.bench, task.question, _systems(task)))
            places = {one: n for n, group in enumerate(kept.order, 1) for one in group} if kept else {}
            return {shown.letter: places[shown.systems[0]] for shown in task.answers if kept}
        for system in answer.systems:
            if scores := self._ratings.get((task.question, self._systems[system], fingerprint(answer.text))):
                return dict(scores)
        return {}

    def wanted(self, page: Page) -> tuple[str, ...]:
        """What has to be said on a page: rubric ids, or letters."""
        return self.rubrics.ids if page.answer else tuple(shown.letter for shown in page.task.answers)

    def done(self, page: Page) -> bool:
        """Whether everything on a page is said."""
        return set(self.points(page)) >= set(self.wanted(page))

    @property
    def finished(self) -> int:
        """Pages that are done."""
        return sum(map(self.done, self.pages))

    @property
    def next(self) -> int:
        """The first page that is not done; the number of pages when all are."""
        return next((n for n, page in enumerate(self.pages) if not self.done(page)), len(self.pages))

    def write(self, page: Page, points: Mapping[str, int]) -> None:
        """Keep what was said on a page. A rating may be a beginning; a ranking is kept when it is whole.

        Raises:
            EvalError: it cannot be written.
        """
        if not points or dict(points) == self.points(page):
            return
        task, time = page.task, self._now()
        if page.answer is None:
            if set(points) != set(self.wanted(page)):
                return
            order = tuple(
                tuple(sorted(s for shown in task.answers if points[shown.letter] == place for s in shown.systems))
                for place in sorted(set(points.values()))
            )
            ranking = Ranking(rater=self.rater, question=task.question, order=order, bench=task.bench, time=time)
            for system in sorted(ranking.systems):
                ratings.append(self._files[task.bench, system], ranking)
            self._rankings[task.bench, task.question, ranking.systems] = ranking
            return
        mark = fingerprint(page.answer.text)
        for system in page.answer.systems:
            rating = Rating(
                rater=self.rater,
                question=task.question,
                system=self._systems[system],
                scores=dict(points),
                answer=mark,
                time=time,
            )
            ratings.append(self._files[task.bench, system], rating)
            self._ratings[task.question, rating.system, mark] = rating.scores


def _systems(task: Task) -> frozenset[str]:
    return frozenset(system for shown in task.answers for system in shown.systems)
