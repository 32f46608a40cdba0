"""A question with a good answer: what every source of training data is read into. It judges nothing."""

from __future__ import annotations

from ..guards.types import Frozen, Utterance


class DataError(ValueError):
    """Training data cannot be used. The message names the file, the line or column, and what good data looks like."""


class Pair(Frozen):
    """One turn to learn from."""

    id: str
    """Unique within a run: the source's name and the row, e.g. ``synthetic_part-17``."""
    source: str
    """The file or data set that it comes from."""
    question: str
    """What the person wrote."""
    answer: str
    """What the model shall learn to say to it."""
    topic: str | None = None
    history: tuple[Utterance, ...] = ()
    """Turns before the question, oldest first."""
