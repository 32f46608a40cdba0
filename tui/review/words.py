"""What the review screen says by itself. It speaks to a reviewer, never to the person."""

from __future__ import annotations

from datetime import datetime, timedelta

from ...agent.store import HumanKind, Mark, Outcome, ServiceLevel, Ticket, TicketState
from ...agent.store.tickets import AGES
from ...guards.types import Category, RiskLevel, Verdict

TITLE = "Warmline review"
EMPTY = "No tickets. New ones come by themselves, with a bell."
CHOOSE = "Choose a ticket and press Enter to read it."
PERSON = "Person"
AGENT = "Warmline (AI)"
YOU = "You, a human"
PLACEHOLDER = "Write to the person, as a human. Enter sends."

KEYS_QUEUE = "Enter reads  T takes over  C closes  N note  M marks a verdict  F1 all keys"
KEYS_MINE = "Enter sends  F2 sentences  Esc, then: R gives back  C closes  N note  M marks"
KEYS = (
    ("Up, Down", "choose a ticket; in the talk, a message"),
    ("Enter", "read the ticket; that counts as the first look"),
    ("T", "take over: the agent falls silent, and the person is told that a human writes"),
    ("R", "give back: the agent goes on, and the person is told"),
    ("C", "close with an outcome"),
    ("N", "write a note for other reviewers; the person never sees it"),
    ("M", "mark the verdict on the chosen message as wrong"),
    ("S or F2", "vetted sentences; one goes into the box, where you can change it"),
    ("A", "show or hide tickets closed in the last day"),
    ("Tab, Esc", "go around; Esc leaves the box"),
    ("Page Up/Down", "scroll the talk"),
    ("Ctrl+T", "light or dark colours"),
    ("Q", "leave; talks that you have go back to the agent"),
)

TAKEN = "You are writing with this person now. The agent is silent."
RELEASED = "The agent goes on. The person was told."
CLOSED = "Closed."
NOTED = "Noted."
MARKED = "Marked. `warmline review export` writes it as a labelled example."
NO_MESSAGE = "There is no judged message to mark."
LOST = "This ticket is not yours any more: it went back to the agent, or was closed or deleted."
READ_FIRST = "Read a ticket first: choose it and press Enter."
NOT_YOURS = "Take the ticket over first: T."
GONE = "This conversation was deleted."

OUTCOME = "How did it end?"
OUTCOMES = {
    Outcome.SAFER: "The person is safer or calmer",
    Outcome.CONNECTED: "The person is with somebody who helps",
    Outcome.EMERGENCY: "Emergency services are involved",
    Outcome.LEFT: "The person stopped writing",
    Outcome.FALSE_ALARM: "There was no crisis",
}
LEVEL = "Which level would have been right?"
LEVELS = {
    RiskLevel.NONE: "None: a false alarm",
    RiskLevel.CONCERN: "Concern: a gentle question would do",
    RiskLevel.ELEVATED: "Elevated: a crisis",
    RiskLevel.IMMINENT: "Imminent: danger now or within a day",
}
CATEGORIES = "Which categories?"
CATEGORIES_KEYS = "Space chooses, Enter is done, Esc changes nothing."
NOTE = "A note for other reviewers"
NOTE_KEYS = "Enter keeps it. Esc drops it."
CHOICE_KEYS = "Up and Down choose, Enter takes it, Esc goes back."
SNIPPETS = "Sentences to begin with"


def ago(time: timedelta) -> str:
    """A span of time in its largest unit."""
    seconds = max(0, int(time.total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _short(time: timedelta) -> str:
    return ago(time).replace(" min", "m").replace(" ", "")


def names(categories: tuple[Category, ...]) -> str:
    """Categories as a person reads them."""
    return ", ".join(category.value.replace("_", " ") for category in categories) or "category not known"


def state(ticket: Ticket, reviewer: str, now: datetime) -> str:
    """Who has a ticket."""
    match ticket.state:
        case TicketState.TAKEN if ticket.lapsed(now):
            return f"{ticket.taken_by} is gone"
        case TicketState.TAKEN:
            return "yours" if ticket.taken_by == reviewer else f"{ticket.taken_by} writes"
        case TicketState.RELEASED:
            return "given back"
        case TicketState.CLOSED:
            return f"closed: {ticket.outcome.value.replace('_', ' ') if ticket.outcome else ''}"
        case TicketState.OPEN:
            return "seen" if ticket.first_seen else "new"


def service(level: ServiceLevel) -> str:
    """The service level in one line."""
    look = f"first look {ago(level.first_look)}" if level.first_look is not None else "no look yet"
    waits = f"{level.unseen} new" + (f", oldest {ago(level.oldest_unseen)}" if level.oldest_unseen else "")
    edges = [f"<{_short(age)}" for age in AGES] + [f">{_short(AGES[-1])}"]
    return f"{waits} · {look} · open " + " ".join(f"{e} {n}" for e, n in zip(edges, level.by_age, strict=True))


def judged(verdict: Verdict | None, mark: Mark | None) -> str:
    """What the filter said of a message, and what a reviewer says."""
    if verdict is None:
        said = "not judged"
    elif verdict.error:
        said = f"could not be judged ({verdict.error})"
    elif verdict.level is RiskLevel.NONE:
        said = ""
    else:
        said = f"{verdict.level.value}: {names(verdict.categories)}"
    if mark is None:
        return said
    right = mark.level.value + (f": {names(mark.categories)}" if mark.categories else "")
    return f"{said or 'none'} → marked {right}"


def who(kind: HumanKind, author: str, reviewer: str) -> str:
    """Who wrote a message between the turns."""
    if kind is not HumanKind.MESSAGE:
        return AGENT
    return YOU if author == reviewer else f"{author}, a human"
