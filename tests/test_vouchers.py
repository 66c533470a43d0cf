# SPDX-License-Identifier: Apache-2.0
"""The voucher's bytes: what is ours is read, every forgery is refused in one way, and the reference till agrees."""

from __future__ import annotations

import ast
import json
import sys
from dataclasses import asdict, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ledger.keys import Signer
from ledger.receipt import base45, unbase45
from merchants.vouchers.format import PREFIX, BadVoucher, Voucher, pack, read, signer, write
from merchants.vouchers.issue import DAYS_MAX, UPLOAD_DAYS, last_day
from tests import reference_client, voucher_vectors
from tests.reference_till import FILE, till
from tests.voucher_vectors import SIGNER, VOUCHER

VECTORS: dict[str, Any] = json.loads(voucher_vectors.FILE.read_text("utf-8"))
TEXT = write(pack(VOUCHER), SIGNER)
KEYS = [SIGNER.verifier.public]


def both(text: str) -> Voucher | None:
    """What the deployment and the reference till read in a text: the same, or a failure."""
    try:
        ours = read(text, SIGNER.verifier)
    except BadVoucher as error:
        assert "not a voucher of ours" == str(error)
        ours = None
    theirs = till.read(text, SIGNER.name, KEYS)
    assert (ours and asdict(ours)) == (theirs and asdict(theirs)), text
    return ours


def test_vectors() -> None:
    """The published vouchers are read and written byte by byte; no published forgery is read."""
    assert voucher_vectors.build() == VECTORS
    for one in VECTORS["good"]:
        assert Voucher(**one["fields"]) == both(one["text"])
        assert one["packed"] == pack(Voucher(**one["fields"])).hex()
    for one in VECTORS["forged"]:
        assert both(one["text"]) is None, one["what"]


def test_every_bit_counts() -> None:
    """A voucher with any one bit changed, or cut anywhere, is no voucher."""
    data = unbase45(TEXT.removeprefix(PREFIX))
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        assert both(PREFIX + base45(bytes(changed))) is None, bit
    for length in range(len(TEXT)):
        assert both(TEXT[:length]) is None
    for at, character in enumerate(TEXT):
        other = "A" if character != "A" else "B"
        assert both(TEXT[:at] + other + TEXT[at + 1 :]) is None, at


@given(
    st.text(max_size=400) | st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:", max_size=400).map(PREFIX.__add__)
)
def test_noise_is_no_voucher(text: str) -> None:
    """Whatever a scanner brings is refused, never an accident."""
    assert both(text) is None


@given(
    st.builds(
        Voucher,
        *[st.text(st.characters(codec="utf-8"), max_size=40)] * 6,
        st.integers(0, 2**32 - 1),
        *[st.integers(0, 2**64 - 1)] * 4,
    )
)
def test_what_is_written_is_read(voucher: Voucher) -> None:
    """Fields of any length and content come back as they went in."""
    assert voucher == both(write(pack(voucher), SIGNER))


def test_the_longest_voucher_fits_a_qr_code() -> None:
    """With texts as long as the interface lets them be, the largest QR code still holds it."""
    long = replace(VOUCHER, circle="圈" * 60, title="𠀀" * 100)
    assert len(write(pack(long), SIGNER)) < 1_200
    assert len(TEXT) < 400


def test_the_key_is_the_deployments_own() -> None:
    """The key follows from the deployment's secret alone, and is not the secret."""
    one, again, other = signer(b"s" * 32, "a"), signer(b"s" * 32, "a"), signer(b"t" * 32, "a")
    assert one == again != other
    assert one.seed != b"s" * 32


def test_nobody_loses_a_day_through_a_voucher() -> None:
    """It ends when its first points do at the latest; and either they come back while still good, or it was good for
    as long as they were."""
    today = date(2022, 1, 10)
    assert "2022-01-20" == last_day(today.isoformat(), 10, None)
    for days in (1, 10, DAYS_MAX):
        for lot in (*range(40), 365):
            lapses = today + timedelta(lot)
            end = date.fromisoformat(last_day(today.isoformat(), days, lapses.isoformat()))
            assert today <= end <= min(lapses, today + timedelta(DAYS_MAX))
            assert end == lapses or end + timedelta(UPLOAD_DAYS) <= lapses


# the reference till ----------------------------------------------------------------------------------------------

NOON = VOUCHER.issued + 3_600


def a_till(folder: Path, **settings: str) -> Any:
    told = {"url": "http://till.invalid", "merchant": VOUCHER.merchant, "community": VOUCHER.community, "circle": ""}
    told |= {"origin": SIGNER.name, "keys": [SIGNER.verifier.public.hex()], **settings}
    (folder / "till.json").write_text(json.dumps(told))
    (folder / "key").write_text("jk_1")
    made = till.Till(folder)
    made.load()
    return made


def test_the_till_knows_nothing_of_ours() -> None:
    """It and the client beside it import the standard library and `cryptography` alone."""
    for file in (FILE, reference_client.FILE):
        tree = ast.parse(file.read_text("utf-8"))
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        allowed = {*sys.stdlib_module_names, "cryptography", reference_client.FILE.stem}
        assert {name.split(".")[0] for name in names} <= allowed, file.name


def test_a_till_without_a_network(tmp_path: Path) -> None:
    """It takes a voucher once, at a shop it is for, in its time; and says the same of every forgery."""
    shop = a_till(tmp_path)
    elsewhere = {"merchant": "mer_other"}
    assert "other_shop" == a_till(tmp_path, **elsewhere).verdict(TEXT, NOON)[0]
    assert "other_shop" == a_till(tmp_path, **elsewhere, circle="便民圈", community="x").verdict(TEXT, NOON)[0]
    assert "ok" == a_till(tmp_path, **elsewhere, circle="便民圈").verdict(TEXT, NOON)[0]
    assert ("ended", "ok") == (shop.verdict(TEXT, VOUCHER.ends)[0], shop.verdict(TEXT, VOUCHER.ends - 1)[0])
    assert "clock" == shop.verdict(TEXT, VOUCHER.issued - 90_000)[0]
    assert {("not_valid", None)} == {shop.take(one["text"], NOON) for one in VECTORS["forged"]}
    assert "ok" == shop.take(TEXT, NOON)[0]
    assert "taken" == shop.take(TEXT, NOON)[0] == a_till(tmp_path).verdict(TEXT, NOON)[0]


def test_a_till_that_loses_its_power(tmp_path: Path) -> None:
    """A line that was torn in writing was never promised; its counter goes to the next voucher. A batch on its way is
    sent again as it was, and answers that came twice are kept once."""
    shop = a_till(tmp_path)
    shop.take(TEXT, NOON)
    with (tmp_path / "taken.jsonl").open("ab") as file:
        file.write(b'{"counter": 2, "id": "red_half')
    again = a_till(tmp_path)
    second = write(pack(replace(VOUCHER, id="red_second")), SIGNER)
    assert "ok" == again.take(second, NOON)[0]
    batch = again.outbox()
    assert [1, 2] == [one["counter"] for one in batch["lines"]]
    assert batch == a_till(tmp_path).outbox()
    again.answered(batch["batch"], [{"counter": 1, "result": "captured", "reason": None, "replayed": False}])
    rest = a_till(tmp_path).outbox()
    assert ([2], True) == ([one["counter"] for one in rest["lines"]], rest["batch"] != batch["batch"])


def test_a_key_of_another_deployment_reads_nothing(tmp_path: Path) -> None:
    """A till set up elsewhere takes no voucher of ours, even where the two deployments have one name."""
    for other in (Signer("other.example", SIGNER.seed), Signer(SIGNER.name, bytes(32))):
        strange = a_till(tmp_path, origin=other.name, keys=[other.verifier.public.hex()])  # type: ignore[arg-type]
        assert ("not_valid", None) == strange.verdict(TEXT, NOON)
