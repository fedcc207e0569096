"""Out-of-fold class probabilities of texts: the linear n-gram model, fitted once a fold.

The strength is chosen on validation with the first fold held out and then kept; the temperature that makes scores
probabilities is fitted on validation too. The held-out fold decides nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.preprocessing.ngrams import Ngrams
from modelyard.methods.tasks.text_classification import softmax
from modelyard.methods.training import linear
from modelyard.methods.training.candidates import Candidate, Examples
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.settings import LinearSettings


def take(examples: Examples, places: NDArray[np.int64]) -> Examples:
    """The examples at `places`."""
    return Examples(
        [examples.texts[place] for place in places.tolist()],
        examples.labels[places],
        [examples.names[place] for place in places.tolist()],
        examples.weights[places],
    )


def probabilities(candidate: Candidate, texts: list[str]) -> NDArray[np.float64]:
    """[texts, classes] answers of a linear candidate."""
    vocabulary = candidate.preprocessors[0]
    assert isinstance(vocabulary, Ngrams)
    asked = Examples(texts, np.zeros(len(texts), np.int64), texts, np.ones(len(texts), np.float32))
    return softmax(linear.answers(candidate.module, linear.matrix(vocabulary, asked)))  # type: ignore[arg-type]


def out_of_fold(
    training: Examples,
    validation: Examples,
    num_labels: int,
    folds: NDArray[np.int64],
    seed: int,
    scratch: Path,
    hooks: Hooks,
) -> NDArray[np.float64]:
    """[training rows, classes] probabilities, each from a model that saw neither the row nor its fold."""
    found = np.zeros((len(training), num_labels))
    settings = LinearSettings()
    num_folds = int(folds.max()) + 1
    for fold in range(num_folds):
        held = np.flatnonzero(folds == fold)
        rest = take(training, np.flatnonzero(folds != fold))
        place = scratch / f"fold-{fold}"
        candidate = linear.train(rest, validation, num_labels, settings, "none", seed, place, Hooks())
        settings = LinearSettings(strengths=(candidate.details["strength"],))
        found[held] = probabilities(candidate, [training.texts[row] for row in held.tolist()])
        hooks.progress(fold + 1, num_folds, "folds")
    return found
