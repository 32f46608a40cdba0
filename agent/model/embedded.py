"""The embedded model: a small Hugging Face checkpoint that answers in this process, token by token.

Decides how to sample and when to stop; never fetches a checkpoint and never judges a text.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import queue
import re
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import Field, PrivateAttr

from ..prompt import support_prompt
from ..settings import ModelSettings
from .adapter import AdapterError, adapter_of, check_adapter, read_card
from .checkpoint import DEFAULT, folder, locate, model_name
from .markup import without_control_tokens
from .stream import ModelError, ModelErrorKind

if TYPE_CHECKING:
    from transformers import DynamicCache

log = logging.getLogger(__name__)

_ROLES = {"system": "system", "human": "user", "ai": "assistant"}
_PAIR = ("user", "assistant")
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)]*\s*$")
_NO_REPEAT = 6
"""Tokens in a row that may not come twice. Without it the default model opens every reply of a conversation with the
same sentence (seen at temperature 0.3 and 0.6); at 5 it starts to lose ordinary phrases."""


class EmbeddedModel(BaseChatModel):
    """Streams from a local checkpoint. Loads at first use; one reply at a time, others wait."""

    settings: ModelSettings
    """Which checkpoint and adapter, and how to sample."""
    examples: tuple[tuple[str, str], ...] = ()
    """User and assistant turns shown to the model between the system prompt and the conversation."""
    enough: float = Field(default=0.6, gt=0, le=1)
    """Share of ``max_tokens`` after which a reply ends with its sentence, so that few are cut within one."""
    seed: int | None = None
    """Makes every reply repeatable; for tests."""

    _engine: _Engine | None = PrivateAttr(default=None)
    _loading: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    @classmethod
    def from_settings(cls, settings: ModelSettings) -> Self:
        """The embedded model that ``settings`` name. Loads nothing yet.

        The default checkpoint is shown the prompt's examples and stopped early: untuned and this small it rambles, and
        its third sentence is its last sensible one.
        """
        if settings.path or adapter_of(settings) or model_name(settings) != DEFAULT:
            return cls(settings=settings)
        examples = tuple((one.user, one.assistant) for one in support_prompt().examples)
        return cls(settings=settings, examples=examples, enough=0.25)

    @property
    def _llm_type(self) -> str:
        return "warmline-embedded"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": str(self.settings.path or model_name(self.settings))}

    @property
    def loaded(self) -> bool:
        """True once the weights are in memory."""
        return self._engine is not None

    def load(self) -> None:
        """Load the weights now; safe from any thread, and more than once.

        Raises:
            ModelError: there is no (whole) checkpoint, or the ``local`` extra is missing; with what to do.
        """
        self._ready()

    def _ready(self) -> _Engine:
        with self._loading:
            if self._engine is None:
                self._engine = _load(self.settings)
            return self._engine

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        chunks = list(self._stream(messages, stop, **kwargs))
        message = AIMessage(content="".join(c.text for c in chunks), response_metadata=chunks[-1].generation_info or {})
        return ChatResult(generations=[ChatGeneration(message=message, generation_info=chunks[-1].generation_info)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        pieces: queue.SimpleQueue[str | _Over] = queue.SimpleQueue()
        reply = self._begin(messages, pieces.put)
        try:
            while isinstance(piece := pieces.get(), str):
                yield _chunk(piece)
            yield piece.chunk()
        finally:
            reply.cancelled.set()

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[str | _Over] = asyncio.Queue()
        reply = self._begin(messages, lambda piece: loop.call_soon_threadsafe(pieces.put_nowait, piece))
        try:
            while isinstance(piece := await pieces.get(), str):
                yield _chunk(piece)
            yield piece.chunk()
        finally:
            reply.cancelled.set()

    def _begin(self, messages: Sequence[BaseMessage], emit: Callable[[str | _Over], object]) -> _Reply:
        """Start a reply in a thread of its own; it ends within one token after ``cancelled`` is set."""
        chat = [
            {"role": _ROLES.get(message.type, "user"), "content": without_control_tokens(message.text)}
            for message in messages
        ]
        after_system = 1 if chat and chat[0]["role"] == "system" else 0
        shown = [
            {"role": role, "content": text} for pair in self.examples for role, text in zip(_PAIR, pair, strict=True)
        ]
        reply = _Reply([*chat[:after_system], *shown], chat[after_system:], self.settings, self.enough, self.seed, emit)

        def run() -> None:
            try:
                over = self._ready().answer(reply)
            except Exception as error:
                over = _Over(error=error)
            try:
                emit(over)
            except RuntimeError:  # the reader's event loop is gone
                log.debug("nobody waits for this reply any more")

        reply.thread = threading.Thread(target=run, name="warmline-model", daemon=True)
        _LIVE.add(reply)
        reply.thread.start()
        return reply


@dataclass(frozen=True)
class _Over:
    """The end of a reply."""

    finish_reason: str = "stop"
    error: Exception | None = None
    tokens: int = 0

    def chunk(self) -> ChatGenerationChunk:
        if self.error is not None:
            raise self.error
        info = {"finish_reason": self.finish_reason, "tokens": self.tokens}
        return ChatGenerationChunk(message=AIMessageChunk(content="", chunk_position="last"), generation_info=info)


@dataclass(eq=False)
class _Reply:
    """One reply on its way."""

    head: list[dict[str, str]]
    """System prompt and examples; always whole."""
    turns: list[dict[str, str]]
    """The conversation, the newest message last."""
    settings: ModelSettings
    enough: float
    seed: int | None
    emit: Callable[[str], object]
    cancelled: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None


_LIVE: weakref.WeakSet[_Reply] = weakref.WeakSet()


@atexit.register
def _hush() -> None:
    """End every reply before the interpreter goes: a thread that is still inside torch then would abort the process."""
    live = list(_LIVE)
    for reply in live:
        reply.cancelled.set()
    for reply in live:
        if reply.thread is not None:
            reply.thread.join(timeout=5)


def _chunk(text: str) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=AIMessageChunk(content=text))


class _Engine:
    """Weights and tokenizer in memory, and the keys and values of the last conversation."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer
        limits = (tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", 1 << 30))
        self.window = int(min(limits))
        self._one_at_a_time = threading.Lock()
        self._cache: DynamicCache | None = None
        self._cached: list[int] = []

    def answer(self, reply: _Reply) -> _Over:
        """Generate ``reply``; returns when it is over or cancelled."""
        while not self._one_at_a_time.acquire(timeout=0.05):
            if reply.cancelled.is_set():
                return _Over("cancelled")
        try:
            return self._answer(reply)
        except BaseException:
            self._cache, self._cached = None, []  # half-written: the next reply begins anew
            raise
        finally:
            self._one_at_a_time.release()

    def prompt(self, head: list[dict[str, str]], turns: list[dict[str, str]], room: int) -> list[int]:
        """Token ids of ``head`` and ``turns`` within the context window less ``room``; the oldest turns leave first.

        ``head`` and the newest turn always stay; a newest turn that alone is too long loses its middle.
        """
        budget = self.window - room
        ids = self._encode([*head, *turns])
        while len(ids) > budget and len(turns) > 1:
            turns = turns[1:]
            while len(turns) > 1 and turns[0]["role"] == "assistant":
                turns = turns[1:]
            ids = self._encode([*head, *turns])
        while len(ids) > budget and turns and len(turns[-1]["content"]) > 16:
            text = turns[-1]["content"]
            keep = int(len(text) * min(0.9, 0.95 * budget / len(ids))) // 2
            turns = [{"role": turns[-1]["role"], "content": f"{text[:keep]} … {text[-keep:]}"}]
            ids = self._encode([*head, *turns])
        return ids

    def _encode(self, chat: list[dict[str, str]]) -> list[int]:
        text = str(self.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def _answer(self, reply: _Reply) -> _Over:
        import torch
        from transformers import (
            GenerationConfig,
            LogitsProcessorList,
            RepetitionPenaltyLogitsProcessor,
            StoppingCriteriaList,
        )

        settings = reply.settings
        ids = self.prompt(reply.head, reply.turns, settings.max_tokens)
        cache = self._continue_from(ids)
        voice = _voice(self.tokenizer, reply, settings.max_tokens)
        config = GenerationConfig(
            max_new_tokens=settings.max_tokens,
            do_sample=settings.temperature > 0,
            no_repeat_ngram_size=_NO_REPEAT,
            eos_token_id=self._ends(),
            pad_token_id=self.tokenizer.pad_token_id,
            **({"temperature": settings.temperature, "top_p": settings.top_p} if settings.temperature > 0 else {}),
        )
        # The prompt is left out of the penalty: it holds the token that ends a turn, and the person's own words.
        penalty = RepetitionPenaltyLogitsProcessor(settings.repetition_penalty, prompt_ignore_length=len(ids))
        if reply.seed is not None:
            torch.manual_seed(reply.seed)
        with torch.inference_mode():
            output: Any = self.model.generate(
                torch.tensor([ids], device=self.model.device),
                attention_mask=torch.ones((1, len(ids)), dtype=torch.long, device=self.model.device),
                generation_config=config,
                past_key_values=cache,
                logits_processor=LogitsProcessorList([penalty]),
                stopping_criteria=StoppingCriteriaList([voice.stop]),
                streamer=voice,
            )
        produced = output[0].tolist()
        self._cache, self._cached = cache, produced[: cache.get_seq_length()]
        ended = produced[-1] in self._ends() or voice.stopped_early
        return _Over("stop" if ended else "length", tokens=len(produced) - len(ids))

    def _ends(self) -> list[int]:
        """Tokens that end a reply: the checkpoint's own, and its chat template's."""
        named: Any = getattr(self.model.generation_config, "eos_token_id", None)
        ends: set[Any] = {*(named if isinstance(named, list) else [named]), self.tokenizer.eos_token_id}
        return sorted(ends - {None})

    def _continue_from(self, ids: list[int]) -> DynamicCache:
        """Keys and values of the part of ``ids`` that the last reply shares: the system prompt, mostly the history."""
        from transformers import DynamicCache

        shared = 0
        for ours, theirs in zip(self._cached, ids[:-1], strict=False):
            if ours != theirs:
                break
            shared += 1
        cache = self._cache
        self._cache, self._cached = None, []
        # Layers that forget (sliding windows) cannot be taken back to an earlier length.
        if cache is None or not shared or any(type(layer).__name__ != "DynamicLayer" for layer in cache.layers):
            return DynamicCache(config=self.model.config)
        if (extra := cache.get_seq_length() - shared) > 0:
            cache.crop(-extra)
        return cache


def _voice(tokenizer: Any, reply: _Reply, max_tokens: int) -> Any:
    """Hands words on as they are made, and stops generation when nobody listens or enough is said."""
    from transformers import StoppingCriteria, TextStreamer

    class Voice(TextStreamer):
        def __init__(self) -> None:
            super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
            self.made = 0
            self.text = ""
            self.stopped_early = False
            self.stop = Stop()

        def put(self, value: Any) -> None:
            if not self.next_tokens_are_prompt:
                self.made += 1
            super().put(value)

        def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
            if text and not reply.cancelled.is_set():
                self.text += text
                try:
                    reply.emit(text)
                except RuntimeError:  # the reader's event loop is gone
                    reply.cancelled.set()

    class Stop(StoppingCriteria):
        def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
            import torch

            if voice.made >= reply.enough * max_tokens and not voice.stopped_early:
                tail = tokenizer.decode(input_ids[0, -6:], skip_special_tokens=True)
                voice.stopped_early = bool(_SENTENCE_END.search(str(tail)))
            over = reply.cancelled.is_set() or voice.stopped_early
            return torch.full((input_ids.shape[0],), over, dtype=torch.bool, device=input_ids.device)

    voice = Voice()
    return voice


def _load(settings: ModelSettings) -> _Engine:
    path = locate(settings)
    if path is None:
        wanted = settings.path or folder(model_name(settings))
        cure = "set WARMLINE_MODEL__PATH to a checkpoint directory" if settings.path else "run `warmline models pull`"
        raise ModelError(ModelErrorKind.NOT_FOUND, f"no embedded model at {wanted}; {cure}", retryable=False)
    # Read when torch is loaded: threads that spin while they wait cost two thirds of the speed on a busy machine
    # (3 against 10 tokens/s, two threads on two shared cores).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging as transformers_logging
    except ImportError as error:
        raise ModelError(
            ModelErrorKind.NOT_FOUND,
            f"the embedded model needs {error.name}: pip install 'warmline[local]', or set WARMLINE_MODEL__BASE_URL",
            retryable=False,
        ) from error
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(_cores())
    transformers_logging.disable_progress_bar()
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(path, local_files_only=True)
        model: Any = AutoModelForCausalLM.from_pretrained(
            path, dtype=torch.bfloat16, local_files_only=True, use_safetensors=True
        )
        if adapter := adapter_of(settings):
            model = _with_adapter(model, adapter, model_name(settings) if settings.path is None else None)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            ModelErrorKind.FAILED,
            f"the model at {path} cannot be loaded ({type(error).__name__}); "
            "delete that directory and run `warmline models pull`",
            retryable=False,
        ) from error
    if tokenizer.chat_template is None:
        raise ModelError(
            ModelErrorKind.FAILED,
            f"the model at {path} has no chat template; choose one that is tuned for chat (WARMLINE_MODEL__NAME)",
            retryable=False,
        )
    return _Engine(model.to("cuda" if torch.cuda.is_available() else "cpu").eval(), tokenizer)


def _with_adapter(model: Any, adapter: Path, base: str | None) -> Any:
    """``model`` with a LoRA adapter merged into its weights, so that it costs nothing per token."""
    try:
        read_card(adapter) if base is None else check_adapter(adapter, base)
    except AdapterError as error:
        raise ModelError(ModelErrorKind.NOT_FOUND, f"WARMLINE_MODEL__ADAPTER: {error}", retryable=False) from None
    from peft import PeftModel

    return PeftModel.from_pretrained(model, adapter, local_files_only=True).merge_and_unload()


def _cores() -> int:
    """Cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
