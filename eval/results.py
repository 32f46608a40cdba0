"""What a run says: means with intervals for each judge and rubric, what was unscored, and the worst answers.

People who rated stand beside the judges and are measured alike. A result of a judge is never mixed with that of another
one, and an unscored answer is in no mean.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from statistics import fmean

import numpy as np

from .journal import Answered, Header, Judged, Probed, read_run
from .lines import EvalError
from .probe import ProbeFigures, probe_figures
from .ratings import Rating, Ratings, fingerprint, read_beside
from .rubrics import Rubrics, shipped_rubrics
from .statistics import (
    Difference,
    Estimate,
    alpha_interval,
    holm,
    krippendorff_alpha,
    mean_interval,
    paired_difference,
    weighted_kappa,
)

OVERALL = "overall"
"""The mean of an answer's rubrics."""
HUMAN, HUMAN_MEAN = "human", "mean of raters"
"""In place of a judge's mode: one rater, and the mean of all of them where there are several."""


@dataclass(frozen=True)
class JudgeResult:
    """What one judge says about one run."""

    judge: str
    mode: str
    self_judged: bool
    """The judge is the model that answered: read with care."""
    judgements: int
    unscored: int
    problems: Mapping[str, int]
    """Why judgements are unscored, and how often."""
    by_rubric: Mapping[str, Estimate]
    """By rubric id, and ``overall``."""
    consistency: float
    """Krippendorff's alpha of its repeats over all rubrics; NaN without repeats."""
    scores: Mapping[str, Mapping[str, float]]
    """By question id, by rubric id and ``overall``; the mean of the repeats."""
    reasons: Mapping[str, Mapping[str, str]]
    """By question id, of its first judgement with scores."""

    @property
    def name(self) -> str:
        """Judge and mode."""
        return f"{self.judge} ({self.mode})"

    @property
    def human(self) -> bool:
        """It is a person, or several, and no model."""
        return self.mode in (HUMAN, HUMAN_MEAN)


@dataclass(frozen=True)
class RunResult:
    """Everything in the log of a run."""

    path: Path
    header: Header
    answers: Mapping[str, Answered]
    judges: tuple[JudgeResult, ...]
    """Models first, then people."""
    ratings: Ratings = field(default_factory=Ratings)
    """What people said about these answers."""
    probes: tuple[ProbeFigures, ...] = ()
    """What moves the judges that should not."""
    label: str = ""
    """What tells it from another run of the same system; see ``told_apart``."""

    @property
    def name(self) -> str:
        """As reports call it."""
        return self.label or self.header.system

    @property
    def routed(self) -> frozenset[str]:
        """Questions that the crisis protocol answered."""
        return frozenset(id for id, answer in self.answers.items() if answer.route == "crisis")

    @property
    def people(self) -> JudgeResult | None:
        """The mean of all raters, or the only one."""
        return next((judge for judge in reversed(self.judges) if judge.human), None)

    def holds(self, rating: Rating) -> bool:
        """Whether a rating is about an answer of this run, as it stands here."""
        answer = self.answers.get(rating.question)
        if answer is None or rating.answer not in ("", fingerprint(answer.text)):
            return False
        # Without the answer's mark, the system's name is not enough where two runs share it.
        known = bool(rating.answer) or not self.label
        return rating.system in (self.name, self.path.parent.name) or (known and rating.system == self.header.system)


def read_result(path: Path, rubrics: Rubrics | None = None) -> RunResult:
    """The results of a run's log, or of ``run.jsonl`` in a folder, with the ratings that lie beside it.

    Raises:
        EvalError: see ``read_run``; or it holds no answers.
    """
    rubrics = rubrics or shipped_rubrics()
    path = path / "run.jsonl" if path.is_dir() else path
    header: Header | None = None
    answers: dict[str, Answered] = {}
    judged: dict[tuple[str, str], list[Judged]] = defaultdict(list)
    probed: dict[tuple[str, str], list[Probed]] = defaultdict(list)
    for line in read_run(path):
        match line:
            case Header():
                header = line
            case Answered():
                answers[line.id] = line
            case Judged():
                if line.scores is not None and set(line.scores) != set(rubrics.ids):
                    raise EvalError(f"{path}: was judged by other rubrics; its own report lies beside it")
                judged[line.judge, line.mode].append(line)
            case Probed():
                probed[line.judge, line.mode].append(line)
            case _:
                pass
    if header is None or not answers:
        raise EvalError(f"{path}: holds no answers")
    judges = tuple(_judge(key, made, header, rubrics) for key, made in sorted(judged.items()))
    probes = tuple(probe_figures(judged[key], some, rubrics) for key, some in sorted(probed.items()))
    run = RunResult(path, header, answers, judges, probes=probes)
    return with_ratings(run, read_beside(path.parent), rubrics)


def told_apart(runs: Sequence[RunResult]) -> list[RunResult]:
    """The runs, those of one system over the same questions (a model before and after tuning) named by their folders.

    Raises:
        EvalError: one run is there twice.
    """
    if len({run.path.resolve() for run in runs}) < len(runs):
        raise EvalError("the same run is there twice")
    shared = Counter((run.header.checksum, run.header.system) for run in runs)
    folders = Counter(run.path.parent.resolve().name for run in runs)

    def label(run: RunResult) -> str:
        if shared[run.header.checksum, run.header.system] == 1:
            return ""
        folder = run.path.parent.resolve()
        return f"{run.header.system} ({folder.name if folders[folder.name] == 1 else folder})"

    return [replace(run, label=label(run)) for run in runs]


def with_ratings(run: RunResult, more: Ratings, rubrics: Rubrics | None = None) -> RunResult:
    """The run with what people said about it beside its judges. Ratings of anything else are passed over."""
    rubrics = rubrics or shipped_rubrics()
    # A CSV may name the folder and knows no mark of the answer; from here on there is one name for one thing.
    ours = tuple(
        rating.model_copy(
            update={"system": run.header.system, "answer": fingerprint(run.answers[rating.question].text)}
        )
        for rating in more.ratings
        if run.holds(rating) and rating.complete(rubrics)
    )
    rankings = tuple(r for r in more.rankings if r.bench == run.header.checksum)
    ratings = run.ratings + Ratings(ours, rankings)
    by_rater: dict[str, list[Rating]] = defaultdict(list)
    for rating in ratings.ratings:
        by_rater[rating.rater].append(rating)
    raters = [_people(name, HUMAN, by_rater[name], rubrics) for name in sorted(by_rater)]
    if len(raters) > 1:
        raters.append(_people("people", HUMAN_MEAN, ratings.ratings, rubrics))
    judges = tuple(judge for judge in run.judges if not judge.human)
    return replace(run, judges=(*judges, *raters), ratings=ratings)


def _people(name: str, mode: str, ratings: Sequence[Rating], rubrics: Rubrics) -> JudgeResult:
    made: dict[str, list[Mapping[str, float]]] = defaultdict(list)
    for rating in ratings:
        made[rating.question].append(rating.scores)
    return _result(name, mode, made, rubrics, judgements=len(ratings))


def _result(
    name: str,
    mode: str,
    by_id: Mapping[str, Sequence[Mapping[str, float]]],
    rubrics: Rubrics,
    *,
    judgements: int,
    self_judged: bool = False,
    problems: Mapping[str, int] | None = None,
    consistency: float = float("nan"),
    reasons: Mapping[str, Mapping[str, str]] | None = None,
) -> JudgeResult:
    """From the scores that were given to each answer, once or several times."""
    scores: dict[str, Mapping[str, float]] = {}
    for id, ones in by_id.items():
        each = {rubric: fmean(one[rubric] for one in ones) for rubric in rubrics.ids}
        scores[id] = each | {OVERALL: fmean(each.values())}
    return JudgeResult(
        name,
        mode,
        self_judged,
        judgements,
        sum((problems or {}).values()),
        problems or {},
        {rubric: mean_interval([each[rubric] for each in scores.values()]) for rubric in (*rubrics.ids, OVERALL)},
        consistency,
        scores,
        reasons or {},
    )


def _judge(key: tuple[str, str], made: Sequence[Judged], header: Header, rubrics: Rubrics) -> JudgeResult:
    name, mode = key
    by_id: dict[str, list[Judged]] = defaultdict(list)
    problems: dict[str, int] = defaultdict(int)
    for one in made:
        if one.scores is None:
            problems[one.problem] += 1
        else:
            by_id[one.id].append(one)
    return _result(
        name,
        mode,
        {id: [one.scores for one in ones if one.scores] for id, ones in by_id.items()},
        rubrics,
        judgements=len(made),
        self_judged=same_model(name, header.model),
        problems=dict(problems),
        consistency=_consistency(by_id, rubrics),
        reasons={id: ones[0].reasons for id, ones in by_id.items()},
    )


def same_model(judge: str, model: str) -> bool:
    """Whether they are one model, wherever it is served."""
    return judge.rpartition("@")[0].casefold() == (model.rpartition("@")[0] or model).casefold()


def _consistency(by_id: Mapping[str, Sequence[Judged]], rubrics: Rubrics) -> float:
    repeats = sorted({one.repeat for ones in by_id.values() for one in ones})
    if len(repeats) < 2:
        return float("nan")
    table = np.full((len(repeats), len(by_id) * len(rubrics.ids)), np.nan)
    for column, ones in enumerate(by_id.values()):
        for one in ones:
            for offset, rubric in enumerate(rubrics.ids):
                table[repeats.index(one.repeat), column * len(rubrics.ids) + offset] = (one.scores or {})[rubric]
    return krippendorff_alpha(table)


def worst(judge: JudgeResult, how_many: int = 10) -> list[str]:
    """Ids of the answers with the lowest overall score, the worst first."""
    return sorted(judge.scores, key=lambda id: (judge.scores[id][OVERALL], id))[:how_many]


def without(judge: JudgeResult, ids: Iterable[str]) -> Mapping[str, Estimate]:
    """The means of ``judge`` over the other questions, e.g. those that the protocol did not answer."""
    left = set(judge.scores) - set(ids)
    rubrics = judge.by_rubric
    return {rubric: mean_interval([judge.scores[id][rubric] for id in sorted(left)]) for rubric in rubrics}


@dataclass(frozen=True)
class Agreement:
    """How far judges, or people, of one run agree."""

    between: tuple[str, ...]
    """Two of them, or all human raters."""
    alpha: Mapping[str, float]
    """Krippendorff's, ordinal, by rubric."""
    alpha_interval: Mapping[str, tuple[float, float]]
    """95 %, over answers."""
    kappa: Mapping[str, float]
    """Quadratic-weighted, by rubric; empty for more than two."""
    n: int
    """Answers that at least two of them have scored."""


def agreement(run: RunResult, rubrics: Rubrics | None = None) -> list[Agreement]:
    """Every pair of judges, every judge with the people's mean, and people with each other."""
    ids = (rubrics or shipped_rubrics()).ids
    models = [judge for judge in run.judges if not judge.human]
    raters = [judge for judge in run.judges if judge.mode == HUMAN]
    pairs = [*combinations(models, 2), *((judge, run.people) for judge in models if run.people)]
    made = [_agreement(pair, ids) for pair in pairs]
    if len(raters) > 2:
        made.append(_agreement(raters, ids))
    return made + [_agreement(pair, ids) for pair in combinations(raters, 2)]


def _agreement(some: Sequence[JudgeResult], ids: Sequence[str]) -> Agreement:
    tally = Counter(id for judge in some for id in judge.scores)
    common = sorted(id for id, times in tally.items() if times >= 2)
    empty = dict.fromkeys(ids, float("nan"))
    given = {r: [[judge.scores[q][r] if q in judge.scores else np.nan for q in common] for judge in some] for r in ids}
    return Agreement(
        tuple(judge.name for judge in some),
        {r: krippendorff_alpha(np.array(scores)) for r, scores in given.items()} if common else empty,
        {r: alpha_interval(np.array(scores)) for r, scores in given.items()} if common else {},
        {} if len(some) > 2 else {r: weighted_kappa(*scores) for r, scores in given.items()} if common else empty,
        len(common),
    )


@dataclass(frozen=True)
class RubricDifference:
    """Two runs on one rubric, as one judge sees them."""

    rubric: str
    difference: Difference
    p_holm: float
    """Corrected after Holm: ``overall`` for the pairs of runs, a rubric for the pairs and the rubrics."""


@dataclass(frozen=True)
class RunComparison:
    """Two runs over the same questions, by one judge."""

    a: str
    b: str
    judge: str
    n: int
    left_out: int
    """Questions that only one of the two has scores for."""
    rows: tuple[RubricDifference, ...]


def compare(a: RunResult, b: RunResult) -> list[RunComparison]:
    """Both runs, question by question, for every judge that judged both in the same mode.

    Raises:
        EvalError: they have other questions, or no judge in common.
    """
    if a.header.checksum != b.header.checksum:
        raise EvalError(f"{a.path} and {b.path} are over other questions ({a.header.bench}, {b.header.bench})")
    ours, theirs = {judge.name: judge for judge in a.judges}, {judge.name: judge for judge in b.judges}
    if not (common := [name for name in ours if name in theirs]):
        raise EvalError(f"{a.path} and {b.path} have no judge in common; run them with the same --judge and --mode")
    made = []
    for name in common:
        x, y = ours[name].scores, theirs[name].scores
        ids = sorted(set(x) & set(y))
        found = {r: paired_difference([x[q][r] for q in ids], [y[q][r] for q in ids]) for r in ours[name].by_rubric}
        # The mean of the rubrics is what is asked first; the rubrics are then corrected for being several.
        rubrics = [r for r in found if r != OVERALL]
        corrected = dict(zip(rubrics, holm([found[r].p for r in rubrics]), strict=True))
        rows = tuple(RubricDifference(r, d, corrected.get(r, d.p)) for r, d in found.items())
        made.append(RunComparison(a.name, b.name, name, len(ids), len(set(x) ^ set(y)), rows))
    return made


def compare_all(runs: Sequence[RunResult]) -> list[RunComparison]:
    """Every pair of runs over the same questions with a judge in common, corrected for how many pairs there are."""
    made = []
    for a, b in combinations(runs, 2):
        if a.header.checksum == b.header.checksum and {j.name for j in a.judges} & {j.name for j in b.judges}:
            made += compare(a, b)
    return [one for judge in dict.fromkeys(one.judge for one in made) for one in _corrected(made, judge)]


def _corrected(every: Sequence[RunComparison], judge: str) -> list[RunComparison]:
    some = [one for one in every if one.judge == judge]
    found: dict[tuple[int, str], float] = {}
    for overall in (True, False):  # what is asked first is corrected for itself
        keys = [(n, row) for n, one in enumerate(some) for row in one.rows if (row.rubric == OVERALL) is overall]
        known = [(n, row) for n, row in keys if row.difference.n]
        ps = holm([row.difference.p for _, row in known])
        found |= {(n, row.rubric): p for (n, row), p in zip(known, ps, strict=True)}
    return [
        replace(one, rows=tuple(replace(row, p_holm=found.get((n, row.rubric), row.p_holm)) for row in one.rows))
        for n, one in enumerate(some)
    ]
