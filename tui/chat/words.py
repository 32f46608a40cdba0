"""What the chat says by itself, in one place, so that it can be read as copy. Nothing here answers a message."""

from __future__ import annotations

from urllib.parse import urlsplit

from ...agent.settings import Settings

YOU = "You"
AGENT = "Warmline (AI)"
HUMAN = "A real person"
NOTE = "Note"
NEW = "New conversation"
NOWHERE = "Somewhere else, or I'd rather not say"

FOOTER = "Warmline is an AI, not a person. F1: talk to a person"
FOOTER_NARROW = "An AI, not a person. F1: a person"

FOOTER_HUMAN = "A real person is writing with you here. F1: other people"
FOOTER_HUMAN_NARROW = "A real person is here. F1: others"

PLACEHOLDER = "What is on your mind?"
HINT = "Enter sends. Ctrl+J starts a new line. F2 shows your conversations."
HINT_NARROW = "Enter sends. F2: conversations."

GETTING_READY = "Getting ready. You can write already, and F1 works."
WAITING_FOR_MODEL = "Still getting ready to answer. The first time can take a minute. F1 works now."
WITH_HUMAN = "A real person reads what you write here."
WORKING = "Working on a reply. Esc stops it."
STOPPED = "Stopped. What was shown stays."
RECOVERING = "Finishing the reply that was cut off last time. Esc stops it."
NOT_LOADED = "Warmline cannot answer properly right now. F1 still shows people you can talk to."
NOT_LOADED_WHY = "A part of Warmline could not be loaded: {}"

MARK_STOPPED = "You stopped this reply."
MARK_NOT_SENT = "Not sent."
MARK_NOT_KEPT = "Not saved."
MARK_REPLACED = "A safety check held back the model's next words. The last part is a fixed text."
MARK_MODEL_DOWN = "The language model did not answer. This is a fixed text. You can send your message again."
MARK_PART_FAILED = "A part of Warmline failed. This is a fixed text."
FAILED = "Something went wrong and your message was not answered. Nothing you wrote is lost."
TEXT_IS_BACK = "Your words are in the box again."

GREETING = (
    "Hi. You can write about anything that weighs on you, in your own words and at your own pace.\n\n"
    "I am an AI, not a person. I can get things wrong. To talk to a person, press F1 at any time."
)

LEAVE = "Press Ctrl+C once more to leave."
LEAVE_DRAFT = "Press Ctrl+C once more to leave. What you have not sent will be gone."
COPIED = "Copied: {}"
NOT_REMEMBERED = "This choice works now, but could not be saved for next time ({})."
LIST_FAILED = "Your conversations cannot be read right now ({}). You can still write."
LINES_FAILED = (
    "The list of phone numbers cannot be read right now. If you are in danger, call your local emergency number. "
    "findahelpline.com lists free lines in most countries."
)

TOO_LONG = (
    "That is a lot to send at once. The first part is in the box, and the rest ({} characters) is kept. "
    "It comes into the box when you send this part."
)
NEXT_PART = "The next part of your long text is in the box. {} characters more are kept."
LAST_PART = "The last part of your long text is in the box."
TOO_LONG_TYPED = (
    "That is too long for one message: {} characters, and {} fit. Nothing is lost. Please send it in parts."
)

UNCHECKED_MARK = "not checked yet"
UNCHECKED = "Where it says “not checked yet”, please confirm the number at findahelpline.com."
COPY_HINT = "F3 goes to the numbers. Enter or a click copies one."
COPY_HINT_HELP = "Up and Down choose. Enter or a click copies."
EMERGENCY = "In danger now: call"
ANY_HOUR = "any hour"
FREE = "free"

HELP_KEYS_SHORT = "Esc: back. F4: another country."
HELP_KEYS = (
    ("F1 or ?", "people you can talk to"),
    ("F2", "your conversations"),
    ("F3", "go to the numbers on the last card"),
    ("F4", "choose your country"),
    ("Ctrl+N", "new conversation"),
    ("Ctrl+T", "light or dark colours"),
    ("Ctrl+J", "new line (Shift+Enter in some terminals)"),
    ("Esc", "stop a reply, or close what is open"),
    ("Page Up/Down", "scroll the conversation"),
    ("Ctrl+C", "stop a reply; otherwise leave"),
)

WELCOME_TITLE = "Welcome to Warmline"
COUNTRY_QUESTION = "Which country are you in? It decides which phone numbers you see."
COUNTRY_FILTER = "Type the first letters of your country"
WELCOME_KEYS = "Up and Down choose. Enter: start. F1: talk to a person"
WELCOME_KEYS_NARROW = "Enter: start. F1: talk to a person"
COUNTRY_KEYS = "Up and Down choose, Enter takes it, Esc goes back."

SIDEBAR_KEYS = "Enter opens. R renames. D deletes. N is new. Esc closes."
RENAME = "A name for this conversation"
DELETE = "Delete “{}”?"
DELETE_MORE = "Every message in it will be gone from this computer. This cannot be undone."
DELETE_MORE_SHARED = "Every message in it will be gone from the database. This cannot be undone."
KEEP_IT = "No, keep it"
DELETE_IT = "Yes, delete"


def what_this_is() -> str:
    """What the person talks to, and what it is not."""
    return (
        "You can write here about what weighs on you. An AI answers, which is a computer program. "
        "It is not a person, not a therapist and not a doctor. It can be wrong, and it cannot call anyone for you."
    )


def what_is_kept(settings: Settings) -> str:
    """Where the messages go, told from the settings in use."""
    where = _place(settings.store.resolved_url())
    model = urlsplit(settings.model.base_url or "").hostname
    if model is None or model in ("localhost", "127.0.0.1", "::1"):
        sent = "Replies are made on this computer too."
    else:
        sent = f"To make a reply, your messages are sent to {model}."
    return f"Your conversations are kept {where}. {sent} You can delete them at any time (F2)."


def kept_here(settings: Settings) -> bool:
    """True when conversations stay on this computer."""
    return settings.store.resolved_url().startswith("sqlite")


def _place(url: str) -> str:
    if url.startswith("sqlite"):
        path = url.partition("///")[2].partition("?")[0]
        return f"on this computer, in {path}" if path and path != ":memory:" else "only until you leave"
    return f"in the database at {urlsplit(url).hostname or 'a server'}"
