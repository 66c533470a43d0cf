# SPDX-License-Identifier: Apache-2.0
"""We as a log: the newest checkpoint of the epoch log offered to every witness, and the cosignatures that hold kept.

It runs beside everything else and in nobody's way: a witness that is slow, absent, broken or dishonest costs a line in
`jifen witness show`. A round may run at any time, twice, or in two processes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from api.witness import config, wire
from api.witness.config import Peer
from api.witness.post import Answer, Unreachable, post
from api.witness.state import LONGEST_WAIT_S, Memory, Standing
from ledger.errors import Unavailable
from ledger.guard import EPOCHS
from ledger.keys import Cosigner
from ledger.note import BadNote, Note, Signature, format_note, parse_decimal, parse_note, verify
from ledger.publish import Publisher
from ledger.published import Published

log = logging.getLogger("jifen.witness")

FIRST_WAIT_S = 5  # before the second try; doubled for each further one
AHEAD_S = 300  # how far a witness's clock may be before ours

Post = Callable[[str, bytes], Awaitable[Answer]]


class Epochs(Protocol):
    """What a round needs of the epoch log."""

    async def newest(self) -> Note | None:
        """Its newest checkpoint with the signatures there are; None before the first."""
        ...

    async def consistency(self, m: int, n: int) -> list[bytes]:
        """The proof that its tree of `n` continues that of `m`."""
        ...

    async def add_cosignatures(self, size: int, signatures: Sequence[Signature]) -> bool:
        """Keep these with the checkpoint of that size; False if it is no longer the newest."""
        ...


class EpochLog:
    """The epoch log of a ledger, as a round needs it."""

    def __init__(self, published: Published, publisher: Publisher) -> None:
        self._published = published
        self.add_cosignatures = publisher.add_cosignatures

    async def newest(self) -> Note | None:
        try:
            return (await self._published.checkpoint(EPOCHS))[0]
        except Unavailable:
            return None

    async def consistency(self, m: int, n: int) -> list[bytes]:
        return await self._published.trees.consistency(EPOCHS, m, n)


class NotCosigned(Exception):
    """A witness did not cosign; the message says why and what to do, in words for an operator."""


async def offer(home: Path, epochs: Epochs, clock: Callable[[], int], send: Post = post) -> int:
    """One round: ask every witness whose turn it is and who has not cosigned the newest checkpoint yet. How many did.

    `clock` gives microseconds. Raises `ConfigError` where the operator's file cannot be read.
    """
    peers = config.read(home).witnesses
    note = await epochs.newest() if peers else None
    if note is None:
        return 0
    signed = {(one.name, one.id) for one in note.signatures}
    asked = [peer for peer in peers if (peer.key.name, peer.key.id) not in signed]
    if not asked:
        return 0
    memory = await asyncio.to_thread(Memory, home)
    try:
        async with asyncio.TaskGroup() as turns:
            done = [turns.create_task(_turn(memory, epochs, clock, send, peer, note)) for peer in asked]
    finally:
        memory.close()
    return sum(one.result() for one in done)


async def _turn(memory: Memory, epochs: Epochs, clock: Callable[[], int], send: Post, peer: Peer, note: Note) -> bool:
    """One witness's part of a round; never raises for anything that the witness does."""
    standing = await asyncio.to_thread(memory.claim, peer.key.text, clock() // 1_000_000)
    if standing is None:
        return False
    size = wire.checkpoint_of(note).size
    try:
        signatures = await _cosignatures(epochs, send, peer, note, size, standing.size, clock)
        await epochs.add_cosignatures(size, signatures)
    except Exception as error:
        known = isinstance(error, NotCosigned | Unreachable)
        said = f"size {size}: {error}" if known else f"size {size}: {type(error).__name__}"
        if said != standing.said:  # once, not every few minutes
            log.warning("witness %s: %s", peer.key.name, said, exc_info=None if known else error)
        wait = min(FIRST_WAIT_S << min(standing.tries, 16), LONGEST_WAIT_S)
        now = clock() // 1_000_000
        failed = replace(standing, next_at=now + wait, tries=standing.tries + 1, said=said)
        await asyncio.to_thread(memory.settle, failed)
        return False
    await asyncio.to_thread(memory.settle, Standing(peer.key.text, size, clock() // 1_000_000))
    return True


async def _cosignatures(
    epochs: Epochs, send: Post, peer: Peer, note: Note, size: int, old: int, clock: Callable[[], int]
) -> list[Signature]:
    """What the witness returns for this checkpoint, checked. Raises `NotCosigned`, `Unreachable`."""
    raw = format_note(note.text, note.signatures)
    url = peer.url + wire.CALL
    old = min(old, size)
    for last in (False, True):
        proof = await epochs.consistency(old, size)
        answer = await send(url, wire.write(old, proof, raw))
        if answer.status != 409 or last:
            break
        old = _size(answer)
        if old > size:
            raise NotCosigned(
                f"it has cosigned our log at size {old}, and ours has only {size}: entries that were published are "
                "missing here (restored from an old copy?), or somebody else signs with our key"
            )
    if answer.status == 200:
        return _checked(note, answer.body, peer.key, clock)
    raise NotCosigned(_refused(answer.status))


def _size(answer: Answer) -> int:
    if answer.content_type != wire.SIZE_TYPE or not answer.body.endswith(b"\n"):
        raise NotCosigned("409 without the size it knows; is this the address of a witness?")
    try:
        return parse_decimal(answer.body[:-1].decode("ascii"))
    except ValueError:  # BadNote is one, and so is what is not ASCII
        raise NotCosigned("409 with something that is not a size") from None


def _checked(note: Note, body: bytes, key: Cosigner, clock: Callable[[], int]) -> list[Signature]:
    """The cosignatures of this witness among the lines it returned; those of others are not looked at."""
    try:
        returned = parse_note(note.text.encode() + b"\n" + body)
        if returned.text != note.text:
            raise BadNote("more than signature lines")
        verify(returned, [key])
    except BadNote as error:
        raise NotCosigned(f"what it returned is not its cosignature: {error}; nothing of it was kept") from None
    ours = {one for one in returned.signatures if (one.name, one.id) == (key.name, key.id)}
    if any(not 0 < key.seconds(one.raw) <= clock() // 1_000_000 + AHEAD_S for one in ours):
        raise NotCosigned("its cosignature has no time, or one to come; nothing of it was kept. Compare the clocks")
    return [max(ours, key=lambda one: key.seconds(one.raw))]


def _refused(status: int) -> str:
    match status:
        case 403:
            return "403: it does not trust the key that signed; give its operator our log vkey (jifen witness show)"
        case 404:
            return (
                "404: it does not witness our log, or this is not its address; give its operator our log vkey "
                "(jifen witness show)"
            )
        case 409:
            return "409 twice: it cosigned something else in between; is another server signing for us?"
        case 422:
            return (
                "422: it finds that our log does not continue what it cosigned before. Run jifen verify, and talk to "
                "its operator before anything else"
            )
        case _ if 300 <= status < 400:
            return f"{status}: it points elsewhere, which is not followed; put the final address into witness.toml"
        case _:
            return f"{status}"
