"""The guards as the settings name them; the agent and the commands build them here."""

from __future__ import annotations

from pathlib import Path

from ..guards.filter import CrisisFilter
from ..guards.lexicon import load_lexicon
from .settings import GuardSettings


def crisis_filter(settings: GuardSettings) -> CrisisFilter:
    """The crisis filter: the shipped lexicon and the site's, and the encoder unless it is turned off.

    Raises:
        LexiconError, EncoderError: naming the file and what is wrong with it.
    """
    lexicon = load_lexicon(extra=tuple(settings.lexicons))
    if settings.encoder == "off":
        return CrisisFilter(lexicon)
    from ..guards.encoder import SHIPPED, OnnxEncoder

    encoder = OnnxEncoder.load(SHIPPED if settings.encoder == "shipped" else Path(settings.encoder))
    return CrisisFilter(lexicon, encoder, encoder.thresholds)
