"""SHAP on texts beside the shap package: the same predictor, pieces, tree and rows; values and time.

    python benchmarks/explanation.py --model FOLDER --texts FILE [--rows 20] [--write]

FOLDER is a model folder of texts with two or more labels, FILE has one text a line. The shap package must be installed
where this runs; its partition explainer is given our pieces and our tree of halves, and asks until its tree is done.
The first text is explained by both before the clock starts, so that nothing is compiled inside it.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import shap
from common import markdown, write_result

from modelyard.methods import runtimes
from modelyard.methods.evaluation.explanation import owen
from modelyard.methods.evaluation.explanation.game import Game, Oracle
from modelyard.methods.evaluation.explanation.players import TextPlayers

ALL = 10**9
PIECES = 48


def halves(count: int) -> np.ndarray:
    """The tree of `owen` as scipy writes trees."""
    rows: list[list[float]] = []

    def build(low: int, high: int) -> tuple[int, int]:
        if high - low == 1:
            return low, 1
        middle = owen.half(low, high)
        (left, of_left), (right, of_right) = build(low, middle), build(middle, high)
        rows.append([left, right, high - low, of_left + of_right])
        return count + len(rows) - 1, of_left + of_right

    build(0, count)
    return np.array(rows, np.float64)


class Masker(shap.maskers.Masker):  # type: ignore[misc]
    """Leaves pieces out, as `TextPlayers` does."""

    def __init__(self, pieces: tuple[str, ...]) -> None:
        self.pieces, self.clustering = pieces, halves(len(pieces))

    def shape(self, _: Any) -> tuple[int, int]:
        return 1, len(self.pieces)

    def mask_shapes(self, _: Any) -> list[tuple[int]]:
        return [(len(self.pieces),)]

    def feature_names(self, _: Any) -> list[list[str]]:
        return [list(self.pieces)]

    def __call__(self, mask: Any, _: Any) -> Any:
        return (np.array(["".join(one for one, kept in zip(self.pieces, mask, strict=True) if kept)], object),)


def ours(predictor: Any, text: str) -> np.ndarray:
    return owen.owen(Game(TextPlayers.of(text, PIECES), Oracle(predictor), 1), ALL).values


def theirs(predictor: Any, text: str) -> np.ndarray:
    label = predictor.labels[1]

    def answer(texts: Any) -> np.ndarray:
        return np.array([one.scores[label] for one in predictor.predict([{"text": str(one)} for one in texts])])

    explainer = shap.explainers.Partition(answer, Masker(TextPlayers.of(text, PIECES).names))
    return np.asarray(explainer(np.array([text], object), max_evals=10**6, silent=True).values[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--write", action="store_true", help="write results/explanation.md")
    given = parser.parse_args()
    lines = given.texts.read_text(encoding="utf-8").splitlines()
    texts = [line for line in lines if len(TextPlayers.of(line, PIECES).names) > 1][: given.rows]
    predictor = runtimes.load(given.model, threads=1)
    found: dict[str, list[np.ndarray]] = {}
    seconds: dict[str, float] = {}
    for name, explain in (("modelyard", ours), ("shap", theirs)):
        explain(predictor, texts[0])
        start = time.perf_counter()
        found[name] = [explain(predictor, text) for text in texts]
        seconds[name] = time.perf_counter() - start
    apart = max(float(np.abs(one - other).max()) for one, other in zip(found["modelyard"], found["shap"], strict=True))
    rows = [(name, f"{seconds[name]:.2f}", f"{seconds[name] / len(texts):.3f}") for name in found]
    table = markdown(("explainer", "seconds", "seconds a text"), rows)
    ratio = seconds["shap"] / seconds["modelyard"]
    body = f"{table}\n\n{len(texts)} texts; largest difference of a value {apart:.1e}; {ratio:.1f} times as fast.\n"
    print(body)
    if given.write:
        write_result("explanation", "SHAP on texts", body, ("shap", "torch", "numpy"))


if __name__ == "__main__":
    main()
