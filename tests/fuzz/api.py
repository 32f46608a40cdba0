"""Schemathesis over the service's OpenAPI document, against `warmline api` on a real socket: ``make fuzz-api``.

It fails on any 5xx and on any status or content that the document does not tell of.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx

from warmline.eval.load import service, stub

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "ignored_auth",
    "unsupported_method",
    "negative_data_rejection",
)


def a_ticket(url: str, key: str) -> None:
    """A crisis, so that there is a ticket for the desk's operations to be tried on."""
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as client:
        session = client.post("/v1/sessions", json={"country": "US"}).raise_for_status().json()["id"]
        said = {"text": "i don't want to be here anymore, i have the pills next to me", "stream": False}
        client.post(f"/v1/sessions/{session}/turns", json=said).raise_for_status()


def main(seconds: int, examples: int) -> int:
    """Run it; the exit code is schemathesis'."""
    scopes = ("chat", "review", "admin", "eval")
    quick = {"guards__encoder": "off", "service__web_chat": "true", "service__visitor_rate_per_minute": "10000"}
    with stub(0) as model, service(model, scopes=scopes, **quick) as running:
        url = f"http://127.0.0.1:{running.target.port}"
        a_ticket(url, running.target.key)
        # `events` never ends: it is a stream of what reviewers write (tests/agent/service covers it).
        command = [
            str(Path(sys.executable).parent / "schemathesis"), "run", f"{url}/openapi.json",
            "--url", url, "--header", f"Authorization: Bearer {running.target.key}",
            "--exclude-path", "/v1/sessions/{session_id}/events",
            "--checks", ",".join(CHECKS), "--continue-on-failure", "--request-timeout", "30",
            "--max-examples", str(examples), "--max-time", str(seconds),
            "--phases", "examples,coverage,fuzzing,stateful",
        ]  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:  # it keeps what it found beside itself
            return subprocess.run(command, check=False, cwd=folder).returncode


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=int, default=180)
    arguments.add_argument("--examples", type=int, default=100)
    given = arguments.parse_args()
    sys.exit(main(given.seconds, given.examples))
