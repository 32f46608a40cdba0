"""The webhook against a real receiver that is down, slow, huge or broken: nothing is lost, and nothing blocks."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from warmline.agent import ScriptedModel, Settings, SettingsError, Store, SupportAgent
from warmline.agent.store import CrisisEntry
from warmline.agent.webhook import LONGEST_WAIT, Webhook, back_off
from warmline.guards.types import Category, RiskLevel, Verdict

SECRET = "a secret of good length"
WORDS = "i have the secret things next to me"
OK = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"


class Receiver:
    """A real HTTP server that answers each request with the next of ``answers``."""

    def __init__(self) -> None:
        self.answers: list[bytes | str] = []
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.sent = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers["content-length"]))
            self.got.append((headers, body))
            answer = self.answers.pop(0) if self.answers else OK
            if answer == "slow":  # a header that never ends, a byte at a time
                while True:
                    writer.write(b"H")
                    await writer.drain()
                    await asyncio.sleep(0.05)
            elif answer == "huge":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
                for _ in range(10_000):
                    writer.write(b"x" * 100_000)
                    self.sent += 100_000
                    await writer.drain()
            else:
                assert isinstance(answer, bytes)
                writer.write(answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiving(*answers: bytes | str) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    receiver.answers = list(answers)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path / 'w.db'}", clock=clock, webhook=True) as store:
        yield store


def crisis(store: Store) -> str:
    session_id = store.create_session("US").id
    verdict = Verdict(level=RiskLevel.ELEVATED, categories=(Category.SUICIDE,))
    entry = CrisisEntry(RiskLevel.ELEVATED, (Category.SUICIDE,), ())
    turn = store.begin_turn(session_id, WORDS)
    store.finish_turn(turn, reply="You matter.", verdict=verdict, route="crisis", crisis=entry)
    return session_id


def webhook(store: Store, url: str, timeout_s: float = 5.0) -> Webhook:
    return Webhook(store.outbox, url, SECRET, timeout_s=timeout_s, clock=lambda: 1_767_225_600.5)


async def test_a_ticket_is_told_once_and_signed(store: Store) -> None:
    crisis(store)
    async with receiving() as receiver:
        assert await webhook(store, receiver.url).deliver() == 1
        assert await webhook(store, receiver.url).deliver() == 0
    ((headers, body),) = receiver.got
    expected = hmac.new(SECRET.encode(), b"1767225600." + body, hashlib.sha256).hexdigest()
    assert headers["warmline-signature"] == f"t=1767225600,v1={expected}"
    payload = json.loads(body)
    assert headers["warmline-delivery"] == payload["id"]
    assert (payload["event"], payload["ticket"]["level"]) == ("ticket.opened", "elevated")


async def test_no_words_are_told(store: Store) -> None:
    crisis(store)
    async with receiving() as receiver:
        await webhook(store, receiver.url).deliver()
    body = receiver.got[0][1].decode()
    assert "secret things" not in body and "matter" not in body


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", "status 500"),
        (b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", "status 302"),
        (b"not http at all\r\n\r\n", "RemoteProtocolError"),
        (b"", "RemoteProtocolError"),
        ("slow", "TimeoutError"),
    ],
    ids=["500", "redirect", "nonsense", "silence", "slow"],
)
async def test_what_was_not_taken_is_tried_again_under_the_same_key(
    store: Store, clock: Clock, answer: bytes | str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    crisis(store)
    async with receiving(answer) as receiver:
        hook = webhook(store, receiver.url, timeout_s=0.5)
        assert await hook.deliver() == 0
        assert told in caplog.text
        assert await hook.deliver() == 0, "not before its time"
        assert store.outbox.waiting() == 1
        clock.now += back_off(1)
        assert await webhook(store, receiver.url).deliver() == 1
    assert len(receiver.got) == 2, "a redirect is not followed"
    assert len({headers["warmline-delivery"] for headers, _ in receiver.got}) == 1
    assert store.outbox.waiting() == 0


async def test_a_receiver_that_is_down_loses_nothing(store: Store, clock: Clock) -> None:
    crisis(store)
    assert await webhook(store, "http://127.0.0.1:9/hook").deliver() == 0
    clock.now += back_off(1)
    async with receiving() as receiver:
        assert await webhook(store, receiver.url).deliver() == 1


async def test_a_huge_answer_is_not_read(store: Store) -> None:
    crisis(store)
    async with receiving("huge") as receiver:
        assert await webhook(store, receiver.url).deliver() == 1
        assert receiver.sent < 100_000_000


def test_the_wait_grows_and_is_bounded() -> None:
    waits = [back_off(n) for n in range(1, 40)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (timedelta(seconds=10), LONGEST_WAIT)


async def test_a_process_killed_between_claim_and_answer_leaves_it_for_the_next(store: Store, clock: Clock) -> None:
    crisis(store)
    assert store.outbox.claim(timedelta(seconds=40))
    assert store.outbox.claim(timedelta(seconds=40)) is None
    clock.now += timedelta(seconds=41)
    async with receiving() as receiver:
        assert await webhook(store, receiver.url).deliver() == 1


async def test_a_kill_after_the_commit_loses_no_delivery(tmp_path: Path) -> None:
    code = """
        import os, signal, sys
        from warmline.agent.store import CrisisEntry, Store
        from warmline.guards.types import RiskLevel, Verdict
        store = Store.open(sys.argv[1], webhook=True)
        turn = store.begin_turn(store.create_session().id, "x")
        entry = CrisisEntry(RiskLevel.ELEVATED, (), ())
        store.finish_turn(turn, reply="x", verdict=Verdict(level="elevated"), route="crisis", crisis=entry)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    url = f"sqlite:///{tmp_path / 'w.db'}"
    killed = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", textwrap.dedent(code), url], check=False, timeout=60
    )
    assert killed.returncode == -signal.SIGKILL
    with Store.open(url) as store:
        async with receiving() as receiver:
            assert await webhook(store, receiver.url).deliver() == 1


async def test_without_a_webhook_nothing_is_kept_for_one(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path / 'w.db'}") as store:
        crisis(store)
        assert store.outbox.waiting() == 0


async def test_a_receiver_that_hangs_blocks_no_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving("slow", "slow", "slow") as receiver:
        settings = Settings.load(handoff={"webhook_url": receiver.url, "webhook_secret": SECRET})
        with Store.open(f"sqlite:///{tmp_path / 'w.db'}", webhook=True) as store:
            agent = SupportAgent(ScriptedModel(), settings=settings, store=store)
            session = await agent.open_session(country="US")
            text = "i don't want to be here anymore, i have the pills next to me"
            for _ in range(2):
                events = [event.type async for event in session.send(text)]
                assert events[-1] == "done"
            await agent.aclose()
            assert store.outbox.waiting() == 1


async def test_the_agent_delivers_by_itself(tmp_path: Path) -> None:
    async with receiving() as receiver:
        settings = Settings.load(
            handoff={"webhook_url": receiver.url, "webhook_secret": SECRET},
            store={"url": f"sqlite:///{tmp_path / 'w.db'}"},
        )
        agent = SupportAgent(ScriptedModel(), settings=settings)
        session = await agent.open_session(country="US")
        async for _ in session.send("i don't want to be here anymore, i have the pills next to me"):
            pass
        await agent.aclose()
        assert [json.loads(body)["event"] for _, body in receiver.got] == ["ticket.opened"]


@pytest.mark.parametrize("secret", [None, "", "short"])
def test_a_webhook_without_a_good_secret_is_refused_at_the_start(
    secret: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARMLINE_HANDOFF__WEBHOOK_URL", "https://desk.example.org/hook")
    if secret is not None:
        monkeypatch.setenv("WARMLINE_HANDOFF__WEBHOOK_SECRET", secret)
    with pytest.raises(SettingsError, match=r"handoff\.webhook_secret.*good value"):
        Settings.load()


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.load(handoff={"webhook_url": "https://desk.example.org", "webhook_secret": SECRET})
    assert SECRET not in repr(settings)
    assert os.environ.get("WARMLINE_HANDOFF__WEBHOOK_SECRET") is None
