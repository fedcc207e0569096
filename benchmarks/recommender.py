"""Recommenders on MovieLens 100k: train.recommender on rows that it never saw, and online learning on real streams.

    python benchmarks/recommender.py --data DIR [--runs random time known clicks] [--kinds NAME …] [--seeds 1]

DIR holds `movielens_100k` (u.data, u.user, u.item). `random`: 20 % of the ratings are the test, `time`: the newest
20 %; validation is cut from the other 80 % and stops the training. `known`: as `random`, with what is known of user and
film as columns. `clicks`: the same columns, to LightGBM too; a rating of 4 or 5 is a click. `random` and `time` train
the kind `factorization` unless `--kinds` says otherwise, the others all three. Test rows are asked through the
predictor.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from common import WORK, markdown, write_result

import modelyard

SPLITS = {
    "random": "{validation: 0.08, test: 0.2, by: label}",
    "time": "{validation: 0.08, test: 0.2, by: time}",
    "known": "{validation: 0.08, test: 0.2, by: label}",
    "clicks": "{validation: 0.08, test: 0.2, by: label}",
}
KNOWN = ("known", "clicks")
"""Runs with columns beside user and item."""
KINDS = ("factorization", "wide_deep", "dcn")
PROJECT = """version: 1
project: movielens
seed: {seed}
steps:
  rows: {{uses: data.read, with: {{path: {path}, {goal}, time: timestamp}}}}
  split: {{uses: data.split, with: {split}}}
  model: {{uses: train.recommender, with: {{kind: {kind}, compute: {{threads: 1}}{more}}}}}
"""


def rows_of(data: Path, run: str) -> list[dict[str, Any]]:
    """Ratings or clicks in the order of the file, perhaps with what is known of user and film."""
    with (data / "u.data").open(encoding="utf-8") as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file, delimiter="|"))
    if run not in KNOWN:
        return rows
    with (data / "u.user").open(encoding="utf-8") as file:
        users = {row["user"]: row for row in csv.DictReader(file, delimiter="|")}
    with (data / "u.item").open(encoding="latin-1") as file:
        items = {row["item"]: row for row in csv.DictReader(file, delimiter="|", quoting=csv.QUOTE_NONE)}
    genres = list(next(iter(items.values())))[5:]
    return [
        {
            "user": row["user"],
            "item": row["item"],
            **{name: users[row["user"]][name] for name in ("age", "gender", "occupation")},
            "year": items[row["item"]]["releaseDate"][-4:],
            **{f"is {name}": items[row["item"]][name] for name in genres},
            **({"click": "yes" if int(row["rating"]) >= 4 else "no"} if run == "clicks" else {"rating": row["rating"]}),
            "timestamp": row["timestamp"],
        }
        for row in rows
    ]


def project(run: str, kind: str, seed: int, data: Path, more: str) -> tuple[Path, Path, float]:
    """Folders of the model and of the divided rows, and the seconds the run took."""
    folder = WORK / "recommender" / f"{run}-{kind}-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rows = rows_of(data, run)
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    goal = "label: click" if run == "clicks" else "target: rating"
    text = PROJECT.format(seed=seed, path="rows.csv", goal=goal, split=SPLITS[run], kind=kind, more=more)
    (folder / "modelyard.yaml").write_text(text, encoding="utf-8")
    began = time.perf_counter()
    outcome = modelyard.run(folder)
    seconds = time.perf_counter() - began
    digests = {step.step: step.outputs for step in outcome.steps}
    kept = folder / ".modelyard" / "artifacts"
    model, split = digests["model"]["model"], digests["split"]["data"]
    return kept / model[7:9] / model[9:], kept / split[7:9] / split[9:], seconds


def records(rows: Path, split: str) -> tuple[list[dict[str, Any]], list[Any]]:
    from modelyard.methods.data.dataset import Dataset

    data = Dataset.open(rows)
    found = data.table(split).to_pylist()
    return found, [one.pop(data.need("label")) for one in found]


def answers(model: Path, asked: list[dict[str, Any]]) -> list[Any]:
    from modelyard.methods import runtimes

    predictor = runtimes.load(model, threads=1)
    try:
        return list(predictor.predict(asked))
    finally:
        predictor.close()


def ratings_scores(predicted: Any, truth: Any) -> dict[str, float]:
    errors = np.asarray(predicted, float) - np.asarray(truth, float)
    return {"rmse": float(np.sqrt((errors**2).mean())), "mae": float(np.abs(errors).mean())}


def biases(rows: Path, strength: float, rounds: int = 20) -> tuple[float, dict[str, Any], dict[str, Any]]:
    """Mean, user and item biases of train and validation by alternating ridge regression (the plain thing)."""
    known = [records(rows, split) for split in ("train", "validation")]
    asked, truth = [one for part in known for one in part[0]], np.array([v for part in known for v in part[1]], float)
    mean = float(truth.mean())
    names = {key: np.unique([one[key] for one in asked], return_inverse=True) for key in ("user", "item")}
    found = {key: np.zeros(len(some)) for key, (some, _) in names.items()}
    for _ in range(rounds):
        for key, other in (("item", "user"), ("user", "item")):
            places = names[key][1]
            rest = truth - mean - found[other][names[other][1]]
            found[key] = np.bincount(places, rest) / (np.bincount(places) + strength)
    users, items = (dict(zip(names[key][0].tolist(), found[key].tolist(), strict=True)) for key in ("user", "item"))
    return mean, users, items


def bias_only(rows: Path) -> dict[str, float]:
    mean, users, items = biases(rows, 5.0)
    asked, truth = records(rows, "test")
    guess = [mean + users.get(one["user"], 0.0) + items.get(one["item"], 0.0) for one in asked]
    return ratings_scores(np.clip(guess, 1, 5), truth)


def plain_svd(rows: Path, seed: int) -> dict[str, float]:
    """Biased matrix factorisation by plain SGD with the settings that Surprise's SVD has by default: 100 factors,
    20 epochs, rate 0.005, penalty 0.02. Train and validation are learned, nothing is stopped early."""
    known = [records(rows, split) for split in ("train", "validation")]
    asked, truth = [one for part in known for one in part[0]], [float(v) for part in known for v in part[1]]
    places: tuple[dict[str, int], dict[str, int]] = ({}, {})
    pairs = [(places[0].setdefault(str(one["user"]), len(places[0])),
              places[1].setdefault(str(one["item"]), len(places[1]))) for one in asked]  # fmt: skip
    mean, draw = float(np.mean(truth)), np.random.default_rng(seed)
    users, items = (draw.normal(0, 0.1, (len(some), 100)) for some in places)
    of_user, of_item = (np.zeros(len(some)) for some in places)
    for _ in range(20):
        for (u, i), value in zip(pairs, truth, strict=True):
            p, q = users[u], items[i]
            error = value - (mean + of_user[u] + of_item[i] + p @ q)
            of_user[u] += 0.005 * (error - 0.02 * of_user[u])
            of_item[i] += 0.005 * (error - 0.02 * of_item[i])
            users[u], items[i] = p + 0.005 * (error * q - 0.02 * p), q + 0.005 * (error * p - 0.02 * q)
    tested, wanted = records(rows, "test")
    guesses = []
    for one in tested:
        u, i = places[0].get(str(one["user"])), places[1].get(str(one["item"]))
        guess = mean + (0 if u is None else of_user[u]) + (0 if i is None else of_item[i])
        guesses.append(guess + (users[u] @ items[i] if u is not None and i is not None else 0))
    return ratings_scores(np.clip(guesses, 1, 5), wanted)


def click_scores(scores: Any, truth: list[str]) -> dict[str, float]:
    from sklearn.metrics import log_loss, roc_auc_score

    wanted = [one == "yes" for one in truth]
    return {"auc": float(roc_auc_score(wanted, scores)), "log_loss": float(log_loss(wanted, scores))}


def boosted_clicks(rows: Path, seed: int) -> dict[str, float]:
    """LightGBM on the same columns, user and item as categories, stopped by validation."""
    import lightgbm
    import pandas

    frames = {}
    for split in ("train", "validation", "test"):
        asked, truth = records(rows, split)
        frame = pandas.DataFrame(asked).drop(columns=["row_id", "timestamp"])
        frames[split] = (frame, np.array([one == "yes" for one in truth]), truth)
    for name in frames["train"][0].columns:
        if name in ("user", "item", "gender", "occupation"):
            kinds = pandas.CategoricalDtype(sorted(frames["train"][0][name].astype(str).unique()))
            for frame, *_ in frames.values():
                frame[name] = frame[name].astype(str).astype(kinds)
        else:
            for frame, *_ in frames.values():
                frame[name] = pandas.to_numeric(frame[name], errors="coerce")
    train, validation = (lightgbm.Dataset(frames[split][0], frames[split][1]) for split in ("train", "validation"))
    settings = {"objective": "binary", "learning_rate": 0.05, "num_threads": 1, "seed": seed, "verbosity": -1}
    model = lightgbm.train(
        settings, train, 2000, valid_sets=[validation], callbacks=[lightgbm.early_stopping(50, verbose=False)]
    )
    return click_scores(model.predict(frames["test"][0]), frames["test"][2])


def measured(run: str, kinds: Sequence[str], seeds: int, data: Path, more: str) -> list[list[Any]]:
    """Lines of the table: ours, and what stands beside it on the same rows."""
    found: dict[str, list[dict[str, float]]] = {}
    for seed in range(seeds):
        for kind in kinds:
            model, rows, seconds = project(run, kind, seed, data, more)
            scores = asked_scores(run, model, rows)
            found.setdefault(f"train.recommender `{kind}`", []).append(scores)
            print(json.dumps({"run": run, "seed": seed, "kind": kind, "ours": scores, "s": seconds}), flush=True)
        for name, scores in beside(run, rows, seed).items():
            found.setdefault(name, []).append(scores)
    return [[run, name, *shown(some)] for name, some in found.items()]


def asked_scores(run: str, model: Path, rows: Path) -> dict[str, float]:
    asked, truth = records(rows, "test")
    found = answers(model, asked)
    if run == "clicks":
        return click_scores([one.scores["yes"] for one in found], truth)
    return ratings_scores([one.value for one in found], truth)


def beside(run: str, rows: Path, seed: int) -> dict[str, dict[str, float]]:
    """What others get on the same rows."""
    if run == "clicks":
        return {"LightGBM, same columns": boosted_clicks(rows, seed)}
    plain = {"biases only (ridge)": bias_only(rows)}
    if run in KNOWN:
        return plain
    return {"SGD, the defaults of Surprise's SVD (a loop of this script)": plain_svd(rows, seed), **plain}


def shown(found: list[dict[str, float]]) -> list[str]:
    means = {key: float(np.mean([one[key] for one in found])) for key in found[0]}
    ranges = {key: (min(one[key] for one in found), max(one[key] for one in found)) for key in found[0]}
    return [
        f"{key} {mean:.4f}" + (f" ({ranges[key][0]:.4f} to {ranges[key][1]:.4f})" if len(found) > 1 else "")
        for key, mean in means.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", nargs="*", default=list(SPLITS), choices=list(SPLITS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--kinds", nargs="*", choices=KINDS)
    parser.add_argument("--more", default="", help="further settings of train.recommender, as in the project file")
    options = parser.parse_args()
    more = f", {options.more}" if options.more else ""
    folder = options.data / "movielens_100k"
    rows = [
        line
        for run in options.runs
        for line in measured(run, options.kinds or (KINDS if run in KNOWN else KINDS[:1]), options.seeds, folder, more)
    ]
    head = ["rows", "model", "test", "test"]
    text = (
        f"Seeds: {options.seeds}. Test rows were in no training and stopped none. The stage's defaults for "
        "`factorization` were chosen on the validation rows of another random division of the same ratings, some of "
        "which are test rows here; those of `dcn` and `wide_deep` on the validation rows of `known` and `clicks` with "
        "seed 0. `known`: ratings, `clicks`: a rating of 4 or 5, both with age, gender and occupation of the user, "
        "year and genres of the film.\n\n"
    )
    write_result(
        "recommender",
        "Recommenders on MovieLens 100k",
        text + markdown(head, rows),
        [f"{name} {version(name)}" for name in ("modelyard", "torch", "lightgbm")],
    )


if __name__ == "__main__":
    main()
