"""SHAP on texts beside the shap package: the same encoder, pieces, tree and questions; values and time.

    python benchmarks/explanation_speed.py --data DIR [--rows 6] [--more 30] [--hotels 8] [--pieces 48] [--write]

DIR holds `waimai_10k` and `chnsenticorp`. A small encoder is trained from scratch on 3,000 reviews of the first. The
shap package's partition explainer is given our pieces and our tree of halves and asks until its tree is done, so that
both ask the same number of questions. Beside it stand our values on a quarter of the questions, with contexts drawn,
and how far they are from those of all. The package is tried at several batch sizes, its default among them, over three
functions: a pipeline of transformers, which is what its own pages give it; plain transformers (tokenizer with padding,
model, softmax), the least one can write; and our predictor, which leaves only its own cost to compare. The first text
is explained before the clock starts, so that nothing is compiled inside it.
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
from modelyard.methods.evaluation.explanation.rows import TOKEN_BUDGET
from modelyard.methods.runtimes.model_folder import ModelCard

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


def hotels(data: Path, rows: int) -> list[str]:
    """Reviews no longer than the model reads."""
    with (data / "chnsenticorp" / "test.tsv").open(encoding="utf-8", newline="") as source:
        found = [row["text_a"] for row in csv.DictReader(source, delimiter="\t", quoting=csv.QUOTE_NONE)]
    return [text for text in found if 0 < len(text) < 240][:rows]


def pipeline(model: Path, batch: int | None) -> Answer:
    """What the package's own pages give it, `transformers.pipeline`, wrapped as it wraps one."""
    from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerFast
    from transformers import pipeline as made

    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(model / "tokenizer.json"), pad_token="[PAD]",
                                        model_input_names=["input_ids", "attention_mask"])  # fmt: skip
    network = AutoModelForSequenceClassification.from_pretrained(model)
    pipe = made("text-classification", model=network, tokenizer=tokenizer, device="cpu", top_k=None, batch_size=batch)
    wrapped = shap.models.TransformersPipeline(pipe)
    return lambda texts: wrapped([str(one) for one in texts])[:, 1]


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


def functions(model: Path, predictor: Any) -> list[tuple[str, Answer, tuple[Any, ...]]]:
    """What the package is given: name, function, batches."""
    label = predictor.labels[1]
    found: list[tuple[str, Answer, tuple[Any, ...]]] = [
        ("shap, pipeline as it comes (one text at a time)", pipeline(model, None), ("auto",)),
        *((f"shap, pipeline in batches of {size}", pipeline(model, size), (size,)) for size in (32, 128)),
        ("shap, transformers", plain(model), BATCHES),
        (
            "shap, our predictor",
            lambda rows: np.array([one.scores[label] for one in predictor.predict([{"text": str(r)} for r in rows])]),
            BATCHES,
        ),
    ]
    return found


def compared(name: str, texts: Sequence[str], model: Path, predictor: Any, pieces: int) -> str:
    """A table of one set of texts."""
    values, seconds = timed(lambda text: ours(predictor, text, pieces), texts)
    counts = [owen.questions(len(TextPlayers.of(text, pieces).names)) for text in texts]
    rows, apart = [("modelyard", "all in one call", f"{seconds:.2f}", "1.0")], 0.0
    quarter = dict(zip(texts, (count // 4 for count in counts), strict=True))
    drawn, took = timed(lambda text: ours(predictor, text, pieces, quarter[text]), texts)
    rows.append(("modelyard, a quarter of the questions", "all in one call", f"{took:.2f}", f"{took / seconds:.1f}"))
    for what, answer, batches in functions(model, predictor):
        for batch in batches:
            found, took = timed(lambda text, a=answer, b=batch: theirs(a, text, pieces, b), texts)  # type: ignore[misc]
            apart = max(apart, *(float(np.abs(one - two).max()) for one, two in zip(values, found, strict=True)))
            size = "10 (its default)" if batch == "auto" else str(batch)
            rows.append((what, size, f"{took:.2f}", f"{took / seconds:.1f}"))
    miss = float(np.sqrt(np.mean((np.concatenate(drawn) - np.concatenate(values)) ** 2)))
    root = float(np.sqrt(np.mean(np.concatenate(values) ** 2)))
    lengths = [len(text) for text in texts]
    return (
        f"## {name}\n\n" + markdown(("explainer", "batch", "seconds", "times ours"), rows)
        + f"\n\n{len(texts)} texts of {min(lengths)} to {max(lengths)} characters, {sum(counts):,} questions each way; "
        f"largest difference of a value {apart:.1e}. On a quarter of the questions values are off by {miss:.4f} (root "
        f"mean square; theirs is {root:.4f})."
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=6, help="texts of waimai of at least half the pieces")
    parser.add_argument("--more", type=int, default=30, help="texts of waimai as they come")
    parser.add_argument("--hotels", type=int, default=8, help="reviews of hotels as they come: 10 times as long")
    parser.add_argument("--pieces", type=int, default=48)
    parser.add_argument("--write", action="store_true", help="write results/explanation_speed.md")
    given = parser.parse_args()
    model = trained(given.data)
    budget = TOKEN_BUDGET.get(ModelCard.read(model).format)  # as evaluate.explanation opens it
    predictor: Any = runtimes.load(model, threads=1, token_budget=budget)
    every = [text for text, _ in reviews(given.data, 3000)]
    long = [text for text in every if len(TextPlayers.of(text, 999).names) >= given.pieces // 2]
    sets = {
        "Takeaway reviews, the longer ones": long[: given.rows],
        "Takeaway reviews as they come": every[: given.more],
        "Hotel reviews as they come": hotels(given.data, given.hotels),
    }
    parts = [compared(name, texts, model, predictor, given.pieces) for name, texts in sets.items() if texts]
    body = "\n\n".join(parts)
    print(body)
    if given.write:
        versions = (f"shap {shap.__version__}", f"transformers {version('transformers')}",
                    f"modelyard {version('modelyard')}")  # fmt: skip
        write_result("explanation_speed", "SHAP on texts beside the shap package", body, versions)


if __name__ == "__main__":
    main()
