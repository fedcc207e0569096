"""Dates as mail programs write them, made ISO 8601 by train.text_to_text from fresh weights.

    python benchmarks/rewriting.py --data DIR [--epochs N] [--rows-a-day 40] [--write]

DIR holds `spam_assassin` (real e-mails, contents CC0). Every date in their headers is a text, `Thu, 22 Aug 2002
18:26:25 +0700 (PDT)`; what Python's email.utils reads in it is the answer, `2002-08-22`. No day is on two sides of the
split, so every answer of the test rows is one that training never saw. Beside it stands the answer of the most similar
training text.
"""

from __future__ import annotations

import argparse
import csv
import email.utils
import gzip
import json
import random
import re
import resource
import shutil
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from common import WORK, markdown, write_result

import modelyard

COMPUTE = '{threads: 1, device: cpu, compile: "off"}'
FOLDER = WORK / "rewriting"
PROJECT = """\
version: 1
project: dates
steps:
  rows: {uses: data.read, with: {path: dates.csv, text: text, group: day}}
  split: {uses: data.split, with: {validation: 0.1, test: 0.2}}
  writer:
    uses: train.text_to_text
    with: {tokenizer: {kind: characters}, max_length: 48, max_answer: 12, compute: COMPUTE SETTINGS}
  quality: {uses: evaluate.quality}
release:
  model: writer
  rules:
    - {claim: quality.exact_match, min: 0.9}  # the stage's defaults do not reach it from so few days
"""
NAMED = re.compile(r"(?mi)^(?:delivery-|resent-)?date:[ \t]*(.+)$")
RECEIVED = re.compile(r"(?mi);[ \t]*\n?[ \t]+((?:mon|tue|wed|thu|fri|sat|sun),.+\d{4}.*)$")
ENVELOPE = re.compile(r"(?m)^From \S+\s+(.+)$")
LONGEST = 45


def dates(path: Path, at_most: int) -> list[tuple[str, str]]:
    """Texts with the day they name, each text once, at most so many texts a day: a few days have thousands."""
    found: dict[str, str] = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            head = json.loads(line)["text"].split("\n\n")[0]
            for text in (match for form in (NAMED, RECEIVED, ENVELOPE) for match in form.findall(head)):
                shown = " ".join(text.split())
                read = email.utils.parsedate(shown)
                if read and 1990 < read[0] < 2010 and len(shown) <= LONGEST:
                    found[shown] = "{:04}-{:02}-{:02}".format(*read[:3])
    rows = sorted(found.items())
    random.Random(0).shuffle(rows)
    days: Counter[str] = Counter()
    kept = []
    for text, day in rows:
        days[day] += 1
        if days[day] <= at_most:
            kept.append((text, day))
    return kept


def trained(rows: list[tuple[str, str]], settings: dict[str, Any]) -> tuple[dict[str, Path], float]:
    """Folders of the outputs of each step, and the processor seconds of the run."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with (FOLDER / "dates.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "answer", "day"])
        writer.writerows([text, day, day] for text, day in rows)
    more = "".join(f", {name}: {json.dumps(value)}" for name, value in settings.items())
    (FOLDER / "modelyard.yaml").write_text(
        PROJECT.replace("COMPUTE", COMPUTE).replace(" SETTINGS", more), encoding="utf-8"
    )
    before = processor_seconds()
    outcome = modelyard.run(FOLDER)
    seconds = processor_seconds() - before
    kept = FOLDER / ".modelyard" / "artifacts"
    digests = {step.step: next(iter(step.outputs.values())) for step in outcome.steps if step.outputs}
    return {step: kept / digest[7:9] / digest[9:] for step, digest in digests.items()}, seconds


def processor_seconds() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in usages)


def read(folder: Path, split: str) -> list[tuple[str, str]]:
    from modelyard.methods.data.dataset import Dataset

    return [(row["text"], row["answer"]) for row in Dataset.open(folder).table(split).to_pylist()]


def nearest(training: list[tuple[str, str]], asked: list[str]) -> list[str]:
    """The answer of the most similar training text: cosines of character 1- to 4-grams."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 4)).fit([text for text, _ in training])
    near = vectorizer.transform(asked) @ vectorizer.transform([text for text, _ in training]).T
    return [training[place][1] for place in np.asarray(near.argmax(1)).ravel()]


def answers(model: Path, asked: list[str]) -> list[str]:
    from modelyard.methods import runtimes

    predictor = runtimes.load(model, threads=1)
    found = [one.text for one in predictor.predict([{"text": text} for text in asked])]
    predictor.close()
    return found


def line(name: str, found: list[str], wanted: list[str]) -> list[str]:
    """Exact answers with their interval, and what share of them has the right year, month, day."""
    from modelyard.methods.statistics.wilson import wilson

    hits = sum(one == day for one, day in zip(found, wanted, strict=True))
    low, high = wilson(hits, len(wanted))
    parts = [
        f"{np.mean([one[part] == day[part] for one, day in zip(found, wanted, strict=True)]):.3f}"
        for part in (slice(0, 4), slice(5, 7), slice(8, 10))
    ]
    return [name, f"{hits / len(wanted):.3f} [{low:.3f}, {high:.3f}]", *parts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--epochs", type=float, help="at most; by default the stage's own")
    parser.add_argument("--rows-a-day", type=int, default=40)
    parser.add_argument("--write", action="store_true", help="write results/rewriting.md")
    options = parser.parse_args()
    rows = dates(options.data / "spam_assassin" / "messages_first6000chars.jsonl.gz", options.rows_a_day)
    made, seconds = trained(rows, {"epochs": options.epochs} if options.epochs else {})
    training, test = read(made["split"], "train"), read(made["split"], "test")
    texts, wanted = [text for text, _ in test], [day for _, day in test]
    found = answers(made["writer"], texts)
    table = [
        line("train.text_to_text, T5 of 2 + 2 layers of 128", found, wanted),
        line("answer of the most similar training text", nearest(training, texts), wanted),
    ]
    head = [f"{len(wanted):,} test texts of {len(set(wanted))} days", "exact", "year", "month", "day"]
    wrong = [f"`{text}` → `{one}`" for text, one, day in zip(texts, found, wanted, strict=True) if one != day]
    body = "\n\n".join(
        (
            f"{len(training):,} texts of {len({day for _, day in training})} other days were learned from.",
            markdown(head, table),
            "Wrong, the first: " + ("; ".join(wrong[:5]) or "none") + ".",
            f"{seconds:.0f} processor seconds for the run on one thread.",
        )
    )
    print(body)
    if options.write:
        versions = [f"{name} {version(name)}" for name in ("modelyard", "torch", "transformers")]
        write_result("rewriting", "Text to text: dates of e-mails to ISO 8601", body, versions)


if __name__ == "__main__":
    main()
