"""The language model: the embedded one, any OpenAI-compatible server, and a scripted one for tests.

Importing this loads no library; each name is fetched when it is first used. The functions that fetch and find
models are imported from ``.pull`` (a function ``pull`` here would hide behind the module of that name).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel

    from ..settings import ModelSettings
    from .embedded import EmbeddedModel
    from .pull import ModelInfo, PullError
    from .scripted import ScriptedModel
    from .stream import Ending, Limits, ModelError, ModelErrorKind, stream_text

_HOME = {
    "EmbeddedModel": "embedded",
    "Ending": "stream",
    "Limits": "stream",
    "ModelError": "stream",
    "ModelErrorKind": "stream",
    "ModelInfo": "pull",
    "PullError": "pull",
    "ScriptedModel": "scripted",
    "stream_text": "stream",
}

__all__ = [
    "EmbeddedModel",
    "Ending",
    "Limits",
    "ModelError",
    "ModelErrorKind",
    "ModelInfo",
    "PullError",
    "ScriptedModel",
    "build_model",
    "stream_text",
]


def build_model(settings: ModelSettings) -> BaseChatModel:
    """The model that ``settings`` name: the server at ``base_url``, else the embedded one.

    Loads no weights and opens no connection. A model that is missing is told by the first reply
    (``ModelError`` of kind ``not_found``), so that a turn which needs no model works without one.
    """
    if settings.base_url:
        from .remote import remote_model

        return remote_model(settings)
    from .embedded import EmbeddedModel

    return EmbeddedModel.from_settings(settings)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
