"""Fine-tunes the crisis encoder and writes its weights: ``warmline guards train``."""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..encoder import SPELLINGS, Spelling
from .augment import epoch
from .corpus import CATEGORIES, HERE, LEVELS, Message, by_author, read_corpus, spared, unseen
from .fit import MAX_TOKENS, fit, options_of_a_run
from .network import CRISIS_OUTPUTS

if TYPE_CHECKING:
    import torch


def parser() -> argparse.ArgumentParser:
    """The command line of ``warmline guards train``."""
    options = argparse.ArgumentParser(prog="warmline guards train", description=__doc__)
    options.add_argument("--corpus", type=Path, default=HERE, help="folder of *.jsonl (default: the project's)")
    options.add_argument("--hold-out", default="", help="authors to leave out and to predict, with commas")
    options.add_argument("--languages", default="en", help="languages to train on, with commas")
    options.add_argument("--spelling", default="canonical", choices=SPELLINGS, help="how the network is to read texts")
    options.add_argument("--focus", default="", help="with --start-from: authors it has not seen, to go on with")
    options.add_argument("--replay", type=int, default=3000, help="with --focus: messages of others shown among them")
    options.add_argument("--spare", action="store_true", help="hold out what a multilingual network is calibrated on")
    options.add_argument("--longest", type=int, help="characters; leave out longer messages, which cost the most time")
    options.add_argument("--joined", type=float, default=0.25, help="share of the crises set into calm messages")
    options_of_a_run(options, Path("build/encoder"))
    return options


def targets(messages: Sequence[Message]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(crisis [n], categories [n, 8], level index [n])."""
    import torch

    return (
        torch.tensor([float(m.crisis) for m in messages]),
        torch.tensor([[float(c in m.categories) for c in CATEGORIES] for m in messages]),
        torch.tensor([LEVELS.index(m.level) for m in messages]),
    )


class Loss:
    """Binary, category and level losses, weighted so that rare categories and levels count."""

    def __init__(self, messages: Sequence[Message], smoothing: float = 0.02) -> None:
        crisis, categories, levels = targets(messages)
        self.smoothing = smoothing
        positive = categories.sum(0).clamp(min=1)
        # Square roots: full inverse frequency made the rare categories cry wolf.
        self.category_weight = ((len(messages) - positive) / positive).sqrt().clamp(max=5)
        counts = levels.bincount(minlength=len(LEVELS)).clamp(min=1).float()
        self.level_weight = (counts.max() / counts).sqrt()
        self.crisis_weight = ((len(messages) - crisis.sum()) / crisis.sum().clamp(min=1)).sqrt()

    def __call__(self, logits: torch.Tensor, messages: Sequence[Message]) -> torch.Tensor:
        from torch.nn import functional as f

        crisis, categories, levels = targets(messages)
        soft = crisis * (1 - self.smoothing) + (1 - crisis) * self.smoothing
        n = 1 + len(CATEGORIES)
        binary = f.binary_cross_entropy_with_logits(logits[:, 0], soft, pos_weight=self.crisis_weight)
        eight = f.binary_cross_entropy_with_logits(logits[:, 1:n], categories, pos_weight=self.category_weight)
        four = f.cross_entropy(logits[:, n:], levels, weight=self.level_weight)
        return binary + 2.0 * eight + 0.3 * four


class CrisisTask:
    """Crisis or not, eight categories, four levels."""

    outputs = CRISIS_OUTPUTS

    def __init__(self, spelling: Spelling = "canonical", joined: float = 0.25) -> None:
        self._spell, self._joined = SPELLINGS[spelling], joined

    def encode(self, examples: Sequence[Message], tokenizer: Any) -> list[list[int]]:
        """Token ids of each message, as the runtime will see it, cut at ``MAX_TOKENS``."""
        encoded = tokenizer.encode_batch([self._spell(message.text) for message in examples])
        return [one.ids if len(one.ids) <= MAX_TOKENS else [*one.ids[: MAX_TOKENS - 1], one.ids[-1]] for one in encoded]

    def epoch(self, examples: Sequence[Message], seed: int, number: int) -> list[Message]:
        """See ``augment.epoch``."""
        return epoch(examples, seed, number, self._joined)

    def loss(self, examples: Sequence[Message]) -> Callable[[torch.Tensor, Sequence[Message]], torch.Tensor]:
        """See ``Loss``."""
        return Loss(examples)

    def bad(self, example: Message) -> bool:
        """Whether it is a crisis."""
        return example.crisis


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of ``warmline guards train``: leaves ``network.pt`` in the run folder."""
    options = parser().parse_args(arguments)
    messages = [m for m in read_corpus(options.corpus, options.languages.split(",")) if not unseen(m)]
    held: list[Message] = []
    if options.hold_out:
        messages, held = by_author(messages, options.hold_out.split(","))
    if options.spare:  # and no gloss, so that nothing of what is held out is told in English
        held += [m for m in messages if spared(m)]
        messages = [m for m in messages if not spared(m) and not m.author.endswith("-gloss")]
    if options.longest:
        messages = [m for m in messages if len(m.text) <= options.longest]
    if options.focus:
        others, messages = by_author(messages, options.focus.split(","))
        messages += random.Random(options.seed).sample(others, k=min(options.replay, len(others)))
    print(f"training on {len(messages)} messages, {len(held)} held out", flush=True)
    fit(CrisisTask(options.spelling, options.joined), messages, options, held)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
