"""``warmline review`` as a shell sees it: what it prints, what it writes, and what it refuses."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from warmline.agent.store import CrisisEntry, Store
from warmline.guards.types import Category, RiskLevel, Verdict

WARMLINE = str(Path(sys.executable).with_name("warmline"))
SAID = "i have the pills next to me"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'w.db'}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as store:
        yield store


def review(url: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [WARMLINE, "review", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=os.environ | {"WARMLINE_STORE__URL": url, "WARMLINE_CONFIG": "/none.toml"} | variables,
        timeout=100,
    )


def crisis(store: Store, level: RiskLevel, category: Category) -> str:
    session = store.create_session("US")
    turn = store.begin_turn(session.id, SAID)
    store.finish_turn(
        turn,
        reply="I'm glad you told me.",
        verdict=Verdict(level=level, categories=(category,)),
        route="crisis",
        crisis=CrisisEntry(level, (category,), (), ()),
    )
    return session.id


class TestList:
    def test_of_an_empty_queue_says_so(self, url: str) -> None:
        run = review(url, "list")
        assert (run.returncode, run.stdout) == (0, "No tickets.\n")

    def test_has_the_most_urgent_first(self, store: Store, url: str) -> None:
        crisis(store, RiskLevel.ELEVATED, Category.ABUSE)
        worst = crisis(store, RiskLevel.IMMINENT, Category.SUICIDE)
        rows = [json.loads(line) for line in review(url, "list", "--json").stdout.splitlines()]
        assert [row["level"] for row in rows] == ["imminent", "elevated"]
        assert rows[0]["session"] == worst

    def test_tells_who_has_a_ticket(self, store: Store, url: str) -> None:
        crisis(store, RiskLevel.ELEVATED, Category.ABUSE)
        store.handoff.take(store.handoff.queue()[0].id, "sam", "x")
        assert "taken     sam" in review(url, "list").stdout

    def test_holds_none_of_the_person_s_words(self, store: Store, url: str) -> None:
        crisis(store, RiskLevel.IMMINENT, Category.SUICIDE)
        told = review(url, "list").stdout + review(url, "list", "--json").stdout
        assert "pills" not in told


class TestExport:
    @pytest.fixture
    def marked(self, store: Store) -> Store:
        crisis(store, RiskLevel.IMMINENT, Category.SUICIDE)
        (turn,) = store.turns(store.handoff.queue()[0].session_id)
        store.handoff.mark(turn.id, "sam", RiskLevel.NONE, ())
        return store

    def test_writes_labelled_lines(self, marked: Store, url: str) -> None:
        run = review(url, "export")
        (row,) = map(json.loads, run.stdout.splitlines())
        assert run.returncode == 0
        assert (row["text"], row["level"], row["kind"], row["author"]) == (SAID, "none", "false_alarm", "review")

    def test_writes_a_file_that_only_its_owner_reads(self, marked: Store, url: str, tmp_path: Path) -> None:
        out = tmp_path / "marks.jsonl"
        run = review(url, "export", "--out", str(out))
        assert "1 messages written" in run.stderr
        assert json.loads(out.read_text("utf-8"))["text"] == SAID
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
        assert not list(tmp_path.glob("*.part"))

    def test_without_marks_is_empty(self, store: Store, url: str) -> None:
        run = review(url, "export")
        assert (run.returncode, run.stdout) == (0, "")


def test_a_name_that_is_none_is_refused_before_the_screen_opens(url: str) -> None:
    run = review(url, "--as", "sam smith")
    assert run.returncode == 2
    assert "letters, digits" in run.stderr


def test_a_database_that_is_none_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"not a database at all" * 100)
    run = review(f"sqlite:///{broken}", "list")
    assert run.returncode == 1
    assert "broken.db" in run.stderr
    assert "Traceback" not in run.stderr
