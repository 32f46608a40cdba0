"""Whether an English message is about somebody else, by its pronouns alone; for verdicts that rest on no wording.

Decides nothing about risk. It would rather take a helper for the person at risk than the other way round: who hides
behind "a friend" or a story, or leaves the "I" out, is the writer.
"""

from __future__ import annotations

import re

from .types import Category

_FIRST = re.compile(r"(?<![\w'])(?:i|im|i'm|ive|i've|id|i'd|ill|i'll|me|myself|mine)(?![\w'])")
_OTHER = re.compile(
    r"(?<![\w'])(?:he|hes|he's|she|shes|she's|him|his|her|hers|himself|herself|they|theyre|they're|them|their"
    r"|my (?:\w+ ){0,2}(?:friend|mate|son|daughter|sister|brother|mum|mom|dad|mother|father|wife|husband|partner"
    r"|girlfriend|boyfriend|gf|bf|flatmate|roommate|cousin|nephew|niece|gran|nan|grandad|colleague|pupil|student"
    r"|neighbou?r|client|patient|kid|child))(?![\w'])"
)
_MASK = re.compile(
    r"asking for|hypothetical|character|story|novel|homework|essay|podcast|research|script|screenplay|\bhero"
    r"|say a (?:friend|mate|pal)|(?:friend|mate|pal)(?: of mine)? ?[-\u2014]|purely"
)
_OWN = frozenset((Category.SUICIDE, Category.SELF_HARM, Category.EATING_DISORDER, Category.SUBSTANCE_MISUSE))
"""Where "he" and "she" are mostly the one at risk. In abuse and violence they are mostly the one who hurts."""
_HEAD = 4_000


def about_other(text: str, categories: tuple[Category, ...]) -> bool:
    """Whether a crisis (canonical text) is told of somebody else.

    On the corpus it finds 42 % of the third-party crises of these categories, and takes 0.3 % of the writers' own for
    somebody else's (10 of 3,117): three times as many words for others as for the writer would halve both.
    """
    if not categories or not _OWN.issuperset(categories):
        return False
    head = text[:_HEAD]
    others, own = len(_OTHER.findall(head)), len(_FIRST.findall(head))
    return others >= max(3, 2 * own + 2) and _MASK.search(head) is None
