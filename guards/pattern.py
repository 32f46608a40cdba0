"""The small pattern language of the lexicons: words in order, with choices, classes, stems and gaps.

    kill myself             the words, in this order, inside one sentence
    (end|finish) it         one of several; a choice may hold several words
    all? my (old|new)? pills    a trailing ``?`` makes a word or a choice optional
    <means>                 any word or phrase of the class ``means``
    overdos*                any word that begins so
    ..3                     up to three further words inside the clause
    ~6                      up to six further words, over commas too, inside the sentence
    ^ $                     the sentence begins, ends here

A pattern is turned into one regular expression over a ``Reading`` and the sets of words of which one must be there for it
to match at all, so that almost every pattern is ruled out by looking words up. Every repetition is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

STOP = "."
"""Stands in a reading for the end of a sentence."""
PAUSE = ","
"""Stands in a reading for a comma, a bracket or a colon."""


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

_LEX = re.compile(r"\s*(?:(?P<gap>\.\.|~)(?P<most>\d{1,2})|<(?P<name>[a-z_]+)>|(?P<sign>[()|?^$])|(?P<word>[^\s()|?^$<>~*]+)(?P<stem>\*?))")


def parse(source: str, classes: Mapping[str, Choice], spell: Callable[[str], str]) -> Sequence:
    """The pattern as a tree. ``spell`` brings each word to the spelling that readings use.

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
            if m["gap"]:
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
                        raise PatternError("an empty choice; write a '?' behind what may be missing")
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
            elif sign:
                nodes.append(Edge(end=sign == "$"))
            elif m["stem"]:
                nodes.append(Word(m["word"], stem=True))
            else:
                spelled = spell(m["word"]).split()
                if not spelled:  # silently leaving it out here too would make "not just" mean "not"
                    raise PatternError(f"{m['word']!r} is a filler word, which readings leave out")
                if source.startswith("?", at) and len(spelled) > 1:
                    at += 1
                    nodes.append(Choice((tuple(Word(w) for w in spelled),), True))
                else:
                    nodes.extend(Word(w) for w in spelled)
        return tuple(nodes)

    nodes = sequence(0)
    if not any(isinstance(node, Word) or (isinstance(node, Choice) and not node.optional) for node in nodes):
        raise PatternError("nothing in it must be there")
    if isinstance(nodes[0], Gap) or isinstance(nodes[-1], Gap):
        raise PatternError("a gap must have words on both sides")
    return nodes


def expression(nodes: Sequence) -> str:
    """The regular expression; every word brings the space before it."""
    return "".join(map(_expression, nodes))


def _expression(node: Node) -> str:
    if isinstance(node, Word):
        return " " + re.escape(node.text) + (r"[^ ]*" if node.stem else "") + "(?= )"
    if isinstance(node, Gap):
        # A gap never swallows a negation: "i am not suicidal" is no "i am ..1 suicidal".
        return f"(?: (?!(?:{'[.]' if node.pauses else '[.,]'}|not|never|no|without|nothing) )[^ ]+){{0,{node.most}}}?"
    if isinstance(node, Edge):
        return r"(?= \. |\Z| \Z)" if node.end else r"(?:(?<= \.)|(?<![^\n]))"
    inner = "|".join(map(expression, node.options))
    group = f"(?P<{node.name}>{inner})" if node.name else f"(?:{inner})"
    return group + "?" if node.optional else group


def required(nodes: Sequence, common: Mapping[str, int]) -> list[frozenset[Word]]:
    """Sets of words: the pattern can only match where one word of every set is there.

    ``common`` ranks words that are everywhere; of a phrase the rarest word is taken.
    """
    needs: list[frozenset[Word]] = []
    for node in nodes:
        if isinstance(node, Word):
            needs.append(frozenset((node,)))
        elif isinstance(node, Choice) and not node.optional:
            anchors: set[Word] = set()
            for option in node.options:
                inner = required(option, common)
                if not inner:
                    break
                anchors |= min(inner, key=lambda words: (max(common.get(w.text, 0) for w in words), len(words)))
            else:
                needs.append(frozenset(anchors))
    return needs
