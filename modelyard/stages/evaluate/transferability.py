"""Ranks pretrained text encoders by how well they suit the labels, before anything is trained.

Each of `bases` (Hugging Face folders or hub ids, as `base` of train.text_classification names them) reads some training
rows as it is; LogME, the evidence of a linear model on its features, ranks it, and the H-score is a second opinion.
Only training rows are seen. The best one's name is in the report and on the screen: name it as `base` to fine-tune it.
What LogME ranks is how much is there already, not what a larger model could still learn from many rows.

The report is `transferability.json`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.base.canonical import Json
from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage

REPORT = "transferability.json"


class Config(BaseModel):
    """Settings of evaluate.transferability."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bases: tuple[str, ...] = Field(
        min_length=1,
        max_length=100,
        description="candidates: Hugging Face folders (relative to the project) or hub ids",
    )
    rows: int = Field(1000, ge=10, le=100_000, description="training rows that are read, chosen by their ids (rows)")
    max_length: int = Field(128, ge=8, le=8192, description="tokens of a text that are read (tokens)")
    threads: int | None = Field(None, ge=1, le=1024, description="CPU threads (threads); by default all cores")

    @model_validator(mode="after")
    def _distinct(self) -> Config:
        if len(set(self.bases)) != len(self.bases):
            raise ValueError("bases: a name is there twice")
        return self


def run(config: Config, context: Context) -> None:
    import numpy as np

    from modelyard.base.canonical import canonical_json
    from modelyard.methods.evaluation.features import text_features
    from modelyard.methods.evaluation.transferability import h_score, logme
    from modelyard.methods.training.pretrained import locate

    texts, labels = _rows(config, context)
    classes = sorted(set(labels))
    actual = np.array([classes.index(label) for label in labels], np.int64)
    found: list[dict[str, Any]] = []
    for base in config.bases:
        features = text_features(
            locate(base, context.base),
            texts,
            config.max_length,
            config.threads,
            lambda done, total: context.progress(done, total, "rows"),
        )
        name = _name(base)
        value = {"base": name, "logme": logme(features, actual), "h_score": h_score(features, actual)}
        found.append({**value, "width": features.shape[1]})
    found.sort(key=lambda one: (-one["logme"], one["base"]))
    for place, one in enumerate(found, 1):
        _tell(context, place, one, len(texts))
    value = {"version": 1, "rows": len(texts), "classes": len(classes), "ranking": found, "best": found[0]["base"]}
    (context.output("report") / REPORT).write_bytes(canonical_json(value) + b"\n")


def _rows(config: Config, context: Context) -> tuple[list[str], list[str]]:
    """Text and label of the rows that are read."""
    import numpy as np

    from modelyard.errors import InputError
    from modelyard.methods.data.dataset import ROW_ID, Dataset
    from modelyard.methods.data.row_random import ranks

    data = Dataset.open(context.input("data"))
    columns = [data.need("text"), data.need("label"), ROW_ID]
    table = data.table("train", columns)
    every = zip(*(table.column(name).to_pylist() for name in columns), strict=True)
    rows = [(text, str(label), str(name)) for text, label, name in every if text and label is not None]
    if len({label for _, label, _ in rows}) < 2:
        raise InputError(
            t("the training rows have fewer than two labels"), where="data/train", expected=t("at least two classes")
        )
    chosen = np.sort(np.argsort(ranks(context.seed, "transferability", [row[2] for row in rows]))[: config.rows])
    return [rows[place][0] for place in chosen.tolist()], [rows[place][1] for place in chosen.tolist()]


def _name(base: str) -> str:
    """As a report may carry it about: a folder's place on this machine is nobody's business."""
    is_path = base.startswith((".", "/", "~")) or "\\" in base
    return Path(base).name if is_path else base


def _tell(context: Context, place: int, one: dict[str, Any], n: int) -> None:
    context.say(
        t(
            "{place}. {base}: LogME {logme:.4f}, H-score {h_score:.3f}, width {width}",
            place=place,
            base=one["base"],
            logme=one["logme"],
            h_score=one["h_score"],
            width=one["width"],
        )
    )
    part = {"base": one["base"]}
    for claim in ("logme", "h_score"):
        context.measure(
            f"transferability.{claim}", one[claim], about="report", on="data/train", n=n, interval=None, slice=part
        )


def fingerprint(config: Config, base: Path) -> Json:
    """Digests of the files of every candidate."""
    from modelyard.methods.training import pretrained

    return [pretrained.fingerprint(name, base) for name in config.bases]


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("train",), description="labelled texts; nothing is learned that is kept")},
    outputs={"report": Port("report", description="transferability.json: the candidates, best first")},
    claims=(
        Claim(
            "transferability.logme",
            "largest log evidence per row of a linear model on the base's features (nats); by base",
            unit="nats",
            any_split=True,
        ),
        Claim(
            "transferability.h_score",
            "spread of the classes' means in the spread of all rows, shrunk; by base",
            any_split=True,
        ),
    ),
    libraries=("torch", "transformers", "tokenizers", "numpy", "scikit-learn", "safetensors", "pyarrow"),
    external=("bases",),
    fingerprint=fingerprint,
)
