"""The options of ``warmline finetune train``; ``accelerate launch -m warmline.finetune`` runs it on every GPU."""

from __future__ import annotations

import argparse
import ast
import inspect
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from .recipe import Recipe, load_recipe, shipped


def options() -> argparse.ArgumentParser:
    """The parser: a flag for each field of a recipe, and where to read and write."""
    parser = argparse.ArgumentParser(
        prog="warmline finetune train",
        description="Train an adapter; the same command goes on after a kill. Every field of a recipe is a flag.",
        epilog="Example: warmline finetune train --data build/data --run build/run --rank 32",
    )
    parser.add_argument("--data", type=Path, required=True, help="folder that `warmline finetune data` wrote")
    parser.add_argument("--run", type=Path, required=True, help="folder for checkpoints and the adapter")
    parser.add_argument("--config", default="warmline", help=f"a recipe: {', '.join(shipped())}, or a YAML file")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--start-from", type=Path, metavar="ADAPTER", help="go on from this adapter, on other data")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    fields = parser.add_argument_group("fields of the recipe")
    docs = _field_docs()
    for name in Recipe.model_fields:
        flag = f"--{name.replace('_', '-')}"
        fields.add_argument(flag, dest=f"recipe.{name}", metavar="VALUE", help=docs[name].replace("%", "%%"))
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as ``arguments`` say; the exit code."""
    chosen = options().parse_args(arguments)
    changes = {
        name.removeprefix("recipe."): value
        for name, value in vars(chosen).items()
        if name.startswith("recipe.") and value is not None
    }
    recipe = load_recipe(chosen.config, changes)
    from .train import train

    done = train(
        recipe, chosen.data, chosen.run, device=chosen.device, quiet=chosen.quiet, start_from=chosen.start_from
    )
    print(f"{done.adapter}: {done.steps} steps, {done.seconds / 60:.0f} min, peak {done.peak_bytes / 1e9:.1f} GB")
    print(f"validation loss {done.first_loss:.3f} -> {done.best_loss:.3f}; drawn in {done.adapter / 'losses.svg'}")
    return 0


def _field_docs() -> dict[str, str]:
    """The sentence under each field of ``Recipe``: it is the flag's help."""
    body = ast.parse(textwrap.dedent(inspect.getsource(Recipe))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, doc in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(doc, ast.Expr) and isinstance(doc.value, ast.Constant):
            found[ast.unparse(field.target)] = str(doc.value.value)
    return found


if __name__ == "__main__":
    sys.exit(main())
