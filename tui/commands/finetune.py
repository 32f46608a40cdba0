"""``warmline finetune``: from questions with good answers to an adapter."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import training

if TYPE_CHECKING:
    from ...finetune.pairs import Pair
    from ...finetune.read import Columns

app = typer.Typer(help="Train an adapter for a support model.", no_args_is_help=True)


@app.command()
def data(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Files (JSONL, JSON, CSV, TSV, Parquet, our own exports), or a data set of the Hugging Face hub.",
            metavar="SOURCE...",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    base: Annotated[
        str, typer.Option(help="Model whose tokenizer counts: one `warmline models list` shows, or a folder.")
    ] = "HuggingFaceTB/SmolLM2-135M-Instruct",
    max_tokens: Annotated[int, typer.Option(min=64, help="Longest row; longer ones are dropped, never cut.")] = 512,
    shorten: Annotated[int, typer.Option(min=0, help="Words to shorten answers to; 0 leaves them whole.")] = 80,
    validation: Annotated[float, typer.Option(help="Share of the questions to hold back.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Decides which questions are held back.")] = 7,
    keep_flagged: Annotated[bool, typer.Option("--keep-flagged", help="Keep rows that the guards refuse.")] = False,
    licence: Annotated[str, typer.Option(help="Licence of the sources, for the card.")] = "not stated",
    question_column: Annotated[str | None, typer.Option(help="Column with the question.", show_default=False)] = None,
    answer_column: Annotated[str | None, typer.Option(help="Column with the answer.", show_default=False)] = None,
    topic_column: Annotated[str | None, typer.Option(help="Column with the topic.", show_default=False)] = None,
    part: Annotated[
        str, typer.Option(help="Of MentalChat16K on the hub: synthetic, interview or both.", metavar="PART")
    ] = "both",
    bench: Annotated[
        list[Path] | None, typer.Option(help="Questions that must not be learnt, beside warmline200.")
    ] = None,
    drop_leaks: Annotated[bool, typer.Option("--drop-leaks", help="Drop rows that are in a bench.")] = False,
    jobs: Annotated[int, typer.Option(min=0, help="Processes for the guards; 0 for one a core.")] = 0,
) -> None:
    """Make training data: read, check, shorten and part questions with answers.

    Example: warmline finetune data ShenLab/MentalChat16K --part synthetic --out data
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from ...agent.model.checkpoint import folder
    from ...agent.settings import cache_dir
    from ...finetune.prepare import Options, Source, prepare, write
    from ...finetune.read import Columns
    from ...finetune.screening import default_jobs
    from ...finetune.tokens import token_count

    options = Options(
        words=shorten or None,
        max_tokens=max_tokens,
        validation=validation,
        seed=seed,
        keep_flagged=keep_flagged,
        drop_leaks=drop_leaks,
        jobs=jobs or default_jobs(),
        memory=cache_dir() / "finetune",
    )
    columns = Columns(question_column, answer_column, topic_column)
    read = [(source, _pairs(source, part, columns)) for source in sources]
    pairs = [pair for _, found in read for pair in found]
    count = token_count(Path(base) if Path(base).is_dir() else folder(base), base)
    if not count.exact:
        typer.echo(f"The tokenizer of {base} is not here: tokens are an {count.name}.", err=True)
    bar = Progress(TextColumn("guards"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), transient=True)
    with bar:
        task = bar.add_task("guards", total=len(pairs))
        done = prepare(pairs, options, count=count, bench=_bench(bench or []), progress=lambda n: bar.advance(task, n))
    listed = [Source(found[0].source if found else source, licence, len(found), source) for source, found in read]
    write(done, out, sources=listed, options=options, count=count)
    typer.echo(f"{out}: {len(done.train)} to train on, {len(done.validation)} to validate with")
    for reason, number in Counter(str(row.reason) for row in done.dropped).most_common():
        typer.echo(f"  dropped {number:>6}  {reason}")


def _pairs(source: str, part: str, columns: Columns) -> list[Pair]:
    from ...finetune.hub import load_pairs, names_data_set
    from ...finetune.read import read_pairs

    if part not in ("synthetic", "interview", "both"):
        raise typer.BadParameter(f"{part!r}; it is synthetic, interview or both", param_hint="--part")
    here = Path(source)
    if here.is_dir() or (not here.exists() and names_data_set(source)):
        return load_pairs(source, part, columns)
    return read_pairs(here, columns)


def _bench(files: list[Path]) -> dict[str, str]:
    """The questions that answers are judged by: ours, and those of ``files``."""
    from ...eval.questions import read_questions

    benches = [read_questions(), *(read_questions(file) for file in files)]
    return {f"{bench.name} {question.id}": question.text for bench in benches for question in bench.questions}


training.add_to(app)
