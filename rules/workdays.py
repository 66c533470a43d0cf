# SPDX-License-Identifier: Apache-2.0
"""Working days: our own table of holidays and make-up working days, extended by a file of the operator's.

Where the table ends, Monday to Friday are counted and the answer says that it is not sure: the next year's holidays
are announced late in the year before.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

TABLE = Path(__file__).parent / "holidays.toml"
FILE = "holidays.toml"  # in JIFEN_HOME, and in an export
_ONE_DAY = timedelta(days=1)
_DAYS_MAX = 30  # no holiday is longer; a slip of the pen in a year would count none for decades


class HolidaysError(ValueError):
    """A table of holidays that cannot be meant; the message says where and what."""


class _Holiday(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1, max_length=40)]
    from_: Annotated[date, Field(alias="from")]
    to: date
    work: tuple[date, ...] = Field(default=(), strict=False)

    @model_validator(mode="after")
    def _plausible(self) -> _Holiday:
        if not 0 <= (self.to - self.from_).days < _DAYS_MAX:
            raise ValueError(f"{self.name}: from {self.from_} to {self.to} is no holiday")
        for day in self.work:
            if day.weekday() < 5:
                raise ValueError(f"{self.name}: {day} is no Saturday or Sunday, so it is a working day anyway")
        return self


class _Year(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    year: Annotated[int, Field(ge=2000, le=2100)]
    notice: Annotated[str, Field(min_length=1, max_length=200)]
    holidays: Annotated[tuple[_Holiday, ...], Field(min_length=1, strict=False)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    year: Annotated[tuple[_Year, ...], Field(min_length=1, strict=False)]


@dataclass(frozen=True, slots=True)
class Workdays:
    """Which days are worked. `years` are those that the table knows; `text` is the table as it can be handed on."""

    off: frozenset[date]
    worked: frozenset[date]
    years: frozenset[int]
    text: bytes

    def is_workday(self, day: date) -> bool:
        """Is it worked? Beyond the table's years: is it Monday to Friday?"""
        return day in self.worked or (day.weekday() < 5 and day not in self.off)

    def after(self, day: date, count: int) -> tuple[date, bool]:
        """The `count`-th working day after `day`, and whether the table knows every day between."""
        sure = True
        while count:
            day += _ONE_DAY
            sure = sure and day.year in self.years
            count -= self.is_workday(day)
        return day, sure


def read(*texts: bytes) -> Workdays:
    """Tables read one after the other; a year in a later one takes the place of the same year before.

    Raises `HolidaysError`.
    """
    years: dict[int, _Year] = {}
    for text in texts:
        try:
            table = _Table.model_validate(tomllib.loads(text.decode()))
        except UnicodeDecodeError as error:
            raise HolidaysError(f"{FILE} is not UTF-8: {error.reason}") from error
        except tomllib.TOMLDecodeError as error:
            raise HolidaysError(f"{FILE}: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise HolidaysError(f"{FILE}: {where}: {first['msg']}") from error
        years |= {one.year: one for one in table.year}
    holidays = [holiday for year in years.values() for holiday in year.holidays]
    off = {one.from_ + _ONE_DAY * n for one in holidays for n in range((one.to - one.from_).days + 1)}
    worked = {day for one in holidays for day in one.work}
    # One text after the other is a table again, for a table consists of [[year]] alone.
    return Workdays(frozenset(off), frozenset(worked), frozenset(years), b"\n".join(texts))


def load(home: Path) -> Workdays:
    """The built-in table, with what the operator has added in `home`. Raises `HolidaysError`."""
    more = home / FILE
    return read(TABLE.read_bytes(), more.read_bytes()) if more.is_file() else builtin()


@cache
def builtin() -> Workdays:
    """The table that comes with Jifen."""
    return read(TABLE.read_bytes())


def working_days_after(day: date, count: int) -> tuple[date, bool]:
    """`Workdays.after` by the built-in table."""
    return builtin().after(day, count)
