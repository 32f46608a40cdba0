"""The nodes of the turn. State in, state out; the only I/O is the model's stream and the event writer.

No node shows a text that is neither checked nor vetted copy.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any, Literal

from langgraph.errors import NodeError
from langgraph.runtime import Runtime
from langgraph.types import Command

from ..guards.clean import clean
from ..guards.conversation import RiskState, advance
from ..guards.filter import CrisisFilter
from ..guards.gate import Passed, gate
from ..guards.types import Category, RiskLevel, Subject, Utterance, Verdict
from .events import CrisisCardEvent, ReplacedEvent, SentenceEvent, VerdictEvent
from .language import language_of
from .model.stream import ModelError, stream_text
from .prompt import build_messages
from .protocol.context import for_filter, in_answer
from .protocol.say import help_card
from .protocol.state import Progress
from .small_talk import small_talk
from .turn import HISTORY, TurnContext, TurnState
from .voice import ENGLISH

log = logging.getLogger(__name__)

_END: Literal["__end__"] = "__end__"
"""LangGraph's END, as a type checker can read it."""

LAST_WORDS = (
    "Something on my side broke, and I can't answer you properly right now. "
    "If you might be in danger, please call your local emergency number. "
    "You can find someone to talk to, free, at findahelpline.com."
)
"""Said when even the copy cannot be read. Kept in code so that no file can take it away."""


async def receive(state: TurnState) -> dict[str, Any]:
    """Make the text safe to handle, see which language it is in, and clear what the last turn left."""
    text = clean(state["text"])
    return {
        "text": text,
        "language": language_of(text, state.get("language", ENGLISH)),
        "verdict": None,
        "reply": "",
        "pending": "",
        "card": None,
        "problems": (),
        "moves": (),
    }


async def _judged(crisis_filter: CrisisFilter, text: str, history: Sequence[Utterance]) -> Verdict:
    """The filter's verdict; on a machine too busy for the encoder, that of the wording where it shows a crisis.

    Holding a message that plainly asks for help would be worse than missing what else the encoder would have said.
    """
    whole = asyncio.create_task(asyncio.to_thread(crisis_filter.screen, text, history))
    done, _ = await asyncio.wait({whole}, timeout=crisis_filter.patience_s)
    if not done and (told := await asyncio.to_thread(crisis_filter.wording, text, history)).crisis:
        return told
    return await whole


async def screen(
    state: TurnState, runtime: Runtime[TurnContext]
) -> Command[Literal["support", "protocol", "hold", "__end__"]]:
    """Judge the message in its conversation and choose the way."""
    context = runtime.context
    progress, playbooks = state.get("progress") or Progress(), context.voice(state).playbooks
    text = state["text"]
    history = for_filter(text, state.get("history", ()), progress.pending, playbooks)
    with context.trace.part("screen") as part:
        verdict = in_answer(await _judged(context.parts.filter, text, history), text, progress, playbooks)
        part.note(level=verdict.level.value, error=verdict.error)
    before = state.get("risk") or RiskState()
    topic = playbooks.topics.get(progress.pending or "")
    denial = topic is not None and topic.denial and not progress.open  # the open protocol takes denials in by itself
    risk = before if verdict.error else advance(before, verdict, state["text"], asked=denial)
    update: dict[str, Any] = {"verdict": verdict, "risk": risk, "progress": progress}
    crisis = not (context.human or verdict.error) and (risk.level >= RiskLevel.ELEVATED or progress.open)
    if not crisis:  # in a crisis the protocol may see a higher level yet: `deliver` tells it then
        _write(runtime, VerdictEvent(turn_id=context.turn_id, verdict=verdict, level=risk.level))
    if context.human:
        return Command(goto=_END, update=update | {"route": "human"})
    if verdict.error:
        return Command(goto="hold", update=update | {"problems": (f"screen:{verdict.error}",)})
    if crisis:
        return Command(goto="protocol", update=update | {"route": "crisis"})
    if context.hold:
        return Command(goto="hold", update=update | {"problems": ("store",)})
    concerned = verdict.level is RiskLevel.CONCERN
    return Command(goto="support", update=update | {"route": "concern" if concerned else "support"})


async def support(state: TurnState, runtime: Runtime[TurnContext]) -> dict[str, Any]:
    """Let the model answer, sentence by sentence, behind the gate."""
    context, parts = runtime.context, runtime.context.parts
    question = _safety_question(state, context)
    if not parts.model_meets_concern and (state.get("route") == "concern" or _small_talk(state, context)):
        return {"reply": ""}
    messages = build_messages(state.get("history", ()), state["text"], safety_question=question)
    shown, problems = "", ()
    try:
        if not getattr(parts.model, "loaded", True):  # an embedded model: its weights come before any clock runs
            await asyncio.to_thread(parts.model.load)  # pyright: ignore[reportAttributeAccessIssue]
        with context.trace.part("model") as part:
            guard = part.guard(parts.output_guard)
            async with (
                aclosing(stream_text(parts.model, messages, parts.limits)) as chunks,
                aclosing(gate(chunks, guard, context=state["text"])) as sentences,
            ):
                async for piece in sentences:
                    if not isinstance(piece, Passed):
                        problems = (*(f"output:{problem}" for problem in piece.problems), *_named("guard", piece.error))
                    elif piece.complete and not (question and piece.text.rstrip().endswith("?")):
                        # What a limit cut in the middle is left out, and so is a second question beside ours.
                        shown += piece.text
                        _write(runtime, SentenceEvent(turn_id=context.turn_id, text=piece.text))
        if not (shown.strip() or problems or question):
            problems = ("model:cut_off",)
    except ModelError as error:
        log.warning("the model failed: %s", error)
        problems = (f"model:{error.kind}",)
    return {"reply": shown, "problems": problems}


async def check(state: TurnState, runtime: Runtime[TurnContext]) -> dict[str, Any]:
    """Check the reply once more as a whole and find the fixed words that end it."""
    context, parts = runtime.context, runtime.context.parts
    copy = context.voice(state).copy
    reply, problems = state.get("reply", ""), state.get("problems", ())
    if reply.strip():
        whole = parts.output_guard.check(reply, context=state["text"], whole=True)
        problems += (*(f"output:{problem}" for problem in whole.problems), *_named("guard", whole.error))
    endings: list[str] = []
    if problems:
        endings.append(copy.ending(problems, begun=bool(reply.strip()), seed=context.seed))
    progress = state.get("progress") or Progress()
    question = _safety_question(state, context)
    if not (reply.strip() or endings):  # a concern or small talk, and a model too weak for it
        endings.append(_small_talk(state, context) or copy.concern(seed=context.seed))
    if question:
        endings.append(question)
    progress = progress.model_copy(update={"pending": _asked_about(state) if question else None})
    return {"pending": "\n\n".join(endings), "problems": problems, "progress": progress}


def _small_talk(state: TurnState, context: TurnContext) -> str | None:
    """Our words for a greeting and the like; None where more is in the message, or another language is spoken."""
    if state.get("route") == "concern" or context.voice(state).language != "en":
        return None
    return small_talk(state["text"], context.seed)


async def hold(state: TurnState, runtime: Runtime[TurnContext]) -> dict[str, Any]:
    """The fixed, true reply for when a part of us failed, with a way to reach a human."""
    context = runtime.context
    copy = context.voice(state).copy
    card = help_card(context.country, context.parts.directory, copy)
    return {"route": "hold", "pending": copy.hold(seed=context.seed), "card": card}


async def deliver(state: TurnState, runtime: Runtime[TurnContext]) -> dict[str, Any]:
    """Show what is still to be shown and close the turn."""
    context = runtime.context
    reply, pending, card = state.get("reply", ""), state.get("pending", ""), state.get("card")
    if state.get("route") == "crisis":
        _tell_level(state, runtime)
    if pending:
        text = f"\n\n{pending}" if reply else pending
        reply += text
        if problems := state.get("problems"):
            _write(runtime, ReplacedEvent(turn_id=context.turn_id, text=text, problems=problems))
        else:
            _write(runtime, SentenceEvent(turn_id=context.turn_id, text=text))
    if card is not None:
        _write(runtime, CrisisCardEvent(turn_id=context.turn_id, card=card))
    said = [Utterance(role="user", text=state["text"]), Utterance(role="assistant", text=reply)]
    return {"reply": reply, "pending": "", "history": [*state.get("history", ()), *said][-HISTORY:]}


def fail_safe(state: TurnState, error: NodeError, runtime: Runtime[TurnContext]) -> Command[Literal["hold", "__end__"]]:
    """Where a node that raised or ran over its time ends up: the safe reply; silence while a human writes."""
    log.error("node %s failed: %s", error.node, type(error.error).__name__)
    problem = f"{error.node}:{type(error.error).__name__}"
    update: dict[str, Any] = {"problems": (problem,), "route": "hold"}
    if state.get("verdict") is None:
        verdict = Verdict(level=RiskLevel.CONCERN, error=problem, reason="The message could not be judged.")
        risk = state.get("risk") or RiskState()
        _write(runtime, VerdictEvent(turn_id=runtime.context.turn_id, verdict=verdict, level=risk.level))
        update |= {"verdict": verdict, "risk": risk}
    elif state.get("route") == "crisis":  # the protocol failed, so nothing has told the level yet
        _tell_level(state, runtime)
    if runtime.context.human:
        return Command(goto=_END, update=update | {"route": "human"})
    return Command(goto="hold", update=update)


def _tell_level(state: TurnState, runtime: Runtime[TurnContext]) -> None:
    verdict, risk = state.get("verdict"), state.get("risk") or RiskState()
    if verdict is not None:
        _write(runtime, VerdictEvent(turn_id=runtime.context.turn_id, verdict=verdict, level=risk.level))


def last_words(state: TurnState, error: NodeError, runtime: Runtime[TurnContext]) -> dict[str, Any]:
    """When holding or delivering itself fails."""
    log.critical("node %s failed: %s", error.node, type(error.error).__name__)
    problem = f"{error.node}:{type(error.error).__name__}"
    text = f"\n\n{LAST_WORDS}" if state.get("reply") else LAST_WORDS
    _write(runtime, ReplacedEvent(turn_id=runtime.context.turn_id, text=text, problems=(problem,)))
    return {"route": "hold", "reply": state.get("reply", "") + text, "pending": "", "problems": (problem,)}


def _safety_question(state: TurnState, context: TurnContext) -> str | None:
    """The one question a concern turn asks; not twice in a row."""
    progress, verdict = state.get("progress") or Progress(), state.get("verdict")
    if state.get("route") != "concern" or progress.pending or verdict is None:
        return None
    copy = context.voice(state).copy
    return copy.safety_question(verdict.categories, seed=context.seed, subject=verdict.subject)


SAFETY_TOPICS = {
    Category.SUICIDE: "thoughts",
    Category.SELF_HARM: "urge",
    Category.ABUSE: "safe",
    Category.NEGLECT: "needs",
    Category.EATING_DISORDER: "heaviest",
    Category.PSYCHOSIS: "safe",
    Category.SUBSTANCE_MISUSE: "safe",
    Category.VIOLENCE: "act_now",
}
"""What the safety question of a concern turn asks about, as the protocol names it: a "no" means what it means there."""


def _asked_about(state: TurnState) -> str:
    verdict = state.get("verdict")
    if verdict is None or not verdict.categories:
        return "thoughts"
    return "they_danger" if verdict.subject is Subject.OTHER else SAFETY_TOPICS[verdict.categories[0]]


def _named(part: str, error: str | None) -> tuple[str, ...]:
    return (f"{part}:{error}",) if error else ()


def _write(runtime: Runtime[TurnContext], event: Any) -> None:
    runtime.stream_writer(event)
