# SPDX-License-Identifier: Apache-2.0
"""What breaks clients of an older document: whatever they may send is taken no longer, or they are answered with what
they were never told of.

Both are one question: does every value of this schema fit that one? Of bodies and parameters the old must fit the new,
of answers the new the old. Answers may gain members, problems may gain codes, and nobody is harmed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Schema = dict[str, Any]

# Limits that a value of `a` must not pass in `b`: (keyword, is a's limit as tight as b's?)
_LIMITS: dict[str, Callable[[Any, Any], bool]] = {
    **dict.fromkeys(
        ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), lambda of_a, of_b: of_a >= of_b
    ),
    **dict.fromkeys(
        ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), lambda of_a, of_b: of_a <= of_b
    ),
    **dict.fromkeys(("pattern", "format", "contentMediaType"), lambda of_a, of_b: of_a == of_b),
}


def breaking(old: Schema, new: Schema) -> list[str]:
    """One sentence for each thing that would break a client of `old`, by operation."""
    found: list[str] = []
    for path, operations in old["paths"].items():
        for method, was in operations.items():
            now = new["paths"].get(path, {}).get(method)
            at = f"{method.upper()} {path}"
            found += [f"{at}: is gone"] if now is None else (f"{at}: {one}" for one in _operation(was, now, old, new))
    return found


def _operation(was: Schema, now: Schema, old: Schema, new: Schema) -> Iterator[str]:
    if was["operationId"] != now["operationId"]:
        yield f"is called {now['operationId']}, no longer {was['operationId']}"
    yield from _security(was.get("security", []), now.get("security", []))
    yield from _parameters(was.get("parameters", []), now.get("parameters", []), old, new)
    yield from _body(was.get("requestBody"), now.get("requestBody"), old, new)
    for status, answer in was["responses"].items():
        if status[0] == "2":
            if status not in now["responses"]:
                yield f"no longer answers {status}"
            else:
                yield from _answer(status, answer, now["responses"][status], old, new)


def _security(was: list[Schema], now: list[Schema]) -> Iterator[str]:
    if {} in was and {} not in now:
        yield "is no longer public"
    before, after = ({scope for way in ways for scope in way.get("bearer", ())} for ways in (was, now))
    if after and not before and was:
        yield f"asks for a scope: {', '.join(sorted(after))}"
    if (gone := before - after) and after:
        yield f"no longer takes the scope {', '.join(sorted(gone))}"


def _parameters(was: list[Schema], now: list[Schema], old: Schema, new: Schema) -> Iterator[str]:
    before = {(one["in"], one["name"]): one for one in was}
    after = {(one["in"], one["name"]): one for one in now}
    for (where, name), one in before.items():
        if (where, name) not in after:
            yield f"no longer takes {where} parameter {name}"
        else:
            yield from _Fit(old, new, True).check(one["schema"], after[where, name]["schema"], f"{where} {name}")
    for (where, name), one in after.items():
        if one.get("required") and not before.get((where, name), {}).get("required"):
            yield f"{where} parameter {name} is required"


def _body(was: Schema | None, now: Schema | None, old: Schema, new: Schema) -> Iterator[str]:
    if now is not None and now.get("required") and not (was or {}).get("required"):
        yield "a body is required"
    for media, one in (was or {}).get("content", {}).items():
        if media not in (now or {}).get("content", {}):
            yield f"no longer takes {media}"
        else:
            yield from _Fit(old, new, True).check(one["schema"], (now or {})["content"][media]["schema"], "body")


def _answer(status: str, was: Schema, now: Schema, old: Schema, new: Schema) -> Iterator[str]:
    for media, one in was.get("content", {}).items():
        if media not in now.get("content", {}):
            yield f"{status} no longer comes as {media}"
        else:
            yield from _Fit(new, old, False).check(now["content"][media]["schema"], one["schema"], f"{status}")
    for name in was.get("headers", {}).keys() - now.get("headers", {}).keys():
        yield f"{status} has lost the header {name}"


class _Fit:
    """Does every value of schema a (of document `docs[0]`) fit schema b (of `docs[1]`)? `taken`: they are what clients
    send, else what they are answered."""

    def __init__(self, of_a: Schema, of_b: Schema, taken: bool) -> None:
        self._docs = of_a, of_b
        self._taken = taken
        self._seen: set[tuple[str, str]] = set()

    def check(self, a: Schema, b: Schema, at: str) -> list[str]:
        """What does not fit, each with its place."""
        if "$ref" in a and "$ref" in b:
            if (a["$ref"], b["$ref"]) in self._seen:
                return []
            self._seen.add((a["$ref"], b["$ref"]))
        a, b = _resolved(a, self._docs[0]), _resolved(b, self._docs[1])
        of_a, of_b = _choices(a), _choices(b)
        if of_a is not None or of_b is not None:
            return self._several(of_a or [a], of_b or [b], at)
        return [*self._values(a, b, at), *self._members(a, b, at), *self._items(a, b, at)]

    def _several(self, of_a: list[Schema], of_b: list[Schema], at: str) -> list[str]:
        """Each choice of a must fit one of b; what is told is how it misses the one that comes closest."""
        found: list[str] = []
        for one in of_a:
            seen = set(self._seen)
            tried: list[list[str]] = []
            for other in of_b:
                self._seen = set(seen)
                tried.append(self.check(one, other, at))
            best = min(tried, key=lambda misses: (any("type" in miss for miss in misses), len(misses)))
            found += best
        return found

    def _values(self, a: Schema, b: Schema, at: str) -> Iterator[str]:
        types, others = _types(a), _types(b)
        if others and not (types and types <= others):
            more = ", ".join(sorted(types - others)) or "anything"
            yield f"{at}: type {more} is {'refused now' if self._taken else 'new'}"
            return
        allowed, others_allowed = _enum(a), _enum(b)
        if others_allowed is not None:
            if allowed is None:
                yield f"{at}: {'takes' if self._taken else 'is no longer'} one of few values{' only' * self._taken}"
            elif more := [value for value in allowed if value not in others_allowed]:
                yield f"{at}: {', '.join(map(str, more))} {'is refused now' if self._taken else 'is a new value'}"
        elif allowed is not None:
            return  # of few values, none of which has limits
        for limit, tight in _LIMITS.items():
            if limit in b and not (limit in a and tight(a[limit], b[limit])):
                change = f"is {b[limit]} now" if self._taken else f"was {b[limit]}"
                yield f"{at}: {limit} {change}"

    def _members(self, a: Schema, b: Schema, at: str) -> Iterator[str]:
        of_a, of_b = a.get("properties", {}), b.get("properties", {})
        for name in b.get("required", []):
            if name in of_a and name not in a.get("required", []):
                yield f"{at}.{name}: {'is required' if self._taken else 'may be missing'}"
            elif name not in of_a and self._taken:
                yield f"{at}.{name}: is required"
        for name in of_b.keys() - of_a.keys() if not self._taken else ():
            yield f"{at}.{name}: is gone"
        closed = b.get("additionalProperties") is False
        for name, one in of_a.items():
            if name in of_b:
                yield from self.check(one, of_b[name], f"{at}.{name}")
            elif closed and self._taken:
                yield f"{at}.{name}: is refused now"
        rest_a, rest_b = a.get("additionalProperties"), b.get("additionalProperties")
        if isinstance(rest_a, dict) and isinstance(rest_b, dict):
            yield from self.check(rest_a, rest_b, f"{at}.*")

    def _items(self, a: Schema, b: Schema, at: str) -> list[str]:
        if "items" not in b:
            return []
        return self.check(a.get("items", {}), b["items"], f"{at}[]")


def _resolved(schema: Schema, document: Schema) -> Schema:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _choices(schema: Schema) -> list[Schema] | None:
    for name in ("anyOf", "oneOf"):
        if name in schema:
            return schema[name]
    return None


def _types(schema: Schema) -> set[str]:
    said = schema.get("type")
    if said is None and "const" in schema:
        return {_KINDS[type(schema["const"])]}
    types = set(said) if isinstance(said, list) else {said} if said else set[str]()
    return types | {"integer"} if "number" in types else types


_KINDS: dict[type, str] = {str: "string", int: "integer", bool: "boolean", type(None): "null"}


def _enum(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")
