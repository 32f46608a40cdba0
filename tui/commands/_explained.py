"""How ``warmline screen --explain`` looks: the person's own text with its marks, the reasons, the scores."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ...guards.explain import Explanation
from ...guards.filter import Thresholds
from ...guards.types import Category, RiskLevel

_STYLES = {
    RiskLevel.NONE: "green",
    RiskLevel.CONCERN: "yellow",
    RiskLevel.ELEVATED: "dark_orange",
    RiskLevel.IMMINENT: "bold red",
}
_SAID = {
    "lexicon": "wordings of the lexicon",
    "encoder": "the small network, on this message",
    "multilingual": "the network for other languages, on this message",
    "window": "the small network, on the last messages as one",
    "second opinion": "the language model that was asked",
}
_MOST_TEXT = 2_000


def told(text: str, explanation: Explanation, thresholds: Thresholds, console: Console | None = None) -> None:
    """Prints it; colour only where the terminal has it."""
    console = console or Console(highlight=False)
    verdict = explanation.verdict
    if verdict.error:
        console.print(Text(f"not judged: {verdict.error}", style="bold red"))
        return
    about = ", ".join(map(_name, verdict.categories))
    whose = f" ({verdict.subject.value})" if verdict.level > RiskLevel.NONE else ""
    head = Text(verdict.level.value, style=_STYLES[verdict.level])
    console.print(head.append(f"{': ' if about else ''}{about}{whose}", style="default"))
    console.print(Text(verdict.reason))
    console.print()
    console.print(Padding(_marked(text, explanation), (0, 2)))
    reasons = _reasons(explanation)
    if reasons:
        console.print("\nWhat speaks for it", style="bold")
        console.print(Padding(reasons, (0, 2)))
    console.print("\nScores, 0 to 1", style="bold")
    console.print(Padding(_scores(explanation, thresholds), (0, 2)))
    if explanation.examples:
        console.print("\nMost like it among the labelled examples", style="bold")
        console.print(Padding(_examples(explanation), (0, 2)))


def _name(category: Category) -> str:
    return category.value.replace("_", " ")


def _marked(text: str, explanation: Explanation) -> Text:
    marked = Text(text[:_MOST_TEXT] + (" […]" if len(text) > _MOST_TEXT else ""))
    for evidence in explanation.verdict.evidence:
        marked.stylize("reverse", evidence.start, min(evidence.end, _MOST_TEXT))
    for clause in explanation.clauses:
        marked.stylize("underline", clause.start, min(clause.end, _MOST_TEXT))
    return marked


def _reasons(explanation: Explanation) -> Table | Text | None:
    verdict = explanation.verdict
    grid = Table.grid(padding=(0, 2))
    shown: list[tuple[int, int]] = []
    for evidence in verdict.evidence:
        # "want to die" inside "i want to die" is the same reason.
        if not any(start <= evidence.start and evidence.end <= end for start, end in shown):
            shown.append((evidence.start, evidence.end))
            grid.add_row(
                Text(f"“{evidence.text}”"),
                f"a wording for {_name(evidence.category)}, {evidence.level.value}",
                Text(evidence.source, style="dim"),
            )
    whole = max(verdict.stages.get("encoder", 0.0), verdict.stages.get("multilingual", 0.0))
    for clause in explanation.clauses:
        grid.add_row(
            Text(f"“{clause.text}”"), f"without it the score falls from {whole:.2f} to {clause.without:.2f}", ""
        )
    if grid.row_count:
        return grid
    return (
        Text("The message as a whole; no single clause makes the difference.")
        if verdict.level > RiskLevel.NONE
        else None
    )


def _scores(explanation: Explanation, thresholds: Thresholds) -> Table:
    verdict = explanation.verdict
    limits = {
        "encoder": f"concern from {thresholds.concern:.2f}, crisis from {thresholds.crisis:.2f}",
        "window": f"crisis from {thresholds.window:.2f}",
    }
    grid = Table.grid(padding=(0, 2))
    for stage, score in verdict.stages.items():
        grid.add_row(stage, f"{score:.2f}", Text(_SAID.get(stage, ""), style="dim"), Text(limits.get(stage, "")))
    ranked = sorted(verdict.scores.items(), key=lambda item: -item[1])
    for category, score in [(c, s) for c, s in ranked if s >= 0.1][:4]:
        grid.add_row(_name(category), f"{score:.2f}", Text("this category", style="dim"), "")
    return grid


def _examples(explanation: Explanation) -> Table:
    grid = Table.grid(padding=(0, 2))
    for example in explanation.examples:
        label = ", ".join([example.level.value, *map(_name, example.categories)])
        grid.add_row(Text(label, style=_STYLES[example.level]), f"{example.distance:.2f}", Text(example.text))
    return grid
