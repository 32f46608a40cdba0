"""The guards as the settings name them; the agent and the commands build them here."""

from __future__ import annotations

from pathlib import Path

from ..guards.filter import CrisisFilter, Thresholds
from ..guards.lexicon import load_lexicon
from ..guards.second_opinion import LLMOpinion
from .settings import GuardSettings, SecondOpinionSettings


def crisis_filter(settings: GuardSettings) -> CrisisFilter:
    """The crisis filter: the shipped lexicon and the site's, the encoder unless it is off, a second opinion if any.

    Raises:
        LexiconError, EncoderError: naming the file and what is wrong with it.
    """
    lexicon = load_lexicon(extra=tuple(settings.lexicons))
    second_opinion = _second_opinion(settings.second_opinion)
    if settings.encoder == "off":
        return CrisisFilter(lexicon, encoder=None, second_opinion=second_opinion)
    from ..guards.encoder import OnnxEncoder, shipped_encoder

    encoder = shipped_encoder() if settings.encoder == "shipped" else OnnxEncoder.load(Path(settings.encoder))
    return CrisisFilter(
        lexicon,
        encoder,
        _thresholds(encoder.thresholds, settings),
        second_opinion=second_opinion,
        foreign="shipped" if settings.encoder == "shipped" else None,
        # Before the time for a whole check is up, so that a crisis which stands in so many words is never held.
        patience_s=settings.screen_s * 0.75,
    )


def _thresholds(calibrated: Thresholds, settings: GuardSettings) -> Thresholds:
    chosen = calibrated.model_copy(update=settings.thresholds.model_dump(exclude_none=True))
    # A site that only lowers where a crisis begins wants no concern above it.
    return chosen.model_copy(update={"concern": min(chosen.concern, chosen.crisis)})


def _second_opinion(settings: SecondOpinionSettings) -> LLMOpinion | None:
    if not settings.url or not settings.model:
        return None
    key = settings.key.get_secret_value() if settings.key else None
    return LLMOpinion(settings.url, settings.model, key, settings.timeout_s)
