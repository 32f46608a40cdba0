"""Embed a guarded support agent: sessions in, typed events out.

Importing this loads no graph, model or database; each name is fetched when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .copy import Copy, CopyError
    from .events import (
        CrisisCard,
        CrisisCardEvent,
        DoneEvent,
        Event,
        FailedEvent,
        HumanEvent,
        ReplacedEvent,
        SentenceEvent,
        VerdictEvent,
    )
    from .graph import build_graph, compile_graph
    from .model.scripted import ScriptedModel
    from .protocol.playbook import load_playbooks
    from .protocol.say import safety_plan_text
    from .settings import Settings, SettingsError
    from .store import Store, StoreError
    from .support import Session, SupportAgent
    from .sync import SyncSession, SyncSupportAgent
    from .voice import Voice, Voices

_HOME = {
    "Copy": "copy",
    "CopyError": "copy",
    "CrisisCard": "events",
    "CrisisCardEvent": "events",
    "DoneEvent": "events",
    "Event": "events",
    "FailedEvent": "events",
    "HumanEvent": "events",
    "ReplacedEvent": "events",
    "SentenceEvent": "events",
    "VerdictEvent": "events",
    "build_graph": "graph",
    "compile_graph": "graph",
    "load_playbooks": "protocol.playbook",
    "safety_plan_text": "protocol.say",
    "ScriptedModel": "model.scripted",
    "Settings": "settings",
    "SettingsError": "settings",
    "Store": "store",
    "StoreError": "store",
    "Session": "support",
    "SupportAgent": "support",
    "SyncSession": "sync",
    "SyncSupportAgent": "sync",
    "Voice": "voice",
    "Voices": "voice",
}

__all__ = [
    "Copy",
    "CopyError",
    "CrisisCard",
    "CrisisCardEvent",
    "DoneEvent",
    "Event",
    "FailedEvent",
    "HumanEvent",
    "ReplacedEvent",
    "ScriptedModel",
    "SentenceEvent",
    "Session",
    "Settings",
    "SettingsError",
    "Store",
    "StoreError",
    "SupportAgent",
    "SyncSession",
    "SyncSupportAgent",
    "VerdictEvent",
    "Voice",
    "Voices",
    "build_graph",
    "compile_graph",
    "load_playbooks",
    "safety_plan_text",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
