"""The OpenAPI document: an example of everything, each of which is true, and every refusal that can come."""

from __future__ import annotations

import pytest

from tests.agent.service.running import the_directory
from warmline.agent import ScriptedModel, Settings, Store
from warmline.agent.events import EVENT
from warmline.agent.service.app import create_app
from warmline.agent.service.openapi import operations, words

SETTINGS = Settings.model_validate({"service": {"web_chat": True}})
APP = create_app(SETTINGS, model=ScriptedModel(replies=[]), store=Store.open("sqlite:///:memory:"))
DOCUMENT = APP.openapi()
OPERATIONS = dict(operations(DOCUMENT))


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_has_an_example_of_what_is_sent_and_of_what_comes_back(name: str) -> None:
    operation = OPERATIONS[name]
    if body := operation.get("requestBody"):
        assert "example" in body["content"]["application/json"]
    for status, response in operation["responses"].items():
        for content in response.get("content", {}).values():
            assert "example" in content or status == "200", f"{status} has no example"
    answers = [r for s, r in operation["responses"].items() if s.startswith("2") and s != "204"]
    assert all(any("example" in content for content in answer["content"].values()) for answer in answers)


def test_no_example_is_left_of_an_operation_that_is_gone() -> None:
    assert set(words().operations) <= set(OPERATIONS)


@pytest.mark.parametrize("name", [name for name, example in words().operations.items() if example.request is not None])
def test_an_example_of_what_is_sent_is_taken(name: str) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema: make env")
    schema = OPERATIONS[name]["requestBody"]["content"]["application/json"]["schema"]
    jsonschema.validate(words().operations[name].request, schema | {"components": DOCUMENT["components"]})


@pytest.mark.parametrize("name", [name for name, example in words().operations.items() if example.response is not None])
def test_an_example_of_an_answer_fits_the_schema(name: str) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema: make env")
    responses = OPERATIONS[name]["responses"]
    answer = next(response for status, response in responses.items() if status.startswith("2"))
    schema = answer["content"]["application/json"].get("schema", {})
    jsonschema.validate(words().operations[name].response, schema | {"components": DOCUMENT["components"]})


@pytest.mark.parametrize("name", [name for name, example in words().operations.items() if example.events])
def test_an_example_of_events_can_be_read(name: str) -> None:
    events = words().operations[name].events or ""
    assert events.endswith("\n\n")
    if "/v1/sessions" in name:
        lines = [line.removeprefix("data: ") for line in events.splitlines() if line.startswith("data: ")]
        assert [EVENT.validate_json(line) for line in lines]


def test_the_lines_in_an_example_are_those_of_the_directory() -> None:
    shown = words().operations["GET /v1/hotlines"].response["lines"]
    known = {line.id: line for line in the_directory().all_lines("IE")}
    assert shown == [known[line["id"]].model_dump(mode="json") for line in shown]


@pytest.mark.parametrize("name", [name for name, operation in OPERATIONS.items() if "security" in operation])
def test_what_needs_a_key_says_how_it_is_refused(name: str) -> None:
    assert {"401", "403", "429", "500", "503"} <= set(OPERATIONS[name]["responses"])


def test_errors_are_told_in_the_shape_they_have() -> None:
    refused = OPERATIONS["POST /v1/sessions"]["responses"]["422"]["content"]["application/json"]
    assert refused["schema"] == {"$ref": "#/components/schemas/Error"}
    assert "HTTPValidationError" not in DOCUMENT["components"]["schemas"]
