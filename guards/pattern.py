"""The small pattern language of the lexicons: words in order, with choices, classes, stems and gaps.

    kill myself             the words, in this order, inside one sentence
    (end|finish) it         one of several; a choice may hold several words
    all? my (old|new)? pills    a trailing ``?`` makes a word or a choice optional
    <means>                 any word or phrase of the class ``means``
    overdos*                any word that begins so
    ..3                     up to three further words inside the clause
    ~6                      up to six further words, over commas too, inside the sentence
    ^ $                     the sentence begins, ends here

A pattern is turned into one regular expression over a ``Reading``, and the sets of words of which one must be there for
it to match at all, so that almost every pattern is ruled out by looking words up. Every repetition is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

STOP = "."
"""Stands in a reading for the end of a sentence."""
PAUSE = ","
"""Stands in a reading for a comma, a bracket or a colon."""


_EMPTY = "an empty choice; write a '?' behind what may be missing"


class PatternError(ValueError):
    """A pattern cannot be read; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word, or with ``stem`` every word that begins with it."""

    text: str
    stem: bool = False


@dataclass(frozen=True, slots=True)
class Gap:
    """Up to ``most`` words that do not matter."""

    most: int
    pauses: bool


@dataclass(frozen=True, slots=True)
class Edge:
    """Where a sentence begins (``^``) or ends (``$``)."""

    end: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several sequences."""

    options: tuple[Sequence, ...]
    optional: bool = False
    name: str | None = None


Node = Word | Gap | Edge | Choice
Sequence = tuple[Node, ...]

_LEX = re.compile(
    r"\s*(?:(?P<gap>\.\.|~)(?P<most>\d{1,2})|<(?P<name>[a-z_]+)>|\((?P<flat>[^()<>^$~?|.]+(?:\|[^()<>^$~?|.]+)*)\)"
    r"|(?P<sign>[()|?^$])|(?P<word>[^\s()|?^$<>~*]+\*?))"
)


def parse(source: str, classes: Mapping[str, Choice], words: Callable[[str], Sequence]) -> Sequence:
    """The pattern as a tree. ``words`` brings a phrase to the spelling that readings use.

    Raises:
        PatternError: naming what is wrong.
    """
    at = 0

    def sequence(depth: int) -> Sequence:
        nonlocal at
        nodes: list[Node] = []
        while at < len(source) and source[at:].strip():
            m = _LEX.match(source, at)
            if m is None:
                raise PatternError(f"cannot read {source[at:]!r}")
            sign = m["sign"]
            if sign in ("|", ")"):
                if depth == 0:
                    raise PatternError(f"{sign!r} without an opening '('")
                at = m.start("sign")
                break
            at = m.end()
            if m["flat"]:
                nodes.append(Choice(tuple(words(option) for option in m["flat"].split("|"))))
            elif m["word"]:
                found = words(m["word"])
                if source.startswith("?", at) and len(found) > 1:
                    at += 1
                    nodes.append(Choice((found,), True))
                else:
                    nodes.extend(found)
            elif m["gap"]:
                nodes.append(Gap(int(m["most"]), pauses=m["gap"] == "~"))
            elif m["name"]:
                if m["name"] not in classes:
                    raise PatternError(f"there is no class <{m['name']}>")
                nodes.append(classes[m["name"]])
            elif sign == "(":
                options: list[Sequence] = []
                while True:
                    before = at
                    options.append(sequence(depth + 1))
                    if not source[before:at].strip():
                        raise PatternError(_EMPTY)
                    if not source.startswith("|", at):
                        break
                    at += 1
                if not source.startswith(")", at):
                    raise PatternError("a '(' is not closed")
                at += 1
                nodes.append(Choice(tuple(options)))
            elif sign == "?":
                if not nodes or isinstance(nodes[-1], Gap | Edge):
                    raise PatternError("'?' must follow a word, a class or a choice")
                last = nodes.pop()
                if isinstance(last, Choice):
                    nodes.append(Choice(last.options, True, last.name))
                else:
                    nodes.append(Choice(((last,),), True))
            else:
                nodes.append(Edge(end=sign == "$"))
        return tuple(nodes)

    nodes = sequence(0)
    if not any(isinstance(node, Word) or (isinstance(node, Choice) and not node.optional) for node in nodes):
        raise PatternError("nothing in it must be there")
    if isinstance(nodes[0], Gap) or isinstance(nodes[-1], Gap):
        raise PatternError("a gap must have words on both sides")
    return nodes


def phrase(written: str, spell: Callable[[str], str]) -> tuple[Word, ...]:
    """Plain words and stems, in the spelling that ``spell`` gives.

    Raises:
        PatternError: for a word that readings leave out.
    """
    found: list[Word] = []
    for word in written.split():
        if word[-1] == "*":
            found.append(Word(word[:-1], stem=True))
            continue
        spelled = spell(word)
        if not spelled:  # silently leaving it out here too would make "not just" mean "not"
            raise PatternError(f"{word!r} is a filler word, which readings leave out")
        found += map(Word, spelled.split())
    if not found:
        raise PatternError(_EMPTY)
    return tuple(found)


NEGATORS = ("not", "never", "no", "without", "nothing")
"""Words that a gap never swallows, in English; a lexicon in another language names its own."""


def expression(nodes: Sequence, negators: tuple[str, ...] = NEGATORS) -> str:
    """The regular expression; every word brings the space before it."""
    return "".join(_expression(node, negators) for node in nodes)


def _expression(node: Node, negators: tuple[str, ...]) -> str:
    if isinstance(node, Word):
        return f" {_written((node,))}(?= )"
    if isinstance(node, Gap):
        # A gap never swallows a negation: "i am not suicidal" is no "i am ..1 suicidal".
        closed = "|".join(("[.]" if node.pauses else "[.,]", *map(re.escape, negators)))
        return f"(?: (?!(?:{closed}) )[^ ]+){{0,{node.most}}}?"
    if isinstance(node, Edge):
        return r"(?= \. )" if node.end else r"(?<= \.)"
    plain = [_written(option) for option in node.options if all(isinstance(n, Word) for n in option)]
    # Plain phrases share their outer spaces, which the engine then checks once and not once a phrase.
    parts = [f" (?:{'|'.join(plain)})(?= )"] if plain else []
    parts += [expression(option, negators) for option in node.options if not all(isinstance(n, Word) for n in option)]
    inner = "|".join(parts)
    if node.name:
        return f"(?P<{node.name}>{inner})" + ("?" if node.optional else "")
    return f"(?:{inner})?" if node.optional else f"(?:{inner})" if len(parts) > 1 else inner


def _written(words: Sequence) -> str:
    return " ".join(re.escape(w.text) + ("[^ ]*" if w.stem else "") for w in words if isinstance(w, Word))


def longest(nodes: Sequence) -> int:
    """Most words a match can have."""
    return sum(
        node.most if isinstance(node, Gap) else max(map(longest, node.options)) if isinstance(node, Choice) else 1
        for node in nodes
    )


def required(nodes: Sequence, frequency: Callable[[str], int]) -> list[frozenset[Word]]:
    """Sets of words, in order: the pattern can only match where one word of every set is there.

    Of a phrase the rarest word is taken; ``frequency`` is higher for words that are more common.
    """
    needs: list[frozenset[Word]] = []
    for node in nodes:
        if isinstance(node, Word):
            needs.append(frozenset((node,)))
        elif isinstance(node, Choice) and not node.optional:
            anchors: set[Word] = set()
            for option in node.options:
                if len(option) == 1 and isinstance(option[0], Word):
                    anchors.add(option[0])
                    continue
                inner = required(option, frequency)
                if not inner:
                    break
                anchors |= min(inner, key=lambda words: (max(frequency(w.text) for w in words), len(words)))
            else:
                needs.append(frozenset(anchors))
    return needs
