"""The terminal chat. Importing this loads nothing; ``run`` opens the screen."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...agent.settings import Settings


def run(settings: Settings, country: str | None = None) -> int:
    """Open the chat in this terminal and return the exit code.

    Args:
        settings: where conversations are kept, which model answers, which theme is used.
        country: ISO 3166-1 alpha-2 for the hotlines; wins over the settings and over what the first screen asked.
    """
    from ...agent.support import SupportAgent
    from .app import ChatApp

    app = ChatApp(SupportAgent.from_settings(settings), country=country)
    app.run()
    # Whoever presses Ctrl+C often must not tear up the way out: everything is stored and closed by now.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if app.parting_words:
        print(app.parting_words)
    return app.return_code or 0


__all__ = ["run"]
