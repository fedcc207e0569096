"""No answer rather than a doubtful one: answers below a confidence are marked `abstained`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from modelyard.methods.postprocessing.step import Floats, Records, Step, log_softmax, number


class Abstention(Step):
    """Adds `abstained`: whether the probability of the likeliest label is below the threshold (Chow 1970)."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def answers(self, answers: list[Any], outputs: Floats, records: Records) -> list[Any]:
        confidence = np.exp(log_softmax(outputs).max(axis=1))
        return [
            replace(answer, abstained=bool(sure < self.threshold))
            for answer, sure in zip(answers, confidence.tolist(), strict=True)
        ]


def open_abstention(settings: Mapping[str, Any], labels: Sequence[str]) -> Abstention:
    return Abstention(number(settings, "threshold", 0, 1))
