from pathlib import Path

import pytest

from warmline.eval.imhi import figures, labels, read_label, read_set
from warmline.eval.lines import EvalError


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
