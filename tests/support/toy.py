"""A small project of the user's own stages: data, a model with a curve, a score with evidence. Runs in milliseconds."""

from __future__ import annotations

from pathlib import Path

DATA = '''"""Make numbered rows."""
import json
from pydantic import BaseModel, ConfigDict, Field
from modelyard.core.stage import Context, Port, Stage


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    rows: int = Field(10, ge=1, le=1000, description="Rows of each split.")
    test_rows: int = Field(5, ge=1, le=1000, description="Rows of the test split.")


def run(config: Config, context: Context) -> None:
    folder = context.output("data")
    for split, count in (("train", config.rows), ("test", config.test_rows)):
        (folder / split).mkdir()
        (folder / split / "rows.txt").write_text("\\n".join(str(row) for row in range(count)))
    (folder / "dataset.json").write_text(json.dumps({"version": 1, "columns": []}))
    context.say("rows made")


STAGE = Stage(config=Config, run=run, outputs={"data": Port("dataset", ("train", "test"))})
'''

FIT = '''"""Fit a power, resuming from scratch if it was killed."""
import json
import time
from pydantic import BaseModel, ConfigDict, Field
from modelyard.core.stage import Context, Port, Stage


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    power: float = Field(1.0, ge=0, le=10, description="The power.")
    seconds: float = Field(0.0, ge=0, le=60, description="Seconds each of five steps takes.")
    fail: bool = Field(False, description="Fail half-way.")


def run(config: Config, context: Context) -> None:
    if (context.input("data") / "test").exists():
        raise RuntimeError("training saw the test split")
    place = context.scratch() / "step.txt"
    first = int(place.read_text()) if place.exists() else 0
    for step in range(first, 5):
        time.sleep(config.seconds)
        if config.fail and step == 2:
            raise ValueError("half-way")
        context.log(step, loss=1 / (step + 1))
        context.progress(step + 1, 5, "steps")
        place.write_text(str(step + 1))
    model = {"power": config.power, "format": "toy"}
    (context.output("model") / "model.json").write_text(json.dumps(model))


STAGE = Stage(config=Config, run=run, inputs={"data": Port("dataset", ("train",))}, outputs={"model": Port("model")})
'''

SCORE = '''"""Score the model on test."""
import json
from pydantic import BaseModel, ConfigDict
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def run(config: Config, context: Context) -> None:
    power = json.loads((context.input("model") / "model.json").read_text())["power"]
    value = 0.9 if power == 1.0 else 0.5
    (context.output("report") / "score.json").write_text(json.dumps({"score": value}))
    context.measure("score.rate", value, about="model", on="data/test", n=100, interval=(value - 0.05, value + 0.05))


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"model": Port("model"), "data": Port("dataset", ("test",))},
    outputs={"report": Port("report")},
    claims=(Claim("score.rate", "share of right answers", sizing="rate"),),
)
'''

PROJECT = """version: 1
project: toy
steps:
  data: {uses: ./make.py}
  model: {uses: ./fit.py}
  score: {uses: ./evaluate/score.py}
release:
  model: model
  rules:
    - {claim: score.rate, min: 0.8}
"""


def write_toy(folder: Path, project: str = PROJECT) -> Path:
    """Write the project and its stages below `folder`; returns the project file."""
    (folder / "evaluate").mkdir(parents=True, exist_ok=True)
    (folder / "make.py").write_text(DATA)
    (folder / "fit.py").write_text(FIT)
    (folder / "evaluate" / "score.py").write_text(SCORE)
    (folder / "modelyard.yaml").write_text(project)
    return folder / "modelyard.yaml"
