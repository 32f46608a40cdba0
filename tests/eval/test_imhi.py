import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from tests.eval.stub_judge import stub_judge
from warmline.eval.explanations import SentenceEncoder, explanation, explanation_mode
from warmline.eval.imhi import figures, labels, read_label, read_set
from warmline.eval.lines import EvalError
from warmline.tui.commands.eval import app


@pytest.mark.parametrize(
    ("name", "text", "label"),
    [
        ("DR", "Yes, the poster suffers from depression. Reasoning: No doubt.", "yes"),
        ("DR", "No, the poster does not suffer from it. Reasoning: Yes, they are tired.", "no"),
        ("dreaddit", "The poster is under stress.", None),
        ("DR", "Yes and no.", None),
        ("SAD", "This post shows the stress cause related to emotion turmoil. Reasoning: work", "emotional turmoil"),
        ("SAD", "Work or school.", None),
        ("CAMS", "This post shows no causes of depression. Reasoning: their jobs", "none"),
        ("t-sid", "This post shows suicide or self-harm tendency. Reasoning: depression", "suicide"),
        ("t-sid", "This post shows no mental disorders. Reasoning: x", "none"),
        ("t-sid", "", None),
    ],
)
def test_the_label_is_what_the_first_sentence_names(name: str, text: str, label: str | None) -> None:
    assert read_label(name, text) == label


def test_every_set_of_the_paper_has_its_labels() -> None:
    assert set(labels()) == {"DR", "dreaddit", "loneliness", "Irf", "MultiWD", "SAD", "CAMS", "t-sid", "swmh"}


def write(path: Path, *rows: str, head: str = "query,gpt-3.5-turbo") -> Path:
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def test_a_set_is_read_and_scored(tmp_path: Path) -> None:
    of = read_set(write(tmp_path / "DR.csv", '"a","Yes, so."', '"b","Yes, so."', '"c","Yes, so."', '"d","No, not."'))
    said = {"DR-1": "Yes, it is.", "DR-2": "Yes.", "DR-3": "Hard to tell", "DR-4": "No."}
    found = figures(of, said)
    assert (found.n, found.unreadable) == (4, 1)
    assert found.weighted_f1 == pytest.approx(0.85)


def test_a_row_without_a_label_is_named_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path / "DR.csv", '"a","Yes, so."', '"b","Perhaps."')
    with pytest.raises(EvalError, match="line 3"):
        read_set(path)
    assert len(read_set(path, skip_bad=True).questions) == 1


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match="no column gpt"):
        read_set(write(tmp_path / "DR.csv", "a,b", head="query,gold"))


def test_an_unknown_set_is_told(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match="no IMHI set 'XY'"):
        read_set(write(tmp_path / "XY.csv", "a,b"))


# -- explanations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Yes, it does. Reasoning: The post says so.", "The post says so."),
        ("Yes, it does. The post says so. Twice.", "The post says so. Twice."),
        ("Yes, it does.", ""),
        ("", ""),
    ],
)
def test_the_explanation_is_what_stands_behind_the_label(text: str, found: str) -> None:
    assert explanation(text) == found


class Words:
    """Nearness by shared words; stands where a network would."""

    name = "words"

    def similarities(self, said: Sequence[str], wanted: Sequence[str]) -> list[float]:
        pairs = [(set(a.split()), set(b.split())) for a, b in zip(said, wanted, strict=True)]
        return [len(a & b) / max(1, len(a | b)) for a, b in pairs]


def test_no_explanation_counts_as_no_likeness_at_all(tmp_path: Path) -> None:
    of = read_set(write(tmp_path / "DR.csv", '"a","Yes. Reasoning: so tired"', '"b","Yes. Reasoning: so sad"'))
    found = figures(of, {"DR-1": "Yes. Reasoning: so tired", "DR-2": "Yes."}, cast("SentenceEncoder", Words()))
    assert found.similarity is not None
    assert (found.similarity.value, found.unexplained, found.encoder) == (0.5, 1, "words")


def test_a_judge_of_explanations_is_asked_by_their_own_rubrics() -> None:
    mode = explanation_mode()
    asked = mode.asks("Consider this post", "Yes. Reasoning: so")[1]["content"]
    assert mode.rubrics.ids == ("consistency", "reliability", "professionality")
    assert all(f"{rubric.id} ({rubric.name})" in asked for rubric in mode.rubrics.rubrics)
    assert "Active Listening" not in asked


async def test_explanations_are_judged_and_the_labels_still_counted(tmp_path: Path) -> None:
    file = write(tmp_path / "DR.csv", '"a","Yes. Reasoning: tired"', '"b","No. Reasoning: fine"')
    rated = json.dumps({id: {"reason": "r", "score": 6} for id in explanation_mode().rubrics.ids})

    def answer(body: dict[str, Any]) -> str:
        return rated if "response_format" in body else "Yes. Reasoning: tired"

    async with stub_judge(answer) as stub:
        names = [f"{name}@{stub.base_url}" for name in ("tested", "judge")]
        options = ["run", "imhi", "--file", str(file), "--model", names[0], "--judge", names[1], "--out", str(tmp_path)]
        result = await asyncio.to_thread(CliRunner().invoke, app, options)
        asked = next(body for body in stub.requests if body["model"] == "tested")
    assert result.exit_code == 0, result.output
    data = json.loads((tmp_path / "report.json").read_text())
    assert data["runs"][0]["judges"][0]["rubrics"]["overall"]["value"] == 6
    assert data["imhi"][0]["weighted_f1"] == pytest.approx(1 / 3)
    assert [message["role"] for message in asked["messages"]] == ["user"]


def test_an_encoder_that_is_not_there_is_told_with_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match=r"no config\.json, model\.safetensors, tokenizer\.json; `warmline guards"):
        SentenceEncoder(tmp_path)


@pytest.mark.timeout(300)  # torch and transformers are loaded
def test_a_real_encoder_finds_what_means_the_same_nearer(tmp_path: Path) -> None:
    """A tiny network with random weights: what is checked is the reading, the pooling and the padding."""
    transformers, tokenizers = pytest.importorskip("transformers"), pytest.importorskip("tokenizers")
    pytest.importorskip("torch")
    words = {word: n for n, word in enumerate(["[PAD]", "[UNK]", "so", "tired", "of", "all", "this", "happy"])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, "[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]")
    fast.save_pretrained(tmp_path)
    config = transformers.BertConfig(
        vocab_size=8, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    transformers.BertModel(config).save_pretrained(tmp_path)
    encoder = SentenceEncoder(tmp_path)
    same, other, empty = encoder.similarities(["so tired", "so tired", ""], ["so tired", "happy all this of", "so"])
    assert same == pytest.approx(1, abs=1e-5)
    assert (other < 0.999, empty) == (True, 0)
    alone, beside = encoder.vectors(["so tired"])[0], encoder.vectors(["so tired", "so tired of all this"])[0]
    assert alone == pytest.approx(beside, abs=1e-5)
