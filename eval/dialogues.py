"""The dialogues bench: conversations labelled turn by turn, and what the filter and its risk tracker made of them.

The reading and the tracking are those of ``guards.training.conversations``; here are the figures with intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..guards.filter import CrisisFilter
from ..guards.training.conversations import Dialogue, Outcome, read, track, verdicts
from ..guards.training.statistics import wilson
from ..guards.types import RiskLevel
from .lines import EvalError
from .statistics import Estimate, mean_interval


@dataclass(frozen=True)
class DialogueFigures:
    """Figures of one group of conversations."""

    name: str
    conversations: int
    turns: int
    found: Estimate
    """Of the conversations with a crisis, those that were raised at some time."""
    in_time: Estimate
    """Raised at most one turn after the first turn that is a crisis; before counts as in time."""
    turns_late: Estimate
    """From the first crisis to its detection, among those found; negative is early."""
    raised_wrongly: Estimate
    """Of the conversations without a crisis, those that were raised."""
    false_alarms_per_100: float
    """Turns raised before there was a crisis, of 100 such turns; NaN without any."""
    missed: tuple[str, ...]
    """Ids of the escalations that were never seen."""
    wrong: tuple[str, ...]
    """Ids of calm conversations that were raised."""
    outcomes: tuple[Outcome, ...] = ()
    """The conversations, and what was heard in each turn."""


def read_dialogues(path: Path) -> list[Dialogue]:
    """The conversations of a file.

    Raises:
        EvalError: naming the file and the line.
    """
    try:
        found = read(path)
    except OSError as error:
        raise EvalError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise EvalError(str(error)) from None
    if not found:
        raise EvalError(f"{path}: the file is empty")
    return found


def outcomes(dialogues: Sequence[Dialogue], crisis_filter: CrisisFilter, *, tracked: bool = True) -> list[Outcome]:
    """What the tracker, or without it the filter message by message, does with each conversation."""
    made = []
    for dialogue in dialogues:
        heard = verdicts(dialogue, crisis_filter)
        levels: Sequence[RiskLevel] = track(dialogue, heard) if tracked else [verdict.level for verdict in heard]
        made.append(Outcome(dialogue, levels))
    return made


def figures(name: str, some: Sequence[Outcome]) -> DialogueFigures:
    """The figures of a group."""
    crises = [o for o in some if o.dialogue.first_crisis is not None]
    calm = [o for o in some if o.dialogue.first_crisis is None]
    late = [o.late for o in crises if o.late is not None]
    alarms = [o.alarms_before for o in some]
    before = sum(turns for _, turns in alarms)
    return DialogueFigures(
        name,
        len(some),
        sum(len(o.dialogue.texts) for o in some),
        _share(len(late), len(crises)),
        _share(sum(turns <= 1 for turns in late), len(crises)),
        mean_interval([float(turns) for turns in late]),
        _share(sum(o.raised is not None for o in calm), len(calm)),
        100 * sum(hits for hits, _ in alarms) / before if before else float("nan"),
        tuple(o.dialogue.id for o in crises if o.raised is None),
        tuple(o.dialogue.id for o in calm if o.raised is not None),
        tuple(some),
    )


def every_figure(dialogues: Sequence[Dialogue], crisis_filter: CrisisFilter) -> list[DialogueFigures]:
    """With the tracker, message by message, and with the tracker for each kind of conversation."""
    whole = outcomes(dialogues, crisis_filter)
    rows = [
        figures("filter and tracker", whole),
        figures("filter, each message alone", outcomes(dialogues, crisis_filter, tracked=False)),
    ]
    kinds = sorted({d.kind for d in dialogues if d.kind})
    return rows + [figures(f"kind: {kind}", [o for o in whole if o.dialogue.kind == kind]) for kind in kinds]


def _share(part: int, of: int) -> Estimate:
    low, high = wilson(part, of)
    return Estimate(part / of if of else float("nan"), low, high, of)
