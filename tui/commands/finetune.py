"""``warmline finetune``: from questions with good answers to an adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import training

app = typer.Typer(help="Train an adapter for a support model.", no_args_is_help=True)


@app.command()
def data(
    sources: Annotated[list[Path], typer.Argument(help="JSONL, JSON, CSV, TSV or Parquet.", metavar="SOURCE...")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    base: Annotated[
        str, typer.Option(help="Model whose tokenizer counts: one `warmline models list` shows, or a folder.")
    ] = "HuggingFaceTB/SmolLM2-135M-Instruct",
    max_tokens: Annotated[int, typer.Option(min=64, help="Longest row; longer ones are dropped, never cut.")] = 512,
    shorten: Annotated[int, typer.Option(min=0, help="Words to shorten answers to; 0 leaves them whole.")] = 90,
    validation: Annotated[float, typer.Option(help="Share of the questions to hold back.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Decides which questions are held back.")] = 7,
    keep_flagged: Annotated[bool, typer.Option("--keep-flagged", help="Keep rows that the guards refuse.")] = False,
    licence: Annotated[str, typer.Option(help="Licence of the sources, for the card.")] = "not stated",
    question_column: Annotated[str | None, typer.Option(help="Column with the question.", show_default=False)] = None,
    answer_column: Annotated[str | None, typer.Option(help="Column with the answer.", show_default=False)] = None,
    topic_column: Annotated[str | None, typer.Option(help="Column with the topic.", show_default=False)] = None,
    jobs: Annotated[int, typer.Option(min=0, help="Processes for the guards; 0 for one a core.")] = 0,
) -> None:
    """Make training data: read, check, shorten and part questions with answers.

    Example: warmline finetune data synthetic_part.jsonl --out data
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from ...agent.model.checkpoint import folder
    from ...agent.settings import cache_dir
    from ...finetune.prepare import Options, Source, prepare, write
    from ...finetune.read import Columns, read_pairs
    from ...finetune.screening import default_jobs
    from ...finetune.tokens import token_count

    options = Options(
        words=shorten or None,
        max_tokens=max_tokens,
        validation=validation,
        seed=seed,
        keep_flagged=keep_flagged,
        jobs=jobs or default_jobs(),
        memory=cache_dir() / "finetune",
    )
    columns = Columns(question_column, answer_column, topic_column)
    read = [(path, read_pairs(path, columns)) for path in sources]
    pairs = [pair for _, found in read for pair in found]
    count = token_count(Path(base) if Path(base).is_dir() else folder(base), base)
    if not count.exact:
        typer.echo(f"The tokenizer of {base} is not here: tokens are an {count.name}.", err=True)
    bar = Progress(TextColumn("guards"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), transient=True)
    with bar:
        task = bar.add_task("guards", total=len(pairs))
        done = prepare(pairs, options, count=count, progress=lambda n: bar.advance(task, n))
    listed = [Source(path.stem, licence, len(found), str(path)) for path, found in read]
    manifest = write(done, out, sources=listed, options=options, count=count)
    typer.echo(f"{out}: {len(done.train)} to train on, {len(done.validation)} to validate with")
    for reason, number in dict(manifest["dropped"]).items():  # pyright: ignore
        typer.echo(f"  dropped {number:>6}  {reason}")


training.add_to(app)
