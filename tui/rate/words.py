"""What the rating screen says by itself. It speaks to a rater and never names a system."""

from __future__ import annotations

from collections.abc import Sequence

FOOTER = "1-9, 0: points  Enter: next  B: back  Space: read on  F1: help  Q: leave"
FOOTER_RANK = "1-9: place  Enter: next  B: back  Space: read on  F1: help  Q: leave"
QUESTION = "Somebody wrote"
ANSWER = "Answer"
RANK = "Which answer would have been best for this person? 1 is the best. The same number twice is a tie."
DONE = "Everything is rated. Thank you. B goes back to change something, Q leaves."
NOTHING = "nothing yet"
HELP_KEYS = "Esc goes back. Up and Down read on."
KEYS = (
    ("1-9, 0", "points for the marked row; 0 is 10. In a ranking, the place"),
    ("Up, Down", "another row"),
    ("Left, Right", "a point less or more"),
    ("Space, Page Up/Down", "scroll the text"),
    ("Enter", "on to the next page, when every row has its points"),
    ("B, Backspace", "back to the page before; what you changed is kept"),
    ("N", "on without finishing; the page comes again at the next start"),
    ("Ctrl+T", "light or dark colours"),
    ("Q", "leave; the same command goes on here"),
)
ABOUT = (
    "Which system wrote an answer is not shown, and the order is shuffled. Rate what stands there, not how long it is. "
    "An answer that fits between two anchors takes the lower one."
)


def top(rater: str, finished: int, pages: int, place: str) -> str:
    """Whose screen it is and how far."""
    return f"{rater}   {finished} of {pages} pages done   {place}"


def place(kind: str, letter: str, answers: int) -> str:
    """What is on the page."""
    return f"rank {answers} answers" if kind == "rank" else f"answer {letter} of {answers}"


def still_open(names: Sequence[str]) -> str:
    """What has no points yet."""
    return f"Still open: {', '.join(names)}. N goes on without."
