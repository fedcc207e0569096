"""SHAP on texts beside the shap package: the same encoder, pieces, tree and questions; values and time.

    python benchmarks/explanation_speed.py --data DIR [--rows 12] [--pieces 48] [--write]

DIR holds `waimai_10k`. A small encoder is trained from scratch on 3,000 of its reviews. The shap package's partition
explainer is given our pieces and our tree of halves and asks until its tree is done, so that both ask the same number
of questions. Beside it stand our values on a quarter of the questions, with contexts drawn, and how far they are from
those of all. The package is tried at several batch sizes, its default among them, over two functions: plain
transformers (tokenizer with padding, model, softmax), as its own pages show, and our predictor, which leaves only its
own cost to compare. The first text is explained before the clock starts, so that nothing is compiled inside it.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import shap
from common import WORK, markdown, write_result

import modelyard
from modelyard.methods import runtimes
from modelyard.methods.evaluation.explanation import owen
from modelyard.methods.evaluation.explanation.game import Game, Oracle
from modelyard.methods.evaluation.explanation.players import TextPlayers

ALL = 10**9
BATCHES = ("auto", 32, 128, 512, 2048)
PROJECT = """version: 1
project: waimai
steps:
  rows: {uses: data.read, with: {path: waimai.csv, text: text, label: label}}
  split: {uses: data.split}
  encoder: {uses: train.text_classification, with: {size: encoder-tiny, epochs: 5, compute: {threads: 1}}}
"""
Answer = Callable[[Any], np.ndarray]


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


def reviews(data: Path, rows: int) -> list[tuple[str, str]]:
    with (data / "waimai_10k" / "waimai_10k.csv").open(encoding="utf-8-sig", newline="") as source:
        found = [(row["review"], row["label"]) for row in csv.DictReader(source)]
    order = np.random.default_rng(0).permutation(len(found))[:rows]
    return [found[place] for place in order]


def trained(data: Path) -> Path:
    """The model folder of a small encoder on some reviews."""
    folder = WORK / "explanation" / "speed"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "waimai.csv").open("w", encoding="utf-8", newline="") as target:
        csv.writer(target).writerows([("text", "label"), *reviews(data, 3000)])
    (folder / "modelyard.yaml").write_text(PROJECT, encoding="utf-8")
    outcome = modelyard.run(folder)
    digest = next(step.outputs["model"] for step in outcome.steps if step.step == "encoder")
    return folder / ".modelyard" / "artifacts" / digest[7:9] / digest[9:]


def plain(model: Path) -> Answer:
    """Transformers alone: what one would write for the shap package."""
    import torch
    from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(model / "tokenizer.json"), pad_token="[PAD]")
    network = AutoModelForSequenceClassification.from_pretrained(model).eval()

    def answer(texts: Any) -> np.ndarray:
        inputs = tokenizer([str(one) for one in texts], padding=True, truncation=True, max_length=256,
                           return_tensors="pt")  # fmt: skip
        with torch.inference_mode():
            found: np.ndarray = network(**inputs).logits.double().softmax(1)[:, 1].numpy()
        return found

    return answer


def ours(predictor: Any, text: str, pieces: int, questions: int = ALL) -> np.ndarray:
    game = Game(TextPlayers.of(text, pieces), Oracle(predictor), 1)
    return owen.owen(game, questions, np.random.default_rng(0)).values


def theirs(answer: Answer, text: str, pieces: int, batch: Any) -> np.ndarray:
    explainer = shap.explainers.Partition(answer, Masker(TextPlayers.of(text, pieces).names))
    found = explainer(np.array([text], object), max_evals=10**6, batch_size=batch, silent=True)
    return np.asarray(found.values[0])


def timed(explain: Callable[[str], np.ndarray], texts: Sequence[str]) -> tuple[list[np.ndarray], float]:
    explain(texts[0])
    start = time.perf_counter()
    return [explain(text) for text in texts], time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=12)
    parser.add_argument("--pieces", type=int, default=48)
    parser.add_argument("--write", action="store_true", help="write results/explanation_speed.md")
    given = parser.parse_args()
    model = trained(given.data)
    predictor: Any = runtimes.load(model, threads=1)
    texts = [text for text, _ in reviews(given.data, 3000) if len(TextPlayers.of(text, 999).names) >= given.pieces // 2]
    texts = texts[: given.rows]
    label = predictor.labels[1]
    functions: dict[str, Answer] = {
        "shap, transformers": plain(model),
        "shap, our predictor": lambda rows: np.array(
            [one.scores[label] for one in predictor.predict([{"text": str(row)} for row in rows])]
        ),
    }
    values, seconds = timed(lambda text: ours(predictor, text, given.pieces), texts)
    rows, apart = [("modelyard", "all in one call", f"{seconds:.2f}", "1.0")], 0.0
    quarter = {text: owen.questions(len(TextPlayers.of(text, given.pieces).names)) // 4 for text in texts}
    drawn, took = timed(lambda text: ours(predictor, text, given.pieces, quarter[text]), texts)
    rows.append(("modelyard, a quarter of the questions", "all in one call", f"{took:.2f}", f"{took / seconds:.1f}"))
    miss = float(np.sqrt(np.mean((np.concatenate(drawn) - np.concatenate(values)) ** 2)))
    for name, answer in functions.items():
        for batch in BATCHES:
            found, took = timed(lambda text, a=answer, b=batch: theirs(a, text, given.pieces, b), texts)  # type: ignore[misc]
            apart = max(apart, *(float(np.abs(one - two).max()) for one, two in zip(values, found, strict=True)))
            size = "10 (its default)" if batch == "auto" else str(batch)
            rows.append((name, size, f"{took:.2f}", f"{took / seconds:.1f}"))
    questions = sum(owen.questions(len(TextPlayers.of(text, given.pieces).names)) for text in texts)
    body = markdown(("explainer", "batch", "seconds", "times ours"), rows)
    body += f"\n\n{len(texts)} texts, {questions:,} questions each way; largest difference of a value {apart:.1e}."
    size = float(np.sqrt(np.mean(np.concatenate(values) ** 2)))
    body += f" On a quarter of the questions values are off by {miss:.4f} (root mean square; theirs is {size:.4f})."
    print(body)
    if given.write:
        write_result("explanation_speed", "SHAP on texts beside the shap package", body,
                     (f"shap {shap.__version__}", f"modelyard {version('modelyard')}"))  # fmt: skip


if __name__ == "__main__":
    main()
