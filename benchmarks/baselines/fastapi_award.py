# SPDX-License-Identifier: Apache-2.0
"""The same award as FastAPI and SQLAlchemy are commonly put together: a validated body, the key looked up by its hash,
idempotency, the daily cap and the balance, all in one transaction of the request's own.

It does what the happy path of an award needs and no more: no chain, no receipt, no explanation, no second person. It
is not held back either: uvloop, httptools, a pool of connections, Core statements where the ORM would send two, the
same durability (SQLite: WAL and FULL; PostgreSQL: its default), and as many connections as it is quickest with.
"""

import hashlib
import os
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import BigInteger, Date, Integer, LargeBinary, String, event, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

MINUTES_A_DAY = 240
PER_HOUR = 100
POOL = {"sqlite": 1, "postgresql": 32}

# the body ------------------------------------------------------------------------------------------------------------

Short = Annotated[str, Field(min_length=1, max_length=64)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Proof(Strict):
    kind: Short
    level: Annotated[str, Field(pattern=r"^E[0-4]$")]
    sha256: Annotated[str | None, Field(pattern=r"^[0-9a-f]{64}$")] = None
    reference: Annotated[str | None, Field(max_length=200)] = None


class Case(Strict):
    source: Short
    case: Short
    step: Short | None = None


class Facts(Strict):
    minutes: Annotated[int, Field(ge=1, le=1440)]


class Award(Strict):
    subject: Annotated[str, Field(min_length=1, max_length=40)]
    indicator: Literal["RE-01"]
    occurred_on: date
    facts: Facts
    evidence: Annotated[list[Proof], Field(max_length=10)] = []
    cause: Case | None = None
    place: Annotated[str | None, Field(max_length=40)] = None
    note: Annotated[str | None, Field(max_length=500)] = None


class Posted(BaseModel):
    id: str
    state: str
    outcome: str
    points: int
    balance: int


# the tables ----------------------------------------------------------------------------------------------------------


class Base(DeclarativeBase):
    pass


class ApiKey(Base):
    __tablename__ = "api_key"

    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    name: Mapped[str] = mapped_column(String)


class Balance(Base):
    __tablename__ = "balance"

    subject: Mapped[str] = mapped_column(String, primary_key=True)
    points: Mapped[int] = mapped_column(BigInteger)


class Usage(Base):
    """Minutes of a person on a day."""

    __tablename__ = "usage"

    subject: Mapped[str] = mapped_column(String, primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    minutes: Mapped[int] = mapped_column(Integer)


class AwardRow(Base):
    __tablename__ = "award"

    id: Mapped[str] = mapped_column(String, primary_key=True)
    subject: Mapped[str] = mapped_column(String, index=True)
    indicator: Mapped[str] = mapped_column(String)
    occurred_on: Mapped[date] = mapped_column(Date)
    points: Mapped[int] = mapped_column(BigInteger)
    proposer: Mapped[str] = mapped_column(String)
    body: Mapped[str] = mapped_column(String)


class Kept(Base):
    """What was answered under a retry key."""

    __tablename__ = "idempotency"

    caller: Mapped[str] = mapped_column(String, primary_key=True)
    key: Mapped[str] = mapped_column(String, primary_key=True)
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    answer: Mapped[str] = mapped_column(String)


# the request ---------------------------------------------------------------------------------------------------------


def _engine(url: str) -> AsyncEngine:
    kind, _, rest = url.partition("://")
    pool = {"pool_size": POOL[kind], "max_overflow": 0, "pool_timeout": 120}
    if kind == "postgresql":
        return create_async_engine(f"postgresql+asyncpg://{rest}", **pool)
    engine = create_async_engine(f"sqlite+aiosqlite://{rest}", connect_args={"timeout": 120}, **pool)

    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver would begin for itself, and too late
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


async def prepare(url: str, token: str, subjects: Sequence[str]) -> None:
    """Tables in an empty database, one key, and everybody's balance."""
    engine = _engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(engine) as session, session.begin():
        session.add(ApiKey(hash=hashlib.sha256(token.encode()).digest(), name="bench"))
        session.add_all(Balance(subject=subject, points=0) for subject in subjects)
    await engine.dispose()


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    engine = _engine(os.environ["BASELINE_DATABASE_URL"])
    app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
    app.state.insert = sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert
    yield
    await engine.dispose()


app = FastAPI(lifespan=_lifespan, openapi_url=None)


async def _session(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.app.state.sessions() as session, session.begin():
        yield session


Session = Annotated[AsyncSession, Depends(_session, scope="function")]  # committed before the answer goes out


async def _caller(session: Session, authorization: Annotated[str, Header()] = "") -> str:
    hashed = hashlib.sha256(authorization.removeprefix("Bearer ").encode()).digest()
    name = await session.scalar(select(ApiKey.name).where(ApiKey.hash == hashed))
    if name is None:
        raise HTTPException(401)
    return name


@app.post("/v1/awards", status_code=201)
async def award(
    request: Request,
    data: Award,
    session: Session,
    caller: Annotated[str, Depends(_caller)],
    idempotency_key: Annotated[str, Header(max_length=255)],
) -> Response:
    said = hashlib.sha256(await request.body()).digest()
    kept = await session.get(Kept, (caller, idempotency_key))
    if kept is not None:
        return _again(kept, said)
    posted = await _post(session, request.app.state.insert, data, caller)
    answer = posted.model_dump_json()
    session.add(Kept(caller=caller, key=idempotency_key, hash=said, answer=answer))
    try:
        await session.flush()
    except IntegrityError:  # the same key came twice at once, and the other was first
        raise HTTPException(409) from None
    return Response(answer, 201, media_type="application/json")


def _again(kept: Kept, said: bytes) -> Response:
    if kept.hash != said:
        raise HTTPException(422)
    return Response(kept.answer, 201, {"Idempotency-Replayed": "true"}, media_type="application/json")


async def _post(session: AsyncSession, insert: Any, data: Award, caller: str) -> Posted:
    balance = await session.get(Balance, data.subject, with_for_update=True)
    if balance is None:
        raise HTTPException(404)
    used = await session.scalar(
        select(Usage.minutes).where(Usage.subject == data.subject, Usage.day == data.occurred_on)
    )
    counted = min(data.facts.minutes, MINUTES_A_DAY - (used or 0))
    points = counted * PER_HOUR // 60
    row = insert(Usage).values(subject=data.subject, day=data.occurred_on, minutes=counted)
    changed = {"minutes": Usage.minutes + row.excluded.minutes}
    await session.execute(row.on_conflict_do_update(index_elements=["subject", "day"], set_=changed))
    balance.points += points
    made = AwardRow(
        id=f"awd_{secrets.token_hex(13)}",
        subject=data.subject,
        indicator=data.indicator,
        occurred_on=data.occurred_on,
        points=points,
        proposer=caller,
        body=data.model_dump_json(),
    )
    session.add(made)
    outcome = "posted" if counted == data.facts.minutes else "reduced" if counted else "zero"
    return Posted(id=made.id, state="posted", outcome=outcome, points=points, balance=balance.points)
