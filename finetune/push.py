"""Puts an exported adapter on the Hugging Face hub: private unless asked otherwise, and only the exported files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..agent.model.adapter import CARD, check_adapter, read_card
from .export import MODEL_CARD, ExportError


def push(folder: Path, repository: str, *, public: bool = False, hub: Any = None) -> str:
    """The address of the commit.

    Args:
        repository: ``owner/name``.
        hub: a ``huggingface_hub.HfApi``; without one, that of this machine's login.

    Raises:
        ExportError: the folder is no export, or the hub refused.
    """
    card = read_card(folder)
    if card is None or not (folder / MODEL_CARD).is_file():
        raise ExportError(f"{folder} is no export; make one with `warmline finetune export`")
    check_adapter(folder, card.base, contents=True)
    if repository.count("/") != 1:
        raise ExportError(f"{repository!r} is no repository; a good value is owner/name")
    if hub is None:
        from huggingface_hub import HfApi

        hub = HfApi()
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    try:
        hub.create_repo(repository, private=not public, exist_ok=True)
        made = hub.upload_folder(
            repo_id=repository,
            folder_path=folder,
            allow_patterns=[*card.sha256, CARD],
            commit_message=f"Adapter for {card.base}, prompt version {card.prompt_version}",
        )
    except LocalTokenNotFoundError:
        raise ExportError("not logged in to the hub: run `hf auth login`, or set HF_TOKEN") from None
    except (HfHubHTTPError, OSError) as error:
        raise ExportError(f"the hub did not take {repository}: {str(error).splitlines()[0]}") from None
    return str(made.commit_url)
