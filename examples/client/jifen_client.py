# SPDX-License-Identifier: Apache-2.0
"""A client of Jifen's interface in one file, to be copied: Python 3.11 and its standard library; `cryptography` as well
where requests are signed. docs/client.md shows it at work.

    jifen = Jifen("https://points.example.cn", key)
    jifen.balance(subject)["points"]["available"]
    jifen.award({"subject": subject, "indicator": "RE-01", "occurred_on": "2026-11-22", ...}, key="duty-4711")
    jifen.redeem({"offer": offer, "by": {"token": scanned}}, key="slip-17", capture=True)

Every call that moves points takes a `key`: the number that the deed or the sale has in your own books, written down
there before the call. Whatever happens to the network, to this program or to the server, the same call under the same
key happens once. There are three ways out of a call:

    an answer      it is done, now or by an earlier try
    `Refused`      it is not done, and will not be by asking again
    `Unanswered`   nobody knows yet: ask again later, with the same key and the same content
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import ipaddress
import json
import os
import random
import secrets
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

PAUSE_S = 0.3  # before the second try, doubled before each further one, by chance between none and all of it
PAUSE_MAX_S = 20.0
IDLE_S = 3.0  # a connection that was silent for longer may have been closed by the server meanwhile
PAGE = 200
WEBHOOK_AGE_MAX_S = 300


class Refused(Exception):
    """The server's "no", and nothing was changed. `code` is stable and meant for programs, `detail` for people."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = problem
        self.code = str(problem.get("code", ""))
        self.detail = str(problem.get("detail", ""))
        super().__init__(f"{status} {self.code}: {self.detail}")


class Unanswered(Exception):
    """No answer, or only "later", for as long as we were told to try. It may have happened all the same, so the next
    call must carry the same `key`. `retry_after` is when the server would like it, in seconds, 0 for any time."""

    def __init__(self, why: str, key: str | None, retry_after: float = 0) -> None:
        self.key = key
        self.retry_after = retry_after
        super().__init__(why)


class Jifen:
    """One connection to one server. It is not for several threads at once; make one for each.

    `timeout` is how long one try may wait, `patience` how long all tries of a call together, in seconds. `signing_key`
    is a file that `make_signing_key` wrote. Plain http is for the machine itself, or for a network that you answer for
    (`allow_http`): the key would travel in the clear.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        signing_key: Path | None = None,
        timeout: float = 15.0,
        patience: float = 60.0,
        language: str = "zh",
        allow_http: bool = False,
    ) -> None:
        parts = urlsplit(url.rstrip("/"))
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not the address of a server: {url}")
        if parts.scheme == "http" and not (allow_http or _is_this_machine(parts.hostname)):
            raise ValueError(f"{url} is not encrypted; use https, or allow_http on a network of your own")
        self._base = parts.path
        self._authority = parts.netloc.rpartition("@")[2]
        self._token = token
        self._patience = patience
        self._language = language
        self._signer = Signer(token, signing_key) if signing_key else None
        port = parts.port or (443 if parts.scheme == "https" else 80)
        if parts.scheme == "https":
            context = ssl.create_default_context()
            self._http = http.client.HTTPSConnection(parts.hostname, port, timeout=timeout, context=context)
        else:
            self._http = http.client.HTTPConnection(parts.hostname, port, timeout=timeout)
        self._used = 0.0

    def close(self) -> None:
        self._http.close()

    # reading ---------------------------------------------------------------------------------------------------

    def balance(self, subject: str) -> dict[str, Any]:
        """`standing`, `points` with `available`, `held` and `lots`, and as of which entry; all in hundredths of 分."""
        return self.call("GET", f"/v1/subjects/{quote(subject)}/balance")

    def pages(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Every item of a list, page after page. What is added meanwhile may or may not come; nothing comes twice."""
        cursor: str | None = None
        while True:
            page = self.call("GET", path, query={"limit": PAGE, **query, "cursor": cursor})
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return

    # awarding --------------------------------------------------------------------------------------------------

    def evaluate(self, award: Mapping[str, Any]) -> dict[str, Any]:
        """What `award` would post and why, or why it would not. Changes nothing."""
        return self.call("POST", "/v1/evaluations", award, harmless=True)

    def award(self, award: Mapping[str, Any], *, key: str) -> dict[str, Any]:
        """Report one deed. `state` is `posted`, or `awaiting_approval`; `receipt` is there once it is posted."""
        return self.call("POST", "/v1/awards", award, key=key)

    def award_batch(self, awards: Iterable[Mapping[str, Any]], *, key: str, skip_bad: bool = False) -> dict[str, Any]:
        """Report up to 5000 deeds as one: one approval, one reversal. Unless `skip_bad`, one that is refused refuses
        all (`batch_has_errors`), and `problem["rows"]` of the refusal names each."""
        query = {"on_error": "skip"} if skip_bad else None
        return self.call("POST", "/v1/award-batches", {"items": list(awards)}, query=query, key=key)

    def reverse_award(self, award: str, reason: str, occurred_on: str, *, key: str) -> dict[str, Any]:
        """Take one award back, with a reason that its subject will read."""
        body = {"reason": reason, "occurred_on": occurred_on}
        return self.call("POST", f"/v1/awards/{quote(award)}/reverse", body, key=key)

    # at the till -----------------------------------------------------------------------------------------------

    def redeem(self, order: Mapping[str, Any], *, key: str, capture: bool = False) -> dict[str, Any]:
        """Set points aside for an order `{"offer","quantity","by":{…}}`, or take them at once with `capture`."""
        return self.call("POST", "/v1/redemptions", order, query={"capture": "true"} if capture else None, key=key)

    def capture(self, order: str, *, key: str, amount: int | None = None) -> dict[str, Any]:
        """Take what was set aside, or `amount` of it; the rest goes back."""
        return self._step(order, "capture", {} if amount is None else {"amount": amount}, key)

    def release(self, order: str, *, key: str) -> dict[str, Any]:
        """Give back what was set aside."""
        return self._step(order, "release", {}, key)

    def void(self, order: str, reason: str, *, key: str) -> dict[str, Any]:
        """Undo the whole order on the day of the sale."""
        return self._step(order, "void", {"reason": reason}, key)

    def refund(self, order: str, amount: int, reason: str, *, key: str) -> dict[str, Any]:
        """Give `amount` back, to the points that it came from."""
        return self._step(order, "refunds", {"amount": amount, "reason": reason}, key)

    def _step(self, order: str, step: str, body: Mapping[str, Any], key: str) -> dict[str, Any]:
        return self.call("POST", f"/v1/redemptions/{quote(order)}/{step}", body, key=key)

    # signing ---------------------------------------------------------------------------------------------------

    def sign_from_now_on(self, file: Path) -> None:
        """Make a signing key in `file` if there is none yet, and have the server refuse what is not signed with it.
        The first time our key itself is enough for that; a later one is named by who can sign with the one before."""
        public = _public_text(_load(file)) if file.exists() else make_signing_key(file)
        self._signer = self._signer or Signer(self._token, file)
        self.call("PUT", "/v1/me/public-key", {"public_key": public}, harmless=True)
        self._signer = Signer(self._token, file)

    # every call ------------------------------------------------------------------------------------------------

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        key: str | None = None,
        harmless: bool = False,
    ) -> Any:
        """One request, repeated for as long as that may help; what the answer says. Raises `Refused`, `Unanswered`.

        Under a `key`, or where doing it twice is `harmless` like reading, it is tried again after whatever happens;
        otherwise only where the server says that it has done nothing.
        """
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        target = f"{self._base}{path}" + (f"?{urlencode(asked)}" if asked else "")
        content = b"" if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        retry_key = None if key is None else _quoted(key)
        harmless = harmless or method == "GET" or key is not None
        give_up = time.monotonic() + self._patience
        tries, unsure = 0, False  # may one of the tries have been the one?
        while True:
            wait = random.uniform(0, min(PAUSE_MAX_S, PAUSE_S * 2**tries))
            tries += 1
            headers: dict[str, str] = {}
            try:
                status, headers, said = self._once(method, target, content, retry_key)
                answer = None if status == 204 else json.loads(said)
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.close()
                unsure, why = True, f"{type(error).__name__}: {error}"
            else:
                if status < 300:
                    return answer
                if not isinstance(answer, dict) or "code" not in answer:  # a proxy's, or the login page of a network
                    unsure, why = True, f"{status} from something that is not Jifen"
                elif answer["code"] == "signature_invalid" and self._signer and self._signer.set_clock(headers):
                    continue
                else:
                    unsure = unsure or status == 500
                    why = f"{status} {answer['code']}: {answer.get('detail')}"
                    later = status in (429, 500, 503) or (status == 409 and "retry-after" in headers)
                    if not later or "idempotency-replayed" in headers:
                        if unsure and status in (401, 403):  # said of this try before anybody looked for an earlier one
                            raise Unanswered(why, key)
                        raise Refused(status, answer)
            asked_to_wait = _retry_after(headers)
            wait = max(wait, asked_to_wait)
            if (unsure and not harmless) or time.monotonic() + wait > give_up:
                raise Unanswered(f"{why} (tries: {tries})", key, asked_to_wait)
            time.sleep(wait)

    def _once(self, method: str, target: str, content: bytes, key: str | None) -> tuple[int, dict[str, str], bytes]:
        headers = {"host": self._authority, "accept": "application/json", "accept-language": self._language}
        headers["authorization"] = f"Bearer {self._token}"
        if content:
            headers["content-type"] = "application/json"
        if key is not None:
            headers["idempotency-key"] = key
        if self._signer:
            headers |= self._signer.signed(method, target, headers, content)
        if time.monotonic() - self._used > IDLE_S:
            self.close()
        self._http.request(method, target, content or None, headers)
        answer = self._http.getresponse()
        said = answer.read()
        self._used = time.monotonic()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, said


# HTTP message signatures -----------------------------------------------------------------------------------------


class Signer:
    """Signs requests as docs/signatures.md says: RFC 9421, Ed25519, the body by its RFC 9530 digest."""

    def __init__(self, token: str, file: Path) -> None:
        self._private = _load(file)
        self._key_id = _key_id(token)
        self._ahead = 0.0  # how far the server's clock is ahead of ours, in seconds

    def signed(self, method: str, target: str, headers: Mapping[str, str], content: bytes) -> dict[str, str]:
        """The headers that sign a request with these."""
        path, _, query = target.partition("?")
        host = headers["host"].lower().removesuffix(":443").removesuffix(":80")
        covered = {"@method": method, "@authority": host, "@path": path, "@query": f"?{query}"}
        more: dict[str, str] = {}
        if content:
            digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
            covered["content-digest"] = more["content-digest"] = f"sha-256=:{digest}:"
        if "idempotency-key" in headers:
            covered["idempotency-key"] = headers["idempotency-key"]
        names = " ".join(f'"{name}"' for name in covered)
        created, nonce = int(time.time() + self._ahead), secrets.token_urlsafe(16)
        said = f'({names});created={created};keyid="{self._key_id}";nonce="{nonce}";tag="jifen"'
        base = "".join(f'"{name}": {value}\n' for name, value in covered.items()) + f'"@signature-params": {said}'
        signature = base64.b64encode(self._private.sign(base.encode())).decode()
        return {**more, "signature-input": f"sig={said}", "signature": f"sig=:{signature}:"}

    def set_clock(self, headers: Mapping[str, str]) -> bool:
        """Go by the server's clock from now on, if ours is so far off that this is why it refused us."""
        try:
            ahead = parsedate_to_datetime(headers["date"]).timestamp() - time.time()
        except (KeyError, ValueError):
            return False
        off = abs(ahead - self._ahead) > 60
        self._ahead = ahead
        return off


def make_signing_key(file: Path) -> str:
    """Write a new private key to `file`, which must not exist and nobody else can read; the public key, to register."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(pem)
        out.flush()
        os.fsync(out.fileno())
    return _public_text(private)


def _load(file: Path) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return load_pem_private_key(file.read_bytes(), None)


def _public_text(private: Any) -> str:
    return base64.b64encode(private.public_key().public_bytes_raw()).decode()


# webhooks --------------------------------------------------------------------------------------------------------


class BadWebhook(Exception):
    """Not from the server that shares this secret, or too old: answer 400 and do nothing."""


def webhook(secret: str, headers: Mapping[str, str], body: bytes, now: float | None = None) -> dict[str, Any]:
    """The event in a webhook (Standard Webhooks), after its signature was found good. Raises `BadWebhook`.

    `secret` is the shared `whsec_…`, or the server's public key `whpk_…`. `body` is what came in, byte for byte. The
    same event may come twice, under the same `webhook-id`: remember the ids of what you have dealt with.
    """
    given = {name.lower(): value for name, value in headers.items()}
    try:
        id_, said_at, signatures = (given[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
        late = abs((time.time() if now is None else now) - int(said_at)) > WEBHOOK_AGE_MAX_S
    except (KeyError, ValueError):
        raise BadWebhook("headers") from None
    if late:
        raise BadWebhook("too old, or one of the clocks is wrong")
    kind, _, encoded = secret.partition("_")
    key = base64.b64decode(encoded)
    signed = f"{id_}.{said_at}.".encode() + body
    for one in signatures.split():
        version, _, text = one.partition(",")
        try:
            signature = base64.b64decode(text, validate=True)
        except ValueError:
            continue
        if kind == "whsec" and version == "v1":
            if hmac.compare_digest(hmac.digest(key, signed, "sha256"), signature):
                return json.loads(body)
        elif kind == "whpk" and version == "v1a" and _ed25519(key, signature, signed):
            return json.loads(body)
    raise BadWebhook("signature")


def _ed25519(public: bytes, signature: bytes, message: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


# small things ----------------------------------------------------------------------------------------------------


def _key_id(token: str) -> str:
    return "key_" + token.split("_")[1]


def _quoted(key: str) -> str:
    if not key or len(key) > 255 or any(not "!" <= one <= "~" or one == '"' for one in key):
        raise ValueError(f"a key is 1 to 255 visible ASCII characters without quotation marks: {key!r}")
    return f'"{key}"'


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _retry_after(headers: Mapping[str, str]) -> float:
    said = headers.get("retry-after", "")
    if said.isdecimal():
        return float(said)
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except ValueError:
        return 0.0
