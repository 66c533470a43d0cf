# SPDX-License-Identifier: Apache-2.0
"""Structured field values (RFC 9651), as far as signatures and digests use them: dictionaries of items and inner lists.

Stricter than the standard where leniency would let two readers differ: a key that stands twice is refused, and base64
has one spelling. Decimals, dates and display strings stand in none of these fields and are refused, too.
"""

from __future__ import annotations

import base64
import re
from typing import NamedTuple


class Malformed(ValueError):
    """A field that is not one, or not of the kinds above."""


class Token(str):
    """A bare word, which is written without quotation marks."""

    __slots__ = ()


Bare = str | int | bytes | bool | Token
Params = dict[str, Bare]


class InnerList(NamedTuple):
    """Items with their parameters, and the parameters of the whole."""

    items: tuple[tuple[Bare, Params], ...]
    params: Params


Member = tuple[Bare, Params] | InnerList

_KEY = re.compile(r"[a-z*][a-z0-9_\-.*]*")
_BARE = re.compile(
    r'"(?P<string>(?:[ !#-\[\]-~]|\\["\\])*)"'
    r"|(?P<integer>-?[0-9]{1,15})(?![0-9.])"
    r"|:(?P<bytes>[A-Za-z0-9+/=]*):"
    r"|\?(?P<boolean>[01])"
    r"|(?P<token>[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*)"
)
_ESCAPE = re.compile(r"\\(.)")


def dictionary(text: str) -> dict[str, Member]:
    """The members of a dictionary field, its lines joined with commas. Raises `Malformed`."""
    return _Reader(text.strip(" ")).dictionary()


class _Reader:
    """A place in a text. Every method reads on from there (RFC 9651 §4.2)."""

    __slots__ = ("at", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def dictionary(self) -> dict[str, Member]:
        members: dict[str, Member] = {}
        while self.at < len(self.text):
            key = self._key()
            if key in members:
                raise Malformed(f"{key} stands twice")
            if not self._skip("="):
                members[key] = (True, self._params())
            elif self._skip("("):
                members[key] = self._inner_list()
            else:
                members[key] = (self._bare(), self._params())
            self._space(" \t")
            if self.at < len(self.text):
                if not self._skip(","):
                    raise Malformed(f"no comma at {self.at}")
                self._space(" \t")
                if self.at == len(self.text):
                    raise Malformed("ends with a comma")
        return members

    def _inner_list(self) -> InnerList:
        items: list[tuple[Bare, Params]] = []
        while True:
            self._space(" ")
            if self._skip(")"):
                return InnerList(tuple(items), self._params())
            items.append((self._bare(), self._params()))
            if self.text[self.at : self.at + 1] not in (" ", ")"):
                raise Malformed(f"no space at {self.at}")

    def _params(self) -> Params:
        params: Params = {}
        while self._skip(";"):
            self._space(" ")
            key = self._key()
            if key in params:
                raise Malformed(f"{key} stands twice")
            params[key] = self._bare() if self._skip("=") else True
        return params

    def _bare(self) -> Bare:
        found = _BARE.match(self.text, self.at)
        if found is None:
            raise Malformed(f"no value at {self.at}")
        self.at = found.end()
        said = found[found.lastgroup or 0]
        match found.lastgroup:
            case "string":
                return _ESCAPE.sub(r"\1", said)
            case "integer":
                return int(said)
            case "bytes":
                return _unbase64(said)
            case "boolean":
                return said == "1"
            case _:
                return Token(said)

    def _key(self) -> str:
        found = _KEY.match(self.text, self.at)
        if found is None:
            raise Malformed(f"no key at {self.at}")
        self.at = found.end()
        return found[0]

    def _skip(self, character: str) -> bool:
        here = self.text.startswith(character, self.at)
        self.at += here
        return here

    def _space(self, characters: str) -> None:
        while self.at < len(self.text) and self.text[self.at] in characters:
            self.at += 1


def _unbase64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Malformed("not base64") from error
    if base64.b64encode(raw).decode() != text:
        raise Malformed("not the one spelling of this base64")
    return raw


def serialised(inner: InnerList) -> str:
    """An inner list in its one spelling (RFC 9651 §4.1.1.1)."""
    items = " ".join(_bare(value) + _params(params) for value, params in inner.items)
    return f"({items}){_params(inner.params)}"


def _params(params: Params) -> str:
    return "".join(f";{key}" if value is True else f";{key}={_bare(value)}" for key, value in params.items())


def _bare(value: Bare) -> str:
    if isinstance(value, bool):
        return "?1" if value else "?0"
    if isinstance(value, int | Token):
        return str(value)
    if isinstance(value, bytes):
        return f":{base64.b64encode(value).decode()}:"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
