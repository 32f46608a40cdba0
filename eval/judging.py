"""What a judge is asked and what its answer is worth: prompts out, scores in. Pure; nothing is sent from here.

A judgement that cannot be read is a problem in words, never a number.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .lines import EvalError
from .rubrics import HIGHEST, LOWEST, JudgeWords, Rubric, Rubrics, judge_words, shipped_rubrics

Chat = list[dict[str, str]]


@dataclass(frozen=True)
class Scores:
    """A judgement that could be read."""

    scores: Mapping[str, float]
    """By rubric id, 1 to 10."""
    reasons: Mapping[str, str]
    """By rubric id; in `paper` mode one text, under the empty id."""


class Unreadable(ValueError):
    """The judge's answer holds no complete set of scores. The message says what is wrong, without its text."""


@dataclass(frozen=True)
class Mode:
    """A way to ask and to read."""

    name: str
    rubrics: Rubrics
    asks: Callable[[str, str], Chat]
    """Question and answer, to the messages for the judge."""
    reads: Callable[[str], Scores]
    """The judge's text, to scores. Raises Unreadable."""
    again: Callable[[str], str]
    """What is wrong, to the words that ask once more."""
    response_format: Mapping[str, Any] | None = None
    """Constrains the decoding where the server can."""


def structured(rubrics: Rubrics | None = None, words: JudgeWords | None = None) -> Mode:
    """JSON by a schema: one short reason, then one whole number, for each rubric."""
    rubrics, words = rubrics or shipped_rubrics(), words or judge_words()

    def asks(question: str, answer: str) -> Chat:
        said = words.user.format(
            rubrics=_listed(rubrics),
            question=question,
            answer=answer,
            fence=_fence(question, answer),
            first=rubrics.ids[0],
        )
        return [{"role": "system", "content": words.system}, {"role": "user", "content": said}]

    return Mode(
        "structured",
        rubrics,
        asks,
        lambda text: _ratings(json_object(text), rubrics),
        lambda problem: words.again.format(problem=problem),
        _constrained("ratings", schema(rubrics)),
    )


@dataclass(frozen=True)
class PairMode:
    """Two answers in one call."""

    asks: Callable[[str, str, str], Chat]
    """Question, first and second answer."""
    reads: Callable[[str], tuple[Scores, Scores]]
    """The judge's text, to the scores of both. Raises Unreadable."""
    again: Callable[[str], str]
    response_format: Mapping[str, Any]


def structured_pair(rubrics: Rubrics | None = None, words: JudgeWords | None = None) -> PairMode:
    """As ``structured``, with two answers beside each other. For measuring what the order does, not for scores."""
    rubrics, words = rubrics or shipped_rubrics(), words or judge_words()

    def asks(question: str, first: str, second: str) -> Chat:
        said = words.pair.format(
            rubrics=_listed(rubrics),
            question=question,
            answer=first,
            second=second,
            fence=_fence(question, first, second),
            first=rubrics.ids[0],
        )
        return [{"role": "system", "content": words.system}, {"role": "user", "content": said}]

    def reads(text: str) -> tuple[Scores, Scores]:
        made = json_object(text)
        if set(made) != {"first", "second"}:
            raise Unreadable('it wants the entries "first" and "second" and no other')
        return _ratings(made["first"], rubrics), _ratings(made["second"], rubrics)

    one = schema(rubrics)
    both = {
        "type": "object",
        "properties": {"first": one, "second": one},
        "required": ["first", "second"],
        "additionalProperties": False,
    }
    return PairMode(asks, reads, lambda problem: words.again.format(problem=problem), _constrained("two_ratings", both))


def _listed(rubrics: Rubrics) -> str:
    return "\n\n".join(_described(rubric) for rubric in rubrics.rubrics)


def _fence(*texts: str) -> str:
    """A line that none of the texts can hold, because it is made of their hash."""
    return "====" + hashlib.sha256("\0".join(texts).encode("utf-8", "replace")).hexdigest()[:16]


def _constrained(name: str, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}


def schema(rubrics: Rubrics) -> dict[str, Any]:
    """The JSON schema of a judgement."""
    one = {
        "type": "object",
        "properties": {
            "reason": {"type": "string", "maxLength": 400},
            "score": {"type": "integer", "enum": list(range(LOWEST, HIGHEST + 1))},
        },
        "required": ["reason", "score"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": dict.fromkeys(rubrics.ids, one),
        "required": list(rubrics.ids),
        "additionalProperties": False,
    }


def _described(rubric: Rubric) -> str:
    points = "\n".join(f"  {point}: {rubric.anchors[point]}" for point in sorted(rubric.anchors))
    return f"{rubric.id} ({rubric.name}): {rubric.asks}\n{points}"


def json_object(text: str) -> dict[str, Any]:
    """The JSON object in ``text``, whatever a model wrote before and behind it.

    Raises:
        Unreadable: there is none.
    """
    start, end = text.find("{"), text.rfind("}")
    try:
        made = json.loads(text[start : end + 1]) if start >= 0 else None
    except json.JSONDecodeError:
        made = None
    if not isinstance(made, dict):
        raise Unreadable("it holds no JSON object")
    return made


def _ratings(made: Any, rubrics: Rubrics) -> Scores:
    if not isinstance(made, dict):
        raise Unreadable("it holds no ratings")
    if missing := [id for id in rubrics.ids if id not in made]:
        raise Unreadable(f"no rating of {', '.join(missing)}")
    if extra := sorted(set(made) - set(rubrics.ids)):
        raise Unreadable(f"{len(extra)} entries that are no rubric")
    scores: dict[str, float] = {}
    for id in rubrics.ids:
        score = made[id].get("score") if isinstance(made[id], dict) else None
        if isinstance(score, bool) or not isinstance(score, int):
            raise Unreadable(f"the score of {id} is no whole number")
        scores[id] = _in_range(score, id)
    return Scores(scores, {id: str(made[id].get("reason", "")) for id in rubrics.ids})


def _in_range(score: float, id: str) -> float:
    if not LOWEST <= score <= HIGHEST:
        raise Unreadable(f"the score of {id} is {score:g}, not from {LOWEST} to {HIGHEST}")
    return score


def paper(path: Path, rubrics: Rubrics | None = None, words: JudgeWords | None = None) -> Mode:
    """The published prompt (FastChat's form), one call; the ``[[n]]`` of each metric is read, not only the first.

    Raises:
        EvalError: the file is not such a prompt.
    """
    rubrics, words = rubrics or shipped_rubrics(), words or judge_words()
    try:
        published = json.loads(path.read_text("utf-8"))
        system, template = str(published["system_prompt"]), str(published["prompt_template"])
    except OSError as error:
        raise EvalError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise EvalError(f"{path}: wants JSON with system_prompt and prompt_template ({error})") from None
    if "{question}" not in template or "{answer}" not in template:
        raise EvalError(f"{path}: prompt_template wants places for {{question}} and {{answer}}")
    before, _, rest = template.partition("{question}")
    between, _, after = rest.partition("{answer}")

    def asks(question: str, answer: str) -> Chat:
        # The published fence is a fixed line, so a text that holds it loses it.
        said = before + _defanged(question) + between + _defanged(answer) + after
        return [{"role": "system", "content": system}, {"role": "user", "content": said}]

    return Mode(
        "paper",
        rubrics,
        asks,
        lambda text: _read_marks(text, rubrics),
        lambda problem: words.again_paper.format(problem=problem),
    )


_FENCE = re.compile(r"\[(?=\s*(?:the (?:start|end) of|question\]|instruction\]))", re.I)


def _defanged(text: str) -> str:
    return _FENCE.sub("(", text)


def _read_marks(text: str, rubrics: Rubrics) -> Scores:
    scores: dict[str, float] = {}
    for rubric in rubrics.rubrics:
        words = re.split(r"\W+", rubric.name)
        name = r"[\W_]+(?:and[\W_]+)?".join(map(re.escape, words))
        marks = {float(m) for m in re.findall(rf"{name}[^\[\n]{{0,24}}\[\[\s*(\d+(?:\.\d+)?)\s*\]\]", text, re.I)}
        if not marks:
            raise Unreadable(f"no rating of {rubric.name}")
        if len(marks) > 1:
            raise Unreadable(f"several ratings of {rubric.name}")
        scores[rubric.id] = _in_range(marks.pop(), rubric.name)
    return Scores(scores, {"": text.strip()})
