"""``warmline protocol``: why the crisis protocol said each sentence, and a walk through a playbook by hand."""

from __future__ import annotations

import json as jsonlib
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from ._options import Country, Json, load_settings

if TYPE_CHECKING:
    from ...agent.protocol.playbook import Playbooks
    from ...agent.protocol.walk import Step, Walk
    from ...guards.types import Verdict

app = typer.Typer(help="Explain what the crisis protocol said, or walk through it.", no_args_is_help=True)


@app.command()
def explain(
    session: Annotated[str, typer.Argument(help="Id of a stored conversation.")],
    json: Json = False,
) -> None:
    """Print every crisis turn of a conversation: each sentence's move, where it is written, and what it waits for.

    Example: warmline protocol explain 0197c1e2
    """
    from ...agent.copy import Copy
    from ...agent.protocol.playbook import load_playbooks
    from ...agent.protocol.say import safety_plan_text
    from ...agent.protocol.state import Progress
    from ...agent.store import Store

    playbooks = load_playbooks()
    with closing(Store.from_settings(load_settings().store)) as store:
        record = store.session(session)
        turns = {turn.id: turn for turn in store.turns(session)}
        events = store.crisis_events(session)
    progress = Progress.model_validate(record.protocol or {})
    rows = [
        {
            "turn": turns[event.turn_id].number,
            "level": event.level.value,
            "categories": [category.value for category in event.categories],
            "lines": list(event.lines),
            "moves": [_told(playbooks, id) for id in event.moves],
        }
        for event in events
        if event.turn_id in turns
    ]
    if json:
        typer.echo(jsonlib.dumps({"session": session, "turns": rows, "progress": progress.model_dump(mode="json")}))
        return
    for row, event in zip(rows, (e for e in events if e.turn_id in turns), strict=True):
        typer.echo(f"turn {row['turn']}: {row['level']} {', '.join(event.categories)}".rstrip())
        typer.echo(f"  person: {_one_line(turns[event.turn_id].user_text)}")
        for move in (_told(playbooks, id) for id in event.moves):
            typer.echo(f"  {move['id']}  ({move['kind']}, {move['where']})")
            typer.echo(f"    says: {_one_line(move['text'])}")
            if move["when"]:
                typer.echo(f"    when: {move['when']}")
        if event.lines:
            typer.echo(f"  card: {', '.join(event.lines)}")
    if not rows:
        typer.echo("The crisis protocol said nothing in this conversation.")
    answers = ", ".join(f"{topic} {answer}" for topic, answer in progress.answers.items())
    if progress.open:
        typer.echo(f"open at {progress.level.value}; answered: {answers or 'nothing'}; next it reads an answer to:"
                   f" {progress.pending or 'nothing'}")  # fmt: skip
    if plan := safety_plan_text(progress, Copy.load()):
        typer.echo(plan)


@app.command()
def simulate(
    playbook: Annotated[str, typer.Argument(help="A category such as suicide or eating_disorder, or third_party.")],
    imminent: Annotated[bool, typer.Option("--imminent", help="Begin with danger right now.")] = False,
    country: Country = None,
    seed: Annotated[int, typer.Option(help="Another number gives other words.")] = 0,
    moves: Annotated[bool, typer.Option("--moves/--no-moves", help="Show the ids of the moves.")] = True,
) -> None:
    """Walk through a playbook: you answer, the protocol speaks. No model, nothing is stored. Ctrl-D ends it.

    Example: warmline protocol simulate suicide --country US
    """
    from ...agent.copy import Copy
    from ...agent.protocol.playbook import load_playbooks
    from ...agent.protocol.walk import Walk
    from ...guards.filter import CrisisFilter
    from ...guards.hotlines import Directory

    settings, playbooks, directory = load_settings(country), load_playbooks(), Directory.load()
    verdict = _opening(playbook, playbooks, imminent=imminent)
    walk = Walk(
        CrisisFilter(encoder=None),
        playbooks,
        directory,
        Copy.load(),
        country=directory.country_code(settings.country),
        seed=seed,
    )
    _show(walk.hear("(it begins)", verdict), walk, moves=moves)
    for line in _lines():
        step = walk.hear(line)
        _show(step, walk, moves=moves)


def _opening(playbook: str, playbooks: Playbooks, *, imminent: bool) -> Verdict:
    from ...guards.types import Category, RiskLevel, Subject, Verdict

    choices = sorted(name for name in playbooks.books if name not in ("imminent", "own", "common"))
    if playbook not in choices:
        raise typer.BadParameter(f"{playbook!r} is no playbook; there are {', '.join(choices)}")
    other, named = playbook == "third_party", playbook in set(Category)
    return Verdict(
        level=RiskLevel.IMMINENT if imminent else RiskLevel.ELEVATED,
        categories=(Category(playbook),) if named else (Category.SUICIDE,) if other else (),
        subject=Subject.OTHER if other else Subject.SELF,
    )


def _lines():
    while True:
        if sys.stdin.isatty():
            try:
                line = input("\n> ")
            except EOFError:
                return
        else:
            line = sys.stdin.readline()
            if not line:
                return
            typer.echo(f"\n> {line.strip()}")
        if line.strip():
            yield line


def _show(step: Step, walk: Walk, *, moves: bool) -> None:
    if step.reply is None:
        typer.echo("(the protocol is closed; here the model would answer)")
        return
    typer.echo(step.reply.text)
    if moves:
        level = walk.progress.level.value if walk.progress.open else "closed"
        typer.echo(f"  [{level}] {' '.join(step.reply.move_ids)}")


def _told(playbooks: Playbooks, id: str) -> dict[str, str]:
    """One move for people: where it is written, what it says, what it waits for."""
    name, _, number = id.rpartition(".")
    move = playbooks.by_id.get(name)
    if move is None or not number.isdigit() or int(number) > len(move.texts):
        return {"id": id, "kind": "unknown", "where": "an earlier version", "text": "", "when": ""}
    when = "; ".join((*move.written, *(f"after {before}" for before in move.after)))
    return {
        "id": id,
        "kind": move.kind.value,
        "where": f"{move.file}:{move.line}",
        "text": move.texts[int(number) - 1],
        "when": when,
    }


def _one_line(text: str) -> str:
    from ...guards.clean import clean

    line = " ".join(clean(text).split())
    return line if len(line) <= 160 else line[:159] + "…"
