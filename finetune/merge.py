"""Writes an adapter into its base's weights: one checkpoint that needs no peft to serve."""

from __future__ import annotations

import json
from pathlib import Path

from ..agent.model.adapter import CARD, base_of, check_adapter, read_card
from .train import base_path, load_base


def merge(adapter: Path, out: Path, base: str | None = None) -> Path:
    """The base with ``adapter`` in it, in bf16, as a checkpoint folder; needs no GPU.

    Raises:
        AdapterError: the adapter is not whole, or made for another base.
        FileExistsError: ``out`` is not empty.
    """
    base = base or base_of(adapter)
    check_adapter(adapter, base, contents=True)
    if out.is_dir() and any(out.iterdir()):
        raise FileExistsError(f"{out} is not empty; choose another --out")
    from peft import PeftModel
    from transformers import AutoTokenizer

    source = base_path(base)
    model = PeftModel.from_pretrained(load_base(source, "cpu", "none"), str(adapter)).merge_and_unload()
    tokenizer = AutoTokenizer.from_pretrained(source)
    if (template := adapter / "chat_template.jinja").is_file():
        tokenizer.chat_template = template.read_text(encoding="utf-8")
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    card = read_card(adapter)
    (out / CARD).write_text(
        json.dumps({"base": base, "merged": card.model_dump() if card else str(adapter)}, indent=2) + "\n",
        encoding="utf-8",
    )
    return out
