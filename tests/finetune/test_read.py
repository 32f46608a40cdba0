"""Questions and answers from files: what is read, and what a person is told about a file that cannot be."""

import csv
import json
from pathlib import Path

import pytest

from warmline.finetune.pairs import DataError
from warmline.finetune.read import Columns, read_pairs

ROW = {"instruction": "I can't sleep.", "input": "", "output": "That sounds exhausting."}


def jsonl(path: Path, *rows: dict) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_row_is_a_question_and_an_answer_with_its_line_in_the_id(tmp_path: Path) -> None:
    (pair,) = read_pairs(jsonl(tmp_path / "mine.jsonl", ROW | {"topic": "Sleep"}))
    assert (pair.id, pair.question, pair.answer) == ("mine-1", "I can't sleep.", "That sounds exhausting.")
    assert pair.topic == "Sleep"


def test_an_instruction_that_all_rows_share_is_no_question(tmp_path: Path) -> None:
    system = "You are a helpful mental health counselling assistant."
    rows = [ROW | {"instruction": system, "input": text} for text in ("I can't sleep.", "I'm lonely.")]
    assert [p.question for p in read_pairs(jsonl(tmp_path / "hub.jsonl", *rows))] == ["I can't sleep.", "I'm lonely."]


def test_an_instruction_of_its_own_stands_before_the_input(tmp_path: Path) -> None:
    rows = [ROW | {"instruction": "Answer kindly:", "input": "I'm lonely."}, ROW]
    assert read_pairs(jsonl(tmp_path / "mine.jsonl", *rows))[0].question == "Answer kindly:\n\nI'm lonely."


def test_empty_and_null_fields_are_read_as_nothing(tmp_path: Path) -> None:
    (pair,) = read_pairs(jsonl(tmp_path / "mine.jsonl", ROW | {"output": None}))
    assert pair.answer == ""


def test_a_csv_with_other_columns_is_read_by_their_names(tmp_path: Path) -> None:
    path = tmp_path / "forum.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["asked", "said", "n"], ["I'm lonely,\nreally.", "That hurts.", "3"]])
    (pair,) = read_pairs(path, Columns("asked", "said"))
    assert (pair.question, pair.answer) == ("I'm lonely,\nreally.", "That hurts.")


def test_a_byte_order_mark_is_no_part_of_a_column(tmp_path: Path) -> None:
    path = tmp_path / "excel.csv"
    path.write_text("question,answer\nI'm lonely.,That hurts.\n", encoding="utf-8-sig")
    assert read_pairs(path)[0].question == "I'm lonely."


def test_parquet_is_read_where_pyarrow_is_there(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.Table.from_pylist([ROW]), tmp_path / "mine.parquet")
    assert read_pairs(tmp_path / "mine.parquet")[0].question == "I can't sleep."


def refusal(path: Path, columns: Columns | None = None) -> str:
    with pytest.raises(DataError) as caught:
        read_pairs(path, columns)
    return str(caught.value)


def test_a_missing_column_is_told_with_those_that_are_there(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "mine.jsonl", {"said": "a", "asked": "b"})
    assert refusal(path) == (
        f"{path}: no column for the answer (output, answer, answerText, response, completion, gpt-3.5-turbo); "
        "it has said, asked. Name it with --answer-column."
    )
    assert 'no column "reply"' in refusal(path, Columns(answer="reply"))


def test_a_row_without_a_column_that_others_have_is_told_with_its_line(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "mine.jsonl", ROW, {"instruction": "Hm."})
    assert refusal(path).startswith(f'{path}, line 2: no "output" in it; a row looks like ')


def test_a_number_where_text_should_be_is_told_with_its_line(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "mine.jsonl", ROW | {"output": 3})
    assert refusal(path).startswith(f'{path}, line 1: "output" is no text')


def test_broken_json_is_told_with_its_line(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "mine.jsonl", ROW)
    path.write_text(path.read_text(encoding="utf-8") + "{oops\n", encoding="utf-8")
    assert refusal(path).startswith(f"{path}, line 2: not JSON")


@pytest.mark.parametrize("name", ["mine.jsonl", "mine.csv", "mine.json"])
def test_an_empty_file_is_told(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    assert refusal(path).startswith(f"{path}: no rows in it; a row looks like ")


def test_another_encoding_is_told_with_the_line_and_how_to_convert_it(tmp_path: Path) -> None:
    path = tmp_path / "old.csv"
    path.write_bytes("question,answer\nIch bin müde.,Das klingt schwer.\n".encode("latin-1"))
    assert refusal(path).startswith(f"{path}, line 2: not UTF-8")
    assert "iconv" in refusal(path)


def test_a_csv_line_with_too_few_fields_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("question,answer\nI'm lonely.\n", encoding="utf-8")
    assert refusal(path).startswith(f"{path}, line 2: fewer fields than the header's 2")


def test_a_file_of_another_kind_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.xlsx"
    path.touch()
    assert "should end in .jsonl, .json, .csv, .tsv or .parquet" in refusal(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "none.jsonl")
