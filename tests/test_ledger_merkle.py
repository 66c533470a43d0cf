# SPDX-License-Identifier: Apache-2.0
"""Trees and proofs agree with RFC 9162, with the published vectors, and believe nothing that was changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha256

import pymerkle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import codec, merkle
from ledger.merkle import BadProof, Range

LEAVES = [sha256(number.to_bytes(8, "big")).digest() for number in range(1500)]
SMALL = 40  # every tree up to this size is tried whole


# The definitions of RFC 9162 §2.1.1, §2.1.3.1 and §2.1.4.1, word for word: recursive and slow.


def mth(leaves: list[bytes]) -> bytes:
    if len(leaves) < 2:
        return leaves[0] if leaves else sha256(b"").digest()
    k = split(len(leaves))
    return sha256(b"\1" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def split(size: int) -> int:
    k = 1
    while 2 * k < size:
        k *= 2
    return k


@cache
def root(size: int) -> bytes:
    return mth(LEAVES[:size])


def changed(proof: list[bytes]) -> Iterator[list[bytes]]:
    """The proof with one hash changed in one bit, one left out, one more, or two that have changed places."""
    for at, value in enumerate(proof):
        for bit in (0, 7, 131, 255):
            flipped = int.from_bytes(value, "big") ^ 1 << bit
            yield [*proof[:at], flipped.to_bytes(32, "big"), *proof[at + 1 :]]
        yield [*proof[:at], *proof[at + 1 :]]
        yield [*proof[:at], value, *proof[at:]]
        yield [*proof[:at], value[:31], *proof[at + 1 :]]
        yield [*proof[:at], value + b"\0", *proof[at + 1 :]]
        if at and value != proof[at - 1]:
            yield [*proof[: at - 1], value, proof[at - 1], *proof[at + 1 :]]
    for more in (b"\0" * 32, merkle.EMPTY_ROOT, b""):
        yield [*proof, more]
        yield [more, *proof]


def refused(check: Callable[..., None], *asked: object) -> None:
    with pytest.raises(BadProof):
        check(*asked)


# The eight leaves of the Certificate Transparency reference implementation, whose hashes many languages agree on.
CT_LEAVES = [
    sha256(b"\0" + bytes.fromhex(data)).digest()
    for data in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
F = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"


@pytest.mark.parametrize("size", range(9))
def test_published_roots(size: int) -> None:
    """The roots of the first 0 to 8 reference leaves are those that everybody else gets."""
    assert CT_ROOTS[size] == merkle.root(CT_LEAVES[:size]).hex()


@pytest.mark.parametrize(
    ("index", "size", "proof"),
    [
        (0, 1, []),
        (0, 8, [A, B, C]),
        (5, 8, [D, E, CT_ROOTS[4]]),
        (2, 3, [CT_ROOTS[2]]),
        (1, 5, [CT_ROOTS[1], B, D]),
    ],
)
def test_published_inclusion_proofs(index: int, size: int, proof: list[str]) -> None:
    """The reference implementation's inclusion proofs are made and believed."""
    made = merkle.inclusion(CT_LEAVES, index, size)
    assert proof == [value.hex() for value in made]
    merkle.check_inclusion(CT_LEAVES[index], index, size, made, bytes.fromhex(CT_ROOTS[size]))


@pytest.mark.parametrize(
    ("m", "n", "proof"), [(1, 1, []), (1, 8, [A, B, C]), (6, 8, [F, E, CT_ROOTS[4]]), (2, 5, [B, D])]
)
def test_published_consistency_proofs(m: int, n: int, proof: list[str]) -> None:
    """The reference implementation's consistency proofs are made and believed."""
    made = merkle.consistency(CT_LEAVES, m, n)
    assert proof == [value.hex() for value in made]
    merkle.check_consistency(m, n, bytes.fromhex(CT_ROOTS[m]), bytes.fromhex(CT_ROOTS[n]), made)


@pytest.mark.parametrize("size", range(1, SMALL + 1))
def test_inclusion_in_every_small_tree(size: int) -> None:
    """Each proof is the one RFC 9162 defines; with anything in it or around it changed it is refused."""
    for index in range(size):
        proof = merkle.inclusion(LEAVES, index, size)
        assert proof == path(index, LEAVES[:size])
        leaf = LEAVES[index]
        merkle.check_inclusion(leaf, index, size, proof, root(size))
        for other in changed(proof):
            refused(merkle.check_inclusion, leaf, index, size, other, root(size))
        for elsewhere in (*range(-1, index), *range(index + 1, size + 2)):
            refused(merkle.check_inclusion, leaf, elsewhere, size, proof, root(size))
        for other_size in (*range(-1, size), *range(size + 1, SMALL + 2)):
            # A tree's root goes with its size; neither is believed without the other.
            refused(merkle.check_inclusion, leaf, index, other_size, proof, root(max(other_size, 0)))
        refused(merkle.check_inclusion, LEAVES[index + 1], index, size, proof, root(size))
        refused(merkle.check_inclusion, leaf[:31], index, size, proof, root(size))
        refused(merkle.check_inclusion, leaf, index, size, proof, root(size - 1))


@pytest.mark.parametrize("n", range(SMALL + 1))
def test_consistency_of_every_small_pair(n: int) -> None:
    """Each proof is the one RFC 9162 defines; with anything in it or around it changed it is refused."""
    for m in range(n + 1):
        proof = merkle.consistency(LEAVES, m, n)
        assert proof == (subproof(m, LEAVES[:n], True) if m else [])
        merkle.check_consistency(m, n, root(m), root(n), proof)
        for other in changed(proof):
            refused(merkle.check_consistency, m, n, root(m), root(n), other)
        stranger = sha256(root(m) + root(n)).digest()
        refused(merkle.check_consistency, m, n, stranger, root(n), proof)
        if m:
            refused(merkle.check_consistency, m, n, root(m), stranger, proof)
        for other_m in (*range(-1, m), *range(m + 1, n + 2)):
            refused(merkle.check_consistency, other_m, n, root(m), root(n), proof)
            if other_m > 0 and other_m != n:
                refused(merkle.check_consistency, other_m, n, root(other_m), root(n), proof)
        for other_n in range(SMALL + 1):
            if other_n != n and m not in (0, other_n):
                refused(merkle.check_consistency, m, other_n, root(m), root(other_n), proof)


@given(st.lists(st.integers(0, 700), max_size=6), st.integers(0, 300))
def test_a_range_grows_the_same_however_it_is_fed(parts: list[int], single: int) -> None:
    """One by one, in blocks, from a copy, or from hashes that were kept: the root is that of the leaves."""
    tree, size = Range(), 0
    for part in [*parts, single]:
        leaves = LEAVES[size % 700 : size % 700 + part]
        before, other = tree.copy(), Range(tree.size, tuple(tree.hashes))
        tree.extend(iter(leaves))
        for leaf in leaves:
            other.append(leaf)
        assert tree.hashes == other.hashes
        assert tree.size == other.size == before.size + part
        assert tree.root() == other.root()
        size += part
    fed = Range()
    size = 0
    for part in [*parts, single]:
        fed.extend(LEAVES[size % 700 : size % 700 + part])
        size += part
    assert fed.root() == tree.root()


@given(st.integers(0, len(LEAVES)))
def test_root_of_a_larger_tree(size: int) -> None:
    """The root of a tree over many blocks is that of the definition."""
    assert mth(LEAVES[:size]) == merkle.root(LEAVES[:size])


@given(st.data())
def test_proofs_from_a_store_of_complete_subtrees(data: st.DataObject) -> None:
    """A store that keeps only complete subtrees can make every proof, also in the largest trees."""
    twins = [LEAVES[0]]  # all leaves are the same: the subtree of each level is known without 2**62 hashes
    for _ in range(62):
        twins.append(merkle.node(twins[-1], twins[-1]))

    def hashes(parts: list[list[tuple[int, int]]], size: int) -> list[bytes]:
        for part in parts:
            for level, index in part:
                assert (index + 1) << level <= size
        return [merkle.fold([twins[level] for level, _ in part]) for part in parts]

    def whole(size: int) -> bytes:
        return Range(size, [twins[level] for level in range(62, -1, -1) if size >> level & 1]).root()

    sizes = st.integers(1, 63).flatmap(lambda bits: st.integers(1, 2**bits - 1))
    n = data.draw(sizes)
    index, m = data.draw(st.integers(0, n - 1)), data.draw(st.integers(0, n))
    proof = hashes(merkle.inclusion_nodes(index, n), n)
    merkle.check_inclusion(LEAVES[0], index, n, proof, whole(n))
    merkle.check_consistency(m, n, whole(m), whole(n), hashes(merkle.consistency_nodes(m, n), n))
    refused(merkle.check_inclusion, LEAVES[1], index, n, proof, whole(n))


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 4), (4, 4), (0, -1), (0, 2**63), (2**63, 2**64)])
def test_there_is_no_proof_for_a_leaf_outside(index: int, size: int) -> None:
    """An index outside the tree, and a tree larger than 2**63 - 1, are refused by maker and checker."""
    refused(merkle.check_inclusion, LEAVES[0], index, size, [], LEAVES[0])
    with pytest.raises(BadProof):
        merkle.inclusion_nodes(index, size)
    with pytest.raises(BadProof):
        merkle.inclusion(LEAVES[:4], index, size)


@pytest.mark.parametrize(("m", "n"), [(1, 0), (5, 4), (-1, 4), (0, -1), (1, 2**63), (2**63, 2**63)])
def test_there_is_no_proof_backwards(m: int, n: int) -> None:
    """A tree does not start with a larger one, and none is larger than 2**63 - 1."""
    refused(merkle.check_consistency, m, n, LEAVES[0], LEAVES[0], [])
    with pytest.raises(BadProof):
        merkle.consistency_nodes(m, n)


def test_what_is_not_there_has_no_proof() -> None:
    """A tree larger than its leaves, and a subtree or a range that does not add up, are refused."""
    with pytest.raises(BadProof):
        merkle.inclusion(LEAVES[:4], 0, 5)
    for count in (0, 3, 255):
        with pytest.raises(ValueError, match="complete"):
            merkle.subtree(LEAVES[:count])
    with pytest.raises(ValueError, match="complete"):
        Range(5, LEAVES[:1])
    with pytest.raises(BadProof):
        Range(-1)


def test_a_root_of_the_empty_tree_is_no_other() -> None:
    """From size 0 anything follows, but only from the empty root; size 0 has no other root."""
    merkle.check_consistency(0, 0, merkle.EMPTY_ROOT, merkle.EMPTY_ROOT, [])
    refused(merkle.check_consistency, 0, 0, LEAVES[0], LEAVES[0], [])
    refused(merkle.check_consistency, 0, 0, merkle.EMPTY_ROOT, LEAVES[0], [])
    refused(merkle.check_consistency, 0, 3, LEAVES[0], root(3), [])
    refused(merkle.check_consistency, 0, 3, merkle.EMPTY_ROOT, root(3), [root(3)])
    refused(merkle.check_consistency, 3, 3, root(3), root(3), [root(3)])


def test_bytes_do_not_move_between_neighbours() -> None:
    """A hash of 31 bytes beside one of 33 is hashed like two of 32, and refused all the same."""
    left, right = LEAVES[:2]
    refused(merkle.check_inclusion, left + right[:1], 0, 2, [right[1:]], root(2))
    refused(merkle.check_inclusion, left[:31], 0, 2, [left[31:] + right], root(2))
    refused(merkle.check_consistency, 1, 2, left + right[:1], root(2), [right[1:]])
    refused(merkle.check_consistency, 3, 3, left[:31], left[:31], [])


HASHES = st.binary(min_size=32, max_size=32) | st.sampled_from(LEAVES[:4]) | st.binary(max_size=40)


@given(st.integers(-2, 2**64), st.integers(-2, 2**64), HASHES, HASHES, st.lists(HASHES, max_size=70))
def test_any_other_proof_is_a_bad_proof(m: int, n: int, one: bytes, two: bytes, proof: list[bytes]) -> None:
    """Nonsense of any shape is refused as such, with no other exception."""
    refused(merkle.check_inclusion, one, m, n, proof, two)
    if m != n and m:
        refused(merkle.check_consistency, m, n, one, two, proof)


# against an independent library ---------------------------------------------------------------------------------


@given(st.integers(1, 300), st.data())
def test_an_independent_library_agrees(size: int, data: st.DataObject) -> None:
    """Roots and inclusion proofs equal pymerkle's hash by hash; consistency proofs lead to the roots it has."""
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    entries = [b"entry %d" % number for number in range(size)]
    for entry in entries:
        tree.append_entry(entry)
    leaves = [codec.leaf_hash(entry) for entry in entries]
    root = merkle.root(leaves)
    assert tree.get_root(size) == root
    index, before = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    theirs = tree.prove_inclusion(index + 1, size)  # it counts from 1 and repeats the leaf
    assert [leaves[index], *merkle.inclusion(leaves, index, size)] == [*theirs.path]
    pymerkle.verify_inclusion(leaves[index], root, theirs)
    # Its consistency proofs are written in another way; the roots of both sizes are what ours must lead to.
    smaller = tree.get_root(before)
    pymerkle.verify_consistency(smaller, root, tree.prove_consistency(before, size))
    merkle.check_consistency(before, size, smaller, root, merkle.consistency(leaves, before, size))
