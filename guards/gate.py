"""The sentence gate: lets a streamed reply through one checked sentence at a time.

It decides only *when* a sentence may be seen; *whether* is the guard's verdict. It never takes back what it showed.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from .output import OutputVerdict, Problem
from .sentences import LIMIT, SentenceSplitter, ends_with_stop


class SentenceGuard(Protocol):
    """What the gate asks of a guard; ``OutputGuard`` is one."""

    def check(self, sentence: str, before: str = "", context: str = "", whole: bool = False) -> OutputVerdict:
        """Judge the next sentence of a reply, given the reply so far and the person's last message."""
        ...


@dataclass(frozen=True, slots=True)
class GateLimits:
    """How long a reply may become. A reply over a limit ends after its last full sentence, which is no fault."""

    max_words: int = 220
    """Words of the whole reply."""
    max_chars: int = 2000
    """Characters of the whole reply."""
    max_sentence: int = LIMIT
    """Characters after which a run-on is cut at a clause or a space."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A piece of the reply that was checked and may be shown as it is."""

    text: str
    complete: bool = True
    """False for a last piece that the stream cut off in the middle of a sentence."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The next piece did not pass. Nothing of it was shown, and nothing more of the stream was read."""

    problems: tuple[Problem, ...] = ()
    error: str | None = None
    """Name of what failed when the guard could not judge."""


Gated = Passed | Stopped

DEFAULT_LIMITS = GateLimits()


async def gate(
    chunks: AsyncIterator[str], guard: SentenceGuard, *, context: str = "", limits: GateLimits = DEFAULT_LIMITS
) -> AsyncGenerator[Gated]:
    """Yield each sentence of ``chunks`` once it has passed, and at most one final ``Stopped``.

    Args:
        chunks: the reply as the model streams it, in pieces of any size.
        guard: asked about every sentence, with the reply so far as carry-over.
        context: the person's last message.
        limits: where a long reply ends.

    Raises:
        Whatever ``chunks`` raises. What had passed stays passed; the unfinished fragment is dropped.
    """
    turnstile = _Turnstile(guard, context, limits)
    try:
        async for chunk in chunks:
            for gated in turnstile.feed(chunk):
                yield gated
            if turnstile.closed:
                return
        for gated in turnstile.finish():
            yield gated
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            pending = close()
            if inspect.isawaitable(pending):
                await pending


def gate_sync(
    chunks: Iterable[str], guard: SentenceGuard, *, context: str = "", limits: GateLimits = DEFAULT_LIMITS
) -> Iterator[Gated]:
    """``gate`` for a plain iterable."""
    turnstile = _Turnstile(guard, context, limits)
    try:
        for chunk in chunks:
            yield from turnstile.feed(chunk)
            if turnstile.closed:
                return
        yield from turnstile.finish()
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()


class _Turnstile:
    """The state of one reply on its way through: what was shown, what is held, and whether it is over."""

    def __init__(self, guard: SentenceGuard, context: str, limits: GateLimits) -> None:
        self._guard = guard
        self._context = context
        self._limits = limits
        self._splitter = SentenceSplitter(limits.max_sentence)
        self._shown = ""
        self._words = 0
        self.closed = False

    def feed(self, chunk: str) -> Iterator[Gated]:
        yield from self._let_through(self._splitter.feed(chunk))

    def finish(self) -> Iterator[Gated]:
        pieces = self._splitter.flush()
        yield from self._let_through(pieces[:-1])
        if pieces and not self.closed:
            yield from self._let_through(pieces[-1:], complete=ends_with_stop(pieces[-1]))

    def _let_through(self, pieces: list[str], complete: bool = True) -> Iterator[Gated]:
        for piece in pieces:
            words = len(piece.split())
            limits = self._limits
            # A piece over the limit is never shown cut; the first one is shown whole, or there would be no reply.
            if self._shown and (
                self._words + words > limits.max_words or len(self._shown) + len(piece) > limits.max_chars
            ):
                self.closed = True
                return
            gated = self._judge(piece, complete)
            self.closed = isinstance(gated, Stopped)
            if not self.closed:
                self._shown += piece
                self._words += words
            yield gated
            if self.closed:
                return

    def _judge(self, piece: str, complete: bool) -> Gated:
        try:
            verdict = self._guard.check(piece, before=self._shown, context=self._context)
            # Anything but a clear yes is a no.
            if verdict.safe is True and verdict.error is None:
                return Passed(piece, complete)
            return Stopped(tuple(verdict.problems), verdict.error)
        except Exception as error:
            return Stopped(error=type(error).__name__)
