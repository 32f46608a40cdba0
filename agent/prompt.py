"""What the model is given: the system prompt, as much of the conversation as fits, and the newest message.

Training, chat, evals and the service all build it here. Whatever a person writes stays inside the person's own turn.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypedDict

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .model.markup import without_control_tokens

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage


class Said(Protocol):
    """One earlier turn; ``warmline.guards.Utterance`` is one."""

    @property
    def role(self) -> str:
        """``user`` or ``assistant``."""
        ...

    @property
    def text(self) -> str:
        """What was said."""
        ...


class ChatMessage(TypedDict):
    """A message as chat templates, datasets and the OpenAI API write it."""

    role: Literal["system", "user", "assistant"]
    content: str


class PromptError(ValueError):
    """A prompt file cannot be used. The message names the file and the key."""


class Example(BaseModel):
    """A turn and the answer it should get."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    user: str = Field(min_length=1)
    """What a person might write."""
    assistant: str = Field(min_length=1)
    """A good answer to it."""


class Prompt(BaseModel):
    """A prompt file."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    version: int = Field(ge=1)
    """Counted up at every change of the words."""
    system: str = Field(min_length=1)
    """The system message."""
    no_question: str = Field(min_length=1)
    """Added to ``system`` when a question follows the reply anyway."""
    examples: tuple[Example, ...] = ()
    """Turns shown to a small, untuned model before the conversation; no other model gets them."""
    message_chars: int = Field(ge=200)
    """Longest newest message."""
    history_chars: int = Field(ge=0)
    """Longest history, all turns together."""


def read_prompt(text: str, name: str) -> Prompt:
    """The prompt in YAML ``text``; ``name`` is the file that errors point at.

    Raises:
        PromptError: naming the file and the key.
    """
    try:
        return Prompt.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise PromptError(f"{name}: not YAML: {error}") from None
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, p['loc'])) or 'file'}: {p['msg']}" for p in error.errors())
        raise PromptError(f"{name}: {problems}") from None


@cache
def support_prompt() -> Prompt:
    """The shipped prompt for ordinary turns."""
    file = Path(__file__).parent / "data" / "prompt" / "support.yaml"
    return read_prompt(file.read_text(encoding="utf-8"), str(file))


def to_chat(
    history: Iterable[Said], text: str, *, safety_question: str | None = None, prompt: Prompt | None = None
) -> list[ChatMessage]:
    """The conversation in chat format: one system message, then user and assistant in turn, the newest last.

    Args:
        history: earlier turns, oldest first, without ``text``. Turns leave from the oldest on when it is too long.
        text: the newest message. Always there; cut in its middle when it is too long.
        safety_question: a question that the agent puts after the reply; the model is told to ask none itself.
        prompt: another prompt than the shipped one.

    Raises:
        ValueError: a role in ``history`` is neither ``user`` nor ``assistant``.
    """
    prompt = prompt or support_prompt()
    system = prompt.system if safety_question is None else f"{prompt.system}\n{prompt.no_question}"
    newest = ChatMessage(role="user", content=_shortened(_clean(text), prompt.message_chars))
    kept: list[ChatMessage] = []
    room = prompt.history_chars
    for turn in reversed(list(history)):
        message = ChatMessage(role=_role(turn.role), content=_clean(turn.text))
        room -= len(message["content"])
        if room < 0:
            break
        if message["content"]:
            kept.append(message)
    # Chat templates (Gemma, Mistral) refuse two turns of one role in a row, and a start with the assistant.
    chat: list[ChatMessage] = []
    for message in [*reversed(kept), newest]:
        if chat and chat[-1]["role"] == message["role"]:
            chat[-1] = ChatMessage(role=message["role"], content=f"{chat[-1]['content']}\n\n{message['content']}")
        elif chat or message["role"] == "user":
            chat.append(message)
    return [ChatMessage(role="system", content=system), *chat]


def build_messages(
    history: Iterable[Said], text: str, *, safety_question: str | None = None, prompt: Prompt | None = None
) -> list[BaseMessage]:
    """``to_chat`` as LangChain messages."""
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

    kinds = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
    chat = to_chat(history, text, safety_question=safety_question, prompt=prompt)
    return [kinds[message["role"]](content=message["content"]) for message in chat]


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def _role(role: str) -> Literal["user", "assistant"]:
    if role == "user":
        return "user"
    if role == "assistant":
        return "assistant"
    raise ValueError(f"role {role!r} in the history; only 'user' and 'assistant' can be there")


def _clean(text: str) -> str:
    """Text that every tokenizer takes: no control tokens, no control characters, no lone surrogates."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return without_control_tokens(_CONTROL.sub(" ", text)).strip()


def _shortened(text: str, chars: int) -> str:
    if len(text) <= chars:
        return text
    half = (chars - 5) // 2  # the beginning says what it is about, the end says what is asked
    return f"{text[:half].rstrip()} … {text[-half:].lstrip()}"
