"""``warmline serve``: the model behind the agent, on vLLM."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._options import load_settings

if TYPE_CHECKING:
    from ...finetune.serve import Step
    from ...finetune.vllm import Plan


def serve(
    vllm_flags: Annotated[
        list[str] | None, typer.Argument(metavar="[-- VLLM_FLAGS]...", help="Passed on to vLLM.", show_default=False)
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="A folder or a Hugging Face name. Default: the adapter's base, else the embedded model."),
    ] = None,
    adapter: Annotated[
        Path | None,
        typer.Option(help="A LoRA folder, or off. Default: model.adapter, unless --model.", show_default=False),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on, e.g. 0.0.0.0.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = 8000,
    python: Annotated[Path | None, typer.Option(help="The Python of vLLM's environment.", show_default=False)] = None,
    gpus: Annotated[int, typer.Option(help="GPUs to split the model over.", min=1)] = 1,
    replicas: Annotated[int, typer.Option(help="Copies of the model, each on --gpus of its own.", min=1)] = 1,
    kv_gb: Annotated[
        float | None, typer.Option(help="Memory for conversations, in GB. On a CPU: 2.", min=0.1, show_default=False)
    ] = None,
    eager: Annotated[bool, typer.Option("--eager", help="Start sooner, answer slower: compile nothing.")] = False,
    any_prompt: Annotated[
        bool, typer.Option("--any-prompt", help="Take an adapter trained with another system prompt.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show vLLM's log while it loads, too.")] = False,
) -> None:
    """Serve the model on vLLM, under the name "warmline". Restarts it when it falls; Ctrl-C ends both.

    Example: warmline serve --adapter my-adapter --port 8000 -- --max-model-len 4096
    """
    from ...agent.model.adapter import adapter_of
    from ...finetune.serve import keep_serving
    from ...finetune.vllm import (
        Adapter,
        Plan,
        ServeError,
        check_port,
        choose_model,
        find_engine,
        free_memory,
        free_port,
    )

    if sys.platform == "win32":
        raise ServeError("vLLM does not run on Windows; use WSL, or point WARMLINE_MODEL__BASE_URL at another machine")
    settings = load_settings().model
    folder = adapter or (adapter_of(settings) if model is None else None)
    folder = None if folder == Path("off") else folder
    lora = Adapter.read(folder.expanduser()) if folder else None
    if lora and not any_prompt:
        lora.check_prompt()
    plan = Plan(
        engine=find_engine(python),
        model=choose_model(model, lora, settings),
        host=host,
        port=port or free_port(host),
        adapter=lora,
        gpus=gpus,
        replicas=replicas,
        kv_gb=kv_gb,
        eager=eager,
        extra=tuple(vllm_flags or ()),
    )
    plan.check(free=free_memory())
    check_port(plan.host, plan.port)
    typer.echo(_opening(plan), err=True)
    screen = _Screen(plan, verbose=verbose)
    asyncio.run(keep_serving(plan, screen.tell, screen.log))


def _opening(plan: Plan) -> str:
    adapter = f" with {plan.adapter.path}" if plan.adapter else ""
    return f"vLLM {plan.engine.version} on {plan.engine.device}: {plan.model}{adapter}"


class _Screen:
    """What the person at the terminal sees. The settings go to standard output, everything else to standard error."""

    def __init__(self, plan: Plan, *, verbose: bool) -> None:
        self._plan, self._verbose = plan, verbose
        self._ready = False
        self._told, self._next_line_s = "", 0.0
        self._live = sys.stderr.isatty() and not verbose

    def tell(self, step: Step) -> None:
        """One step, as a person reads it."""
        from ...finetune.serve import Fell, Loading, Ready, Stopping

        match step:
            case Loading(seconds, stage):
                self._progress(seconds, stage)
            case Ready(seconds):
                self._clear()
                self._ready = True
                typer.echo(f"ready after {seconds:.0f} s: {self._plan.base_url}", err=True)
                self._settings()
            case Fell(code, wait):
                self._ready = False
                typer.echo(f"warmline: vLLM ended by itself (status {code}); starting it again in {wait:g} s", err=True)
            case Stopping():
                self._clear()
                typer.echo("stopping", err=True)

    def log(self, line: str) -> None:
        """A line of vLLM's; held back while it loads, because a progress line says more."""
        if self._ready or self._verbose:
            typer.echo(line, err=True)

    def _progress(self, seconds: float, stage: str) -> None:
        if self._live:
            sys.stderr.write(f"\r\x1b[2Kwaiting for vLLM: {stage} ({seconds:.0f} s)")
            sys.stderr.flush()
        elif stage != self._told or seconds >= self._next_line_s:  # in a log file: each stage, and a sign of life
            typer.echo(f"waiting for vLLM: {stage} ({seconds:.0f} s)", err=True)
            self._told, self._next_line_s = stage, seconds + 30

    def _clear(self) -> None:
        self._told, self._next_line_s = "", 0.0
        if self._live:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()

    def _settings(self) -> None:
        typer.echo(f"export WARMLINE_MODEL__BASE_URL={self._plan.base_url} WARMLINE_MODEL__NAME=warmline")
        if self._plan.asks_for_key:
            typer.echo("export WARMLINE_MODEL__API_KEY=(the key that vLLM was given)")
        elif self._plan.host not in ("127.0.0.1", "localhost", "::1"):
            typer.echo(
                f"warmline: whoever reaches port {self._plan.port} can use the model; VLLM_API_KEY=… asks for a key",
                err=True,
            )
