# SPDX-License-Identifier: Apache-2.0
"""The example in docs/signatures.md, byte by byte: the server takes it, the client would have sent it."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.identity.signatures import Message, public_key, signature_base, verify
from api.identity.structured import InnerList, dictionary
from tests.reference_client import client
from tests.test_signatures import RFC_SEED
from tests.tree import ROOT

DOC = (ROOT / "docs/signatures.md").read_text("utf-8")
REQUEST, BASE, FIELDS = re.findall(r"```(?:http|text)\n(.*?)\n```", DOC, re.DOTALL)
SHELL = re.findall(r"```sh\n(.*?)\n```", DOC, re.DOTALL)[0]
PRIVATE = Ed25519PrivateKey.from_private_bytes(RFC_SEED)


def fields(text: str) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, _, value in (line.partition(": ") for line in text.splitlines())]


def example() -> tuple[Message, bytes]:
    head, _, body = REQUEST.partition("\n\n")
    first, _, rest = head.partition("\n")
    method, target, _ = first.split(" ")
    path, _, query = target.partition("?")
    headers = [*fields(rest), *fields(FIELDS)]
    return Message(method, dict(headers)["host"], path, query, headers), body.encode()


def test_the_server_takes_the_example() -> None:
    """Its base is the one that is printed, its signature is good, and it is not good for another key or day."""
    message, body = example()
    covered = dictionary(dict(message.headers)["signature-input"])["sig"]
    assert isinstance(covered, InnerList)
    assert BASE == signature_base(message, covered).decode()
    created = covered.params["created"]
    assert isinstance(created, int)
    public = PRIVATE.public_key().public_bytes_raw()
    assert "w3kZb0sNqPfT" == verify(message, body, public, "key_5d2rq7", created * 1_000_000)


def test_the_client_sends_the_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At that second, with that nonce, it would be the same bytes."""
    pem = PRIVATE.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    message, body = example()
    monkeypatch.setattr(client.secrets, "token_urlsafe", lambda _length: "w3kZb0sNqPfT")
    monkeypatch.setattr(time, "time", lambda: 1763800000.5)
    signer = client.Signer("jk_5d2rq7_secret", tmp_path / "key.pem")
    sent = {"host": "points.example.cn", "idempotency-key": '"slip-17"'}
    said = {name: value for name, value in fields(FIELDS) if name != "authorization"}
    for host in ("points.example.cn", "Points.example.cn:443"):
        assert said == signer.signed("POST", "/v1/redemptions?capture=true", {**sent, "host": host}, body)
    assert message.method == "POST"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")
def test_the_commands_make_a_key(tmp_path: Path) -> None:
    """What the two commands print is a public key, and the file is one that the client signs with."""
    done = subprocess.run(["sh", "-ec", SHELL], cwd=tmp_path, capture_output=True, text=True, timeout=20, check=True)
    made = public_key(done.stdout.strip())
    private = form.load_pem_private_key((tmp_path / "till.pem").read_bytes(), None)
    assert isinstance(private, Ed25519PrivateKey)
    assert made is not None
    assert made == private.public_key().public_bytes_raw() == base64.b64decode(done.stdout)
    client.Signer("jk_5d2rq7_secret", tmp_path / "till.pem")
