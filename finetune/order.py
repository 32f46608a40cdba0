"""The order of the training data: rows of like length together, and the same for a seed and an epoch, always.

transformers' own sampler draws from the process's random numbers: a run that was killed went on in another order
(seen with transformers 5.19: the losses of a resumed epoch were not those of the whole run).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from torch.utils.data import Sampler


class EpochOrder(Sampler[int]):
    """Indices of one epoch after another; ``set_epoch`` says which one, as the trainer does."""

    def __init__(self, lengths: Sequence[int], batch: int, seed: int, *, by_length: bool = True) -> None:
        self.lengths, self.batch, self.seed, self.by_length = lengths, batch, seed, by_length
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """The next iteration is that of ``epoch``, from 0."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        rng = random.Random(f"{self.seed}-{self.epoch}")
        order = list(range(len(self.lengths)))
        rng.shuffle(order)
        if not self.by_length:
            return iter(order)
        # Sorted within stretches of 50 batches: little padding, and still another company for each row every epoch.
        stretch = self.batch * 50
        batches: list[list[int]] = []
        for start in range(0, len(order), stretch):
            near = sorted(order[start : start + stretch], key=lambda i: -self.lengths[i])
            batches += [near[i : i + self.batch] for i in range(0, len(near), self.batch)]
        last = [batches.pop()] if batches and len(batches[-1]) < self.batch else []
        rng.shuffle(batches)
        return iter([i for batch in (*batches, *last) for i in batch])
