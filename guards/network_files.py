"""A network on disk: weights, tokenizer, and how its outputs are read. Opens and checks them; downloads nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    import numpy as np

FILES = ("model.onnx", "tokenizer.json", "calibration.json")

C = TypeVar("C", bound=BaseModel)


class EncoderError(ValueError):
    """An encoder's files cannot be used. The message names the file and what is wrong with it."""


class Network(NamedTuple):
    """Weights that are open and the tokenizer they were trained with. A session may run in many threads at once."""

    session: Any
    tokenizer: Any

    def run(self, ids: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(logits [batch, outputs], evidence for the first output per token [batch, tokens])."""
        logits, said = self.session.run(["logits", "evidence"], {"input_ids": ids, "attention_mask": mask})
        return logits, said


def read_calibration(folder: Path, model: type[C]) -> C:
    """``calibration.json`` of a folder that holds all files. EncoderError names what is missing or wrong."""
    for name in FILES:
        if not (folder / name).is_file():
            raise EncoderError(f"{folder / name} is missing: reinstall warmline, or point at a folder that has it")
    try:
        return model.model_validate_json((folder / "calibration.json").read_bytes())
    except ValidationError as error:
        raise EncoderError(f"{folder / 'calibration.json'}: {error}") from error


def open_network(folder: Path, weights_sha256: str) -> Network:
    """The network of a folder, on one thread. EncoderError when it is unusable or not the one that was calibrated."""
    import onnxruntime
    from tokenizers import Tokenizer

    weights = (folder / "model.onnx").read_bytes()
    if hashlib.sha256(weights).hexdigest() != weights_sha256:
        raise EncoderError(f"{folder / 'calibration.json'} was made for other weights: run `warmline guards calibrate`")
    options = onnxruntime.SessionOptions()
    # One thread: two spin against each other on a busy machine, and a server has a thread for each request anyway.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # onnxruntime and tokenizers raise their own bare exceptions
        raise EncoderError(f"the encoder in {folder} cannot be loaded: {error}") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return Network(session, tokenizer)
