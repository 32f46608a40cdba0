"""What is known about the judges of a report: whom they agree with, how far off they are, and what moves them.

It changes no score. What was not measured is said to be so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from .calibration import FEWEST, Calibration, calibrated, shared
from .probe import ProbeFigures
from .rankings import ranking_figures
from .results import OVERALL, Agreement, JudgeResult, RunResult
from .rubrics import Rubrics
from .statistics import Difference, Estimate
from .tables import Table, or_dash, told


def calibration_of(judge: JudgeResult, some: Iterable[Calibration]) -> Calibration | None:
    """That of this judge, by the most answers where there are several."""
    return max((one for one in some if one.name == judge.name), key=lambda one: one.answers, default=None)


def calibration_told(one: Calibration) -> str:
    """How well a calibration holds, in a sentence or two."""
    whole = one.rubrics[OVERALL]
    helps = "" if whole.helps else " That is no difference beyond chance: its own scores do as well."
    return (
        f"{one.name} is calibrated on {one.answers} answers to {one.questions} questions that people rated "
        f"({', '.join(one.raters)}): its overall score is {whole.error_before:.2f} points away from theirs, calibrated "
        f"{whole.error_after:.2f} on answers that were not in the fit.{helps}"
    )


def judges_told(runs: Sequence[RunResult], calibrations: Sequence[Calibration]) -> list[str]:
    """Whether each judge is calibrated, and what moves it."""
    said = []
    judges = {judge.name: judge for run in runs for judge in run.judges if not judge.human}
    for name, judge in judges.items():
        if one := calibration_of(judge, calibrations):
            said.append(calibration_told(one))
            continue
        n = shared(runs, name)
        rated = "nobody has rated its answers" if n == 0 else f"people rated {n} of its answers"
        then = "; `warmline eval calibrate` does it" if n >= FEWEST else f", and it takes {FEWEST}"
        said.append(f"{name} is not calibrated against people: {rated}{then}. Its points are its own.")
    by_judge: dict[str, list[ProbeFigures]] = {}
    for run in runs:
        for probe in run.probes:
            by_judge.setdefault(probe.name, []).append(probe)
    said += [_probes_told(some) for some in by_judge.values()]
    if missing := [name for name in judges if name not in by_judge]:
        said.append(f"What length and order do to {' and '.join(missing)} was not measured (--probe).")
    return said


def _probes_told(some: Sequence[ProbeFigures]) -> str:
    """Of one judge on several systems: each effect, or from where to where it goes."""
    parts = []
    if length := [probe.length[OVERALL] for probe in some if probe.length]:
        parts.append(f"sentences that say nothing are worth {_range(length)} points")
    if order := [probe.order[OVERALL] for probe in some if probe.order]:
        parts.append(f"the first place is worth {_range(order)} points")
        pairs = sum(probe.flips.n for probe in some)
        flips = sum(probe.flips.value * probe.flips.n for probe in some if probe.flips.n) / pairs
        parts.append(f"{flips:.0%} of {pairs} pairs are preferred otherwise when the two change places")
    if not parts:
        return f"{some[0].name} was probed for length and order, and gave nothing that could be read."
    return f"{some[0].name}: {'; '.join(parts)}."


def _range(some: Sequence[Difference]) -> str:
    if len(some) == 1:
        return _points(some[0])
    return f"{min(d.value for d in some):+.2f} to {max(d.value for d in some):+.2f}"


def _points(d: Difference) -> str:
    return f"{d.value:+.2f} ({d.low:+.2f} to {d.high:+.2f})"


def judge_tables(
    runs: Sequence[RunResult],
    agreements: Sequence[Sequence[Agreement]],
    calibrations: Sequence[Calibration],
    rubrics: Rubrics,
) -> Iterable[Table]:
    """Agreement (of each run), rankings by people, calibration, probes."""
    names = [rubrics.name(id) for id in rubrics.ids]
    for run, some in zip(runs, agreements, strict=True):
        rows = []
        for one in some:
            between = " / ".join(one.between)
            alphas = [told(Estimate(v, *one.alpha_interval.get(r, (v, v)), one.n)) for r, v in one.alpha.items()]
            rows.append([between, one.n, "Krippendorff's alpha", *alphas])
            if one.kappa:
                rows.append([between, one.n, "weighted kappa", *(or_dash(v, 2) for v in one.kappa.values())])
        if rows:
            yield Table(
                f"Agreement on {run.name}",
                ["between", "answers", "measure", *names],
                rows,
                "1 is agreement, 0 is chance. Alpha is ordinal, with its 95 % interval over answers; kappa is "
                "quadratic-weighted, and means of several people or repeats are rounded for it.",
            )
    alone = [(r, j) for r in runs for j in r.judges if not math.isnan(j.consistency)]
    if alone:
        rows = [[run.name, judge.name, f"{judge.consistency:.2f}"] for run, judge in alone]
        yield Table("Agreement of judges with themselves", ["system", "judge", "Krippendorff's alpha of repeats"], rows)
    for one in ranking_figures(runs):
        alike = "" if math.isnan(one.alpha) else f" Their preferences agree with alpha {one.alpha:.2f}."
        judges = "".join(f" {judge} orders {told(share)} of the decided pairs alike." for judge, share in one.judges)
        yield Table(
            f"Rankings by people on {one.bench}",
            ["system", "comparisons won", "mean place"],
            [[system.system, told(system.won), told(system.place)] for system in one.systems],
            f"By {', '.join(one.raters)}, {one.questions} questions.{alike}{judges}",
        )
    yield from _calibration_tables(runs, calibrations, rubrics)
    for run in runs:
        yield from (_probe_table(run, probe, rubrics) for probe in run.probes)


def _calibration_tables(
    runs: Sequence[RunResult], calibrations: Sequence[Calibration], rubrics: Rubrics
) -> Iterable[Table]:
    ids = (*rubrics.ids, OVERALL)
    found = [(run, judge, calibration_of(judge, calibrations)) for run in runs for judge in run.judges]
    rows = [[run.name, judge.name, *(told(e) for e in _means(judge, one, ids))] for run, judge, one in found if one]
    if not rows:
        return
    yield Table(
        "Scores on people's scale",
        ["system", "judge", *(_name(rubrics, id) for id in ids)],
        rows,
        "Calibrated. The intervals are over questions; they leave out how sure the calibration itself is.",
    )
    used = {one.name: one for _, _, one in found if one}
    for one in used.values():
        yield Table(
            f"Calibration of {one.name}",
            ["rubric", "line", "distance to people", "calibrated", "gain"],
            [
                [
                    _name(rubrics, id),
                    "mean of the seven" if id == OVERALL else f"{fit.intercept:.2f} + {fit.slope:.2f} × score",
                    f"{fit.error_before:.2f}",
                    f"{fit.error_after:.2f}",
                    f"{fit.error_before - fit.error_after:+.2f} ({fit.gain_low:+.2f} to {fit.gain_high:+.2f})",
                ]
                for id, fit in one.rubrics.items()
            ],
            f"On {one.answers} answers to {one.questions} questions of {', '.join(one.bench)}, rated by "
            f"{', '.join(one.raters)}. Distances in points, calibrated ones cross-validated by question. A gain whose "
            "interval holds 0 is none.",
        )


def _means(judge: JudgeResult, one: Calibration, ids: Sequence[str]) -> list[Estimate]:
    means = calibrated(judge, one)
    return [means[id] for id in ids]


def _probe_table(run: RunResult, probe: ProbeFigures, rubrics: Rubrics) -> Table:
    def cell(found: dict[str, Difference], id: str) -> str:
        return _points(found[id]) if id in found else "-"

    flips = f" {told(probe.flips)} of the pairs are preferred otherwise when swapped." if probe.flips.n else ""
    return Table(
        f"What moves {probe.name}",
        ["rubric", "longer text, judged alone", "longer text, in a pair", "first place, in a pair"],
        [
            [_name(rubrics, id), *(cell(dict(d), id) for d in (probe.length, probe.length_in_pair, probe.order))]
            for id in (*rubrics.ids, OVERALL)
        ],
        f"In points, on answers of {run.name}; {probe.asked} probes, {probe.unscored} unscored. A longer text is the "
        f"same one with sentences that say nothing.{flips}",
    )


def _name(rubrics: Rubrics, id: str) -> str:
    return "Overall" if id == OVERALL else rubrics.name(id)


def judge_data(runs: Sequence[RunResult], calibrations: Sequence[Calibration]) -> dict[str, Any]:
    """For programs: by judge whether it is calibrated, with its calibrated means; rankings; probes."""
    judges = []
    for run in runs:
        for judge in (judge for judge in run.judges if not judge.human):
            one = calibration_of(judge, calibrations)
            judges.append(
                {
                    "system": run.name,
                    "judge": judge.name,
                    "calibrated": one is not None,
                    "rated_by_people": shared([run], judge.name),
                    "means": {id: asdict(e) for id, e in calibrated(judge, one).items()} if one else None,
                }
            )
    return {
        "calibration": judges,
        "calibrations": [one.model_dump(mode="json") for one in calibrations],
        "rankings": [asdict(one) for one in ranking_figures(runs)],
        "probes": [{"system": run.name, **asdict(probe)} for run in runs for probe in run.probes],
    }
