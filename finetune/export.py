"""Makes an adapter ready to give away: its weights, what it was made from and for, and cards that say so in words."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from ..agent.model.adapter import CARD, AdapterCard, check_adapter, read_card
from .bases import bases
from .evaluate import Comparison

WEIGHTS = ("adapter_config.json", "adapter_model.safetensors")
EXTRAS = ("losses.svg", "chat_template.jinja")
MODEL_CARD, DATA_CARD = "README.md", "DATA.md"


class ExportError(ValueError):
    """An adapter cannot be exported. The message says what to do."""


def export(
    adapter: Path, out: Path, *, data: Path | None = None, comparison: Comparison | None = None, limit_mb: float = 0
) -> Path:
    """A folder with the adapter, its model card, its data card and the checksum of each file.

    Args:
        data: the folder it was trained on, for its card.
        comparison: base against tuned, for the model card.
        limit_mb: refuse weights that are larger.

    Raises:
        AdapterError, ExportError: naming the folder.
    """
    card = read_card(adapter)
    if card is None:
        raise ExportError(f"{adapter} has no {CARD}: only what `warmline finetune train` made can be exported")
    check_adapter(adapter, card.base, contents=True)
    if out.exists() and any(out.iterdir()):
        raise ExportError(f"{out} is not empty; choose another --out")
    if limit_mb and (size := (adapter / WEIGHTS[1]).stat().st_size) > limit_mb * 1e6:
        raise ExportError(f"the weights have {size / 1e6:.1f} MB, more than {limit_mb:g}; train with a lower rank")
    out.mkdir(parents=True, exist_ok=True)
    for name in (*WEIGHTS, *(extra for extra in EXTRAS if (adapter / extra).is_file())):
        shutil.copyfile(adapter / name, out / name)
    if data is not None:
        shutil.copyfile(data / "CARD.md", out / DATA_CARD)
    figures = dict(card.figures)
    if comparison is not None:
        figures |= {
            "base_perplexity": round(comparison.base.perplexity, 3),
            "perplexity": round(comparison.tuned.perplexity, 3),
        }
    (out / MODEL_CARD).write_text(model_card(card, comparison, has_data=data is not None), encoding="utf-8")
    sums = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(out.iterdir())}
    sealed = card.model_copy(update={"sha256": sums, "figures": figures})
    (out / CARD).write_text(sealed.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return out


def model_card(card: AdapterCard, comparison: Comparison | None, *, has_data: bool) -> str:
    """The card in Markdown, with the header that the Hugging Face hub reads."""
    known = next((one for group in bases().values() for one in group if one.id == card.base), None)
    licence = known.licence if known else "see the base model"
    recipe = "\n".join(f"| {key} | {value} |" for key, value in card.recipe.items())
    counts = card.data.get("counts")
    kept = ", ".join(f"{value} {key}" for key, value in counts.items()) if isinstance(counts, dict) else "see its card"
    lines = [
        "---",
        f"base_model: {card.base}",
        "library_name: peft",
        "tags: [lora, mental-health, support, warmline]",
        "---",
        "",
        f"# A support adapter for {card.base}",
        "",
        "LoRA weights that make the base answer a person in distress in a few warm, plain sentences. It is made to",
        "stand behind Warmline's crisis filter and output guard, never alone: it can be wrong, cold or unsafe.",
        "",
        f"- Base: `{card.base}` ({licence}). Prompt version: {card.prompt_version}.",
        f"- Data: {kept}. " + (f"See `{DATA_CARD}`." if has_data else ""),
        "- It is not a therapist, cannot call anyone, and has seen English only.",
        "",
        "## Figures",
        "",
        *(_figures(comparison) if comparison else _training_figures(card)),
        "",
        "Loss on held-back answers says how alike the wording is, not whether an answer is kind or safe;",
        "`warmline eval run` scores that.",
        "",
        "![training and validation loss](losses.svg)",
        "",
        "## Recipe",
        "",
        "| field | value |",
        "|---|---|",
        recipe,
        "",
    ]
    return "\n".join(lines)


def _figures(comparison: Comparison) -> list[str]:
    rows = [
        f"| {name} | {loss.mean:.3f} ({loss.low:.3f}-{loss.high:.3f}) | {loss.perplexity:.2f} |"
        for name, loss in (("base", comparison.base), ("tuned", comparison.tuned))
    ]
    n = comparison.tuned.conversations
    return [
        f"On {n} held-back conversations ({comparison.tuned.tokens:,} answer tokens), with 95 % intervals:",
        "",
        "| model | loss, nats a token | perplexity |",
        "|---|---|---|",
        *rows,
    ]


def _training_figures(card: AdapterCard) -> list[str]:
    return ["| figure | value |", "|---|---|", *(f"| {key} | {value} |" for key, value in card.figures.items())]
