"""Made data are read back only when they are whole, unchanged and for the prompt of today."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from warmline.finetune.dataset import load_dataset
from warmline.finetune.pairs import DataError


def test_it_reads_what_was_made(dataset: Path) -> None:
    made = load_dataset(dataset)
    assert (len(made.train), len(made.validation)) == (16, 4)


def test_the_answer_is_apart_from_the_prompt(dataset: Path) -> None:
    one = load_dataset(dataset).train[0]
    assert [message["role"] for message in one.prompt] == ["system", "user"]


def test_a_changed_file_is_refused(dataset: Path) -> None:
    with (dataset / "train.jsonl").open("a") as file:
        file.write("\n")
    with pytest.raises(DataError, match=r"train\.jsonl: changed"):
        load_dataset(dataset)


def test_data_for_another_prompt_are_refused(make_dataset: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match="prompt version 99"):
        load_dataset(make_dataset(prompt_version=99))


def test_a_folder_that_is_no_data_set_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="warmline finetune data"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("{", r"train\.jsonl:1"),
        ('{"id": 1}', r"train\.jsonl:1"),
        (json.dumps({"id": 1, "messages": [{"role": "user", "content": "a"}]}), "not a conversation"),
        ("", "train.jsonl is empty|not a conversation"),
    ],
)
def test_a_line_that_is_no_conversation_is_named(line: str, named: str, make_dataset: Callable[..., Path]) -> None:
    folder = make_dataset()
    (folder / "train.jsonl").write_text(line + "\n" if line else "")
    manifest = json.loads((folder / "data.json").read_text())
    (folder / "data.json").write_text(json.dumps({**manifest, "sha256": {}}))
    with pytest.raises(DataError, match=named):
        load_dataset(folder)


def test_a_question_in_both_parts_is_refused(make_dataset: Callable[..., Path]) -> None:
    folder = make_dataset()
    manifest = json.loads((folder / "data.json").read_text())
    (folder / "data.json").write_text(json.dumps({**manifest, "sha256": {}}))
    (folder / "validation.jsonl").write_text((folder / "train.jsonl").read_text())
    with pytest.raises(DataError, match="both parts"):
        load_dataset(folder)
