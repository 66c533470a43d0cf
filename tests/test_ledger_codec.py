# SPDX-License-Identifier: Apache-2.0
"""The bytes of an entry: canonical form, hashes and digests agree with docs/spec/entry.md and the golden vectors."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import codec
from ledger.model import KINDS, Fields
from tests import ledgers
from tests.tree import ROOT

VECTORS: dict[str, Any] = json.loads((ROOT / "tests/vectors/entry.json").read_text("utf-8"))
SPEC = (ROOT / "docs/spec/entry.md").read_text("utf-8")
NAMES = [vector["name"] for vector in VECTORS["entries"]]

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
FORM = st.recursive(
    st.integers(-codec.INTEGER_MAX, codec.INTEGER_MAX) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("vector", VECTORS["entries"], ids=NAMES)
def test_golden_entries_hash_as_stated(vector: dict[str, Any]) -> None:
    """The bytes decode, encode to the same bytes again, and have the leaf that stands beside them."""
    body = bytes.fromhex(vector["body"])
    entry = codec.decode(body)
    assert body == codec.canonical(entry) == codec.encode(entry)
    assert vector["leaf"] == codec.leaf_hash(body).hex() == hashlib.sha256(b"\0" + body).hexdigest()
    assert entry["kind"] in KINDS


def test_golden_entries_form_chains() -> None:
    """`prev` is the leaf before in the same journal; entry 0 starts from its own origin, keys and policy."""
    last: dict[str, str] = {}
    for vector in VECTORS["entries"]:
        entry = codec.decode(bytes.fromhex(vector["body"]))
        before = last.get(entry["journal"])
        if before is None:
            data = entry["data"]
            assert entry["seq"] == 0
            before = codec.genesis_prev(data["origin"], data["vkey"], data["recovery"], data["policy"])
        assert before == entry["prev"], vector["name"]
        last[entry["journal"]] = vector["leaf"]


def test_golden_digests() -> None:
    """Each digest is the HMAC of the stated bytes, by the standard library's own HMAC too."""
    for case in VECTORS["digests"]:
        key, nonce = bytes.fromhex(case["key"]), bytes.fromhex(case["nonce"])
        data = case["data"].encode()
        assert case["entry_key"] == codec.entry_key(key, nonce).hex()
        assert case["digest"] == codec.opened(key, nonce)(case["field"], data)
        opened = hmac.digest(key, b"jifen/entry/1\n" + nonce, "sha256")
        assert case["digest"] == hmac.digest(opened, case["field"].encode() + b"\n" + data, "sha256").hex()
        entry = next(v for v in VECTORS["entries"] if v["name"] == case["entry"])
        stated = codec.decode(bytes.fromhex(entry["body"]))[case["field"]]
        assert case["digest"] in stated


def test_golden_causes() -> None:
    """A cause key is two bytes of the day and thirty of an HMAC under the deployment's cause key."""
    for case in VECTORS["causes"]:
        key = hmac.digest(bytes.fromhex(case["secret"]), b"jifen/cause/1", "sha256")
        message = b"\0".join([case["rule"].encode(), case["subject"].encode(), case["cause"].encode()])
        assert case["key"] == case["day_number"] + hmac.digest(key, message, "sha256")[:30].hex()


@pytest.mark.parametrize("case", VECTORS["not_canonical"], ids=lambda case: case["why"])
def test_what_is_not_canonical_is_refused(case: dict[str, str]) -> None:
    """Other white space, order, escapes, number forms, types and encodings are not a second spelling: they are no."""
    with pytest.raises(codec.NotCanonical):
        codec.decode(bytes.fromhex(case["body"]))


def test_deep_nesting_is_refused_and_not_a_crash() -> None:
    """A hostile depth is an answer, not an overflow."""
    for body in (b'{"a":' + b"[" * 100_000, b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"):
        with pytest.raises(codec.NotCanonical):
            codec.decode(body)


@pytest.mark.parametrize("value", [None, True, 1.0, 2**53, -(2**53), {1: "a"}, {"é": 1}, "\ud800", b"a", {"a"}])
def test_values_outside_the_form_are_refused(value: Any) -> None:
    """null, booleans, floats, wide integers, odd keys, lone surrogates and foreign types have no canonical bytes."""
    with pytest.raises(codec.NotCanonical):
        codec.canonical({"a": value})


@given(FORM)
def test_the_form_is_plain_json_sorted_and_tight(value: Any) -> None:
    """Another JSON writer with sorted keys and no white space gives the same bytes, and they read back."""
    data = codec.canonical({"a": value})
    plain = json.dumps({"a": value}, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert plain.encode() == data
    assert {"a": value} == codec.decode(data)


@given(st.binary(max_size=64), st.binary(max_size=100))
def test_the_short_hmac_is_hmac(key: bytes, data: bytes) -> None:
    """Our HMAC-SHA-256 agrees with the standard library for every key it may be given."""
    assert hmac.digest(key, data, "sha256") == codec.hmac_sha256(key, data)


# the specification is read, not trusted ------------------------------------------------------------------------


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)\n```", SPEC, re.DOTALL)


def test_the_specification_shows_the_golden_entries() -> None:
    """Every entry printed in the specification is canonical and has the leaf printed under it."""
    shown = re.findall(r"```json\n(.*?)\n```\n\n`leaf ([0-9a-f]{64})`", SPEC, re.DOTALL)
    assert len(shown) == len(blocks("json")) >= 8
    golden = {bytes.fromhex(vector["body"]): vector["leaf"] for vector in VECTORS["entries"]}
    for text, leaf in shown:
        codec.decode(text.encode())
        assert leaf == hashlib.sha256(b"\0" + text.encode()).hexdigest()
        assert leaf == golden.get(text.encode()), text[:80]


def test_the_specification_lists_every_kind_and_field() -> None:
    """No kind and no field exists that the specification does not describe, and the other way round."""
    assert set(ledgers.specified_data()) == KINDS
    fields = re.findall(r"^\| `(\w+)` \|", SPEC.split("## Fields")[1].split("\n## ")[0], re.MULTILINE)
    used = {name for vector in VECTORS["entries"] for name in codec.decode(bytes.fromhex(vector["body"]))}
    assert used <= set(fields)
    assert sorted(Fields.__struct_fields__) == sorted(fields)


def test_the_golden_entries_keep_the_closed_schema_of_data() -> None:
    """`data` has the fields that the specification gives its kind, and no other."""
    for vector in VECTORS["entries"]:
        assert ledgers.keeps_schema(codec.decode(bytes.fromhex(vector["body"]))), vector["name"]
