"""Going on with a model: how much is forgotten and how much is gained, by what is done against forgetting.

    python benchmarks/continual.py --data DIR [--size cnn blend encoder-small] [--only NAME …]

DIR holds `smp2020_ewect` (Chinese microblogs in six moods, two domains: everyday posts, `usual`, and posts of an
epidemic, `virus`). A classifier is trained on `usual` and then updated with `virus` in each way; both models are asked
about both test sets by evaluate.forgetting.
"""

from __future__ import annotations

import argparse
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from common import WORK, markdown, write_result

import modelyard

OLD_WAYS: dict[str, str] = {
    "nothing": "{replay: 0}",
    "replay 0.5 (default)": "{}",
    "EWC": "{replay: 0, ewc: {strength: 100}}",
    "distillation": "{replay: 0, distillation: {weight: 1}}",
    "replay 0.5, EWC, distillation": "{ewc: {strength: 100}, distillation: {weight: 1}}",
}
"""Settings of train.update with the old data bound: validation chooses the weights by both sets."""
BLIND_WAYS: dict[str, str] = {
    "nothing, no old data": "{distillation: {weight: 0}}",
    "distillation, no old data (default)": "{}",
    "EWC, no old data": "{distillation: {weight: 0}, ewc: {strength: 100}}",
}
"""The same without the old data: only new validation rows choose, stiffness is measured on new rows."""

RELEASED = "released"

SOURCE = """  {name}_rows:
    uses: data.read
    with:
      path: {{train: {folder}/{name}_train.tsv, validation: {folder}/{name}_dev.tsv, test: {folder}/{name}_test.tsv}}
      text: text_a
      label: label
  {name}: {{uses: data.split, in: {{data: {name}_rows}}}}
"""
TRAIN = """  classifier: {{uses: train.text_classification, with: {settings}}}
release: {{model: classifier}}
"""
UPDATE = """  u{place}:
    uses: train.update
    in: {{model: old.model, data: virus{old}}}
    with: {settings}
  f{place}: {{uses: evaluate.forgetting, in: {{model: u{place}, before: old.model, old: old.data, data: virus}}}}
"""


def old_project(folder: Path, size: str, compute: str) -> str:
    """The model that is released first."""
    head = f"version: 1\nproject: moods-{size}\nsteps:\n" + SOURCE.format(name="usual", folder=folder)
    return head + TRAIN.format(settings=f"{{size: {size}, compute: {compute}}}")


def new_project(folder: Path, size: str, ways: dict[str, tuple[str, bool]], compute: str) -> str:
    """An update of the release and its measurement, for each way."""
    text = f"version: 1\nproject: moods-{size}-updates\nsteps:\n" + SOURCE.format(name="virus", folder=folder)
    text += f"  old: {{uses: model.release, with: {{release: moods-{size}@1}}}}\n"
    for place, (ways_settings, with_old) in enumerate(ways.values()):
        inner = ways_settings[1:-1]
        settings = f"{{{inner}{', ' if inner else ''}compute: {compute}}}"
        text += UPDATE.format(place=place, old=", old: old.data" if with_old else "", settings=settings)
    return text


def measure(folder: Path, size: str, ways: dict[str, tuple[str, bool]], compute: str) -> dict[str, dict[str, Any]]:
    """Way to the content of forgetting.json. A release that is there from before is not made again."""
    place = WORK / "continual" / size
    place.mkdir(parents=True, exist_ok=True)
    (place / "old.yaml").write_text(old_project(folder, size, compute), encoding="utf-8")
    (place / "new.yaml").write_text(new_project(folder, size, ways, compute), encoding="utf-8")
    if not (place / RELEASED).exists():
        modelyard.run(place / "old.yaml")
        (place / RELEASED).touch()
    result = modelyard.run(place / "new.yaml")
    reports = {step.step: step.outputs["report"] for step in result.steps if step.step.startswith("f")}
    found = {}
    for number, name in enumerate(ways):
        digest = reports[f"f{number}"]
        path = place / ".modelyard" / "artifacts" / digest[7:9] / digest[9:] / "forgetting.json"
        found[name] = json.loads(path.read_text())
    return found


def row(size: str, name: str, found: dict[str, Any]) -> list[object]:
    old, new = found["old"], found["new"]
    low, high = old["drop"]["interval"]
    return [
        size,
        name,
        f"{100 * old['before']['value']:.2f} → {100 * old['after']['value']:.2f}",
        f"{100 * old['drop']['value']:+.2f} [{100 * low:+.2f}, {100 * high:+.2f}]",
        f"{100 * new['before']['value']:.2f} → {100 * new['after']['value']:.2f}",
        f"{-100 * new['drop']['value']:+.2f}",
    ]


def remember(size: str, rows: dict[str, list[object]]) -> dict[str, dict[str, list[object]]]:
    """Every size and way measured so far: they take long, and may be run one by one."""
    kept = WORK / "continual" / "parts.json"
    known = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    known[size] = known.get(size, {}) | rows
    kept.write_text(json.dumps(known, ensure_ascii=False), encoding="utf-8")
    return dict(known)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--size", nargs="*", default=["cnn"])
    parser.add_argument("--only", nargs="*", default=None)
    parser.add_argument("--compute", default="{threads: 1}", help="settings of `compute` for every training")
    options = parser.parse_args()
    ways = {name: (settings, True) for name, settings in OLD_WAYS.items()}
    ways |= {name: (settings, False) for name, settings in BLIND_WAYS.items()}
    if options.only:
        ways = {name: value for name, value in ways.items() if name in options.only}
    known: dict[str, dict[str, list[object]]] = {}
    for size in options.size:
        found = measure((options.data / "smp2020_ewect").resolve(), size, ways, options.compute)
        known = remember(size, {name: row(size, name, one) for name, one in found.items()})
    head = ["model", "against forgetting", "old test, %", "forgotten, points [95 %]", "new test, %", "gained, points"]
    body = markdown(head, [line for size in sorted(known, reverse=True) for line in known[size].values()])
    versions = [f"{name} {version(name)}" for name in ("modelyard", "torch", "transformers")]
    write_result("continual", "Going on with a model: everyday posts, then posts of an epidemic", body, versions)


if __name__ == "__main__":
    main()
