"""The manifests of deploy/: valid where a checker is there, and at one with what the code does."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from warmline.agent.settings import Settings, every_setting

DEPLOY = Path(__file__).parent.parent / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def objects() -> list[dict[str, Any]]:
    """Every Kubernetes object."""
    found = [each for path in MANIFESTS for each in yaml.safe_load_all(path.read_text())]
    return [each for each in found if each["kind"] != "Kustomization"]


def the(kind: str, name: str = "warmline") -> dict[str, Any]:
    [found] = [each for each in objects() if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def pod(workload: dict[str, Any]) -> dict[str, Any]:
    return workload["spec"]["template"]["spec"]


WORKLOADS = [each for each in objects() if each["kind"] in ("Deployment", "Job")]
IDS = [each["metadata"]["name"] for each in WORKLOADS]


@pytest.mark.parametrize("each", objects(), ids=lambda each: f"{each['kind']}/{each['metadata']['name']}")
def test_every_manifest_is_valid(each: dict[str, Any]) -> None:
    checker = pytest.importorskip("kubernetes_validate", reason="make check-deploy runs it: it takes 100 MB")
    checker.validate(each, "1.33", strict=True)


def test_the_compose_file_is_valid() -> None:
    checker = pytest.importorskip("compose_spec", reason="make check-deploy runs it")
    merged = {name: part for name, part in COMPOSE.items() if not name.startswith("x-")}  # it reads no merge keys
    checker.PyCompose.from_yaml(yaml.safe_dump(merged)).validate()


def test_kustomize_names_every_manifest() -> None:
    listed = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())["resources"]
    assert {path.name for path in MANIFESTS} == {*listed, "kustomization.yaml"}


def test_a_drain_is_longer_than_the_longest_reply_and_the_grace_longer_than_the_drain() -> None:
    from warmline.agent.service.server import LAST_WORDS_S

    drain = float(the("ConfigMap")["data"]["WARMLINE_SERVICE__DRAIN_S"])
    spec = pod(the("Deployment"))
    before = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert drain > Settings().model.total_s
    assert spec["terminationGracePeriodSeconds"] >= before + drain + LAST_WORDS_S + 5


def test_compose_gives_a_drain_its_time_as_well() -> None:
    from warmline.agent.service.server import LAST_WORDS_S

    service = COMPOSE["services"]["warmline"]
    drain = float(COMPOSE["x-service"]["environment"]["WARMLINE_SERVICE__DRAIN_S"])
    assert drain > Settings().model.total_s
    assert int(service["stop_grace_period"].removesuffix("s")) >= drain + LAST_WORDS_S + 5


def test_the_autoscaler_counts_turns_by_a_counter_that_exists() -> None:
    pytest.importorskip("prometheus_client", reason="needs the extra `server`")
    from warmline.agent.service.metrics import Metrics

    [metric] = the("HorizontalPodAutoscaler")["spec"]["metrics"]
    assert f"# TYPE {metric['pods']['metric']['name']} gauge" in Metrics().text().decode()


def test_every_setting_that_is_set_exists() -> None:
    known = {setting.variable for setting in every_setting()}
    named = set(the("ConfigMap")["data"]) | set(COMPOSE["x-service"]["environment"])
    for workload in WORKLOADS:
        named |= {variable["name"] for box in pod(workload)["containers"] for variable in box.get("env", ())}
    assert {name for name in named if name.startswith("WARMLINE_")} <= known


@pytest.mark.parametrize("workload", WORKLOADS, ids=IDS)
def test_no_container_is_root_or_can_become_it_or_write_to_its_image(workload: dict[str, Any]) -> None:
    spec = pod(workload)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    for container in spec["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@pytest.mark.parametrize("path", [*MANIFESTS, DEPLOY / "compose.yaml"], ids=lambda path: path.name)
def test_no_secret_stands_in_a_file(path: Path) -> None:
    text = path.read_text()
    assert "kind: Secret" not in text
    for name, value in re.findall(r"^\s*(\w*(?:PASSWORD|KEY|TOKEN)\w*):[ ]+(\S+)", text, re.MULTILINE):
        assert value.startswith("${"), f"{name} has a value of its own"
    assert not re.findall(r"://\w+:(?!\$|password@)[^@\s$]+@", text)


def test_the_probes_ask_what_the_service_answers() -> None:
    pytest.importorskip("fastapi", reason="needs the extra `server`")
    from warmline.agent import ScriptedModel, Store
    from warmline.agent.service.app import create_app

    paths = create_app(model=ScriptedModel(replies=[]), store=Store.open("sqlite:///:memory:")).openapi()["paths"]
    [container] = pod(the("Deployment"))["containers"]
    asked = {
        probe: container[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    assert asked == {"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}
    assert set(asked.values()) <= set(paths)


def test_what_selects_pods_of_the_service_finds_them() -> None:
    labels = the("Deployment")["spec"]["template"]["metadata"]["labels"].items()
    for selector in (
        the("Deployment")["spec"]["selector"]["matchLabels"],
        the("Service")["spec"]["selector"],
        the("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        the("NetworkPolicy", "service")["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector.items() <= labels


def test_the_model_is_reached_by_the_service_alone() -> None:
    [rule] = the("NetworkPolicy", "model")["spec"]["ingress"]
    assert [source["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for source in rule["from"]] == [
        "service"
    ]


@pytest.fixture
def caddy(tmp_path: Path) -> Iterator[Any]:
    """``caddy(port)`` starts the proxy of deploy/ in front of a service on this machine; gives its address."""
    binary = shutil.which("caddy")
    if binary is None:
        pytest.skip("no caddy found")
    from warmline.eval.load import free_port

    started: list[subprocess.Popen[bytes]] = []

    def start(port: int) -> str:
        site = f"http://127.0.0.1:{free_port()}"
        environment = os.environ | {"SITE": site, "SERVICE": "localhost", "PORT": str(port), "HOME": str(tmp_path)}
        command = [binary, "run", "--config", str(DEPLOY / "Caddyfile"), "--adapter", "caddyfile"]
        started.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL))
        return site

    yield start
    for process in started:
        process.terminate()
        process.wait()


async def test_sentences_come_through_the_proxy_while_the_model_still_writes(caddy: Any, tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="needs the extra `server`")
    from tests.agent.service.running import REPLY, running
    from warmline.agent import ScriptedModel

    go_on = asyncio.Event()

    async def hold(number: int) -> None:
        if number == 8:  # after the first sentence
            await go_on.wait()

    model = ScriptedModel(replies=[REPLY], before_chunk=hold)
    async with running(tmp_path, model=model) as service:
        site = caddy(int(service.url.rpartition(":")[2]))
        headers = {"Authorization": f"Bearer {service.key()}"}
        async with httpx.AsyncClient(base_url=site, headers=headers, timeout=60) as client:
            while True:
                try:
                    session = (await client.post("/v1/sessions", json={})).json()["id"]
                    break
                except httpx.ConnectError:
                    await asyncio.sleep(0.05)
            async with client.stream("POST", f"/v1/sessions/{session}/turns", json={"text": "I can't sleep"}) as stream:
                lines = stream.aiter_lines()
                async for line in lines:
                    if line.startswith("event: sentence"):
                        break
                go_on.set()  # the first sentence is here before the model has ended
                rest = [line async for line in lines]
            assert "event: done" in rest
            assert (await client.get("/metrics")).status_code == 404
