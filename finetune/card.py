"""The data card: what was kept, what was dropped and why, in words and counts. It judges nothing and shows no text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .prepare import Prepared


def card(done: Prepared, manifest: Mapping[str, Any]) -> str:
    """The card in Markdown."""
    rows = [*done.train, *done.validation]
    answers = [len(row.messages[-1]["content"].split()) for row in rows]
    questions = [len(row.messages[-2]["content"].split()) for row in rows]
    topics = Counter(row.topic or "(none)" for row in rows)
    sources = manifest["sources"]
    words = manifest["words"]
    parts = [
        "# Data card",
        f"Made by `warmline finetune data` on {manifest['made'][:10]}, prompt version {manifest['prompt_version']}, "
        f"seed {manifest['seed']}.",
        "## Sources",
        _table(("source", "licence", "rows"), ((s["name"], s["licence"], s["rows"]) for s in sources)),
        "## Rows",
        _table(
            ("", "rows"),
            [
                ("read", sum(s["rows"] for s in sources)),
                ("train", len(done.train)),
                ("validation", len(done.validation)),
                *((f"dropped: {reason}", n) for reason, n in sorted(manifest["dropped"].items(), key=lambda r: -r[1])),
            ],
        ),
        f"Kept although a guard refuses them: {len(done.flagged)}.",
        "The crisis filter on the questions: "
        + ", ".join(f"{level} {n}" for level, n in sorted(done.levels.items(), key=lambda level: -level[1]))
        + ". Crisis questions are dropped because in the product no model answers them.",
        "## Who could be recognised",
        "Hints by rule, for a person to look at; nothing was removed: "
        + (", ".join(f"{kind} {n}" for kind, n in done.hints.most_common()) or "none")
        + ". Names of places, schools and employers are not looked for.",
        "## Answers",
        f"Shortened to about {words} words; sentences left out before the end of an answer:"
        if words
        else "As they stand in the source.",
        _table(("why", "sentences"), done.left_out.most_common()) if done.left_out else "",
        "## Lengths",
        _table(
            ("", "5 %", "median", "95 %", "longest"),
            [
                ("question, words", *_spread(questions)),
                ("answer, words", *_spread(answers)),
                (f"row, tokens ({manifest['tokenizer']})", *_spread(done.tokens)),
            ],
        ),
        "## Topics",
        _table(("topic", "rows"), topics.most_common()),
        "## Limits",
        "Rules and models judged these rows; nobody read them all. What the guards miss is in here: the crisis "
        "filter's and the output guard's own figures are in `docs/crisis-filter-card.md` and `docs/guards.md`. "
        "Shortened answers keep the first idea of a longer one and lose the rest. Questions with danger in them are "
        "left out, so an adapter trained on this knows nothing about them: the crisis protocol answers them, not the "
        "model.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _spread(values: Sequence[int]) -> tuple[int, int, int, int]:
    ordered = sorted(values) or [0]
    low, middle, high = (ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.05, 0.5, 0.95))
    return low, middle, high, ordered[-1]


def _table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    lines = [f"| {' | '.join(map(str, head))} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(str(cell).replace('|', '/') for cell in row)} |" for row in rows)])
