"""Asks the judges what ``probe`` measures them by: padded answers, and pairs in both orders.

Only what a run has answered is probed, and nothing that is in the journal is asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from .at_once import at_once
from .endpoint import Client, EndpointError
from .journal import Answered, Journal, Probed
from .judging import Mode, PairMode, structured_pair
from .probe import padded
from .questions import Question
from .run import Progress, hear

Form = Literal["padded", "pair", "swapped"]
PAIR_TOKENS = 3000
"""For two judgements in one call; one alone fits into the client's default of 1500."""


async def probe(
    questions: Sequence[Question],
    judges: Sequence[Client],
    mode: Mode,
    journal: Journal,
    *,
    concurrency: int = 16,
    tell: Callable[[Progress], object] = lambda _: None,
) -> Progress:
    """Measure the judges on ``questions`` that were answered: see ``eval.probe``. Costs up to three calls each.

    Raises:
        EvalError: as for ``run``.
    """
    pair = structured_pair(mode.rubrics) if mode.name == "structured" else None
    forms: tuple[Form, ...] = ("padded", "pair", "swapped") if pair else ("padded",)
    answered = [question.id for question in questions if question.id in journal.answered]
    wanted: list[tuple[str, Client, Form]] = [
        (id, client, form) for id in answered for client in judges for form in forms
    ]
    left = [one for one in wanted if (one[0], one[1].endpoint.name, mode.name, one[2]) not in journal.probed]
    progress = Progress(len(wanted), done=len(wanted) - len(left), kept=len(wanted) - len(left))

    async def one(each: tuple[str, Client, Form]) -> None:
        id, client, form = each
        answer = journal.answer(id)
        assert answer
        try:
            made = await _probe(client, mode, pair, answer, form)
        except EndpointError as error:
            progress.fail(error)
            return
        journal.add(made)
        progress.done += 1
        progress.unscored += made.scores is None
        progress.tokens_in += made.tokens_in
        progress.tokens_out += made.tokens_out
        tell(progress)

    tell(progress)
    await at_once(left, one, concurrency)
    return progress


async def _probe(client: Client, mode: Mode, pair: PairMode | None, answer: Answered, form: Form) -> Probed:
    plain, longer = answer.text, padded(answer.text)
    if form == "padded" or pair is None:
        alone = mode.asks(answer.question, longer)
        heard = await hear(
            client, alone, lambda text: (mode.reads(text),), mode.again, response_format=mode.response_format
        )
    else:
        texts = (plain, longer) if form == "pair" else (longer, plain)
        both = pair.asks(answer.question, *texts)
        heard = await hear(
            client, both, pair.reads, pair.again, response_format=pair.response_format, max_tokens=PAIR_TOKENS
        )
    return Probed(
        id=answer.id,
        judge=client.endpoint.name,
        mode=mode.name,
        form=form,
        scores=tuple(dict(one.scores) for one in heard.value) if heard.value else None,
        problem=heard.problem,
        raw=heard.raw,
        tokens_in=heard.tokens_in,
        tokens_out=heard.tokens_out,
    )
