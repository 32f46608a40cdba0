"""Writes a trained network as ONNX, its weights in eight bits, next to its tokenizer."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..encoder import SHIPPED
from .network import build, layers_of

if TYPE_CHECKING:
    import torch


def export(network: torch.nn.Module, path: Path) -> None:
    """The network in float32, with free batch and length axes."""
    import torch

    network.eval()
    ids = torch.randint(1000, 2000, (3, 17))
    torch.onnx.export(
        network,
        (ids, torch.ones_like(ids)),
        path,
        input_names=["input_ids", "attention_mask"],
        output_names=["logits", "evidence"],
        dynamic_shapes=({0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens")},) * 2,
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def quantize(source: Path, target: Path) -> None:
    """Dynamic int8: weights stored in eight bits per output channel, activations quantized as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as scratch:
        prepared = Path(scratch) / "prepared.onnx"
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_dynamic(prepared, target, weight_type=QuantType.QInt8, per_channel=True)


def soup(states: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The mean of the weights of several runs that began from the same backbone: their ensemble at the price of one."""
    import torch

    return {name: torch.stack([state[name].float() for state in states]).mean(0) for name in states[0]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of ``warmline guards train --export``: networks to ``model.onnx`` and ``tokenizer.json``."""
    import torch

    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("networks", type=Path, nargs="+", help="network.pt; several are averaged")
    options.add_argument("--backbone", type=Path, required=True, help="folder of the model it was trained from")
    options.add_argument("--to", type=Path, default=SHIPPED)
    chosen = options.parse_args(arguments)
    weights = soup([torch.load(path, weights_only=True, map_location="cpu") for path in chosen.networks])
    network = build(chosen.backbone, layers_of(weights), outputs=len(weights["read.bias"]))
    network.load_state_dict(weights)
    chosen.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        export(network, Path(scratch) / "float.onnx")
        quantize(Path(scratch) / "float.onnx", chosen.to / "model.onnx")
    shutil.copyfile(chosen.backbone / "tokenizer.json", chosen.to / "tokenizer.json")
    print(f"{chosen.to / 'model.onnx'}: {(chosen.to / 'model.onnx').stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
