"""`linear`: a linear support-vector machine on TF-IDF n-grams, its strength chosen on validation.

One-against-rest with the squared hinge loss (Fan et al. 2008, LIBLINEAR), whose optimum is unique: no learning rate, no
epochs. Scores become logits by one temperature fitted on validation (Platt 1999 without offset). As an option the
features are weighted by naive-Bayes log-count ratios first (Wang & Manning 2012, NBSVM); on the reviews and mails
tried here plain features did better. All of it folds into one table of rows, see networks/linear.py.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix
from sklearn.svm import LinearSVC

from modelyard.base.messages import t
from modelyard.methods.networks.linear import Linear
from modelyard.methods.preprocessing import ngrams
from modelyard.methods.training import checkpoints, evaluation
from modelyard.methods.training.candidates import Candidate, Examples
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.settings import ClassWeights, LinearSettings, Metric

MAX_ITERATIONS = 2000


def matrix(vocabulary: ngrams.Ngrams, examples: Examples) -> csr_matrix:
    """[rows, features] weights."""
    rows, ids, weights = vocabulary.sparse(examples.texts)
    return csr_matrix((weights.astype(np.float64), (rows, ids)), shape=(len(examples), vocabulary.num_features))


def train(
    training: Examples,
    validation: Examples,
    num_labels: int,
    settings: LinearSettings,
    class_weights: ClassWeights,
    seed: int,
    scratch: Path,
    hooks: Hooks,
    metric: Metric = "accuracy",
) -> Candidate:
    """Fit one machine a strength, keep the one that is best on validation: by `metric`, then loss."""
    vocabulary = ngrams.fit(training.texts, None, settings.min_rows, settings.max_features)
    module = Linear(vocabulary.num_features, num_labels)
    found = checkpoints.load(scratch, hooks.say)
    if found is None:
        x, x_validation = matrix(vocabulary, training), matrix(vocabulary, validation)
        tried = []
        for position, strength in enumerate(settings.strengths):
            weight, bias = _fit(x, training, num_labels, strength, settings.naive_bayes, class_weights, seed)
            logits = x_validation @ weight + bias
            scale = temperature(logits, validation.labels)
            metrics = evaluation.scores(scale * logits, validation.labels)
            value = -metrics["loss"] if metric == "loss" else metrics[metric]
            tried.append((value, -metrics["loss"], -position, weight * scale, bias * scale))
            hooks.progress(position + 1, len(settings.strengths), "strengths")
        best = max(tried, key=lambda one: one[:3])
        tensors = {"weights": {"weight": torch.tensor(best[3]).float(), "bias": torch.tensor(best[4]).float()}}
        found = checkpoints.Checkpoint(1, tensors, {"strength": settings.strengths[-best[2]]})
        checkpoints.save(scratch, found)
    module.load_state_dict(dict(found.tensors["weights"]))
    logits32 = answers(module, matrix(vocabulary, validation))
    hooks.say(t("linear: C = {strength:g} on validation", strength=found.state["strength"]))
    return Candidate(
        name="linear",
        module=module.eval(),
        network={"kind": "linear", "num_features": vocabulary.num_features, "num_labels": num_labels},
        preprocessors=(vocabulary,),
        logits=logits32,
        metrics=evaluation.scores(logits32, validation.labels),
        details={"strength": found.state["strength"], "ngrams": vocabulary.num_features - 1},
    )


def answers(module: Linear, x: csr_matrix) -> NDArray[np.float32]:
    """[rows, classes] logits of the table, by a sparse product: the same sums as the module's."""
    logits: NDArray[np.float32] = (x @ module.weight.detach().double().numpy() + module.bias.detach().numpy()).astype(
        np.float32
    )
    return logits


def _fit(
    x: csr_matrix,
    training: Examples,
    num_labels: int,
    strength: float,
    naive_bayes: bool,
    class_weights: ClassWeights,
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weight [features, classes] and bias [classes] whose logits rank as the machine's scores do."""
    balance = "balanced" if class_weights == "balanced" else None
    machine = LinearSVC(C=strength, class_weight=balance, random_state=seed % 2**32, max_iter=MAX_ITERATIONS)
    labels = training.labels
    if not naive_bayes:
        machine.fit(x, labels, sample_weight=training.weights)
        weight, bias = machine.coef_.T, machine.intercept_
        if num_labels == 2:
            return np.hstack([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        return weight, bias
    columns, offsets = [], []
    for label in range(num_labels):
        ratio = log_count_ratio(x, labels == label)
        machine.fit(x.multiply(ratio).tocsr(), labels == label, sample_weight=training.weights)
        columns.append(machine.coef_[0] * ratio)
        offsets.append(machine.intercept_[0])
    return np.stack(columns, 1), np.array(offsets)


def log_count_ratio(x: csr_matrix, of_class: NDArray[np.bool_]) -> NDArray[np.float64]:
    """[features] |log ratio| of smoothed shares in and out of a class, scaled to mean 1 over the features."""
    inside = 1 + np.asarray(x[of_class].sum(0)).ravel()
    outside = 1 + np.asarray(x[~of_class].sum(0)).ravel()
    ratio = np.abs(np.log((inside / inside.sum()) / (outside / outside.sum())))
    result: NDArray[np.float64] = ratio / max(ratio.mean(), 1e-12)
    return result


def temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The factor of the logits that makes the cross-entropy on these rows least, between 0.01 and 100."""

    def loss(exponent: float) -> float:
        return evaluation.scores(np.exp(exponent) * logits, labels)["loss"]

    found = minimize_scalar(loss, bounds=(np.log(0.01), np.log(100)), method="bounded")
    return float(np.exp(found.x))
