# SPDX-License-Identifier: Apache-2.0
"""What has been published: the newest of each community, street by street, or everything of one place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from itertools import groupby
from typing import Any
from urllib.parse import quote

from api.lists import frame
from api.lists.roll_up_page import address
from api.lists.words import Say, period, speaker
from api.messages import Lang

Data = Mapping[str, Any]


def index_page(data: Data, lang: Lang) -> str:
    """The whole page. `data` is what `naming.index` gives."""
    say, one = speaker(lang), data["place"]
    by_street = groupby(data["places"], key=lambda place: place["level"] == "community")
    places = "".join(_places(found, "" if inner and not one else " one", lang, say, one) for inner, found in by_street)
    note = "" if one else f'<p class="note">{escape(say("pick_place"))}</p>'
    name = f'<p class="place">{escape(data["place_name"])}</p>' if data["place_name"] else ""
    under = f"<p>{_links((_at(each['code'], lang), each['name']) for each in data['below'])}</p>"
    body = (
        f"<header><nav>{_ways(data, lang, say)}</nav>{name}<h1>{escape(say('index'))}</h1>"
        f'<p class="note">{escape(say("index_note"))}</p></header>'
        f"<main>{under if data['below'] else ''}{note + places if places else _none(say)}</main>"
    )
    return frame.page(f"{data['place_name']} {say('index')}".strip(), lang, "a4", body)


def _ways(data: Data, lang: Lang, say: Say) -> str:
    """To the other language, up to the places that this one lies in, to everything."""
    one, other = data["place"], "en" if lang == "zh" else "zh"
    ways = [(_at(above["code"], lang), above["name"]) for above in data["above"]]
    ways += [(f"/lists?lang={lang}", say("all_places"))] if one else []
    ways += [(_at(one, other) if one else f"/lists?lang={other}", say("other_language")), ("/", "Jifen")]
    return _links(ways)


def _at(place: str, lang: Lang) -> str:
    return f"/lists?community={quote(place, safe='')}&lang={lang}"


def _links(ways: Iterable[tuple[str, str]]) -> str:
    return " · ".join(f'<a href="{escape(where)}">{escape(text)}</a>' for where, text in ways)


def _none(say: Say) -> str:
    return f'<p class="none">{escape(say("no_editions"))}</p>'


def _places(found: Iterable[Data], css: str, lang: Lang, say: Say, one: str | None) -> str:
    return f'<ul class="places{css}">{"".join(_place(place, lang, say, one) for place in found)}</ul>'


def _place(place: Data, lang: Lang, say: Say, one: str | None) -> str:
    """A place with its lists; the newest edition of each, or of `one` place all of them."""
    lists = [
        (
            found["name"][lang],
            [(f"{frame.address(each, 'html')}?lang={lang}", each["period"]) for each in found["editions"]],
        )
        for found in place["lists"]
    ]
    lists += [
        (
            say("roll_up"),
            [
                (address({"place": place["code"], "list": found["list"], "period": each}, "html", lang), each)
                for each in found["periods"]
            ],
        )
        for found in place["together"]
    ]
    inside = "".join(_list(name, editions, lang, whole=bool(one)) for name, editions in lists)
    name = escape(place["name"])
    heading = "" if one else f'<h2><a href="{escape(_at(place["code"], lang))}">{name}</a></h2>'
    return f"<li>{heading}<ul>{inside}</ul></li>"


def _list(name: str, editions: list[tuple[str, str]], lang: Lang, *, whole: bool) -> str:
    links = _links((where, period(of, lang)) for where, of in (editions if whole else editions[:1]))
    return f"<li><b>{escape(name)}</b><br>{links}</li>" if whole else f"<li>{escape(name)} {links}</li>"
