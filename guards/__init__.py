"""Decides about a text: is it a crisis, and may a reply be shown. Knows no agent, no model server, no database.

Importing this loads neither torch nor langgraph nor guardrails; each name is fetched when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .conversation import RiskState, advance
    from .filter import CrisisFilter
    from .hotlines import Contact, Directory, DirectoryError, Hotline, LineTopic
    from .lexicon import Lexicon, LexiconError
    from .output import OutputGuard, OutputVerdict, ReplyScorer
    from .output_rules import Problem
    from .second_opinion import LLMOpinion
    from .types import Category, Evidence, RiskLevel, Subject, Together, Utterance, Verdict

_HOME = {
    "Category": "types",
    "Contact": "hotlines",
    "CrisisFilter": "filter",
    "Directory": "hotlines",
    "DirectoryError": "hotlines",
    "Evidence": "types",
    "Hotline": "hotlines",
    "LLMOpinion": "second_opinion",
    "Lexicon": "lexicon",
    "LexiconError": "lexicon",
    "LineTopic": "hotlines",
    "OutputGuard": "output",
    "OutputVerdict": "output",
    "Problem": "output_rules",
    "ReplyScorer": "output",
    "RiskLevel": "types",
    "RiskState": "conversation",
    "Subject": "types",
    "Together": "types",
    "Utterance": "types",
    "Verdict": "types",
    "advance": "conversation",
}

__all__ = [
    "Category",
    "Contact",
    "CrisisFilter",
    "Directory",
    "DirectoryError",
    "Evidence",
    "Hotline",
    "LLMOpinion",
    "Lexicon",
    "LexiconError",
    "LineTopic",
    "OutputGuard",
    "OutputVerdict",
    "Problem",
    "ReplyScorer",
    "RiskLevel",
    "RiskState",
    "Subject",
    "Together",
    "Utterance",
    "Verdict",
    "advance",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
