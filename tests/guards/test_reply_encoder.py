"""The learned part of the output guard: what it learns from, how it reads, and a network all the way round."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

from warmline.guards.encoder import SHIPPED
from warmline.guards.network_files import EncoderError
from warmline.guards.output import OutputGuard
from warmline.guards.reply_encoder import PROBLEMS, ReplyEncoder, pair_of, pieces
from warmline.guards.training.replies import Reply, read_folder
from warmline.guards.training.train_replies import shown

GOOD = [
    Reply(f"It makes sense that you feel tired, {i}.", True, frozenset(), False, "so tired", "x") for i in range(40)
]
BAD = [
    Reply(f"You only need me and nobody else, {i}.", False, frozenset({"dependence"}), False, "hi", "x")
    for i in range(40)
]
WHOLE = [Reply("That sounds hard. Have you slept?", True, frozenset(), True, "bad night", "y")]


def test_an_epoch_shows_every_reply_and_is_the_same_every_time() -> None:
    texts = [reply.text for reply in shown([*GOOD, *BAD], 1, 0)]
    assert {reply.text for reply in [*GOOD, *BAD]} <= set(texts)
    assert texts == [reply.text for reply in shown([*GOOD, *BAD], 1, 0)]


def test_an_unsafe_sentence_among_good_ones_makes_an_unsafe_reply() -> None:
    joined = [reply for reply in shown([*GOOD, *BAD], 1, 0) if reply.whole]
    assert joined
    assert all(reply.safe == ("only need me" not in reply.text) for reply in joined)


def test_a_good_reply_is_also_shown_sentence_by_sentence() -> None:
    parts = [
        reply.text.strip() for reply in shown([*GOOD, *BAD, *WHOLE], 1, 0) if not reply.whole and "y" in reply.author
    ]
    assert set(parts) <= {"That sounds hard.", "Have you slept?"}
    assert parts


def test_a_problem_that_hangs_on_its_context_keeps_it() -> None:
    ends = [Reply("Goodbye and take care.", False, frozenset({"abandonment"}), False, "i want to die", "x")] * 200
    alone = [reply for reply in shown([*ends, *GOOD], 1, 0) if not reply.whole and not reply.safe]
    assert all(reply.context == "i want to die" for reply in alone)


def test_only_the_end_of_a_long_message_is_read_as_context() -> None:
    said, reply = pair_of("I hear you.", "a " * 4000 + "the end")
    assert said.endswith("the end")
    assert len(said) <= 240
    assert reply == "i hear you."


def test_a_long_reply_is_read_in_pieces_that_lose_nothing() -> None:
    text = "This is a sentence about a long evening. " * 60
    assert "".join(pieces(text)) == text
    assert all(len(piece) < 800 for piece in pieces(text))


def test_a_folder_without_replies_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="--replies FOLDER"):
        read_folder(tmp_path)


def test_missing_weights_are_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"model\.onnx is missing"):
        ReplyEncoder.load(tmp_path)


@pytest.mark.timeout(400)
def test_a_network_is_trained_exported_calibrated_and_tells_the_two_apart(tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel

    from warmline.guards.training.calibrate_replies import fit, uncalibrated
    from warmline.guards.training.export import main as export
    from warmline.guards.training.train_replies import main as train

    backbone = tmp_path / "tiny"
    config = BertConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48, max_position_embeddings=256
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(backbone)
    shutil.copyfile(SHIPPED / "tokenizer.json", backbone / "tokenizer.json")
    folder = tmp_path / "replies"
    folder.mkdir()
    rows = [
        {"text": r.text, "safe": r.safe, "problems": sorted(r.problems), "context": r.context, "author": author}
        for i, r in enumerate([*GOOD, *BAD])
        for author in (("learned",), ("held",))[i % 4 == 0]
    ]
    random.Random(1).shuffle(rows)
    (folder / "some.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    run, shipped = tmp_path / "run", tmp_path / "shipped"
    common = ["--replies", str(folder), "--backbone", str(backbone), "--run", str(run), "--hold-out", "held"]
    assert train([*common, "--epochs", "6", "--head-rate", "0.05"]) == 0
    export([str(run / "network.pt"), "--backbone", str(backbone), "--to", str(shipped)])
    (shipped / "calibration.json").write_text(uncalibrated(shipped).model_dump_json())
    raw = ReplyEncoder.load(shipped)
    said = [(reply, float(raw.logits(reply.text, reply.context)[0])) for reply in [*GOOD, *BAD]]
    (shipped / "calibration.json").write_text(fit(said, shipped, 0.95).model_dump_json())
    encoder = ReplyEncoder.load(shipped)
    guard = OutputGuard(scorer=encoder, limits=encoder.limits)
    assert not guard.check(BAD[1].text, context=BAD[1].context).safe
    assert guard.check(GOOD[1].text, context=GOOD[1].context).safe
    assert not guard.check(f"{GOOD[1].text} {BAD[1].text}", context="hi", whole=True).safe


def test_only_a_problem_of_the_corpus_is_an_output() -> None:
    assert PROBLEMS[0] == "abandonment"
    assert PROBLEMS[-1] == "victim_blaming"
    assert len(PROBLEMS) == 20
