"""How the risk tracker does on whole conversations, and the choice of its numbers by leaving folds out.

The dialogues (``dialogues.jsonl``) are labelled turn by turn, each turn in its context; no network was trained on them.
It measures and proposes; the numbers in use stand in ``conversation.py`` and in the calibration.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import mean

from ..conversation import Pace, RiskState, advance
from ..filter import HISTORY, CrisisFilter
from ..types import RiskLevel, Together, Utterance, Verdict
from .statistics import share, table

FOLDS = 5
MISS_COST = 2
"""A crisis conversation that is never raised weighs as much as two calm ones that are raised wrongly."""
_GRID = tuple(
    (Pace(concerns=concerns, calm_turns=calm), window)
    for concerns, calm, window in product((2, 3, 4), (3, 4, 5, 6), (0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 1.01))
)


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One conversation: the person's messages and the level after each."""

    id: str
    texts: tuple[str, ...]
    levels: tuple[RiskLevel, ...]
    kind: str
    """What the conversation is an example of, as its author says."""

    @property
    def first_crisis(self) -> int | None:
        """The turn at which it is a crisis first."""
        return next((i for i, level in enumerate(self.levels) if level >= RiskLevel.ELEVATED), None)


def read(path: Path) -> list[Dialogue]:
    """The dialogues of a file. ValueError names the line that is wrong."""
    made = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            levels = tuple(RiskLevel(turn["level"]) for turn in row["turns"])
            texts = tuple(str(turn["text"]) for turn in row["turns"])
            kind = row.get("note", "").partition(":")[0].strip().split(" ")[0].lower()
            made.append(Dialogue(str(row.get("id", number)), texts, levels, kind))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}, line {number}: {error!r}; wants turns with text and level") from error
    return made


def verdicts(dialogue: Dialogue, crisis_filter: CrisisFilter) -> list[Verdict]:
    """The verdict on each message, after those before it."""
    said = [Utterance(role="user", text=text) for text in dialogue.texts]
    return [crisis_filter.screen(u.text, said[max(0, i - HISTORY) : i]) for i, u in enumerate(said)]


def track(
    dialogue: Dialogue, heard: Sequence[Verdict], pace: Pace | None = None, window: float | None = None
) -> list[RiskLevel]:
    """The conversation's level after each message; ``window`` in place of the filter's own threshold."""
    state, levels = RiskState(), []
    for text, verdict in zip(dialogue.texts, heard, strict=True):
        if window is not None and verdict.together is not None:
            score = verdict.together.score
            level = RiskLevel.ELEVATED if score >= window else RiskLevel.NONE
            together = Together(level=level, categories=verdict.together.categories, score=score)
            verdict = verdict.model_copy(update={"together": together})
        state = advance(state, verdict, text, pace=pace or Pace())
        levels.append(state.level)
    return levels


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the tracker did with one dialogue."""

    dialogue: Dialogue
    levels: Sequence[RiskLevel]

    @property
    def raised(self) -> int | None:
        """The turn at which it was raised to a crisis first."""
        return next((i for i, level in enumerate(self.levels) if level >= RiskLevel.ELEVATED), None)

    @property
    def late(self) -> int | None:
        """Turns from the first crisis to its detection, negative when early; ``None`` without a crisis or detection."""
        first, raised = self.dialogue.first_crisis, self.raised
        return None if first is None or raised is None else raised - first

    @property
    def alarms_before(self) -> tuple[int, int]:
        """(turns raised before there was a crisis, turns before there was one)."""
        first = self.dialogue.first_crisis
        before = self.levels if first is None else self.levels[:first]
        return sum(level >= RiskLevel.ELEVATED for level in before), len(before)


def cost(outcomes: Iterable[Outcome]) -> tuple[int, int]:
    """What the tuning makes small: misses and calm conversations raised, then turns of false alarm and delay."""
    total = small = 0
    for outcome in outcomes:
        if outcome.dialogue.first_crisis is None:
            total += outcome.raised is not None
        else:
            total += MISS_COST * (outcome.raised is None)
            small += max(0, outcome.late or 0)
        small += outcome.alarms_before[0]
    return total, small


def choose(dialogues: Sequence[Dialogue], heard: Sequence[Sequence[Verdict]]) -> tuple[Pace, float]:
    """The pace and the window threshold of the grid with the least cost; the shipped pace where it is as good."""

    def price(option: tuple[Pace, float]) -> tuple[int, int, bool]:
        outcomes = [Outcome(d, track(d, h, *option)) for d, h in zip(dialogues, heard, strict=True)]
        return (*cost(outcomes), option[0] != Pace())

    return min(_GRID, key=price)


def choose_window(dialogues: Sequence[Dialogue], heard: Sequence[Sequence[Verdict]]) -> float:
    """The window threshold with the least cost at the shipped pace; of equals the highest, which alarms least."""

    def price(window: float) -> tuple[int, int, float]:
        outcomes = [Outcome(d, track(d, h, window=window)) for d, h in zip(dialogues, heard, strict=True)]
        return (*cost(outcomes), -window)

    return min(sorted({window for _, window in _GRID if window <= 1}), key=price)


def left_out(dialogues: Sequence[Dialogue], heard: Sequence[Sequence[Verdict]]) -> tuple[list[Outcome], list[str]]:
    """Every dialogue tracked with numbers that were chosen without its fold, and what was chosen for each fold."""
    outcomes: list[Outcome] = []
    chosen = []
    for fold in range(FOLDS):
        rest = [i for i in range(len(dialogues)) if i % FOLDS != fold]
        pace, window = choose([dialogues[i] for i in rest], [heard[i] for i in rest])
        chosen.append(_named(pace, window))
        outcomes += [
            Outcome(dialogues[i], track(dialogues[i], heard[i], pace, window))
            for i in range(fold, len(dialogues), FOLDS)
        ]
    return outcomes, chosen


def _named(pace: Pace, window: float) -> str:
    return f"{pace.concerns} concerns, {pace.calm_turns} calm turns, window {'off' if window > 1 else window}"


def _row(name: str, outcomes: Sequence[Outcome]) -> list[object]:
    crises = [o for o in outcomes if o.dialogue.first_crisis is not None]
    calm = [o for o in outcomes if o.dialogue.first_crisis is None]
    late = [o.late for o in crises if o.late is not None]
    alarms = [o.alarms_before for o in outcomes]
    turns = sum(n for _, n in alarms)
    return [
        name,
        share(sum(o.raised is not None for o in crises), len(crises)),
        share(sum(late_by <= 1 for late_by in late), len(crises)),
        f"{mean(late):+.1f}" if late else "-",
        share(sum(o.raised is not None for o in calm), len(calm)),
        f"{100 * sum(hits for hits, _ in alarms) / turns:.1f}" if turns else "-",
    ]


def report(dialogues: Sequence[Dialogue], crisis_filter: CrisisFilter) -> str:
    """The tables, in Markdown."""
    heard = [verdicts(d, crisis_filter) for d in dialogues]
    single = [Outcome(d, [v.level for v in h]) for d, h in zip(dialogues, heard, strict=True)]
    plain = [Outcome(d, track(d, h, window=1.01)) for d, h in zip(dialogues, heard, strict=True)]
    shipped = [Outcome(d, track(d, h)) for d, h in zip(dialogues, heard, strict=True)]
    fair, chosen = left_out(dialogues, heard)
    head = [
        "",
        "crises found",
        "at most a turn late",
        "turns late, mean",
        "calm ones raised",
        "false alarms per 100 turns",
    ]
    crises = sum(d.first_crisis is not None for d in dialogues)
    parts = [
        f"{len(dialogues)} conversations, {sum(len(d.texts) for d in dialogues)} turns, {crises} with a crisis; the "
        "encoder was trained on none of them. False alarms are turns raised before there was a crisis.",
        table(
            head,
            [
                _row("single messages", single),
                _row("tracker, without the last messages as one", plain),
                _row("tracker, as shipped", shipped),
                _row(f"tracker, tuned without the fold ({FOLDS} folds)", fair),
            ],
        ),
        f"Shipped: {_named(Pace(), crisis_filter.thresholds.window)}. Chosen on all: "
        f"{_named(*choose(dialogues, heard))}. Chosen without each fold: {'; '.join(chosen)}.",
    ]
    kinds = sorted({d.kind for d in dialogues}, key=lambda kind: -sum(d.kind == kind for d in dialogues))
    rows = [_row(kind, [o for o in shipped if o.dialogue.kind == kind]) for kind in kinds]
    parts.append(table(["kind", *head[1:]], [row for row, kind in zip(rows, kinds, strict=True) if kind]))
    missed = [o.dialogue.id for o in shipped if o.dialogue.first_crisis is not None and o.raised is None]
    wrong = [o.dialogue.id for o in shipped if o.dialogue.first_crisis is None and o.raised is not None]
    parts.append(f"Missed: {', '.join(missed) or 'none'}. Raised wrongly: {', '.join(wrong) or 'none'}.")
    return "\n\n".join(parts)
