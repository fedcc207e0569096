"""Concepts of a file, asked of a model: what evaluate.concepts wants in one call."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.evaluation.blocks import Bar, Bars, Block, Cell, Figures, Lines, Phrase, Series, Table, Text
from modelyard.methods.evaluation.concepts import layers, probes
from modelyard.methods.evaluation.concepts.pictures import pictures
from modelyard.methods.evaluation.concepts.reading import Concept, Given, records
from modelyard.methods.evaluation.estimates import Estimate
from modelyard.methods.evaluation.explanation.cases import columns_of, examples_of, refuse_unexplained, sample
from modelyard.methods.evaluation.measuring.examples import fields, some_records
from modelyard.methods.runtimes.differentiable import Differentiable, open_differentiable
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.predictor import Record
from modelyard.methods.statistics.multiplicity import benjamini_hochberg

Note = Callable[[int, int], None]


@dataclass(frozen=True)
class Asked:
    """One concept at one layer.

    Attributes:
        by_class: TCAV a label; `value` of a model that answers a number.
    """

    concept: str
    layer: str
    probe: probes.Probe
    by_class: Mapping[str, probes.Tcav]


@dataclass(frozen=True)
class Found:
    """What evaluate.concepts shows and measures.

    Attributes:
        adjusted: p-values of TCAV after Benjamini and Hochberg, by concept, layer and class.
    """

    asked: tuple[Asked, ...]
    adjusted: Mapping[tuple[str, str, str], float]

    @property
    def estimates(self) -> list[tuple[Estimate, str]]:
        """Each with what it is on: the file's examples (nothing) or `data/test`."""
        found: list[tuple[Estimate, str]] = []
        for one in self.asked:
            part, probe = {"concept": one.concept, "layer": one.layer}, one.probe
            low, high = (end - float(probe.controls.mean()) for end in probe.interval)
            found.append((Estimate("probe_accuracy", probe.accuracy, probe.interval, probe.n, part), ""))
            found.append((Estimate("selectivity", probe.selectivity, (low, high), probe.n, part), ""))
            for label, tcav in one.by_class.items():
                own = {**part, "class": label}
                found.append((Estimate("tcav_score", tcav.score, tcav.interval, tcav.n, own), "data/test"))
                found.append((Estimate("tcav_p", tcav.p, tcav.p_interval, tcav.randoms, own), "data/test"))
        return found

    @property
    def followed(self) -> list[tuple[str, str, str]]:
        """Concept, layer and class where the answer follows the concept, at a false discovery rate of 5 %.

        Only where the layer holds the concept: a direction that does not tell its examples apart is not of it.
        """
        held = {(one.concept, one.layer) for one in self.asked if one.probe.held}
        return [key for key, p in self.adjusted.items() if p <= 0.05 and key[:2] in held]


def judge(
    folder: Path, data: Dataset, concepts: Sequence[Concept], settings: Mapping[str, Any], beside: Path, note: Note
) -> Found:
    """Probe and TCAV of every concept at every layer.

    Args:
        beside: folder of the file of concepts, where its pictures are.

    Raises InputError for a model without layers or gradients, or examples the model cannot read.
    """
    card, seed = ModelCard.read(folder), int(settings["seed"])
    refuse_unexplained(card)
    columns = columns_of(folder, card, data)

    def read(concept: Concept, given: Given) -> list[Record]:
        of_pictures = card.task.startswith("image-")
        return pictures(concept, given, beside) if of_pictures else records(concept, given, columns)

    examples = [(one, read(one, one.positive), read(one, one.negative)) for one in concepts]
    model = open_differentiable(folder)
    pool = some_records(data, "train", fields(data, card.task), settings["train_rows"], seed)
    rows, targets = _of_classes(data, card, settings["rows"], seed)
    places = layers.layers_of(model, pool[0] if pool else rows[0])
    note(0, len(concepts) + 1)
    slopes = layers.read(model, places, rows, targets)[1]
    pools = layers.read(model, places, pool)[0]
    note(1, len(concepts) + 1)
    asked: list[Asked] = []
    cached: dict[tuple[int, int, int], np.ndarray] = {}
    for done, (concept, positives, negatives) in enumerate(examples, start=2):
        vectors = layers.read(model, places, [*positives, *negatives])[0]
        labels = (np.arange(len(vectors[0])) < len(positives)).astype(np.int64)
        for place, layer in enumerate(places):
            size = (place, len(positives), len(negatives))
            if size not in cached:
                cached[size] = probes.random_directions(pools[place], *size[1:], settings["randoms"], seed)
            probe = probes.probe(vectors[place], labels, settings["folds"], settings["controls"], seed)
            own = probes.direction(vectors[place], labels)
            by_class = _by_class(model, slopes[place], targets, own, cached[size])
            asked.append(Asked(concept.name, layer.name, probe, by_class))
        note(done, len(concepts) + 1)
    return Found(tuple(asked), _adjusted(asked))


def _of_classes(data: Dataset, card: ModelCard, most: int, seed: int) -> tuple[list[Record], list[int]]:
    """At most so many test rows of each class, and the place of its label; of numbers so many rows."""
    examples = examples_of(data, "test", card)
    of_class: dict[int, list[int]] = defaultdict(list)
    for place, truth in enumerate(examples.truths):
        if not card.labels or str(truth) in card.labels:
            of_class[card.labels.index(str(truth)) if card.labels else 0].append(place)
    chosen: list[tuple[int, int]] = []
    for label, there in sorted(of_class.items()):
        ids = [examples.row_ids[place] for place in there]
        chosen += [(there[place], label) for place in sample(ids, most, seed, "concepts")]
    if not chosen:
        raise InputError(t("the split has no row that can be judged"), where="data/test")
    return examples.pick([place for place, _ in chosen]), [label for _, label in chosen]


def _by_class(
    model: Differentiable, slopes: np.ndarray, targets: Sequence[int], own: np.ndarray, randoms: np.ndarray
) -> dict[str, probes.Tcav]:
    where = np.array(targets)
    names = model.labels or ("value",)
    return {names[label]: probes.tcav(slopes[where == label], own, randoms) for label in sorted(set(targets))}


def _adjusted(asked: Sequence[Asked]) -> dict[tuple[str, str, str], float]:
    every = {(one.concept, one.layer, label): tcav.p for one in asked for label, tcav in one.by_class.items()}
    return dict(zip(every, benjamini_hochberg(list(every.values())), strict=True))


def blocks(found: Found) -> list[Block]:
    """Accuracy through the layers, scores beside random concepts, and the tests."""
    names = list(dict.fromkeys(one.concept for one in found.asked))
    shown: list[Block] = [
        Text("A layer may hold a concept that answers do not follow: the probe asks the first, TCAV the second."),
        Figures("Concepts in the layers", ("concepts.",)),
    ]
    places = list(dict.fromkeys(one.layer for one in found.asked))
    if len(places) > 1:
        shown.append(_through_layers(found, names, places))
    rows = [_tested(found, one, label) for one in found.asked for label in one.by_class]
    heads = ("concept", "layer", "held there", "class", "TCAV score", "of random concepts", "p", "p, adjusted")
    note = (
        "The test compares mean slopes with those of random concepts; adjusted for all rows of this table. "
        "Where a layer does not hold a concept, its scores there say nothing about it."
    )
    shown.append(Table("Do answers follow the concepts?", heads, tuple(rows), note))
    for concept in names:
        bars = [
            Bar(f"{one.layer} · {label}", tcav.score, *tcav.interval)
            for one in found.asked if one.concept == concept for label, tcav in one.by_class.items()
        ]  # fmt: skip
        title = Phrase("TCAV score of {concept}, by layer and class", {"concept": concept})
        shown.append(Bars(title, tuple(bars), "0.5: as many rows fall as rise along the concept."))
    return shown


def _tested(found: Found, one: Asked, label: str) -> tuple[Cell, ...]:
    tcav, held = one.by_class[label], "yes" if one.probe.held else "no"
    by_chance = f"{tcav.of_random[0]:.2f} - {tcav.of_random[1]:.2f}"
    adjusted = found.adjusted[one.concept, one.layer, label]
    return one.concept, one.layer, held, label, round(tcav.score, 3), by_chance, round(tcav.p, 4), round(adjusted, 4)


def _through_layers(found: Found, names: Sequence[str], places: Sequence[str]) -> Lines:
    series = []
    for name in names:
        own = [one for one in found.asked if one.concept == name]
        points = tuple((float(places.index(one.layer) + 1), one.probe.accuracy) for one in own)
        band = tuple((float(places.index(one.layer) + 1), *one.probe.interval) for one in own)
        series.append(Series(name, points, band))
    mean = [np.mean([one.probe.controls.mean() for one in found.asked if one.layer == place]) for place in places]
    series.append(Series("shuffled labels", tuple((float(at + 1), float(one)) for at, one in enumerate(mean))))
    note = Phrase("Layers: {layers}", {"layers": ", ".join(f"{at + 1} = {one}" for at, one in enumerate(places))})
    return Lines("Probe accuracy through the layers", "layer", "accuracy", tuple(series), note=note)
