# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document: whole, sound, current; and the watch that holds every answer of the suite against it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from api import messages, openapi, problems
from api.auth import ROLE_SCOPES
from api.openapi import catalogue
from api.openapi import problems as openapi_problems
from api.permissions import rules
from tests import contract
from tests.application import application


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    nowhere: Any = object()
    return openapi.document(application(nowhere))


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def references(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from references(one)
    elif isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for one in value.values():
            yield from references(one)


# --- the document ---


def test_the_committed_document_is_current(made: dict[str, Any]) -> None:
    """What clients read in the repository is what the server says: else run `python -m api.openapi`."""
    assert openapi.COMMITTED.read_bytes() == openapi.rendered(made)


def test_every_operation_says_what_it_answers_with(made: dict[str, Any]) -> None:
    """No operation is left without a shape, and no shape shares its name with another."""
    assert [] == openapi.undeclared(made)
    assert [] == [name for name in made["components"]["schemas"] if "_" in name]


def test_references_lead_somewhere_and_nothing_is_left_over(made: dict[str, Any]) -> None:
    """Each `$ref` names a part of the document, and each schema is used by somebody."""
    named = {one for part in ("paths", "webhooks", "components") for one in references(made[part])}
    parts = {f"#/components/{kind}/{name}" for kind, parts in made["components"].items() for name in parts}

    assert set() == named - parts
    assert set() == {one for one in parts - named if one.startswith("#/components/schemas/")}


def test_schemas_are_sound(made: dict[str, Any]) -> None:
    """Every schema is JSON Schema 2020-12, as OpenAPI 3.1 has it."""
    assert made["openapi"].startswith("3.1")
    for schema in made["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def test_paths_and_parameters_belong_together(made: dict[str, Any]) -> None:
    """Names in a path are its parameters; every operation has an id of its own, a summary, a description and a tag
    that is explained."""
    tags = {one["name"] for one in made["tags"]}
    seen: set[str] = set()
    for path, method, operation in operations(made):
        where = f"{method} {path}"
        given = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
        assert given == set(re.findall(r"{(\w+)}", path)), where
        assert operation["operationId"] not in seen, where
        assert set(operation["tags"]) <= tags and operation["summary"], where
        seen.add(operation["operationId"])


def test_security_is_that_of_the_permissions(made: dict[str, Any]) -> None:
    """Public where the table says so; scopes are scopes that a role or a key can carry."""
    scopes = frozenset[str]().union(*ROLE_SCOPES.values())
    for _, _, operation in operations(made):
        rule = rules()[operation["operationId"]]
        assert rule.public == ({} in operation["security"]), rule.operation
        assert {scope for way in operation["security"] for scope in way.get("bearer", ())} == rule.scopes <= scopes


def test_whatever_moves_points_takes_a_retry_key(made: dict[str, Any]) -> None:
    """It is a parameter, it is required, and the answer may be a replay."""
    document = {operation["operationId"]: operation for _, _, operation in operations(made)}
    for name in ("createAward", "reverseAward", "redeem", "refund", "void", "capture", "approve"):
        keys = [one for one in document[name]["parameters"] if one["name"] == "Idempotency-Key"]
        good = next(answer for status, answer in document[name]["responses"].items() if status[0] == "2")
        assert keys and keys[0]["required"], name
        assert "Idempotency-Replayed" in good["headers"] and "idempotency_key_missing" in json.dumps(document[name])


def test_a_sheet_is_documented_beside_json(made: dict[str, Any]) -> None:
    """Batches come as JSON or as a form with a file, and refused rows go back as a sheet."""
    batch = made["paths"]["/v1/award-batches"]["post"]

    assert {"application/json", "multipart/form-data"} == batch["requestBody"]["content"].keys()
    assert {"application/problem+json", *batch["responses"]["200"]["content"]} - {"application/json"} == batch[
        "responses"
    ]["422"]["content"].keys()


def test_limits_of_optional_fields_are_told(made: dict[str, Any]) -> None:
    """A field that may be left out has its pattern and its lengths all the same."""
    reported = made["components"]["schemas"]["Reported"]["properties"]

    assert "^G[1-9][0-9]?$" == reported["group"]["anyOf"][0]["pattern"]
    assert 500 == reported["note"]["anyOf"][0]["maxLength"]


def test_examples_are_true(made: dict[str, Any]) -> None:
    """Each example is valid by the schema that it stands beside, and nothing in it is left undeclared."""
    shown = 0
    for _, _, operation in operations(made):
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for media in [content for body in bodies for content in body.get("content", {}).values()]:
            if "example" in media:
                contract.validator(media["schema"]).validate(media["example"])
                shown += 1
    assert shown >= 30


def test_refusals_that_are_told_exist(made: dict[str, Any]) -> None:
    """Operations and codes of refusals.toml are ones that there are."""
    told = openapi_problems.own_codes()

    assert set() == told.keys() - {operation["operationId"] for _, _, operation in operations(made)}
    assert set() == {code for codes in told.values() for code in codes} - messages.sentences("en").keys()


# --- errors ---


def test_the_page_of_errors_is_current() -> None:
    """docs/reference/errors.md is what the sources say: else run `python -m api.openapi.catalogue`."""
    assert catalogue.PAGE.read_text(encoding="utf-8") == catalogue.page()


def test_every_code_that_is_raised_stands_on_the_page() -> None:
    """With its status, and both languages."""
    page = catalogue.PAGE.read_text(encoding="utf-8")
    inner = {"previewed"}  # leaves a dry run, never the desk

    assert [] == sorted(code for code in catalogue.raised().keys() - inner if f"| `{code}` |" not in page)


def test_what_may_be_tried_again_says_so() -> None:
    """Whatever is raised as `Unavailable` is `retryable`, and nothing else is."""
    raised = {code for code, kinds in catalogue.raised().items() if "Unavailable" in kinds}

    assert raised == problems.RETRYABLE


# --- the watch ---


BALANCE = {
    "subject": "sub_1",
    "standing": {"amount": 100_000, "grade": "A"},
    "points": {"available": 100, "held": 0, "lots": [{"amount": 100, "expires_on": "2026-12-31"}]},
    "as_of": {"journal": "370321001001", "seq": 1},
}


@pytest.mark.parametrize(
    ("status", "kind", "body", "said"),
    [
        (200, "application/json", BALANCE, None),
        (200, "application/json", {**BALANCE, "more": 1}, "more"),
        (200, "application/json", {**BALANCE, "as_of": {"journal": "370321001001"}}, "seq"),
        (200, "application/json", {**BALANCE, "points": {**BALANCE["points"], "held": "0"}}, "held"),
        (200, "text/html", "", None),
        (200, "text/html", "x", "text/html is not told"),
        (202, "application/json", BALANCE, "202 is not told"),
        (410, "application/problem+json", {"code": "subject_erased"}, "title"),
        (410, "application/problem+json", {"code": "token_used"}, "token_used"),
    ],
)
def test_an_answer_that_is_not_as_documented_is_noticed(status: int, kind: str, body: Any, said: str | None) -> None:
    """A member too many, one that is missing, another type, another status, another media type, another code."""
    content = json.dumps(body).encode() if body else b""

    found = contract.complaint("GET", "/v1/subjects/sub_1/balance", status, kind, content)

    assert (found is None) == (said is None)
    assert said is None or said in (found or "")


def test_what_was_made_leads_to_what_is_done_with_it(made: dict[str, Any]) -> None:
    """The answer that names a new thing has links, each with all that its operation's path names."""
    answer = made["paths"]["/v1/awards"]["post"]["responses"]["201"]
    assert {"getAward", "reverseAward"} == answer["links"].keys()
    assert {"award": "$response.body#/id"} == answer["links"]["getAward"]["parameters"]
    paths = {operation["operationId"]: path for path, _, operation in operations(made)}
    for _, _, operation in operations(made):
        for told in operation["responses"].values():
            for name, link in told.get("links", {}).items():
                assert name == link["operationId"]
                assert set(re.findall(r"{(\w+)}", paths[name])) == link["parameters"].keys(), name
