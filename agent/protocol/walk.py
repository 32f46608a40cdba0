"""A conversation with the protocol alone: the guards, the running risk and the protocol's three steps, without a model
and without a store. ``warmline protocol simulate``, the self-check and the tests walk with it; a turn does the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

from ...guards.conversation import RiskState, advance
from ...guards.filter import CrisisFilter
from ...guards.hotlines import Directory
from ...guards.types import RiskLevel, Utterance, Verdict
from ..copy import Copy
from ..language import language_of
from ..voice import Voices
from .choose import Chosen, choose
from .context import for_filter, in_answer, read
from .graph import seen
from .playbook import Playbooks
from .say import CrisisReply, say
from .state import Progress
from .understand import Heard

_SEEN = 12
"""Utterances the filter is given; as many as a turn gives it."""


@dataclass(frozen=True)
class Step:
    """One message and what came of it."""

    text: str
    verdict: Verdict
    heard: Heard | None
    """None when the protocol stayed closed: then the model would have answered."""
    chosen: Chosen | None
    reply: CrisisReply | None

    @property
    def moves(self) -> tuple[str, ...]:
        """Ids of the moves, without the numbers of their variants."""
        return tuple(move.id for move in self.chosen.moves) if self.chosen else ()


class Walk:
    """Talks turn by turn; keeps what a session keeps.

    Args:
        voices: follow the person's language with these; None stays with ``playbooks`` and ``copy``.
    """

    def __init__(
        self,
        crisis_filter: CrisisFilter,
        playbooks: Playbooks,
        directory: Directory,
        copy: Copy,
        *,
        country: str | None = None,
        seed: int = 0,
        voices: Voices | None = None,
    ) -> None:
        self._filter, self._playbooks, self._directory, self._copy = crisis_filter, playbooks, directory, copy
        self.country, self.seed, self._voices = country, seed, voices
        self.language = copy.language
        self.risk, self.progress = RiskState(), Progress()
        self.history: list[Utterance] = []
        self.turn = 0

    def hear(self, text: str, verdict: Verdict | None = None) -> Step:
        """One turn.

        Args:
            verdict: in place of the filter's, to open a crisis that the text does not show.
        """
        self.turn += 1
        if self._voices is not None:
            self.language = language_of(text, self.language)
            voice = self._voices.of(self.language)
            self._playbooks, self._copy = voice.playbooks, voice.copy
        if verdict is None:
            history = for_filter(text, self.history[-_SEEN:], self.progress.pending, self._playbooks)
            verdict = in_answer(self._filter.screen(text, history), text, self.progress, self._playbooks)
        topic = self._playbooks.topics.get(self.progress.pending or "")
        denial = topic is not None and topic.denial and not self.progress.open
        self.risk = advance(self.risk, verdict, text, asked=denial)
        if self.risk.level < RiskLevel.ELEVATED and not self.progress.open:
            self.history.append(Utterance(role="user", text=text))
            return Step(text, verdict, None, None, None)
        wanted = self.progress.asked_country and not self.country and not self.progress.told_country
        heard = read(text, self.progress.pending, verdict, self._playbooks, asks_country=wanted)
        chosen = choose(
            self._playbooks,
            self.progress,
            heard,
            verdict=verdict,
            risk=self.risk,
            country=self.country,
            directory=self._directory,
            text=text,
        )
        seed = crc32(f"{self.seed}/{self.turn}".encode())
        reply = say(chosen, copy=self._copy, directory=self._directory, seed=seed, reflect=heard.reflect)
        self.progress = reply.progress
        self.risk = seen(self.risk, self.progress)
        self.history += [Utterance(role="user", text=text), Utterance(role="assistant", text=reply.text)]
        return Step(text, verdict, heard, chosen, reply)
