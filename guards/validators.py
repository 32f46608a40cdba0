"""The crisis filter and the output guard as validators of guardrails-ai (the extra ``guardrails``).

    from guardrails import Guard
    from warmline.guards.validators import CrisisFree, SafeReply, ending

    Guard().use(CrisisFree(on_fail="exception")).validate(what_the_person_wrote)
    Guard().use(SafeReply(on_fail="fix"))(ending(stream_of_text), stream=True, ...)

Importing this module turns the metrics and traces of guardrails-ai off for the whole process. It sends nothing, asks no
hub, and keeps nothing of a conversation: what a stream has shown so far lives in that call's ``metadata``.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

# litellm, which guardrails-ai loads, otherwise fetches a price list when a guard calls a model.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
try:
    from guardrails import Validator, register_validator  # pyright: ignore[reportMissingImports]
    from guardrails.settings import settings  # pyright: ignore[reportMissingImports]
    from guardrails.utils.hub_telemetry_utils import HubTelemetry  # pyright: ignore[reportMissingImports]
    from guardrails_ai.types import (  # pyright: ignore[reportMissingImports]
        ErrorSpan,
        FailResult,
        PassResult,
        ValidationResult,
    )
except ImportError as error:
    raise ImportError('the validators need guardrails-ai: pip install "warmline[guardrails]"') from error

from .filter import CrisisFilter
from .output import OutputGuard
from .sentences import ends_with_stop, sentences
from .types import RiskLevel, Utterance

__all__ = ["CrisisFree", "SafeReply", "aending", "ending"]

# Metrics go to the vendor, traces hold the text of messages: both are off. Every new guard reads ~/.guardrailsrc again
# and turns metrics on where it does not say no, but without a tracer there is nothing to send them with.
settings.disable_tracing = True
_metrics = HubTelemetry(enabled=False)
_metrics._tracer = None
if _metrics._tracer_provider is not None:
    _metrics._tracer_provider.shutdown()

END = "\x03"
"""The last chunk of a stream that has come to its end; it is never part of a reply (ASCII: end of text)."""
_STATE = "warmline.stream"
_REFUSED = ("reask", "fix_reask")
_STREAMED = ("fix", "exception", "custom")


def ending(chunks: Iterable[str]) -> Iterator[str]:
    """``chunks`` and a mark that they are over.

    Guards do not tell validators when a stream ends; without the mark a last sentence that has no full stop is held
    back for ever.
    """
    yield from chunks
    yield END


class aending(AsyncIterator[str]):
    """``ending`` for an ``AsyncGuard``."""

    def __init__(self, chunks: AsyncIterable[str]) -> None:
        self._chunks = aiter(chunks)
        self._over = False

    @property
    def completion_stream(self) -> AsyncIterator[str]:
        """Where an ``AsyncGuard`` looks for the chunks of what a callable returned, as litellm has it."""
        return self

    async def __anext__(self) -> str:
        if self._over:
            raise StopAsyncIteration
        try:
            return await anext(self._chunks)
        except StopAsyncIteration:
            self._over = True
            return END


@cache
def _copy() -> Mapping[str, str]:
    return yaml.safe_load((Path(__file__).parent / "data" / "validators.yaml").read_text("utf-8"))


class _Stream:
    """What one stream has shown and what it holds back."""

    def __init__(self) -> None:
        self.shown = ""
        self.held = ""
        self.stopped = False


class _Problem:
    """Why a text may not pass: in words without any of the text, and where."""

    def __init__(self, message: str, spans: Sequence[tuple[int, int, str]] = ()) -> None:
        self.message = message
        self.spans = [ErrorSpan(start=start, end=end, reason=reason) for start, end, reason in spans] or None


class _Checked(Validator):
    """Whole texts and streams for both validators; what is a problem is theirs to say."""

    override_value_on_pass = True
    """So that a sync ``Guard`` shows what was checked, and not the chunk that came in."""

    def __init__(self, on_fail: str | Callable[..., Any] | None, fix_value: str, **arguments: Any) -> None:
        name = getattr(on_fail, "value", on_fail)
        if isinstance(name, str) and name.lower() in _REFUSED:
            raise ValueError(
                f"on_fail={name!r} lets a text through where there is no model to ask again; use 'exception', 'fix', "
                "'refrain', 'filter', 'noop' or a function"
            )
        # use_local: never the vendor's inference, whatever a ~/.guardrailsrc says.
        super().__init__(on_fail=on_fail, use_local=True, **arguments)
        self._fix_value = fix_value

    def _problem(self, text: str, before: str, metadata: Mapping[str, Any], whole: bool) -> _Problem | None:
        raise NotImplementedError

    def _validate(self, value: Any, metadata: dict[str, Any]) -> ValidationResult:
        problem = self._safely(str(value), "", metadata, True)
        if problem is None:
            return PassResult()
        return FailResult(error_message=problem.message, fix_value=self._fix_value, error_spans=problem.spans)

    def _safely(self, text: str, before: str, metadata: Mapping[str, Any], whole: bool) -> _Problem | None:
        try:
            return self._problem(text, before, metadata, whole)
        except Exception as error:  # what could not be judged does not pass
            return _Problem(f"could not be judged: {type(error).__name__}")

    async def async_validate(self, value: Any, metadata: dict[str, Any]) -> ValidationResult:
        return await asyncio.to_thread(self.validate, value, metadata)

    async def async_validate_stream(
        self, chunk: Any, metadata: dict[str, Any], **context: Any
    ) -> ValidationResult | None:
        return await asyncio.to_thread(self.validate_stream, chunk, metadata, **context)

    def validate_stream(self, chunk: Any, metadata: dict[str, Any], **context: Any) -> ValidationResult | None:
        """Takes the next chunk of a reply; passes on whole sentences that were checked, and nothing else.

        Text is held until it ends with a full stop (or the stream ends), so that a guard that forgets what is held at
        the end of a stream has nothing to forget.
        """
        action = getattr(self.on_fail_descriptor, "value", self.on_fail_descriptor)
        if action not in _STREAMED:
            raise ValueError(f"on_fail={action!r} cannot take back what a stream has shown; use 'fix' or 'exception'")
        state = metadata.setdefault(_STATE, {}).setdefault(id(self), _Stream())
        over = bool(context.get("remainder")) or END in str(chunk)
        if state.stopped:
            return _passed("")
        state.held += str(chunk).replace(END, "")
        if not state.held or not (over or ends_with_stop(state.held)):
            # A sync guard without `fix` shows the chunk itself where it gets no answer, so it gets an empty one.
            return None if "remainder" in context or "context" in context else _passed("")
        good = ""
        for sentence in sentences(state.held):
            problem = self._safely(sentence, state.shown + good, metadata, False)
            if problem is not None:
                state.stopped, state.held = True, ""
                state.shown += good
                gap = " " if (state.shown and not state.shown[-1].isspace()) else ""
                return FailResult(
                    error_message=problem.message,
                    fix_value=f"{good}{gap}{self._fix_value}",
                    error_spans=problem.spans,
                    validated_chunk=good or " ",
                )
            good += sentence
        state.shown, state.held = state.shown + good, ""
        return _passed(good)


def _passed(text: str) -> PassResult:
    return PassResult(value_override=text, validated_chunk=text)


@register_validator(name="warmline/crisis_free", data_type="string")
class CrisisFree(_Checked):
    """Fails for a text that speaks of a crisis, and for one that could not be judged.

    Args:
        on_fail: what the guard then does: ``exception`` (default), ``fix``, ``refrain``, ``filter``, ``noop`` or a
            function.
        level: from which level on it fails: ``elevated`` (default), ``concern`` or ``imminent``.
        crisis_filter: the filter to ask; by default the one that ships, lexicon and encoder.
        fix_value: what stands in the place of the text with ``on_fail="fix"``.

    ``metadata["history"]`` may hold what was said before: ``{"role": "user" or "assistant", "content": ...}``, oldest
    first.
    """

    def __init__(
        self,
        on_fail: str | Callable[..., Any] | None = None,
        *,
        level: str = RiskLevel.ELEVATED,
        crisis_filter: CrisisFilter | None = None,
        fix_value: str | None = None,
    ) -> None:
        self._level = RiskLevel(level)
        if self._level is RiskLevel.NONE:
            raise ValueError("level 'none' would stop every text; use 'concern', 'elevated' or 'imminent'")
        super().__init__(on_fail, fix_value if fix_value is not None else _copy()["crisis"], level=self._level.value)
        self._filter = crisis_filter or _shipped_filter()

    def _problem(self, text: str, before: str, metadata: Mapping[str, Any], whole: bool) -> _Problem | None:
        history = [
            Utterance(role=said["role"], text=said["content"])
            for said in metadata.get("history") or ()
            if said.get("role") in ("user", "assistant")
        ]
        verdict = self._filter.screen(before + text, history)
        if verdict.error is not None:
            return _Problem(f"could not be judged: {verdict.error}")
        if verdict.level < self._level:
            return None
        about = ", ".join(category.value.replace("_", " ") for category in verdict.categories) or "not named"
        border = len(before)
        spans = [
            (max(0, e.start - border), e.end - border, f"{e.category.value}: {e.level.value}")
            for e in verdict.evidence
            if e.end > border
        ]
        return _Problem(f"crisis ({verdict.level.value}): {about}", spans)


@register_validator(name="warmline/safe_reply", data_type="string")
class SafeReply(_Checked):
    """Fails for a reply that must not reach a person in distress, and for one that could not be judged.

    Args:
        on_fail: see ``CrisisFree``. In a stream ``fix`` ends the reply after its last good sentence.
        output_guard: the guard to ask; by default the one that ships.
        fix_value: what stands in the place of what did not pass.

    ``metadata["context"]`` may hold the person's last message; some words are wrong only as an answer to it.
    """

    def __init__(
        self,
        on_fail: str | Callable[..., Any] | None = None,
        *,
        output_guard: OutputGuard | None = None,
        fix_value: str | None = None,
    ) -> None:
        super().__init__(on_fail, fix_value if fix_value is not None else _copy()["reply"])
        self._guard = output_guard or OutputGuard()

    def _problem(self, text: str, before: str, metadata: Mapping[str, Any], whole: bool) -> _Problem | None:
        verdict = self._guard.check(text, before=before, context=str(metadata.get("context") or ""), whole=whole)
        if verdict.error is not None:
            return _Problem(f"could not be judged: {verdict.error}")
        if verdict.safe:
            return None
        spans = [(span.start, span.end, span.problem.value) for span in verdict.spans]
        return _Problem("unsafe reply: " + ", ".join(problem.value for problem in verdict.problems), spans)


@cache
def _shipped_filter() -> CrisisFilter:
    return CrisisFilter()
