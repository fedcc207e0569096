"""Near duplicates beside datasketch, datatrove and rensa: recall, precision, characters a second and core.

The same Parquet, the same shingles (five words, or five characters for Chinese), the same banding (16 bands of 7)
and threshold (Jaccard 0.8); read, normalize, shingle, sign, band, compare, cluster, write. Each contender runs in a
process of its own with one thread; rounds alternate, the median counts. The truth is exact: all pairs of texts whose
sets of shingles (made in plain Python) have a Jaccard similarity of at least 0.8, found by prefix filtering (Bayardo,
Ma & Srikant 2007), which misses none.

    python benchmarks/deduplication.py --data FOLDER [--rounds 5] [--rows 100000]

FOLDER holds the real texts (license_texts_spdx, chinese_poetry_sample, d2l_zh, chnsenticorp, waimai_10k, smp2020_ewect,
coldataset; what is missing is left out). About a quarter of an hour.
Goals: 5 million characters a second and core at a recall of at least 0.95.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from common import HERE, WORK, markdown, peer_python, version_in, write_result

PEERS = HERE / "deduplication_peers"
FOLDER = WORK / "deduplication"
THRESHOLD = 0.8
GOAL_RECALL, GOAL_SPEED = 0.95, 5e6
DATASKETCH = ("datasketch==2.0.0", "numpy", "scipy", "pyarrow", "xxhash")
DATATROVE = ("datatrove==0.10.1", "regex", "xxhash==3.5.0", "orjson", "fasteners", "pyarrow", "tokenizers", "nltk")
NAMES = ("modelyard", "rensa + Python", "datasketch", "datatrove")

sys.path[:0] = [str(PEERS), str(HERE.parent)]


@dataclass(frozen=True)
class Corpus:
    """Texts to look through, as a data set folder, and the pairs there are."""

    name: str
    unit: str
    folder: Path
    num_rows: int
    num_characters: int
    truth: frozenset[tuple[int, int]]


def contenders() -> dict[str, list[str]]:
    datasketch, datatrove = peer_python("datasketch", DATASKETCH), peer_python("datatrove", DATATROVE)
    scripts = ("ours", "rensa_run", "datasketch_run", "datatrove_run")
    pythons = (sys.executable, sys.executable, str(datasketch), str(datatrove))
    return {
        name: [python, str(PEERS / f"{script}.py")]
        for name, python, script in zip(NAMES, pythons, scripts, strict=True)
    }


# -- texts -------------------------------------------------------------------------------------------------------------


def licences(data: Path) -> list[str]:
    records = json.loads((data / "license_texts_spdx" / "spdx-full.json").read_text(encoding="utf-8"))
    return [record["licenseText"] for record in records.values() if record.get("licenseText")]


def chinese(data: Path) -> Iterator[str]:
    for file in sorted((data / "chinese_poetry_sample").glob("*.json")):
        for piece in json.loads(file.read_text(encoding="utf-8")):
            lines = piece.get("paragraphs") or piece.get("content") or [] if isinstance(piece, dict) else []
            yield "\n".join(line for line in lines if isinstance(line, str))
    for archive in sorted((data / "d2l_zh").glob("*.zip")):
        with zipfile.ZipFile(archive) as opened:
            for name in sorted(opened.namelist()):
                if name.endswith(".md") and "_origin" not in name:
                    yield from opened.read(name).decode("utf-8").split("\n\n")
    for folder in ("chnsenticorp", "waimai_10k", "smp2020_ewect", "coldataset"):
        for file in sorted((data / folder).rglob("*")) if (data / folder).is_dir() else ():
            yield from from_file(file)


def from_file(file: Path) -> Iterator[str]:
    """The longest field of each record of a CSV, TSV, JSON or JSON Lines file."""
    if file.suffix in (".csv", ".tsv", ".txt"):
        with file.open(encoding="utf-8", errors="replace", newline="") as stream:
            for row in csv.reader(stream, delimiter="," if file.suffix == ".csv" else "\t"):
                yield max(row, key=len, default="")
    elif file.suffix == ".json":
        text = file.read_text(encoding="utf-8")
        records = json.loads(text) if text.startswith("[") else map(json.loads, text.splitlines())
        for record in records:
            yield max((value for value in record.values() if isinstance(value, str)), key=len, default="")


def with_edits(texts: Sequence[str], num_rows: int, seed: int = 0) -> list[str]:
    """Texts of at least 10 characters, a third of them also in one to four edited copies; shuffled."""
    chance = random.Random(seed)
    letters = "的一是不了在人有我他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学"
    rows: list[str] = []
    pool = [text for text in dict.fromkeys(texts) if len(text) >= 10]
    chance.shuffle(pool)
    for base in pool:
        rows.append(base)
        for _ in range(chance.choice([0, 0, 0, 0, 1, 1, 2, 4])):
            copy = list(base)
            for _ in range(max(1, round(len(copy) * chance.choice([0.005, 0.01, 0.02, 0.03, 0.05])))):
                copy[chance.randrange(len(copy))] = chance.choice(letters)
            rows.append("".join(copy))
    rows = rows[:num_rows]
    chance.shuffle(rows)
    return rows


def build(name: str, unit: str, texts: Sequence[str]) -> Corpus:
    """The data set folder and the exact pairs, both made once."""
    import pyarrow as pa

    from modelyard.base.canonical import digest_json
    from modelyard.methods.data.dataset import Column, write_schema, write_split

    folder = FOLDER / f"{name}-{digest_json([unit, list(texts)]).removeprefix('sha256:')[:12]}"
    truth = folder / "truth.json"
    if not truth.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        table = pa.table({"row_id": [f"{row}" for row in range(len(texts))], "text": list(texts)})
        write_schema(folder, [Column("row_id", "other", "string"), Column("text", "text", "string")])
        write_split(folder, "all", [table], table.schema)
        truth.write_text(json.dumps(sorted(exact_pairs(texts, unit))))
    pairs = frozenset((low, high) for low, high in json.loads(truth.read_text()))
    return Corpus(name, unit, folder, len(texts), sum(map(len, texts)), pairs)


def exact_pairs(texts: Sequence[str], unit: str) -> set[tuple[int, int]]:
    """Every pair at the threshold. Two such sets share one of their rarest |x| - ceil(0.8 |x|) + 1 elements."""
    from shingling import jaccard, shingles

    sets = [shingles(text, unit) for text in texts]
    counts = Counter(shingle for one in sets for shingle in one)
    index: dict[str, list[int]] = {}
    found: set[tuple[int, int]] = set()
    for row, one in enumerate(sets):
        prefix = len(one) - -(-len(one) * 4 // 5) + 1 if one else 0
        others: set[int] = set()
        for shingle in sorted(one, key=lambda item: (counts[item], item))[:prefix]:
            others.update(index.setdefault(shingle, []))
            index[shingle].append(row)
        for other in others:
            small, large = sorted((len(one), len(sets[other])))
            if small >= THRESHOLD * large and jaccard(one, sets[other]) >= THRESHOLD:
                found.add((other, row))
    return found


# -- measuring ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """One run of a contender."""

    cpu: float
    seconds: float
    megabytes: float
    kept: int
    pairs: frozenset[tuple[int, int]]


def once(command: Sequence[str], corpus: Corpus) -> Run:
    target, file = FOLDER / "out", FOLDER / "pairs.json"
    shutil.rmtree(target, ignore_errors=True)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MODELYARD_THREADS", "RAYON_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, "PYTHONPATH": str(HERE.parent)}
    arguments = [*command, str(corpus.folder), str(target), corpus.unit, str(file)]
    done = subprocess.run(arguments, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}\n{done.stderr[-3000:]}")
    value = json.loads(done.stdout.strip().splitlines()[-1])
    pairs = frozenset((low, high) for low, high in json.loads(file.read_text()))
    return Run(value["cpu"], value["seconds"], value["megabytes"], value["kept"], pairs)


def measure(corpus: Corpus, rounds: int) -> dict[str, list[Run]]:
    commands = contenders()
    results: dict[str, list[Run]] = {name: [] for name in commands}
    for number in range(rounds):
        names = [*commands][number % len(commands) :] + [*commands][: number % len(commands)]
        for name in names:
            results[name].append(once(commands[name], corpus))
    return results


def quality(run: Run, corpus: Corpus) -> tuple[float, float]:
    """(share of the true pairs that end in one cluster, share of the pairs linked that are true)."""
    from shingling import clusters

    places = clusters(run.pairs, corpus.num_rows)
    together = sum(places[low] == places[high] for low, high in corpus.truth)
    return together / max(1, len(corpus.truth)), len(run.pairs & corpus.truth) / max(1, len(run.pairs))


def table(corpus: Corpus, results: dict[str, list[Run]]) -> tuple[str, float, float]:
    """(Markdown, our recall, our characters a second and core)."""
    rows = []
    speeds = {}
    for name, runs in results.items():
        cpu = statistics.median(run.cpu for run in runs)
        speeds[name] = corpus.num_characters / cpu
        recall, precision = quality(runs[-1], corpus)
        rows.append(
            [
                name,
                f"{recall:.4f}",
                f"{precision:.4f}",
                f"{corpus.num_rows / cpu:,.0f}",
                f"{speeds[name] / 1e6:.2f}",
                f"{speeds[NAMES[0]] / speeds[name]:.1f}",
                f"{statistics.median(run.megabytes for run in runs):.0f}",
                f"{runs[-1].kept:,}",
            ]
        )
    head = ["", "recall", "precision", "texts/s", "million characters/s", "modelyard is faster by", "MB", "rows kept"]
    title = (
        f"## {corpus.name}: {corpus.num_rows:,} texts, {corpus.num_characters / 1e6:.1f} million characters, "
        f"{len(corpus.truth):,} pairs, by {corpus.unit}"
    )
    return f"{title}\n\n{markdown(head, rows)}", quality(results[NAMES[0]][-1], corpus)[0], speeds[NAMES[0]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the real texts")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=100_000, help="of the Chinese corpus")
    arguments = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    corpora = [
        build("Licences", "words", licences(arguments.data)),
        build("Chinese", "characters", with_edits(list(chinese(arguments.data)), arguments.rows)),
    ]
    parts, goals = [], []
    for corpus in corpora:
        text, recall, speed = table(corpus, measure(corpus, arguments.rounds))
        parts.append(text)
        met = "met" if recall >= GOAL_RECALL and speed >= GOAL_SPEED else "MISSED"
        goals.append(
            f"- {met}: {corpus.name}: recall {recall:.4f} (goal {GOAL_RECALL}), {speed / 1e6:.2f} million characters a "
            f"second and core (goal {GOAL_SPEED / 1e6:g})"
        )
    body = "\n\n".join(
        [
            "Per core: processor seconds of one process with one thread, from the Parquet file read to the rows that "
            "stay written.\nRecall: share of all pairs with an exact Jaccard similarity of at least 0.8 that end in "
            "one cluster. Precision: share of the pairs linked\nthat are such. datatrove links what shares a bucket "
            "and compares nothing, and passes over texts shorter than a shingle.",
            *parts,
            "\n".join([*goals, f"- medians of {arguments.rounds} alternating rounds"]),
        ]
    )
    ours = [f"{name} {version_in(sys.executable, name)}" for name in ("modelyard", "numpy", "pyarrow", "rensa")]
    peers = [f"datasketch {version_in(peer_python('datasketch', DATASKETCH), 'datasketch')}",
             f"datatrove {version_in(peer_python('datatrove', DATATROVE), 'datatrove')}"]  # fmt: skip
    write_result("deduplication", "Near duplicates", body, [*ours, *peers])


if __name__ == "__main__":
    main()
