# SPDX-License-Identifier: Apache-2.0
"""Staff at the door: passwords and those who guess at them, sessions that are renewed, proven and ended, hours."""

from __future__ import annotations

import asyncio
import base64
import io

import pytest

from api import commands, jobs
from api.identity import attempts, passwords, totp
from api.permissions import rules
from ledger.errors import Refusal
from tests.doors import DAY, FAR, HERE, HOUR, MINUTE, OFFICE, PASSWORD, Doors, deployment, doors, opened

__all__ = ["deployment", "doors", "opened"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADMIN = ("county_admin", HERE)
CLERK = ("community_staff", HERE)


# passwords ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "password",
    [
        "Password1!",
        "12345678",
        "aaaaaaaaab",
        "woaini1314",
        "p@ssw0rd2026",
        "li.na",
        "li.na2026",
        "an.il2026",
        "Li.Na!!!",
    ],
)
async def test_passwords_that_are_tried_first_are_refused(password: str) -> None:
    """Common ones with a year behind them, one letter over and over, the name itself, forwards and backwards."""
    with pytest.raises(Refusal) as caught:
        passwords.check(password, "li.na")
    assert "request_invalid" == caught.value.code


async def test_ordinary_passwords_pass() -> None:
    """A sentence, a manager's noise, a name with enough beside it."""
    for password in (PASSWORD, "v8Kq-2mZr_Xw", "三月的雨下了一整夜", "li.na and her bicycle"):
        passwords.check(password, "li.na")


async def test_a_password_set_by_another_is_changed_before_anything_else(doors: Doors) -> None:
    """The new account can do nothing but that, then all; the other's password is good no longer."""
    await doors.hire("admin", ADMIN)
    admin = await doors.token("admin")
    roles = [{"role": CLERK[0], "place": CLERK[1]}]
    given = {"username": doors.name("li"), "password": "handed over", "must_change_password": True, "roles": roles}
    made = await doors.done(admin, "POST", "/staff", given)
    assert made["must_change_password"]
    first = await doors.sign_in("li", "handed over")
    assert first["must_change_password"] and not first["scopes"]
    own = f"/staff/{made['id']}"
    assert "forbidden" == await doors.code(first["token"], "GET", "/approvals")
    assert "request_invalid" == await doors.code(first["token"], "PATCH", own, {"password": "password1"})
    same = await doors.call(first["token"], "PATCH", own, {"password": "handed over"})
    assert "password_same" == same.json()["errors"][0]["code"]
    changed = await doors.done(first["token"], "PATCH", own, {"password": "my own bicycle"})
    assert not changed["must_change_password"]
    assert "unauthenticated" == await doors.code(first["token"], "GET", own)
    assert "unauthenticated" == await doors.tries("li", "handed over")
    again = await doors.sign_in("li", "my own bicycle")
    assert not again["must_change_password"] and again["scopes"]
    assert "" == await doors.code(again["token"], "GET", "/approvals")


async def test_where_no_password_is_given_one_is_made_and_told_once(doors: Doors) -> None:
    """It signs in, has to be changed, and no later answer has it."""
    await doors.hire("admin", ADMIN)
    admin = await doors.token("admin")
    made = await doors.done(admin, "POST", "/staff", {"username": doors.name("li"), "subject": None, "roles": []})
    first = await doors.sign_in("li", made["password"])
    assert first["must_change_password"]
    again = await doors.done(admin, "GET", f"/staff/{made['id']}")
    assert "password" not in again and made["password"] not in str(again)


async def test_an_own_password_is_changed_by_whoever_has_just_proven_who_they_are(doors: Doors) -> None:
    """Not by somebody who finds the computer open half an hour later."""
    own = f"/staff/{await doors.hire('li', CLERK)}"
    token = await doors.token("li")
    doors.now += 16 * MINUTE
    change = {"password": "my own bicycle"}
    assert "step_up_required" == await doors.code(token, "PATCH", own, change)
    assert "proof_wrong" == await doors.code(token, "POST", "/sessions/current/prove", {"password": "wrong one"})
    assert "step_up_required" == await doors.code(token, "PATCH", own, change)
    await doors.done(token, "POST", "/sessions/current/prove", {"password": PASSWORD})
    await doors.done(token, "PATCH", own, change)


# guessing ----------------------------------------------------------------------------------------------------------


async def test_strangers_who_guess_do_not_lock_the_owner_out(doors: Doors) -> None:
    """A hundred machines use a name's tries up; whoever has signed in at this desk before still can, and only there."""
    await doors.hire("li", CLERK)
    await doors.sign_in("li")
    codes = {await doors.tries("li", "wrong one", f"203.0.113.{n}") for n in range(attempts.NAME_MAX)}
    assert {"unauthenticated"} == codes
    assert "rate_limited" == await doors.tries("li", PASSWORD, "203.0.113.200")
    assert "" == await doors.tries("li", PASSWORD, OFFICE)
    doors.now += HOUR
    assert "" == await doors.tries("li", PASSWORD, "203.0.113.200")


async def test_one_address_has_few_tries_whatever_names_it_tries(doors: Doors) -> None:
    """Known names and unknown ones count alike, and one line's IPv6 addresses are one."""
    await doors.hire("li", CLERK)
    await doors.sign_in("li", address="2001:db8::1")
    for n in range(attempts.ADDRESS_MAX):
        assert "unauthenticated" == await doors.tries(f"name{n}", "wrong one", f"2001:db8::{n:x}:1")
    for name in ("nobody", "another"):
        assert "rate_limited" == await doors.tries(name, PASSWORD, "2001:db8::ffff")
    assert "" == await doors.tries("li", PASSWORD, "2001:db8::77")
    assert "unauthenticated" == await doors.tries("nobody", PASSWORD, "2001:db8:0:1::1")


async def test_five_wrong_tries_close_a_name_to_who_made_them(doors: Doors) -> None:
    """For a quarter of an hour from the last; the right password does not help meanwhile, and elsewhere it does."""
    await doors.hire("li", CLERK)
    for _ in range(attempts.PAIR_MAX):
        assert "unauthenticated" == await doors.tries("li", "wrong one")
    answer = await doors.call("", "POST", "/sessions", {"username": doors.name("li"), "password": PASSWORD})
    assert 429 == answer.status_code and 14 * 60 < int(answer.headers["Retry-After"]) <= 15 * 60 + 1
    assert "" == await doors.tries("li", PASSWORD, FAR)
    doors.now += 15 * MINUTE
    assert "" == await doors.tries("li", PASSWORD)


async def test_unknown_names_are_refused_as_known_ones_are(doors: Doors) -> None:
    """The same answer to the byte, up to and beyond the limit; and neither names nor addresses are kept in clear."""
    await doors.hire("li", CLERK)
    for _ in range(attempts.PAIR_MAX + 1):
        bodies = [{"username": doors.name(called), "password": "wrong one"} for called in ("li", "nobody")]
        known, unknown = [await doors.call("", "POST", "/sessions", body) for body in bodies]
        assert (known.status_code, known.text) == (unknown.status_code, unknown.text)
    rows = await doors.world.ledger.fetch("SELECT what FROM attempt")
    assert rows and not [what for (what,) in rows if doors.name("") in what or OFFICE in what]


# sessions ----------------------------------------------------------------------------------------------------------


async def test_a_session_lasts_an_hour_and_is_renewed_for_twelve(doors: Doors) -> None:
    """Each renewal ends the token before; after twelve hours the password is asked for again."""
    await doors.hire("li", CLERK)
    held = await doors.sign_in("li")
    doors.now += HOUR
    assert "unauthenticated" == await doors.code(held["token"], "POST", "/sessions/current/renew")
    held = await doors.sign_in("li")
    until = held["renewable_until"]
    for _ in range(13):
        doors.now += 55 * MINUTE
        before, held = held, await doors.done(held["token"], "POST", "/sessions/current/renew")
        assert until == held["renewable_until"] and before["scopes"] == held["scopes"]
        assert "unauthenticated" == await doors.code(before["token"], "GET", "/sessions")
    assert until == held["expires_at"]
    doors.now += 5 * MINUTE + 1
    assert "unauthenticated" == await doors.code(held["token"], "GET", "/sessions")


async def test_of_two_who_renew_one_token_at_once_one_is_refused(doors: Doors) -> None:
    """A copied token cannot become two."""
    await doors.hire("li", CLERK)
    token = await doors.token("li")
    answers = await asyncio.gather(*(doors.call(token, "POST", "/sessions/current/renew") for _ in range(6)))
    assert [201, 401, 401, 401, 401, 401] == sorted(one.status_code for one in answers)


async def test_sessions_are_listed_and_ended_by_id(doors: Doors) -> None:
    """One's own only, by pages, never with a token; somebody else's id is as unknown as none."""
    await doors.hire("li", CLERK)
    await doors.hire("wu", CLERK)
    tokens = []
    for _ in range(3):
        tokens.append(await doors.token("li"))
        doors.now += MINUTE
    wu = await doors.token("wu")
    first = await doors.done(tokens[2], "GET", "/sessions?limit=2")
    rest = await doors.done(tokens[2], "GET", f"/sessions?limit=2&cursor={first['next']}")
    held = [*first["items"], *rest["items"]]
    assert [True, False, False] == [one["current"] for one in held] and rest["next"] is None
    assert "jt_" not in str(held)
    for id_ in (held[1]["id"], "ses_", "ses_" + "0" * 32, "current1"):
        assert "not_found" == await doors.code(wu, "DELETE", f"/sessions/{id_}")
    await doors.done(tokens[2], "DELETE", f"/sessions/{held[1]['id']}")
    codes = [await doors.code(token, "GET", "/sessions") for token in tokens]
    assert ["", "unauthenticated", ""] == codes


async def test_a_session_may_be_narrowed_and_never_widened(doors: Doors) -> None:
    """It carries what was asked for as far as the roles give it, through renewals too."""
    await doors.hire("li", CLERK)
    narrow = await doors.sign_in("li", scopes=["lists:read", "staff:write"])
    assert ["lists:read"] == narrow["scopes"]
    narrow = await doors.done(narrow["token"], "POST", "/sessions/current/renew")
    assert ["lists:read"] == narrow["scopes"]
    caller = await doors.world.gate.caller(narrow["token"])
    assert caller is not None and {"lists:read"} == caller.scopes
    assert "forbidden" == await doors.code(
        narrow["token"], "POST", "/people/lookup", {"name": "王丽", "phone_tail": "0001"}
    )
    assert "request_invalid" == await doors.tries("li", PASSWORD, scopes=["lists:raed"])


async def test_a_narrowed_session_does_not_become_the_account(doors: Doors) -> None:
    """What was given to a screen or a script sets no password and no second factor, and so signs in to no more."""
    own = f"/staff/{await doors.hire('li', CLERK)}"
    whole = await doors.token("li")
    narrow = await doors.token("li", scopes=["lists:read"])
    assert "forbidden" == await doors.code(narrow, "PATCH", own, {"password": "my own bicycle"})
    assert "forbidden" == await doors.code(narrow, "POST", f"{own}/totp")
    assert "forbidden" == await doors.code(narrow, "POST", f"{own}/totp/confirm", {"totp": "123456"})
    assert "forbidden" == await doors.code(narrow, "DELETE", f"{own}/totp")
    await doors.done(whole, "PATCH", own, {"password": "my own bicycle"})


async def test_whoever_is_let_go_while_signing_in_gets_no_session(
    doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account is looked at once more in the commit."""
    await doors.hire("admin", ADMIN)
    li = await doors.hire("li", CLERK)
    caller = await doors.world.gate.caller(await doors.token("admin"))
    assert caller is not None
    matches = doors.world.staff._matches

    def slow(stored: str, given: str) -> bool:
        done = asyncio.run_coroutine_threadsafe(doors.world.staff.change(caller, li, None, {"state": "closed"}), loop)
        done.result(10)
        return matches(stored, given)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(doors.world.staff, "_matches", slow)
    assert "unauthenticated" == await doors.tries("li", PASSWORD)
    assert not await doors.world.ledger.fetch("SELECT 1 FROM session WHERE owner = ?", li)


async def test_a_role_is_held_within_its_hours_only(doors: Doors) -> None:
    """Local time, the end excluded; a night's hours lie around midnight."""
    await doors.hire("day", CLERK, hours="08:00-18:00")
    await doors.hire("night", CLERK, hours="22:00-06:00")
    seen: dict[str, list[bool]] = {"day": [], "night": []}
    start = doors.now
    for minutes in (-61, -60, 0, 9 * 60 - 1, 9 * 60, 13 * 60 - 1, 13 * 60, 21 * 60 - 1, 21 * 60):
        doors.now = start + minutes * MINUTE
        doors.world.gate.forget()
        for name, held in seen.items():
            held.append(bool((await doors.sign_in(name))["scopes"]))
    assert [False, True, True, True, False, False, False, False, False] == seen["day"]
    assert [False, False, False, False, False, False, True, True, False] == seen["night"]


async def test_a_role_ends_under_a_running_session(doors: Doors) -> None:
    """At six in the evening the token that was good is good for nothing but signing out."""
    await doors.hire("li", CLERK, hours="08:00-10:00")
    token = await doors.token("li")
    doors.now += 50 * MINUTE
    assert "" == await doors.code(token, "GET", "/approvals")
    token = (await doors.done(token, "POST", "/sessions/current/renew"))["token"]
    doors.now += 10 * MINUTE
    doors.world.gate.forget()  # within five seconds by itself
    assert "forbidden" == await doors.code(token, "GET", "/approvals")
    await doors.done(token, "DELETE", "/sessions/current")


# the second factor -------------------------------------------------------------------------------------------------


async def test_one_time_codes_are_those_of_the_standard() -> None:
    """RFC 6238, appendix B (its last six digits), and RFC 4226, appendix D."""
    secret = b"12345678901234567890"
    for seconds, expected in ((59, "287082"), (1111111109, "081804"), (2000000000, "279037"), (20000000000, "353130")):
        assert expected == totp.code(secret, seconds // 30)
    assert ["755224", "287082", "359152", "969429"] == [totp.code(secret, step) for step in range(4)]
    assert 1 == totp.step_of(secret, "287082", 89_000_000) and totp.step_of(secret, "287082", 91_000_000) is None


async def _enrolled(doors: Doors, name: str) -> bytes:
    """Bind the account to an authenticator; its secret."""
    token, own = await doors.token(name), f"/staff/{doors.staff[name]}/totp"
    made = await doors.done(token, "POST", own)
    assert made["uri"].startswith(f"otpauth://totp/Jifen:{doors.name(name)}?secret={made['secret']}&")
    secret = base64.b32decode(made["secret"])
    assert "" == await doors.tries(name, PASSWORD)  # not asked for yet
    assert "totp_required" == await doors.code(token, "POST", f"{own}/confirm", {"totp": "000000"})
    await doors.done(token, "POST", f"{own}/confirm", {"totp": _now(doors, secret)})
    doors.now += MINUTE
    return secret


def _now(doors: Doors, secret: bytes) -> str:
    return totp.code(secret, doors.now // totp.STEP_US)


async def test_with_a_second_factor_the_password_is_not_enough(doors: Doors) -> None:
    """Not for signing in, not for a proof; a code works once, in either place, and the secret is sealed at rest."""
    await doors.hire("li", CLERK)
    secret = await _enrolled(doors, "li")
    assert "totp_required" == await doors.tries("li", PASSWORD)
    assert "unauthenticated" == await doors.tries("li", "wrong one", totp=_now(doors, secret))
    code = _now(doors, secret)
    token = await doors.token("li", totp=code)
    assert "totp_required" == await doors.tries("li", PASSWORD, totp=code)
    prove = "/sessions/current/prove"
    assert "totp_required" == await doors.code(token, "POST", prove, {"totp": code})
    assert "totp_required" == await doors.code(token, "POST", prove, {"password": PASSWORD})
    doors.now += MINUTE
    await doors.done(token, "POST", prove, {"totp": _now(doors, secret)})
    ((stored,),) = await doors.world.ledger.fetch("SELECT totp FROM staff WHERE id = ?", doors.staff["li"])
    assert secret not in base64.b64decode(stored) and base64.b32encode(secret).decode() not in stored


async def test_the_command_line_asks_for_a_code_too(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the password, where the account has a second factor."""
    await doors.hire("li", CLERK)
    secret = await _enrolled(doors, "li")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n{_now(doors, secret)}\n"))
    caller = await commands.acting(doors.world, doors.name("li"), rules()["listSessions"])
    assert doors.staff["li"] == caller.id
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n{_now(doors, secret)}\n"))
    with pytest.raises(Refusal, match="totp_required"):
        await commands.acting(doors.world, doors.name("li"), rules()["listSessions"])


async def test_a_code_signs_in_once_however_many_try_at_once(doors: Doors) -> None:
    """The step is used up in the commit that makes the session."""
    await doors.hire("li", CLERK)
    secret = await _enrolled(doors, "li")
    code = _now(doors, secret)
    codes = await asyncio.gather(*(doors.tries("li", PASSWORD, f"203.0.113.{n}", totp=code) for n in range(5)))
    assert 1 == codes.count("") and 4 == codes.count("totp_required")


async def test_codes_cannot_be_guessed(doors: Doors) -> None:
    """Ten an hour for the account, from wherever they come; right ones do not count."""
    await doors.hire("li", CLERK)
    secret = await _enrolled(doors, "li")
    for _ in range(12):
        await doors.token("li", totp=_now(doors, secret))
        doors.now += MINUTE
    wrong = "000000" if _now(doors, secret) != "000000" else "111111"
    codes = [await doors.tries("li", PASSWORD, f"203.0.113.{n}", totp=wrong) for n in range(12)]
    assert "totp_required" == codes[0] and "rate_limited" == codes[-1] and codes.count("totp_required") <= 10


async def test_an_administrator_takes_a_lost_phone_off_and_nobody_else_does(doors: Doors) -> None:
    """Sessions that it had signed in end; to strangers the account is as unknown as any."""
    await doors.hire("admin", ADMIN)
    await doors.hire("wu", CLERK)
    path = f"/staff/{await doors.hire('li', CLERK)}/totp"
    secret = await _enrolled(doors, "li")
    li = await doors.token("li", totp=_now(doors, secret))
    assert "not_found" == await doors.code(await doors.token("wu"), "DELETE", path)
    assert "not_found" == await doors.code(await doors.token("admin"), "POST", path)
    narrow = (await doors.sign_in("admin", scopes=["lists:read"]))["token"]
    assert "not_found" == await doors.code(narrow, "DELETE", path)
    assert "totp_active" == await doors.code(li, "POST", path)
    await doors.done(await doors.token("admin"), "DELETE", path)
    assert "unauthenticated" == await doors.code(li, "GET", "/sessions")
    assert "" == await doors.tries("li", PASSWORD)


async def test_proofs_are_counted(doors: Doors) -> None:
    """A stolen session is no way to guess the password."""
    await doors.hire("li", CLERK)
    token = await doors.token("li")
    sent = "/sessions/current/prove"
    codes = [await doors.code(token, "POST", sent, {"password": "wrong one"}) for _ in range(6)]
    assert ["proof_wrong"] * 5 + ["rate_limited"] == codes
    doors.now += 15 * MINUTE
    for _ in range(7):
        await doors.done(token, "POST", sent, {"password": PASSWORD})
    assert ["request_invalid"] * 2 == [
        await doors.code(token, "POST", sent, body) for body in ({}, {"password": PASSWORD, "totp": "000000"})
    ]


async def test_a_proof_in_another_process_is_seen_at_once(doors: Doors) -> None:
    """What this process remembers of a session is asked anew before somebody is sent away."""
    own = f"/staff/{await doors.hire('li', CLERK)}"
    token = await doors.token("li")
    doors.now += 16 * MINUTE
    assert "step_up_required" == await doors.code(token, "PATCH", own, {"password": "my own bicycle"})
    forget, doors.world.gate.forget = doors.world.gate.forget, lambda: None  # it happens elsewhere
    await doors.done(token, "POST", "/sessions/current/prove", {"password": PASSWORD})
    assert "" == await doors.code(token, "PATCH", own, {"password": "my own bicycle"})
    doors.world.gate.forget = forget


async def test_old_sign_ins_are_forgotten(doors: Doors) -> None:
    """Sessions that are over, and addresses that nobody has signed in from for three months."""
    await doors.hire("li", CLERK)
    await doors.sign_in("li")
    doors.now += 200 * DAY
    await doors.sign_in("li", address=FAR)
    await jobs.sessions(doors.world)
    assert 1 == len(await doors.world.ledger.fetch("SELECT digest FROM known_address"))
    assert 1 == len(await doors.world.ledger.fetch("SELECT hash FROM session"))
