"""``warmline finetune train|bases|merge|export|eval|push``: from made data to an adapter that can be given away."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ...finetune.evaluate import Answer, Comparison

_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""The options are made from the fields of a recipe, and loaded only when the command runs."""
_Adapter = Annotated[Path, typer.Argument(help="Folder that `train` or `export` wrote.")]


def train(context: typer.Context) -> None:
    """Train an adapter; goes on where an earlier run stopped. Every field of a recipe is a flag: see --help.

    Example: warmline finetune train --data build/data --run build/run --rank 32
    """
    from ...finetune.__main__ import main

    raise typer.Exit(main(context.args))


def bases_command() -> None:
    """List models that adapters can be trained on, with their licences.

    Example: warmline finetune bases
    """
    from rich.console import Console
    from rich.table import Table

    from ...finetune.bases import bases

    table = Table(box=None)
    for column in ("model", "billion parameters", "GPU memory, about", "licence", "terms to accept"):
        table.add_column(column)
    for group in bases().values():
        for one in group:
            table.add_row(
                one.id, f"{one.parameters:g}", f"{one.gpu_gb:g} GB", one.licence, "yes" if one.gated else "no"
            )
        table.add_section()
    Console().print(table)


def merge(
    adapter: _Adapter,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the checkpoint.")],
    base: Annotated[str | None, typer.Option(help="Folder of the base, when it is not in the cache.")] = None,
) -> None:
    """Write an adapter into its base's weights: a checkpoint that needs no peft.

    Example: warmline finetune merge build/run/adapter --out build/merged
    """
    from ...finetune.merge import merge as run_it

    typer.echo(f"{run_it(adapter, out, base)}: use it with WARMLINE_MODEL__PATH")


def export(
    adapter: _Adapter,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder it was trained on: adds its card, and measures losses.")
    ] = None,
    limit_mb: Annotated[float, typer.Option(help="Refuse weights that are larger; 0 takes any.")] = 0,
) -> None:
    """Make an adapter ready to give away: weights, model card, data card, prompt version, checksums.

    Example: warmline finetune export build/run/adapter --data build/data --out build/export
    """
    from ...finetune.evaluate import compare
    from ...finetune.export import export as run_it

    comparison = compare(adapter, data) if data else None
    made = run_it(adapter, out, data=data, comparison=comparison, limit_mb=limit_mb)
    typer.echo(f"{made}: use it with WARMLINE_MODEL__ADAPTER, or `warmline serve --adapter {made}`")


def evaluate(
    adapter: _Adapter,
    data: Annotated[Path, typer.Option(help="Folder that `warmline finetune data` wrote.")],
    samples: Annotated[int, typer.Option(min=0, help="Held-back questions that both answer.")] = 3,
    limit: Annotated[int, typer.Option(min=0, help="At most so many conversations for the losses; 0 takes all.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Compare base and tuned model: loss and perplexity on held-back answers, and answers side by side.

    Example: warmline finetune eval build/run/adapter --data build/data --samples 5
    """
    from ...finetune.evaluate import compare

    answers = (_answers("off"), _answers(adapter)) if samples else None
    done = compare(adapter, data, answers=answers, samples=samples, limit=limit)
    if as_json:
        import json
        from dataclasses import asdict

        typer.echo(json.dumps(asdict(done), ensure_ascii=False))
    else:
        _print(done)


def _answers(adapter: Any) -> Answer:
    """The embedded model with ``adapter`` (or ``off``), asked as the agent asks it."""
    from ...agent.model.embedded import EmbeddedModel
    from ...agent.prompt import build_messages
    from ...agent.settings import ModelSettings

    model = EmbeddedModel.from_settings(ModelSettings(adapter=adapter))
    return lambda text: model.invoke(build_messages([], text)).text.strip()


def _print(done: Comparison) -> None:
    for name, loss in (("base", done.base), ("tuned", done.tuned)):
        typer.echo(
            f"{name:>5}: loss {loss.mean:.3f} ({loss.low:.3f}-{loss.high:.3f}) nats a token, perplexity "
            f"{loss.perplexity:.2f}; {loss.conversations} conversations, {loss.tokens} answer tokens"
        )
    for one in done.samples:
        typer.echo(
            f"\nperson:    {one.question}\nreference: {one.reference}\nbase:      {one.base}\ntuned:     {one.tuned}"
        )


def push(
    folder: Annotated[Path, typer.Argument(help="Folder that `export` wrote.")],
    repository: Annotated[str, typer.Argument(help="owner/name on the Hugging Face hub.")],
    public: Annotated[bool, typer.Option("--public", help="Let everybody see it.")] = False,
) -> None:
    """Put an exported adapter on the Hugging Face hub; private unless --public.

    Example: warmline finetune push build/export me/warmline-smollm2
    """
    from ...finetune.push import push as run_it

    typer.echo(run_it(folder, repository, public=public))


def add_to(app: typer.Typer) -> None:
    """Add these commands to the group ``finetune``."""
    app.command(context_settings=_PASSED_ON)(train)
    app.command("bases")(bases_command)
    app.command()(merge)
    app.command()(export)
    app.command("eval")(evaluate)
    app.command()(push)
