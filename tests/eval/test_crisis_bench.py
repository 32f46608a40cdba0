import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.eval.stub_judge import stub_judge
from warmline.agent.settings import GuardSettings
from warmline.eval.crisis import LanguageModel, counted, figures, local, read_messages, screen_all
from warmline.eval.dialogues import figures as dialogue_figures
from warmline.eval.dialogues import read_dialogues
from warmline.eval.endpoint import Endpoint, EndpointRefused
from warmline.eval.journal import Header, Journal, Screened
from warmline.eval.lines import EvalError
from warmline.guards import Category, RiskLevel
from warmline.guards.training.conversations import Dialogue, Outcome
from warmline.guards.training.corpus import Message

HEADER = Header(version=1, bench="crisis", checksum="c", system="", model="")
LEXICON = GuardSettings(encoder="off")


def message(id: str, text: str = "x", level: str = "none", *categories: Category) -> Message:
    return Message(id=id, text=text, level=RiskLevel(level), categories=frozenset(categories), author="a")


def said(level: str | None, *categories: Category) -> Any:
    return lambda id: Screened(id=id, system="s", level=RiskLevel(level) if level else None, categories=categories)


def heard(**by_id: Any) -> dict[str, Screened]:
    return {id: make(id) for id, make in by_id.items()}


FOUR = [
    message("a", "a", "imminent", Category.SUICIDE),
    message("b", "b", "elevated", Category.ABUSE),
    message("c", "c", "concern", Category.SUICIDE),
    message("d", "d"),
]


def test_the_counts_are_those_of_a_hand_worked_table() -> None:
    found = counted([True] * 10 + [False] * 10, [True] * 9 + [False] + [True] * 2 + [False] * 8)
    assert (found.hits, found.misses, found.alarms, found.calm) == (9, 1, 2, 8)
    assert (found.sensitivity.value, found.specificity.value, found.accuracy.value) == (0.9, 0.8, 0.85)
    assert (found.ppv.value, found.npv.value) == (9 / 11, 8 / 9)
    assert found.f1 == pytest.approx(6 / 7)
    assert (found.sensitivity.low, found.sensitivity.high) == pytest.approx((0.5958, 0.9821), abs=1e-4)  # Wilson


def test_a_concern_counts_as_calm() -> None:
    by_id = heard(a=said("elevated"), b=said("elevated"), c=said("concern"), d=said("none"))
    assert figures(FOUR, {"s": by_id}).systems[0].binary.accuracy.value == 1


def test_a_category_counts_when_it_is_named_in_a_crisis() -> None:
    by_id = heard(
        a=said("imminent", Category.SUICIDE),
        b=said("elevated", Category.SUICIDE),
        c=said("concern", Category.SUICIDE),
        d=said("none"),
    )
    of = figures(FOUR, {"s": by_id}).systems[0].by_category
    assert of[Category.SUICIDE].sensitivity.value == 1
    assert of[Category.SUICIDE].specificity.value == pytest.approx(2 / 3)
    assert of[Category.ABUSE].sensitivity.value == 0


@pytest.mark.parametrize(("at", "measure"), [("a", "sensitivity"), ("d", "specificity")])
def test_no_verdict_is_wrong_whatever_was_right(at: str, measure: str) -> None:
    right = heard(a=said("elevated"), b=said("elevated"), c=said("none"), d=said("none"))
    system = figures(FOUR, {"s": right | heard(**{at: said(None)})}).systems[0]
    assert getattr(system.binary, measure).value == 0.5
    assert system.unreadable == 1


def test_systems_are_compared_on_the_messages_that_all_have_judged() -> None:
    whole = heard(a=said("elevated"), b=said("elevated"), c=said("none"), d=said("none"))
    half = heard(a=said("none"), b=said("none"))
    found = figures(FOUR, {"whole": whole, "half": half})
    assert found.messages == 2
    assert (found.pairs[0].only_a, found.pairs[0].only_b) == (2, 0)


def test_missed_crises_and_false_alarms_are_listed() -> None:
    by_id = heard(a=said("none"), b=said("elevated"), c=said("none"), d=said("imminent"))
    system = figures(FOUR, {"s": by_id}).systems[0]
    assert ([m.id for m in system.missed], [m.id for m in system.false_alarms]) == (["a"], ["d"])


def test_the_share_of_right_alarms_follows_from_the_prevalence() -> None:
    system = figures(FOUR, {"s": heard(a=said("elevated"), b=said("none"), c=said("none"), d=said("none"))}).systems[0]
    assert system.ppv_at(0.02) == 1


async def _screened(path: Path, systems: Sequence[Any], messages: Sequence[Message]) -> set[Any]:
    with Journal(path, HEADER) as journal:
        await screen_all(messages, systems, journal)
        return journal.screened


async def test_local_systems_judge_every_message(tmp_path: Path) -> None:
    systems = [local("lexicon", LEXICON), local("keywords", LEXICON)]
    assert len(await _screened(tmp_path / "run.jsonl", systems, FOUR)) == 8


async def test_a_language_model_is_asked_once_for_each_message_through_two_runs(tmp_path: Path) -> None:
    verdict = json.dumps({"level": "elevated", "categories": ["suicide"]})
    async with stub_judge(lambda _: verdict) as stub:
        systems = [LanguageModel(Endpoint("m", stub.base_url))]
        await _screened(tmp_path / "run.jsonl", systems, FOUR)
        await _screened(tmp_path / "run.jsonl", systems, FOUR)
    assert len(stub.requests) == 4


async def no_wait(_: float) -> None:
    return None


async def test_a_message_that_a_model_refuses_has_no_verdict() -> None:
    verdicts = iter([json.dumps({"level": "none", "categories": []})])
    async with stub_judge(lambda _: next(verdicts, "I cannot talk about this.")) as stub:
        model = LanguageModel(Endpoint("m", stub.base_url), sleep=no_wait)
        await model.screen(FOUR[3])
        assert (await model.screen(FOUR[0])).level is None


async def test_a_model_that_never_gave_a_verdict_is_an_error() -> None:
    with pytest.raises(EndpointRefused, match="look at the key"):
        await LanguageModel(Endpoint("m", "http://127.0.0.1:9/v1"), sleep=no_wait).screen(FOUR[0])


def test_an_unknown_system_is_told() -> None:
    with pytest.raises(EvalError, match="filter, lexicon"):
        local("oracle", LEXICON)


def test_a_wrong_level_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"text": "a", "level": "none"}\n{"text": "b", "level": "awful"}\n')
    with pytest.raises(EvalError, match=r"line 2: 'awful'"):
        read_messages(path)
    assert len(read_messages(path, skip_bad=True).rows) == 1


def outcome(truth: str, heard: str) -> Outcome:
    levels = {"n": RiskLevel.NONE, "e": RiskLevel.ELEVATED}
    dialogue = Dialogue(f"{truth}-{heard}", ("x",) * len(truth), tuple(levels[c] for c in truth), "kind")
    return Outcome(dialogue, [levels[c] for c in heard])


def test_dialogues_are_counted_by_detection_delay_and_false_alarms() -> None:
    found = dialogue_figures(
        "all", [outcome("nnee", "nnne"), outcome("nne", "nnn"), outcome("nnnn", "nenn"), outcome("ne", "ne")]
    )
    assert (found.found.value, found.missed) == (2 / 3, ("nne-nnn",))
    assert found.turns_late.value == 0.5
    assert (found.raised_wrongly.value, found.wrong) == (1, ("nnnn-nenn",))
    assert found.false_alarms_per_100 == pytest.approx(100 / 9)


def test_a_wrong_turn_of_a_dialogue_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text('{"id": "1", "turns": [{"text": "a"}]}\n')
    with pytest.raises(EvalError, match="line 1"):
        read_dialogues(path)
