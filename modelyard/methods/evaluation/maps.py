"""Rows on a map: what a model makes of them, in two dimensions, and how far the map can be believed.

t-SNE (van der Maaten and Hinton 2008) and UMAP (McInnes, Healy and Melville 2018) keep neighbours, not distances: the
size of a cluster and the gap between two say nothing. What they kept is measured here, a share a row:

| quantity | of a row |
|---|---|
| neighbour agreement | of its k nearest on the map, those that are among its k nearest in the features |
| trustworthiness | 1 less the ranks beyond k of its neighbours there, by the worst there is (Venna, Kaski 2001) |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.base.lookup import require
from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.evaluation.estimates import Estimate
from modelyard.methods.evaluation.means import share_interval
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.predictor import Record

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NEIGHBOURS = 10
FEWEST = 2 * NEIGHBOURS + 1
"""Trustworthiness needs more than twice as many rows as neighbours."""
AXES = 50
"""Principal components that are kept before the map is made."""
TEXT_AXES = 100
BATCH = 32


@dataclass(frozen=True)
class Features:
    """What stands for rows.

    Attributes:
        values: [n, d].
        source: `network` (what its last layer reads), `texts` (TF-IDF and SVD) or `columns` (encoded cells).
    """

    values: Floats
    source: str


def features(folder: Path, card: ModelCard, records: Sequence[Record], columns: Sequence[str], seed: int) -> Features:
    """The model's own features where it is a network that can be opened, else those of the texts or columns.

    Raises InputError for pictures of a model that is no such network, and for rows without anything to compare.
    """
    own = network_features(folder, card, records)
    if own is not None:
        return Features(own, "network")
    if card.task.startswith("image-"):
        raise InputError(
            t("the model shows no features of its pictures"),
            where=str(folder),
            expected=t("a network whose last layer is linear, of the format hf or modelyard"),
            remedy=t("use the model it was made from"),
        )
    if columns:
        return Features(column_features(records, columns), "columns")
    return Features(text_features([str(record["text"]) for record in records], seed), "texts")


def network_features(folder: Path, card: ModelCard, records: Sequence[Record]) -> Floats | None:
    """[n, d] what the last linear layer reads; None if the model has no such layer or cannot be opened.

    Of a layer that reads every token, the mean over the real ones.
    """
    from modelyard.methods.runtimes.gradients import gradients_problem

    if gradients_problem(card):
        return None
    import torch

    from modelyard.methods.runtimes.differentiable import open_differentiable

    opened = open_differentiable(folder)
    read: list[torch.Tensor] = []
    linears = [one for one in opened.module.modules() if isinstance(one, torch.nn.Linear)]
    handles = [one.register_forward_pre_hook(lambda _, given: read.append(given[0])) for one in linears]
    found: list[Floats] = []
    try:
        for start in range(0, len(records), BATCH):
            read.clear()
            arrays = opened.encode(records[start : start + BATCH])
            with torch.no_grad():
                opened.logits(arrays)
            if not read:
                return None
            found.append(_one_a_row(read[-1], arrays.get("attention_mask")))
    finally:
        for handle in handles:
            handle.remove()
    return np.concatenate(found)


def _one_a_row(given: Any, mask: NDArray[Any] | None) -> Floats:
    values: Floats = given.double().numpy()
    if values.ndim == 2:
        return values
    if mask is None or mask.shape != values.shape[:2]:
        return np.asarray(values.reshape(len(values), -1, values.shape[-1]).mean(1), np.float64)
    weights = mask[:, :, None].astype(np.float64)
    mean: Floats = (values * weights).sum(1) / np.maximum(weights.sum(1), 1)
    return mean


def text_features(texts: Sequence[str], seed: int) -> Floats:
    """[n, d] the largest singular directions of TF-IDF. Raises InputError for texts without a single n-gram."""
    from sklearn.decomposition import TruncatedSVD

    from modelyard.methods.evaluation.baselines import cut, vectorizer

    try:
        counted = vectorizer(texts)[1].fit_transform(cut(texts))
    except ValueError:  # scikit-learn's word for texts without a single n-gram
        raise InputError(t("the texts have no words to compare"), where="data/test") from None
    axes = min(TEXT_AXES, min(counted.shape) - 1)
    if axes < 1:
        return np.asarray(counted.todense(), np.float64)
    return np.asarray(TruncatedSVD(axes, random_state=seed).fit_transform(counted), np.float64)


def column_features(records: Sequence[Record], columns: Sequence[str]) -> Floats:
    """[n, d] standardised numbers (missing: the median) and one place a word."""
    from modelyard.methods.evaluation.table_baselines import ColumnEncoder

    encoder = ColumnEncoder.fit(records, list(columns))
    if encoder is None:
        raise InputError(t("the table has no column the model reads"), where="data/test")
    found = encoder.encode(records)
    return np.asarray(found.toarray() if hasattr(found, "toarray") else found, np.float64)


def project(values: Floats, method: str, seed: int) -> Floats:
    """Places [n, 2] of rows [n, d], by `tsne` or `umap`, from their AXES principal components; on one thread.

    Raises:
        InputError: fewer than FEWEST rows, or rows that are all the same.
        DependencyError: UMAP is not installed.
    """
    if len(values) < FEWEST:
        raise InputError(
            t("{n} rows are too few for a map", n=len(values)),
            where="data/test",
            expected=t("at least {least} test rows that can be judged", least=FEWEST),
            remedy=t("give `data.split` a larger share for this split"),
        )
    if not np.isfinite(values).all() or not np.ptp(values, axis=0).any():
        raise InputError(t("the model sees no difference between the rows: there is nothing to map"), where="data/test")
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1):
        reduced = _principal(values, seed)
        return _umap(reduced, seed) if method == "umap" else _tsne(reduced, seed)


def _principal(values: Floats, seed: int) -> Floats:
    from sklearn.decomposition import PCA

    axes = min(AXES, *values.shape)
    found: Floats = np.asarray(PCA(axes, svd_solver="full", random_state=seed).fit_transform(values), np.float64)
    return found if found.shape[1] > 1 else np.hstack([found, np.zeros_like(found)])


def _tsne(values: Floats, seed: int) -> Floats:
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(values) - 1) / 3)
    made = TSNE(2, perplexity=perplexity, init="pca", random_state=seed, n_jobs=1).fit_transform(values)
    return np.asarray(made, np.float64)


def _umap(values: Floats, seed: int) -> Floats:
    neighbours = min(15, len(values) - 1)
    made = require("umap", "maps").UMAP(n_components=2, n_neighbors=neighbours, random_state=seed, n_jobs=1)
    return np.asarray(made.fit_transform(values), np.float64)


def estimates(values: Floats, places: Floats, seed: int) -> list[Estimate]:
    """How far places [n, 2] keep the neighbours of rows [n, d].

    The intervals take rows as independent; one map holds for all of them, so that they are about other rows of this
    map, not about another map.
    """
    agreement, trust = kept(values, places, NEIGHBOURS)
    found = (("neighbour_agreement", agreement), ("trustworthiness", trust))
    return [Estimate(name, float(one.mean()), share_interval(one, seed), one.size) for name, one in found]


def kept(values: Floats, places: Floats, neighbours: int) -> tuple[Floats, Floats]:
    """Neighbour agreement and trustworthiness of each row [n], each 0 to 1; n must be above twice the neighbours."""
    n, k = len(values), neighbours
    ranks = _ranks(values)
    near = _order(places)[:, :k]
    of_near = np.take_along_axis(ranks, near, axis=1)
    worst = k * (2 * n - 3 * k - 1) / 2
    return (of_near <= k).mean(1), 1 - np.maximum(of_near - k, 0).sum(1) / worst


def _order(points: Floats) -> Ints:
    """[n, n - 1] the other rows, the nearest first."""
    from scipy.spatial.distance import cdist

    apart = cdist(points, points)
    np.fill_diagonal(apart, np.inf)
    return np.argsort(apart, axis=1, kind="stable")[:, :-1]


def _ranks(points: Floats) -> Ints:
    """[n, n] the place from 1 of each other row among the neighbours; 0 for the row itself."""
    order = _order(points)
    found = np.zeros((len(points), len(points)), np.int64)
    np.put_along_axis(found, order, np.arange(1, len(points))[None, :].repeat(len(points), 0), axis=1)
    return found
