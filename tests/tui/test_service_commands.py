"""``warmline keys``, ``warmline api`` and what ``warmline data`` does for operators."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra `server`")
pytest.importorskip("uvicorn", reason="needs the extra `server`")

import httpx

from warmline.agent.store import Scope, Store
from warmline.tui.command import main

CRISIS = "i don't want to be here anymore, i have the pills next to me"
MAIN = "from warmline.tui.command import main; main()"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"sqlite:///{tmp_path / 'w.db'}"
    monkeypatch.setenv("WARMLINE_STORE__URL", url)
    return url


@pytest.fixture
def warmline(url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command: its exit code, and what it printed."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["warmline", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out = capsys.readouterr()
        return int(ended.value.code or 0), out.out, out.err

    return run


def random_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


class TestKeys:
    def test_a_new_key_is_printed_alone_and_once(self, warmline: Run, url: str) -> None:
        code, secret, told = warmline("keys", "create", "my-app", "--scope", "chat", "--scope", "eval")
        assert (code, secret.startswith("wl_"), secret.count("\n")) == (0, True, 1)
        assert "my-app may: chat, eval" in told and secret.strip() not in told
        with Store.open(url) as store:
            found = store.keys.find(secret.strip())
        assert found is not None and found.scopes == (Scope.CHAT, Scope.EVAL)

    def test_no_listing_shows_a_secret(self, warmline: Run) -> None:
        _, secret, _ = warmline("keys", "create", "my-app", "--scope", "chat")
        listed = warmline("keys", "list")[1] + warmline("keys", "list", "--json")[1]
        assert "my-app" in listed and secret.strip() not in listed

    def test_the_list_as_json_names_scopes_and_state(self, warmline: Run) -> None:
        warmline("keys", "create", "my-app", "--scope", "admin")
        [row] = json.loads(warmline("keys", "list", "--json")[1])
        assert (row["name"], row["scopes"], row["revoked"], row["expires"]) == ("my-app", ["admin"], None, None)

    def test_a_revoked_key_opens_nothing_and_is_listed_as_revoked(self, warmline: Run, url: str) -> None:
        secret = warmline("keys", "create", "my-app", "--scope", "chat")[1].strip()
        assert warmline("keys", "revoke", "my-app")[:2] == (0, "my-app is revoked\n")
        assert "revoked" in warmline("keys", "list")[1]
        with Store.open(url) as store:
            assert store.keys.find(secret) is None

    @pytest.mark.parametrize(
        ("arguments", "code", "told"),
        [
            (["create", "my app", "--scope", "chat"], 1, "name"),
            (["create", "taken", "--scope", "chat"], 1, "there is a key named taken"),
            (["create", "my-app"], 2, "--scope"),
            (["create", "my-app", "--scope", "root"], 2, "root"),
            (["revoke", "nobody"], 1, "no key nobody"),
        ],
        ids=["name", "taken", "no scope", "unknown scope", "unknown key"],
    )
    def test_wrong_use_is_told_and_makes_no_key(
        self, warmline: Run, arguments: list[str], code: int, told: str
    ) -> None:
        warmline("keys", "create", "taken", "--scope", "chat")
        got, out, error = warmline("keys", *arguments)
        assert (got, out) == (code, "") and told in error
        assert [row["name"] for row in json.loads(warmline("keys", "list", "--json")[1])] == ["taken"]


class TestData:
    def test_a_rotation_is_told_and_the_old_key_is_not_needed(
        self, warmline: Run, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytest.importorskip("cryptography", reason="needs the extra `server`")
        old, new = random_key(), random_key()
        monkeypatch.setenv("WARMLINE_STORE__KEY", old)
        with Store.open(url) as store:
            store.create_session(title="a night in June")
        assert warmline("data", "rotate-key")[:2][0] == 0
        monkeypatch.setenv("WARMLINE_STORE__KEY", new)
        refused = warmline("data", "rotate-key")
        assert (refused[0], "WARMLINE_STORE__OTHER_KEYS" in refused[2]) == (1, True)
        monkeypatch.setenv("WARMLINE_STORE__OTHER_KEYS", json.dumps([old]))
        code, told, _ = warmline("data", "rotate-key")
        assert (code, told.startswith("1 rows written")) == (0, True)
        monkeypatch.delenv("WARMLINE_STORE__OTHER_KEYS")
        assert "a night in June" in warmline("data", "list")[1]

    def test_what_is_older_than_it_may_be_goes(self, warmline: Run, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with Store.open(url) as store:
            store.create_session()
        assert warmline("data", "expire")[0] == 2
        monkeypatch.setenv("WARMLINE_STORE__RETAIN_DAYS", "1")
        assert warmline("data", "expire", "--yes")[1] == "0 deleted\n"
        assert warmline("data", "expire", "--days", "0", "--yes")[1] == "1 deleted\n"
        assert warmline("audit", "verify")[0] == 0


class TestApi:
    def test_it_serves_answers_a_crisis_and_stops_when_told(self, warmline: Run) -> None:
        key = warmline("keys", "create", "my-app", "--scope", "chat")[1].strip()
        variables = {
            "WARMLINE_GUARDS__ENCODER": "off",
            "WARMLINE_GUARDS__TIMEOUT_S": "30",
            "WARMLINE_MODEL__BASE_URL": "http://127.0.0.1:9/v1",
        }
        command = [sys.executable, "-c", MAIN, "api", "--port", "0", "--web-chat"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | variables) as service:
            try:
                assert service.stderr is not None
                lines = (json.loads(line) for line in service.stderr if line.startswith("{"))
                url = next(line["message"].split()[3] for line in lines if "running on" in line["message"])
                with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=100) as client:
                    answer = talk(client)
                    page = client.get("/chat").status_code
            finally:
                service.send_signal(signal.SIGTERM)
            rest = service.stderr.read()
        assert (answer["route"], "988" in str(answer["card"]), page) == ("crisis", True, 200)
        assert "Finished server process" in rest
        assert service.returncode in (0, -signal.SIGTERM)  # uvicorn dies by the signal, once everything is closed

    def test_a_port_out_of_range_is_refused(self, warmline: Run) -> None:
        assert warmline("api", "--port", "70000")[0] == 2

    def test_without_the_extra_it_says_what_to_install(self, warmline: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("warmline.tui.commands.api.find_spec", lambda name: None)
        code, _, told = warmline("api")
        assert (code, "pip install 'warmline[server]'" in told) == (2, True)

    def test_a_database_that_is_away_is_told_at_the_start(
        self, warmline: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("WARMLINE_STORE__URL", f"sqlite:///{tmp_path}")
        code, _, told = warmline("keys", "list")
        assert (code, "not a file" in told) == (1, True)


def talk(client: httpx.Client) -> dict[str, Any]:
    session = client.post("/v1/sessions", json={"country": "US"}).json()["id"]
    return client.post(f"/v1/sessions/{session}/turns", json={"text": CRISIS, "stream": False}).json()
