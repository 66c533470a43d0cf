# SPDX-License-Identifier: Apache-2.0
"""What a password must not be: too short, the name it belongs to, or one of those that are tried first."""

from __future__ import annotations

import base64
from collections.abc import Callable

from api.invalid import invalid

LENGTH_MIN = 8
LENGTH_MAX = 200

# Those of eight characters and more that stand at the head of every list of stolen passwords, and what is near at hand
# here. Years and digits at the end are taken off before one is looked up.
_WORDS = """
00000000 11111111 11112222 11223344 12121212 12341234 12344321 12345678 123456789 1234567890 123123123 147258369
159357456 19491001 20080808 52013140 66666666 86868686 87654321 88888888 987654321 99999999 1qaz2wsx 1q2w3e4r
1q2w3e4r5t 1qazxsw2 123qweasd q1w2e3r4 qazwsxedc qweasdzxc qwertyui qwertyuiop asdfghjk asdfghjkl zxcvbnm zaq12wsx
zxcvbnma abcd1234 abc12345 a1234567 a12345678 a123456789 aa123456 aa12345678 qq123456 qwer1234 asdf1234 woaini
woaini1314 woaiwojia 5201314 iloveyou password passw0rd p@ssw0rd p@ssword administrator admin123 adminadmin root1234
letmein welcome changeme default sunshine princess football baseball superman trustno1 whatever dragon monkey
master shadow jifen jifen123 huantai shequ wangge jumin zhengfu mima mima123 xinmima gongzuo
"""
_COMMON = frozenset(_WORDS.split())


def initial(random: Callable[[int], bytes]) -> str:
    """A password to be read out or printed and changed at the first signing in: 80 random bits in groups of four."""
    text = base64.b32encode(random(10)).decode().lower()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def check(password: str, username: str) -> None:
    """Raises `request_invalid` with what is wrong with it."""
    if not LENGTH_MIN <= len(password) <= LENGTH_MAX:
        code, limit = ("too_short", LENGTH_MIN) if len(password) < LENGTH_MIN else ("too_long", LENGTH_MAX)
        raise invalid([{"pointer": "/password", "code": code, "limit": limit}])
    if _easy(password.casefold(), username):
        raise invalid([{"pointer": "/password", "code": "password_easy"}])


def _easy(password: str, username: str) -> bool:
    stem = password.rstrip("0123456789!@#.?*_-")
    if {password, stem} & _COMMON or len(set(password)) < 4:
        return True
    return username in (stem, stem[::-1]) or (username in password and len(password) - len(username) < 5)
