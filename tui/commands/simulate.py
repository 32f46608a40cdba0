"""``warmline eval simulate``: models play people, the agent answers, judges answer a rubric about it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._bar import Bar
from ._options import load_settings
from ._reports import finish, slug

if TYPE_CHECKING:
    from ...agent.settings import Settings
    from ...eval.endpoint import Client
    from ...eval.report import Report
    from ...eval.run import Progress
    from ...eval.systems import Counterpart

USER_KEY, MODEL_KEY, JUDGE_KEY = "WARMLINE_EVAL_USER_KEY", "WARMLINE_EVAL_MODEL_KEY", "WARMLINE_EVAL_JUDGE_KEY"

User = Annotated[str, typer.Option("--user", help="The model that plays the people, NAME@URL.", show_default=False)]
Model = Annotated[str, typer.Option("--model", help="Whom they talk with: agent, or NAME@URL without any guards.")]
Judge = Annotated[
    list[str] | None, typer.Option("--judge", help="NAME@URL; may be repeated. None: only hold the conversations.")
]
PersonaFile = Annotated[
    Path | None, typer.Option("--personas", help="YAML, or a TSV or CSV such as VERA-MH's; else the six that ship.")
]
RubricFile = Annotated[
    Path | None, typer.Option("--rubric", help="YAML, or a TSV such as VERA-MH's; else the one that ships.")
]


async def hold_and_judge(
    user: str,
    model: str,
    judges: list[str],
    personas: Path | None,
    rubric: Path | None,
    folder: Path,
    settings: Settings,
    *,
    filtered: bool,
    turns: int,
    repeats: int,
    concurrency: int,
) -> tuple[Report, str, Progress]:
    """The report of a simulation, its title and its progress; transcripts are left in the folder."""
    from ...eval import personas as people
    from ...eval import questionnaire as questions
    from ...eval.endpoint import Client, Endpoint
    from ...eval.journal import Journal
    from ...eval.report import Report
    from ...eval.simulate import Cast, simulate
    from ...eval.simulated import read_simulation, write_transcripts

    questionnaire = questions.read_questionnaire(rubric or questions.SHIPPED)
    persona_file = personas or people.SHIPPED
    player = Endpoint.parse(user, USER_KEY)
    cast = Cast(persona_file.stem, people.read_personas(persona_file), player.name, turns)
    async with AsyncExitStack() as stack:

        async def client(endpoint: Endpoint) -> Client:
            return await stack.enter_async_context(Client(endpoint, connections=concurrency))

        counterpart = await _counterpart(stack, model, settings, filtered, concurrency)
        asked = [await client(Endpoint.parse(name, JUDGE_KEY)) for name in judges]
        journal = stack.enter_context(Journal(folder / "run.jsonl", cast.header(counterpart)))
        bar = stack.enter_context(Bar())
        progress = await simulate(
            cast,
            await client(player),
            counterpart,
            asked,
            questionnaire,
            journal,
            repeats=repeats,
            concurrency=concurrency,
            tell=bar.tell,
        )
    figures = read_simulation(folder, questionnaire, player.name)
    write_transcripts(figures, folder / "transcripts")
    if not judges:
        typer.echo("No --judge: the conversations were held and not judged.")
    return Report(simulations=(figures,)), f"Simulated users: {counterpart.name}", progress


async def _counterpart(
    stack: AsyncExitStack, model: str, settings: Settings, filtered: bool, concurrency: int
) -> Counterpart:
    from ...eval.endpoint import Client, Endpoint
    from ...eval.systems import EndpointSystem, agent_system

    if model == "agent":
        return await stack.enter_async_context(agent_system(settings, filtered=filtered))
    client: Client = Client(Endpoint.parse(model, MODEL_KEY), connections=concurrency)
    return EndpointSystem(await stack.enter_async_context(client))


def simulate(
    user: User,
    model: Model = "agent",
    judge: Judge = None,
    personas: PersonaFile = None,
    rubric: RubricFile = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; the same one goes on where it stopped.")] = None,
    crisis_filter: Annotated[
        bool, typer.Option("--filter/--no-filter", help="For the agent: with its crisis filter or without.")
    ] = True,
    turns: Annotated[int, typer.Option(min=3, max=60, help="Most messages of a person.")] = 12,
    repeats: Annotated[int, typer.Option(min=1, max=100, help="Conversations with each person.")] = 1,
    concurrency: Annotated[int, typer.Option(min=1, max=512, help="Conversations at once.")] = 8,
) -> None:
    """Let a model play people in trouble and talk with the agent; judges answer a rubric's questions one at a time.

    Every conversation is kept as Markdown. What is in the log is never paid for again; a conversation that was cut off
    begins anew. Keys: WARMLINE_EVAL_USER_KEY, WARMLINE_EVAL_JUDGE_KEY and WARMLINE_EVAL_MODEL_KEY.

    Example: warmline eval simulate --user Qwen/Qwen3-8B@http://127.0.0.1:8000/v1 \
--judge Qwen/Qwen3-32B@http://127.0.0.1:8001/v1
    """
    folder = out or Path("eval-runs") / f"simulated-{slug(model)}{'' if crisis_filter else '-no-filter'}"
    report, title, progress = asyncio.run(
        hold_and_judge(
            user,
            model,
            judge or [],
            personas,
            rubric,
            folder,
            load_settings(),
            filtered=crisis_filter,
            turns=turns,
            repeats=repeats,
            concurrency=concurrency,
        )
    )
    raise typer.Exit(finish(report, folder, title, progress))
