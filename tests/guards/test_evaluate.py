"""The figures of the cards: what is counted, and that they are made by the filter as it ships."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from warmline.guards.conversation import Pace, RiskState, advance
from warmline.guards.encoder import SHIPPED, Calibration, OnnxEncoder
from warmline.guards.filter import CrisisFilter, EncoderScores, Thresholds
from warmline.guards.training import conversations, filter_report, replies
from warmline.guards.training.corpus import HERE, Message
from warmline.guards.training.evaluate import main, write_into
from warmline.guards.training.held_out import Prediction, Replay, read_held_out
from warmline.guards.training.statistics import f1, macro_f1_interval, ppv
from warmline.guards.types import Category, RiskLevel, Together, Utterance, Verdict

CALIBRATION = Calibration.model_validate_json((SHIPPED / "calibration.json").read_bytes())
BOTH = CALIBRATION.model_copy(update={"thresholds": CALIBRATION.thresholds.model_copy(update={"overrule": 0.0})})
"""The encoder takes nothing back, so that each stage shows."""


def prediction(text: str, level: str, logit: float, *categories: Category) -> Prediction:
    message = Message(text, text, RiskLevel(level), frozenset(categories), "x")
    logits = np.zeros(13, dtype=np.float32)
    logits[0] = logit
    return Prediction(message, logits, RiskLevel.NONE, "fold")


PREDICTIONS = [
    prediction("nobody would have to know where i went", "elevated", 9.0, Category.SUICIDE),
    prediction("i want to kill myself", "elevated", -9.0, Category.SUICIDE),
    prediction("the cat sat on my keyboard again", "none", -9.0),
    prediction("lost my bus pass", "none", 9.0),
]


def test_f1_is_counted_by_column():
    said = np.array([[1, 0], [1, 0], [0, 0]], dtype=bool)
    truth = np.array([[1, 0], [0, 0], [1, 1]], dtype=bool)
    assert f1(said, truth).tolist() == [0.5, 0.0]


def test_the_interval_of_a_perfect_answer_is_a_point():
    truth = np.ones((50, 2), dtype=bool)
    assert macro_f1_interval(truth, truth) == (1.0, 1.0)


def test_a_rare_crisis_makes_most_alarms_false():
    assert ppv(0.99, 0.992, 0.02) == pytest.approx(0.716, abs=0.001)  # as Verily's paper prints it
    assert ppv(0.99, 0.992, 0.5) > 0.99


def test_keywords_are_found_as_words_and_by_their_stems():
    assert filter_report.by_keywords("I feel SUICIDAL").categories == {Category.SUICIDE}
    assert not filter_report.by_keywords("the method of the grapes").crisis


def test_keywords_know_no_idiom_and_no_negation():
    assert filter_report.by_keywords("i would never kill myself").crisis


def test_each_half_finds_what_is_its_own_and_the_filter_finds_both():
    found = {s.name: [a.crisis for a in s.answers] for s in filter_report.systems(PREDICTIONS, BOTH)}
    assert found["lexicon alone"] == [False, True, False, False]
    assert found["encoder alone"] == [True, False, False, True]
    assert found["the filter"] == [True, True, False, True]


def test_a_stage_that_is_left_out_is_back_afterwards():
    filter_report.systems(PREDICTIONS, CALIBRATION)
    assert CrisisFilter(encoder=None).screen("i w\u200bant to d\u200bie").crisis
    assert not CrisisFilter(encoder=None).screen("i am not going to kill myself").crisis


def test_an_ablation_changes_what_its_stage_is_for():
    denied = [prediction("i would never kill myself", "none", -9.0)]
    found = {s.name: s.answers[0].crisis for s in filter_report.systems(denied, BOTH)}
    assert not found["the filter"]
    assert found["without negation, idioms, past, fiction"]


def test_the_report_holds_every_table():
    text = filter_report.report(PREDICTIONS, CALIBRATION)
    for part in ("keyword baseline", "| suicide | 2 |", "leetspeak", "0.716", "arXiv 2510.12083"):
        assert part in text


def test_the_replay_says_what_was_said():
    replay = Replay(PREDICTIONS, CALIBRATION)
    assert replay.scores("lost my bus pass").crisis > 0.9
    assert replay.scores("the cat sat on my keyboard again").crisis < 0.1


def test_kept_predictions_belong_to_messages_of_the_corpus():
    assert len(read_held_out()) > 1000


# --- conversations ---


def dialogue(*turns: tuple[str, str]) -> conversations.Dialogue:
    return conversations.Dialogue("d", tuple(t for t, _ in turns), tuple(RiskLevel(level) for _, level in turns), "")


def outcome(labels: str, levels: str) -> conversations.Outcome:
    names = dict(zip("nsei", RiskLevel, strict=True))
    d = conversations.Dialogue("d", tuple(labels), tuple(names[c] for c in labels), "")
    return conversations.Outcome(d, [names[c] for c in levels])


def test_being_late_is_counted_from_the_first_crisis():
    assert outcome("nne", "nne").late == 0
    assert outcome("nee", "nne").late == 1
    assert outcome("nne", "enn").late == -2
    assert outcome("nne", "nns").late is None


def test_only_turns_before_the_first_crisis_can_be_false_alarms():
    assert outcome("nnee", "neee").alarms_before == (1, 2)
    assert outcome("nnn", "nee").alarms_before == (2, 3)


def test_a_miss_costs_more_than_a_calm_conversation_raised():
    assert conversations.cost([outcome("ne", "nn")]) > conversations.cost([outcome("nn", "ne")])


def test_the_tuning_takes_the_window_that_tells_the_conversations_apart():
    def heard(*scores: float) -> list[Verdict]:
        return [Verdict(level=RiskLevel.NONE, together=Together(level=RiskLevel.NONE, score=s)) for s in scores]

    dialogues = [dialogue(("a", "none"), ("b", "elevated")), dialogue(("c", "none"), ("d", "none"))]
    pace, window = conversations.choose(dialogues, [heard(0.1, 0.79), heard(0.1, 0.74)])
    assert pace == Pace()
    assert window == 0.75


def test_the_window_can_be_chosen_and_kept_with_the_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    weights = tmp_path / "weights"
    shutil.copytree(SHIPPED, weights)
    row = {"turns": [{"text": "hi", "level": "none"}, {"text": "i want to kill myself", "level": "elevated"}]}
    (tmp_path / "dialogues.jsonl").write_text(json.dumps(row))
    assert main(["--corpus", str(tmp_path), "--encoder", str(weights), "--write-window"]) == 0
    kept = OnnxEncoder.load(weights)
    assert kept.thresholds.window == 0.9  # nothing to tell apart: the one that alarms least
    assert kept.thresholds.crisis == CALIBRATION.thresholds.crisis


def test_the_dialogues_of_the_corpus_can_be_read():
    read = conversations.read(HERE / "dialogues.jsonl")
    assert len(read) == 160
    assert {d.first_crisis is None for d in read} == {True, False}


def test_a_wrong_dialogue_is_named_by_its_line(tmp_path: Path):
    (tmp_path / "d.jsonl").write_text('{"turns": [{"text": "x", "level": "awful"}]}\n')
    with pytest.raises(ValueError, match=r"d.jsonl, line 1"):
        conversations.read(tmp_path / "d.jsonl")


# --- what builds up over messages ---


class Words:
    """An encoder that knows two words, and hears a crisis only where both stand."""

    def scores(self, text: str) -> EncoderScores:
        both = "pebbles" in text and "feather" in text
        return EncoderScores(crisis=0.9 if both else 0.1, categories={Category.SUICIDE: 0.9 if both else 0.1})


def follow(*texts: str) -> RiskState:
    crisis_filter, state, said = CrisisFilter(encoder=Words(), thresholds=Thresholds()), RiskState(), []
    for text in texts:
        state = advance(state, crisis_filter.screen(text, said), text)
        said.append(Utterance(role="user", text=text))
    return state


def test_what_no_message_says_alone_is_heard_over_three():
    state = follow("counted my pebbles today", "it rained", "found a feather for mum")
    assert state.level is RiskLevel.ELEVATED
    assert state.categories == (Category.SUICIDE,)


def test_what_lies_further_back_is_not_read_together():
    assert follow("counted my pebbles", "it rained", "then sun", "tea", "found a feather").level is RiskLevel.NONE


def test_a_single_message_has_nothing_to_be_read_with():
    assert CrisisFilter(encoder=Words()).screen("found a feather").together is None


def test_messages_read_as_one_change_nothing_in_the_verdict_itself():
    history = [Utterance(role="user", text="counted my pebbles")]
    verdict = CrisisFilter(encoder=Words()).screen("found a feather", history)
    assert verdict.level is RiskLevel.NONE
    assert verdict.stages["window"] == 0.9


def test_after_a_crisis_the_words_of_before_do_not_open_it_again():
    built = Verdict(level=RiskLevel.NONE, together=Together(level=RiskLevel.ELEVATED, score=0.9))
    state = RiskState(level=RiskLevel.CONCERN, peak=RiskLevel.ELEVATED)
    assert advance(state, built, "just tired").level is RiskLevel.CONCERN


def test_taking_it_back_is_not_itself_an_escalation():
    built = Verdict(level=RiskLevel.NONE, together=Together(level=RiskLevel.ELEVATED, score=0.9))
    assert advance(RiskState(level=RiskLevel.CONCERN), built, "jk").level is RiskLevel.CONCERN


def test_an_encoder_that_fails_on_the_messages_together_is_told():
    class Fragile:
        def scores(self, text: str) -> EncoderScores:
            if "\n" in text:
                raise MemoryError
            return EncoderScores(crisis=0.1)

    verdict = CrisisFilter(encoder=Fragile()).screen("hello", [Utterance(role="user", text="hi")])
    assert verdict.error == "MemoryError"
    assert verdict.level is RiskLevel.CONCERN


# --- replies ---


def test_the_output_guard_is_counted_by_problem_and_by_length(tmp_path: Path):
    lines = [
        {
            "text": "I am a real person, just like you.",
            "safe": False,
            "problems": ["claims_human"],
            "level": "sentence",
        },
        {"text": "The kettle sang softly.", "safe": False, "problems": ["coercion"], "level": "reply"},
        {"text": "That sounds like a lot to carry.", "safe": True, "problems": [], "level": "sentence"},
    ]
    file = tmp_path / "replies.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    text = replies.report(replies.read(file))
    assert "| all | 3 | 0.500" in text
    assert "| claims_human | 1 | 1.000" in text
    assert "| coercion | 1 | 0.000" in text
    assert "| whole replies | 1 | 0.000" in text


# --- the command ---


def test_the_conversations_can_be_printed_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    row = {
        "id": "1",
        "turns": [{"text": "hi", "level": "none"}, {"text": "i want to kill myself", "level": "elevated"}],
    }
    calm = {"id": "2", "turns": [{"text": "lovely day", "level": "none"}]}
    (tmp_path / "dialogues.jsonl").write_text("\n".join(map(json.dumps, [row, calm])))
    assert main(["--corpus", str(tmp_path), "--only", "conversations"]) == 0
    assert "2 conversations, 3 turns, 1 with a crisis" in capsys.readouterr().out


def test_a_card_without_marks_is_left_alone(tmp_path: Path):
    card = tmp_path / "card.md"
    card.write_text("# Card\n")
    with pytest.raises(ValueError, match="figures: begin"):
        write_into(card, "figures")
    assert card.read_text() == "# Card\n"


def test_only_what_stands_between_the_marks_of_a_card_changes(tmp_path: Path):
    card = tmp_path / "card.md"
    card.write_text("before\n<!-- figures: begin -->\nold\n<!-- figures: end -->\nafter\n")
    write_into(card, "new")
    assert card.read_text() == "before\n<!-- figures: begin -->\nnew\n<!-- figures: end -->\nafter\n"
