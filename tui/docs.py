"""Writes the generated parts of ``docs/``: settings, commands and the picture of the graph.

``make docs`` runs it; a test fails when what is checked in differs from what the code says.
"""

from __future__ import annotations

from pathlib import Path

import click
import typer.main

from ..agent.graph import mermaid
from ..agent.settings import every_setting
from .command import app

DOCS = Path(__file__).parent.parent / "docs"
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"


def configuration() -> str:
    """The settings as Markdown tables, from the settings model."""
    rows = ["| setting | environment variable | default | what it does | example |", "|---|---|---|---|---|"]
    for setting in every_setting():
        field = setting.field
        default = field.get_default(call_default_factory=True, validated_data={})
        example = (field.examples or [""])[0]
        what = " ".join((field.description or "").split()).replace("|", "\\|")
        rows.append(f"| `{setting.key}` | `{setting.variable}` | `{default}` | {what} | `{example}` |")
    return "\n".join(rows)


def commands() -> str:
    """The help of every command, from the commands."""
    root = typer.main.get_command(app)
    parts: list[str] = []

    def walk(command: click.Command, path: str) -> None:
        context = click.Context(command, info_name=path, terminal_width=100, max_content_width=100)
        parts.append(f"### `{path}`\n\n```\n{command.get_help(context).strip()}\n```")
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                assert child is not None
                walk(child, f"{path} {name}")

    walk(root, "warmline")
    return "\n\n".join(parts)


def graph() -> str:
    """The turn as Mermaid."""
    return f"```mermaid\n{mermaid().strip()}\n```"


PAGES = {"configuration.md": configuration, "cli.md": commands, "architecture.md": graph}


def rendered(page: Path, generated: str) -> str:
    """``page`` with its generated part replaced.

    Raises:
        ValueError: the page has lost its two marker lines.
    """
    text = page.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise ValueError(f"{page}: wants the lines {BEGIN!r} and {END!r}")
    before, rest = text.split(BEGIN, 1)
    return f"{before}{BEGIN}\n{generated}\n{END}{rest.split(END, 1)[1]}"


def main() -> None:
    """Write every page again."""
    for name, generate in PAGES.items():
        page = DOCS / name
        page.write_text(rendered(page, generate()), encoding="utf-8")
        print(page)


if __name__ == "__main__":
    main()
