"""Going on with a language model: English plays, then Chinese poems; how much of the plays is forgotten.

    python benchmarks/continual_language.py --data DIR [--steps 60] [--keep]

DIR holds `tinyshakespeare` and `chinese_poetry_sample`. A small model learns the plays in byte-pair tokens, which spell
any script, is released, and then updated with Song poems in each way; evaluate.forgetting measures the perplexity of
both test sets under both models. Writes benchmarks/results/continual_language.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

from common import WORK, markdown, write_result
from poetry import poems

import modelyard

CHUNK = 600
"""Characters of a document of the plays."""
NUM_POEMS = 1000
OLD = """version: 1
project: plays
steps:
  rows: {{uses: data.read, with: {{path: plays.jsonl, text: text}}}}
  plays: {{uses: data.split, with: {{validation: 0.03, test: 0.08}}}}
  writer:
    uses: train.language_model
    in: {{data: plays}}
    with:
      model: {{layers: 2, width: 64, heads: 4}}
      tokenizer: {{vocabulary_size: 600}}
      context: 64
      batch_size: 16
      max_steps: {old_steps}
      optimizer: {{learning_rate: 0.004, weight_decay: 0.1, beta2: 0.95}}
      compute: {{precision: fp32, threads: {threads}}}
release: {{model: writer}}
"""
NEW = """version: 1
project: plays-poems
steps:
  rows: {uses: data.read, with: {path: poems.jsonl, text: text}}
  poems: {uses: data.split, with: {validation: 0.03, test: 0.08}}
  old: {uses: model.release, with: {release: plays@1}}
"""
UPDATE = """  u{place}:
    uses: train.update
    in: {{model: old.model, data: poems{old}}}
    with: {{{settings}, {shared}}}
  f{place}: {{uses: evaluate.forgetting, in: {{model: u{place}, before: old.model, old: old.data, data: poems}}}}
"""
SHARED = "max_steps: {steps}, batch_size: 16, context: 64, compute: {{precision: fp32, threads: {threads}}}"
WAYS: dict[str, tuple[str, bool]] = {
    "nothing": ("replay: 0", True),
    "replay 0.5 (default)": ("replay: 0.5", True),
    "EWC": ("replay: 0, ewc: {strength: 1000, rows: 200}", True),
    "distillation": ("replay: 0, distillation: {weight: 1, temperature: 1}", True),
    "replay 0.5, EWC, distillation": (
        "replay: 0.5, ewc: {strength: 1000, rows: 200}, distillation: {weight: 1, temperature: 1}", True
    ),
    "LoRA (rank 16)": ("replay: 0, adapter: {rank: 16}", True),
    "LoRA, replay 0.5": ("replay: 0.5, adapter: {rank: 16}", True),
    "distillation, no old data (default)": ("distillation: {weight: 1, temperature: 1}", False),
}  # fmt: skip


def write_rows(path: Path, texts: list[str]) -> None:
    with path.open("w", encoding="utf-8") as stream:
        for text in texts:
            stream.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")


def cell(one: dict[str, Any]) -> str:
    low, high = one["interval"]
    return f"{one['value']:.3f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--old-steps", type=int, default=240)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="go on with the folder of the last run")
    options = parser.parse_args()
    place = WORK / "continual_language"
    if not options.keep:
        shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True, exist_ok=True)
    plays = (options.data / "tinyshakespeare" / "input.txt").read_text(encoding="utf-8")
    write_rows(place / "plays.jsonl", [plays[at : at + CHUNK] for at in range(0, len(plays), CHUNK)])
    every = list(poems(options.data / "chinese_poetry_sample"))
    write_rows(place / "poems.jsonl", every[:: max(1, len(every) // NUM_POEMS)])
    (place / "old.yaml").write_text(OLD.format(old_steps=options.old_steps, threads=options.threads), encoding="utf-8")
    shared = SHARED.format(steps=options.steps, threads=options.threads)
    text = NEW + "".join(
        UPDATE.format(place=number, old=", old: old.data" if with_old else "", settings=settings, shared=shared)
        for number, (settings, with_old) in enumerate(WAYS.values())
    )
    (place / "new.yaml").write_text(text, encoding="utf-8")
    released = place / "released"
    if not released.exists():
        modelyard.run(place / "old.yaml")
        released.touch()
    result = modelyard.run(place / "new.yaml")
    reports = {step.step: step.outputs["report"] for step in result.steps if step.step.startswith("f")}
    rows = []
    for number, name in enumerate(WAYS):
        digest = reports[f"f{number}"]
        found = json.loads(
            (place / ".modelyard" / "artifacts" / digest[7:9] / digest[9:] / "forgetting.json").read_text()
        )
        old, new = found["old"], found["new"]
        rows.append(
            (name, f"{old['before']['value']:.1f} → {old['after']['value']:.1f}", cell(old["ratio"]),
             f"{new['before']['value']:.0f} → {new['after']['value']:.1f}")
        )  # fmt: skip
    body = "\n\n".join(
        (
            f"Perplexity of a token on test rows before and after the update, {options.steps} steps of 16 lines of 64 "
            f"tokens; 2 layers, 64 wide, 600 tokens of byte pairs, {options.old_steps} steps on the plays before. "
            "Forgotten is the ratio on the old rows: 1 is nothing. The model had not seen a Chinese character.",
            markdown(["against forgetting", "plays", "forgotten, times [95 %]", "poems"], rows),
        )
    )
    names = ("modelyard", "torch", "transformers", "peft")
    title = "Going on with a language model: English plays, then Chinese poems"
    write_result("continual_language", title, body, [f"{name} {version(name)}" for name in names])


if __name__ == "__main__":
    main()
