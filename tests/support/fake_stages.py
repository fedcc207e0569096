"""Small stages as files beside a project: a whole project without heavy libraries, through `uses: ./….py`."""

from __future__ import annotations

from pathlib import Path

HEAD = '''"""{doc}"""
from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.core.evidence import Claim
from modelyard.core.project import SecretName
from modelyard.core.stage import Port, Stage


class Block(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Literal["adamw", "sgd"] = "adamw"
    rate: float = Field(1e-3, gt=0, le=1, description="learning rate")


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
{fields}


def run(config, context):
    """Nothing to do."""


STAGE = Stage(config=Config, run=run, inputs={inputs}, outputs={outputs}, claims={claims})
'''

ALL, SPLIT = '("all",)', '("train", "validation", "test")'
STAGES = {
    "read": ("    path: str = Field(description='the file')", "{}", f'{{"data": Port("dataset", {ALL})}}', "()"),
    "clean": (
        "    pass",
        f'{{"data": Port("dataset", {ALL})}}',
        f'{{"data": Port("dataset", {ALL}), "removed": Port("dataset", {ALL}, side=True)}}',
        '(Claim("data.duplicate_rate", "copies", subject="lineage", any_split=True, better="lower"),)',
    ),
    "split": (
        "    test: float = Field(0.2, gt=0, lt=1, description='share')",
        f'{{"data": Port("dataset", {ALL})}}',
        f'{{"data": Port("dataset", {SPLIT})}}',
        "()",
    ),
    "train": (
        "    epochs: Annotated[int, Field(ge=1, le=100)] | Literal['auto'] = Field(2, description='passes over data')\n"
        "    block: Block = Block()\n    layers: tuple[int, ...] = (1,)\n    shuffle: bool = True\n"
        "    token: SecretName | None = None",
        '{"data": Port("dataset", ("train", "validation"))}',
        '{"model": Port("model")}',
        "()",
    ),
    "quantize": (
        "    pass",
        '{"model": Port("model"), "data": Port("dataset", ("train",))}',
        '{"model": Port("model")}',
        '(Claim("size.bytes", "bytes", "bytes", better="lower", any_split=True),)',
    ),
    "evaluate/quality": (
        "    pass",
        '{"model": Port("model"), "data": Port("dataset", ("test",))}',
        '{"report": Port("report")}',
        '(Claim("quality.accuracy", "share right", sizing="rate"), Claim("quality.f1_macro", "mean F1"))',
    ),
    "card": (
        "    pass",
        '{"model": Port("model"), "record": Port("record"), "reports": Port("report", many=True, optional=True)}',
        '{"report": Port("report")}',
        "()",
    ),
}

PROJECT = """\
version: 1
project: reviews
steps:
  reviews: {uses: ./read.py, with: {path: reviews.csv}}
  clean: {uses: ./clean.py}
  split: {uses: ./split.py}
  classifier: {uses: ./train.py, with: {epochs: 3}}
  int8: {uses: ./quantize.py}
  quality: {uses: ./evaluate/quality.py}
  card: {uses: ./card.py}
release:
  model: int8
  rules:
    - {claim: quality.accuracy, min: 0.80}
    - {claim: data.duplicate_rate, of: clean, max: 0.01}
    - {claim: size.bytes, max: 1000}
"""


def source(
    inputs: str = "{}", outputs: str = "{}", claims: str = "()", fields: str = "    pass", doc: str = "A stage."
) -> str:
    """The text of a stage file."""
    return HEAD.format(inputs=inputs, outputs=outputs, claims=claims, fields=fields, doc=doc)


def write_stages(folder: Path) -> Path:
    """The whole little family of stages, and the folder back."""
    for name, (fields, inputs, outputs, claims) in STAGES.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(source(inputs, outputs, claims, fields, f"Stage {name}."), encoding="utf-8")
    return folder


def write_project(folder: Path, text: str = PROJECT) -> Path:
    """The stages and a project file that uses them; returns the file."""
    path = write_stages(folder) / "modelyard.yaml"
    path.write_text(text, encoding="utf-8")
    return path
