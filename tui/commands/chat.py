"""``warmline chat``: the terminal chat; piped, a conversation of one line a turn."""

from __future__ import annotations

import sys

import typer

from ._options import Country, load_settings


def chat(country: Country = None) -> None:
    """Open the chat.

    Piped, every line is one turn of one conversation.

    Example: warmline chat --country US
    """
    settings = load_settings(country)
    if not sys.stdin.isatty():
        from .ask import converse

        raise typer.Exit(converse(settings, sys.stdin, as_json=False))
    from ..chat import run

    raise typer.Exit(run(settings, country))
