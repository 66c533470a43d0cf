# SPDX-License-Identifier: Apache-2.0
"""Signing in with an identity provider: a small one stands here, and says whatever a bad day has it say."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt import algorithms

from api.identity.oidc import Provider
from api.settings import OidcSettings, SettingsError, read
from tests.doors import HERE, HOUR, MINUTE, PASSWORD, Doors, deployment, doors, opened

__all__ = ["deployment", "doors", "opened"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

ISSUER = "https://id.example.org/realms/county"
CLIENT = "jifen"
BACK = "https://jifen.example.org/desk"
CLERK, ADMIN = ("community_staff", HERE), ("county_admin", HERE)
KEYS: dict[str, Any] = {
    "k1": rsa.generate_private_key(65537, 2048),
    "k2": ec.generate_private_key(ec.SECP256R1()),
    "stranger": rsa.generate_private_key(65537, 2048),
}


def _jwk(kid: str, **more: Any) -> dict[str, Any]:
    key = KEYS[kid]
    kind: Any = algorithms.RSAAlgorithm if kid != "k2" else algorithms.ECAlgorithm
    return {**json.loads(kind.to_jwk(key.public_key())), "kid": kid, "use": "sig", **more}


class Town:
    """The identity provider of the county. `sub` is who sits before the browser."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self.sub = "0f1e-li"
        self.auth_time: int | None = None
        self.kid, self.alg = "k1", "RS256"
        self.published = [_jwk("k1"), _jwk("k2"), {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"}]
        self.claims: dict[str, Any] = {}
        self.header: dict[str, Any] = {}
        self.secret = "s3cret"
        self.asked: list[str] = []
        self.down = False
        self._codes: dict[str, dict[str, str]] = {}

    def visit(self, url: str) -> dict[str, str]:
        """What the browser comes back with."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert (CLIENT, BACK, "code", "S256") == tuple(
            asked[name] for name in ("client_id", "redirect_uri", "response_type", "code_challenge_method")
        )
        code = f"code{len(self._codes)}"
        self._codes[code] = asked
        return {"code": code, "state": asked["state"], "iss": ISSUER}

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path.rpartition("/")[2])
        if self.down:
            return httpx.Response(502)
        if request.url.path.endswith("/openid-configuration"):
            about = {
                name: f"{ISSUER}/{path}" for name, path in (("authorization_endpoint", "auth"), ("jwks_uri", "keys"))
            }
            return httpx.Response(200, json={"issuer": ISSUER, "token_endpoint": f"{ISSUER}/token", **about})
        if request.url.path.endswith("/keys"):
            return httpx.Response(200, json={"keys": self.published})
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        asked = self._codes.pop(form["code"], None)
        basic = base64.b64encode(f"{CLIENT}:{self.secret}".encode()).decode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        if asked is None or request.headers["authorization"] != f"Basic {basic}" or form["redirect_uri"] != BACK:
            return httpx.Response(400, json={"error": "invalid_grant"})
        if asked["code_challenge"] != challenge.decode():
            return httpx.Response(400, json={"error": "invalid_grant"})
        return httpx.Response(200, json={"id_token": self.token(asked), "token_type": "Bearer"})

    def token(self, asked: dict[str, str]) -> str:
        now = self._doors.now // 1_000_000
        claims = {"iss": ISSUER, "aud": CLIENT, "sub": self.sub, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        if self.auth_time is not None or "max_age" in asked:
            claims["auth_time"] = now if self.auth_time is None else self.auth_time
        claims = {name: value for name, value in {**claims, **self.claims}.items() if value is not None}
        header = {name: value for name, value in {"kid": self.kid, **self.header}.items() if value is not None}
        if self.alg in ("none", "HS256"):
            return _by_hand({"alg": self.alg, **header}, claims)
        return jwt.encode(claims, KEYS[self.kid], algorithm=self.alg, headers=header)


def _by_hand(header: dict[str, Any], claims: dict[str, Any]) -> str:
    """A token that no library would make: unsigned, or with the public key for a secret."""

    def text(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    said = f"{text(json.dumps(header).encode())}.{text(json.dumps(claims).encode())}"
    public = KEYS["k1"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return f"{said}.{text(hmac.digest(public, said.encode(), hashlib.sha256)) if header['alg'] == 'HS256' else ''}"


@pytest.fixture
def town(doors: Doors, tmp_path: Path) -> Iterator[Town]:
    made = Town(doors)
    file = tmp_path / "client-secret"
    file.write_text("s3cret\n")
    settings = OidcSettings(ISSUER, CLIENT, BACK, file)
    secret = doors.world.keys.secret
    doors.world.oidc = Provider(settings, doors.world.ledger, secret, httpx.MockTransport(made.answer))
    yield made
    doors.world.oidc = None


async def _linked(doors: Doors, town: Town, sub: str = "0f1e-li") -> str:
    """An account for Li, linked; its id."""
    town.sub = f"{sub}{doors.name('')}"
    await doors.hire("admin", ADMIN)
    id_ = await doors.hire("li", CLERK)
    await doors.done(await doors.token("admin"), "PUT", f"/staff/{id_}/oidc", {"sub": town.sub})
    return id_


async def _back(doors: Doors, town: Town, **asked: Any) -> dict[str, Any]:
    begun = await doors.done("", "POST", "/oidc/authorizations", asked or None)
    return {**town.visit(begun["url"]), "transaction": begun["transaction"]}


async def _sign_in(doors: Doors, town: Town, **more: Any) -> str:
    """The code of the refusal; "" where there is a session."""
    return await doors.code("", "POST", "/oidc/sessions", {**await _back(doors, town), **more})


async def test_whoever_the_provider_vouches_for_is_signed_in(doors: Doors, town: Town) -> None:
    """By either kind of key; the session is that of the linked account, and may be narrowed."""
    id_ = await _linked(doors, town)
    for town.kid, town.alg in (("k1", "RS256"), ("k2", "ES256"), ("k1", "PS256")):
        held = await doors.done("", "POST", "/oidc/sessions", await _back(doors, town))
        assert "awards:write" in held["scopes"]
        assert id_ == (await doors.done(held["token"], "GET", f"/staff/{id_}"))["id"]
    narrow = await doors.done("", "POST", "/oidc/sessions", {**await _back(doors, town), "scopes": ["lists:read"]})
    assert ["lists:read"] == narrow["scopes"]
    rows = await doors.world.ledger.fetch("SELECT oidc FROM staff WHERE id = ?", id_)
    assert rows[0][0] and "0f1e" not in rows[0][0]


BAD: dict[str, dict[str, Any]] = {
    "no signature": {"alg": "none"},
    "the public key as a secret": {"alg": "HS256"},
    "the same without a key id": {"alg": "HS256", "header": {"kid": None}},
    "a key of nobody": {"kid": "stranger"},
    "a key of nobody under a known id": {"kid": "stranger", "header": {"kid": "k1"}},
    "a shared key": {"alg": "HS256", "header": {"kid": "shared"}},
    "a key of the other kind": {"header": {"kid": "k2"}},
    "no key id, and two keys": {"header": {"kid": None}},
    "another issuer": {"claims": {"iss": "https://id.example.org/realms/other"}},
    "for another": {"claims": {"aud": "till"}},
    "for nobody": {"claims": {"aud": None}},
    "for us and another, meant for the other": {"claims": {"aud": [CLIENT, "till"], "azp": "till"}},
    "for us and another, meant for nobody": {"claims": {"aud": [CLIENT, "till"]}},
    "another nonce": {"claims": {"nonce": "n"}},
    "no nonce": {"claims": {"nonce": None}},
    "run out": {"claims": {"exp": 1}},
    "without an end": {"claims": {"exp": None}},
    "an end that is no time": {"claims": {"exp": "tomorrow"}},
    "from tomorrow": {"claims": {"iat": 2**33}},
    "good from tomorrow": {"claims": {"nbf": 2**33}},
    "nobody": {"claims": {"sub": ""}},
    "no subject": {"claims": {"sub": None}},
    "a critical extension": {"header": {"crit": ["x"], "x": 1}},
}


async def test_answers_that_do_not_hold_sign_nobody_in(doors: Doors, town: Town) -> None:
    """All with one answer, which does not say why; before and after each, one that holds does."""
    await _linked(doors, town)
    good = dict(vars(town))
    for what, change in BAD.items():
        assert "" == await _sign_in(doors, town)
        vars(town).update(change)
        assert "oidc_refused" == await _sign_in(doors, town), what
        vars(town).update(good)


async def test_what_is_under_way_is_bound_to_its_browser(doors: Doors, town: Town) -> None:
    """Another's state, another's transaction, one from yesterday, one that was changed, another issuer's answer."""
    await _linked(doors, town)
    mine, other = await _back(doors, town), await _back(doors, town)
    wrong = [
        {**mine, "state": other["state"]},
        {**mine, "transaction": other["transaction"]},
        {**other, "code": mine["code"]},
        {**mine, "transaction": mine["transaction"][:-6] + "AAAAAA"},
        {**mine, "transaction": "x"},
        {**mine, "iss": "https://id.example.org/realms/other"},
    ]
    for body in wrong:
        assert "oidc_refused" == await doors.code("", "POST", "/oidc/sessions", body)
    late = await _back(doors, town)
    doors.now += 10 * MINUTE
    assert "oidc_refused" == await doors.code("", "POST", "/oidc/sessions", late)


async def test_an_answer_signs_in_once(doors: Doors, town: Town) -> None:
    """However many bring it at once, and even to a provider that takes a code twice."""
    await _linked(doors, town)
    back = await _back(doors, town)
    codes = await asyncio.gather(*(doors.code("", "POST", "/oidc/sessions", back) for _ in range(5)))
    assert 1 == codes.count("") and 4 == codes.count("oidc_refused")
    assert 1 == town.asked.count("token")


async def test_only_a_linked_account_is_signed_in_and_none_is_made(doors: Doors, town: Town) -> None:
    """Not an unknown identity, not a closed account, not one that was unlinked; a link is nobody else's."""
    id_ = await _linked(doors, town)
    admin, known = await doors.token("admin"), town.sub
    accounts = await doors.world.ledger.fetch("SELECT COUNT(*) FROM staff")
    town.sub = "somebody else"
    assert "oidc_unlinked" == await _sign_in(doors, town)
    assert accounts == await doors.world.ledger.fetch("SELECT COUNT(*) FROM staff")
    town.sub = known
    wu = await doors.hire("wu", CLERK)
    assert "already_registered" == await doors.code(admin, "PUT", f"/staff/{wu}/oidc", {"sub": known})
    assert "forbidden" == await doors.code(await doors.token("wu"), "PUT", f"/staff/{wu}/oidc", {"sub": "wu"})
    held = await doors.done("", "POST", "/oidc/sessions", await _back(doors, town))
    await doors.done(admin, "DELETE", f"/staff/{id_}/oidc")
    assert "unauthenticated" == await doors.code(held["token"], "GET", "/sessions")
    assert "oidc_unlinked" == await _sign_in(doors, town)
    await doors.done(admin, "PUT", f"/staff/{wu}/oidc", {"sub": known})
    await doors.done(admin, "PATCH", f"/staff/{wu}", {"state": "closed"})
    assert "oidc_unlinked" == await _sign_in(doors, town)


async def test_a_session_at_the_provider_is_no_proof_of_who_sits_here_now(doors: Doors, town: Town) -> None:
    """Step-up asks for one that was shown anew, by the account's own owner."""
    own = f"/staff/{await _linked(doors, town)}"
    town.auth_time = doors.now // 1_000_000 - 3600
    token = (await doors.done("", "POST", "/oidc/sessions", await _back(doors, town)))["token"]
    change = {"password": "my own bicycle"}
    assert "step_up_required" == await doors.code(token, "PATCH", own, change)
    old = await _back(doors, town, anew=True)
    assert "oidc_refused" == await doors.code(token, "POST", "/oidc/proofs", old)
    town.auth_time, li = None, town.sub
    town.sub = "somebody else"
    assert "oidc_unlinked" == await doors.code(token, "POST", "/oidc/proofs", await _back(doors, town, anew=True))
    town.sub = li
    await doors.done(token, "POST", "/oidc/proofs", await _back(doors, town, anew=True))
    await doors.done(token, "PATCH", own, change)


async def test_new_keys_are_looked_for_once_a_minute(doors: Doors, town: Town) -> None:
    """The provider has changed its keys; strangers who invent key ids do not make us ask it more often."""
    await _linked(doors, town)
    town.published = [_jwk("k2")]
    assert "oidc_refused" == await _sign_in(doors, town)  # k1
    for _ in range(3):
        assert "oidc_refused" == await _sign_in(doors, town)
    assert 1 == town.asked.count("keys")
    town.published = [_jwk("k1")]
    doors.now += 2 * MINUTE
    assert "" == await _sign_in(doors, town)
    assert 2 == town.asked.count("keys")


async def test_a_provider_that_is_down_is_said_to_be(doors: Doors, town: Town) -> None:
    """Nothing was decided: try again, or use the password."""
    await _linked(doors, town)
    back = await _back(doors, town)
    town.down = True
    answer = await doors.call("", "POST", "/oidc/sessions", back)
    assert (503, "oidc_unavailable", "10") == (
        answer.status_code, answer.json()["code"], answer.headers["Retry-After"]
    )  # fmt: skip
    doors.now += 2 * HOUR
    assert "oidc_unavailable" == await doors.code("", "POST", "/oidc/authorizations")
    assert "" == await doors.tries("li", PASSWORD)


async def test_without_a_provider_there_is_nothing_to_begin(doors: Doors) -> None:
    """Each of its calls says so."""
    await doors.hire("admin", ADMIN)
    admin = await doors.token("admin")
    body = {"code": "c", "state": "s", "transaction": "t"}
    assert "oidc_off" == await doors.code("", "POST", "/oidc/authorizations")
    assert "oidc_off" == await doors.code("", "POST", "/oidc/sessions", body)
    assert "oidc_off" == await doors.code(admin, "POST", "/oidc/proofs", body)
    assert "oidc_off" == await doors.code(admin, "PUT", f"/staff/{doors.staff['admin']}/oidc", {"sub": "x"})


async def test_settings_are_whole_and_on_https(tmp_path: Path) -> None:
    """A provider without a client, over http, or with a secret file that is not there, is refused at start."""
    whole = {"JIFEN_OIDC_ISSUER": ISSUER, "JIFEN_OIDC_CLIENT_ID": CLIENT, "JIFEN_OIDC_REDIRECT_URI": BACK}
    assert OidcSettings(ISSUER, CLIENT, BACK) == read(whole).oidc
    wrong = [{k: v for k, v in whole.items() if k != name} for name in whole]
    wrong += [{**whole, "JIFEN_OIDC_ISSUER": url} for url in ("http://id.example.org", "id.example.org", "https://[")]
    wrong += [{**whole, "JIFEN_OIDC_CLIENT_SECRET_FILE": str(tmp_path / "none")}]
    for environ in wrong:
        with pytest.raises(SettingsError, match="JIFEN_OIDC_"):
            read(environ)
