"""What a LoRA adapter was made for, and whether it fits the model and the prompt of today. Loads no weights."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ..prompt import support_prompt
from ..settings import ModelSettings
from .checkpoint import DEFAULT, model_name

CARD = "warmline.json"
SHIPPED = Path(__file__).parent.parent / "data" / "adapter"
"""The adapter for the default embedded model that comes with Warmline."""


class AdapterError(ValueError):
    """An adapter cannot be used. The message names its folder and a cure."""


class AdapterCard(BaseModel):
    """What ``warmline finetune`` writes beside the weights."""

    model_config = ConfigDict(frozen=True)

    format: int = 1
    base: str
    """Hugging Face id or folder of the model that it was trained on."""
    base_sha256: str | None = None
    """Of the base's ``config.json``: tells two models of one name apart."""
    prompt_version: int
    """Version of the system prompt that it has learned to answer to."""
    recipe: dict[str, Any]
    """How it was trained."""
    data: dict[str, Any]
    """Counts, sources and checksums of what it was trained on."""
    started_from: dict[str, Any] | None = None
    """The same of the adapter that this one went on from, if it did."""
    figures: dict[str, float]
    """Validation losses and the like."""
    sha256: dict[str, str]
    """Of every file beside this one."""


def read_card(folder: Path) -> AdapterCard | None:
    """The card of the adapter in ``folder``; None for an adapter that another tool made.

    Raises:
        AdapterError: there is no adapter, or its card cannot be read.
    """
    if not (folder / "adapter_config.json").is_file():
        raise AdapterError(
            f"{folder} holds no adapter_config.json; a good value is a folder that `warmline finetune train` or "
            "`warmline finetune export` wrote"
        )
    try:
        return AdapterCard.model_validate_json((folder / CARD).read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise AdapterError(f"{folder / CARD}: {error.errors()[0]['msg']}; export the adapter again") from None


def adapter_of(settings: ModelSettings) -> Path | None:
    """The adapter that ``settings`` name; ``shipped`` is for the default model and the prompt of today alone."""
    if settings.adapter == "off":
        return None
    if settings.adapter != "shipped":
        return settings.adapter.expanduser()
    if settings.path or model_name(settings) != DEFAULT or not (SHIPPED / CARD).is_file():
        return None
    card = read_card(SHIPPED)
    return SHIPPED if card and card.prompt_version == support_prompt().version else None


def is_weak(settings: ModelSettings) -> bool:
    """True for the default embedded model, tuned as it ships or not at all.

    Read aloud and judged blindly (docs/model-card-embedded.md), its words can still hurt a person who may be in danger.
    """
    own = settings.base_url or settings.path or model_name(settings) != DEFAULT
    return not own and adapter_of(settings) in (None, SHIPPED)


def base_of(folder: Path) -> str:
    """The model that the adapter in ``folder`` says it was trained on.

    Raises:
        AdapterError: as ``read_card``.
    """
    card = read_card(folder)
    if card is not None:
        return card.base
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    return str(config.get("base_model_name_or_path") or "")


def check_adapter(folder: Path, base: str, *, prompt_version: int | None = None, contents: bool = False) -> None:
    """Pass when the adapter in ``folder`` was made for ``base`` and for the prompt of today.

    Args:
        base: Hugging Face id, or a folder; of a folder only the last part is compared.
        prompt_version: another version than the shipped prompt's.
        contents: read every byte and compare checksums.

    Raises:
        AdapterError: it was made for another base or prompt, or a file is not as it was made.
    """
    made_for, card = base_of(folder), read_card(folder)
    if _short(made_for) != _short(base):
        raise AdapterError(f"the adapter {folder} was made for {made_for}, not for {base}; serve it with that model")
    if card is None:
        return
    wanted = support_prompt().version if prompt_version is None else prompt_version
    if card.prompt_version != wanted:
        raise AdapterError(
            f"the adapter {folder} has learned prompt version {card.prompt_version}, the agent uses {wanted}; "
            "train it again, or set WARMLINE_MODEL__ADAPTER=off"
        )
    for name, expected in card.sha256.items():
        file = folder / name
        if not file.is_file() or (contents and hashlib.sha256(file.read_bytes()).hexdigest() != expected):
            raise AdapterError(f"{file} is missing or not as it was made; export the adapter again")


def _short(base: str) -> str:
    """The name of a model without its owner or folders; the cache writes `/` as `--`."""
    return base.rstrip("/").replace("--", "/").rsplit("/", 1)[-1].lower()
