"""Numbers: tables and texts that are answered with a quantity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from modelyard.base.messages import t
from modelyard.errors import StageError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.evaluation import regression, table_baselines, text_baselines
from modelyard.methods.evaluation.estimates import Estimate, as_json
from modelyard.methods.evaluation.intervals import bootstrap_t
from modelyard.methods.evaluation.measuring import ordered
from modelyard.methods.evaluation.measuring.examples import Examples, Note, Reader, asked, fields, quiet
from modelyard.methods.evaluation.measuring.family import Beside, Bools, Family, Plain, Shown, worst
from modelyard.methods.evaluation.regression import Floats, Numbers
from modelyard.methods.evaluation.settings import Measuring
from modelyard.methods.preprocessing.table import number_of
from modelyard.methods.runtimes.predictor import Predictor

POINTS = 1_000
"""Rows drawn in the diagrams: more are not told apart."""


class Regression(Family):
    """One number a record."""

    def reader(self, data: Dataset, task: str, settings: Measuring) -> Reader:
        label, records = data.need("label"), fields(data, task)
        lacks = {"text": t("a text or a number"), "image": t("an image or a number"), "table": t("a number")}
        return Reader(records, (label,), lambda row: target_of(row[label]), lacks[records.kind])

    def answer(self, predictor: Predictor, examples: Examples, settings: Measuring, note: Note = quiet) -> Numbers:
        """Raises StageError if an answer is no finite number."""
        found = list(asked(predictor, examples, settings.batch_rows, note))
        predicted = np.array([one.value for one in found], dtype=np.float64)
        bad = np.flatnonzero(~np.isfinite(predicted))
        if bad.size:
            raise StageError(
                t("the model's answer to {count} rows is not a number", count=bad.size),
                where=f"row {examples.row_ids[int(bad[0])]}",
                remedy=t("the model is broken: train or convert it again"),
            )
        return Numbers(np.array(examples.truths, dtype=np.float64), predicted, _quantiles(found))

    def measure(self, answers: Any, examples: Examples, settings: Measuring, seed: int) -> Plain:
        missing: dict[str, str] = {}
        found = regression.measure(answers, missing, seed)
        if settings.rank_by:
            users = examples.column(settings.rank_by)
            ranked, why = ordered.measure(users, answers.actual, answers.predicted, settings.cutoffs, seed)
            found, missing = found + ranked, missing | why
        return Plain(answers, tuple(one for one in found if math.isfinite(one.value)), missing)

    def document(self, measured: Any, examples: Examples, shown: Shown, seed: int) -> dict[str, Any]:
        answers: Numbers = measured.answers
        places = np.arange(answers.actual.size)
        if places.size > POINTS:
            places = np.sort(np.random.default_rng(seed).permutation(places)[:POINTS])
        points = [[_short(answers.actual[place]), _short(answers.predicted[place])] for place in places.tolist()]
        errors = np.argsort(-np.abs(answers.residuals), kind="stable").tolist()
        largest = [
            quoted | {"actual": float(answers.actual[place]), "predicted": float(answers.predicted[place])}
            for place, quoted in worst(errors, examples, shown)
        ]
        ranked = ordered.as_json(measured.estimates)
        drawn = {"points": points, "bands": regression.bands(answers)}
        quantiles = [
            {"quantile": one.slice["quantile"], **(as_json(one) or {})}
            for one in measured.estimates
            if one.name == "pinball"
        ]
        found = {"residuals": drawn, "largest_errors": largest, "quantiles": quantiles}
        return found | ({"ranked": ranked} if ranked else {})

    def predictions(self, measured: Any, examples: Examples) -> pa.Table:
        answers: Numbers = measured.answers
        columns: dict[str, Any] = {
            "row_id": pa.array(examples.row_ids, pa.string()),
            "actual": pa.array(answers.actual),
            "predicted": pa.array(answers.predicted),
        }
        return pa.table(columns | {f"q{level:g}": pa.array(each) for level, each in sorted(answers.quantiles.items())})

    def without(self, measured: Any, twins: Bools) -> Estimate | None:
        errors = np.abs(measured.answers.residuals)[~twins]
        if not errors.size:
            return None
        ends = bootstrap_t(errors, non_negative=True)
        return Estimate("mae", float(errors.mean()), ends, errors.size, {"text": "not in train"})

    def beside(
        self, data: Dataset, measured: Any, examples: Examples, settings: Measuring, seed: int, note: Note = quiet
    ) -> Beside | None:
        train = Examples.read(data, "train", examples.reader)
        if not len(train):
            return None
        answers: Numbers = measured.answers
        mean = float(np.mean(np.array(train.truths, dtype=np.float64)))
        by_mean, mean_entry = _judge("mean", answers, np.full(answers.actual.size, mean), seed)
        linear = text_baselines if examples.reader.fields.kind == "text" else table_baselines
        found = linear.numbers(data, train, examples, seed, note) if examples.reader.fields.kind != "image" else None
        model = math.sqrt(float((answers.residuals**2).mean()))
        if found is None:
            alone = {"baselines": [mean_entry | {"value": mean}]}
            return Beside((by_mean,), (), alone, (by_mean.value, model, model - by_mean.value))
        guessed, about = found
        by_linear, entry = _judge("linear", answers, guessed, seed)
        value, ends = regression.skill(answers.residuals**2, (answers.actual - guessed) ** 2, seed)
        gain = Estimate("skill_over_linear", value, ends, answers.actual.size)
        document: dict[str, Any] = {
            "baselines": [mean_entry | {"value": mean}, entry | about],
            "skill_over_linear": as_json(gain) if math.isfinite(value) else None,
        }
        gains = (gain,) if math.isfinite(value) else ()
        return Beside((by_mean, by_linear), gains, document, (by_linear.value, model, model - by_linear.value))


def target_of(value: Any) -> float | None:
    """A cell as a finite number, else None: the row cannot be judged."""
    try:
        number = number_of(value)
    except ValueError:
        return None
    return None if math.isnan(number) else number


def _quantiles(found: Sequence[Any]) -> dict[float, Floats]:
    """Quantiles by level, if the model gives the same ones for every row."""
    first = getattr(found[0], "quantiles", None) if found else None
    if not first:
        return {}
    return {
        float(level): np.array([one.quantiles[level] for one in found], dtype=np.float64) for level in sorted(first)
    }


def _judge(name: str, answers: Numbers, guessed: Floats, seed: int) -> tuple[Estimate, dict[str, Any]]:
    one = Numbers(answers.actual, guessed)
    squares, errors = one.residuals**2, np.abs(one.residuals)
    ends = bootstrap_t(squares, seed=seed, non_negative=True)
    root = (math.sqrt(ends[0]), math.sqrt(ends[1])) if ends else None
    rmse = Estimate(f"baseline_{name}_rmse", math.sqrt(float(squares.mean())), root, errors.size)
    mae = Estimate("mae", float(errors.mean()), bootstrap_t(errors, seed=seed, non_negative=True), errors.size)
    return rmse, {"name": name, "metrics": {"rmse": as_json(rmse), "mae": as_json(mae)}}


def _short(value: float) -> float:
    """Six digits are more than a screen shows."""
    return float(f"{value:.6g}")


FAMILY = Regression()
