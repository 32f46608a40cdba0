"""A made data set and a tiny base model, both small enough to train in seconds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from warmline.agent.prompt import support_prompt, to_chat

WORDS = ["alone", "tired", "sad", "angry", "home", "work", "night", "friend", "mother", "sleep", "money", "exam"]


def write_dataset(folder: Path, train: int = 16, validation: int = 4, **manifest: object) -> Path:
    """What ``warmline finetune data`` writes, with ``train`` and ``validation`` conversations."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "id": f"c{i}",
            "source": "test",
            "topic": None,
            "messages": [
                *to_chat([], f"I feel {WORDS[i % 12]} about {WORDS[(i * 7) % 12]} number {i}."),
                {"role": "assistant", "content": f"Feeling {WORDS[i % 12]} is hard. What helps a little?"},
            ],
        }
        for i in range(train + validation)
    ]
    for name, part in (("train.jsonl", rows[:train]), ("validation.jsonl", rows[train:])):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in part), encoding="utf-8")
    sums = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("train.jsonl", "validation.jsonl")
    }
    made = {
        "format": 1,
        "prompt_version": support_prompt().version,
        "sha256": sums,
        "counts": {"train": train},
        **manifest,
    }
    (folder / "data.json").write_text(json.dumps(made), encoding="utf-8")
    (folder / "CARD.md").write_text("# Data card\n", encoding="utf-8")
    return folder


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "data")


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers with random weights, and a byte-level tokenizer that knows how to write a chat."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(0)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet)
    tokenizer.train_from_iterator([support_prompt().system, *WORDS], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>")
    fast.chat_template = (
        "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}</s>\n{% endfor %}"
        "{% if add_generation_prompt %}<s>assistant: {% endif %}"
    )
    folder = tmp_path_factory.mktemp("bases") / "tiny-base"
    shape = LlamaConfig(
        vocab_size=len(fast), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=1024, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    LlamaForCausalLM(shape).to(torch.bfloat16).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


@pytest.fixture
def make_dataset(tmp_path: Path) -> Callable[..., Path]:
    return lambda name="data", **how: write_dataset(tmp_path / name, **how)
