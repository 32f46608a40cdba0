"""The ``warmline`` command as a shell sees it: what it prints, its exit codes, and its errors."""

import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WARMLINE = str(Path(sys.executable).with_name("warmline"))
CRISIS = "i don't want to be here anymore, i have the pills next to me"


def warmline(*arguments: str, stdin: str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command; ``variables`` are added to the environment."""
    return subprocess.run(
        [WARMLINE, *arguments],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        env=os.environ | variables,
        timeout=100,
    )


def ask(*arguments: str, **variables: str) -> list[dict[str, object]]:
    run = warmline("ask", *arguments, "--json", **variables)
    assert run.returncode in (0, 1), run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


@pytest.mark.parametrize(
    "command",
    [[], ["chat"], ["ask"], ["screen"], ["models", "pull"], ["data", "export"], ["hotlines", "list"], ["doctor"]],
)
def test_every_command_explains_itself_with_an_example(command: list[str]) -> None:
    run = warmline(*command, "--help")
    assert run.returncode == 0
    assert not command or "Example: warmline" in run.stdout


def test_a_crisis_is_answered_on_standard_output_with_the_lines() -> None:
    run = warmline("ask", CRISIS, "--country", "US")
    assert run.returncode == 0
    assert "988" in run.stdout


def test_json_is_one_typed_event_a_line() -> None:
    events = ask(CRISIS, "--country", "US")
    assert [event["type"] for event in events] == ["verdict", "sentence", "crisis_card", "done"]


def test_the_country_comes_from_the_environment_too() -> None:
    card = next(e["card"] for e in ask(CRISIS, WARMLINE_COUNTRY="IE") if e["type"] == "crisis_card")
    assert isinstance(card, dict)
    assert card["country"] == "IE"


def test_the_flag_wins_over_the_environment() -> None:
    card = next(e["card"] for e in ask(CRISIS, "--country", "NZ", WARMLINE_COUNTRY="IE") if e["type"] == "crisis_card")
    assert isinstance(card, dict)
    assert card["country"] == "NZ"


def test_a_piped_text_is_one_turn() -> None:
    run = warmline("ask", "--country", "US", stdin=f"{CRISIS}\n")
    assert "988" in run.stdout


def test_a_piped_chat_takes_a_line_as_a_turn() -> None:
    run = warmline("chat", "--country", "US", stdin=f"{CRISIS}\nwhat was that number again?\n")
    assert run.returncode == 0
    assert run.stdout.count("Crisis Text Line (") == 2


def test_a_server_that_is_down_is_told_kindly_and_named_in_the_log() -> None:
    run = warmline(
        "ask", "my week was long", WARMLINE_MODEL__BASE_URL="http://127.0.0.1:9/v1", WARMLINE_MODEL__NAME="x"
    )
    assert "findahelpline.com" in run.stdout
    assert "WARMLINE_MODEL__BASE_URL" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_missing_model_is_told_with_the_command_that_fetches_it(tmp_path: Path) -> None:
    run = warmline("ask", "my week was long", XDG_CACHE_HOME=str(tmp_path))
    assert "warmline models pull" in run.stderr


def test_a_bad_setting_ends_with_code_2_and_a_good_value() -> None:
    run = warmline("doctor", WARMLINE_MODEL__TEMPERATURE="hot")
    assert run.returncode == 2
    assert "WARMLINE_MODEL__TEMPERATURE" in run.stderr
    assert "A good value: 0.3" in run.stderr


def test_an_unknown_country_ends_with_code_2() -> None:
    assert warmline("ask", "hello", "--country", "Atlantis").returncode == 2


def test_escape_sequences_never_reach_the_terminal() -> None:
    run = warmline("screen", "\x1b[31mi want to kill myself\x1b[0m tonight \x1b]0;title\x07")
    assert "\x1b" not in run.stdout


def test_screen_says_why() -> None:
    run = warmline("screen", CRISIS)
    assert run.stdout.startswith("imminent")
    assert "pills next to me" in run.stdout


def test_screen_reads_a_file_in_order(tmp_path: Path) -> None:
    file = tmp_path / "texts.jsonl"
    file.write_text(f'{{"id": "a", "text": "nice weather"}}\n{json.dumps({"id": "b", "text": CRISIS})}\n')
    rows = [json.loads(line) for line in warmline("screen", "--file", str(file), "--json").stdout.splitlines()]
    assert [(row["id"], row["crisis"]) for row in rows] == [("a", False), ("b", True)]


def test_screen_names_the_bad_line(tmp_path: Path) -> None:
    file = tmp_path / "texts.jsonl"
    file.write_text('{"text": "fine"}\n{"txt": "not"}\n')
    run = warmline("screen", "--file", str(file))
    assert run.returncode == 2
    assert "line 2" in run.stderr


def test_hotlines_are_listed_without_a_model() -> None:
    assert "116 123" in warmline("hotlines", "list", "--country", "IE").stdout


def test_a_bad_hotline_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "ours.yaml"
    file.write_text("country: US\nlines:\n  - {id: x, name: Ours}\n")
    run = warmline("hotlines", "check", str(file))
    assert run.returncode == 1
    assert str(file) in run.stderr


def test_a_conversation_leaves_whole(tmp_path: Path) -> None:
    warmline("ask", CRISIS, "--country", "US")
    out = tmp_path / "all.jsonl"
    assert warmline("data", "export", "--all", "--out", str(out)).returncode == 0
    assert CRISIS in out.read_text()


def test_a_conversation_disappears_whole() -> None:
    warmline("ask", CRISIS, "--country", "US")
    database = warmline("data", "path").stdout.strip().removeprefix("sqlite:///")
    assert warmline("data", "delete", "--all", "--yes").stdout.strip() == "1 deleted"
    left = b"".join(path.read_bytes() for path in Path(database).parent.iterdir())
    assert b"pills next to me" not in left


def test_deleting_asks_first() -> None:
    warmline("ask", CRISIS, "--country", "US")
    assert warmline("data", "delete", "--all", stdin="n\n").returncode == 1
    assert len(warmline("data", "list").stdout.splitlines()) == 1


def test_the_audit_chain_is_verified() -> None:
    warmline("ask", CRISIS, "--country", "US")
    assert "the chain holds" in warmline("audit", "verify").stdout


def test_a_corrupt_database_is_told_and_kept(tmp_path: Path) -> None:
    broken = tmp_path / "w.db"
    broken.write_bytes(b"this was a database once")
    run = warmline("data", "list", WARMLINE_STORE__URL=f"sqlite:///{broken}")
    assert run.returncode == 1
    assert str(broken) in run.stderr
    assert broken.read_bytes() == b"this was a database once"


def test_the_doctor_tells_where_a_setting_came_from() -> None:
    run = warmline("doctor", "--json", WARMLINE_MODEL__MAX_TOKENS="99")
    rows = {row["key"]: row for row in json.loads(run.stdout)["settings"]}
    assert rows["model.max_tokens"] == {
        "key": "model.max_tokens",
        "value": "99",
        "source": "WARMLINE_MODEL__MAX_TOKENS",
    }


def test_the_doctor_reads_every_language_whole() -> None:
    run = warmline("doctor", "--json")
    assert run.returncode == 0
    languages = json.loads(run.stdout)["languages"]
    assert "en" in languages
    assert set(languages.values()) == {None}


def test_the_doctor_tells_of_a_directory_that_leaves_somebody_without_a_line(tmp_path: Path) -> None:
    broken = tmp_path / "lines.yaml"
    broken.write_text("country: ZZ\nlines: nothing\n", "utf-8")
    run = warmline("doctor", WARMLINE_GUARDS__HOTLINES=json.dumps([str(broken)]))
    assert run.returncode == 1
    assert "lines.yaml" in run.stdout


def test_the_doctor_prints_no_key() -> None:
    assert "sk-secret" not in warmline("doctor", WARMLINE_MODEL__API_KEY="sk-secret").stdout


def test_ctrl_c_ends_with_code_130_and_keeps_the_message() -> None:
    variables = {"WARMLINE_MODEL__BASE_URL": "http://10.255.255.1/v1", "WARMLINE_MODEL__NAME": "x"}
    with subprocess.Popen(
        [WARMLINE, "ask", "my week was long", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | variables,
    ) as child:
        assert child.stdout is not None
        assert json.loads(child.stdout.readline())["type"] == "verdict"
        child.send_signal(signal.SIGINT)
    assert child.returncode == 130
    assert "my week was long" in warmline("data", "export", "--all").stdout


def test_the_checked_in_docs_are_what_the_code_says() -> None:
    from warmline.tui.docs import DOCS, PAGES, rendered

    stale = [name for name, generate in PAGES.items() if rendered(DOCS / name, generate()) != (DOCS / name).read_text()]
    assert stale == [], "run: make docs"


def test_the_version_is_the_project_s() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert warmline("--version").stdout.strip() == f"warmline {project['version']}"


def test_screen_follows_a_dialogue_in_context(tmp_path: Path) -> None:
    file = tmp_path / "dialogues.jsonl"
    turns = [{"text": "nice weather today"}, {"text": CRISIS}, {"text": "forget it, jk"}]
    file.write_text(json.dumps({"id": "d1", "turns": turns}) + "\n")
    row = json.loads(warmline("screen", "--dialogues", str(file), "--json").stdout)
    assert [turn["level"] for turn in row["turns"]] == ["none", "imminent", "imminent"]
    assert row["level"] == "imminent"


def test_screen_judges_replies(tmp_path: Path) -> None:
    file = tmp_path / "replies.jsonl"
    good, bad = "That sounds like a lot to carry.", "You should stop your medication today."
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in (good, bad)))
    rows = [json.loads(line) for line in warmline("screen", "--replies", str(file)).stdout.splitlines()]
    assert [row["safe"] for row in rows] == [True, False]
    assert rows[1]["problems"] == ["medication_change"]


def test_screen_gives_the_same_with_several_processes(tmp_path: Path) -> None:
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps({"id": n, "text": f"day {n} was long"}) + "\n" for n in range(20)))
    rows = [json.loads(line) for line in warmline("screen", "--file", str(file), "--jobs", "2").stdout.splitlines()]
    assert [row["id"] for row in rows] == list(range(20))


def test_the_encoder_can_be_turned_off() -> None:
    run = warmline("screen", "my day was long", "--json", WARMLINE_GUARDS__ENCODER="off")
    assert json.loads(run.stdout)["scores"] == {}


def test_a_missing_encoder_folder_is_named(tmp_path: Path) -> None:
    run = warmline("screen", "my day was long", WARMLINE_GUARDS__ENCODER=str(tmp_path))
    assert run.returncode == 1
    assert str(tmp_path) in run.stderr


def test_a_store_that_cannot_be_opened_still_shows_who_to_talk_to(tmp_path: Path) -> None:
    broken = tmp_path / "w.db"
    broken.write_bytes(b"this was a database once")
    run = warmline("ask", CRISIS, "--country", "US", WARMLINE_STORE__URL=f"sqlite:///{broken}")
    assert run.returncode == 1
    assert "988" in run.stderr
