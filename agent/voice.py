"""What is said in one language: the fixed copy and the crisis protocol's playbooks, read together or not at all.

A language counts when all of it is there; every other one is answered in English, with the lines of the country.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from ..guards.hotlines import Directory
from .copy import DATA as COPY_DATA
from .copy import Copy, CopyError
from .protocol.files import PlaybookError
from .protocol.playbook import DATA as PROTOCOL_DATA
from .protocol.playbook import Playbooks, check_lines, load_playbooks

log = logging.getLogger(__name__)

ENGLISH = "en"
SHIPPED = (ENGLISH, "es", "de", "fr", "pt", "ru")
"""Languages whose copy, playbooks and answers all ship, ISO 639-1."""


@dataclass(frozen=True)
class Voice:
    """The vetted words of one language."""

    copy: Copy
    playbooks: Playbooks

    @property
    def language(self) -> str:
        """ISO 639-1."""
        return self.copy.language


class Voices:
    """The voices of all shipped languages, each read at its first use. Thread-safe.

    Args:
        languages: those to speak; English is always among them.
        copy: stands in place of the shipped copy of its language.
        copies, protocol: folders of the data.
    """

    def __init__(
        self,
        languages: Sequence[str] = SHIPPED,
        *,
        copy: Copy | None = None,
        copies: Path = COPY_DATA,
        protocol: Path = PROTOCOL_DATA,
    ) -> None:
        self.languages = tuple(dict.fromkeys((ENGLISH, *languages, *([copy.language] if copy else ()))))
        self._own, self._copies, self._protocol = copy, copies, protocol
        self._read: dict[str, Voice] = {}
        self._lock = Lock()

    def of(self, language: str) -> Voice:
        """The voice of a language; English where it has none, or where it cannot be read.

        Raises:
            CopyError, PlaybookError: English itself cannot be read; naming file, line or key.
        """
        if language not in self.languages:
            language = ENGLISH
        if found := self._read.get(language):
            return found
        with self._lock:
            if language not in self._read:
                try:
                    self._read[language] = self.load(language)
                except (CopyError, PlaybookError) as error:
                    if language == ENGLISH:
                        raise
                    log.error("answering in English: %s", error)
                    self._read[language] = self._read.get(ENGLISH) or self.load(ENGLISH)
            return self._read[language]

    def load(self, language: str) -> Voice:
        """Read one language.

        Raises:
            CopyError, PlaybookError: naming the file, the line or key, and what is wrong.
        """
        own = self._own if self._own and self._own.language == language else None
        copy = own or Copy.load(path=self._copies / f"{language}.yaml")
        playbooks = load_playbooks(language, self._protocol)
        if playbooks.language != language and own is None:
            folder = self._protocol / "copy" / language
            raise PlaybookError(f"{folder}: there is no such folder; it holds the playbooks' texts")
        return Voice(copy, playbooks)

    def check(self, directory: Directory) -> None:
        """Read every language and see that nobody is left without a line.

        Raises:
            CopyError, PlaybookError: naming the file, the line or key, and what is wrong.
        """
        for language in self.languages:
            check_lines(self.load(language).playbooks, directory)
