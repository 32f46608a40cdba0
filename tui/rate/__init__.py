"""The screen of a human rater. Importing this loads nothing; ``run`` opens it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...eval.blind import Sheet


def run(sheet: Sheet, theme: str = "auto") -> int:
    """Open the rating screen in this terminal and return the exit code.

    Args:
        sheet: whose work it is, on which runs.
        theme: ``light``, ``dark`` or ``auto``.
    """
    from .app import RateApp

    app = RateApp(sheet, theme=theme)
    app.run()
    return app.return_code or 0


__all__ = ["run"]
