"""Base against tuned: loss and perplexity on the held-back answers, and sample answers side by side.

Measures; never judges an answer (the rubrics of ``warmline eval`` do).
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..agent.model.adapter import base_of, check_adapter
from .dataset import Conversation, load_dataset
from .train import base_path, load_base

Answer = Callable[[str], str]
"""What a person writes -> what the model says, as the agent would ask it."""


@dataclass(frozen=True)
class Loss:
    """Negative log-likelihood of the reference answers, in nats a token."""

    mean: float
    low: float
    high: float
    """95 % interval: a bootstrap over conversations."""
    tokens: int
    conversations: int

    @property
    def perplexity(self) -> float:
        """e to the mean."""
        return math.exp(self.mean)


@dataclass(frozen=True)
class Sample:
    """One question with what each said."""

    question: str
    reference: str
    base: str
    tuned: str


@dataclass(frozen=True)
class Comparison:
    """What ``warmline finetune eval`` prints."""

    base: Loss
    tuned: Loss
    samples: tuple[Sample, ...]


def compare(
    adapter: Path, data: Path, *, answers: tuple[Answer, Answer] | None = None, samples: int = 0, limit: int = 0
) -> Comparison:
    """Base and tuned model on the validation part of ``data``.

    Args:
        answers: base and tuned model as the agent asks them, for the samples.
        samples: how many held-back questions both answer.
        limit: at most so many conversations for the losses; 0 takes all.

    Raises:
        AdapterError, DataError: naming the folder.
    """
    base = base_of(adapter)
    check_adapter(adapter, base)
    held = load_dataset(data).validation
    chosen = held[:limit] if limit else held
    from peft import PeftModel
    from transformers import AutoTokenizer

    source = base_path(base)
    tokenizer = AutoTokenizer.from_pretrained(source)
    tuned: Any = PeftModel.from_pretrained(load_base(source, "cpu", "none"), str(adapter)).eval()
    after = _loss(tuned, tokenizer, chosen)
    with tuned.disable_adapter():
        before = _loss(tuned, tokenizer, chosen)
    asked = random.Random(0).sample(list(held), min(samples, len(held))) if answers else []
    return Comparison(before, after, tuple(_sample(one, answers) for one in asked if answers))


def _sample(one: Conversation, answers: tuple[Answer, Answer]) -> Sample:
    question = one.prompt[-1]["content"]
    return Sample(question, one.answer, answers[0](question), answers[1](question))


def _loss(model: Any, tokenizer: Any, conversations: Sequence[Conversation]) -> Loss:
    import torch

    each: list[tuple[float, int]] = []
    with torch.inference_mode():
        for one in conversations:
            prompt = tokenizer.apply_chat_template(list(one.prompt), add_generation_prompt=True, return_dict=False)
            whole = tokenizer.apply_chat_template(
                [*one.prompt, {"role": "assistant", "content": one.answer}], return_dict=False
            )
            ids = torch.tensor([whole])
            scores = model(input_ids=ids).logits[0, len(prompt) - 1 : -1].float()
            loss = torch.nn.functional.cross_entropy(scores, ids[0, len(prompt) :], reduction="sum")
            each.append((float(loss), len(whole) - len(prompt)))
    return _summed(each)


def _summed(each: Sequence[tuple[float, int]], draws: int = 1000) -> Loss:
    def mean(of: Sequence[tuple[float, int]]) -> float:
        return sum(loss for loss, _ in of) / sum(tokens for _, tokens in of)

    rng = random.Random(0)
    drawn = sorted(mean(rng.choices(each, k=len(each))) for _ in range(draws))
    cut = statistics.quantiles(drawn, n=40)
    return Loss(mean(each), cut[0], cut[-1], sum(tokens for _, tokens in each), len(each))
