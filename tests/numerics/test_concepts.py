"""Probes and TCAV against closed forms, differences and the binomial band."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import binom

from modelyard.methods.evaluation.concepts import layers, probes
from modelyard.methods.runtimes.differentiable import open_differentiable
from tests.support import small_models

RECORDS = [{"text": "the room was very clean"}, {"text": "很差 and slow"}, {"text": "hotel"}]


def test_slopes_before_a_linear_answer_are_the_difference_of_its_weights() -> None:
    model = open_differentiable(small_models.huggingface())
    places = layers.layers_of(model, RECORDS[0])
    _, slopes = layers.read(model, places, RECORDS, [1, 0, 1])
    weight = model.module.classifier.weight.double().numpy()
    apart = weight[1] - weight[0]
    assert np.allclose(slopes[-1], np.stack([apart, -apart, apart]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("place", [0, 1])
def test_slopes_of_a_block_are_what_moving_all_tokens_does(place: int) -> None:
    """Central differences of the log-odds, each row alone: padding of a batch must not count."""
    model = open_differentiable(small_models.huggingface())
    layer = layers.layers_of(model, RECORDS[0])[place]
    _, slopes = layers.read(model, [layer], RECORDS, [1, 1, 1])
    way = torch.randn(slopes[0].shape[1], generator=torch.Generator().manual_seed(0))

    def odds(record: dict[str, str], step: float) -> float:
        def move(_: object, __: object, output: object) -> object:
            return (output[0] + step * way, *output[1:]) if isinstance(output, tuple) else output + step * way  # type: ignore[operator]

        handle = layer.module.register_forward_hook(move)
        with torch.no_grad():
            logits = model.logits(model.encode([record]))[0].double()
        handle.remove()
        return float(logits[1] - logits[0])

    for row, record in enumerate(RECORDS):
        expected = (odds(record, 1e-2) - odds(record, -1e-2)) / 2e-2
        assert slopes[0][row] @ way.double().numpy() == pytest.approx(expected, rel=2e-2, abs=1e-3)


def test_vectors_are_means_over_real_tokens_whatever_stands_in_the_batch() -> None:
    model = open_differentiable(small_models.huggingface())
    places = layers.layers_of(model, RECORDS[0])
    together = layers.read(model, places, RECORDS)[0]
    alone = [
        np.concatenate(one) for one in zip(*(layers.read(model, places, [row])[0] for row in RECORDS), strict=True)
    ]
    for one, other in zip(together, alone, strict=True):
        assert np.allclose(one, other, rtol=0, atol=1e-5)


def test_a_probe_of_shuffled_labels_is_chance_and_its_test_keeps_its_level() -> None:
    """300 concepts without meaning: as many are found at 10 % as chance allows."""
    generator = np.random.default_rng(0)
    labels = np.arange(20) % 2
    found = [probes.probe(generator.normal(size=(20, 3)), labels, 2, 9, seed) for seed in range(150)]
    rate = sum(one.p <= 0.1 for one in found)
    assert rate <= binom.ppf(0.999, 150, 0.1)
    assert abs(np.mean([one.selectivity for one in found])) < 0.04


def test_a_concept_that_is_there_is_told_apart() -> None:
    generator = np.random.default_rng(0)
    labels = (np.arange(40) < 20).astype(np.int64)
    values = generator.normal(size=(40, 10)) + 3 * labels[:, None] * np.eye(10)[0]
    found = probes.probe(values, labels, 5, 10, 0)
    assert found.accuracy > 0.85
    assert found.p == pytest.approx(1 / 11)
    way = probes.direction(values, labels)
    assert np.linalg.norm(way) == pytest.approx(1)
    assert way[0] > 0.8


def test_directions_of_random_concepts_are_found_no_more_often_than_the_level() -> None:
    generator = np.random.default_rng(0)
    pool, slopes = generator.normal(size=(200, 6)), generator.normal(size=(50, 6)) + 1
    ways = probes.random_directions(pool, 8, 8, 400, 0)
    hits = sum(probes.tcav(slopes, ways[one], ways[200:300]).p <= 0.05 for one in range(200))
    assert hits <= binom.ppf(0.9999, 200, 0.05) + 4
    assert hits > 0
    along = probes.tcav(slopes, np.ones(6) / np.sqrt(6), ways[:200])
    assert along.score > 0.9
    assert along.p < 0.05
    assert probes.tcav(slopes, -np.ones(6) / np.sqrt(6), ways[:200]).score < 0.1
