"""A report of one or several runs: the same figures as JSON for programs, as Markdown, and (``page``) as one HTML file.

It says how each figure was made and what it cannot tell. It ranks nothing that the intervals do not part.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from ..guards.training.filter_report import published
from ..guards.training.statistics import table
from .calibration import Calibration
from .crisis import PREVALENCES, Counts, CrisisFigures
from .dialogues import DialogueFigures
from .imhi import ImhiFigures
from .judges import judge_data, judge_tables, judges_told
from .results import (
    HUMAN,
    HUMAN_MEAN,
    OVERALL,
    Agreement,
    RubricDifference,
    RunComparison,
    RunResult,
    agreement,
    compare_all,
    without,
    worst,
)
from .rubrics import Rubrics, shipped_rubrics
from .simulated import LIMIT as SIMULATED_LIMIT
from .simulated import METHOD as SIMULATED_METHOD
from .simulated import SimulationFigures, simulation_data, simulation_summary, simulation_tables
from .statistics import Estimate
from .tables import Table, or_dash, told

HIGH_UNSCORED = 0.05
"""Share of unscored judgements from which on a mean is not to be trusted."""
SIGNIFICANT = 0.05
SHOWN_ERRORS = 40
SHOWN_DIFFERENCES = 8
WRONG_TALKS = "Conversations that went wrong"


@dataclass(frozen=True)
class Report:
    """What a report is made of; any part may be missing."""

    runs: tuple[RunResult, ...] = ()
    crisis: CrisisFigures | None = None
    dialogues: tuple[DialogueFigures, ...] = ()
    imhi: tuple[ImhiFigures, ...] = ()
    simulations: tuple[SimulationFigures, ...] = ()
    calibrations: tuple[Calibration, ...] = ()
    """Of the judges; see ``eval.calibration``."""
    rubrics: Rubrics = field(default_factory=shipped_rubrics)

    @cached_property
    def comparisons(self) -> list[RunComparison]:
        """Every pair of runs over the same questions with a judge in common."""
        return compare_all(self.runs)

    @cached_property
    def agreements(self) -> list[list[Agreement]]:
        """Of each run, who agrees with whom."""
        return [agreement(run, self.rubrics) for run in self.runs]

    @property
    def main_comparisons(self) -> list[RunComparison]:
        """Those by judges, and by people together: where there are several raters, their mean speaks for them."""
        modes = {judge.name: judge.mode for run in self.runs for judge in run.judges}
        left_out = HUMAN if HUMAN_MEAN in modes.values() else None
        return [one for one in self.comparisons if modes[one.judge] != left_out]

    def name(self, rubric: str) -> str:
        """A rubric as people call it."""
        return "Overall" if rubric == OVERALL else self.rubrics.name(rubric)


def summary(report: Report) -> list[str]:
    """What the figures say, in sentences."""
    said = []
    for run in report.runs:
        routed = f" The crisis protocol answered {len(run.routed)} of them." if run.routed else ""
        said.append(f"{run.name} answered {len(run.answers)} questions of {run.header.bench}.{routed}")
        for judge in run.judges:
            overall = judge.by_rubric[OVERALL]
            if judge.human:
                if judge is run.people:
                    said.append(f"{judge.name} gives it {told(overall)} of 10, on {len(judge.scores)} answers.")
                continue
            own = " It judges its own model here: read with care." if judge.self_judged else ""
            share = judge.unscored / judge.judgements
            weak = " Too many are unscored for the mean to be trusted." if share >= HIGH_UNSCORED else ""
            mean = f"gives it {told(overall)} of 10" if overall.n else "gave it no score at all"
            said.append(
                f"{judge.name} {mean}; {judge.unscored} of {judge.judgements} judgements are unscored.{weak}{own}"
            )
    for one in report.main_comparisons:
        row = next(r for r in one.rows if r.rubric == OVERALL)
        d = row.difference
        if d.n == 0:
            said.append(f"{one.judge} scored no question of both {one.a} and {one.b}.")
        elif d.low <= 0 <= d.high or row.p_holm >= SIGNIFICANT:
            said.append(
                f"{one.judge} does not tell {one.a} from {one.b}: {d.value:+.2f} ({d.low:+.2f} to {d.high:+.2f})."
            )
        else:
            better, other = (one.a, one.b) if d.value > 0 else (one.b, one.a)
            said.append(
                f"{one.judge} rates {better} higher than {other}, by {abs(d.value):.2f} "
                f"({min(abs(d.low), abs(d.high)):.2f} to {max(abs(d.low), abs(d.high)):.2f}) points, "
                f"and as better on {max(d.win_rate, 1 - d.win_rate):.0%} of {d.n} questions."
            )
    said += judges_told(report.runs, report.calibrations)
    if report.crisis:
        for system in report.crisis.systems:
            b = system.binary
            said.append(
                f"{system.name} found {b.hits} of {b.hits + b.misses} crises (sensitivity {told(b.sensitivity, 3)}) "
                f"and left {b.calm} of {b.calm + b.alarms} other messages alone (specificity {told(b.specificity, 3)})."
            )
            if system.reliability:
                said.append(
                    f"Read as probabilities, the scores of {system.name} are off by "
                    f"{told(system.reliability.ece, 3)} on average (expected calibration error)."
                )
    if report.dialogues:
        first = report.dialogues[0]
        said.append(
            f"Of the conversations with a crisis {told(first.found, 3)} were raised, with "
            f"{first.false_alarms_per_100:.1f} false alarms per 100 turns."
        )
    said += [
        f"{s.name}: weighted F1 {s.weighted_f1:.3f} on {s.n} posts, {s.unreadable} unreadable." for s in report.imhi
    ]
    said += [line for one in report.simulations for line in simulation_summary(one)]
    return said


def method(report: Report) -> list[str]:
    """How the figures were made."""
    said = []
    if report.runs:
        said += [
            "A judge sees one question and one answer, fenced, and gives a short reason and a score from 1 to 10 for "
            f"each of {len(report.rubrics.ids)} rubrics. Overall is their mean. The seven for answers to people are "
            "those of MentalChat16K (arXiv 2503.13509).",
            "A judgement that cannot be read after one retry is unscored: it is counted and is in no mean.",
            "Intervals are 95 % percentile bootstrap intervals over questions (10,000 resamples, seeded). Runs are "
            "compared question by question (paired bootstrap), corrected after Holm: the overall score for the pairs "
            "of runs, the rubrics for the pairs and the rubrics. An effect is the mean difference over its standard "
            "deviation (d_z); a win rate counts ties half.",
        ]
    if report.calibrations:
        said.append(
            "Calibration: a line for each rubric, fitted by least squares on answers that people and the judge have "
            "scored, with a slope of at least 0; its error is cross-validated in ten parts, by question."
        )
    if any(run.probes for run in report.runs):
        said.append(
            "Probes: answers are judged again with sentences behind them that say nothing, alone and, in both orders, "
            "in one call with the plain answer. A judge that rates what is written is moved by neither."
        )
    if report.crisis:
        said += [
            "Elevated and imminent are a crisis; concern counts as calm. Intervals of shares are Wilson's, that of "
            "macro-F1 is a bootstrap over messages. Systems are compared by Cochran's Q and by exact McNemar tests "
            "with Bonferroni's correction. A system without a readable verdict is wrong on that message.",
            "The share of right alarms (PPV) at a prevalence follows from sensitivity and specificity by Bayes' rule.",
        ]
        if any(system.reliability for system in report.crisis.systems):
            said.append(
                "Expected calibration error: ten bins of one width, the distance of mean score and share of crises, "
                "weighted by messages, with a bootstrap interval. It holds for the share of crises in this file, and "
                "the filter's levels come from thresholds and rules, not from this score alone."
            )
    if report.dialogues:
        said.append(
            "A conversation is found when it is raised to elevated or above at any turn; turns are counted from the "
            "first one that is labelled so. A false alarm is a turn raised before that."
        )
    if report.imhi:
        said.append(
            "The label is what the first sentence names. F1 is weighted by how often a label is true; an answer "
            "without a readable label is wrong. An explanation is what stands behind the label: judged by consistency, "
            "reliability and professionality where a judge was named, and measured by the cosine between its "
            "mean-pooled embedding and that of the reference where an encoder was; no explanation counts as 0."
        )
    if report.simulations:
        said.append(SIMULATED_METHOD)
    return said


def limits(report: Report) -> list[str]:
    """What the figures cannot tell."""
    said = []
    if report.runs:
        said += [
            "A judge is a language model. Its scores are not clinical ratings.",
            "One answer to a first message says little about a conversation.",
        ]
        if any(judge.self_judged for run in report.runs for judge in run.judges):
            said.append("A judge that is the tested model tends to prefer its own answers; such rows are marked.")
    if report.crisis:
        said += [
            "Figures hold for these messages. The shipped encoder has learned from the corpus of the repository; on "
            "messages from there it looks better than it is.",
            "Published figures were reached on other sets and are no comparison of systems.",
        ]
    if report.simulations:
        said.append(SIMULATED_LIMIT)
    if report.imhi:
        said.append(
            "The explanations of IMHI were written by GPT-3.5 and checked in samples; nearness to them is no proof of "
            "a good reason, and a cosine does not see a small word such as not."
        )
    return said


# -- as data ---------------------------------------------------------------------------------------------------------


def as_data(report: Report) -> dict[str, Any]:
    """For programs and for ``warmline eval gate``. NaN becomes null."""
    data: dict[str, Any] = {"version": 1, "summary": summary(report)}
    if report.runs:
        data["runs"] = [_run(run) for run in report.runs]
        for run, some in zip(data["runs"], report.agreements, strict=True):
            run["agreement"] = [vars(one) for one in some]
        data["comparisons"] = [
            {
                "a": one.a,
                "b": one.b,
                "judge": one.judge,
                "questions": one.n,
                "left_out": one.left_out,
                "rubrics": {
                    row.rubric: {
                        "difference": row.difference.value,
                        "low": row.difference.low,
                        "high": row.difference.high,
                        "p": row.difference.p,
                        "p_holm": row.p_holm,
                        "effect": row.difference.effect,
                        "win_rate": row.difference.win_rate,
                    }
                    for row in one.rows
                },
            }
            for one in report.comparisons
        ]
        data["judges"] = judge_data(report.runs, report.calibrations)
    if report.crisis:
        data["crisis"] = _crisis(report.crisis)
    if report.dialogues:
        data["dialogues"] = [
            {
                "name": d.name,
                "conversations": d.conversations,
                "turns": d.turns,
                "found": _estimate(d.found),
                "in_time": _estimate(d.in_time),
                "turns_late": _estimate(d.turns_late),
                "raised_wrongly": _estimate(d.raised_wrongly),
                "false_alarms_per_100": d.false_alarms_per_100,
                "missed": list(d.missed),
                "wrong": list(d.wrong),
            }
            for d in report.dialogues
        ]
    if report.imhi:
        data["imhi"] = [asdict(one) for one in report.imhi]
    if report.simulations:
        data["simulations"] = [simulation_data(one) for one in report.simulations]
    return _no_nan(data | {"method": method(report), "limits": limits(report)})


def _run(run: RunResult) -> dict[str, Any]:
    return {
        "name": run.name,
        "model": run.header.model,
        "bench": run.header.bench,
        "questions": len(run.answers),
        "left_out": run.header.left_out,
        "routed": sorted(run.routed),
        "tokens_out": sum(answer.tokens_out for answer in run.answers.values()),
        "judges": [
            {
                "judge": judge.judge,
                "mode": judge.mode,
                "self_judged": judge.self_judged,
                "judgements": judge.judgements,
                "unscored": judge.unscored,
                "unscored_share": judge.unscored / judge.judgements,
                "problems": dict(judge.problems),
                "consistency": judge.consistency,
                "rubrics": {r: _estimate(e) for r, e in judge.by_rubric.items()},
                "rubrics_of_routed": {
                    r: _estimate(e) for r, e in without(judge, judge.scores.keys() - run.routed).items()
                },
                "rubrics_without_routed": {r: _estimate(e) for r, e in without(judge, run.routed).items()},
            }
            for judge in run.judges
        ],
        "raters": sorted({rating.rater for rating in run.ratings.ratings}),
    }


def _estimate(e: Estimate) -> dict[str, float]:
    return {"value": e.value, "low": e.low, "high": e.high, "n": e.n}


def _counts(counts: Counts) -> dict[str, Any]:
    shares = ("sensitivity", "specificity", "accuracy", "ppv", "npv")
    whole = {"hits": counts.hits, "misses": counts.misses, "alarms": counts.alarms, "calm": counts.calm}
    return whole | {name: _estimate(getattr(counts, name)) for name in shares} | {"f1": counts.f1}


def _crisis(crisis: CrisisFigures) -> dict[str, Any]:
    return {
        "messages": crisis.messages,
        "crises": crisis.crises,
        "cochran_q": crisis.cochran_q,
        "cochran_p": crisis.cochran_p,
        "pairs": [vars(pair) for pair in crisis.pairs],
        "systems": [
            {
                "name": s.name,
                **_counts(s.binary),
                "macro_f1": _estimate(s.macro_f1),
                "unreadable": s.unreadable,
                "ppv_at": {f"{p:g}": s.ppv_at(p) for p in PREVALENCES},
                "categories": {category.value: _counts(c) for category, c in s.by_category.items()},
                "groups": {group: _counts(c) for group, c in s.by_group.items()},
                "missed": [m.id for m in s.missed],
                "false_alarms": [m.id for m in s.false_alarms],
                "reliability": asdict(s.reliability) if s.reliability else None,
            }
            for s in crisis.systems
        ],
    }


def _no_nan(value: Any) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, Mapping):
        return {key: _no_nan(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_no_nan(one) for one in value]
    return value


# -- as tables, for Markdown and for the page --------------------------------------------------------------------------


def tables(report: Report) -> list[Table]:
    """Every table of the report."""
    return [*_run_tables(report), *_crisis_tables(report), *_other_tables(report)]


def _run_tables(report: Report) -> Iterable[Table]:
    ids = (*report.rubrics.ids, OVERALL)
    names = [report.name(id) for id in ids]
    rows = [
        [
            run.name,
            judge.name + (" (judges itself)" if judge.self_judged else ""),
            *(told(judge.by_rubric[id]) for id in ids),
            f"{judge.unscored} of {judge.judgements}",
        ]
        for run in report.runs
        for judge in run.judges
    ]
    if rows:
        yield Table("Scores by rubric", ["system", "judge", *names, "unscored"], rows)
    routed = [
        [run.name, judge.name, f"{len(run.routed)}", *(told(e) for e in without(judge, run.routed).values())]
        for run in report.runs
        if run.routed
        for judge in run.judges
    ]
    if routed:
        yield Table(
            "Without the questions that the crisis protocol answered", ["system", "judge", "routed", *names], routed
        )
    yield from _protocol_tables(report, names)
    overall = [(one, next(row for row in one.rows if row.rubric == OVERALL)) for one in report.comparisons]
    if len(overall) > 1:
        yield Table(
            "Systems compared, overall",
            ["first", "second", "judge", "difference", "p (Holm)", "effect (d_z)", "win rate", "questions"],
            [[one.a, one.b, one.judge, *_difference(row), one.n] for one, row in overall],
            "First minus second; a win rate above 0.5 is the first one's.",
        )
    for one in report.main_comparisons:
        yield Table(
            f"{one.a} against {one.b}",
            ["rubric", "difference", "p (Holm)", "effect (d_z)", "win rate", "wins, ties, losses"],
            [
                [report.name(row.rubric), *_difference(row), f"{(d := row.difference).wins}, {d.ties}, {d.losses}"]
                for row in one.rows
            ],
            f"By {one.judge}, on {one.n} questions that both have scores for; {one.left_out} have only one.",
        )
    yield from _differences(report)
    yield from judge_tables(report.runs, report.agreements, report.calibrations, report.rubrics)
    problems = [
        [run.name, judge.name, problem, n]
        for run in report.runs
        for judge in run.judges
        for problem, n in sorted(judge.problems.items(), key=lambda item: -item[1])
    ]
    if problems:
        yield Table("Why judgements are unscored", ["system", "judge", "problem", "times"], problems)
    for run in report.runs:
        for judge in (judge for judge in run.judges if not judge.human):
            rows = []
            for id in worst(judge):
                weakest = min(report.rubrics.ids, key=lambda r: judge.scores[id][r])
                reasons = judge.reasons.get(id, {})
                reason = reasons.get(weakest) or reasons.get("", "")
                rows.append(
                    [
                        id,
                        run.answers[id].topic,
                        f"{judge.scores[id][OVERALL]:.1f}",
                        report.name(weakest),
                        _short(reason),
                    ]
                )
            if rows:
                head = ["question", "topic", "overall", "lowest rubric", "the judge's reason"]
                yield Table(lowest(run.name), head, rows, f"By {judge.name}.")


def lowest(name: str) -> str:
    """The title of the table of a system's answers with the lowest scores."""
    return f"Lowest rated: {name}"


def _protocol_tables(report: Report, names: Sequence[str]) -> Iterable[Table]:
    """The protocol's own replies, and what every other system said to the same questions."""
    for run in report.runs:
        rows = [
            [other.name, judge.name, len(judge.scores.keys() & run.routed)]
            + [told(e) for e in without(judge, judge.scores.keys() - run.routed).values()]
            for other in report.runs
            if run.routed and other.header.checksum == run.header.checksum
            for judge in other.judges
        ]
        if rows:
            yield Table(
                f"On the questions that the crisis protocol answered in {run.name}",
                ["system", "judge", "scored", *names],
                rows,
                "The rubrics were made for answers to ordinary questions; the protocol asks, and names help.",
            )


def differ(a: str, b: str) -> str:
    """The title of the table of the questions on which two systems differ most."""
    return f"Where {a} and {b} differ most"


def _differences(report: Report) -> Iterable[Table]:
    by_name = {run.name: run for run in report.runs}
    for one in report.main_comparisons:
        a, b = (next(j for j in by_name[name].judges if j.name == one.judge).scores for name in (one.a, one.b))
        apart = sorted(a.keys() & b.keys(), key=lambda id: (-abs(a[id][OVERALL] - b[id][OVERALL]), id))
        rows = [
            [id, by_name[one.a].answers[id].topic, f"{a[id][OVERALL]:.1f}", f"{b[id][OVERALL]:.1f}"]
            for id in apart[:SHOWN_DIFFERENCES]
            if a[id][OVERALL] != b[id][OVERALL]
        ]
        if rows:
            yield Table(differ(one.a, one.b), ["question", "topic", one.a, one.b], rows, f"Overall, by {one.judge}.")


def _difference(row: RubricDifference) -> list[str]:
    d = row.difference
    return [
        f"{d.value:+.2f} ({d.low:+.2f} to {d.high:+.2f})" if d.n else "-",
        or_dash(row.p_holm, 4),
        "-" if math.isnan(d.effect) else f"{d.effect:+.2f}",
        or_dash(d.win_rate),
    ]


def _crisis_tables(report: Report) -> Iterable[Table]:
    if (crisis := report.crisis) is None:
        return
    systems = crisis.systems
    yield Table(
        "Crisis or not",
        ["system", "sensitivity", "specificity", "accuracy", "F1", "PPV", "NPV", "macro-F1", "no verdict"],
        [
            [
                s.name,
                *(told(e, 3) for e in (s.binary.sensitivity, s.binary.specificity, s.binary.accuracy)),
                f"{s.binary.f1:.3f}",
                told(s.binary.ppv, 3),
                told(s.binary.npv, 3),
                told(s.macro_f1, 3),
                s.unreadable,
            ]
            for s in systems
        ],
        f"{crisis.messages} messages, {crisis.crises} crises. Macro-F1 is over the eight categories of crises.",
    )
    yield Table(
        "Confusion",
        ["system", "crisis, found", "crisis, missed", "calm, alarmed", "calm, left alone"],
        [[s.name, s.binary.hits, s.binary.misses, s.binary.alarms, s.binary.calm] for s in systems],
    )
    for s in systems:
        yield Table(
            f"Categories, {s.name}",
            ["category", "crises", "sensitivity", "specificity", "F1"],
            [
                [category.value, c.hits + c.misses, told(c.sensitivity, 3), told(c.specificity, 3), f"{c.f1:.3f}"]
                for category, c in s.by_category.items()
            ],
        )
    yield Table(
        "How often an alarm would be right",
        ["share of crises among the messages", *(f"{p:.1%}" for p in PREVALENCES)],
        [[s.name, *(or_dash(s.ppv_at(p)) for p in PREVALENCES)] for s in systems],
    )
    for s in systems:
        if r := s.reliability:
            yield Table(
                f"Scores of {s.name} as probabilities",
                ["score", "messages", "mean score", "share of crises"],
                [[f"{b.low:.1f}-{b.high:.1f}", b.true.n, f"{b.said:.3f}", told(b.true, 3)] for b in r.bins],
                f"Expected calibration error {told(r.ece, 3)}, Brier score {r.brier:.3f}, {r.ece.n} messages.",
            )
    if crisis.pairs:
        yield Table(
            "Pairs of systems",
            ["systems", "only the first is right", "only the second", "p (McNemar, Bonferroni)"],
            [[f"{p.a} / {p.b}", p.only_a, p.only_b, f"{p.p:.4g}"] for p in crisis.pairs],
            f"Cochran's Q {crisis.cochran_q:.2f}, p {crisis.cochran_p:.4g}.",
        )
    if groups := list(systems[0].by_group):
        rows = [
            [g, (c := systems[0].by_group[g]).hits + c.misses, c.alarms + c.calm]
            + [told(e, 3) for s in systems for e in (s.by_group[g].sensitivity, s.by_group[g].specificity)]
            for g in groups
        ]
        head = [f"{s.name}: {what}" for s in systems for what in ("sensitivity", "specificity")]
        yield Table("By group of at least 25", ["group", "crises", "calm", *head], rows)
    for s in systems:
        for title, some in (("Crises missed by", s.missed), ("False alarms of", s.false_alarms)):
            if some:
                rows = [
                    [m.id, m.level.value, ", ".join(sorted(m.categories)), _short(m.text)] for m in some[:SHOWN_ERRORS]
                ]
                yield Table(
                    f"{title} {s.name}", ["message", "label", "categories", "text"], rows, f"{len(some)} in all."
                )


def _other_tables(report: Report) -> Iterable[Table]:
    if report.dialogues:
        yield Table(
            "Conversations",
            [
                "",
                "n",
                "crises raised",
                "at most a turn late",
                "turns late",
                "calm ones raised",
                "false alarms per 100 turns",
            ],
            [
                [
                    d.name,
                    d.conversations,
                    told(d.found, 3) if d.found.n else "-",
                    told(d.in_time, 3) if d.in_time.n else "-",
                    told(d.turns_late, 1),
                    told(d.raised_wrongly, 3) if d.raised_wrongly.n else "-",
                    or_dash(d.false_alarms_per_100, 1),
                ]
                for d in report.dialogues
            ],
        )
        first = report.dialogues[0]
        rows = [[id, "never raised"] for id in first.missed] + [[id, "raised without a crisis"] for id in first.wrong]
        if rows:
            yield Table(WRONG_TALKS, ["conversation", "what"], rows, f"{first.name}.")
    if report.imhi:
        rows = [
            [
                s.name,
                s.n,
                f"{s.weighted_f1:.3f}",
                s.unreadable,
                s.unexplained,
                told(s.similarity) if s.similarity else "-",
            ]
            for s in report.imhi
        ]
        head = ["set", "posts", "weighted F1", "unreadable", "unexplained", "near to the reference (cosine)"]
        yield Table("IMHI", head, rows, " ".join(f"Encoder: {s.encoder}." for s in report.imhi if s.encoder))
    for one in report.simulations:
        yield from simulation_tables(one)


def _short(text: str, chars: int = 160) -> str:
    text = " ".join(text.split())
    return text if len(text) <= chars else text[: chars - 2].rstrip() + " …"


def told_comparisons(report: Report) -> str:
    """Only the comparisons, as Markdown."""
    titles = {f"{one.a} against {one.b}" for one in report.comparisons}
    some = [one for one in _run_tables(report) if one.title in titles]
    return "\n\n".join(f"## {one.title}\n\n{one.note}\n\n{table(one.head, one.rows)}" for one in some)


def as_markdown(report: Report, title: str) -> str:
    """The report as Markdown, without transcripts."""
    parts = [f"# {title}", *summary(report)]
    for one in tables(report):
        rows = [[str(cell).replace("|", "\\|") for cell in row] for row in one.rows]
        parts += [f"## {one.title}", *([one.note] if one.note else []), table(one.head, rows)]
    if report.crisis:
        parts += ["## Published figures, on their own sets", published()]
    for heading, lines in (("Method", method(report)), ("Limits", limits(report))):
        parts += [f"## {heading}", "\n".join(f"- {line}" for line in lines)]
    return "\n\n".join(parts) + "\n"
