"""Ranks pretrained text encoders by how well they suit the labels, before anything is trained.

Each of `bases` (Hugging Face folders or hub ids, as `base` of train.text_classification names them) reads some training
rows as it is; LogME, the evidence of a linear model on its features, ranks it, and the H-score is a second opinion.
Only training rows are seen. The best one's files are the output `best`: `in: {base: choose.best}` in a training step
fine-tunes it. What LogME ranks is how much is there already, not what a larger model could still learn from many rows.
Labels may be numbers (`target` of data.read); the H-score, which is of classes, is then left out.

Data sets named at the input `sources` are ranked by how near their texts are: the proxy A-distance, 0 (nothing tells
their rows from these) to 2 (a linear classifier always can).

The report is `transferability.json`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.base.canonical import Json
from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage

if TYPE_CHECKING:
    from modelyard.methods.data.dataset import Dataset

REPORT = "transferability.json"


class Config(BaseModel):
    """Settings of evaluate.transferability."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bases: tuple[str, ...] = Field(
        min_length=1,
        max_length=100,
        description="candidates: Hugging Face folders (relative to the project) or hub ids",
    )
    source_names: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] | None = Field(
        None, max_length=100, description="of the data sets at `sources`, in their order; else 1, 2, …"
    )
    target: Literal["auto", "class", "number"] = Field(
        "auto", description="what labels are; `auto`: numbers if data.read was told so (`target: <column>`)"
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
    from modelyard.base.canonical import canonical_json
    from modelyard.methods.data.dataset import Dataset

    data = Dataset.open(context.input("data"))
    is_number = config.target == "number" or (config.target == "auto" and _is_quantity(data))
    texts, labels = _rows(config, context, data, is_number)
    judged = [(base, _judged(config, context, base, texts, labels, is_number)) for base in config.bases]
    judged.sort(key=lambda pair: (-pair[1]["logme"], pair[1]["base"]))
    found = [one for _, one in judged]
    for place, one in enumerate(found, 1):
        _tell(context, place, one, len(texts))
    _keep(judged[0][0], context)
    value: dict[str, Any] = {"version": 1, "rows": len(texts), "ranking": found, "best": found[0]["base"]}
    if not is_number:
        value["classes"] = len(set(labels))
    if context.bound("sources"):
        value["sources"] = _sources(config, context, data)
    (context.output("report") / REPORT).write_bytes(canonical_json(value) + b"\n")


def _judged(
    config: Config, context: Context, base: str, texts: list[str], labels: list[Any], is_number: bool
) -> dict[str, Any]:
    """Scores of one base."""
    import numpy as np

    from modelyard.methods.evaluation.features import text_features
    from modelyard.methods.evaluation.transferability import h_score, logme, logme_of_numbers
    from modelyard.methods.training.pretrained import locate

    features = text_features(
        locate(base, context.base),
        texts,
        config.max_length,
        config.threads,
        lambda done, total: context.progress(done, total, "rows"),
    )
    about = {"base": _name(base), "width": features.shape[1]}
    if is_number:
        return {**about, "logme": logme_of_numbers(features, np.array(labels, np.float64))}
    actual = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    return {**about, "logme": logme(features, actual), "h_score": h_score(features, actual)}


def _rows(config: Config, context: Context, data: Dataset, is_number: bool) -> tuple[list[str], list[Any]]:
    """Text and label of the rows that are read."""
    from modelyard.errors import InputError
    from modelyard.methods.data.dataset import ROW_ID

    columns = [data.need("text"), data.need("label"), ROW_ID]
    table = data.table("train", columns)
    every = zip(*(table.column(name).to_pylist() for name in columns), strict=True)
    rows = [(text, _label(label, is_number), str(name)) for text, label, name in every if text and label is not None]
    if len({label for _, label, _ in rows}) < 2:
        found = t("all training rows have the same target") if is_number else None
        raise InputError(
            found or t("the training rows have fewer than two labels"),
            where="data/train",
            expected=t("numbers that differ") if is_number else t("at least two classes"),
        )
    chosen = _chosen(config, context, [row[2] for row in rows])
    return [rows[place][0] for place in chosen], [rows[place][1] for place in chosen]


def _chosen(config: Config, context: Context, names: list[str]) -> list[int]:
    """Places of the rows that are read, by their ids."""
    import numpy as np

    from modelyard.methods.data.row_random import ranks

    places: list[int] = np.sort(np.argsort(ranks(context.seed, "transferability", names))[: config.rows]).tolist()
    return places


def _label(cell: Any, is_number: bool) -> str | float:
    import math

    from modelyard.errors import InputError

    if not is_number:
        return str(cell)
    try:
        value = float(cell)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise InputError(t("`{value}` is no finite number", value=str(cell)[:40]), where="data/train")
    return value


def _is_quantity(data: Dataset) -> bool:
    label = data.need("label")
    return any(column.name == label and column.type == "double" for column in data.columns)


def _keep(base: str, context: Context) -> None:
    """Copy the files of a base that its fingerprint covers."""
    import shutil

    from modelyard.methods.training import pretrained

    folder = pretrained.locate(base, context.base)
    for name, _ in pretrained.fingerprint(base, context.base):
        shutil.copyfile(folder / name, context.output("best") / name)


def _sources(config: Config, context: Context, data: Dataset) -> list[dict[str, Any]]:
    """The source data sets, nearest first."""
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation.proxy_distance import proxy_a_distance

    folders = context.inputs("sources")
    target = _texts(config, context, data)
    found = []
    for name, folder in zip(_source_names(config, len(folders)), folders, strict=True):
        distance = proxy_a_distance(_texts(config, context, Dataset.open(folder)), target)
        found.append({"source": name, **vars(distance), "interval": list(distance.interval)})
    found.sort(key=lambda one: (one["value"], one["source"]))
    for place, one in enumerate(found, 1):
        _tell_source(context, place, one)
    return found


def _texts(config: Config, context: Context, data: Dataset) -> list[str]:
    from modelyard.methods.data.dataset import ROW_ID

    table = data.table("train", [data.need("text"), ROW_ID])
    rows = [(text, str(name)) for text, name in zip(*(column.to_pylist() for column in table.columns), strict=True)]
    rows = [row for row in rows if row[0]]
    return [rows[place][0] for place in _chosen(config, context, [name for _, name in rows])]


def _source_names(config: Config, count: int) -> list[str]:
    from modelyard.errors import InputError

    if config.source_names is None:
        return [str(place) for place in range(1, count + 1)]
    if len(config.source_names) != count or len(set(config.source_names)) != count:
        raise InputError(
            t("{names} names for {n} data sets", names=len(config.source_names), n=count),
            where="source_names",
            expected=t("one name for each, all different"),
        )
    return list(config.source_names)


def _name(base: str) -> str:
    """As a report may carry it about: a folder's place on this machine is nobody's business."""
    is_path = base.startswith((".", "/", "~")) or "\\" in base
    return Path(base).name if is_path else base


def _tell(context: Context, place: int, one: dict[str, Any], n: int) -> None:
    if "h_score" in one:
        line = t("{place}. {base}: LogME {logme:.4f}, H-score {h_score:.3f}, width {width}", place=place, **one)
    else:
        line = t("{place}. {base}: LogME {logme:.4f}, width {width}", place=place, **one)
    context.say(line)
    part = {"base": one["base"]}
    for claim in ("logme", "h_score"):
        if claim in one:
            context.measure(
                f"transferability.{claim}", one[claim], about="report", on="data/train", n=n, interval=None, slice=part
            )


def _tell_source(context: Context, place: int, one: dict[str, Any]) -> None:
    low, high = one["interval"]
    context.say(
        t(
            "{place}. source {source}: proxy A-distance {value:.3f} ({low:.3f} to {high:.3f})",
            place=place,
            source=one["source"],
            value=one["value"],
            low=low,
            high=high,
        )
    )
    context.measure(
        "transferability.proxy_a_distance",
        one["value"],
        about="report",
        on="data/train",
        n=one["rows"],
        interval=(low, high),
        slice={"source": one["source"]},
    )


def fingerprint(config: Config, base: Path) -> Json:
    """Digests of the files of every candidate."""
    from modelyard.methods.training import pretrained

    return [pretrained.fingerprint(name, base) for name in config.bases]


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "data": Port("dataset", ("train",), description="labelled texts; nothing is learned that is kept"),
        "sources": Port(
            "dataset", ("train",), optional=True, side=True, many=True, description="data sets that might be added"
        ),
    },
    outputs={
        "report": Port("report", description="transferability.json: the candidates, best first"),
        # It sees no test row, so what it chose may be trained on; on the side, so that nothing takes it unasked.
        "best": Port("model", side=True, description="the first base's files, for the input `base` of a training step"),
    },
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
        Claim(
            "transferability.proxy_a_distance",
            "how well a linear classifier tells a source's texts from these: 0 not at all, 2 always; by source",
            better="lower",
            any_split=True,
        ),
    ),
    libraries=("torch", "transformers", "tokenizers", "numpy", "scikit-learn", "safetensors", "pyarrow"),
    external=("bases",),
    fingerprint=fingerprint,
)
