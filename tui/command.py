"""The ``warmline`` command: its groups, and the errors that every sub-command tells the same way.

Each sub-command lives in ``commands/`` and imports what it needs when it runs, so that ``--help`` is instant.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from .commands import (
    api,
    ask,
    audit,
    bench,
    chat,
    data,
    doctor,
    finetune,
    guards,
    hotlines,
    keys,
    models,
    protocol,
    review,
    screen,
    serve,
)
from .commands import eval as evaluate

app = typer.Typer(
    name="warmline",
    help="Support conversations with guardrails. Without a command it opens the chat.",
    epilog="Warmline is an AI, not a person, and no substitute for help. In danger, call your emergency number.",
    no_args_is_help=False,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Support conversations with guardrails. Without a command it opens the chat."""
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"warmline {installed('warmline')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        chat.chat()


app.command(name="chat")(chat.chat)
app.command(name="ask")(ask.ask)
app.command(name="screen")(screen.screen)
app.add_typer(review.app, name="review")
app.command(name="api")(api.api)
app.command(name="serve")(serve.serve)
app.add_typer(keys.app, name="keys")
app.add_typer(models.app, name="models")
app.add_typer(hotlines.app, name="hotlines")
app.add_typer(data.app, name="data")
app.add_typer(audit.app, name="audit")
app.add_typer(guards.app, name="guards")
app.add_typer(evaluate.app, name="eval")
app.add_typer(protocol.app, name="protocol")
app.add_typer(finetune.app, name="finetune")
app.command(name="bench")(bench.bench)
app.command(name="doctor")(doctor.doctor)


def main() -> None:
    """Entry point of the ``warmline`` script. Exit codes: 0 well, 1 failed, 2 wrong use or setting, 130 Ctrl-C."""
    from .errors import tell

    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of a pipe went away: nothing to tell
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        sys.exit(tell(error))
