"""Fine-tunes the learned part of the output guard: ``warmline guards train-replies``.

It learns from labelled sentences and whole replies, each after the message that it answers. A good reply is taken apart
into good sentences, and an unsafe sentence is set among good ones, so that length says nothing.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..reply_encoder import PROBLEMS, pair_of
from ..sentences import sentences
from .corpus import HERE
from .fit import MAX_TOKENS, fit, options_of_a_run
from .replies import Reply, read_folder

if TYPE_CHECKING:
    import torch

_HANGS_ON_CONTEXT = frozenset({"abandonment", "encouragement", "feeds_delusion", "reassurance_loop", "victim_blaming"})
"""Problems that may be one only as an answer to what was said."""

_STAND_IN = re.compile(r"\[([^\]]*)\]")
"""What the corpus writes in place of a method or an address; the brackets themselves would tell."""


def shown(replies: Sequence[Reply], seed: int, number: int) -> list[Reply]:
    """What one epoch shows: every reply, now and then without its context, plus replies made of several."""
    rng = random.Random(f"{seed}/{number}")
    good = [r for r in replies if r.safe and not r.whole]
    batch = []
    for reply in replies:
        bare = rng.random() < 0.15 and _HANGS_ON_CONTEXT.isdisjoint(reply.problems)
        batch.append(replace(reply, context="") if bare else reply)
        if reply.safe and reply.whole:
            batch.append(replace(reply, text=rng.choice(sentences(reply.text)), whole=False))
    unsafe = [r for r in replies if not r.safe and not r.whole]
    for reply in rng.sample(unsafe, k=len(unsafe) // 3):
        batch.append(_among(reply, rng.sample(good, k=rng.choice((1, 2, 3))), rng))
        first, *rest = rng.sample(good, k=rng.choice((2, 3, 4)))
        batch.append(_among(first, rest, rng))
    rng.shuffle(batch)
    return batch


def _among(reply: Reply, others: Sequence[Reply], rng: random.Random) -> Reply:
    texts = [other.text for other in others]
    texts.insert(rng.randrange(len(texts) + 1), reply.text)
    return replace(reply, text=" ".join(texts), whole=True)


class ReplyTask:
    """Unsafe or not, and why."""

    outputs = 1 + len(PROBLEMS)

    def encode(self, examples: Sequence[Reply], tokenizer: Any) -> list[list[int]]:
        """Token ids of each reply after its context, as the runtime will see them, cut at ``MAX_TOKENS``."""
        encoded = tokenizer.encode_batch([pair_of(_STAND_IN.sub(r"\1", r.text), r.context) for r in examples])
        return [one.ids if len(one.ids) <= MAX_TOKENS else [*one.ids[: MAX_TOKENS - 1], one.ids[-1]] for one in encoded]

    def epoch(self, examples: Sequence[Reply], seed: int, number: int) -> list[Reply]:
        """See ``shown``."""
        return shown(examples, seed, number)

    def loss(self, examples: Sequence[Reply]) -> Callable[[torch.Tensor, Sequence[Reply]], torch.Tensor]:
        """Binary losses for "unsafe" and for each problem; rare problems weigh more."""
        import torch
        from torch.nn import functional as f

        def targets(replies: Sequence[Reply]) -> torch.Tensor:
            return torch.tensor(
                [[float(not r.safe), *(float(problem in r.problems) for problem in PROBLEMS)] for r in replies]
            )

        share = targets(examples).mean(0).clamp(min=1e-3)
        weight = ((1 - share) / share).sqrt().clamp(max=5)

        def of(logits: torch.Tensor, replies: Sequence[Reply]) -> torch.Tensor:
            truth = targets(replies)
            unsafe = truth[:, 0] * 0.96 + 0.02
            binary = f.binary_cross_entropy_with_logits(logits[:, 0], unsafe, pos_weight=weight[0])
            why = f.binary_cross_entropy_with_logits(logits[:, 1:], truth[:, 1:], pos_weight=weight[1:])
            return binary + 3.0 * why

        return of

    def bad(self, example: Reply) -> bool:
        """Whether it is unsafe."""
        return not example.safe


def parser() -> argparse.ArgumentParser:
    """The command line of ``warmline guards train-replies``."""
    options = argparse.ArgumentParser(prog="warmline guards train-replies", description=__doc__)
    options.add_argument("--replies", type=Path, default=HERE / "replies", help="folder of *.jsonl")
    options.add_argument("--hold-out", default="", help="authors to leave out and to predict, with commas")
    options_of_a_run(options, Path("build/replies"))
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of ``warmline guards train-replies``: leaves ``network.pt`` in the run folder."""
    options = parser().parse_args(arguments)
    held_authors = frozenset(filter(None, options.hold_out.split(",")))
    replies = read_folder(options.replies)
    if unknown := sorted(held_authors - {r.author for r in replies}):
        raise SystemExit(f"--hold-out: nobody called {', '.join(unknown)} wrote in {options.replies}")
    held = [r for r in replies if r.author in held_authors]
    learned = [r for r in replies if r.author not in held_authors]
    print(f"training on {len(learned)} replies, {len(held)} held out", flush=True)
    fit(ReplyTask(), learned, options, held)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
