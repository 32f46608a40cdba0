"""The room of the training road, which has its own issue: it is installed, and costs nothing until it is used."""

import subprocess
import sys


def test_importing_it_loads_no_training_library() -> None:
    code = "import sys, warmline.finetune; print([m for m in ('torch', 'transformers', 'trl', 'peft') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
