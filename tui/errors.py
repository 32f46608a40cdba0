"""How the command tells an error: one plain message on stderr and an exit code, never a traceback or message text."""

from __future__ import annotations

import os
import sys


def tell(error: Exception) -> int:
    """Print ``error`` for the person at the terminal and return the exit code.

    Errors that name a setting or a file are printed as they are. Anything else is a defect: its type is told, and the
    traceback only when ``WARMLINE_DEBUG`` is set, because it could hold what somebody wrote.
    """
    from ..agent.settings import SettingsError

    if isinstance(error, SettingsError):
        print(f"warmline: {error}", file=sys.stderr)
        return 2
    if _explains_itself(error):
        print(f"warmline: {error}", file=sys.stderr)
        return 1
    if os.environ.get("WARMLINE_DEBUG"):
        raise error
    print(
        f"warmline: this is a defect ({type(error).__name__}). WARMLINE_DEBUG=1 shows where; please report it.",
        file=sys.stderr,
    )
    return 1


def _explains_itself(error: Exception) -> bool:
    """True for this project's own errors and the system's, whose messages name what to change."""
    return isinstance(error, OSError) or any(kind.__module__.startswith("warmline.") for kind in type(error).__mro__)
