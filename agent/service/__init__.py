"""The HTTP service: the same guarded agent for any app, over the OpenAI chat API or its own.

Needs the extra ``server``. Importing this loads none of it; each name is fetched when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app import create_app
    from .server import serve

_HOME = {"create_app": "app", "serve": "server"}

__all__ = ["create_app", "serve"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
