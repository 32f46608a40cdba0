"""Stands in for vLLM's server: a real process on a real port that can load slowly, die, and write down what came to it.

FAKE_VLLM_NOTES names a folder for a note on each start; FAKE_VLLM_DOES holds words for how it behaves.
"""

import argparse
import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, required=True)
arguments, _ = parser.parse_known_args()
notes, does = Path(os.environ["FAKE_VLLM_NOTES"]), os.environ.get("FAKE_VLLM_DOES", "").split()
start = len(list(notes.glob("start-?"))) + 1


def heard(number: int, _: object) -> None:
    (notes / signal.Signals(number).name).touch()
    if "deaf" not in does:
        os._exit(0)


signal.signal(signal.SIGINT, heard)
signal.signal(signal.SIGTERM, heard)
environment = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "PYTHONPATH")}
(notes / "new").write_text(json.dumps({"pid": os.getpid(), "arguments": sys.argv[1:], "environment": environment}))
(notes / "new").rename(notes / f"start-{start}")

print("INFO 11-22 [cpu_model_runner.py:88] Starting to load model SmolLM2", flush=True)
if "slow" in does:
    time.sleep(0.4)
if "hang" in does:
    time.sleep(600)
if "die" in does or ("die-later" in does and start > 1):
    print("(EngineCore pid=7) torch.OutOfMemoryError: tried to allocate 20.00 GiB", flush=True)
    print("RuntimeError: Engine core initialization failed. See root cause above.", flush=True)
    sys.exit(1)


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/fall":
            os._exit(9)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *values: object) -> None:
        pass


ThreadingHTTPServer(("127.0.0.1", arguments.port), Answers).serve_forever()
