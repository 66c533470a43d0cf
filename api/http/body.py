# SPDX-License-Identifier: Apache-2.0
"""Bodies as they come in: strict JSON, then the handler's model. Every wrong field is named at once.

Stricter than JSON: no fractions, no key twice, no control character NUL, no lone surrogate, no number beyond what an
amount can be. What passes means the same to every reader, so a retry key can stand for it.
"""

import json
from typing import Any, TypeVar, get_origin

from litestar import Request
from litestar.types import Empty
from pydantic import BaseModel, ConfigDict, ValidationError

from api.invalid import ERRORS_MAX, invalid

INTEGER_MAX = 10**12  # as ledger.model.AMOUNT_MAX: no field of ours means more
DEPTH_MAX = 32
BYTES_MAX = 10 * 1024 * 1024
MEDIA_TYPE = "application/json"  # and what is built on it; saying nothing is as good

Model = TypeVar("Model", bound=BaseModel)


class Nothing(BaseModel):
    """No fields: for calls that say it all in their address, so that a body meant for another call is not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Body:
    """A JSON body that was found to be strict: its bytes, and what they say."""

    __slots__ = ("raw", "value")

    def __init__(self, raw: bytes, value: Any) -> None:
        self.raw = raw
        self.value = value


def header(scope: Any, name: bytes) -> bytes | None:
    """The first header of that name. Litestar's `headers` makes a dictionary of all of them first, which costs every
    request more than all that we ask of it."""
    for key, value in scope["headers"]:
        if key == name:
            return value
    return None


class StrictRequest(Request[Any, Any, Any]):
    """Litestar's request, with our idea of JSON."""

    @property
    def content_length(self) -> int | None:
        """As announced. Raises Litestar's own error for what is not a number."""
        value = header(self.scope, b"content-length")
        if value is None:
            return None
        return int(value) if value.isdigit() and len(value) < 20 else super().content_length

    async def body(self) -> bytes:
        """As Litestar's, without its two generators where the whole body is there in one piece (all but uploads)."""
        state, most = self._connection_state, self.route_handler.resolve_request_max_body_size()
        if self._body is Empty and state.body is Empty and self.is_connected and most:
            if (self.content_length or 0) > most:
                return await super().body()  # which says that it is too large
            event: Any = await self.receive()
            if event["type"] == "http.request" and not event.get("more_body") and len(event["body"]) <= most:
                self.is_connected = False
                self._body = state.body = event["body"]
            else:
                self.receive = _after(event, self.receive)
        return await super().body()

    async def json(self) -> Any:
        """The body as `Body`. Raises `request_invalid`."""
        state = self._connection_state
        if type(state.json) is not Body:
            raw = await self.body()
            if raw and header(self.scope, b"content-type") != MEDIA_TYPE.encode():  # nearly always said just so
                said = self.content_type[0].lower()
                if said and said != MEDIA_TYPE and not said.endswith("+json"):
                    raise invalid([{"pointer": "Content-Type", "code": "not_a_choice", "limit": MEDIA_TYPE}])
            state.json = Body(raw, parse(raw))
        return state.json


def _after(event: Any, receive: Any) -> Any:
    """`receive` with an event in front that was taken from it already."""
    first = [event]

    async def again() -> Any:
        return first.pop() if first else await receive()

    return again


class _Loose(Exception):
    """Somewhere in this text is something that our JSON does not have."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _Loose
    return made


def _integer(text: str) -> int:
    if len(text) > 14 or abs(number := int(text)) > INTEGER_MAX:
        raise _Loose
    return number


def _refuse(_text: str) -> Any:
    raise _Loose


_STRICT = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_refuse, parse_constant=_refuse)


def parse(raw: bytes) -> Any:
    """The value in `raw`. Raises `request_invalid` with every place that is not strict."""
    try:
        text = raw.decode()
        if "\\u0000" in text or "\\ud" in text or "\\uD" in text:
            raise _Loose
        return _STRICT.decode(text)
    except (_Loose, RecursionError):
        return _explain(raw)
    except UnicodeDecodeError:
        raise invalid([{"pointer": "", "code": "not_utf8"}]) from None
    except ValueError as error:
        at = getattr(error, "pos", 0)
        raise invalid([{"pointer": "", "code": "not_json", "at": at}]) from None


class _Twice(dict[str, Any]):
    """An object in which a key stood twice."""

    twice: str


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    loose = _Twice(made)
    seen: set[str] = set()
    loose.twice = next(key for key, _ in pairs if key in seen or seen.add(key))
    return loose


class _Number(str):
    """A number of the text that is not one of ours."""


def _number(text: str) -> Any:
    try:
        return _integer(text)
    except _Loose:
        return _Number(text)


_LOOSE = json.JSONDecoder(object_pairs_hook=_pairs, parse_int=_number, parse_float=_Number, parse_constant=_Number)


def _explain(raw: bytes) -> Any:
    """Read once more, slowly, and name each place; the value if it was strict after all."""
    try:
        value = _LOOSE.decode(raw.decode())
    except RecursionError:
        raise invalid([{"pointer": "", "code": "too_deep", "limit": DEPTH_MAX}]) from None
    except ValueError as error:
        raise invalid([{"pointer": "", "code": "not_json", "at": getattr(error, "pos", 0)}]) from None
    errors: list[dict[str, Any]] = []
    _walk(value, "", errors, 0)
    if errors:
        raise invalid(errors)
    return value


def _walk(value: Any, at: str, errors: list[dict[str, Any]], depth: int) -> None:
    if len(errors) >= ERRORS_MAX:
        return
    if isinstance(value, _Number):
        whole = value.lstrip("-").isdecimal()
        code = {"code": "number_too_large", "limit": INTEGER_MAX} if whole else {"code": "not_an_integer"}
        errors.append({"pointer": at, **code})
    elif isinstance(value, str):
        if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
            errors.append({"pointer": at, "code": "bad_character"})
    elif depth > DEPTH_MAX:
        errors.append({"pointer": at, "code": "too_deep", "limit": DEPTH_MAX})
    elif isinstance(value, dict):
        if isinstance(value, _Twice):
            errors.append({"pointer": _below(at, value.twice), "code": "key_twice"})
        for key, item in value.items():
            if "\0" in key or any("\ud800" <= c <= "\udfff" for c in key):
                errors.append({"pointer": at, "code": "bad_character"})
                continue
            _walk(item, _below(at, key), errors, depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _walk(item, f"{at}/{index}", errors, depth + 1)


def _below(at: str, key: Any) -> str:
    return f"{at}/{str(key).replace('~', '~0').replace('/', '~1')}"


# models ----------------------------------------------------------------------------------------------------------


def validate(model: type[Model], body: Any) -> Model:
    """`body` as `model`, days and lists read as JSON means them. Raises `request_invalid`."""
    try:
        if type(body) is Body:
            return model.model_validate_json(body.raw, strict=True)
        return model.model_validate(body, strict=True)
    except ValidationError as error:
        raise invalid([_field(one) for one in error.errors(include_url=False, include_input=False)]) from None


async def read(request: Request[Any, Any, Any], model: type[Model]) -> Model:
    """The request's JSON body as `model`, for handlers that take more than one kind of body."""
    return validate(model, await request.json())


def is_model(target: Any) -> bool:
    """Is this annotation a pydantic model? Litestar asks it of every annotation once."""
    return get_origin(target) is None and isinstance(target, type) and issubclass(target, BaseModel)


_CODES = {
    "missing": "field_missing",
    "extra_forbidden": "field_unknown",
    "int_type": "not_an_integer",
    "int_from_float": "not_an_integer",
    "int_parsing": "not_an_integer",
    "string_type": "not_a_text",
    "bool_type": "not_a_boolean",
    "list_type": "not_a_list",
    "tuple_type": "not_a_list",
    "frozen_set_type": "not_a_list",
    "dict_type": "not_an_object",
    "model_type": "not_an_object",
    "model_attributes_type": "not_an_object",
    "date_type": "not_a_day",
    "date_parsing": "not_a_day",
    "date_from_datetime_parsing": "not_a_day",
    "date_from_datetime_inexact": "not_a_day",
    "string_too_short": "too_short",
    "too_short": "too_short",
    "string_too_long": "too_long",
    "too_long": "too_long",
    "greater_than": "number_too_small",
    "greater_than_equal": "number_too_small",
    "less_than": "number_too_large",
    "less_than_equal": "number_too_large",
    "string_pattern_mismatch": "not_in_form",
    "literal_error": "not_a_choice",
    "enum": "not_a_choice",
}
_LIMITS = ("ge", "gt", "le", "lt", "min_length", "max_length", "expected", "pattern")


def _field(error: Any) -> dict[str, Any]:
    pointer = ""
    for part in error["loc"]:
        pointer = _below(pointer, part)
    found: dict[str, Any] = {"pointer": pointer, "code": _CODES.get(error["type"], "field_invalid")}
    context = error.get("ctx") or {}
    for name in _LIMITS:
        if name in context:
            found["limit"] = context[name] if isinstance(context[name], int | str) else str(context[name])
    return found
