"""Options that several sub-commands share, and the settings they resolve to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ...agent.settings import Settings

Country = Annotated[
    str | None, typer.Option("--country", "-c", help="Two-letter country for hotlines, e.g. US.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def load_settings(country: str | None = None) -> Settings:
    """The settings, with the command line's country on top.

    Raises:
        SettingsError: naming the source, the key and a good value.
    """
    from ...agent.settings import Settings

    return Settings.load(**({"country": country} if country else {}))
