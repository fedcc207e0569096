"""How sure models may be, on real data: calibration before and after, coverage of 90 % sets, rows from elsewhere.

    python benchmarks/uncertainty.py --data DIR [--only NAME …] [--size linear]

DIR may hold folders `banking77`, `sms_spam`, `waimai_10k`, `chnsenticorp`, `smp2020_ewect`, `adult`,
`california_housing` with the files named below; those that are missing are left out. Of each training set 20 % are kept
for calibration; half of them make the probabilities honest, the other half make sets (intervals of numbers) and a
threshold below which the model keeps silent. Everything is measured on test, through the predictor that ships.

Rows from elsewhere: every tenth intent of banking77 is taken from training and asked about, and text messages of
sms_spam are; reviews of meals (waimai_10k) are shown to a model of hotels, books and computers (chnsenticorp); and
posts about the epidemic (smp2020 "virus") to a model of everyday ones ("usual"), which is also measured on them.

Doubt: a network asked with its dropout on, and three networks trained on drawn rows, whether it tells wrong answers and
the intents left out.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import uncertainty_doubt as doubt
import uncertainty_elsewhere as elsewhere
from common import WORK, markdown, write_result
from uncertainty_evidence import item, run, shown

HEAD = """version: 1
project: uncertainty
seed: 0
steps:
  rows: {{uses: data.read, with: {read}}}
  split: {{uses: data.split, with: {split}}}
  model: {{uses: {train}}}
"""
CLASSES = """  raw: {uses: evaluate.uncertainty, in: {model: model}}
  honest: {uses: calibrate.scores, in: {model: model}}
  sets: {uses: calibrate.conformal, in: {model: honest}}
  silent: {uses: calibrate.abstention, in: {model: sets}, with: {error: ERROR}}
  measured: {uses: evaluate.uncertainty, in: {model: silent}}
  byclass: {uses: calibrate.conformal, in: {model: honest}, with: {by: class}}
  measuredbyclass: {uses: evaluate.uncertainty, in: {model: byclass}}
"""
INTERVALS = {
    "one width": "{}",
    "a width for each fifth of the answers": "{by: answer}",
    "over the distance of the quantiles": "{method: normalized}",
    "quantiles moved (CQR)": "{method: cqr}",
    "CQR, by ocean_proximity": "{method: cqr, by: ocean_proximity}",
    "CQR, by its width": "{method: cqr, by: width}",
    "over the distance of the quantiles, by it": "{method: normalized, by: width}",
}
NUMBERS = "".join(
    f"  sets{place}: {{uses: calibrate.conformal, in: {{model: model}}, with: {settings}}}\n"
    f"  measured{place}: {{uses: evaluate.uncertainty, in: {{model: sets{place}}}, "
    "with: {groups: [ocean_proximity]}}\n"
    for place, settings in enumerate(INTERVALS.values())
)
TABLE = "train.tabular, with: {compute: {threads: 1}}"
TREES = "train.tabular, with: {quantiles: [0.05, 0.95], compute: {threads: 1}}"
TEXT = "train.text_classification, with: {{size: {size}, compute: {{threads: 1}}}}"
# name: settings of data.read (PATH is the folder), share kept for test, error allowed among the given answers
SETS: Mapping[str, tuple[str, float, float]] = {
    "banking77": (
        "{path: {train: PATH/train.csv, test: PATH/test.csv}, text: text, label: category}", 0.2, 0.05,
    ),
    "sms_spam": (
        "{path: PATH/sms.tsv, header: false, columns: [label, text], text: text, label: label}", 0.2, 0.01,
    ),
    "waimai_10k": ("{path: PATH/waimai_10k.csv, text: review, label: label}", 0.2, 0.05),
    "chnsenticorp": ("{path: {train: PATH/train.tsv, test: PATH/test.tsv}, text: text_a, label: label}", 0.2, 0.05),
    "smp2020_ewect": (
        "{path: {train: PATH/usual_train.tsv, test: PATH/usual_test.tsv}, text: text_a, label: label}", 0.2, 0.15,
    ),
    "adult": ("{path: adult.csv, label: classification}", 0.2, 0.05),
    "california_housing": ("{path: PATH/housing.csv, target: median_house_value}", 0.2, 0.0),
}  # fmt: skip


def prepare(name: str, data: Path, folder: Path) -> None:
    """What a set needs beside its files."""
    if name == "adult":
        lines = (data / "adult" / "adult.data").read_text(encoding="utf-8").splitlines()
        rows = [[cell.strip() for cell in line.split(",")] for line in lines if line.strip()]
        with (folder / "adult.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)


def made(name: str) -> Path:
    """A folder of its own; what a project there has done already is not done again."""
    folder = WORK / "uncertainty" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def of_set(name: str, data: Path, size: str) -> dict[str, list[dict[str, Any]]]:
    """Evidence of one set, step by step."""
    read, test, error = SETS[name]
    folder = made(name)
    prepare(name, data, folder)
    table = name in ("adult", "california_housing")
    head = HEAD.format(
        read=read.replace("PATH", str(data / name)),
        split=f"{{validation: 0.1, calibration: 0.2, test: {test}}}",
        train=TREES if error == 0 else TABLE if table else TEXT.format(size=size),
    )
    return run(folder, head + (NUMBERS if error == 0 else CLASSES.replace("ERROR", str(error))))


def classes_row(name: str, found: dict[str, list[dict[str, Any]]]) -> list[list[str]]:
    """Lines of the tables of calibration, of coverage, and of silence."""
    raw, measured, by_class = found["raw"], found["measured"], found["measuredbyclass"]
    calibration = [name]
    for claim in ("calibration_error", "log_loss"):
        calibration += [shown(item(part, claim), False) for part in (raw, measured)]
    calibration.append(f"{item(measured, 'calibration_null')['value']:.4f}")
    coverage = [name, str(item(measured, "coverage")["n"])]
    for part in (measured, by_class):
        coverage += [shown(item(part, "coverage")), f"{item(part, 'set_size')['value']:.2f}", lowest(part, "class")]
    error = SETS[name][2]
    silence = [name, f"{error:.0%}", shown(item(measured, "answered")), shown(item(measured, "answered_error")),
               shown(item(measured, "aurc"), False)]  # fmt: skip
    return [calibration, coverage, silence]


def lowest(found: list[dict[str, Any]], key: str) -> str:
    """The part that is covered least."""
    parts = [one for one in found if one["claim"] == "uncertainty.coverage" and key in one["slice"]]
    if not parts:
        return "-"
    worst = min(parts, key=lambda one: one["value"])
    return f"{worst['value']:.0%} ({worst['slice'][key]}, n = {worst['n']})"


def numbers_rows(found: dict[str, list[dict[str, Any]]]) -> list[list[str]]:
    rows = []
    for place, what in enumerate(INTERVALS):
        part = found[f"measured{place}"]
        sizes = [f"{item(part, name)['value']:,.0f}" for name in ("interval_width", "interval_score")]
        parts = [lowest(part, key) for key in ("ocean_proximity", "width")]
        rows.append(["california_housing", what, shown(item(part, "coverage")), *sizes, *parts])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[*SETS, "elsewhere", "doubt"])
    parser.add_argument("--size", default="linear", help="of the text models")
    parser.add_argument("--elsewhere-size", nargs="*", default=["linear", "cnn"])
    parser.add_argument("--elsewhere", nargs="*", default=[*elsewhere.WORLDS], choices=[*elsewhere.WORLDS])
    parser.add_argument("--released", action="store_true", help="posts: the model that continual.py released before")
    options = parser.parse_args()
    rows: dict[str, Any] = {}
    for name in options.only:
        if name == "elsewhere":
            for world in options.elsewhere:
                for size in options.elsewhere_size:
                    rows[f"elsewhere {world} {size}"] = of_world(world, size, options.data, options.released)
        elif name == "doubt":
            rows[name] = doubt.rows("intents", options.data, made("doubt"), run)
        elif (options.data / name).is_dir():
            found = of_set(name, options.data, options.size)
            rows[name] = numbers_rows(found) if name == "california_housing" else classes_row(name, found)
        remember(rows)
    report(remember(rows))


def of_world(world: str, size: str, data: Path, released: bool) -> dict[str, list[list[str]]]:
    if released and world == "posts":
        folder = WORK / "continual" / size
        return elsewhere.released(world, data, folder, size, f"moods-{size}@1", run)
    return elsewhere.rows(world, data, made(f"elsewhere-{world}-{size}"), size, run)


def remember(rows: dict[str, Any]) -> dict[str, Any]:
    """What is known so far: sets may be run one by one."""
    kept = WORK / "uncertainty" / "rows.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    before = json.loads(kept.read_text()) if kept.is_file() else {}
    kept.write_text(json.dumps(before | rows))
    return dict(before | rows)


def report(rows: Mapping[str, Any]) -> None:
    names = [name for name in SETS if name in rows and name != "california_housing"]
    body = "## Calibration on test, before and after `calibrate.scores`\n\n" + markdown(
        ("data", "calibration error before", "after", "log-loss before", "after", "error by chance alone, up to"),
        [rows[name][0] for name in names],
    )
    body += "\n\n## 90 % sets on test\n\n" + markdown(
        ("data", "n", "coverage", "labels in a set", "least covered class", "coverage, `by: class`", "labels in a set",
         "least covered class"),
        [rows[name][1] for name in names],
    )  # fmt: skip
    if "california_housing" in rows:
        body += "\n\n## 90 % intervals on test\n\n" + markdown(
            ("data", "how", "coverage", "mean width", "interval score", "least covered group", "least covered width"),
            rows["california_housing"],
        )
    body += "\n\n## Silence: errors among the answers given, bounded with 95 % confidence\n\n" + markdown(
        ("data", "bound", "answered", "wrong among them", "AURC"), [rows[name][2] for name in names]
    )
    strange = [one for key in rows if key.startswith("elsewhere ") for one in rows[key]["scores"]]
    if strange:
        body += "\n\n## Rows from elsewhere\n\n" + markdown(elsewhere.HEAD, strange)
    drifted = [one for key in rows if key.startswith("elsewhere ") for one in rows[key]["measured"]]
    if drifted:
        body += "\n\n## The same model on test and on the rows from elsewhere\n\n" + markdown(
            elsewhere.MEASURED, drifted
        )
    if "doubt" in rows:
        body += "\n\n## Doubt: does it tell wrong answers, and rows from elsewhere?\n\n" + markdown(
            doubt.HEAD, rows["doubt"]["errors"]
        )
        body += "\n\n## Doubt in parts (nats)\n\n" + markdown(doubt.PARTS_HEAD, rows["doubt"]["parts"])
    body += (
        "\n\nText models: n-grams and a linear layer unless named; tables: boosted trees. 95 % intervals in brackets."
    )
    body += " A set holds at least the answer: a model that is right for more than 90 % covers more."
    if any(line[0].startswith("smp2020") and line[1] == "cnn" for line in drifted):
        body += " The convolutional network of smp2020 is the one that benchmarks/continual.py released (`--released`)."
    packages = ("torch", "lightgbm", "scipy", "numpy")
    write_result("uncertainty", "How sure models may be", body, [f"{name} {version(name)}" for name in packages])


if __name__ == "__main__":
    main()
