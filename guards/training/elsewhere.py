"""The filter on texts from other sources and in other languages. The files are not ours and are given by path."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np

from ..encoder import OnnxEncoder
from ..filter import CrisisFilter
from ..types import RiskLevel
from .corpus import Message
from .statistics import auc, auc_interval, share, table


def _share(hits: np.ndarray | Sequence[bool]) -> str:
    return share(int(np.asarray(hits, dtype=bool).sum()), len(hits))


def languages(shipped: CrisisFilter, multilingual: OnnxEncoder, messages: Sequence[Message]) -> str:
    """Every language of ``messages``: the lexicons alone, the multilingual network alone, and both.

    The network must not have seen them. The English encoder has, or their glosses, so it hears none of them here; what
    it would add is said below the table.
    """
    alone = CrisisFilter(encoder=multilingual, thresholds=multilingual.thresholds)
    lexicons = _levels(CrisisFilter(encoder=None), messages)
    with patch.object(CrisisFilter, "_findings", lambda *_: []):
        network = _levels(alone, messages)
    both, as_shipped = _levels(alone, messages), _levels(shipped, messages)
    crisis = np.array([m.crisis for m in messages])
    rows = []
    for language in ["all", *sorted({m.language for m in messages})]:
        some = np.array([language in ("all", m.language) for m in messages])
        row: list[object] = [language, int(some.sum())]
        for levels in (lexicons, network, both):
            alarms = levels >= RiskLevel.ELEVATED.rank
            row += [_share(alarms[some & crisis]), _share(~alarms[some & ~crisis])]
        rows.append([*row, _share(both[some & crisis] > 0)])
    scores = [multilingual.scores(m.text).crisis for m in messages]
    p, n = int(crisis.sum()), int((~crisis).sum())
    low, high = auc_interval(area := auc(scores, crisis), p, n)
    doubtful = sum("encoder" in shipped.screen(m.text).stages for m in messages)
    alarms = as_shipped >= RiskLevel.ELEVATED.rank
    head = ["language", "n", "lexicon alone: sens.", "spec.", "encoder alone: sens.", "spec.", "both: sens.", "spec."]
    return (
        f"{table([*head, 'crises heard as something'], rows)}\n\n"
        f"Crisis AUC of the multilingual encoder {area:.3f} ({low:.3f}-{high:.3f}). As it ships, the English encoder "
        f"hears {doubtful} of these {len(messages)} too, as their language is in doubt: sensitivity "
        f"{_share(alarms[crisis])}, specificity {_share(~alarms[~crisis])}."
    )


def _levels(crisis_filter: CrisisFilter, messages: Sequence[Message]) -> np.ndarray:
    """The rank of each message's level; a message that could not be judged raises RuntimeError."""
    ranks = []
    for message in messages:
        verdict = crisis_filter.screen(message.text)
        if verdict.error:
            raise RuntimeError(f"the filter failed on {message.id}: {verdict.error}")
        ranks.append(verdict.level.rank)
    return np.array(ranks)


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
