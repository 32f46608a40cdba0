"""Chooses the labelled examples that ``warmline screen --nearest`` shows, and keeps what the encoder says about each.

Run it again after new weights: ``warmline guards examples``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from ..encoder import SHIPPED, OnnxEncoder
from ..explain import EXAMPLES, said_by
from ..types import RiskLevel
from .corpus import CATEGORIES, HERE, Message, read_corpus

EACH = 26
"""Messages for every category and every level that carries one."""
CALM = 120
_WORDS = (5, 40)
"""A reviewer reads them at a glance."""


def choose(messages: Sequence[Message], each: int = EACH, calm: int = CALM) -> list[Message]:
    """A few for every category and level, the calm ones spread over their kinds; always the same ones."""

    def draw(some: Sequence[Message], most: int) -> list[Message]:
        # By the hash of the text: no order of the files, and a new line moves at most one of the old.
        return sorted(some, key=lambda m: hashlib.sha256(m.text.encode()).digest())[:most]

    short = [m for m in messages if _WORDS[0] <= len(m.text.split()) <= _WORDS[1]]
    chosen: dict[str, Message] = {}
    for category in CATEGORIES:
        for level, most in (
            (RiskLevel.CONCERN, each // 4),
            (RiskLevel.ELEVATED, each),
            (RiskLevel.IMMINENT, each // 3),
        ):
            there = [m for m in short if m.level is level and category in m.categories]
            chosen.update({m.text: m for m in draw(there, most)})
    kinds = sorted({m.kind for m in short if m.level is RiskLevel.NONE})
    for kind in kinds:
        there = [m for m in short if m.level is RiskLevel.NONE and m.kind == kind]
        chosen.update({m.text: m for m in draw(there, max(2, calm // len(kinds)))})
    return list(chosen.values())


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of ``warmline guards examples``."""
    options = argparse.ArgumentParser(prog="warmline guards examples", description=__doc__)
    options.add_argument("--corpus", type=Path, default=HERE, help="folder of *.jsonl")
    options.add_argument("--encoder", type=Path, default=SHIPPED, help="folder of the weights")
    options.add_argument("--to", type=Path, default=EXAMPLES)
    chosen = options.parse_args(arguments)
    encoder = OnnxEncoder.load(chosen.encoder)
    rows = [
        {
            "text": m.text,
            "level": m.level.value,
            "categories": [c.value for c in CATEGORIES if c in m.categories],
            "said": said_by(encoder, m.text),
        }
        for m in choose(read_corpus(chosen.corpus))
    ]
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    weights = json.dumps(encoder.calibration.weights_sha256)
    chosen.to.write_text(f'{{"weights_sha256": {weights}, "examples": [\n{lines}\n]}}\n', encoding="utf-8")
    print(f"{chosen.to}: {len(rows)} examples, {chosen.to.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
