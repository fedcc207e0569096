"""Dates as mail programs write them, made ISO 8601 by train.text_to_text from fresh weights.

    python benchmarks/rewriting.py --data DIR [--apart moment|day] [--answer moment|day] [--write]

DIR holds `spam_assassin` (real e-mails, contents CC0). Every date in their headers is a text, `Thu, 22 Aug 2002
18:26:25 +0700 (PDT)`; what Python's email.utils reads in it is the answer, `2002-08-22T18:26:25`. No moment is on two
sides of the split, so no answer of the test rows was seen in training; with `--apart day`, no day is. `--answer day`
asks for `2002-08-22` alone. Beside it stands the answer of the most similar training text.
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

import numpy as np
from common import WORK, markdown, write_result

import modelyard

COMPUTE = '{threads: 1, device: cpu, compile: "off"}'
FOLDER = WORK / "rewriting"
PROJECT = """\
version: 1
project: dates
steps:
  rows: {uses: data.read, with: {path: dates.csv, text: text, group: apart}}
  split: {uses: data.split, with: {validation: 0.1, test: 0.2}}
  writer:
    uses: train.text_to_text
    with:
      tokenizer: {kind: characters}
      model: {width: 64, heads: 4, dropout: 0}
      optimizer: {learning_rate: 0.004}
      epochs: EPOCHS
      max_length: 48
      max_answer: 20
      compute: COMPUTE
  quality: {uses: evaluate.quality}
release:
  model: writer
  rules:
    - {claim: quality.exact_match, min: 0.9}
"""
NAMED = re.compile(r"(?mi)^(?:delivery-|resent-)?date:[ \t]*(.+)$")
RECEIVED = re.compile(r"(?mi);[ \t]*\n?[ \t]+((?:mon|tue|wed|thu|fri|sat|sun),.+\d{4}.*)$")
ENVELOPE = re.compile(r"(?m)^From \S+\s+(.+)$")
LONGEST = 45
DAY = len("2002-08-22")


def dates(path: Path, at_most: int) -> list[tuple[str, str]]:
    """Texts with the moment they name, each text once, at most so many texts a day: a few days have thousands."""
    found: dict[str, str] = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            head = json.loads(line)["text"].split("\n\n")[0]
            for text in (match for form in (NAMED, RECEIVED, ENVELOPE) for match in form.findall(head)):
                shown = " ".join(text.split())
                read = email.utils.parsedate(shown)
                if read and 1990 < read[0] < 2010 and len(shown) <= LONGEST:
                    found[shown] = "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}".format(*read[:6])
    rows = sorted(found.items())
    random.Random(0).shuffle(rows)
    days: Counter[str] = Counter()
    kept = []
    for text, moment in rows:
        days[moment[:DAY]] += 1
        if days[moment[:DAY]] <= at_most:
            kept.append((text, moment))
    return kept


def trained(rows: list[tuple[str, str, str]], apart: str, epochs: float) -> tuple[dict[str, Path], float, bool]:
    """Folders of the outputs of each step, the processor seconds of the run, and whether the gate passed."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with (FOLDER / "dates.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "answer", "apart"])
        writer.writerows([text, answer, moment[: DAY if apart == "day" else None]] for text, answer, moment in rows)
    project = PROJECT.replace("COMPUTE", COMPUTE).replace("EPOCHS", f"{epochs:g}")
    (FOLDER / "modelyard.yaml").write_text(project, encoding="utf-8")
    before = processor_seconds()
    outcome = modelyard.run(FOLDER)
    seconds = processor_seconds() - before
    kept = FOLDER / ".modelyard" / "artifacts"
    digests = {step.step: next(iter(step.outputs.values())) for step in outcome.steps if step.outputs}
    passed = outcome.decision is not None and outcome.decision.passed
    return {step: kept / digest[7:9] / digest[9:] for step, digest in digests.items()}, seconds, passed


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
    """Exact answers with their interval, and what share of them has the right year, month, day and time of day."""
    from modelyard.methods.statistics.wilson import wilson

    hits = sum(one == answer for one, answer in zip(found, wanted, strict=True))
    low, high = wilson(hits, len(wanted))
    parts = [
        f"{np.mean([one[part] == answer[part] for one, answer in zip(found, wanted, strict=True)]):.3f}"
        for part in (slice(0, 4), slice(5, 7), slice(8, DAY), slice(DAY + 1, None))
    ]
    return [name, f"{hits / len(wanted):.3f} [{low:.3f}, {high:.3f}]", *parts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--apart", choices=["moment", "day"], default="moment", help="what is on one side only")
    parser.add_argument("--answer", choices=["moment", "day"], default="moment")
    parser.add_argument("--epochs", type=float, default=6)
    parser.add_argument("--rows-a-day", type=int, default=100)
    parser.add_argument("--write", action="store_true", help="write results/rewriting.md")
    options = parser.parse_args()
    rows = dates(options.data / "spam_assassin" / "messages_first6000chars.jsonl.gz", options.rows_a_day)
    length = DAY if options.answer == "day" else None
    made, seconds, passed = trained(
        [(text, moment[:length], moment) for text, moment in rows], options.apart, options.epochs
    )
    training, test = read(made["split"], "train"), read(made["split"], "test")
    texts, wanted = [text for text, _ in test], [answer for _, answer in test]
    found = answers(made["writer"], texts)
    table = [
        line("train.text_to_text, T5 of 2 + 2 layers of 64", found, wanted),
        line("answer of the most similar training text", nearest(training, texts), wanted),
    ]
    days = {answer[:DAY] for _, answer in training}
    new = sum(answer[:DAY] not in days for answer in wanted)
    head = [f"{len(wanted):,} test texts", "exact", "year", "month", "day", "time"]
    pairs = zip(texts, found, wanted, strict=True)
    wrong = [f"`{text}` → `{one}`" for text, one, answer in pairs if one != answer]
    body = "\n\n".join(
        (
            f"{len(training):,} texts of {len(days)} days were learned from, {options.epochs:g} epochs. "
            f"No {options.apart} of the test texts is among them; {new:,} test texts are of a day "
            "that training has not seen.",
            markdown(head, table),
            f"Wrong: {len(wrong)}, the first: " + ("; ".join(wrong[:5]) or "none") + ".",
            f"The gate (exact match at least 0.9) {'passed' if passed else 'refused'}. "
            f"{seconds:.0f} processor seconds for the run on one thread.",
        )
    )
    print(body)
    if options.write:
        versions = [f"{name} {version(name)}" for name in ("modelyard", "torch", "transformers")]
        write_result("rewriting", "Text to text: dates of e-mails to ISO 8601", body, versions)


if __name__ == "__main__":
    main()
