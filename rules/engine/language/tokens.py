# SPDX-License-Identifier: Apache-2.0
"""Text to tokens, and what people write out of habit: full-width signs, look-alike letters, `=`, `and`, `10%`."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal, NamedTuple, NoReturn

from rules.engine.language.errors import LanguageError, place

TEXT_MAX = 2_000
"""Characters of one expression. The longest of a real catalogue has about two hundred."""

Kind = Literal["number", "text", "name", "sign", "end"]

_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"[0-9]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SIGN = re.compile(r"&&|\|\||==|!=|<=|>=|[-+*<>!?:(),\[\]]")
_WRONG_SIGN = re.compile(r"<>|=<|=>|===|!==|\*\*|//|[=&|/%]")
_INSTEAD = {
    "=": "==",
    "===": "==",
    "!==": "!=",
    "<>": "!=",
    "=<": "<=",
    "=>": ">=",
    "&": "&&",
    "|": "||",
    "**": "x * x",
    "/": "div_floor(x, 60)",
    "//": "div_floor(x, 60)",
    "%": "div_floor(x * 10, 100)",
}
_WORDS_INSTEAD = {"and": "&&", "or": "||", "not": "!"}
_OTHER_WORDS = {"null": "0, 'word', name", "none": "0, 'word', name", "if": "a ? b : c", "else": "a ? b : c"}
# CEL keeps these for itself; a field of that name cannot be used in a rule.
_RESERVED = frozenset(
    {"as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package"}
    | {"namespace", "none", "null", "return", "var", "void", "while"}
)
_CHARACTERS = "a-z 0-9 _ ' ( ) [ ] , + - * < > == != && || ! ? :"
# What compatibility folding (NFKC) does not turn into the sign or letter it looks like.
_LETTERS = ("аеорсухіѕјԁһԛԝАВЕКМНОРСТХоαινορυ", "aeopcyxisjdhqwABEKMHOPCTXoaivopu")
_LOOKS_LIKE = {
    **dict.fromkeys("“”„‘’‚«»「」『』《》`´", "'"),
    **dict.fromkeys("−–—", "-"),
    **dict(zip("、。【】〔〕×·", ",,[][]**", strict=True)),
    **{"≥": ">=", "≤": "<=", "≠": "!=", "÷": "div_floor(x, 60)"},
    **dict(zip(*_LETTERS, strict=True)),
}


class Token(NamedTuple):
    """One word, number, text or sign; `text` without its quotes."""

    kind: Kind
    text: str
    offset: int
    end: int


def tokens(text: str) -> list[Token]:
    """All tokens of an expression, the last of kind `end`; LanguageError at the first thing that is none."""
    if len(text) > TEXT_MAX:
        # Before anything is read: a text of millions of characters costs nothing.
        raise LanguageError("too_long", 1, 1, str(len(text)), str(TEXT_MAX))
    found: list[Token] = []
    at = _skip(text, 0)
    while at < len(text):
        token = _next(text, at)
        found.append(token)
        at = _skip(text, token.end)
    found.append(Token("end", "", at, at))
    return found


def shown(text: str) -> str:
    """A piece of somebody's text as it may stand in a message: short, and nothing invisible in it."""
    visible = "".join(char if char.isprintable() else f"U+{ord(char):04X}" for char in text[:60])
    return visible if len(visible) <= 40 else visible[:39] + "…"


def clipped(said: str) -> str:
    """A part of a message, cut where a long list of fields or a number without end would fill the page."""
    return said if len(said) <= 400 else said[:399] + "…"


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


def _next(text: str, at: int) -> Token:
    if match := _NAME.match(text, at):
        return _word(text, match)
    if match := _NUMBER.match(text, at):
        return _number(text, match)
    if text[at] in "'\"":
        return _quoted(text, at)
    wrong = _WRONG_SIGN.match(text, at)
    sign = _SIGN.match(text, at)
    if sign and (wrong is None or wrong.end() <= sign.end()):
        return Token("sign", sign[0], at, sign.end())
    if wrong:
        _refuse(text, at, "no_such_operator", wrong[0], _INSTEAD[wrong[0]])
    if text[at] == "." and _NUMBER.match(text, at + 1):
        _decimal(text, at)
    if text[at] in ".{}\\;@#$^~":
        _refuse(text, at, "not_in_language", text[at], _CHARACTERS)
    _foreign(text, at)


def _word(text: str, match: re.Match[str]) -> Token:
    word, end = match[0], match.end()
    if end < len(text) and not text[end].isascii() and text[end].isalpha():
        _foreign(text, end)
    folded = word.lower()
    if folded in _WORDS_INSTEAD:
        _refuse(text, match.start(), "no_such_operator", word, _WORDS_INSTEAD[folded])
    if folded in _RESERVED:
        _refuse(text, match.start(), "not_in_language", word, _OTHER_WORDS.get(folded, f"{word}_"))
    return Token("name", word, match.start(), end)


def _number(text: str, match: re.Match[str]) -> Token:
    at, end = match.span()
    after = text[end : end + 1]
    if after == "." or (after in ("e", "E") and _NUMBER.match(text, end + 1)):
        _decimal(text, at)
    if after in ("%", "％"):
        _refuse(text, at, "no_such_operator", match[0] + after, f"div_floor(x * {match[0].lstrip('0') or 0}, 100)")
    if after and (after == "_" or after.isalnum()):
        run = re.compile(r"\w+").match(text, at)
        _refuse(text, at, "bad_number", run[0] if run else match[0], match[0])
    if match[0] != "0" and match[0][0] == "0":
        _refuse(text, at, "bad_number", match[0], match[0].lstrip("0") or "0")
    return Token("number", match[0], at, end)


def _decimal(text: str, at: int) -> NoReturn:
    run = re.compile(r"[0-9.eE]+").match(text, at)
    assert run is not None
    written = run[0]
    instead = "div_floor(x, 2)"
    if exact := re.fullmatch(r"([0-9]{0,3})\.([0-9]{1,3})", written):
        instead = f"div_floor(x * {int(exact[1] + exact[2])}, {10 ** len(exact[2])})"
    _refuse(text, at, "decimal_number", written, instead)


def _quoted(text: str, at: int) -> Token:
    quote = text[at]
    for index in range(at + 1, len(text)):
        char = text[index]
        if char == quote:
            return Token("text", text[at + 1 : index], at, index + 1)
        if char == "\\":
            # No escapes: what stands between the quotes is the word, in CEL as here.
            _refuse(text, index, "not_in_language", "\\", "'word'")
        if char == "\n":
            break
        if not char.isprintable():
            _foreign(text, index)
    word = re.compile(r"\w*").match(text, at + 1)
    _refuse(text, at, "open_text", text[at:].split("\n")[0], f"'{word[0] if word else ''}'")


def _foreign(text: str, at: int) -> NoReturn:
    """A character that is not in the language: say which, and which it looks like."""
    char = text[at]
    folded = _LOOKS_LIKE.get(char) or unicodedata.normalize("NFKC", char)
    code = f"U+{ord(char):04X}"
    if folded.isspace():
        _refuse(text, at, "foreign_character", code, "U+0020")
    if folded.isascii() and folded.isprintable() and folded not in _INSTEAD:
        _refuse(text, at, "foreign_character", f"{char} ({code})", folded)
    if folded in _INSTEAD:
        _refuse(text, at, "foreign_character", f"{char} ({code})", _INSTEAD[folded])
    run = re.compile(r"[^\W\d_]+").match(text, at)
    if run:
        _refuse(text, at, "foreign_character", run[0], "a-z 0-9 _")
    _refuse(text, at, "foreign_character", f"{char} ({code})" if char.isprintable() else code, _CHARACTERS)


def _refuse(text: str, at: int, code: str, found: str, allowed: str) -> NoReturn:
    line, column = place(text, at)
    raise LanguageError(code, line, column, shown(found), allowed)
