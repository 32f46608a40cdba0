"""The desk of a human reviewer. Importing this loads nothing; ``run`` opens the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...agent.settings import Settings


def run(settings: Settings, reviewer: str) -> int:
    """Open the review screen in this terminal and return the exit code.

    Args:
        settings: which database the tickets are in.
        reviewer: who is at the desk; an identifier.
    """
    from contextlib import closing

    from ...agent.store import Store
    from ...agent.voice import Voices
    from ...agent.webhook import Webhook
    from .app import ReviewApp

    told = settings.handoff.webhook_url is not None
    with closing(Store.from_settings(settings.store, webhook=told)) as store:
        webhook = Webhook.from_settings(settings.handoff, store.outbox)
        app = ReviewApp(store, Voices(), reviewer, theme=settings.chat.theme, webhook=webhook)
        app.run()
        return app.return_code or 0


__all__ = ["run"]
