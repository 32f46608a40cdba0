"""No test reads or writes this machine's own conversations and settings; only the fetched model is shared."""

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data and config directory for the test and the processes it starts."""
    home = tmp_path_factory.mktemp("home")
    for variable in [name for name in os.environ if name.startswith("WARMLINE_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    return home
