"""``warmline screen``: what the guards say about a text, a file of texts, conversations or replies."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._options import Json, load_settings

if TYPE_CHECKING:
    from ...guards.filter import CrisisFilter
    from ...guards.types import Verdict

Row = dict[str, Any]


def screen(
    text: Annotated[str | None, typer.Argument(help="The text; left out, standard input is read.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="JSON lines with `text` and, if given, `id`.")] = None,
    dialogues: Annotated[Path | None, typer.Option(help="JSON lines with `turns`, a list of {`text`}.")] = None,
    replies: Annotated[Path | None, typer.Option(help="JSON lines with `text` and, if given, `context`.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say why, for one text: words, reasons, scores.")] = False,
    nearest: Annotated[int, typer.Option(min=0, max=20, help="Labelled examples like it to show; with --explain.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Processes to work with.")] = 1,
    json: Json = False,
) -> None:
    """Judge a text, or every line of a file, without a model.

    Files give one JSON object a line, in the order of the file: verdicts for --file; for --dialogues the verdict after
    each turn, in context, and the level of the conversation at its end; for --replies what the output guard says.

    Exit code 0 whatever the verdict; 1 when a text could not be judged.

    Example: warmline screen "nobody would notice if i stopped turning up" --explain --nearest 3
    """
    sources = [(path, judge) for path, judge in ((file, _message), (dialogues, _dialogue), (replies, _reply)) if path]
    if len(sources) + (text is not None) > 1:
        raise typer.BadParameter("give one of a text, --file, --dialogues and --replies")
    if nearest and not explain:
        raise typer.BadParameter("--nearest goes with --explain")
    if explain and sources:
        raise typer.BadParameter("--explain is for one text")
    failed = False
    if sources:
        (path, judge), *_ = sources
        for row in _judged(judge, list(_lines(path, "turns" if judge is _dialogue else "text")), jobs):
            failed |= bool(row.get("error"))
            print(jsonlib.dumps(row, ensure_ascii=False))
    else:
        given = text if text is not None else sys.stdin.read()
        if explain:
            from ...guards.explain import explain as explained
            from ._explained import told

            explanation = explained(given, _filter(), nearest=nearest)
            print(jsonlib.dumps(explanation.model_dump(mode="json"), ensure_ascii=False)) if json else told(
                given, explanation, _filter().thresholds
            )
            raise typer.Exit(int(explanation.verdict.error is not None))
        verdict = _filter().screen(given)
        failed = verdict.error is not None
        print(jsonlib.dumps(_row(verdict), ensure_ascii=False) if json else _told(verdict))
    raise typer.Exit(int(failed))


def _message(line: Row) -> Row:
    verdict = _filter().screen(line["text"])
    return ({"id": line["id"]} if "id" in line else {}) | _row(verdict)


def _dialogue(line: Row) -> Row:
    from ...guards.conversation import follow

    turns = [turn["text"] for turn in line["turns"] if turn.get("role", "user") == "user"]
    rows, level, error = [], "none", None
    for verdict, risk in follow(turns, _filter()):
        level, error = risk.level.value, error or verdict.error
        # In context: a risk that is still open is the level of the turn, however calm its words are.
        rows.append(_row(verdict) | {"level": level, "crisis": risk.level >= "elevated"})
        rows[-1]["categories"] = [category.value for category in verdict.categories or risk.categories]
    return ({"id": line["id"]} if "id" in line else {}) | {"turns": rows, "level": level, "error": error}


def _reply(line: Row) -> Row:
    verdict = _guard().check(line["text"], context=line.get("context") or "", whole=True)
    spans = [span.model_dump(mode="json") for span in verdict.spans]
    problems = [problem.value for problem in verdict.problems]
    identity = {"id": line["id"]} if "id" in line else {}
    return identity | {"safe": verdict.safe, "problems": problems, "spans": spans, "error": verdict.error}


def _row(verdict: Verdict) -> Row:
    return verdict.model_dump(mode="json") | {"crisis": verdict.crisis}


def _told(verdict: Verdict) -> str:
    if verdict.error:
        return f"not judged: {verdict.error}"
    return "\n".join(
        [
            f"{verdict.level.value}: {verdict.reason}",
            *(
                f"  {span.start}-{span.end} {span.category.value}/{span.level.value} {span.text!r} ({span.source})"
                for span in verdict.evidence
            ),
        ]
    )


@cache
def _filter() -> CrisisFilter:
    from ...agent.parts import crisis_filter

    return crisis_filter(load_settings().guards)


@cache
def _guard() -> Any:
    from ...guards.hotlines import Directory
    from ...guards.output import OutputGuard

    return OutputGuard(Directory.load(load_settings().guards.hotlines).is_known_contact)


def _judged(judge: Callable[[Row], Row], lines: list[Row], jobs: int) -> Iterator[Row]:
    if jobs == 1:
        return map(judge, lines)
    pool = ProcessPoolExecutor(jobs)
    return chain(pool.map(judge, lines, chunksize=max(1, len(lines) // (jobs * 8))), _closing(pool))


def _closing(pool: ProcessPoolExecutor) -> Iterator[Row]:
    pool.shutdown()
    yield from ()


def _lines(file: Path, key: str) -> Iterator[Row]:
    with file.open(encoding="utf-8", errors="replace") as rows:
        for number, row in enumerate(rows, 1):
            if row.strip():
                yield _line(file, number, row, key)


def _line(file: Path, number: int, row: str, key: str) -> Row:
    wanted = '{"turns": [{"text": "hello"}]}' if key == "turns" else '{"text": "hello"}'
    try:
        line = jsonlib.loads(row)
    except ValueError as error:
        raise typer.BadParameter(f"{file}, line {number}: not JSON ({error})") from None
    if not isinstance(line, dict) or not isinstance(line.get(key), list if key == "turns" else str):
        raise typer.BadParameter(f"{file}, line {number}: wants an object such as {wanted}")
    if key == "turns" and not all(isinstance(turn, dict) and isinstance(turn.get("text"), str) for turn in line[key]):
        raise typer.BadParameter(f"{file}, line {number}: every turn wants a text, such as {wanted}")
    return line
