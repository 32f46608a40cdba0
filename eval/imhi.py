"""IMHI, the benchmark of MentaLLaMA (arXiv 2309.13567): the label in the first sentence, and weighted F1 by set.

What cannot be read is wrong and is counted. How good the explanations are is measured in ``explanations``.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from .explanations import SentenceEncoder, explanation
from .lines import EvalError
from .questions import Question
from .statistics import Estimate, mean_interval, weighted_f1

DATA = Path(__file__).parent / "data" / "imhi_labels.yaml"
_FIRST = re.compile(r"(?i)\breasoning\s*:|[.!?](?:\s|$)|\n")


@cache
def labels() -> Mapping[str, Mapping[str, re.Pattern[str]]]:
    """By set, what a first sentence must hold for each label."""
    raw: dict[str, dict[str, str]] = yaml.load(DATA.read_text("utf-8"), Loader=yaml.BaseLoader)
    return {
        name: {label: re.compile(rf"\b(?:{pattern})\b", re.I) for label, pattern in of.items()}
        for name, of in raw.items()
    }


def read_label(name: str, text: str) -> str | None:
    """The one label that the first sentence names; ``None`` when it names none or several.

    Raises:
        EvalError: there is no such set.
    """
    if name not in labels():
        raise EvalError(f"no IMHI set {name!r}; there are {', '.join(labels())}")
    first = _FIRST.split(text.strip(), maxsplit=1)[0]
    found = [label for label, pattern in labels()[name].items() if pattern.search(first)]
    if "no" in found and "yes" not in found and len(found) > 1:  # a denial that names what it denies
        found = ["no"]
    return found[0] if len(found) == 1 else None


@dataclass(frozen=True)
class ImhiSet:
    """One test set."""

    name: str
    questions: tuple[Question, ...]
    truth: tuple[str, ...]
    """The label of each question."""
    references: tuple[str, ...]
    """The explanation that goes with it."""
    left_out: tuple[str, ...]
    """Rows whose own label could not be read."""


def read_set(path: Path, *, skip_bad: bool = False) -> ImhiSet:
    """The set of a CSV file with the columns ``query`` and ``gpt-3.5-turbo``; its name says which set it is.

    Raises:
        EvalError: the file, its columns or a row cannot be used.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if missing := {"query", "gpt-3.5-turbo"} - set(reader.fieldnames or ()):
                raise EvalError(f"{path}: no column {', '.join(sorted(missing))}")
            rows = [(reader.line_num, row["query"], row["gpt-3.5-turbo"]) for row in reader]
    except OSError as error:
        raise EvalError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise EvalError(f"{path}: not UTF-8") from None
    questions, truth, references, wrong = [], [], [], []
    for number, (line, query, gold) in enumerate(rows, 1):
        label = read_label(path.stem, gold or "")
        if label is None or not (query or "").strip():
            wrong.append(f"line {line}: its own label cannot be read")
            continue
        questions.append(Question(id=f"{path.stem}-{number}", topic=path.stem, text=query))
        truth.append(label)
        references.append(explanation(gold))
    if wrong and not skip_bad:
        raise EvalError(f"{path}: {'; '.join(wrong[:10])}\n--skip-bad leaves these rows out and goes on.")
    if not questions:
        raise EvalError(f"{path}: not one usable row")
    return ImhiSet(path.stem, tuple(questions), tuple(truth), tuple(references), tuple(wrong))


@dataclass(frozen=True)
class ImhiFigures:
    """What a model reached on one set."""

    name: str
    n: int
    weighted_f1: float
    unreadable: int
    """Answers whose first sentence names no label, or several; each is wrong."""
    unexplained: int
    """Answers without an explanation."""
    similarity: Estimate | None = None
    """Cosine between explanation and reference, by ``encoder``; 0 without an explanation. ``None``: not measured."""
    encoder: str = ""


def figures(of: ImhiSet, answers: Mapping[str, str], encoder: SentenceEncoder | None = None) -> ImhiFigures:
    """Only questions that were answered are counted."""
    rows = zip(of.questions, of.truth, of.references, strict=True)
    there = [(answers[q.id], label, reference) for q, label, reference in rows if q.id in answers]
    said: Sequence[str | None] = [read_label(of.name, text) for text, _, _ in there]
    explained = [explanation(text) for text, _, _ in there]
    near = encoder.similarities(explained, [reference for _, _, reference in there]) if encoder else None
    return ImhiFigures(
        of.name,
        len(there),
        weighted_f1([label for _, label, _ in there], said),
        sum(label is None for label in said),
        sum(not text for text in explained),
        mean_interval(near) if near is not None else None,
        encoder.name if encoder else "",
    )
