"""Everything the agent says by itself: loaded from one file per language, checked when it is read, picked by seed.

It decides only which of the vetted variants is said. It never writes a sentence and never asks a model.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from string import Formatter
from typing import Annotated, Any
from zlib import crc32

import yaml
from pydantic import AfterValidator, Field, ValidationError, model_validator

from ..guards.types import Category, Frozen, Subject

DATA = Path(__file__).parent / "data" / "copy"


class CopyError(ValueError):
    """A copy file cannot be used. The message names the file, the key and what is wrong."""


def _text(*, needs: Collection[str] = ()) -> Callable[[str], str]:
    """A check for one text: no exclamation marks, and exactly the placeholders in ``needs``."""

    def check(text: str) -> str:
        text = text.strip()
        if not text:
            raise ValueError("is empty")
        if "!" in text:
            raise ValueError("has an exclamation mark")
        try:
            found = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
        except ValueError as error:
            raise ValueError(f"has a broken placeholder: {error}") from None
        if found != set(needs):
            wanted = " and ".join(f"{{{name}}}" for name in needs) or "none"
            raise ValueError(f"has the placeholders {sorted(found)}; wanted: {wanted}")
        return text

    return check


Text = Annotated[str, AfterValidator(_text())]
Some = Annotated[tuple[Text, ...], Field(min_length=2)]
More = Annotated[tuple[Text, ...], Field(min_length=3)]


class Reach(Frozen):
    """How lines are put into a sentence."""

    one: Annotated[str, AfterValidator(_text(needs=("first",)))]
    two: Annotated[str, AfterValidator(_text(needs=("first", "second")))]
    line: Annotated[str, AfterValidator(_text(needs=("say", "name")))]
    always: Text
    """Said behind lines that all are free and never close."""


class CardTitles(Frozen):
    """Titles of the card with the lines."""

    help: Text
    elevated: Text
    imminent: Text
    other: Text


class SafetyPlan(Frozen):
    """Headings of the safety plan as text."""

    title: Text
    steps: Mapping[str, Text]


class Human(Frozen):
    """What the agent says when a human reviewer comes and when they leave."""

    arrived: More
    left: More
    makes_way: Some
    """Ends a reply of the model that a reviewer came into."""


class Texts(Frozen):
    """All texts of one language; the fields are the keys of the file."""

    language: str
    notice: Text
    unchecked: Text
    unchecked_in_reply: Text
    emergency_unknown: Text
    ask_country: Text
    no_lines: Annotated[str, AfterValidator(_text(needs=("country",)))]
    reach: Reach
    card_title: CardTitles
    somebody: Text
    """Whom a worried person writes about, when they did not say."""
    safety_plan: SafetyPlan
    concern: More
    """Stands before the safety question when no model's words do."""
    safety_question: Mapping[str, Some]
    hold: More
    model_down: More
    model_slow: More
    cut_off: More
    replaced: More
    replaced_whole: More
    empty: Text
    too_long: Text
    interrupted: Text
    not_stored: Text
    human: Human

    @model_validator(mode="after")
    def _complete(self) -> Texts:
        categories = {category.value for category in Category}
        _same("safety_question", self.safety_question, categories | {"other", "any"})
        if min(len(self.safety_question["suicide"]), len(self.safety_question["any"])) < 6:
            raise ValueError("safety_question.suicide and safety_question.any need six variants each")
        return self


def _same(key: str, found: Iterable[str], wanted: Collection[str]) -> None:
    difference = set(found) ^ set(wanted)
    if difference:
        raise ValueError(f"{key} has unknown or missing keys: {', '.join(sorted(difference))}")


class Copy:
    """The texts of one language and the choice among their variants. Build it with `Copy.load`."""

    def __init__(self, texts: Texts) -> None:
        self.texts = texts

    @property
    def language(self) -> str:
        """ISO 639-1."""
        return self.texts.language

    @classmethod
    def load(cls, language: str = "en", *, path: Path | None = None) -> Copy:
        """Read the shipped file of ``language``, or ``path``.

        Raises:
            CopyError: naming the file, the key and what is wrong.
        """
        path = path or DATA / f"{language}.yaml"
        try:
            raw: Any = yaml.load(path.read_text("utf-8"), Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))
            return cls(Texts.model_validate(raw))
        except OSError as error:
            raise CopyError(f"{path}: cannot be read: {error.strerror}") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise CopyError(f"{path}: is not valid YAML: {error}") from None
        except ValidationError as error:
            problems = (f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors(include_url=False))
            raise CopyError(f"{path}: " + "; ".join(problems)) from None

    def safety_question(self, categories: Sequence[Category], *, seed: int = 0, subject: Subject = Subject.SELF) -> str:
        """The one question of a turn that may or may not be a crisis."""
        key = "other" if subject is Subject.OTHER else categories[0].value if categories else "any"
        return pick(self.texts.safety_question[key], seed, "safety_question")

    def concern(self, *, seed: int = 0) -> str:
        """Takes in what was said, before the safety question, when the model is not to or could not."""
        return pick(self.texts.concern, seed, "concern")

    def ending(self, problems: Sequence[str], *, begun: bool, seed: int = 0) -> str:
        """The fixed words that end a reply which the model or a check could not finish.

        Args:
            problems: names such as ``output:diagnosis``, ``model:unreachable``, ``guard:TimeoutError``.
            begun: whether a part of the reply was shown.
        """
        texts = self.texts
        if any(problem.startswith("output:") for problem in problems):
            variants = texts.replaced if begun else texts.replaced_whole
        elif any(problem.startswith("model:") for problem in problems):
            slow = {"model:slow_first_token", "model:stalled", "model:too_long"} & set(problems)
            variants = texts.cut_off if begun else texts.model_slow if slow else texts.model_down
        else:
            variants = texts.hold
        return pick(variants, seed, "ending")

    def hold(self, *, seed: int = 0) -> str:
        """A check failed: nothing unchecked is said, and a human is within reach."""
        return pick(self.texts.hold, seed, "hold")

    def notice(self) -> str:
        """Says plainly that this is an AI and cannot call anyone."""
        return self.texts.notice

    def empty(self) -> str:
        """The message holds no words."""
        return self.texts.empty

    def too_long(self) -> str:
        """The message is longer than can be read."""
        return self.texts.too_long

    def interrupted(self) -> str:
        """Closes a turn that a crash or a restart cut off."""
        return self.texts.interrupted

    def human_arrived(self, *, seed: int = 0) -> str:
        """A human writes from here on. Only said once one has taken the conversation."""
        return pick(self.texts.human.arrived, seed, "human.arrived")

    def makes_way(self, *, seed: int = 0) -> str:
        """Ends a reply of the model when a human has taken the conversation meanwhile."""
        return pick(self.texts.human.makes_way, seed, "human.makes_way")

    def human_left(self, *, seed: int = 0) -> str:
        """The human is gone; the agent writes again."""
        return pick(self.texts.human.left, seed, "human.left")

    def not_stored(self) -> str:
        """The message could not be saved."""
        return self.texts.not_stored


def choose(variants: Sequence[str], seed: int, key: str, said: Collection[str] = ()) -> tuple[str, str]:
    """Pick one variant: the same for the same seed, and one that was not ``said`` while there is one.

    Returns:
        The id under which it is remembered and audited, such as ``suicide/ask_plan.2``, and the text.
    """
    numbered = [(f"{key}.{number}", text) for number, text in enumerate(variants, start=1)]
    choice = [variant for variant in numbered if variant[0] not in said] or numbered
    return choice[crc32(f"{seed}/{key}".encode()) % len(choice)]


def pick(variants: Sequence[str], seed: int, key: str) -> str:
    """The text of one variant; see `choose`."""
    return choose(variants, seed, key)[1]
