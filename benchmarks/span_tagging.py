"""Chinese names and terms (CLUENER 2020) marked by a tagger trained from scratch: F1 of whole spans on its dev split.

    python benchmarks/span_tagging.py --data DIR [--epochs N] [--rows N] [--write]

DIR holds `cluener/train.jsonl` and `cluener/dev.jsonl` (`{"text", "label": {name: {text: [[first, last]]}}}`). One row
in ten of train is set aside to stop on; the dev split is asked once, through the predictor.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

from common import WORK, markdown, write_result

import modelyard

USAGES = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
PROJECT = """\
version: 1
project: cluener
steps:
  rows: {uses: data.read, with: {path: {train: train.jsonl, test: test.jsonl}, text: text}}
  split: {uses: data.split, with: {validation: 0.1}}
  names:
    uses: train.token_classification
    with: {compute: {threads: 1, device: cpu}SETTINGS}
"""


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Texts with spans as the column `spans` has them: characters, the end exclusive."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        spans = [
            {"start": first, "end": last + 1, "label": label}
            for label, texts in row["label"].items()
            for places in texts.values()
            for first, last in places
        ]
        found.append({"text": row["text"], "spans": sorted(spans, key=lambda span: span["start"])})
    return found


def trained(training: list[dict[str, Any]], dev: list[dict[str, Any]], settings: dict[str, Any]) -> tuple[Path, float]:
    """The model's folder and the processor seconds the run took."""
    folder = WORK / "span_tagging"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for split, rows in (("train", training), ("test", dev)):
        lines = (json.dumps(row, ensure_ascii=False) for row in rows)
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    more = "".join(f", {name}: {json.dumps(value)}" for name, value in settings.items())
    (folder / "modelyard.yaml").write_text(PROJECT.replace("SETTINGS", more), encoding="utf-8")
    before = processor_seconds()
    outcome = modelyard.run(folder)
    seconds = processor_seconds() - before
    digest = next(step.outputs["model"] for step in outcome.steps if step.step == "names")
    return folder / ".modelyard" / "artifacts" / digest[7:9] / digest[9:], seconds


def processor_seconds() -> float:
    """Of this process and of those it has waited for: other work on the machine does not change them."""
    return sum(one.ru_utime + one.ru_stime for one in map(resource.getrusage, USAGES))


def f1_by_label(model: Path, rows: list[dict[str, Any]]) -> dict[str, tuple[float, int]]:
    """(F1 of whole spans, spans) in all and by label."""
    from modelyard.methods import runtimes

    predictor = runtimes.load(model, threads=1)
    counted: dict[str, list[int]] = {}
    for row, answer in zip(rows, predictor.predict([{"text": row["text"]} for row in rows]), strict=True):
        wanted = {(span["start"], span["end"], span["label"]) for span in row["spans"]}
        given = {(span.start, span.end, span.label) for span in answer.spans}
        for place, spans in enumerate((given & wanted, given, wanted)):
            for _, _, label in spans:
                for name in ("all", label):
                    counted.setdefault(name, [0, 0, 0])[place] += 1
    return {name: (2 * right / max(1, given + wanted), wanted) for name, (right, given, wanted) in counted.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--epochs", type=int, help="at most; by default the stage's own")
    parser.add_argument("--rows", type=int, help="training rows, to try it")
    parser.add_argument("--write", action="store_true", help="write results/span_tagging.md")
    options = parser.parse_args()
    settings = {"epochs": options.epochs} if options.epochs else {}
    training, dev = (rows_of(options.data / "cluener" / f"{split}.jsonl") for split in ("train", "dev"))
    model, seconds = trained(training[: options.rows], dev, settings)
    found = f1_by_label(model, dev)
    table = [[name, f"{100 * f1:.1f}", f"{count:,}"] for name, (f1, count) in sorted(found.items())]
    body = markdown(["label", "F1", "spans"], table) + f"\n\n{seconds:.0f} processor seconds for the run on one thread."
    print(body)
    if options.write:
        title = "Spans: CLUENER 2020, a tagger from scratch, dev split"
        write_result("span_tagging", title, body, [f"{name} {version(name)}" for name in ("modelyard", "torch")])


if __name__ == "__main__":
    main()
