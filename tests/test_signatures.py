# SPDX-License-Identifier: Apache-2.0
"""The signature itself: RFC 9421's own example, what must be covered, how old it may be, and every byte changed."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from api.identity.signatures import AGE_MAX_US, InnerList, Invalid, Message, public_key, signature_base, verify
from api.identity.structured import Malformed, Token, dictionary, serialised

# RFC 9421, appendices B.1.4 and B.2.6
RFC_SEED = base64.b64decode("n4Ni+HpISpVObnQMW0wOhCKROaIKqKtW/2ZYb2p9KcU=")
RFC_PUBLIC = "JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs="
RFC_INPUT = (
    'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length")'
    ';created=1618884473;keyid="test-key-ed25519"'
)
RFC_SIGNATURE = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
RFC_BASE = """\
"date": Tue, 20 Apr 2021 02:07:55 GMT
"@method": POST
"@path": /foo
"@authority": example.com
"content-type": application/json
"content-length": 18
"@signature-params": ("date" "@method" "@path" "@authority" "content-type" "content-length")\
;created=1618884473;keyid="test-key-ed25519\""""
RFC_MESSAGE = Message(
    "POST",
    "example.com",
    "/foo",
    "param=Value&Pet=dog",
    [
        ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("content-type", "application/json"),
        ("content-length", "18"),
    ],
)

NOW = 1_650_000_000
BODY = b'{"offer":"off_1","quantity":1}'
PRIVATE = Ed25519PrivateKey.from_private_bytes(RFC_SEED)
PUBLIC = PRIVATE.public_key().public_bytes_raw()
COVERED = ("@method", "@authority", "@path", "@query", "content-digest", "idempotency-key")


def digest(body: bytes, name: str = "sha-256") -> str:
    made = hashlib.new(name.replace("-", ""), body).digest()
    return f"{name}=:{base64.b64encode(made).decode()}:"


def signed(
    covered: tuple[str, ...] = COVERED,
    body: bytes = BODY,
    more: list[tuple[str, str]] | None = None,
    label: str = "sig",
    **params: Any,
) -> Message:
    """A request of the till, signed now; `params` change what is said of the signature (None: is not said)."""
    said = {"created": NOW, "keyid": "key_1", "nonce": "n0n0n0n0", "tag": "jifen", **params}
    headers = [("idempotency-key", '"slip 17"'), *([("content-digest", digest(body))] if body else [])]
    headers += more or []
    bare = Message("POST", "points.example.cn", "/v1/redemptions", "capture=true", headers)
    inner = InnerList(
        tuple((name, {}) for name in covered), {name: value for name, value in said.items() if value is not None}
    )
    signature = base64.b64encode(PRIVATE.sign(signature_base(bare, inner))).decode()
    return bare._replace(
        headers=[
            *headers,
            ("signature-input", f"{label}={serialised(inner)}"),
            ("signature", f"{label}=:{signature}:"),
        ]
    )


def checked(message: Message, body: bytes = BODY, now_us: int = NOW * 1_000_000) -> str | None:
    return verify(message, body, PUBLIC, "key_1", now_us)


def test_the_example_of_the_standard() -> None:
    """RFC 9421 B.2.6: the same base, the same signature (Ed25519 is deterministic), the same public key."""
    inner = dictionary(RFC_INPUT)["sig-b26"]
    assert isinstance(inner, InnerList)
    base = signature_base(RFC_MESSAGE, inner)
    assert RFC_BASE == base.decode()
    assert RFC_SIGNATURE == base64.b64encode(PRIVATE.sign(base)).decode()
    assert public_key(RFC_PUBLIC) == PUBLIC


def test_a_good_signature_is_good_within_five_minutes() -> None:
    """To the second, in either direction; the other digest of RFC 9530 and more components are as good."""
    assert "n0n0n0n0" == checked(signed())
    for away in (-AGE_MAX_US, AGE_MAX_US):
        assert checked(signed(), now_us=NOW * 1_000_000 + away)
        with pytest.raises(Invalid):
            checked(signed(), now_us=NOW * 1_000_000 + away + (1 if away > 0 else -1))
    assert checked(signed((*COVERED, "date"), more=[("date", "today"), ("date", "  again\t")]))
    both = [("content-digest", digest(BODY, "sha-512"))]
    assert checked(signed(more=both))
    assert checked(signed(alg="ed25519", expires=NOW + 1))
    assert checked(signed(("@method", "@authority", "@path", "@query", "idempotency-key"), body=b""), b"")


@pytest.mark.parametrize(
    "change",
    [
        {"tag": "other", "expected": None},
        {"keyid": "key_2"},
        {"keyid": None},
        {"nonce": None},
        {"nonce": "short"},
        {"nonce": "n" * 65},
        {"nonce": Token("unquoted")},
        {"created": None},
        {"created": "1650000000"},
        {"created": True},
        {"expires": NOW - 1},
        {"expires": "never"},
        {"alg": "hmac-sha256"},
        {"alg": "none"},
        {"alg": ""},
        {"more_words": 1},
    ],
    ids=str,
)
def test_what_is_said_of_the_signature(change: dict[str, Any]) -> None:
    """Another algorithm, name, time, or a word that we do not know: refused, though the signature over it is right."""
    if "expected" in change:
        assert checked(signed(tag=change["tag"])) is None
        return
    with pytest.raises(Invalid):
        checked(signed(**change))


@pytest.mark.parametrize("left_out", COVERED)
def test_all_that_matters_is_covered(left_out: str) -> None:
    """A right signature over less than everything is refused."""
    with pytest.raises(Invalid):
        checked(signed(tuple(name for name in COVERED if name != left_out)))


def test_another_request_under_the_same_signature() -> None:
    """Method, host, path, query, retry key, body: each changed alone; and a body put in where there was none."""
    good = signed()
    headers = list(good.headers)

    def without(name: str, *instead: tuple[str, str]) -> Message:
        return good._replace(headers=[one for one in headers if one[0] != name] + list(instead))

    others: list[tuple[Message, bytes]] = [
        (good._replace(method="PUT"), BODY),
        (good._replace(authority="points.example.com"), BODY),
        (good._replace(authority=""), BODY),
        (good._replace(path="/v1/redemptions/"), BODY),
        (good._replace(path="/v1/%72edemptions"), BODY),
        (good._replace(query="capture=false"), BODY),
        (good._replace(query=""), BODY),
        (good, BODY.replace(b"1}", b"9}")),
        (good, b""),
        (without("content-digest"), BODY),
        (without("content-digest", ("content-digest", digest(b"other"))), b"other"),
        (good._replace(headers=[*headers, ("content-digest", digest(b"other"))]), BODY),
        (without("content-digest", ("content-digest", "md5=:AAAA:")), BODY),
        (without("idempotency-key"), BODY),
        (without("idempotency-key", ("idempotency-key", '"slip 18"')), BODY),
        (good._replace(headers=[*headers, ("idempotency-key", '"slip 18"')]), BODY),
        (without("signature"), BODY),
        (without("signature", ("signature", "sig=?1")), BODY),
        (without("signature", ("signature", "sig=(:AAAA:)")), BODY),
        (without("signature", ("signature", "sig=:" + base64.b64encode(bytes(64)).decode() + ":")), BODY),
        (without("signature-input", ("signature-input", 'sig=("@method";req);tag="jifen"')), BODY),
        (without("signature-input", ("signature-input", "sig=(")), BODY),
    ]
    for number, (message, body) in enumerate(others):
        with pytest.raises(Invalid):
            checked(message, body)
            pytest.fail(f"number {number} was taken")
    many = [(f"x-{number}", "") for number in range(27)]
    with pytest.raises(Invalid):
        checked(signed((*COVERED, *(name for name, _ in many)), more=many))
    bare = signed(("@method", "@authority", "@path", "@query", "idempotency-key"), body=b"")
    with pytest.raises(Invalid):
        checked(bare, BODY)


def test_signatures_for_others_are_not_looked_at() -> None:
    """A proxy may add its own under another tag; two for us are one too many, whatever they are worth."""
    ours = signed()
    theirs = [("signature-input", 'proxy=("@method");tag="theirs"'), ("signature", "proxy=:AAAA:")]
    assert checked(ours._replace(headers=[*theirs, *ours.headers])) == "n0n0n0n0"
    assert checked(ours._replace(headers=theirs)) is None
    assert checked(ours._replace(headers=[])) is None
    second = signed(label="again")
    with pytest.raises(Invalid):
        checked(ours._replace(headers=[*ours.headers, *list(second.headers)[-2:]]))


def test_the_port_that_goes_without_saying() -> None:
    """The client signs the name it calls; the server behind a proxy may see it with a port, or in capitals."""
    for seen in ("points.example.cn:443", "Points.Example.CN"):
        assert checked(signed()._replace(authority=seen))
    with pytest.raises(Invalid):
        checked(signed()._replace(authority="points.example.cn:8443"))


@given(st.data())
def test_no_byte_can_be_changed(data: Any) -> None:
    """Any one character of what was covered, its digest, or the signature, replaced: refused."""
    good = signed()
    headers = list(good.headers)
    which = data.draw(st.integers(0, len(headers) - 1))
    name, value = headers[which]
    at = data.draw(st.integers(0, len(value) - 1))
    character = data.draw(st.sampled_from([chr(c) for c in range(0x20, 0x7F)]).filter(lambda c: c != value[at]))
    headers[which] = (name, value[:at] + character + value[at + 1 :])
    with contextlib.suppress(Invalid):
        assert checked(good._replace(headers=headers)) is None  # the tag itself was changed, so nobody has signed


@given(st.text(alphabet='ab1:;=,()?"\\ -*.A/\t', max_size=40))
def test_fields_are_read_in_one_way(text: str) -> None:
    """Whatever stands in a field is refused, or is read as a value that is written and read again to the same."""
    try:
        members = dictionary(text)
    except Malformed:
        return
    for key, member in members.items():
        if isinstance(member, InnerList):
            assert member == dictionary(f"{key}={serialised(member)}")[key]


@pytest.mark.parametrize(
    "text",
    [
        "a=1,",
        "a=1 b=2",
        "a=1,a=2",
        "A=1",
        'a="x',
        'a="é"',
        "a=:AA:",
        "a=:AAF=:",
        "a=1.5",
        "a=1234567890123456",
        "a=@1650000000",
        'a=%"x"',
        "a=(1",
        "a=(1 2)x",
        'a=("x""y")',
        "a=();b=1;b=2",
        "a=?2",
        "a=",
    ],
)
def test_fields_that_are_none(text: str) -> None:
    """What RFC 9651 does not allow, and the few things that we do not take from it."""
    with pytest.raises(Malformed):
        dictionary(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "AAAA",
        RFC_PUBLIC.rstrip("="),
        f" {RFC_PUBLIC}",
        base64.b64encode(bytes(33)).decode(),
        base64.b64encode(bytes(32)).decode(),
        base64.b64encode(bytes([1, *bytes(31)])).decode(),
        base64.b64encode((2**255 - 20).to_bytes(32, "little")).decode(),
        "JuiVj8KyJ7BFw/SJ8u+Y8NXfrAXTxjM5sTgCiG1T/AU=",
        "xxdqcD1N2E+6PAt2DRBnDyogU/osOczGTsf9d5KsA3o=",
    ],
)
def test_public_keys_that_are_none(text: str) -> None:
    """Not 32 bytes in the one spelling of base64, or a point under which anybody's signature is good."""
    assert public_key(text) is None
