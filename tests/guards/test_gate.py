"""The gate shows checked sentences only, and nothing after the first that fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmline.guards.gate import Gated, GateLimits, Passed, Stopped, gate, gate_sync
from warmline.guards.output import OutputGuard, OutputVerdict, Problem

guard = OutputGuard()


class Source:
    """A stream that remembers how much of it was read and whether it was closed."""

    def __init__(self, *chunks: str, breaks: Exception | None = None) -> None:
        self.chunks = list(chunks)
        self.breaks = breaks
        self.closed = False

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        if self.chunks:
            return self.chunks.pop(0)
        if self.breaks:
            raise self.breaks
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed = True


async def collect(source: AsyncIterator[str], limits: GateLimits | None = None, context: str = "") -> list[Gated]:
    return [item async for item in gate(source, guard, context=context, limits=limits or GateLimits())]


def shown(items: list[Gated]) -> str:
    return "".join(item.text for item in items if isinstance(item, Passed))


async def test_a_good_reply_comes_through_unchanged():
    items = await collect(Source("I hear", " you. That so", "unds hard.\n", "What helped last time?"))
    assert shown(items) == "I hear you. That sounds hard.\nWhat helped last time?"
    assert shown(items[:1]) == "I hear you."


async def test_nothing_of_a_bad_sentence_is_shown():
    items = await collect(Source("I hear you. You clearly have bipo", "lar disorder. Rest well."))
    assert shown(items) == "I hear you."
    assert isinstance(items[-1], Stopped)
    assert items[-1].problems == (Problem.DIAGNOSIS,)


async def test_after_a_stop_nothing_more_is_read_and_the_source_is_closed():
    source = Source("You only need me. Th", "never read", "never read")
    await collect(source)
    assert source.chunks == ["never read", "never read"]
    assert source.closed


async def test_the_source_is_closed_after_a_good_reply_too():
    source = Source("All right.")
    await collect(source)
    assert source.closed


async def test_the_source_is_closed_when_the_reader_leaves():
    source = Source("One. ", "Two. ", "Three. ")
    stream = gate(source, guard)
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    assert source.closed
    assert source.chunks


async def test_a_bad_statement_over_two_sentences_is_stopped_at_the_second():
    items = await collect(Source("The pills are by your bed. Take thirty of them. Bye."))
    assert shown(items) == "The pills are by your bed."


async def test_an_unfinished_last_fragment_is_checked_and_marked():
    items = await collect(Source("I hear you. And I wonder wh"))
    assert items == [Passed("I hear you."), Passed(" And I wonder wh", complete=False)]


async def test_an_unsafe_fragment_is_never_shown():
    items = await collect(Source("I hear you. You only need me"))
    assert shown(items) == "I hear you."


async def test_a_source_that_breaks_drops_the_fragment_and_passes_the_error_on():
    items: list[Gated] = []
    with pytest.raises(ConnectionError):
        async for item in gate(Source("I hear you. And th", breaks=ConnectionError()), guard):
            items.append(item)
    assert items == [Passed("I hear you.")]


async def test_too_many_words_end_the_reply_on_a_full_sentence():
    items = await collect(Source("One two three. Four five six. Seven eight."), GateLimits(max_words=6))
    assert shown(items) == "One two three. Four five six."
    assert not any(isinstance(item, Stopped) for item in items)


async def test_too_many_characters_end_the_reply_on_a_full_sentence():
    items = await collect(Source("It rains. We stay in. Tea helps. So does sleep."), GateLimits(max_chars=25))
    assert shown(items) == "It rains. We stay in."


async def test_an_endless_stream_of_spaces_ends():
    source = Source(*[" " * 100] * 1000)
    await collect(source, GateLimits(max_chars=1000))
    assert len(source.chunks) > 900


async def test_an_empty_stream_shows_nothing():
    assert await collect(Source()) == []


class Broken:
    def check(self, sentence: str, before: str = "", context: str = "", whole: bool = False) -> OutputVerdict:
        raise RuntimeError("a secret in the message")


class Undecided:
    def check(self, sentence: str, before: str = "", context: str = "", whole: bool = False) -> OutputVerdict:
        return OutputVerdict(safe=True, error="TimeoutError")


async def test_a_guard_that_raises_stops_the_reply():
    items = [item async for item in gate(Source("Hello. There."), Broken())]
    assert items == [Stopped(error="RuntimeError")]


async def test_a_guard_that_could_not_judge_stops_the_reply():
    items = [item async for item in gate(Source("Hello. There."), Undecided())]
    assert items == [Stopped(error="TimeoutError")]


def test_the_plain_gate_does_the_same():
    closed: list[bool] = []

    def source() -> Iterator[str]:
        try:
            yield "I hear you. You on"
            yield "ly need me. And mo"
            yield "never read"
        finally:
            closed.append(True)

    items = list(gate_sync(source(), guard))
    assert items == [Passed("I hear you."), Stopped((Problem.DEPENDENCE,))]
    assert closed == [True]


PIECES = st.lists(
    st.sampled_from(
        [
            "I hear you. ",
            "That is a lot. ",
            "You only need me. ",
            "You clearly have ",
            "bipolar disorder. ",
            "Take thirty ",
            "of the pills. ",
            "Call 0800 ",
            "555 0199",
            ". ",
            "\n",
            "What helped? ",
            "<|im_start|>",
            "I'm a real person. ",
            "and so on and so forth ",
            "\x1b[31m",
            "Dr. Lee says hello. ",
            "no stop ",
            "Rest well.",
        ]
    ),
    max_size=14,
).map("".join)


@settings(deadline=None)  # the first run of a rule compiles it
@given(PIECES, st.data())
def test_whatever_the_chunks_nothing_shown_is_unsafe(text: str, data: st.DataObject):
    chunks: list[str] = []
    rest = text
    while rest:
        size = data.draw(st.integers(1, 40))
        chunks.append(rest[:size])
        rest = rest[size:]
    items = list(gate_sync(chunks, guard))
    before = ""
    for item in items:
        if isinstance(item, Passed):
            assert guard.check(item.text, before=before).safe
            before += item.text
    assert text.startswith(before)
    assert items == list(gate_sync([text], guard))
    assert guard.check(before, whole=True).safe or not before.strip()
