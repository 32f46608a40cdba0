"""The shipped encoder reads texts of any length and shape, and says so when it could not read all."""

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from warmline.guards.encoder import SHIPPED, EncoderError, OnnxEncoder, encoder_text
from warmline.guards.types import Category, RiskLevel

CALM = (
    "We went to the market on Saturday and the lady at the cheese stall remembered my name. "
    "Then the bus was late, so I read the whole paper and helped a boy find his stop. "
)


@pytest.fixture(scope="module")
def encoder() -> OnnxEncoder:
    return OnnxEncoder.load()


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("i want to die and i have a plan for tonight", Category.SUICIDE),
        ("He locked me in and put his hands round my throat again last night", Category.ABUSE),
        ("the voices are telling me the neighbours put a chip in my head", Category.PSYCHOSIS),
        ("i made myself throw up after every meal this week", Category.EATING_DISORDER),
        ("cut my arms again last night, cant stop", Category.SELF_HARM),
    ],
)
def test_a_plain_crisis_is_over_the_threshold_with_its_category(
    encoder: OnnxEncoder, text: str, category: Category
) -> None:
    scores = encoder.scores(text)
    assert scores.crisis >= encoder.thresholds.crisis
    assert max(scores.categories, key=lambda c: scores.categories[c]) is category


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "my phone died again lol",
        "thanks, that helped",
        CALM,
        "what time does the post office close on sunday?",
        "😂",
    ],
)
def test_everyday_talk_is_under_the_threshold(encoder: OnnxEncoder, text: str) -> None:
    assert encoder.scores(text).crisis < encoder.thresholds.crisis


@pytest.mark.parametrize("text", ["", " \n\t ", "\u200b\u200b", "\ufe0f"])
def test_a_text_without_words_scores_nothing(encoder: OnnxEncoder, text: str) -> None:
    scores = encoder.scores(text)
    assert (scores.crisis, scores.windows, scores.complete, scores.span) == (0.0, 0, True, None)


@pytest.mark.parametrize(
    "text", ["\ud800", "\x00", "a" * 5_000, "🙂" * 3_000, "我想回家 " * 400, "[SEP] [CLS] [PAD]", "{}[]<>" * 900]
)
def test_odd_input_gives_scores_between_0_and_1(encoder: OnnxEncoder, text: str) -> None:
    scores = encoder.scores(text)
    assert 0 <= scores.crisis <= 1
    assert scores.levels and abs(sum(scores.levels.values()) - 1) < 1e-5
    assert set(scores.levels) == set(RiskLevel)


def test_a_long_text_is_read_to_its_last_line(encoder: OnnxEncoder) -> None:
    calm = CALM * 12
    told = encoder.scores(calm + "I have the pills in my hand and I am going to kill myself tonight. I want to die.")
    assert told.complete
    assert told.windows > 1
    assert told.crisis >= encoder.thresholds.crisis > encoder.scores(calm).crisis


def test_the_mean_tells_one_clause_from_a_whole_text(encoder: OnnxEncoder) -> None:
    clause = encoder.scores(CALM * 30 + "I want to kill myself tonight.")
    throughout = encoder.scores("I want to kill myself tonight. Nothing is left and I want to die. " * 60)
    assert clause.mean < throughout.mean


def test_a_huge_text_is_sampled_with_bounded_work_and_says_so(encoder: OnnxEncoder) -> None:
    scores = encoder.scores(CALM * 6_000)
    assert not scores.complete
    assert scores.windows <= encoder.calibration.most_windows


def test_the_span_lies_in_the_text_as_read(encoder: OnnxEncoder) -> None:
    text = encoder_text("The cake was lovely. But I want to kill myself tonight. Bye.")
    span = encoder.scores(text).span
    assert span is not None
    assert "kill" in text[span[0] : span[1]]


def test_the_span_ends_where_words_end(encoder: OnnxEncoder) -> None:
    for line in ("i relapsed last night", CALM + "Then he hit me.", "a" * 900 + " help", "一 " * 300):
        text = encoder_text(line)
        span = encoder.scores(line).span
        assert span is not None
        assert f" {text} "[span[0]].isspace() and f"{text} "[span[1]].isspace()


def test_disguise_that_canonical_text_undoes_changes_no_score(encoder: OnnxEncoder) -> None:
    plain = encoder.scores("i want to kill myself")
    assert encoder.scores("I want to k\u200bill MYSELF") == plain


def test_emoji_are_read_by_their_names() -> None:
    assert encoder_text("ok 😭").split() == ["ok", "loudly", "crying", "face"]


def test_threads_get_the_same_scores(encoder: OnnxEncoder) -> None:
    texts = [f"{CALM} and then {word} rang" for word in ("mum", "dad", "nobody", "the bank", "she", "he")] * 4
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(encoder.scores, texts)) == encoder.scores_batch(texts)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "calibration.json"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    shutil.copytree(SHIPPED, tmp_path / "e")
    (tmp_path / "e" / name).unlink()
    with pytest.raises(EncoderError, match=name):
        OnnxEncoder.load(tmp_path / "e")


def test_a_calibration_of_other_weights_is_refused(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED, tmp_path / "e")
    with (tmp_path / "e" / "model.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(EncoderError, match="other weights"):
        OnnxEncoder.load(tmp_path / "e")


def test_broken_weights_are_an_encoder_error(tmp_path: Path) -> None:
    import hashlib
    import json

    shutil.copytree(SHIPPED, tmp_path / "e")
    (tmp_path / "e" / "model.onnx").write_bytes(b"no network")
    calibration = json.loads((tmp_path / "e" / "calibration.json").read_text())
    calibration["weights_sha256"] = hashlib.sha256(b"no network").hexdigest()
    (tmp_path / "e" / "calibration.json").write_text(json.dumps(calibration))
    with pytest.raises(EncoderError, match="cannot be loaded"):
        OnnxEncoder.load(tmp_path / "e")


def test_the_runtime_needs_no_torch() -> None:
    code = (
        "import sys; from warmline.guards.encoder import OnnxEncoder; OnnxEncoder.load().scores('hello');"
        "print([m for m in ('torch', 'transformers', 'onnx') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
