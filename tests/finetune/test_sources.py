"""The sources beside plain files: our own exports, the hub's layout, IMHI, and what may not come from any of them."""

import csv
import json
from pathlib import Path

import pytest

from warmline.agent.store import CrisisEntry, Store
from warmline.finetune.alike import alike, groups, likeness, runs, stems
from warmline.finetune.hub import load_pairs, names_data_set
from warmline.finetune.identity import identity_hints
from warmline.finetune.pairs import DataError, Pair
from warmline.finetune.prepare import Options, prepare
from warmline.finetune.read import read_pairs
from warmline.guards.types import Category, Evidence, RiskLevel, Verdict

HEARD = "That sounds very lonely, and it makes sense that you miss them so much at night."


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """A conversation that a reviewer took over, as the store exports it."""
    words = "i cannot do this any more"
    span = Evidence(start=0, end=6, text=words[:6], category=Category.SUICIDE, level=RiskLevel.ELEVATED, source="x")
    found = Verdict(level=RiskLevel.ELEVATED, categories=(Category.SUICIDE,), evidence=(span,))
    path = tmp_path / "export.jsonl"
    with Store.open(f"sqlite:///{tmp_path / 'w.db'}") as store:
        session = store.create_session("US").id
        crisis = CrisisEntry(RiskLevel.ELEVATED, found.categories, (), ())
        turn = store.begin_turn(session, words)
        store.finish_turn(turn, reply="You matter.", verdict=found, route="crisis", crisis=crisis)
        ticket = store.handoff.of_session(session).ticket
        assert ticket
        store.handoff.take(ticket.id, "sam", "A person is here.")
        second = store.begin_turn(session, "are you real?")
        store.finish_turn(second, reply="", verdict=Verdict(level=RiskLevel.NONE), route="support")
        store.handoff.say(ticket.id, "sam", "Yes. I read all that you wrote.")
        store.handoff.say(ticket.id, "sam", "What was the worst of today?")
        path.write_text(json.dumps(store.export(session)) + "\n", encoding="utf-8")
    return path


def test_what_a_reviewer_wrote_is_the_answer_and_the_talk_stands_before_it(export: Path) -> None:
    (pair,) = read_pairs(export)
    assert pair.question == "are you real?"
    assert pair.answer == "Yes. I read all that you wrote.\n\nWhat was the worst of today?"
    assert [(turn.role, turn.text) for turn in pair.history] == [
        ("user", "i cannot do this any more"),
        ("assistant", "You matter."),
    ]


def test_an_export_without_a_reviewer_has_nothing_to_learn_from(export: Path) -> None:
    row = json.loads(export.read_text(encoding="utf-8"))
    row["handoff"]["human_messages"] = []
    export.write_text(json.dumps(row), encoding="utf-8")
    with pytest.raises(DataError, match="no reviewer wrote in any"):
        read_pairs(export)


def test_an_export_of_another_format_is_told_with_its_line(export: Path) -> None:
    export.write_text(json.dumps({"format": "warmline/conversation/9"}), encoding="utf-8")
    with pytest.raises(DataError, match=r"line 1: format 'warmline/conversation/9', wants 'warmline/conversation/1'"):
        read_pairs(export)


def test_imhi_is_read_without_naming_columns(tmp_path: Path) -> None:
    path = tmp_path / "DR.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [["query", "gpt-3.5-turbo"], ['Consider this post: "…" Stress?', "Yes. Reasoning: …"]]
        )
    (pair,) = read_pairs(path)
    assert pair.answer == "Yes. Reasoning: …"


@pytest.mark.parametrize(
    ("source", "is_one"),
    [("ShenLab/MentalChat16K", True), ("data/rows.jsonl", False), ("rows", False), ("/a/b", False)],
)
def test_a_data_set_of_the_hub_is_told_from_a_file_by_its_name(source: str, is_one: bool) -> None:
    assert names_data_set(source) is is_one


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A folder laid out as ShenLab/MentalChat16K is on the hub."""
    folder = tmp_path / "MentalChat16K"
    folder.mkdir()
    for stem, asked in (("Interview_Data_6K", "I care for my mother."), ("Synthetic_Data_10K", "I can't sleep.")):
        with (folder / f"{stem}.csv").open("w", encoding="utf-8", newline="") as file:
            system = "You are a helpful mental health counselling assistant."
            rows = [[system, f"{asked} {n}", HEARD] for n in range(3)]
            csv.writer(file).writerows([["instruction", "input", "output"], *rows])
    return folder


@pytest.mark.parametrize(("part", "questions"), [("synthetic", 3), ("interview", 3), ("both", 6)])
def test_the_hubs_layout_is_read_in_parts(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, questions: int
) -> None:
    pytest.importorskip("datasets")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    pairs = load_pairs(str(hub), part)
    assert len(pairs) == questions
    assert not any("assistant" in pair.question for pair in pairs)
    if part != "both":
        assert {pair.source for pair in pairs} == {f"MentalChat16K-{part}"}


def test_a_hub_out_of_reach_is_told_with_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match=r"hf download --repo-type dataset ShenLab/MentalChat16K"):
        load_pairs("ShenLab/MentalChat16K", "synthetic")


def rows(*questions: str, answer: str = HEARD) -> list[Pair]:
    return [Pair(id=f"r{n}", source="r", question=text, answer=answer) for n, text in enumerate(questions)]


BENCH = {"b1": "My flatmate eats my yoghurt every week and laughs about it when I say that this hurts me."}
OTHERS = [f"I moved to town number {n} in spring and I eat lunch alone on {n} of {n + 2} days." for n in range(20)]


def test_a_bench_question_in_the_data_is_an_error_that_names_it() -> None:
    with pytest.raises(DataError, match=r"r20 asks what b1 asks") as caught:
        prepare(rows(*OTHERS, BENCH["b1"].upper()), Options(), bench=BENCH)
    assert "--drop-leaks" in str(caught.value)


def test_a_bench_question_is_known_when_it_was_lemmatised() -> None:
    told = "my flatmate eat my yoghurt every week and laugh about it when i say that this hurt me"
    with pytest.raises(DataError, match="r20 asks what b1 asks"):
        prepare(rows(*OTHERS, told), Options(), bench=BENCH)


def test_leaks_are_dropped_when_that_is_asked_for() -> None:
    done = prepare(rows(*OTHERS, BENCH["b1"]), Options(drop_leaks=True), bench=BENCH)
    assert [(row.id, row.reason, row.detail) for row in done.dropped] == [("r20", "leak", "b1")]


LONG = "Since my sister moved away in March I cook for one, talk to the radio and count the days until she calls again"


def test_a_row_that_is_nearly_another_is_dropped_and_names_it() -> None:
    done = prepare(rows(*OTHERS, f"{LONG}.", f"{LONG} soon."), Options())
    assert [(row.id, row.reason, row.detail) for row in done.dropped] == [("r21", "near duplicate", "r20")]


def test_another_answer_to_nearly_the_same_question_is_kept_on_the_same_side(tmp_path: Path) -> None:
    other = "It must be hard when the flat is so quiet. What do the two of you talk about when she calls?"
    for seed in range(6):
        twice = [*rows(*OTHERS, f"{LONG}."), Pair(id="x", source="r", question=f"{LONG} soon.", answer=other)]
        done = prepare(twice, Options(seed=seed, validation=0.4, memory=tmp_path))
        held = {row.id for row in done.validation}
        assert ("x" in held) == ("r20" in held)
        assert done.dropped == []


def test_likeness_is_what_is_shared_of_all() -> None:
    assert likeness(runs("a b c d"), runs("a b c e")) == pytest.approx(1 / 3)
    assert likeness(runs("Hello THERE"), runs("hello there")) == 1
    assert likeness(runs(""), runs("")) == 1


def test_every_pair_above_the_threshold_is_found_and_no_other() -> None:
    import random

    chance = random.Random(1)
    texts = [runs(" ".join(chance.choices("abc", k=chance.randint(0, 9)))) for _ in range(120)]
    for threshold in (0.3, 0.5, 0.8, 1.0):
        slow = {(i, j) for j in range(120) for i in range(j) if texts[i] and likeness(texts[i], texts[j]) >= threshold}
        assert set(alike(texts, threshold)) == slow


def test_texts_are_compared_with_the_known_ones_only() -> None:
    texts = [stems(text) for text in ("lonely nights", "lonely nights", "lonely nights")]
    assert list(alike(texts, 0.9, known=1)) == [(0, 1), (0, 2)]


def test_a_group_reaches_over_those_between() -> None:
    assert groups(5, [(3, 1), (3, 4)]) == [0, 1, 2, 1, 1]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("Call me on +1 202-555-0147.", "phone number"),
        ("Write to jo.smith@example.com.", "e-mail or handle"),
        ("It is on www.example.org/me.", "web address"),
        ("Hi, my name is Joanna.", "name"),
        ("I saw Dr. Okafor again.", "titled name"),
        ("I live at 14 Elm Park Road.", "street"),
        ("I was born on 3 May 1999.", "birthday"),
    ],
)
def test_a_hint_at_who_somebody_is_is_counted_by_its_kind(text: str, hint: str) -> None:
    assert hint in identity_hints(text)


def test_ordinary_talk_holds_no_hint() -> None:
    assert identity_hints("I have been tired for 3 weeks, and my name is never called. Dr visits scare me.") == set()
