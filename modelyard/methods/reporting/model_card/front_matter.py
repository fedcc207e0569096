"""Front matter of a Hugging Face model card: licence, language, tags, data sets, and the measurements as `model-index`.

Every text stands in JSON quotes, which YAML reads as they stand.
Source: the hub's model card metadata, https://github.com/huggingface/hub-docs/blob/main/modelcard.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from modelyard.base.canonical import short
from modelyard.methods.reporting.datasheet.markdown import HUB_LICENCES, SCRIPT_LANGUAGES
from modelyard.methods.reporting.markup import printable
from modelyard.methods.reporting.record import Evidence
from modelyard.methods.reporting.sections import many
from modelyard.methods.reporting.view import View

PIPELINES = {
    "sentence-embedding": "sentence-similarity",
    "text-multi-label": "text-classification",
    "text-regression": "text-classification",
    "text-to-text": "text2text-generation",
}
"""Where the hub has another name for a task."""
METRICS = {
    "f1_macro": "f1",
    "f1_micro": "f1",
    "f1_weighted": "f1",
    "precision_macro": "precision",
    "recall_macro": "recall",
    "mcc": "matthews_correlation",
    "brier": "brier_score",
    "perplexity_token": "perplexity",
    "rouge_l": "rouge",
    "span_f1": "f1",
    "spearman": "spearmanr",
}
"""Where the hub has another name for a metric; `name` tells which kind."""
HUB_ID = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}|[\w.-]{1,96}")


def front_matter(view: View) -> str:
    """YAML between dashes."""
    lines = ["---", *_fields(view), *_index(view), "---", ""]
    return printable("\n".join(lines))


def metrics(view: View) -> list[Evidence]:
    """What `model-index` names: whole-split measurements of this model, and of each task of several, on test."""
    found = [item for one in (view, *(one for _, one in many.views(view))) for item in one.measured("")]
    return [item for item in found if item.split == "test" and item.value is not None and not item.against]


def _fields(view: View) -> Iterator[str]:
    model = view.record.model
    licence = model.licence if model else "unknown"
    known = licence.lower() in HUB_LICENCES
    yield _line("license", licence.lower() if known else "unknown" if licence in ("", "unknown") else "other")
    if not known and licence not in ("", "unknown"):
        yield _line("license_name", licence)
    if languages(view):
        yield _line("language", languages(view))
    if _task(view):
        yield _line("pipeline_tag", _task(view))
    yield _line("library_name", "transformers" if model and model.format == "hf" else "modelyard")
    yield _line("tags", ["modelyard", *([_task(view)] if _task(view) else []), *_state(view)])
    if datasets(view):
        yield _line("datasets", datasets(view))


def _line(name: str, value: Any) -> str:
    return f"{name}: {json.dumps(value, ensure_ascii=False)}"


def _task(view: View) -> str:
    model = view.record.model
    task = (model.task or str(model.card.get("task") or "")) if model else ""
    return PIPELINES.get(task, task)


def _state(view: View) -> list[str]:
    return [view.record.decision.state] if view.record.decision else []


def languages(view: View) -> list[str]:
    """Languages that the scripts of the training texts tell for certain; Latin letters tell none."""
    found = set()
    for split in view.record.data.splits.values():
        scripts = split.profile.get("scripts")
        for script, share in scripts.items() if isinstance(scripts, dict) else ():
            if script in SCRIPT_LANGUAGES and isinstance(share, int | float) and share >= 0.05:
                found.add(SCRIPT_LANGUAGES[script])
    return sorted(found)


def datasets(view: View) -> list[str]:
    """Ids on the hub; a file of the owner's has none, and its name could be another's there."""
    runs = [run for run in view.record.runs if run.uses == "data.hub" and run.settings.get("hub") != "modelscope"]
    ids = [str(run.settings.get("id", "")) for run in runs]
    return sorted({one for one in ids if HUB_ID.fullmatch(one)})


def _index(view: View) -> Iterator[str]:
    found = metrics(view)
    if not found:
        return
    yield "model-index:"
    yield f"- name: {json.dumps(view.record.title or view.record.project, ensure_ascii=False)}"
    yield "  results:"
    for dataset in dict.fromkeys(item.dataset for item in found):
        yield f"  - task: {json.dumps({'type': _task(view) or 'other'}, ensure_ascii=False)}"
        yield f"    dataset: {json.dumps(_dataset(view, dataset), ensure_ascii=False)}"
        yield "    metrics:"
        for item in found:
            if item.dataset == dataset:
                yield f"    - {json.dumps(_metric(view, item), ensure_ascii=False)}"


def _dataset(view: View, digest: str) -> dict[str, str]:
    steps = [run.step for run in view.record.runs for output in run.outputs if output.digest == digest]
    name = f"{view.record.project}/{steps[0]}" if steps else short(digest)
    return {"type": datasets(view)[0] if len(datasets(view)) == 1 else name, "name": name, "split": "test",
            "revision": short(digest)}  # fmt: skip


def _metric(view: View, item: Evidence) -> dict[str, Any]:
    """`args` holds what the hub has no field for: claim, 95 % interval, rows, run."""
    quantity = item.claim.rsplit(".", 1)[-1]
    proof = {"claim": item.claim, "n": item.n}
    if item.low is not None and item.high is not None:
        proof |= {"interval": [item.low, item.high]}
    if item.run is not None:
        proof |= {"run": short(str(item.run))}
    title = view.words.title(item.claim)
    name = f"{item.task}: {title}" if item.task else title
    return {"type": METRICS.get(quantity, quantity), "name": name, "value": item.value,
            "args": proof, "verified": False}  # fmt: skip
