"""A language model of Chinese poems from nothing, then taught to answer with LoRA: the whole path in one run.

    python benchmarks/poetry.py --data DIR [--epochs 0.5] [--optimizer muon]

DIR holds `chinese_poetry_sample` (Tang and Song poems, Yuan songs, …) and `instruct_demo_zh_en` (Chinese instructions).
Characters are the tokens. A fiftieth of the poems is validation; beside the model's bits per byte stand those of lzma,
which read the training poems first, and of an order-0 model. Writes benchmarks/results/poetry.md.
"""

from __future__ import annotations

import argparse
import json
import lzma
import math
import shutil
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from common import WORK, markdown, write_result

import modelyard

START = "床前明月光，"
QUESTION = "写一首关于春天的诗。"
PROJECT = """version: 1
project: poetry
seed: 0
steps:
  poems: {{uses: data.read, with: {{path: poems.jsonl, text: text}}}}
  cut: {{uses: data.split, with: {{validation: 0.02, test: 0.0}}}}
  model:
    uses: train.language_model
    in: {{data: cut}}
    with:
      model: {{family: llama, size: tiny}}
      tokenizer: {{kind: characters}}
      context: 128
      epochs: {epochs}
      batch_size: 32
      evaluate_every: 100
      optimizer: {{name: {optimizer}, learning_rate: {rate}, weight_decay: 0.1, beta2: 0.95}}
      compute: {{precision: fp32, threads: {threads}}}
  chats: {{uses: data.read, with: {{path: chats.jsonl}}}}
  some: {{uses: data.split, in: {{data: chats}}, with: {{validation: 0.1, test: 0.0}}}}
  taught:
    uses: train.instruct
    in: {{data: some, base: model}}
    with: {{adapter: {{rank: 16}}, epochs: 1, too_long: cut, evaluate_every: 20, generation: {{max_new_tokens: 60}}}}
"""


def poems(folder: Path) -> Iterator[str]:
    """Each piece as one text: its title, its lines."""
    for path in sorted(folder.glob("*.json")):
        value = json.loads(path.read_text(encoding="utf-8"))
        yield from filter(None, map(_text, value if isinstance(value, list) else value.get("content", [])))


def _text(piece: dict[str, Any]) -> str:
    lines = piece.get("paragraphs") or piece.get("content") or []
    if not all(isinstance(line, str) for line in lines):
        return ""
    name = piece.get("title") or piece.get("rhythmic") or piece.get("chapter") or ""
    return "\n".join([name, *lines])


def order_0(train: str, validation: str) -> float:
    """Bits per byte of characters drawn alone, with one added to every count."""
    counts = Counter(train)
    kinds, total = len(counts) + 1, len(train)
    bits = -sum(math.log2((counts[one] + 1) / (total + kinds)) for one in validation)
    return bits / len(validation.encode())


def compressed(train: str, validation: str) -> float:
    """Bits per byte of validation for lzma, which has seen train."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 26}]
    sizes = [len(lzma.compress(one.encode(), lzma.FORMAT_RAW, filters=filters)) for one in (train, train + validation)]
    return 8 * (sizes[1] - sizes[0]) / len(validation.encode())


def model_of(outcome: Any, folder: Path, step: str) -> Path:
    digest = next(one.outputs["model"] for one in outcome.steps if one.step == step)
    return folder / ".modelyard" / "artifacts" / digest[7:9] / digest[9:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--epochs", type=float, default=0.5)
    parser.add_argument("--optimizer", default="muon")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rate", type=float, default=0.004)
    parser.add_argument("--keep", action="store_true", help="go on with the folder of the last run")
    options = parser.parse_args()
    folder = WORK / "poetry"
    if not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "poems.jsonl").open("w", encoding="utf-8") as stream:
        for text in poems(options.data / "chinese_poetry_sample"):
            stream.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
    with (folder / "chats.jsonl").open("w", encoding="utf-8") as stream:
        for row in json.loads((options.data / "instruct_demo_zh_en" / "alpaca_zh_demo.json").read_text("utf-8")):
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    text = PROJECT.format(
        epochs=options.epochs, optimizer=options.optimizer, rate=options.rate, threads=options.threads
    )
    (folder / "modelyard.yaml").write_text(text, encoding="utf-8")
    outcome = modelyard.run(folder)
    report(outcome, folder, options)


def report(outcome: Any, folder: Path, options: argparse.Namespace) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.runtimes import load

    digest = next(iter(next(one.outputs for one in outcome.steps if one.step == "cut").values()))
    data = Dataset.open(folder / ".modelyard" / "artifacts" / digest[7:9] / digest[9:])
    parts = {name: "\n".join(data.table(name, ["text"]).column(0).to_pylist()) for name in ("train", "validation")}
    cards = {
        name: json.loads((model_of(outcome, folder, name) / "model.json").read_text()) for name in ("model", "taught")
    }
    scores = cards["model"]["provenance"]["validation"]
    predictor = load(model_of(outcome, folder, "model"), 1)
    poem = predictor.predict([{"prompt": START, "max_new_tokens": 42}])[0].text
    predictor.close()
    taught = load(model_of(outcome, folder, "taught"), 1)
    answer = taught.predict([{"messages": [{"role": "user", "content": QUESTION}]}])[0].text
    taught.close()
    rows = [
        ("the model", f"{scores['bits_per_byte']:.3f}", f"{scores['loss']:.3f}", f"{scores['perplexity']:.1f}"),
        ("lzma, after the training poems", f"{compressed(parts['train'], parts['validation']):.3f}", "", ""),
        ("characters alone", f"{order_0(parts['train'], parts['validation']):.3f}", "", ""),
    ]
    history = cards["taught"]["provenance"]["details"]["history"]
    body = "\n\n".join(
        (
            f"{len(parts['train']):,} characters to learn from, {len(parts['validation']):,} in validation; "
            f"4 layers, 128 wide, context 128, {options.epochs:g} of an epoch with {options.optimizer}.",
            markdown(["", "bits per byte", "nats per character", "perplexity of a character"], rows),
            f"`{START}` goes on: {poem.strip()!r}",
            "Taught on 900 Chinese instructions with LoRA (rank 16), one epoch: loss of validation's answers "
            + " → ".join(f"{one['loss']:.2f}" for one in (history[0], history[-1]))
            + f". A smoke of the path, not an assistant: `{QUESTION}` is answered {answer.strip()!r}",
        )
    )
    write_result("poetry", "A language model of Chinese poems", body, [f"{n} {version(n)}" for n in ("torch", "peft")])


if __name__ == "__main__":
    main()
