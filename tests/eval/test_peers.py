import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from warmline.agent.settings import GuardSettings
from warmline.eval.crisis import figures, screen_all, system
from warmline.eval.journal import VERSION, Header, Journal, Screened
from warmline.eval.lines import EvalError
from warmline.eval.peers import SILENT, Peer, peer
from warmline.guards import RiskLevel
from warmline.guards.training.corpus import Message

LEXICON = GuardSettings(encoder="off")


@pytest.fixture(autouse=True)
def environment_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a peer sets is put back for the next test; at first it says the opposite."""
    for name in SILENT:
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "false")


def message(text: str, level: RiskLevel = RiskLevel.NONE, id: str = "1") -> Message:
    return Message(id, text, level, frozenset(), "", "en", "", ())


def stops_at(*words: str) -> Peer:
    async def stops(text: str) -> bool:
        if "break" in text:
            raise RuntimeError("weights are missing")
        return any(word in text for word in words)

    return Peer("a peer", stops)


@pytest.mark.parametrize(("text", "level"), [("i want to die", RiskLevel.ELEVATED), ("the bus", RiskLevel.NONE)])
async def test_a_stop_counts_as_a_crisis(text: str, level: RiskLevel) -> None:
    assert (await stops_at("die").screen(message(text))).level == level


async def test_a_failure_is_no_verdict_and_wrong_either_way(tmp_path: Path) -> None:
    some = [
        message("i want to die", RiskLevel.IMMINENT, "1"),
        message("break", RiskLevel.IMMINENT, "2"),
        message("break", RiskLevel.NONE, "3"),
    ]
    about = Header(version=VERSION, bench="crisis", checksum="c", system="", model="")
    heard: dict[str, Screened] = {}
    with Journal(tmp_path / "run.jsonl", about) as journal:
        await screen_all(some, [stops_at("die")], journal, concurrency=1)
        heard = {m.id: await stops_at("die").screen(m) for m in some}
    (one,) = figures(some, {"a peer": heard}).systems
    assert (one.binary.hits, one.binary.misses, one.binary.alarms, one.unreadable) == (1, 1, 1, 2)


async def test_a_system_that_never_works_stops_the_run_and_says_why() -> None:
    broken = stops_at()
    await broken.screen(message("break"))
    await broken.screen(message("break"))
    with pytest.raises(EvalError, match=r"no verdict in 3 messages \(RuntimeError: weights are missing\)"):
        await broken.screen(message("break"))


async def test_a_system_that_has_worked_may_fail_as_often_as_it_likes() -> None:
    one = stops_at()
    await one.screen(message("fine"))
    assert {(await one.screen(message("break"))).level for _ in range(9)} == {None}


@pytest.mark.skipif(find_spec("guardrails") is not None, reason="guardrails-ai is installed")
def test_a_missing_package_is_named_with_how_to_get_it() -> None:
    with pytest.raises(EvalError, match=r"guardrails-ai is not installed: pip install 'warmline\[guardrails\]'"):
        system("guardrails:a:B", LEXICON)


@pytest.mark.skipif(find_spec("nemoguardrails") is not None, reason="NeMo Guardrails is installed")
def test_nemo_guardrails_that_are_missing_are_named(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text("models: []\n")
    with pytest.raises(EvalError, match=r"NeMo Guardrails is not installed: pip install nemoguardrails"):
        system(f"nemo:{tmp_path}", LEXICON)


def test_a_folder_without_a_configuration_is_told(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match=r"holds no config\.yml"):
        system(f"nemo:{tmp_path}", LEXICON)


def test_nobody_is_told_about_a_run(tmp_path: Path) -> None:
    with pytest.raises(EvalError):
        peer(f"nemo:{tmp_path}")
    assert {name: os.environ[name] for name in SILENT} == dict(SILENT)


def test_a_system_that_is_none_is_told() -> None:
    with pytest.raises(EvalError, match=r"--system magic: wants filter.*guardrails:MODULE:CLASS or nemo:FOLDER"):
        system("magic", LEXICON)


# -- with the real packages, where they are installed -----------------------------------------------------------------


async def test_a_real_validator_is_asked_by_its_import_path_and_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("guardrails")
    (tmp_path / "mine.py").write_text(
        "from guardrails import Validator, register_validator\n"
        "from guardrails_ai.types import FailResult, PassResult\n"
        "@register_validator(name='mine/word', data_type='string')\n"
        "class Word(Validator):\n"
        "    def __init__(self, word='gone', on_fail=None, **more):\n"
        "        super().__init__(on_fail=on_fail, word=word, **more)\n"
        "        self.word = word\n"
        "    def _validate(self, value, metadata):\n"
        "        return FailResult(error_message='no') if self.word in value else PassResult()\n"
    )
    monkeypatch.chdir(tmp_path)
    by_path, by_name = peer("guardrails:mine:Word?word=die"), peer("guardrails:mine/word")
    assert (await by_path.screen(message("let me die"))).level == RiskLevel.ELEVATED
    assert (await by_name.screen(message("let me die"))).level == RiskLevel.NONE
    with pytest.raises(EvalError, match="no validator is registered"):
        peer("guardrails:nobody/knows")


async def test_real_input_rails_are_asked(tmp_path: Path) -> None:
    pytest.importorskip("nemoguardrails")
    (tmp_path / "config.yml").write_text(
        "models: []\nrails:\n  config:\n    regex_detection:\n      input:\n        patterns: ['die']\n"
        "  input:\n    flows: [regex check input]\n"
    )
    rails = peer(f"nemo:{tmp_path}")
    assert (await rails.screen(message("let me die"))).level == RiskLevel.ELEVATED
    assert (await rails.screen(message("the bus was late"))).level == RiskLevel.NONE
