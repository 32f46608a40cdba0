"""Which lines a person gets: those of the directory, in the order that fits who they are and what they can use."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from ...guards.hotlines import Audience, Directory, Hotline, LineTopic
from ...guards.types import Category, RiskLevel
from .places import SILENT

MOST = 4


def lines_for(
    directory: Directory,
    country: str | None,
    categories: Iterable[Category],
    level: RiskLevel,
    flags: Collection[str],
) -> tuple[Hotline, ...]:
    """The lines to offer, best first; never empty. A young person gets a line for the young, who cannot speak one to
    write to."""
    categories = tuple(dict.fromkeys(categories))
    lines = list(directory.lines(country, categories, level, MOST))
    if "minor" in flags and country:
        # A line for abused children is no help to a child who is not: it must meet any trouble, or this one.
        met = {LineTopic.GENERAL, *(topic for topic in LineTopic if topic in set(categories))}
        if not {Category.ABUSE, Category.NEGLECT}.isdisjoint(categories):
            met.add(LineTopic.CHILD)
        young = [
            line
            for line in directory.all_lines(country)
            if Audience.CHILDREN in line.audience and LineTopic.EMERGENCY not in line.topics and line.country == country
            if not met.isdisjoint(line.topics)
        ]
        young.sort(key=lambda line: (LineTopic.GENERAL not in line.topics, not line.always_open, not line.checked))
        lines = [*lines[:1], *[line for line in young[:1] if line not in lines[:1]], *lines[1:]]
    if SILENT & set(flags):
        if not any(line.written for line in lines):
            lines += [line for line in directory.all_lines(country) if line.written]
        lines.sort(key=lambda line: not line.written)
    return tuple(dict.fromkeys(lines))[:MOST]


def said_lines(lines: Sequence[Hotline], flags: Collection[str] = ()) -> tuple[Hotline, ...]:
    """The lines named in the text, two at most: the best one, and one to write to where the best must be spoken to.

    A second line for somebody else, such as the children's line for an adult, is not named: it would only send them on.
    """
    first, *rest = lines
    if "minor" in flags and rest and Audience.CHILDREN in rest[0].audience:
        return (first, rest[0])
    for_them = {Audience.ALL, *first.audience}
    rest = [line for line in rest if not for_them.isdisjoint(line.audience)]
    written = (line for line in rest if line.writes_first and not first.writes_first)
    return (first, *[next(written, None) or line for line in rest[:1]])
