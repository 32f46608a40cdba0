"""What a reviewer may begin with keeps the rules of copy, and a broken file is refused with its reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from warmline.tui.review.snippets import SnippetError, load_snippets

SNIPPETS = load_snippets()


@pytest.mark.parametrize(
    "never",
    [
        r"!",
        r"\b(?:secret|confidential|between us|I promise)\b",
        r"\b(?:you must|you have to|calm down|attention|selfish)\b",
        r"\b(?:will|going to) be (?:ok|okay|fine|all right)\b",
        r"\b(?:depress|anorex|bipolar|psycho)",
        r"\b(?:pills?|rope|knife|blade|gun|bridge|overdos)",
        r"\byou(?:'re| are) not (?:thinking|going)\b",
        r"\bI(?:'ve| have)? (?:called|alerted|sent)\b",
        r"\bI'm (?:an|the) AI\b",
    ],
)
def test_no_snippet_holds(never: str) -> None:
    assert [snippet.id for snippet in SNIPPETS if re.search(never, snippet.text, re.IGNORECASE)] == []


def test_the_direct_question_is_there() -> None:
    assert any("Are you thinking about ending your life?" in snippet.text for snippet in SNIPPETS)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- {id: a, title: A, text: Stop that!}", "0.text"),
        ("- {id: a, title: A}", "0.text: Field required"),
        ("- {id: a, title: A, text: x}\n- {id: a, title: B, text: y}", "the id a is there twice"),
        ("- [", "not valid YAML"),
        ("[]", "at least 1 item"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "snippets.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(SnippetError, match=re.escape(str(path)) + "(?s:.*)" + re.escape(told)):
        load_snippets(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SnippetError, match="cannot be read"):
        load_snippets(tmp_path / "none.yaml")
