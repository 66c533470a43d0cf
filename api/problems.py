# SPDX-License-Identifier: Apache-2.0
"""Every "no" as one RFC 9457 answer: the only place where a code gets its HTTP status, and where an accident becomes
`internal` without a word of how it came about."""

import logging
from http import HTTPStatus
from typing import Any

import orjson
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from api import messages
from api.http.body import BYTES_MAX
from ledger.errors import Refusal, Unavailable
from ledger.store import StoreLost

log = logging.getLogger("jifen.http")

MEDIA_TYPE = "application/problem+json"

# What is not named here is 422: understood, and refused for what it says.
STATUS: dict[str, int] = {
    "request_invalid": 400,
    "idempotency_key_missing": 400,
    "sheet_unreadable": 400,
    "checkpoint_malformed": 400,
    "unauthenticated": 401,
    "signature_required": 401,
    "signature_invalid": 401,
    "totp_required": 401,
    "oidc_refused": 401,
    "forbidden": 403,
    "proof_wrong": 403,
    "oidc_unlinked": 403,
    "step_up_required": 403,
    "self_award": 403,
    "same_person": 403,
    "not_proxy": 403,
    "checkpoint_unsigned": 403,
    "not_found": 404,
    "oidc_off": 404,
    "subject_unknown": 404,
    "log_unknown": 404,
    "method_not_allowed": 405,
    "token_expired": 410,
    "subject_erased": 410,
    "precondition_failed": 412,
    "sheet_too_large": 413,
    "photo_too_large": 413,
    "photo_kind": 415,
    "precondition_required": 428,
    "rate_limited": 429,
    "too_many_comments": 429,
    "internal": 500,
    "statement_unsound": 500,
    "read_only": 503,
    "shutting_down": 503,
    "queue_full": 503,
    "took_too_long": 503,
    "clock_unsafe": 503,
    "database_unavailable": 503,
    # at odds with what is stored now
    **dict.fromkeys(
        [
            "insufficient_points",
            "cap_reached",
            "duplicate_cause",
            "other_hat",
            "replaces_other_deed",
            "idempotency_key_reused",
            "out_of_stock",
            "limit_reached",
            "slot_full",
            "calendar_booked",
            "agreement_missing",
            "assessment_missing",
            "edition_state",
            "edition_exists",
            "edition_order",
            "already_approved",
            "notice_running",
            "notice_missing",
            "line_disputed",
            "line_closed",
            "budget_exhausted",
            "consent_needed",
            "voucher_open",
            "period_not_over",
            "statement_open",
            "statement_disputed",
            "dispute_closed",
            "already_disputed",
            "already_settled",
            "nothing_disputed",
            "nothing_due",
            "returned_since",
            "hold_expired",
            "already_captured",
            "already_reversed",
            "already_replaced",
            "already_registered",
            "already_open",
            "already_decided",
            "already_reported",
            "webhooks_too_many",
            "already_confirmer",
            "report_closed",
            "reports_too_many",
            "photos_too_many",
            "objection_open",
            "objection_extended",
            "objection_overdue",
            "takeover_closed",
            "totp_active",
            "key_over",
            "exceeds_original",
            "approval_required",
            "token_used",
            "charge_closed",
            "proxies_too_many",
            "merchant_consent_missing",
            "not_published",
            "not_reversible",
            "subject_moved",
            "offer_closed",
            "offer_state",
            "agreement_ended",
            "budget_exists",
            "redemption_closed",
            "void_too_late",
            "hold_open",
            "merchant_overdrawn",
            "card_active",
            "journal_not_open",
            "pack_version_not_higher",
            "pack_not_forward",
            "pack_notice_too_short",
        ],
        409,
    ),
}
# Not an answer: the same request, with the same key, may be sent again. What is raised as `Unavailable` stands here.
RETRYABLE = frozenset(
    {
        "clock_unsafe",
        "database_unavailable",
        "listeners_full",
        "not_published",
        "oidc_unavailable",
        "queue_full",
        "rate_limited",
        "read_only",
        "rotation_running",
        "shutting_down",
        "signing_key_unavailable",
        "took_too_long",
    }
)
# Facts that an answer carries as members of their own; all others only fill the sentence.
_MEMBERS = ("rows", "counts", "retry_after", "journal", "seq")
# What a till may not learn, whatever a refusal knows.
_HIDDEN_FROM_TILLS = ("available", "needed", "journal", "seq", "reason_code")

_HUNG_UP = "client disconnected prematurely"  # Litestar's words for half a body


def status_of(refusal: Refusal) -> int:
    return status_of_code(refusal.code)


def status_of_code(code: str) -> int:
    return STATUS.get(code, 503 if code in RETRYABLE else 422)


def problem(refusal: Refusal, lang: messages.Lang, instance: str, *, status: int | None = None) -> dict[str, Any]:
    """The members of one problem document."""
    facts = refusal.facts
    body: dict[str, Any] = {
        "type": f"/problems/{refusal.code}",
        "title": messages.sentence(refusal.code, "title", lang, facts),
        "status": status or status_of(refusal),
        "detail": messages.sentence(refusal.code, "detail", lang, facts),
        "code": refusal.code,
        "retryable": refusal.code in RETRYABLE,
        "instance": instance,
    }
    if fix := messages.sentence(refusal.code, "fix", lang, facts):
        body["fix"] = fix
    for name in _MEMBERS:
        if name in facts:
            body[name] = facts[name]
    body["errors"] = [
        {
            **error,
            "pointer": error.get("pointer", ""),
            "code": error.get("code", refusal.code),
            "detail": error.get("detail")
            or messages.sentence(error.get("code", refusal.code), "detail", lang, {**facts, **error}),
        }
        for error in facts.get("errors", ())
    ]
    return body


def answer(request: Request[Any, Any, Any], refusal: Refusal, *, status: int | None = None) -> Response[bytes]:
    lang = messages.language(request.headers.get("accept-language", ""))
    scope: Any = request.scope
    scope["refused"] = refusal.code  # for the line that is written of the request
    caller = scope.get("caller")
    if caller is not None and caller.kind == "merchant":
        shown = Refusal(refusal.code, **{k: v for k, v in refusal.facts.items() if k not in _HIDDEN_FROM_TILLS})
    else:
        shown = refusal
    body = problem(shown, lang, request.scope["path"], status=status or status_of(refusal))
    headers = {"Content-Language": lang, "Vary": "Accept-Language"}
    if "retry_after" in refusal.facts:
        headers["Retry-After"] = str(refusal.facts["retry_after"])
    if body["status"] == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="jifen"'
    if cover := refusal.facts.get("cover"):  # RFC 9421 §5.1
        headers["Accept-Signature"] = f'sig=({cover});created;alg="ed25519";tag="jifen"'
    if refusal.replayed:
        headers["Idempotency-Replayed"] = "true"
    return Response(orjson.dumps(body, default=str), status_code=body["status"], media_type=MEDIA_TYPE, headers=headers)


def refused(request: Request[Any, Any, Any], error: Refusal) -> Response[bytes]:
    return answer(request, error)


def framework(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """What Litestar itself refuses: no such path, a parameter of the wrong kind, a body that is too large."""
    status = error.status_code
    if status == HTTPStatus.NOT_FOUND:
        return answer(request, Refusal("not_found", what="path", id=""))
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        response = answer(request, Refusal("method_not_allowed", method=request.method))
        for name, value in (error.headers or {}).items():
            response.set_header(name, value)
        return response
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        too_large = {"pointer": "", "code": "body_too_large", "limit": BYTES_MAX // (1024 * 1024)}
        return answer(request, Refusal("request_invalid", errors=[too_large]), status=413)
    if isinstance(error, ValidationException):
        return answer(request, Refusal("request_invalid", errors=_parameters(error)))
    if error.detail == _HUNG_UP:  # nobody hears the answer, and nothing is wrong here
        return answer(request, Refusal("request_invalid", errors=[{"pointer": "", "code": "not_json", "at": 0}]))
    if status >= 500:
        return accident(request, error)
    return answer(request, Refusal("request_invalid", errors=[{"pointer": "", "code": "field_invalid"}]), status=400)


def _parameters(error: ValidationException) -> list[dict[str, Any]]:
    found = error.extra if isinstance(error.extra, list) else []
    errors = [
        {
            "pointer": ("" if one.get("source") == "body" else "?") + str(one.get("key", "")),
            "code": "field_missing" if "required" in str(one.get("message", "")) else "field_invalid",
        }
        for one in found
        if isinstance(one, dict)
    ]
    if not errors and error.detail.startswith("Missing required"):
        words = error.detail.split("'")
        errors = [{"pointer": f"?{words[1]}" if len(words) > 1 else "", "code": "field_missing"}]
    return errors


def lost(request: Request[Any, Any, Any], error: StoreLost) -> Response[bytes]:
    log.warning("database lost: %s", error)
    return answer(request, Unavailable("database_unavailable", retry_after=2))


def accident(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """What nobody foresaw. The log has the traceback and the route, never the values."""
    route = request.scope.get("path_template", "")
    log.error("unexpected %s in %s %s", type(error).__name__, request.method, route, exc_info=error)
    return answer(request, Refusal("internal"))


HANDLERS: dict[Any, Any] = {
    Refusal: refused,
    StoreLost: lost,
    HTTPException: framework,
    Exception: accident,
}
