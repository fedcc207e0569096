"""LightGBM's text format, read strictly before its native parser sees the file.

That parser trusts the numbers it reads: a child that points outside its tree is followed, a cycle never ends. Here
every count, index and length is checked. Format: a header of `key=value` lines, whose `tree_sizes` are the bytes of
each `Tree=` block after it; in a block, arrays over the inner nodes and over the leaves; children below 0 are leaves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from modelyard.base.messages import t

FILE = "model.txt"
MOST_QUANTILES = 99
VERSION = "v4"
MOST_BYTES = 1 << 31
OF_NODES = ("split_gain", "internal_value", "internal_weight", "internal_count")
OF_LEAVES = ("leaf_weight", "leaf_count")
Fields: TypeAlias = Mapping[str, str]


def names(network: Mapping[str, Any]) -> list[str]:
    """The files of trees that a card's `network` tells of: those of the answer, then `quantiles` more, one a level.

    Raises ValueError if that is no number of files.
    """
    count = network.get("quantiles", 0)
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= MOST_QUANTILES:
        raise ValueError(t("`quantiles` is no number from 0 to {most}", most=MOST_QUANTILES))
    return [FILE, *(f"model.quantile-{place}.txt" for place in range(count))]


class _Damage(Exception):
    """What is wrong, in words."""


def trees_problem(path: Path) -> str:
    """What is wrong with the file, in one sentence; empty if nothing is."""
    if path.stat().st_size > MOST_BYTES:
        return t("the file is larger than {most:,} bytes", most=MOST_BYTES)
    try:
        _check(path.read_bytes())
    except _Damage as damage:
        return str(damage)
    except (KeyError, ValueError, IndexError, OverflowError) as error:
        return t("not trees: {error}", error=f"{type(error).__name__}: {error}"[:80])
    return ""


def _check(data: bytes) -> None:
    head, mark, _ = data.partition(b"\n\n")
    header = _fields(head.decode("utf-8"))
    if not mark or not head.startswith(b"tree\n") or header["version"] != VERSION:
        raise _Damage(t("not trees of LightGBM, version {version}", version=VERSION))
    features = int(header["max_feature_idx"]) + 1
    sizes = _numbers(header["tree_sizes"])
    classes = int(header["num_tree_per_iteration"])
    if features < 1 or classes < 1 or not sizes or len(sizes) % classes or min(sizes) < 1:
        raise _Damage(t("the header's counts do not fit each other"))
    if len(header["feature_names"].split(" ")) != features or len(header["feature_infos"].split(" ")) != features:
        raise _Damage(t("the header's counts do not fit each other"))
    start = len(head) + 2
    for number, size in enumerate(sizes):
        block = data[start : start + size]
        if len(block) != size or not block.startswith(b"Tree=%d\n" % number):
            raise _Damage(t("tree {number} is not where the header says", number=number))
        _check_tree(_fields(block.decode("ascii")), features, number)
        start += size
    if not data[start:].startswith(b"end of trees"):
        raise _Damage(t("something stands after the trees"))


def _fields(text: str) -> dict[str, str]:
    pairs = [line.split("=", 1) for line in text.splitlines() if "=" in line]
    found = {pair[0]: pair[1] for pair in pairs}
    if len(found) != len(pairs):
        raise _Damage(t("a name is there twice"))
    return found


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split()]


def _check_tree(tree: Fields, features: int, number: int) -> None:
    leaves = int(tree["num_leaves"])
    values = [float(word) for word in tree["leaf_value"].split()]
    lengths = {len(tree[name].split()) for name in OF_LEAVES if name in tree} - {0}
    if (
        leaves < 1
        or {len(values)} | lengths != {leaves}
        or not all(map(math.isfinite, values))
        or tree.get("is_linear", "0") != "0"
    ):
        raise _Damage(t("tree {number}: its leaves are not as many numbers as it says", number=number))
    if leaves == 1:
        return
    arrays = {name: _numbers(tree[name]) for name in ("split_feature", "decision_type", "left_child", "right_child")}
    thresholds = [float(word) for word in tree["threshold"].split()]
    lengths = {len(tree[name].split()) for name in OF_NODES if name in tree} - {0}
    if {len(array) for array in arrays.values()} | lengths != {leaves - 1} or len(thresholds) != leaves - 1:
        raise _Damage(t("tree {number}: its nodes are not as many as it says", number=number))
    if not all(0 <= feature < features for feature in arrays["split_feature"]):
        raise _Damage(t("tree {number}: it reads a column that is not there", number=number))
    if not all(0 <= kind < 16 for kind in arrays["decision_type"]):
        raise _Damage(t("tree {number}: a node decides in no known way", number=number))
    _check_children(arrays["left_child"], arrays["right_child"], leaves, number)
    categorical = [int(thresholds[node]) for node, kind in enumerate(arrays["decision_type"]) if kind & 1]
    _check_categories(tree, categorical, number)


def _check_children(left: list[int], right: list[int], leaves: int, number: int) -> None:
    """Each node but the root and each leaf has one parent, and a child stands behind its parent: no cycle."""
    children = [(node, child) for node, both in enumerate(zip(left, right, strict=True)) for child in both]
    reached = sorted(child for _, child in children)
    if reached != [*range(-leaves, 0), *range(1, leaves - 1)]:
        raise _Damage(t("tree {number}: its nodes do not make a tree", number=number))
    if any(0 <= child <= node for node, child in children):
        raise _Damage(t("tree {number}: its nodes do not make a tree", number=number))


def _check_categories(tree: Fields, sets: list[int], number: int) -> None:
    """A categorical node's threshold names a set of values; the sets are bit fields of 32 between boundaries."""
    num_sets = int(tree["num_cat"])
    bounds = _numbers(tree.get("cat_boundaries", "0"))
    bits = _numbers(tree.get("cat_threshold", ""))
    sound = (
        len(bounds) == num_sets + 1
        and bounds[0] == 0
        and bounds == sorted(bounds)
        and bounds[-1] == len(bits)
        and all(0 <= chosen < num_sets for chosen in sets)
        and all(0 <= word < 1 << 32 for word in bits)
    )
    if not sound:
        raise _Damage(t("tree {number}: its categories do not fit each other", number=number))
