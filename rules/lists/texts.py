# SPDX-License-Identifier: Apache-2.0
"""Words that will be public: none may carry what tells a person's phone or identity number."""

from __future__ import annotations

import re
import unicodedata

from ledger.errors import Refusal

_DAY = re.compile(r"(?<![0-9])(19|20)[0-9]{2}([-./])(0?[1-9]|1[0-2])\2(0?[1-9]|[12][0-9]|3[01])(?![0-9])")
_SUM = re.compile(r"(?<![0-9,.])[0-9]{1,3}(,[0-9]{3}){1,2}(\.[0-9]{1,2})?(?![0-9,.])")
_SPELLED = str.maketrans("〇零○一二三四五六七八九幺壹贰叁肆伍陆柒捌玖", "0001234567891123456789")
_SPACED = re.compile(r"(?<=[0-9xX])[\s./\\()*~+|\-—–_·]+(?=[0-9xX])|(?<=[0-9]{3})[,、](?=[0-9]{3})")
_LONG = re.compile(r"[0-9]{7,}[xX]?")
_UNSEEN, _MARKS = ("Cc", "Cf", "Co", "Cs"), ("Mn", "Me")


def seen(text: str) -> str:
    """What is there to be seen of a text: without what hides between letters or turns them round; line breaks stay."""
    return "".join(char for char in text if char in "\n\t" or unicodedata.category(char) not in _UNSEEN)


def check_public(text: str, pointer: str) -> None:
    """Raises `personal_data_in_text` where seven digits or more stand together, however they are spaced or written:
    phones have seven or more, identity numbers fifteen or eighteen; sums have fewer, and days are looked away from."""
    plain = seen(unicodedata.normalize("NFKC", text)).translate(_SPELLED)
    bare = (char for char in plain if unicodedata.category(char) not in _MARKS)
    digits = "".join(str(unicodedata.decimal(char, char)) for char in bare)
    if _LONG.search(_SPACED.sub("", _SUM.sub("", _DAY.sub("", digits)))) is not None:
        raise Refusal("personal_data_in_text", pointer=pointer)
