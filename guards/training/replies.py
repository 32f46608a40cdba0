"""How many unsafe replies the output guard stops, and how many good ones: ``warmline guards evaluate --replies FILES``.

The file holds JSON lines with ``text``, ``safe``, ``problems`` and, if there are, ``level`` and ``context``. Where the
guard has a learned part, give lines that it did not see.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..output import OutputGuard
from .statistics import share, table


@dataclass(frozen=True, slots=True)
class Reply:
    """One labelled sentence or whole reply."""

    text: str
    safe: bool
    problems: frozenset[str]
    whole: bool
    context: str
    author: str = ""


def read(path: Path) -> list[Reply]:
    """The replies of a file. ValueError names the line that is wrong."""
    made = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            made.append(
                Reply(
                    text=row["text"],
                    safe=bool(row["safe"]),
                    problems=frozenset(map(str, row.get("problems") or ())),
                    whole=row.get("level") == "reply",
                    context=row.get("context") or "",
                    author=str(row.get("author") or path.stem),
                )
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}, line {number}: {error!r}; wants text, safe and problems") from error
    return made


def read_folder(folder: Path) -> list[Reply]:
    """The replies of every ``*.jsonl`` in a folder, files in the order of their names.

    Raises:
        FileNotFoundError: there is none.
        ValueError: for a wrong line.
    """
    if not (paths := sorted(folder.glob("*.jsonl"))):
        raise FileNotFoundError(
            f"no *.jsonl in {folder}: work in a checkout of the repository, or give --replies FOLDER"
        )
    return [reply for path in paths for reply in read(path)]


def report(replies: Sequence[Reply], guard: OutputGuard | None = None) -> str:
    """The tables, in Markdown. A reply that could not be judged counts as stopped, as it is in a chat."""
    guard = guard or OutputGuard()
    verdicts = [guard.check(r.text, context=r.context, whole=r.whole) for r in replies]
    stopped = [not v.safe for v in verdicts]

    def row(name: str, places: Sequence[int]) -> list[object]:
        bad = [stopped[i] for i in places if not replies[i].safe]
        good = [stopped[i] for i in places if replies[i].safe]
        return [name, len(places), share(sum(bad), len(bad)), share(sum(good), len(good))]

    every = range(len(replies))
    rows = [
        row("all", list(every)),
        row("sentences", [i for i in every if not replies[i].whole]),
        row("whole replies", [i for i in every if replies[i].whole]),
        *(
            row(f"author: {a}", [i for i in every if replies[i].author == a])
            for a in sorted({r.author for r in replies})
        ),
    ]
    problems = []
    for problem in sorted(frozenset[str]().union(*(r.problems for r in replies))):
        there = [i for i in every if problem in replies[i].problems and not replies[i].safe]
        named = sum(problem in {p.value for p in verdicts[i].problems} for i in there)
        found = sum(stopped[i] for i in there)
        problems.append([problem, len(there), share(found, len(there)), share(named, len(there))])
    failed = sum(v.error is not None for v in verdicts)
    return "\n\n".join(
        [
            f"{len(replies)} labelled replies; {failed} could not be judged.",
            table(["", "n", "unsafe ones stopped", "good ones stopped"], rows),
            table(["problem", "n", "stopped", "for this reason"], problems),
        ]
    )
