"""Folds of a data set for cross-validation: every row of train and validation in the held-out part of one fold.

Rows that share a normalised text or a group form a cluster, which is never cut (clusters.py). Clusters are dealt out
largest first, those of one size in the order of a keyed hash of their text; each goes to the fold whose class counts it
brings nearest to equal shares, in squares by class; of equal ones to that with the fewest rows. So classes are alike in
all folds, and where a row goes does not depend on the order rows come in. Near-copies are not looked for:
data.deduplicate does that before the split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.dataset import Dataset, SplitWriter, write_schema
from modelyard.methods.data.grouping import unpack
from modelyard.methods.data.roles import schema_of
from modelyard.methods.data.splitting.clusters import Table, clusters
from modelyard.methods.data.splitting.sides import TRAIN, VALIDATION, Rows, Sides


def assign(rows: Rows, k: int, seed: int) -> NDArray[np.int64]:
    """Fold of each row [rows], 0 to k - 1.

    Raises:
        InputError: there are fewer clusters than folds.
    """
    members = clusters(rows)
    codes = rows.labels.codes if rows.labels is not None else np.zeros(len(rows), dtype=np.int32)
    num_classes = len(rows.labels.names) if rows.labels is not None else 1
    num_clusters = len(np.unique(members))
    if num_clusters < k:
        raise InputError(
            t("{count} texts or groups cannot be cut into {k} folds", count=num_clusters, k=k),
            expected=t("at least one for each fold"),
            remedy=t("a smaller `k`, or more data"),
        )
    table = Table.of(members, codes, num_classes)
    sizes, ranks = table.sizes(), _ranks(rows, members, num_clusters, seed)
    total = np.bincount(codes, minlength=num_classes)
    missing = np.repeat(total[None, :] / k, k, axis=0)  # [folds, classes]
    weights = 1.0 / np.maximum(1, total)
    of_fold = np.zeros(k, dtype=np.int64)
    place = np.empty(num_clusters, dtype=np.int64)
    for cluster in np.lexsort((ranks, -sizes.astype(np.int64))):
        row = table.row(int(cluster))
        change = np.round(((missing - row) ** 2 - missing**2) @ weights, 9)
        fold = int(np.lexsort((np.arange(k), of_fold, change))[0])
        place[cluster] = fold
        missing[fold] -= row
        of_fold[fold] += sizes[cluster]
    return place[members]


def _ranks(rows: Rows, members: NDArray[np.int64], num_clusters: int, seed: int) -> NDArray[np.uint64]:
    """A keyed hash of the least text key of each cluster."""
    least: list[bytes] = [b""] * num_clusters
    for cluster, key in zip(members.tolist(), unpack(rows.keys), strict=True):
        if not least[cluster] or key < least[cluster]:
            least[cluster] = key
    salt = seed.to_bytes(8, "big", signed=True)
    hashes = [hashlib.blake2b(key, key=salt, digest_size=8, person=b"folds").digest() for key in least]
    return np.array([int.from_bytes(value, "big") for value in hashes], dtype=np.uint64)


def sides_of(folds: NDArray[np.int64], fold: int) -> Sides:
    """Validation is the fold, train all others."""
    return np.where(folds == fold, np.int8(VALIDATION), np.int8(TRAIN)).astype(np.int8)


def write_sides(data: Dataset, splits: Sequence[str], sides: Sides, target: Path) -> tuple[int, int]:
    """Write the rows of some splits as `train` and `validation`, each in the order of the data; the rest is left out.

    Args:
        sides: TRAIN, VALIDATION or REMOVED of each row of these splits, one after the other.

    Returns:
        Rows of train and of validation.
    """
    schema = schema_of(data.columns)
    write_schema(target, data.columns)
    start = 0
    with SplitWriter(target, "train", schema) as train, SplitWriter(target, "validation", schema) as validation:
        for batch in (batch for split in splits for batch in data.batches(split)):
            part = sides[start : start + batch.num_rows]
            train.write(batch.filter(pa.array(part == TRAIN)))
            validation.write(batch.filter(pa.array(part == VALIDATION)))
            start += batch.num_rows
    return int((sides == TRAIN).sum()), int((sides == VALIDATION).sum())
