# SPDX-License-Identifier: Apache-2.0
"""Signing in with the county's own identity provider: OpenID Connect, authorization code with PKCE (RFC 7636).

The provider says who somebody is there (`sub`); an administrator has said which account here that is. Nothing of the
provider's tokens is kept, and no account is ever made because of one. What is under way between the two visits of the
browser is sealed and kept by the browser itself, not by us, so that nobody can fill our tables with beginnings.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

import orjson

from api.counting import Counting
from api.settings import OidcSettings, safe_address
from ledger import keys
from ledger.engine import Ledger
from ledger.errors import Refusal, Unavailable

if TYPE_CHECKING:
    import httpx  # not at run time: only deployments with a provider load it, and PyJWT

log = logging.getLogger("jifen.oidc")

# Signatures with a public key only: a secret of ours or nobody's (`none`) proves nothing.
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
KEY_TYPES = ("RSA", "EC", "OKP")
UNDER_WAY_US = 10 * 60 * 1_000_000
LEEWAY_S = 60
FRESH_S = 300  # how long ago somebody may have signed in there to count as having done so now
KNOWN_US = 3_600_000_000  # how long what the provider publishes is believed
AGAIN_US = 60_000_000  # an unknown key is looked for at most once in so long
BYTES_MAX = 256 * 1024
_AAD = b"jifen/oidc"


class Start(NamedTuple):
    """Where to send the browser, and what it must bring back with the answer."""

    url: str
    transaction: str
    expires_at: int


class Identity(NamedTuple):
    """Whom the provider vouches for: a keyed digest of issuer and `sub`, and when they last showed who they are (µs,
    0 where it does not say)."""

    digest: str
    proved_at: int


class _Wrong(Exception):
    """What is wrong with an answer; for the log, without a word of what it said."""


class Provider:
    """One identity provider. `secret` is the deployment's; `transport` is for tests."""

    def __init__(self, settings: OidcSettings, ledger: Ledger, secret: bytes, transport: Any = None) -> None:
        self._settings = settings
        self._ledger = ledger
        self._sealing = keys.derive(secret, "jifen/oidc/1")
        self._naming = keys.derive(secret, "jifen/oidc-subject/1")
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._lock = asyncio.Lock()
        self._about: dict[str, Any] = {}
        self._jwks: list[dict[str, Any]] = []
        self._read_at = -KNOWN_US

    def digest(self, sub: str) -> str:
        """Under what an account at the provider is kept."""
        return hmac.digest(self._naming, f"{self._settings.issuer}\n{sub}".encode(), hashlib.sha256).hex()

    async def start(self, *, anew: bool) -> Start:
        """Begin. `anew`: the provider must ask who it is even if it still knows. Raises `oidc_unavailable`."""
        await self._learn()
        state, nonce, verifier = (_text(self._ledger.random(32)) for _ in range(3))
        expires_at = self._ledger.clock() + UNDER_WAY_US
        said = {"state": state, "nonce": nonce, "verifier": verifier, "expires_at": expires_at, "anew": anew}
        asked = {
            "response_type": "code",
            "scope": "openid",
            "client_id": self._settings.client_id,
            "redirect_uri": self._settings.redirect_uri,
            "state": state,
            "nonce": nonce,
            "code_challenge": _text(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
            **({"prompt": "login", "max_age": "0"} if anew else {}),
        }
        endpoint = self._about["authorization_endpoint"]
        url = f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"
        return Start(url, _text(keys.seal(self._sealing, orjson.dumps(said), _AAD)), expires_at)

    async def finish(self, code: str, state: str, transaction: str, iss: str | None) -> Identity:
        """Whom the provider vouches for. Works once. Raises `oidc_refused`, `oidc_unavailable`."""
        try:
            said = self._opened(transaction)
            if not hmac.compare_digest(said["state"].encode(), state.encode()):
                raise _Wrong("state")
            if iss is not None and iss != self._settings.issuer:  # RFC 9207
                raise _Wrong("iss of the answer")
            await self._use_up(transaction)
            return await self._verified(await self._exchange(code, said["verifier"]), said)
        except _Wrong as wrong:
            log.warning("sign-in by the identity provider refused: %s", wrong)
            raise Refusal("oidc_refused") from None

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    # what is under way -----------------------------------------------------------------------------------------

    def _opened(self, transaction: str) -> dict[str, Any]:
        try:
            sealed = base64.urlsafe_b64decode(transaction + "=" * (-len(transaction) % 4))
            said = orjson.loads(keys.unseal(self._sealing, sealed, _AAD))
        except (ValueError, keys.BadKey):
            raise _Wrong("transaction") from None
        if said["expires_at"] <= self._ledger.clock():
            raise _Wrong("too late")
        return said

    async def _use_up(self, transaction: str) -> None:
        what = f"oidc:{hashlib.sha256(transaction.rstrip('=').encode()).hexdigest()[:32]}"
        try:
            await self._ledger.submit(Counting(what, 1, UNDER_WAY_US))
        except Refusal as refusal:
            if refusal.code != "rate_limited":
                raise
            raise _Wrong("used twice") from None

    # the provider ----------------------------------------------------------------------------------------------

    async def _exchange(self, code: str, verifier: str) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._settings.redirect_uri,
            "client_id": self._settings.client_id,
            "code_verifier": verifier,
        }
        await self._learn()
        file, auth = self._settings.client_secret_file, None
        if file is not None:
            secret = file.read_text(encoding="utf-8").strip()
            if "client_secret_basic" in self._about.get("token_endpoint_auth_methods_supported", _BASIC):
                auth = (self._settings.client_id, secret)
            else:
                form["client_secret"] = secret
        status, answer = await self._ask("POST", self._about["token_endpoint"], data=form, auth=auth)
        if status != 200 or not isinstance(answer.get("id_token"), str):
            raise _Wrong(f"code not accepted ({status})")
        return answer["id_token"]

    async def _learn(self, *, keys_too_old: bool = False) -> None:
        """Read what the provider says of itself, and its keys, unless that is known."""
        async with self._lock:
            age = self._ledger.clock() - self._read_at
            if 0 <= age < (AGAIN_US if keys_too_old else KNOWN_US):
                return
            url = f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration"
            status, about = await self._ask("GET", url)
            if status != 200 or about.get("issuer") != self._settings.issuer:
                raise _unavailable("does not say that it is the issuer")
            endpoints = [about.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
            if not all(isinstance(one, str) and safe_address(one) for one in endpoints):
                raise _unavailable("names an endpoint that is not https")
            status, found = await self._ask("GET", about["jwks_uri"])
            if status != 200 or not isinstance(found.get("keys"), list):
                raise _unavailable("shows no keys")
            self._about, self._read_at = about, self._ledger.clock()
            self._jwks = [one for one in found["keys"] if _can_sign(one)]

    async def _ask(self, method: str, url: str, **more: Any) -> tuple[int, dict[str, Any]]:
        """Status and JSON object; at most so many bytes, and no redirect is followed."""
        import httpx

        if self._client is None:
            self._client = httpx.AsyncClient(transport=self._transport, timeout=5, follow_redirects=False)
        try:
            async with self._client.stream(method, url, headers={"Accept": "application/json"}, **more) as answer:
                body = b""
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > BYTES_MAX:
                        raise _unavailable("answers with too much")
            if answer.status_code >= 500:
                raise _unavailable(f"answers {answer.status_code}")
            found = orjson.loads(body)
        except httpx.HTTPError as error:
            raise _unavailable(type(error).__name__) from error
        except ValueError:
            found = None
        return answer.status_code, found if isinstance(found, dict) else {}

    # its word --------------------------------------------------------------------------------------------------

    async def _verified(self, token: str, said: Mapping[str, Any]) -> Identity:
        import jwt

        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in ALGORITHMS:
                raise _Wrong("algorithm")
            found = await self._key(header)
            if found.get("alg", header["alg"]) != header["alg"]:
                raise _Wrong("algorithm of the key")
            key = jwt.PyJWK(found, header["alg"])
            # Times are held against our own clock below.
            options: Any = {f"verify_{name}": False for name in ("exp", "iat", "nbf", "aud", "iss")}
            claims = jwt.decode(token, key, algorithms=[header["alg"]], options=options)
        except (jwt.PyJWTError, ValueError) as error:
            raise _Wrong(f"signature ({type(error).__name__})") from None
        self._check(claims, said["nonce"])
        now = self._ledger.clock()
        at = _instant(claims.get("auth_time")) * 1_000_000
        proved_at = min(at, now) if at <= now + LEEWAY_S * 1_000_000 else 0
        if said["anew"] and now - proved_at > FRESH_S * 1_000_000:
            raise _Wrong("was not asked anew")
        return Identity(self.digest(claims["sub"]), proved_at)

    async def _key(self, header: Mapping[str, Any]) -> dict[str, Any]:
        for again in (False, True):
            await self._learn(keys_too_old=again)
            kid = header.get("kid")
            fitting = [one for one in self._jwks if one.get("kid") == kid] if kid is not None else self._jwks
            if len(fitting) == 1:
                return fitting[0]
        raise _Wrong("unknown key")

    def _check(self, claims: Mapping[str, Any], nonce: str) -> None:
        """OpenID Connect Core 1.0, section 3.1.3.7."""
        client, now = self._settings.client_id, self._ledger.clock() / 1e6
        audience = claims.get("aud")
        audience = [audience] if isinstance(audience, str) else audience
        ends, issued, begins = (_instant(claims.get(name)) for name in ("exp", "iat", "nbf"))
        sub = claims.get("sub")
        if claims.get("iss") != self._settings.issuer:
            raise _Wrong("iss")
        if not isinstance(audience, list) or client not in audience:
            raise _Wrong("aud")
        if claims.get("azp", client if len(audience) == 1 else None) != client:
            raise _Wrong("azp")
        if ends <= now - LEEWAY_S or not 0 < issued <= now + LEEWAY_S or begins > now + LEEWAY_S:
            raise _Wrong("expired or not yet good")
        if not isinstance(claims.get("nonce"), str) or not hmac.compare_digest(
            claims["nonce"].encode(), nonce.encode()
        ):
            raise _Wrong("nonce")
        if not isinstance(sub, str) or not 0 < len(sub) <= 255:
            raise _Wrong("sub")


_BASIC = ("client_secret_basic",)  # what holds where a provider does not say


def _can_sign(key: Any) -> bool:
    return isinstance(key, dict) and key.get("kty") in KEY_TYPES and key.get("use", "sig") == "sig"


def _instant(claim: Any) -> int:
    """Seconds since 1970; 0 for what is no time."""
    return int(claim) if isinstance(claim, int | float) and 0 < claim < 2**40 else 0


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unavailable(why: str) -> Unavailable:
    log.warning("the identity provider %s", why)
    return Unavailable("oidc_unavailable", retry_after=10)
