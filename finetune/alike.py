"""Which texts are nearly the same, by the three-word runs they share. It decides about no row.

Exact: every pair above the threshold is found, without comparing all pairs (prefix filter; Bayardo, Ma and Srikant,
"Scaling up all pairs similarity search", WWW 2007).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from math import ceil

import regex

RUN = 3
"""Words in a run. Two texts with half of their three-word runs in common say the same; shared topics alone stay under a
tenth (MentalChat16K's synthetic part)."""

_WORD = regex.compile(r"[\w']+")


def runs(text: str) -> frozenset[str]:
    """A text's runs of three words; of a shorter text, the text itself."""
    words = _WORD.findall(text.casefold())
    if len(words) < RUN:
        return frozenset([" ".join(words)]) if words else frozenset()
    return frozenset(" ".join(words[i : i + RUN]) for i in range(len(words) - RUN + 1))


def likeness(one: frozenset[str], other: frozenset[str]) -> float:
    """Jaccard: shared runs among all runs, from 0 to 1."""
    return len(one & other) / len(one | other) if one or other else 1.0


def alike(texts: Sequence[frozenset[str]], threshold: float, known: int | None = None) -> Iterator[tuple[int, int]]:
    """Every pair of places ``(earlier, later)`` whose likeness is at least ``threshold``, above 0.

    Args:
        known: compare only the texts from this place on with those before it.
    """
    often = Counter(run for text in texts for run in text)
    holders: dict[str, list[int]] = defaultdict(list)
    for later, text in enumerate(texts):
        # Rare runs first: two texts this alike share at least one of so many of their rarest.
        rarest = sorted(text, key=lambda run: (often[run], run))[: len(text) - ceil(threshold * len(text)) + 1]
        if known is None or later >= known:
            candidates = {earlier for run in rarest for earlier in holders.get(run, ())}
            yield from ((one, later) for one in sorted(candidates) if likeness(texts[one], text) >= threshold)
        if known is None or later < known:
            for run in rarest:
                holders[run].append(later)


def groups(size: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """For each place, the first place of its group; places that are paired, over others too, are in one group."""
    first = list(range(size))

    def root(place: int) -> int:
        while first[place] != place:
            first[place] = first[first[place]]
            place = first[place]
        return place

    for one, other in pairs:
        low, high = sorted((root(one), root(other)))
        first[high] = low
    return [root(place) for place in range(size)]


def stems(text: str) -> frozenset[str]:
    """What a text is about, for texts that were lower-cased, lemmatised or stripped of punctuation: the beginnings of
    its longer words."""
    return frozenset(word[:5] for word in _WORD.findall(text.casefold().replace("'", " ")) if len(word) > 3)
