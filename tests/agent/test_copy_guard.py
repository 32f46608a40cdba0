"""The agent's own words pass its own guard: what stops vetted copy would also stop a model that speaks as well."""

from collections.abc import Iterator
from typing import Any

import pytest

from warmline.agent.copy import Copy
from warmline.guards import Directory, OutputGuard

FILLED = {
    "reach": "You can call or text 988 (988 Suicide & Crisis Lifeline).",
    "emergency": "911",
    "country": "Ireland",
    "first": "call 988",
    "second": "text HOME to 741741",
    "say": "call 988",
    "name": "988 Suicide & Crisis Lifeline",
}


def said(texts: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text that is said in a reply, with its place."""
    if isinstance(texts, str):
        yield key, texts.format(**FILLED)
    elif isinstance(texts, dict):
        for name, below in texts.items():
            if name != "language":
                yield from said(below, f"{key}.{name}")
    else:
        for number, below in enumerate(texts):
            yield from said(below, f"{key}.{number}")


GUARD = OutputGuard(Directory.load().is_known_contact)


@pytest.mark.parametrize(("place", "text"), said(Copy.load().texts.model_dump()))
def test_vetted_copy_passes_the_output_guard(place: str, text: str) -> None:
    assert GUARD.check(text, whole=True).problems == (), place
