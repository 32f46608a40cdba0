"""``warmline screen --explain``: why, in plain words."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def screen(tmp_path: Path):
    """Run ``warmline screen`` without settings of this machine."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = "from warmline.tui.command import main; main()"
        environment = {**os.environ, "WARMLINE_CONFIG": str(tmp_path / "none.toml"), "COLUMNS": "200"}
        command = [sys.executable, "-c", code, "screen", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    return run


def test_it_tells_the_words_the_scores_and_the_examples(screen):
    told = screen("my exam went badly and i want to kill myself", "--explain", "--nearest", "2").stdout
    for words in (
        "suicide",
        "want to kill myself”",
        "a wording for suicide",
        "lexicon",
        "encoder",
        "labelled examples",
    ):
        assert words in told


def test_markup_in_a_message_is_shown_as_typed(screen):
    assert "[bold]i want to kill myself[/bold]" in screen("[bold]i want to kill myself[/bold]", "--explain").stdout


def test_it_can_be_json(screen):
    said = json.loads(screen("i want to kill myself", "--explain", "--nearest", "2", "--json").stdout)
    assert said["verdict"]["level"] in ("elevated", "imminent")
    assert len(said["examples"]) == 2


@pytest.mark.parametrize("arguments", [("hi", "--nearest", "2"), ("--file", "x.jsonl", "--explain")])
def test_what_does_not_go_together_is_refused(screen, arguments: tuple[str, ...]):
    refused = screen(*arguments)
    assert refused.returncode == 2
    assert "--explain" in refused.stderr
