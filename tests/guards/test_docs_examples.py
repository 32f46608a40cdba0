"""Every Python block of docs/guards*.md runs, in order, as it stands."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
NEEDS = {"guards-guardrails-ai.md": "guardrails", "guards-nemo.md": "nemoguardrails"}
"""Pages about libraries that are no part of every environment."""


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("guards*.md")))
def test_the_examples_of_a_page_run(page: str, tmp_path: Path):
    if (library := NEEDS.get(page)) and find_spec(library) is None:
        pytest.skip(f"{page} needs {library}, which is not installed here")
    code = "\n".join(blocks(DOCS / page))
    assert "assert " in code
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HOME": str(tmp_path), "NEMO_GUARDRAILS_NO_USAGE_STATS": "1", "OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stderr[-3_000:]
