"""The filter on texts from other sources and in other languages. The files are not ours and are given by path."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..encoder import OnnxEncoder
from ..filter import CrisisFilter
from ..types import RiskLevel
from .corpus import Message
from .statistics import auc, share, table


def _share(hits: np.ndarray | Sequence[bool]) -> str:
    return share(int(np.asarray(hits, dtype=bool).sum()), len(hits))


def languages(crisis_filter: CrisisFilter, messages: Sequence[Message]) -> str:
    """Every language of ``messages``, by the filter as it ships: its encoder may have seen them, or their glosses."""
    levels = [crisis_filter.screen(m.text).level for m in messages]
    alarms = np.array([level >= RiskLevel.ELEVATED for level in levels])
    heard = np.array([level > RiskLevel.NONE for level in levels])
    crisis = np.array([m.crisis for m in messages])
    rows = []
    for language in ["all", *sorted({m.language for m in messages})]:
        some = np.array([language in ("all", m.language) for m in messages])
        there = some & crisis
        rows.append(
            [language, int(some.sum()), _share(alarms[there]), _share(heard[there]), _share(~alarms[some & ~crisis])]
        )
    return table(["language", "n", "sensitivity", "crises heard as something", "specificity"], rows)


def cssrs(crisis_filter: CrisisFilter, path: Path) -> str:
    """Posts of r/SuicideWatch with a severity by human raters (columns ``content`` and ``severity``)."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row["content"], float(row["severity"])) for row in csv.DictReader(file) if row["severity"]]
    severity = np.array([s for _, s in rows])
    alarms = np.array([crisis_filter.screen(text).crisis for text, _ in rows])
    said = ""
    if isinstance(crisis_filter.encoder, OnnxEncoder):
        scores = [crisis_filter.encoder.scores(text).crisis for text, _ in rows]
        said = f" AUC of the encoder, severity 1 and over against 0: {auc(scores, severity >= 1):.3f}."
    bands = (("0", severity == 0), ("1-2", (severity >= 1) & (severity <= 2)), ("3-6", severity >= 3))
    return f"C-SSRS posts (r/SuicideWatch; severity 0 is talk in a crisis forum too), n={len(rows)}.{said}\n\n" + table(
        ["severity", "n", "alarms"], [[name, int(some.sum()), _share(alarms[some])] for name, some in bands]
    )


def counselchat(crisis_filter: CrisisFilter, path: Path, least: int = 20) -> str:
    """Questions to therapists (``questionID``, ``questionText``, ``questionTitle``, ``topic``); topics of ``least``."""
    with path.open(encoding="utf-8", newline="") as file:
        seen = {
            row["questionID"]: (row["questionText"] or row["questionTitle"], row["topic"])
            for row in csv.DictReader(file)
        }
    by_topic: dict[str, list[bool]] = {}
    for text, topic in seen.values():
        by_topic.setdefault(topic, []).append(crisis_filter.screen(text).crisis)
    every = [hit for hits in by_topic.values() for hit in hits]
    ordered = sorted(by_topic.items(), key=lambda item: -len(item[1]))
    rows = [[topic, len(hits), _share(hits)] for topic, hits in ordered if len(hits) >= least]
    return (
        "CounselChat questions (ordinary therapy questions with some crises among them; unlabelled), alarms: "
        f"{_share(every)}.\n\n" + table(["topic", "n", "alarms"], rows)
    )
