"""The network: a pre-trained encoder, and one attention-weighted reading of its tokens for each thing it is asked.

Each output has its own attention over the tokens, so that one bad clause counts in a long text and the same weights
show which tokens spoke for the first output.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .corpus import CATEGORIES, LEVELS

if TYPE_CHECKING:
    import torch

CRISIS_OUTPUTS = 1 + len(CATEGORIES) + len(LEVELS)
_LAYER = re.compile(r"\.layer\.(\d+)\.")


def layer_of(name: str) -> int | None:
    """The layer that a weight belongs to, counted from 0; None for embeddings, the last norm and the outputs."""
    found = _LAYER.search(name)
    return int(found[1]) if found else None


def layers_of(state: Mapping[str, Any]) -> int:
    """How many layers a saved network has."""
    return 1 + max(layer for name in state if (layer := layer_of(name)) is not None)


def build(folder: Path, layers: int | None = None, outputs: int = CRISIS_OUTPUTS) -> torch.nn.Module:
    """The network on the lowest ``layers`` layers of the model in ``folder`` (None: all of them), with fresh outputs.

    ``forward(input_ids, attention_mask)`` gives (logits [batch, outputs], evidence for the first output per token
    [batch, tokens], which sums to its logit without its bias). The first token, a mark that every text begins with, is
    not read.
    """
    import torch
    from transformers import AutoConfig, AutoModel

    # Dropout of attention costs time on one core and gave nothing.
    config = AutoConfig.from_pretrained(folder, attention_probs_dropout_prob=0.0)
    if layers is not None:
        config.num_hidden_layers = layers

    class Reader(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = AutoModel.from_pretrained(
                folder, config=config, dtype=torch.float32, attn_implementation="eager", add_pooling_layer=False
            )
            width = config.hidden_size
            self.dropout = torch.nn.Dropout(0.1)
            self.attend = torch.nn.Linear(width, outputs, bias=False)
            self.read = torch.nn.Linear(width, outputs)
            # Zero: it starts as the mean over tokens.
            torch.nn.init.zeros_(self.attend.weight)
            torch.nn.init.normal_(self.read.weight, std=0.02)
            torch.nn.init.zeros_(self.read.bias)

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            hidden = self.backbone(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            hidden = self.dropout(hidden.float())
            first = torch.arange(input_ids.shape[1], device=input_ids.device) == 0
            unread = ((attention_mask == 0) | first).unsqueeze(-1)
            weights = self.attend(hidden).float().masked_fill(unread, -1e4).softmax(dim=1)
            said = weights * torch.nn.functional.linear(hidden, self.read.weight).float()
            return said.sum(dim=1) + self.read.bias, said[:, :, 0]

    return Reader()


def parameter_groups(network: Any, rate: float, head_rate: float, frozen: int = 0, decay: float = 0.9) -> list[dict]:
    """Optimizer groups: the word embeddings and the lowest ``frozen`` layers stay as they are, lower layers learn
    slower, biases and norms do not decay."""
    layers: int = network.backbone.config.num_hidden_layers
    groups: dict[tuple[float, float], list] = {}
    for name, parameter in network.named_parameters():
        layer = layer_of(name)
        # Some ten thousand messages cannot move tens of thousands of words well: the unseen ones would be left behind.
        if "word_embeddings" in name or (layer is not None and layer < frozen):
            parameter.requires_grad_(False)
            continue
        depth = layer + 1 if layer is not None else 0 if ".embeddings" in name else layers + 1
        speed = head_rate if not name.startswith("backbone.") else rate * decay ** max(0, layers - depth)
        weight_decay = 0.01 if parameter.ndim > 1 else 0.0
        groups.setdefault((speed, weight_decay), []).append(parameter)
    return [{"params": p, "lr": speed, "weight_decay": weight} for (speed, weight), p in groups.items()]
