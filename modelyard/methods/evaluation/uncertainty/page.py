"""What the report shows of uncertainty; every deciding number is evidence, named by its claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from modelyard.methods.evaluation.blocks import Block, Figures, Lines, Phrase, Series, Table, Text
from modelyard.methods.evaluation.quality import Answers
from modelyard.methods.evaluation.ranking import roc_curve
from modelyard.methods.evaluation.uncertainty.doubt import PARTS
from modelyard.methods.evaluation.uncertainty.estimating import Bools, Floats, Sure
from modelyard.methods.evaluation.uncertainty.reliability import brier_parts, log_parts
from modelyard.methods.evaluation.uncertainty.selective import risks

POINTS = 200
SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
TITLE = "Uncertainty"


def of_confidence(sure: Sure, answers: Answers) -> list[Block]:
    """Reliability, losses in parts, risk over coverage."""
    found, bins = sure.calibration, sure.calibration.bins
    points = tuple(zip(bins.confidence.tolist(), bins.accuracy.tolist(), strict=True))
    band = tuple(zip(bins.confidence.tolist(), bins.low.tolist(), bins.high.tolist(), strict=True))
    parts = {"Brier": brier_parts(answers.right, answers.confidence, bins)}
    parts["log-loss"] = log_parts(answers.right, answers.confidence, bins)
    rows = tuple(
        (name, one.loss, one.reliability, one.resolution, one.uncertainty, one.within) for name, one in parts.items()
    )
    return [
        Figures("Are the probabilities honest?", ("uncertainty.calibration_error", "uncertainty.ece",
                "uncertainty.brier", "uncertainty.log_loss"), slices=False),
        Text(
            Phrase(
                "A perfectly calibrated model shows a calibration error of up to {null} on these rows (95 % of draws); "
                "p = {p} for one as large as found.",
                {"null": round(found.null[1], 4), "p": round(found.p_value, 4)},
            )
        ),
        Lines("Reliability", "confidence", "share right", (Series("bins of equal mass", points, band),), diagonal=True),
        Table(
            "What the loss of the stated confidence is made of",
            ("loss", "mean", "miscalibration", "resolution", "uncertainty", "within bins"),
            rows,
            "loss = miscalibration - resolution + uncertainty + within bins",
        ),
        Figures("Answering the surest rows only", ("uncertainty.aurc", "uncertainty.excess_aurc"), slices=False),
        Lines("Risk over coverage", "share answered", "share wrong", (Series("surest first", _thin(sure.risks)),)),
    ]  # fmt: skip


def _thin(risks: Floats) -> tuple[tuple[float, float], ...]:
    n = risks.size
    places = np.unique(np.linspace(0, n - 1, min(n, POINTS)).round().astype(int))
    return tuple(((place + 1) / n, float(risks[place])) for place in places.tolist())


def of_enclosures(goal: float | None, claims: Sequence[str]) -> list[Block]:
    """Coverage of sets or intervals, and the claims of their size."""
    shown: list[Block] = []
    if goal is not None:
        shown.append(
            Text(Phrase("The model promises to hold the truth for {goal} of the rows.", {"goal": f"{goal:.0%}"}))
        )
    return [*shown, Figures("Coverage of the answers", ("uncertainty.coverage", *claims))]


def of_doubt(scores: Mapping[str, Floats], wrong: Bools, split: bool) -> list[Block]:
    """Doubt in its parts (if it was split), and risk over coverage by each score of doubt."""
    series = tuple(Series(name, _thin(risks(wrong, -score))) for name, score in scores.items())
    shown: list[Block] = []
    if split:
        shown.append(
            Figures(
                "Doubt: what the rows do not say, and what was not learned",
                tuple(f"uncertainty.{name}" for name in PARTS),
            )
        )
    return [
        *shown,
        Figures("Does doubt tell wrong answers?", ("uncertainty.error_auroc", "uncertainty.error_aurc")),
        Lines("Risk over coverage, by score of doubt", "share answered", "share wrong", series),
    ]


def of_silence(bound: Mapping[str, float]) -> list[Block]:
    said = "The model abstains below a probability of {threshold}: at most {error} of its answers are wrong, it says, "
    said += "with a confidence of {confidence}."
    return [
        Text(Phrase(said, dict(bound))),
        Figures("Where the model keeps silent", ("uncertainty.answered", "uncertainty.answered_error")),
    ]


def of_strangers(inside: Mapping[str, Floats], strangers: Mapping[str, Floats], missing: Sequence[str]) -> list[Block]:
    """Rows from elsewhere: how well each score tells them apart."""
    series = []
    for name in inside:
        if name in strangers:
            scores = np.concatenate([inside[name], strangers[name]])
            positive = np.repeat([False, True], [inside[name].size, strangers[name].size])
            curve = roc_curve(positive, scores, POINTS)
            series.append(Series(name, tuple(zip(curve.x.tolist(), curve.y.tolist(), strict=True))))
    notes = [Text(Phrase("Not measured: {what}", {"what": one})) for one in missing]
    return [
        Figures("Rows from elsewhere", ("uncertainty.outside_auroc", "uncertainty.outside_false_alarms")),
        Lines("Rows from elsewhere found", "false alarms", "share found", tuple(series), diagonal=True),
        Table(
            "How strange rows look",
            ("score", "rows", *(f"{share:.0%}" for share in SHARES)),
            tuple(
                (name, whose, *(float(one) for one in np.quantile(scores[name], SHARES)))
                for name in inside
                for whose, scores in (("test", inside), ("elsewhere", strangers))
                if name in scores
            ),
            "quantiles of each score; larger is stranger",
        ),
        *notes,
    ]
