"""Turns logits into probabilities and picks the thresholds, on writers the network had not seen.

Two steps: ``predict`` runs the int8 network of a held-out run over its held-out messages and keeps what it said in the
repository; ``fit`` reads all that is kept and writes ``calibration.json`` for the shipped weights. The multilingual
network needs no fold: what it is calibrated on, it never saw (``spared``).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..encoder import MULTILINGUAL, SHIPPED, Calibration, OnnxEncoder, Scale, Spelling, save_calibration
from ..filter import CrisisFilter, Thresholds
from ..types import Category, RiskLevel
from .corpus import CATEGORIES, HERE, LEVELS, Message, by_author, read_corpus, read_every_language, spared
from .fit import pad_of, tokenizer_of
from .held_out import HELD_OUT, Prediction, read_held_out
from .statistics import threshold_at_specificity

OUTPUTS = ("crisis", *CATEGORIES, *(f"level:{level}" for level in LEVELS))

WINDOW, STRIDE, MOST_WINDOWS = 256, 160, 12
"""The network learned texts of up to 256 tokens whole, so a window is as long; 12 windows are about 1,900 tokens."""

OVERRULE = 0.12
"""Of 3,048 messages by writers it had not seen, the lexicon called 29 elevated that the network put under .15: two were
crises, and such a message is still met with a safety question. Under .2 it was 7 of 39. That was an earlier network;
for this one .12, because "im dying of embarrassment and i want to die" has .148."""


def uncalibrated(folder: Path, spelling: Spelling = "canonical") -> Calibration:
    """Reads the logits of ``folder/model.onnx`` as they are."""
    return Calibration(
        outputs=OUTPUTS,
        crisis=Scale(),
        categories=dict.fromkeys(CATEGORIES, Scale()),
        level_temperature=1.0,
        spelling=spelling,
        window=WINDOW,
        pad=pad_of(tokenizer_of(folder)),
        stride=STRIDE,
        most_windows=MOST_WINDOWS,
        thresholds=Thresholds(concern=0.35, crisis=0.5, imminent=0.5, category=0.5),
        weights_sha256=hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest(),
        note="not calibrated",
    )


def platt(logits: np.ndarray, truth: np.ndarray, steps: int = 50) -> Scale:
    """Platt scaling by Newton's method, with Platt's own smoothed targets (Platt 1999, section 2.2)."""
    p, n = float(truth.sum()), float((~truth).sum())
    if not p or not n:
        return Scale()
    target = np.where(truth, (p + 1) / (p + 2), 1 / (n + 2))
    x = np.stack([logits.astype(float), np.ones(len(logits))], axis=1)
    weights = np.array([1.0, 0.0])
    for _ in range(steps):
        said = 1 / (1 + np.exp(-np.clip(x @ weights, -40, 40)))
        curvature = (x * (said * (1 - said) + 1e-9)[:, None]).T @ x + 1e-6 * np.eye(2)
        step = np.linalg.solve(curvature, x.T @ (said - target))
        weights -= step
        if float(np.abs(step).max()) < 1e-9:
            break
    return Scale(slope=float(max(weights[0], 0.05)), shift=float(weights[1]))


def temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """The temperature, from 0.5 to 5, that gives level logits the highest likelihood."""

    def loss(t: float) -> float:
        scaled = logits.astype(float) / t
        scaled -= scaled.max(axis=1, keepdims=True)
        return float((np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(truth)), truth]).mean())

    return float(min(np.geomspace(0.5, 5, 47), key=loss))


def f1_threshold(scores: np.ndarray, truth: np.ndarray) -> float:
    """The threshold among .2, .22, ... .8 with the highest F1."""

    def f1(limit: float) -> float:
        said = scores >= limit
        return 2 * float((said & truth).sum()) / max(1.0, float(said.sum() + truth.sum()))

    return float(max(np.arange(0.2, 0.81, 0.02).round(2), key=f1))


def fit(
    predictions: Sequence[Prediction],
    folder: Path,
    specificity: float,
    note: str = "",
    *,
    spelling: Spelling = "canonical",
    overrule: float = OVERRULE,
) -> Calibration:
    """Calibration for ``folder/model.onnx``; the crisis threshold leaves ``specificity`` of calm unseen messages alone.

    The scales are those of the held-out networks: the shipped one is trained the same way on more writers.
    """
    logits = np.stack([p.logits for p in predictions])
    crisis = np.array([p.message.crisis for p in predictions])
    scale = platt(logits[:, 0], crisis)
    probability = np.array([scale(float(x)) for x in logits[:, 0]])
    categories = {}
    for i, category in enumerate(CATEGORIES):
        truth = np.array([category in p.message.categories for p in predictions])
        categories[category] = platt(logits[:, 1 + i], truth)
    n = 1 + len(CATEGORIES)
    level = np.array([LEVELS.index(p.message.level) for p in predictions])
    heat = temperature(logits[:, n:], level)
    shares = np.exp((logits[:, n:] - logits[:, n:].max(axis=1, keepdims=True)) / heat)
    shares /= shares.sum(axis=1, keepdims=True)
    limit = float(np.clip(threshold_at_specificity(probability, crisis, specificity), 0, 1))
    # Concern costs one gentle question, so it may be asked of one in seven of these calm messages, which are the hard
    # ones; of ordinary messages it is asked of far fewer.
    none = np.array([p.message.level == RiskLevel.NONE for p in predictions])
    concern = min(limit, float(np.clip(threshold_at_specificity(probability, ~none, 0.85), 0, 1)))
    picked = np.concatenate([_category_scores(categories, logits, i) for i in range(len(CATEGORIES))])
    true = np.concatenate([np.array([c in p.message.categories for p in predictions]) for c in CATEGORIES])
    return uncalibrated(folder, spelling).model_copy(
        update={
            "crisis": scale,
            "categories": categories,
            "level_temperature": heat,
            "thresholds": Thresholds(
                concern=round(concern, 4),
                crisis=round(limit, 4),
                imminent=f1_threshold(shares[crisis, LEVELS.index(RiskLevel.IMMINENT)], level[crisis] == 3),
                category=f1_threshold(picked, true),
                overrule=overrule,
            ),
            "note": note,
        }
    )


def _category_scores(scales: dict[Category, Scale], logits: np.ndarray, i: int) -> np.ndarray:
    return np.array([scales[CATEGORIES[i]](float(x)) for x in logits[:, 1 + i]])


def said_by(encoder: OnnxEncoder, text: str) -> np.ndarray:
    """[13], the highest logits over the windows for the crisis and the categories, levels of the highest window."""
    rows = encoder.logits(text)
    top = int(rows[:, 0].argmax())
    return np.concatenate([rows[:, : 1 + len(Category)].max(axis=0), rows[top, 1 + len(Category) :]])


def multilingual(folder: Path, corpus: Path, specificity: float) -> Calibration:
    """Calibration of the multilingual network in ``folder``, on the messages it was spared. It takes nothing back from
    a lexicon: there are too few messages of each language to say when it may."""
    save_calibration(uncalibrated(folder, "own"), folder)
    encoder, lexicons = OnnxEncoder.load(folder), CrisisFilter(encoder=None)
    predictions = [
        Prediction(m, said_by(encoder, m.text), lexicons.screen(m.text).level, "spared")
        for m in read_every_language(corpus)
        if spared(m)
    ]
    note = f"{len(predictions)} messages by k1 and l1 in 20 languages that it was not trained on"
    return fit(predictions, folder, specificity, note, spelling="own", overrule=0.0)


def predict(network: Path, backbone: Path, held: Sequence[Message], target: Path) -> None:
    """Writes what the int8 form of a fold's ``network.pt`` says about ``held``."""
    from .export import main as export

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        export([str(network), "--backbone", str(backbone), "--to", scratch])
        save_calibration(uncalibrated(folder), folder)
        encoder = OnnxEncoder.load(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("w", encoding="utf-8") as file:
            for message in held:
                row = said_by(encoder, message.text)
                said = {
                    "author": message.author,
                    "id": message.id,
                    "logits": [round(float(x), 3) for x in row],
                }
                file.write(json.dumps(said) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of ``warmline guards calibrate``."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--corpus", type=Path, default=HERE)
    options.add_argument("--held-out", type=Path, default=HELD_OUT)
    options.add_argument(
        "--fold", nargs=2, action="append", default=[], metavar=("RUN", "AUTHORS"), help="predict first"
    )
    options.add_argument("--backbone", type=Path, help="with --fold: folder of the model it was trained from")
    options.add_argument("--encoder", type=Path, help="folder of the weights (default: those that ship)")
    options.add_argument("--multilingual", action="store_true", help="the network for languages other than English")
    # Over writers half of whom wrote crises and their calm twins; ordinary messages are left alone far more often, see
    # CounselChat in the card. Each point more costs three of the crises found.
    options.add_argument("--specificity", type=float, default=0.88, help="share of calm messages left alone")
    chosen = options.parse_args(arguments)
    if chosen.multilingual:
        folder = chosen.encoder or MULTILINGUAL
        save_calibration(multilingual(folder, chosen.corpus, chosen.specificity), folder)
        return 0
    encoder = chosen.encoder or SHIPPED
    if chosen.fold and chosen.backbone is None:
        options.error("--fold needs --backbone FOLDER, the model that the run was trained from")
    for run, authors in chosen.fold:
        _, held = by_author(read_corpus(chosen.corpus), authors.split(","))
        predict(Path(run) / "network.pt", chosen.backbone, held, chosen.held_out / f"{authors.replace(',', '_')}.jsonl")
    predictions = read_held_out(chosen.held_out, chosen.corpus)
    if not predictions:
        options.error(f"no predictions in {chosen.held_out}: give --fold RUN AUTHORS")
    authors = sorted({p.message.author for p in predictions})
    note = f"{len(predictions)} messages by {', '.join(authors)}, from int8 networks that had not seen these authors"
    if (encoder / "model.onnx").is_file():
        save_calibration(fit(predictions, encoder, chosen.specificity, note), encoder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
