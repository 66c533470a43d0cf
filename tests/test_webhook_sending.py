# SPDX-License-Identifier: Apache-2.0
"""Sending one message: where it may go, what a hostile receiver can do to it, and that it can be believed."""

from __future__ import annotations

import asyncio
import base64
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import NameOID
from standardwebhooks import Webhook, WebhookVerificationError

from api.webhooks import sending, signing
from api.webhooks.addresses import NoPublicAddress, Resolver, Target, is_public, parse
from api.webhooks.sending import Sent, send
from tests.receivers import Behaviour, drips, listening, receiving, says

PUBLIC = "1.1.1.1 93.184.215.14 100.63.0.1 172.15.0.1 172.32.0.1 2606:4700::1111 2a00:1450::1 64:ff9b::101:101"
CLOSED = (
    "127.0.0.1 127.9.9.9 0.0.0.0 10.1.2.3 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254 100.64.0.1 "
    "100.127.255.255 192.0.0.170 192.0.2.1 198.18.0.1 198.51.100.7 203.0.113.7 224.0.0.1 240.0.0.1 255.255.255.255 "
    ":: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 fe80::1 fec0::1 fc00::1 fd00:ec2::254 "
    "ff02::1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 2001:db8::1 2001::1 2002:7f00:1::1 2002:a9fe:a9fe::1 "
    "100::1 3fff::1 5f00::1"
)


def test_which_addresses_are_public() -> None:
    """Loopback, private, link-local, shared, reserved and multicast ones are not, nor IPv6 that wraps such a one."""
    assert [] == [one for one in PUBLIC.split() if not is_public(ip_address(one))]
    assert [] == [one for one in CLOSED.split() if is_public(ip_address(one))]


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.org/",
        "ftp://hooks.example.org/",
        "//hooks.example.org/",
        "https://",
        "https:///path",
        "https://user:word@hooks.example.org/",
        "https://user@hooks.example.org/",
        "https://hooks.example.org@127.0.0.1/",
        "https://hooks.example.org/#part",
        "https://hooks.example.org\\@127.0.0.1/",
        "https://hooks.example.org/a b",
        "https://hooks.example.org/\r\nX-More: 1",
        "https://hooks.example.org/\t",
        "https://例子.测试/",
        "https://hooks.example.org:22/",
        "https://hooks.example.org:80/",
        "https://hooks.example.org:0/",
        "https://hooks.example.org:70000/",
        "https://hooks.example.org:x/",
        f"https://{'a' * 64}.example.org/",
        f"https://hooks.example.org/{'a' * 500}",
        "https://[::1]/",
        "https://[fe80::1%25eth0]/",
        "https://[::ffff:127.0.0.1]:8443/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://169.254.169.254./latest/meta-data",
    ],
)
def test_addresses_that_are_refused_unseen(url: str) -> None:
    """Whatever is no https address of the web, or says by itself that it lies within."""
    with pytest.raises(ValueError):
        parse(url)


def test_addresses_that_are_taken() -> None:
    """With their query; the port is said in the Host header where it is not the usual one."""
    taken = parse("https://Hooks.Example.org:8443/a?b=c")
    assert (Target(True, "hooks.example.org", 8443, "/a?b=c"), "hooks.example.org:8443") == (taken, taken.authority)
    assert "[2606:4700::1111]" == parse("https://[2606:4700::1111]").authority
    assert "/" == parse("https://hooks.example.org").path
    assert not parse("http://127.0.0.1:8080/", private=True).tls


async def _resolved(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> tuple[Resolver, list[str]]:
    """A resolver that is told these addresses, one answer after the other; and the names it was asked for."""
    asked: list[str] = []

    def look_up(host: str, port: int, **_: Any) -> Any:
        found = answers[min(len(asked), len(answers) - 1)]
        asked.append(host)
        if not found:
            raise OSError("no such name")
        return [(2, 1, 6, "", (address, port)) for address in found]

    monkeypatch.setattr("api.webhooks.addresses.socket.getaddrinfo", look_up)
    return Resolver(), asked


async def test_a_name_within_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """One private address among public ones is enough; and it is not told apart from a name that does not exist."""
    target = parse("https://hooks.example.org/")
    for found in ([], ["10.0.0.1"], ["1.1.1.1", "10.0.0.1"], ["1.1.1.1", "::1"], ["fe80::1%eth0"]):
        resolver, _ = await _resolved(monkeypatch, found)
        with pytest.raises(NoPublicAddress):
            await resolver.addresses(target)
        assert "no_public_address" == (await send(target, {}, b"{}", resolver, private=False)).outcome
        resolver.close()


async def test_names_that_nobody_answers_for_keep_only_their_own_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often somebody has such a name asked for, one thread waits; everybody else's names are found at once."""
    silence, asked = threading.Event(), []

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        if host.startswith("slow"):
            silence.wait(20)
        return [(2, 1, 6, "", ("93.184.215.14", port))]

    monkeypatch.setattr("api.webhooks.addresses.socket.getaddrinfo", look_up)
    resolver = Resolver()
    slow = [parse(f"https://slow{n}.example.org/") for n in range(50)]
    try:
        tries = [send(one, {}, b"{}", resolver, private=False, whose="whk_1", seconds=0.1) for one in slow]
        assert {"timed_out"} == {sent.outcome for sent in await asyncio.gather(*tries)}
        good = parse("https://good.example.org/")
        found = await asyncio.wait_for(resolver.addresses(good, whose="whk_2"), 5)
        assert (["93.184.215.14"], ["slow0.example.org", "good.example.org"]) == (found, asked)
        silence.set()
        assert found == await asyncio.wait_for(resolver.addresses(good, whose="whk_1"), 5)
    finally:
        silence.set()
        resolver.close()


async def test_a_name_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is connected to is what was looked at: a name that moves inwards in between gains nothing."""
    resolver, asked = await _resolved(monkeypatch, ["93.184.215.14"], ["127.0.0.1"])
    connected: list[Any] = []

    async def connect(host: str, port: int, **options: Any) -> Any:
        connected.append((host, port, options.get("server_hostname")))
        raise OSError("not now")

    monkeypatch.setattr(asyncio, "open_connection", connect)
    sent = await send(parse("https://hooks.example.org/"), {}, b"{}", resolver, private=False)
    assert ("no_connection", ["hooks.example.org"]) == (sent.outcome, asked)
    assert [("93.184.215.14", 443, "hooks.example.org")] == connected
    resolver.close()


OK = b"HTTP/1.1 200 OK\r\n"
HOSTILE: dict[str, tuple[Behaviour, str]] = {
    "says nothing": (says(close=False), "timed_out"),
    "hangs up": (says(), "not_http"),
    "drips its head": (drips(OK, b"x", 0.01), "timed_out"),
    "drips headers": (drips(OK, b"a: b\r\n", 0.001), "timed_out"),
    "a head without end": (drips(OK, b"x-more: " + b"y" * 2000 + b"\r\n"), "not_http"),
    "one header without end": (drips(OK + b"a: ", b"y" * 4096), "not_http"),
    "a body without end": (drips(OK + b"content-length: 99999999999\r\n\r\n", b"z" * 65536), "delivered"),
    "chunks without end": (drips(OK + b"transfer-encoding: chunked\r\n\r\n", b"5\r\nabcde\r\n"), "delivered"),
    "a lie about its length": (says(OK + b"content-length: 5\r\n\r\n123456789"), "delivered"),
    "two lengths": (says(OK + b"content-length: 5\r\ncontent-length: 6\r\n\r\n"), "not_http"),
    "not HTTP": (says(b"SSH-2.0-OpenSSH_9.9\r\n"), "not_http"),
    "a redirect within": (says(b"HTTP/1.1 302 F\r\nlocation: http://169.254.169.254/\r\n\r\n"), "redirected"),
    "a redirect for good": (says(b"HTTP/1.1 308 P\r\nlocation: http://127.0.0.1/\r\n\r\n"), "redirected"),
    "gone": (says(b"HTTP/1.1 410 Gone\r\n\r\n"), "gone"),
    "continues for ever": (drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "not_http"),
    "another protocol": (says(b"HTTP/1.1 101 S\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"), "not_http"),
    "a status of its own": (says(b"HTTP/1.1 799 What\r\n\r\n"), "refused"),
    "a status that is none": (says(b"HTTP/1.1 99999 What\r\n\r\n"), "not_http"),
    "only after early hints": (says(b"HTTP/1.1 103 E\r\nlink: <x>\r\n\r\n", OK + b"\r\n", pause=0.05), "delivered"),
    "asks to wait for ever": (says(b"HTTP/1.1 503 S\r\nretry-after: 99999999\r\n\r\n"), "refused"),
    "asks to wait till a day": (
        says(b"HTTP/1.1 429 S\r\nretry-after: Fri, 31 Dec 2099 23:59:59 GMT\r\n\r\n"),
        "refused",
    ),
    "NULs": (says(OK + b"a: \0\0\0\r\n\r\n"), "not_http"),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_receivers(name: str) -> None:
    """Whatever it does, it is over in time and comes to one of our own words."""
    behaviour, expected = HOSTILE[name]
    resolver = Resolver()
    async with listening(behaviour) as port:
        began = time.monotonic()
        target = parse(f"http://127.0.0.1:{port}/", private=True)
        sent = await send(target, {}, b"{}", resolver, private=True, seconds=0.4)
    assert (expected, True) == (sent.outcome, time.monotonic() - began < 2), sent
    assert 0 <= sent.wait_s <= 12 * 3600
    resolver.close()


async def test_a_receiver_that_reads_nothing() -> None:
    """A large body that is not taken from us ends as any silence does."""

    async def stares(_reader: Any, _writer: Any) -> None:
        await asyncio.sleep(5)

    resolver = Resolver()
    async with listening(stares) as port:
        target = parse(f"http://127.0.0.1:{port}/", private=True)
        sent = await send(target, {}, b"x" * 20_000_000, resolver, private=True, seconds=0.3)
    assert "timed_out" == sent.outcome
    resolver.close()


async def test_what_is_sent() -> None:
    """One POST of JSON with its query, closed at once; nothing of the answer but its status and its wish to wait."""
    resolver = Resolver()
    async with receiving() as receiver:
        receiver.status, receiver.more = 503, "Retry-After: 120\r\n"
        sent = await send(parse(receiver.url, private=True), {"webhook-id": "evt_1"}, b"{}", resolver, private=True)
    assert Sent("refused", 503, 120, sent.ms) == sent
    (message,) = receiver.got
    assert ("POST /hook?for=jifen HTTP/1.1", f"127.0.0.1:{receiver.port}") == (message.request, message.headers["host"])
    assert ("application/json", "close") == (message.headers["content-type"], message.headers["connection"])
    resolver.close()


def _certificate(folder: Path, name: str) -> ssl.SSLContext:
    """A server's context with a certificate for this name, which is its own authority in `ca.pem`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), 7, now - timedelta(1), now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    no_password = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password)
    (folder / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    return context


async def test_the_certificate_is_the_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The address is connected to, and yet the certificate must be trusted and be that of the name."""
    context = _certificate(tmp_path, "hooks.example.org")
    resolver, _ = await _resolved(monkeypatch, ["127.0.0.1"])
    async with listening(says(OK + b"\r\n"), context) as port:

        async def outcome(name: str) -> str:
            target = parse(f"https://{name}:{port}/", private=True)
            return (await send(target, {}, b"{}", resolver, private=True, seconds=2)).outcome

        assert "bad_tls" == await outcome("hooks.example.org")
        trusting = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        monkeypatch.setattr(sending, "_tls", lambda: trusting)
        assert "delivered" == await outcome("hooks.example.org")
        assert "bad_tls" == await outcome("other.example.org")
    async with listening(says(b"\x15\x03\x01\x00\x02\x02\x28")) as port:
        assert "bad_tls" == await outcome("hooks.example.org")
    resolver.close()


def test_signatures() -> None:
    """The standard's own library takes `v1`; `v1a` is Ed25519 over the same bytes; either fails for another body."""
    secrets = signing.secrets_of(bytes(32), "whk_1", b"a" * 16)
    former = signing.secrets_of(bytes(32), "whk_1", b"b" * 16)
    body = '{"type":"entry.award"}'
    now = int(time.time())
    headers = signing.headers("evt_1", now, body.encode(), [secrets, former])
    for one in (secrets, former):
        assert one.secret.startswith("whsec_") and one.public_key.startswith("whpk_")
        assert {"type": "entry.award"} == Webhook(one.secret).verify(body, headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(one.secret).verify(body.replace("award", "deduct"), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(signing.secrets_of(bytes(32), "whk_2", b"a" * 16).secret).verify(body, headers)
    asymmetric = [one[4:] for one in headers["webhook-signature"].split() if one.startswith("v1a,")]
    for one, signature in zip((secrets, former), asymmetric, strict=True):
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(one.public_key.removeprefix("whpk_")))
        public.verify(base64.b64decode(signature), f"evt_1.{now}.{body}".encode())
    assert 4 == len(headers["webhook-signature"].split())
