# SPDX-License-Identifier: Apache-2.0
"""What is answered about people and bodies: registering, looking up, cards, codes, consents, proxies."""

from __future__ import annotations

from typing import Literal

from api.http.answers import TypedDict
from api.http.shapes import Day, Instant, PlaceCode


class Registered(TypedDict):
    subject: str


class Masked(TypedDict):
    """A person by their number, with most of the name covered."""

    subject: str
    masked_name: str
    place: PlaceCode
    groups: list[str]


class FoundPeople(TypedDict):
    """Whom the caller may mean; nobody, where nobody fits or nobody is theirs to find."""

    items: list[Masked]


class ErasedPerson(TypedDict):
    """`traces`: `none` once the database's files are clean of the record, else `pending`."""

    subject: str
    state: Literal["erased"]
    traces: Literal["none", "pending"]


class MyFrozenCards(TypedDict):
    """`cards` counts those that were active."""

    state: Literal["frozen"]
    cards: int


class FrozenCards(MyFrozenCards):
    subject: str


class IssuedCard(TypedDict):
    """The PIN is shown in this answer and never again."""

    subject: str
    state: Literal["active"]
    card: str
    pin: str


class ActivationCode(TypedDict):
    """Good for one activation until it expires."""

    subject: str
    code: str
    expires_at: Instant


class AgreedTo(TypedDict):
    ledger: Literal[0, 1]
    publication: Literal[0, 1]
    merchant: Literal[0, 1]
    ranking: Literal[0, 1]


class SubjectConsents(TypedDict):
    subject: str
    consents: AgreedTo


class ProxyTerms(TypedDict):
    """`acts` pays with the person's points, `relative` for them with points of their own. `until` is the last day."""

    masked_name: str
    kind: Literal["acts", "relative"]
    until: Day


class ProxyBody(ProxyTerms):
    proxy: str


class ActingFor(ProxyTerms):
    subject: str


class Proxies(TypedDict):
    items: list[ProxyBody]


MyProxies = TypedDict("MyProxies", {"items": list[ProxyBody], "for": list[ActingFor]})
MyProxies.__doc__ = "Who stands in for me, and I for whom."


class EndedProxies(TypedDict):
    """How many ended."""

    ended: int


class BodyItem(TypedDict):
    """A shop, company, committee or team. `uscc`: its unified social credit code."""

    subject: str
    name: str
    type: str
    uscc: str | None
    community: PlaceCode
    groups: list[str]
