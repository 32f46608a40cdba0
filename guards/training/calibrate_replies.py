"""Chooses when the reply encoder stops a sentence, on writers it has not seen: ``warmline guards calibrate-replies``.

The threshold leaves a stated share of good replies alone. Look at replies from elsewhere before you trust it: the first
network kept to 2 % on the corpus and stopped 14 % of the sentences of MentalChat16K.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..encoder import Scale
from ..network_files import open_network
from ..reply_encoder import PROBLEMS, ReplyCalibration, ReplyEncoder, pieces
from .calibrate import platt
from .corpus import HERE
from .fit import MAX_TOKENS
from .replies import Reply, read_folder
from .statistics import auc, threshold_at_specificity

Said = list[tuple[Reply, float]]
"""Replies with the logit of "unsafe" that a network gave which had not seen their writer."""


def uncalibrated(folder: Path) -> ReplyCalibration:
    """Reads the logits of ``folder/model.onnx`` as they are."""
    return ReplyCalibration(
        outputs=("unsafe", *PROBLEMS),
        unsafe=Scale(),
        threshold=0.5,
        tokens=MAX_TOKENS,
        weights_sha256=hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest(),
        note="not calibrated",
    )


def predict(network: Path, backbone: Path, held: Sequence[Reply]) -> list[float]:
    """Logits of "unsafe" of the int8 form of a fold's ``network.pt``; of a whole reply, the highest of its pieces."""
    from .export import main as export

    with tempfile.TemporaryDirectory() as scratch:
        export([str(network), "--backbone", str(backbone), "--to", scratch])
        calibration = uncalibrated(Path(scratch))
        encoder = ReplyEncoder(open_network(Path(scratch), calibration.weights_sha256), calibration)
        return [
            max(float(encoder.logits(piece, r.context)[0]) for piece in (pieces(r.text) if r.whole else [r.text]))
            for r in held
        ]


def fit(said: Said, folder: Path, specificity: float) -> ReplyCalibration:
    """Calibration for ``folder/model.onnx``, at a threshold that leaves ``specificity`` of good replies alone."""
    logits = np.array([logit for _, logit in said])
    unsafe = np.array([not reply.safe for reply, _ in said])
    scale = platt(logits, unsafe)
    probability = np.array([scale(float(logit)) for logit in logits])

    limit = float(np.clip(threshold_at_specificity(probability, unsafe, specificity), 0, 1))
    writers = sorted({reply.author for reply, _ in said})
    return uncalibrated(folder).model_copy(
        update={
            "unsafe": scale,
            "threshold": round(limit, 4),
            "note": f"{len(said)} replies by {', '.join(writers)}, each from a network that had not seen its writer",
        }
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of ``warmline guards calibrate-replies``."""
    options = argparse.ArgumentParser(prog="warmline guards calibrate-replies", description=__doc__)
    options.add_argument("--replies", type=Path, default=HERE / "replies")
    options.add_argument("--held-out", type=Path, default=HERE / "held_out" / "replies.json", help="what folds said")
    options.add_argument("--fold", nargs=2, action="append", default=[], metavar=("RUN", "AUTHORS"))
    options.add_argument("--backbone", type=Path, help="with --fold: folder of the model it was trained from")
    options.add_argument("--encoder", type=Path, default=Path("build/reply_encoder"), help="folder of model.onnx")
    options.add_argument("--specificity", type=float, default=0.98, help="share of good replies left alone")
    chosen = options.parse_args(arguments)
    if chosen.fold and chosen.backbone is None:
        options.error("--fold needs --backbone FOLDER, the model that the run was trained from")
    replies = read_folder(chosen.replies)
    kept = json.loads(chosen.held_out.read_text("utf-8")) if chosen.held_out.exists() and not chosen.fold else {}
    for run, authors in chosen.fold:
        held = [r for r in replies if r.author in authors.split(",")]
        logits = predict(Path(run) / "network.pt", chosen.backbone, held)
        kept |= {_key(reply): round(logit, 3) for reply, logit in zip(held, logits, strict=True)}
    if not kept:
        options.error(f"{chosen.held_out} is missing: give --fold RUN AUTHORS")
    if chosen.fold:
        chosen.held_out.write_text(json.dumps(kept, indent=0) + "\n", encoding="utf-8")
    said = [(reply, kept[_key(reply)]) for reply in replies if _key(reply) in kept]
    area = auc(np.array([logit for _, logit in said]), np.array([not reply.safe for reply, _ in said]))
    print(f"{len(said)} replies by unseen writers, AUC {area:.3f}")
    if (chosen.encoder / "model.onnx").is_file():
        calibration = fit(said, chosen.encoder, chosen.specificity)
        text = json.dumps(json.loads(calibration.model_dump_json()), indent=1) + "\n"
        (chosen.encoder / "calibration.json").write_text(text, encoding="utf-8")
    return 0


def _key(reply: Reply) -> str:
    return hashlib.sha256(f"{reply.context}\n{reply.text}".encode()).hexdigest()[:16]


if __name__ == "__main__":
    raise SystemExit(main())
