# SPDX-License-Identifier: Apache-2.0
"""Merkle trees of RFC 9162 §2.1 over leaf hashes: roots, compact ranges, inclusion and consistency proofs.

Pure: no store, no entry. Leaves are the 32-byte hashes of `codec.leaf_hash`. A *complete subtree* (level, index) covers
the 2**level leaves from index * 2**level on; every hash of every proof folds from complete subtrees, which never change
once they are there, so a store needs to keep no others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import islice

_sha256 = hashlib.sha256
HASH_BYTES = 32
SIZE_MAX = 2**63 - 1  # leaves in a tree: what signed 64-bit columns and every other reader can hold
EMPTY_ROOT = _sha256().digest()
_BLOCK_LEVEL = 8
_BLOCK = 1 << _BLOCK_LEVEL

Nodes = list[tuple[int, int]]
"""Complete subtrees (level, index), from left to right: together a part of a tree."""


class BadProof(ValueError):
    """A proof that does not hold, or a question that has none; the message says which."""


def node(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right). RFC 9162 §2.1.1."""
    return _sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """The root over neighbouring complete subtrees, largest and leftmost first; of none, the empty root."""
    if not hashes:
        return EMPTY_ROOT
    folded = hashes[-1]
    for left in reversed(hashes[:-1]):
        folded = node(left, folded)
    return folded


def subtree(leaves: Sequence[bytes]) -> bytes:
    """The root of a complete subtree: 2**k leaves."""
    if not leaves or len(leaves) & (len(leaves) - 1):
        raise ValueError(f"{len(leaves)} leaves are not a complete subtree")
    while len(leaves) > 1:
        leaves = [
            _sha256(b"\x01" + left + right).digest() for left, right in zip(leaves[::2], leaves[1::2], strict=True)
        ]
    return leaves[0]


def root(leaves: Sequence[bytes]) -> bytes:
    """The root of a tree over all of `leaves`."""
    tree = Range()
    tree.extend(leaves)
    return tree.root()


class Range:
    """What a tree needs in order to grow: the roots of the complete subtrees it is made of, at most 63 hashes."""

    __slots__ = ("hashes", "size")

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        """An empty tree, or one that goes on from `size` leaves whose `hashes` (largest first) were kept."""
        self.size = _size(size)
        self.hashes = list(hashes)
        if len(self.hashes) != size.bit_count():
            raise ValueError(f"a tree of {size} has {size.bit_count()} complete subtrees, not {len(self.hashes)}")

    def append(self, leaf: bytes) -> None:
        """One more leaf at the right end."""
        self._add(leaf, 0)

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Many more, about 1 µs each: blocks of 256 that start at a multiple of 256 are folded level by level."""
        rest = iter(leaves)
        while block := list(islice(rest, _BLOCK - self.size % _BLOCK)):
            if len(block) == _BLOCK:
                self._add(subtree(block), _BLOCK_LEVEL)
            else:
                for leaf in block:
                    self._add(leaf, 0)

    def _add(self, grown: bytes, level: int) -> None:
        neighbours = self.size >> level
        while neighbours & 1:
            grown = node(self.hashes.pop(), grown)
            neighbours >>= 1
        self.hashes.append(grown)
        self.size += 1 << level

    def root(self) -> bytes:
        """The root of the tree as it is now."""
        return fold(self.hashes)

    def copy(self) -> Range:
        """The same tree, growing apart from here on."""
        return Range(self.size, self.hashes)


# proofs: made ---------------------------------------------------------------------------------------------------


def inclusion_nodes(index: int, size: int) -> list[Nodes]:
    """The proof that leaf `index` is in a tree of `size`: one part for each hash, siblings from the leaf up.

    The hash is `fold` of the part's subtrees. RFC 9162 §2.1.3.1. Raises `BadProof` unless 0 <= index < size.
    """
    _index(index, _size(size))
    parts: list[Nodes] = []
    low, high = 0, size
    while high - low > 1:
        middle = _middle(low, high)
        if index < middle:
            parts.append(cover(middle, high))
            high = middle
        else:
            parts.append(cover(low, middle))
            low = middle
    return parts[::-1]


def consistency_nodes(m: int, n: int) -> list[Nodes]:
    """The proof that a tree of `n` starts with the tree of `m`, in parts as above; none for m = 0 and m = n.

    RFC 9162 §2.1.4.1. Raises `BadProof` unless 0 <= m <= n.
    """
    _sizes(m, n)
    parts: list[Nodes] = []
    low, high = 0, n
    while m != high and m:
        middle = _middle(low, high)
        if m <= middle:
            parts.append(cover(middle, high))
            high = middle
        else:
            parts.append(cover(low, middle))
            low = middle
    if low:  # the last complete subtree of m; where it is all of m, the checker has its root already
        parts.append(cover(low, high))
    return parts[::-1]


def inclusion(leaves: Sequence[bytes], index: int, size: int) -> list[bytes]:
    """The inclusion proof of `index` in the tree over the first `size` of `leaves`, all of them in memory."""
    return _hashes(leaves, size, inclusion_nodes(index, size))


def consistency(leaves: Sequence[bytes], m: int, n: int) -> list[bytes]:
    """The consistency proof between the trees over the first `m` and the first `n` of `leaves`."""
    return _hashes(leaves, n, consistency_nodes(m, n))


def _hashes(leaves: Sequence[bytes], size: int, parts: list[Nodes]) -> list[bytes]:
    if size > len(leaves):
        raise BadProof(f"{len(leaves)} leaves do not make a tree of {size}")
    return [fold([subtree(leaves[index << level : (index + 1) << level]) for level, index in part]) for part in parts]


def _middle(low: int, high: int) -> int:
    """Where a tree of two leaves or more parts: after the largest power of two that is smaller than its size."""
    return low + (1 << (high - low - 1).bit_length() - 1)


def cover(low: int, high: int) -> Nodes:
    """The leaves [low, high) as complete subtrees, left to right; `low` is a multiple of the largest of them."""
    nodes: Nodes = []
    while low < high:
        level = (high - low).bit_length() - 1
        nodes.append((level, low >> level))
        low += 1 << level
    return nodes


# proofs: checked ------------------------------------------------------------------------------------------------


def root_of_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root of the only tree of `size` in which `proof` puts `leaf` at `index`. RFC 9162 §2.1.3.2.

    Raises `BadProof` for an index outside, a hash too many or too few, or one that is not 32 bytes.
    """
    _index(index, _size(size))
    inner, border = _shape(index, size)
    _length(proof, inner + border)
    _hashed(leaf, *proof)
    return _border(_inner(leaf, proof[:inner], index), proof[inner:])


def check_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raise `BadProof` unless `leaf` stands at `index` of the tree of `size` with this `root`."""
    if root_of_inclusion(leaf, index, size, proof) != root:
        raise BadProof(f"the leaf at {index} is not in the tree of {size}")


def check_consistency(m: int, n: int, root_m: bytes, root_n: bytes, proof: Sequence[bytes]) -> None:
    """Raise `BadProof` unless the tree of `n` starts with the tree of `m`. RFC 9162 §2.1.4.2.

    The empty tree is the start of every tree, with the empty root and an empty proof.
    """
    _sizes(m, n)
    _hashed(root_m, root_n, *proof)
    if m == 0 or m == n:
        _length(proof, 0)
        if root_m != (EMPTY_ROOT if m == 0 else root_n) or (n == 0 and root_n != EMPTY_ROOT):
            raise BadProof(f"the roots of sizes {m} and {n} contradict each other")
        return
    # The walk starts at the last complete subtree of the smaller tree, `shift` levels up.
    shift = (m & -m).bit_length() - 1
    inner, border = _shape(m - 1, n)
    inner -= shift
    given = m != 1 << shift  # otherwise that subtree is the smaller tree itself
    _length(proof, given + inner + border)
    start, path = (proof[0], proof[1:]) if given else (root_m, proof)
    index = (m - 1) >> shift
    lefts = [sibling for level, sibling in enumerate(path[:inner]) if index >> level & 1]
    if _border(start, [*lefts, *path[inner:]]) != root_m:
        raise BadProof(f"the proof does not lead to the root of size {m}")
    if _border(_inner(start, path[:inner], index), path[inner:]) != root_n:
        raise BadProof(f"the proof does not lead to the root of size {n}")


def _shape(index: int, size: int) -> tuple[int, int]:
    """How many hashes a path has below, and above, the point where it joins the right edge of the tree.

    Above that point all siblings stand to the left.
    """
    inner = (index ^ (size - 1)).bit_length()
    return inner, (index >> inner).bit_count()


def _inner(start: bytes, path: Sequence[bytes], index: int) -> bytes:
    for level, sibling in enumerate(path):
        start = node(sibling, start) if index >> level & 1 else node(start, sibling)
    return start


def _border(start: bytes, path: Sequence[bytes]) -> bytes:
    for sibling in path:
        start = node(sibling, start)
    return start


def _size(size: int) -> int:
    if not 0 <= size <= SIZE_MAX:
        raise BadProof(f"{size} is not the size of a tree")
    return size


def _sizes(m: int, n: int) -> None:
    if _size(m) > _size(n):
        raise BadProof(f"a tree of {n} does not start with one of {m}")


def _index(index: int, size: int) -> None:
    if not 0 <= index < size:
        raise BadProof(f"a tree of {size} has no leaf {index}")


def _length(proof: Sequence[bytes], wanted: int) -> None:
    if len(proof) != wanted:
        raise BadProof(f"the proof has {len(proof)} hashes where {wanted} are needed")


def _hashed(*hashes: bytes) -> None:
    if any(len(value) != HASH_BYTES for value in hashes):
        raise BadProof("a hash has 32 bytes")
