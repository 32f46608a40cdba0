"""Every figure of the crisis encoder's card: ``python -m warmline.guards.training.evaluate``.

Figures come from predictions for writers that the network which made them had not seen; the shipped network has seen
all of the corpus, so it is never judged on it here. Intervals are 95 %.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..encoder import SHIPPED, Calibration, OnnxEncoder
from ..filter import CrisisFilter
from ..types import RiskLevel
from .corpus import CATEGORIES, HERE, Message, read_corpus, read_file

HELD_OUT = HERE / "held_out"
"""Predictions for held-out authors, one file a fold, written by ``calibrate``."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the int8 network of one fold said about a message of a writer it had not seen."""

    message: Message
    logits: np.ndarray
    """[13], the highest over the windows for the crisis and the categories, levels of the highest window."""
    lexicon: RiskLevel
    """What the lexicon, as it is now, says alone."""
    fold: str


def auc(scores: Sequence[float] | np.ndarray, positive: Sequence[bool] | np.ndarray) -> float:
    """Area under the ROC curve, ties counted half; NaN when one of the classes is empty."""
    scores, positive = np.asarray(scores, dtype=float), np.asarray(positive, dtype=bool)
    p, n = int(positive.sum()), int((~positive).sum())
    if not p or not n:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((rank[positive].sum() - p * (p + 1) / 2) / (p * n))


def auc_interval(area: float, positives: int, negatives: int) -> tuple[float, float]:
    """95 % interval of an AUC (Hanley and McNeil 1982)."""
    if not positives or not negatives or math.isnan(area):
        return math.nan, math.nan
    q1, q2 = area / (2 - area), 2 * area * area / (1 + area)
    variance = (area * (1 - area) + (positives - 1) * (q1 - area**2) + (negatives - 1) * (q2 - area**2)) / (
        positives * negatives
    )
    half = 1.96 * math.sqrt(max(0.0, variance))
    return max(0.0, area - half), min(1.0, area + half)


def wilson(hits: int, of: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927); (0, 1) when there is nothing to count."""
    if not of:
        return 0.0, 1.0
    z, share = 1.96, hits / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def threshold_at_specificity(scores: np.ndarray, positive: np.ndarray, specificity: float) -> float:
    """Lowest threshold at which ``score >= threshold`` alarms on at most 1 - ``specificity`` of the rest."""
    rest = np.sort(scores[~positive])
    allowed = math.floor(len(rest) * (1 - specificity) + 1e-9)
    return float(np.nextafter(rest[len(rest) - allowed - 1], np.inf)) if allowed < len(rest) else float(rest[0])


def threshold_at_sensitivity(scores: np.ndarray, positive: np.ndarray, sensitivity: float) -> float:
    """Highest threshold, among the scores, that still finds that share of the crises."""
    found = np.sort(scores[positive])
    return float(found[math.floor(len(found) * (1 - sensitivity) + 1e-9)])


def read_held_out(folder: Path = HELD_OUT, corpus: Path = HERE) -> list[Prediction]:
    """The predictions of every fold. A prediction for a message that is no longer in the corpus is left out."""
    messages = {(m.author, m.id): m for m in read_corpus(corpus)}
    lexicon = CrisisFilter()
    made = []
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if message := messages.get((row["author"], row["id"])):
                logits = np.array(row["logits"], dtype=np.float32)
                made.append(Prediction(message, logits, lexicon.screen(message.text).level, path.stem))
    return made


def share(hits: int, of: int) -> str:
    """``.981 (.972-.988)``."""
    low, high = wilson(hits, of)
    return f"{hits / of:.3f} ({low:.3f}-{high:.3f})" if of else "-"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


System = Callable[[Prediction], bool]
"""Says whether a prediction counts as a crisis."""


def systems(calibration: Calibration) -> dict[str, System]:
    """The lexicon, the encoder and both together, as the filter fuses them: either may raise."""
    limit = calibration.thresholds.crisis

    def encoder(p: Prediction) -> bool:
        return calibration.crisis(float(p.logits[0])) >= limit

    def lexicon(p: Prediction) -> bool:
        return p.lexicon >= RiskLevel.ELEVATED

    return {"lexicon": lexicon, "encoder": encoder, "either": lambda p: lexicon(p) or encoder(p)}


def counts(predictions: Sequence[Prediction], system: System) -> tuple[int, int, int, int]:
    """(crises found, crises, calm left alone, calm), concern counted as calm."""
    crises = [p for p in predictions if p.message.crisis]
    calm = [p for p in predictions if not p.message.crisis]
    return sum(map(system, crises)), len(crises), sum(not system(p) for p in calm), len(calm)


def groups(predictions: Sequence[Prediction]) -> Iterator[tuple[str, list[Prediction]]]:
    """Subgroups of at least 25 messages: author, length, kind, style, category."""

    def length(message: Message) -> str:
        words = len(message.text.split())
        return next(name for top, name in ((7, "1-7"), (20, "8-20"), (50, "21-50"), (10**9, "over 50")) if words <= top)

    views: Mapping[str, Callable[[Message], Iterable[str]]] = {
        "author": lambda m: [m.author],
        "words": lambda m: [length(m)],
        "kind": lambda m: [m.kind],
        "style": lambda m: m.style,
        "level": lambda m: [m.level.value],
        "category": lambda m: [c.value for c in m.categories if m.crisis],
    }
    for view, names in views.items():
        tally = Counter(name for p in predictions for name in names(p.message))
        for name in sorted(name for name, n in tally.items() if n >= 25):
            yield f"{view}: {name}", [p for p in predictions if name in names(p.message)]


def report(predictions: Sequence[Prediction], calibration: Calibration) -> str:
    """The tables for unseen writers, in Markdown."""
    scores = np.array([p.logits[0] for p in predictions])
    crisis = np.array([p.message.crisis for p in predictions])
    p, n = int(crisis.sum()), int((~crisis).sum())
    area = auc(scores, crisis)
    low, high = auc_interval(area, p, n)
    authors = ", ".join(sorted({one.message.author for one in predictions}))
    parts = [f"{len(predictions)} messages by authors unseen in training ({authors}): {p} crises, {n} others."]
    parts.append(
        f"Crisis AUC {area:.3f} ({low:.3f}-{high:.3f}); against level none only " + f"{_auc_none(predictions):.3f}."
    )
    curve = []
    for goal in (0.90, 0.95, 0.98, 0.99, 0.993):
        limit = threshold_at_specificity(scores, crisis, goal)
        curve.append([f"specificity {goal}", share(int((scores[crisis] >= limit).sum()), p)])
    for goal in (0.95, 0.98, 0.99, 0.995):
        limit = threshold_at_sensitivity(scores, crisis, goal)
        curve.append([f"sensitivity {goal}", share(int((scores[~crisis] < limit).sum()), n)])
    parts.append(table(["encoder alone, at", "the other one"], curve))
    rows = []
    for name, system in systems(calibration).items():
        found, p, left, n = counts(predictions, system)
        rows.append([name, share(found, p), share(left, n)])
    parts.append("At the shipped threshold:\n\n" + table(["system", "sensitivity", "specificity"], rows))
    parts.append(
        table(
            ["category", "crises", "AUC", "sensitivity at .98 specificity", "F1"], _categories(predictions, calibration)
        )
    )
    rows = []
    for name, some in groups(predictions):
        row = [name, len(some)]
        for system in list(systems(calibration).values())[1:]:
            found, p, left, n = counts(some, system)
            row += [share(found, p), share(left, n)]
        rows.append(row)
    parts.append(
        table(["group", "n", "encoder sens.", "encoder spec.", "either sens.", "either spec."], rows)
    )  # fmt: skip
    return "\n\n".join(parts)


def _auc_none(predictions: Sequence[Prediction]) -> float:
    clear = [p for p in predictions if p.message.level != RiskLevel.CONCERN]
    return auc([p.logits[0] for p in clear], [p.message.crisis for p in clear])


def _categories(predictions: Sequence[Prediction], calibration: Calibration) -> list[list[object]]:
    rows: list[list[object]] = []
    limit, f1s = calibration.thresholds.category, []
    for i, category in enumerate(CATEGORIES):
        scores = np.array([p.logits[1 + i] for p in predictions])
        truth = np.array([category in p.message.categories and p.message.crisis for p in predictions])
        if not truth.any():
            continue
        cut = threshold_at_specificity(scores, truth, 0.98)
        said = np.array(
            [
                calibration.categories[category](float(s)) >= limit
                and calibration.crisis(float(p.logits[0])) >= calibration.thresholds.crisis
                for p, s in zip(predictions, scores, strict=True)
            ]
        )
        f1 = 2 * int((said & truth).sum()) / max(1, int(said.sum() + truth.sum()))
        f1s.append(f1)
        found = int((scores[truth] >= cut).sum())
        rows.append(
            [category.value, int(truth.sum()), f"{auc(scores, truth):.3f}", share(found, int(truth.sum())), f"{f1:.3f}"]
        )
    rows.append(["macro", "", "", "", f"{sum(f1s) / max(1, len(f1s)):.3f}"])
    return rows


def elsewhere(encoder: OnnxEncoder, cssrs: Path | None, counselchat: Path | None) -> str:
    """Texts from other sources, which no network here was trained on; their files are not ours, so given by path."""
    import csv

    limit = encoder.thresholds.crisis
    parts = []
    if cssrs:
        with cssrs.open(encoding="utf-8", newline="") as file:
            rows = [(row["content"], float(row["severity"])) for row in csv.DictReader(file) if row["severity"]]
        scores = np.array([encoder.scores(text).crisis for text, _ in rows])
        severity = np.array([s for _, s in rows])
        bands = (("0", severity == 0), ("1-2", (severity >= 1) & (severity <= 2)), ("3-6", severity >= 3))
        alarms = [
            [name, int(some.sum()), share(int((scores[some] >= limit).sum()), int(some.sum()))] for name, some in bands
        ]
        parts.append(
            f"C-SSRS posts (r/SuicideWatch, human severity; severity 0 is talk in a crisis forum too), n={len(rows)}: "
            f"AUC of severity 1 and over against 0 {auc(scores, severity >= 1):.3f}.\n\n"
            + table(["severity", "n", "alarms"], alarms)
        )
    if counselchat:
        with counselchat.open(encoding="utf-8", newline="") as file:
            seen = {
                row["questionID"]: (row["questionText"] or row["questionTitle"], row["topic"])
                for row in csv.DictReader(file)
            }
        by_topic: dict[str, list[bool]] = {}
        for text, topic in seen.values():
            by_topic.setdefault(topic, []).append(encoder.scores(text).crisis >= limit)
        every = [hit for hits in by_topic.values() for hit in hits]
        rows = [[t, len(h), f"{sum(h) / len(h):.3f}"] for t, h in sorted(by_topic.items(), key=lambda i: -len(i[1]))]
        parts.append(
            f"CounselChat questions (ordinary therapy questions with some crises among them; unlabelled), alarms: "
            f"{share(sum(every), len(every))}.\n\n" + table(["topic", "n", "alarms"], rows)
        )
    return "\n\n".join(parts)


def languages(encoder: OnnxEncoder, messages: Sequence[Message]) -> str:
    """What the shipped network does with languages it was not trained for; it has seen their English glosses."""
    limit = encoder.thresholds.crisis
    scores = np.array([encoder.scores(m.text).crisis for m in messages])
    crisis = np.array([m.crisis for m in messages])
    spoken = len({m.language for m in messages})
    return (
        f"{len(messages)} messages in {spoken} other languages: AUC {auc(scores, crisis):.3f}, "
        f"sensitivity {share(int((scores[crisis] >= limit).sum()), int(crisis.sum()))}, "
        f"specificity {share(int((scores[~crisis] < limit).sum()), int((~crisis).sum()))}."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of ``warmline guards evaluate --encoder``: prints the figures; ``--card`` writes them into the card."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--encoder", type=Path, default=SHIPPED, help="folder of model.onnx and calibration.json")
    options.add_argument("--held-out", type=Path, default=HELD_OUT)
    options.add_argument("--corpus", type=Path, default=HERE)
    options.add_argument("--cssrs", type=Path, help="posts_noid.csv")
    options.add_argument("--counselchat", type=Path, help="counselchat.csv")
    options.add_argument("--card", type=Path, help="Markdown file whose part between the figures marks is replaced")
    chosen = options.parse_args(arguments)
    encoder = OnnxEncoder.load(chosen.encoder)
    predictions = read_held_out(chosen.held_out, chosen.corpus)
    if not predictions:
        options.error(f"no predictions in {chosen.held_out}: run warmline.guards.training.calibrate on a held-out run")
    text = report(predictions, encoder.calibration)
    text += "\n\n### Other languages and sources (the shipped network)"
    if foreign := [m for path in sorted(chosen.corpus.glob("*.jsonl")) for m in read_file(path) if m.language != "en"]:
        text += "\n\n" + languages(encoder, foreign)
    if other := elsewhere(encoder, chosen.cssrs, chosen.counselchat):
        text += "\n\n" + other
    print(text)
    if chosen.card:
        begin, end = "<!-- figures: begin -->", "<!-- figures: end -->"
        card = chosen.card.read_text(encoding="utf-8")
        before, rest = card.split(begin)
        chosen.card.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
