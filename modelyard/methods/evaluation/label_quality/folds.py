"""Folds for out-of-fold predictions: classes alike in every fold, groups and near-equal texts whole.

A row whose twin stands in another fold is predicted from memory: its wrong label would look right. Two texts are
near-equal here if they are the same without case, white space, punctuation and digits.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from modelyard.base.messages import t
from modelyard.errors import InputError

_LETTERS = re.compile(r"[^\W\d_]+")


def near_key(text: str) -> bytes:
    """16 bytes, equal for texts with the same letters in the same order; of a text without letters, its own."""
    normal = unicodedata.normalize("NFKC", text).casefold()
    letters = "".join(_LETTERS.findall(normal)) or "\0" + normal
    return hashlib.blake2b(letters.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def assign(
    keys: Sequence[bytes], labels: NDArray[np.int64], groups: Sequence[Hashable] | None, num_folds: int, seed: int
) -> NDArray[np.int64]:
    """Fold [rows] of each row.

    Rows that share a key or a group go together, largest clusters first and then in the order of a keyed hash, so
    that the folds do not depend on the order of the rows. A cluster goes where its classes are rarest so far.

    Raises:
        InputError: there are fewer clusters than folds.
    """
    members = together(keys, groups)
    num_clusters = int(members.max()) + 1 if len(members) else 0
    if num_clusters < num_folds:
        raise InputError(
            t("{n:,} separate texts or groups are too few for {k} folds", n=num_clusters, k=num_folds),
            expected=t("at least one for each fold"),
            remedy=t("bring more rows, or set `folds` lower"),
        )
    table = np.zeros((num_clusters, int(labels.max()) + 1))
    np.add.at(table, (members, labels), 1)
    return _deal(table, _ranks(keys, members, seed), num_folds)[members]


def together(keys: Sequence[bytes], groups: Sequence[Hashable] | None) -> NDArray[np.int64]:
    """Cluster [rows] of each row: rows that share a key or a group, directly or through others. None is no group."""
    nodes: dict[tuple[str, Hashable], int] = {}
    texts = np.array([nodes.setdefault(("text", key), len(nodes)) for key in keys], np.int64)
    marks = np.array(
        [
            texts[row] if group is None else nodes.setdefault(("group", group), len(nodes))
            for row, group in enumerate(groups or ())
        ],
        np.int64,
    )
    if not len(marks):
        return texts
    size = len(nodes)
    links = coo_matrix((np.ones(len(texts), np.int8), (texts, marks)), shape=(size, size))
    found = connected_components(links, directed=False)[1][texts]
    return np.unique(found, return_inverse=True)[1].astype(np.int64)


def _deal(table: NDArray[np.float64], ranks: NDArray[np.int64], num_folds: int) -> NDArray[np.int64]:
    """Fold of each cluster, from its rows by class [clusters, classes]."""
    share = 1 / np.maximum(1, table.sum(0))
    held = np.zeros((num_folds, table.shape[1]))
    sizes = np.zeros(num_folds)
    folds = np.empty(len(table), np.int64)
    for cluster in np.lexsort((ranks, -table.sum(1))):
        own = np.flatnonzero(table[cluster])
        crowded = held[:, own] @ (table[cluster, own] * share[own])
        fold = int(np.lexsort((sizes, crowded))[0])
        folds[cluster] = fold
        held[fold, own] += table[cluster, own]
        sizes[fold] += table[cluster].sum()
    return folds


def _ranks(keys: Sequence[bytes], members: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Rank of each cluster by the keyed hash of its smallest key."""
    smallest: dict[int, bytes] = {}
    for member, key in zip(members.tolist(), keys, strict=True):
        smallest[member] = min(smallest.get(member, key), key)
    salt = (seed % 2**64).to_bytes(8, "big")
    hashes = [hashlib.blake2b(smallest[member], key=salt, digest_size=16).digest() for member in range(len(smallest))]
    ranks = np.empty(len(hashes), np.int64)
    ranks[sorted(range(len(hashes)), key=hashes.__getitem__)] = np.arange(len(hashes))
    return ranks
