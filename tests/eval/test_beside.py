"""The comparison with NeMo: our side runs a whole turn with checks as trivial as theirs, and they do check."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from warmline.eval import beside


async def test_our_side_measures_a_first_a_late_and_a_stored_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "LATE", 3)
    figures = await beside.warmline(runs=3)
    assert set(figures) == {"first", "late", "stored, late"}
    assert all(milliseconds > 0 for milliseconds in figures.values())


def test_a_side_that_cannot_be_asked_is_told_with_its_reason() -> None:
    command = [sys.executable, "-m", "warmline.eval.beside", "--nemo", sys.executable, "--runs", "1", "--rounds", "1"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode != 0
    assert "nemoguardrails" in run.stderr


def test_it_runs_as_a_plain_script_that_imports_nothing_of_ours() -> None:
    code = f"import runpy, sys; runpy.run_path({beside.__file__!r}); print([m for m in sys.modules if 'warmline' in m])"
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert [name for name in json.loads(run.stdout.replace("'", '"')) if not name.startswith("__editable__")] == []
