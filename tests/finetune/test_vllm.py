"""What vLLM is asked to serve, and what is refused before minutes are spent on loading it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from warmline.agent.model.adapter import AdapterError
from warmline.agent.prompt import support_prompt
from warmline.agent.settings import ModelSettings
from warmline.finetune.vllm import Adapter, Engine, Plan, ServeError, choose_model, find_engine, flags

CPU = Engine(Path("/e/python"), "0.32.0", built_for_cpu=True)
TWO_GPUS = Engine(Path("/e/python"), "0.32.0", built_for_cpu=False, gpus=(24_000_000_000, 24_000_000_000))
BASE = "HuggingFaceTB/SmolLM2-135M-Instruct"


def adapter(folder: Path, *, base: str = BASE, layers: int = 2, width: int = 8, **config: Any) -> Path:
    """A LoRA adapter as peft writes it."""
    folder.mkdir(exist_ok=True)
    told = {"peft_type": "LORA", "r": 4, "base_model_name_or_path": base, "bias": "none", **config}
    (folder / "adapter_config.json").write_text(json.dumps(told))
    weights = {
        f"base_model.model.model.layers.{n}.self_attn.q_proj.lora_A.weight": np.zeros((4, width), dtype=np.float16)
        for n in range(layers)
    }
    save_file(weights, folder / "adapter_model.safetensors")
    return folder


def card(folder: Path, **changed: Any) -> Path:
    """What `warmline finetune` writes beside it."""
    told = {
        "base": BASE,
        "prompt_version": support_prompt().version,
        "recipe": {},
        "data": {},
        "figures": {},
        "sha256": {},
    }
    (folder / "warmline.json").write_text(json.dumps({**told, **changed}))
    return folder


def model(folder: Path, *, layers: int = 2, width: int = 8, megabytes: int = 0) -> Path:
    """A checkpoint of that shape and size, without any content."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"num_hidden_layers": layers, "hidden_size": width}))
    with (folder / "model.safetensors").open("wb") as stream:
        stream.truncate(megabytes * 1_000_000)
    return folder


def plan(folder: Path, engine: Engine = CPU, **changed: Any) -> Plan:
    return replace(Plan(engine, str(model(folder / "model"))), **changed)


# --- the command line ---------------------------------------------------------------------------------------------


def test_without_an_adapter_the_model_itself_bears_the_name(tmp_path: Path) -> None:
    command = plan(tmp_path).command()
    assert command[command.index("--served-model-name") + 1] == "warmline"


def test_with_an_adapter_the_name_means_the_adapter_and_the_base_keeps_its_own(tmp_path: Path) -> None:
    lora = Adapter.read(adapter(tmp_path / "lora"))
    command = plan(tmp_path, adapter=lora).command()
    assert command[command.index("--lora-modules") + 1] == f"warmline={tmp_path / 'lora'}"
    assert command[command.index("--served-model-name") + 1] == BASE


@pytest.mark.parametrize(("rank", "allowed"), [(1, "1"), (4, "8"), (16, "16"), (65, "128")])
def test_the_rank_is_rounded_up_to_one_that_vllm_takes(tmp_path: Path, rank: int, allowed: str) -> None:
    command = plan(tmp_path, adapter=Adapter.read(adapter(tmp_path / "lora", r=rank))).command()
    assert command[command.index("--max-lora-rank") + 1] == allowed


def test_the_highest_rank_of_any_layer_counts(tmp_path: Path) -> None:
    assert Adapter.read(adapter(tmp_path / "lora", rank_pattern={"q_proj": 32})).rank == 32


def test_several_gpus_split_the_model_and_replicas_repeat_it(tmp_path: Path) -> None:
    command = plan(tmp_path, TWO_GPUS, gpus=2, replicas=3).command()
    assert command[command.index("--tensor-parallel-size") + 1] == "2"
    assert command[command.index("--data-parallel-size") + 1] == "3"


def test_on_a_cpu_the_cache_has_a_size_and_on_a_gpu_vllm_chooses_it(tmp_path: Path) -> None:
    assert "--kv-cache-memory-bytes" in plan(tmp_path).command()
    assert "--kv-cache-memory-bytes" not in plan(tmp_path, TWO_GPUS).command()


def test_a_cache_size_in_the_environment_or_behind_the_dashes_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "2000000000" not in plan(tmp_path, extra=("--gpu-memory-utilization=0.5",)).command()
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    assert plan(tmp_path).kv_bytes is None
    assert "VLLM_CPU_KVCACHE_SPACE" not in plan(tmp_path, kv_gb=0.5).environment()  # it would win over the flag


def test_clients_are_given_an_address_they_can_reach(tmp_path: Path) -> None:
    assert plan(tmp_path, host="0.0.0.0", port=9).base_url == "http://127.0.0.1:9/v1"
    assert plan(tmp_path, host="::1").health_url == "http://[::1]:8000/health"


def test_the_names_of_flags_are_found_in_each_way_of_writing_them() -> None:
    assert flags(("--api-key=x", "--max_model_len", "4096", "-tp", "2")) == {"--api-key", "--max-model-len"}


# --- refused before it loads --------------------------------------------------------------------------------------


def test_a_flag_that_warmline_sets_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServeError, match="--port after -- would undo what warmline sets; give --port"):
        plan(tmp_path, extra=("--port", "9")).check()


def test_gpus_on_a_build_for_the_cpu_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ServeError, match="need GPUs"):
        plan(tmp_path, gpus=2).check()


def test_a_quantisation_without_cpu_kernels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServeError, match="bitsandbytes needs a GPU"):
        plan(tmp_path, extra=("--quantization", "bitsandbytes")).check()


def test_a_gpu_build_without_a_gpu_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServeError, match=r"sees none.*make vllm-cpu"):
        plan(tmp_path, replace(TWO_GPUS, gpus=())).check()


def test_more_gpus_than_there_are_need_ray(tmp_path: Path) -> None:
    with pytest.raises(ServeError, match=r"are 4 GPUs, and there are 2.*--distributed-executor-backend ray"):
        plan(tmp_path, TWO_GPUS, gpus=2, replicas=2).check()
    plan(tmp_path, TWO_GPUS, gpus=4, extra=("--distributed-executor-backend", "ray")).check()


def test_a_model_that_does_not_fit_is_refused_with_the_sum(tmp_path: Path) -> None:
    folder = model(tmp_path / "big", megabytes=5000)
    with pytest.raises(ServeError, match=r"9.4 GB are needed \(5.0 weights, 2.0 cache, 2.4 vLLM itself\) and 8.0 GB"):
        Plan(CPU, str(folder)).check(free=8_000_000_000)
    Plan(CPU, str(folder)).check(free=9_500_000_000)


def test_a_model_too_large_for_one_gpu_fits_two(tmp_path: Path) -> None:
    folder = model(tmp_path / "big", megabytes=30_000)
    with pytest.raises(ServeError, match="split the model with --gpus"):
        Plan(TWO_GPUS, str(folder)).check()
    Plan(TWO_GPUS, str(folder), gpus=2).check()


# --- adapters -----------------------------------------------------------------------------------------------------


def test_an_adapter_for_a_model_of_another_shape_is_refused(tmp_path: Path) -> None:
    lora = Adapter.read(adapter(tmp_path / "lora", width=16))
    with pytest.raises(ServeError, match=r"with 2 layers of 16, not for .* with 2 of 8; give its own base"):
        plan(tmp_path, adapter=lora).check()


def test_an_adapter_for_a_deeper_model_is_refused(tmp_path: Path) -> None:
    lora = Adapter.read(adapter(tmp_path / "lora", layers=3))
    with pytest.raises(ServeError, match="3 layers"):
        plan(tmp_path, adapter=lora).check()


def test_an_adapter_for_a_model_of_another_name_is_refused(tmp_path: Path) -> None:
    lora = Adapter.read(adapter(tmp_path / "lora"))
    with pytest.raises(AdapterError, match=f"made for {BASE}, not for Qwen/Qwen3-8B"):
        replace(plan(tmp_path, adapter=lora), model="Qwen/Qwen3-8B").check()


def test_an_adapter_that_fits_is_taken(tmp_path: Path) -> None:
    plan(tmp_path, adapter=Adapter.read(card(adapter(tmp_path / "lora")))).check()


def test_an_adapter_of_another_prompt_is_refused(tmp_path: Path) -> None:
    lora = Adapter.read(card(adapter(tmp_path / "lora"), prompt_version=999))
    with pytest.raises(ServeError, match=r"version 999 of the system prompt.*--any-prompt"):
        lora.check_prompt()
    plan(tmp_path, adapter=lora).check()  # nothing else is wrong with it


@pytest.mark.parametrize("kind", [{"use_dora": True}, {"modules_to_save": ["lm_head"]}, {"bias": "all"}])
def test_what_vllm_cannot_add_to_a_model_is_to_be_merged(tmp_path: Path, kind: dict[str, Any]) -> None:
    with pytest.raises(ServeError, match="merge it first"):
        Adapter.read(adapter(tmp_path / "lora", **kind))


def test_weights_that_were_cut_off_are_found(tmp_path: Path) -> None:
    weights = adapter(tmp_path / "lora") / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(ServeError, match="not a whole safetensors file"):
        Adapter.read(tmp_path / "lora")


def test_a_folder_without_an_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"adapter_config\.json"):
        Adapter.read(tmp_path)


# --- which model --------------------------------------------------------------------------------------------------


def test_an_adapter_brings_its_base_along(tmp_path: Path) -> None:
    base = model(tmp_path / "base")
    lora = Adapter.read(adapter(tmp_path / "lora", base=str(base)))
    assert choose_model(None, lora, ModelSettings()) == str(base)


def test_a_base_that_is_gone_is_asked_for(tmp_path: Path) -> None:
    lora = Adapter.read(adapter(tmp_path / "lora", base="/gone/base"))
    with pytest.raises(ServeError, match="made on /gone/base, which is not there; say where its base is with --model"):
        choose_model(None, lora, ModelSettings())


def test_the_settings_of_an_earlier_serve_do_not_name_the_model(tmp_path: Path) -> None:
    exported = ModelSettings(base_url="http://127.0.0.1:8000/v1", name="warmline", path=model(tmp_path / "mine"))
    assert choose_model(None, None, exported) == str(tmp_path / "mine")


def test_a_hub_name_is_handed_to_vllm_as_it_is() -> None:
    assert choose_model("Qwen/Qwen3-8B", None, ModelSettings()) == "Qwen/Qwen3-8B"


@pytest.mark.parametrize("given", ["/nowhere/model", "./nowhere", "a/b/c"])
def test_a_folder_that_is_not_there_is_no_hub_name(given: str) -> None:
    with pytest.raises(ServeError, match="no such folder"):
        choose_model(given, None, ModelSettings())


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServeError, match="holds no model"):
        choose_model(str(tmp_path), None, ModelSettings())


# --- which vLLM ---------------------------------------------------------------------------------------------------


def python(folder: Path, script: str) -> Path:
    """A program that stands where a Python is expected."""
    file = folder / "python"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


def test_an_environment_without_vllm_is_told(tmp_path: Path) -> None:
    with pytest.raises(ServeError, match="no vLLM in that environment"):
        find_engine(python(tmp_path, "echo '{}'"))


def test_an_environment_that_is_broken_is_told_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ServeError, match=r"cannot be looked at: ImportError: libcudart\.so\.12"):
        find_engine(python(tmp_path, "echo 'ImportError: libcudart.so.12' >&2; exit 1"))


def test_something_that_is_no_program_is_told(tmp_path: Path) -> None:
    with pytest.raises(ServeError, match=r"cannot be run.*--python wants the Python of vLLM's environment"):
        find_engine(tmp_path / "python")


def test_the_gpus_of_an_environment_are_counted(tmp_path: Path) -> None:
    engine = find_engine(python(tmp_path, 'echo \'{"version": "0.30", "cpu": false, "gpus": [8, 8]}\''))
    assert engine.device == "2 GPUs"
