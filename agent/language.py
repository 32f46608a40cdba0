"""The language of a conversation, by the guards' guess: one guess for the filter and for the voice that answers."""

from ..guards.language import language_of

__all__ = ["language_of"]
