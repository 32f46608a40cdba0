"""The validators inside guardrails-ai. They run where the extra ``guardrails`` is installed."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

pytest.importorskip("guardrails", reason='needs guardrails-ai: pip install "warmline[guardrails]"')

from guardrails import AsyncGuard, Guard

from warmline.guards.filter import CrisisFilter
from warmline.guards.output import OutputGuard
from warmline.guards.validators import END, CrisisFree, SafeReply, aending, ending

GOOD = "That sounds like a lot to carry.  You said Dr. Lee helped before.\nWhat would make tonight a little easier?"
UNSAFE = "I hear you. I am a real person, just like you. Let us talk about it."
FIX = "[stopped]"


@pytest.fixture(autouse=True)
def no_name_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Any look-up fails the test, in whichever thread it is made."""
    asked: list[object] = []

    def refuse(host: object, *arguments: object, **named: object) -> object:
        asked.append(host)
        raise OSError(f"the test refuses to look up {host}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield asked  # pyright: ignore[reportReturnType]
    assert asked == []


def words(text: str, size: int) -> Iterator[str]:
    for at in range(0, len(text), size):
        yield text[at : at + size]


async def awords(text: str, size: int) -> AsyncIterator[str]:
    for piece in words(text, size):
        await asyncio.sleep(0)
        yield piece


def model(text: str, size: int):
    """A callable that streams, as guards want it."""

    def call(*_: object, **__: object) -> Iterator[str]:
        return ending(words(text, size))

    return call


def amodel(text: str, size: int):
    async def call(*_: object, **__: object) -> AsyncIterator[str]:
        return aending(awords(text, size))

    return call


def streamed(guard: Guard, text: str, size: int, **metadata: object) -> str:
    asked = [{"role": "user", "content": "hello"}]
    return "".join(
        outcome.validated_output or ""
        for outcome in guard(model(text, size), messages=asked, stream=True, metadata=dict(metadata))
    )


async def astreamed(guard: AsyncGuard, text: str, size: int, **metadata: object) -> str:
    asked = [{"role": "user", "content": "hello"}]
    shown = ""
    async for outcome in await guard(amodel(text, size), messages=asked, stream=True, metadata=dict(metadata)):
        shown += outcome.validated_output or ""
    return shown


def reply_guard(kind: type, on_fail: str = "fix"):
    return kind().use(SafeReply(on_fail=on_fail, fix_value=FIX))


# --- whole texts ---


def test_a_crisis_fails():
    outcome = Guard().use(CrisisFree(on_fail="noop")).validate("i want to kill myself")
    assert outcome.validation_passed is False


@pytest.mark.parametrize("text", ["this exam is killing me", "rough day at work, glad it is over"])
def test_ordinary_talk_passes_unchanged(text: str):
    outcome = Guard().use(CrisisFree(on_fail="exception")).validate(text)
    assert (outcome.validation_passed, outcome.validated_output) == (True, text)


def test_a_crisis_raises_by_default():
    with pytest.raises(Exception, match="suicide"):
        Guard().use(CrisisFree()).validate("i want to kill myself")


def test_what_failed_is_told_without_the_persons_words():
    with pytest.raises(Exception) as raised:
        Guard().use(CrisisFree()).validate("i want to kill myself in the blue shed")
    assert "shed" not in str(raised.value)


def test_the_history_counts():
    guard = Guard().use(CrisisFree(on_fail="noop", crisis_filter=CrisisFilter(encoder=None)))
    history = [{"role": "user", "content": "i want to"}]
    assert guard.validate("kill myself", metadata={"history": history}).validation_passed is False


def test_concern_can_be_enough():
    assert Guard().use(CrisisFree(on_fail="noop")).validate("i feel hopeless").validation_passed is True
    assert (
        Guard().use(CrisisFree(on_fail="noop", level="concern")).validate("i feel hopeless").validation_passed is False
    )


def test_what_cannot_be_judged_does_not_pass():
    class Broken:
        def scores(self, text: str):
            raise MemoryError

    outcome = Guard().use(CrisisFree(on_fail="noop", crisis_filter=CrisisFilter(encoder=Broken()))).validate("hello")
    assert outcome.validation_passed is False


def test_an_unsafe_reply_is_replaced():
    assert reply_guard(Guard).validate(UNSAFE).validated_output == FIX


async def test_both_work_in_an_async_guard():
    guard = AsyncGuard().use(SafeReply(on_fail="fix", fix_value=FIX))
    assert (await guard.validate(UNSAFE)).validated_output == FIX
    assert (await guard.validate(GOOD)).validated_output == GOOD
    crisis = AsyncGuard().use(CrisisFree(on_fail="noop"))
    assert (await crisis.validate("i want to kill myself")).validation_passed is False


@pytest.mark.parametrize("action", ["reask", "fix_reask", "REASK"])
def test_asking_again_is_refused_because_it_lets_the_text_through(action: str):
    with pytest.raises(ValueError, match="no model to ask again"):
        CrisisFree(on_fail=action)


# --- streams ---


@pytest.mark.parametrize("size", [1, 3, 7, 40, 1000])
def test_a_good_reply_streams_without_losing_a_character(size: int):
    assert streamed(reply_guard(Guard), GOOD, size) == GOOD


@pytest.mark.parametrize("size", [1, 3, 7, 40, 1000])
@pytest.mark.parametrize("action", ["fix", "exception"])
async def test_nor_does_it_in_an_async_guard(size: int, action: str):
    assert await astreamed(reply_guard(AsyncGuard, action), GOOD, size) == GOOD


@pytest.mark.parametrize("size", [1, 3, 7, 40])
def test_exception_streams_too(size: int):
    assert streamed(reply_guard(Guard, "exception"), GOOD, size) == GOOD


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_an_end_without_a_full_stop_is_not_lost(size: int):
    text = "I am here. Tell me more, if you like"
    assert streamed(reply_guard(Guard), text, size) == text
    assert asyncio.run(astreamed(reply_guard(AsyncGuard), text, size)) == text


@pytest.mark.parametrize("size", [1, 3, 7, 40, 1000])
def test_nothing_of_an_unsafe_sentence_is_shown_nor_anything_after_it(size: int):
    assert streamed(reply_guard(Guard), UNSAFE, size) == f"I hear you. {FIX}"


@pytest.mark.parametrize("size", [1, 3, 7, 40, 1000])
async def test_nor_is_it_in_an_async_guard(size: int):
    assert await astreamed(reply_guard(AsyncGuard), UNSAFE, size) == f"I hear you. {FIX}"


@pytest.mark.parametrize("size", [1, 3, 7])
def test_an_exception_comes_before_the_unsafe_sentence(size: int):
    shown = ""
    asked = [{"role": "user", "content": "hello"}]
    with pytest.raises(Exception, match="claims_human"):
        for outcome in reply_guard(Guard, "exception")(model(UNSAFE, size), messages=asked, stream=True):
            shown += outcome.validated_output or ""
    assert shown.strip() in ("", "I hear you.")


def test_one_guard_serves_two_streams_at_once():
    guard = reply_guard(Guard)
    asked = [{"role": "user", "content": "hello"}]
    one = guard(model("One apple. Two pears.", 2), messages=asked, stream=True)
    two = guard(model("Red house. Blue door.", 2), messages=asked, stream=True)
    shown = ["", ""]
    for first, second in zip(one, two, strict=False):
        shown[0] += first.validated_output or ""
        shown[1] += second.validated_output or ""
    shown[0] += "".join(o.validated_output or "" for o in one)
    shown[1] += "".join(o.validated_output or "" for o in two)
    assert "Red" not in shown[0]
    assert "apple" not in shown[1]
    assert shown[0].startswith("One apple.")


@pytest.mark.parametrize("action", ["noop", "refrain", "filter"])
def test_a_stream_that_could_not_be_stopped_is_refused(action: str):
    with pytest.raises(ValueError, match="cannot take back"):
        streamed(reply_guard(Guard, action), GOOD, 5)


def test_the_mark_of_the_end_is_never_shown():
    assert END not in streamed(reply_guard(Guard), GOOD, 4)


def test_a_crisis_in_a_stream_is_stopped():
    guard = Guard().use(CrisisFree(on_fail="fix", fix_value=FIX, crisis_filter=CrisisFilter(encoder=None)))
    assert streamed(guard, "Nice day. I want to kill myself. Bye.", 5) == f"Nice day. {FIX}"


def test_two_validators_share_a_stream():
    guard = (
        Guard()
        .use(SafeReply(on_fail="fix", fix_value=FIX))
        .use(CrisisFree(on_fail="fix", fix_value=FIX, crisis_filter=CrisisFilter(encoder=None)))
    )
    assert streamed(guard, GOOD, 6) == GOOD


# --- telemetry ---


def test_nothing_is_sent_even_where_telemetry_is_on_by_default(no_name_is_looked_up: list[object]):
    from guardrails.utils.hub_telemetry_utils import HubTelemetry

    Guard().use(CrisisFree(on_fail="noop")).validate("hello there")
    HubTelemetry()._tracer_provider.force_flush(2_000)
    assert no_name_is_looked_up == []


def test_a_whole_process_looks_up_no_name(tmp_path):
    code = (
        "import socket\n"
        "def refuse(*a, **k): print('LOOKED UP', a[0], flush=True); raise OSError('refused')\n"
        "socket.getaddrinfo = refuse\n"
        "from warmline.guards.validators import SafeReply\n"
        "from guardrails import Guard\n"
        "print(Guard().use(SafeReply(on_fail='noop')).validate('I hear you.').validation_passed)\n"
    )
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, timeout=100
    )
    assert result.stdout.strip() == "True"


def test_the_guards_alone_do_not_load_guardrails():
    code = "import sys, warmline.guards.filter, warmline.guards.output; print('guardrails' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_a_guard_of_ones_own_can_be_given():
    own = OutputGuard(lambda text: True)
    text = "You can call 0800 555 0199 any time."
    assert Guard().use(SafeReply(on_fail="noop", output_guard=own)).validate(text).validation_passed is True
    assert Guard().use(SafeReply(on_fail="noop")).validate(text).validation_passed is False
