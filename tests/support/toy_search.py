"""A project of the user's own stages that searches: a curve with a known optimum. Runs in milliseconds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

DATA = '''"""Make numbered rows."""
import json
from pydantic import BaseModel, ConfigDict, Field
from modelyard.core.stage import Context, Port, Stage


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    rows: int = Field(10, ge=1, le=1000, description="Rows of each split.")


def run(config: Config, context: Context) -> None:
    folder = context.output("data")
    for split in ("train", "validation", "test"):
        (folder / split).mkdir()
        (folder / split / "rows.txt").write_text("\\n".join(str(row) for row in range(config.rows)))
    (folder / "dataset.json").write_text(json.dumps({"version": 1, "columns": []}))


STAGE = Stage(config=Config, run=run, outputs={"data": Port("dataset", ("train", "validation", "test"))})
'''

FIT = '''"""A model is its settings."""
import json
import os
import time
from pathlib import Path
from typing import Literal
from pydantic import BaseModel, ConfigDict, Field
from modelyard.core.stage import Context, Port, Stage


class Block(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    rate: float = Field(0.1, gt=0, le=10, description="The rate.")
    kind: Literal["a", "b"] = Field("a", description="The kind.")


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    power: int | None = Field(None, ge=0, le=100, description="The power.")
    block: Block = Field(default_factory=Block, description="A block.")
    fail_at: int = Field(-1, ge=-1, le=100, description="The power that fails.")
    seconds: float = Field(0, ge=0, le=10, description="How long it takes.")


def run(config: Config, context: Context) -> None:
    if (context.input("data") / "test").exists():
        raise RuntimeError("training saw the test split")
    with (context.base / "made.log").open("a") as log:
        log.write(f"{os.getpid()} {config.power} {config.block.rate} {config.block.kind}\\n")
    print("a stage may print")
    time.sleep(config.seconds)
    if config.power == config.fail_at:
        raise ValueError("this power fails")
    value = {"power": config.power, "rate": config.block.rate, "kind": config.block.kind, "format": "toy"}
    (context.output("model") / "model.json").write_text(json.dumps(value))


STAGE = Stage(
    config=Config, run=run, inputs={"data": Port("dataset", ("train", "validation"))}, outputs={"model": Port("model")}
)
'''

JUDGE = '''"""Judge on validation: best at power 5 and rate 1; size grows with power."""
import json
import math
from pydantic import BaseModel, ConfigDict
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def run(config: Config, context: Context) -> None:
    model = json.loads((context.input("model") / "model.json").read_text())
    value = 1 - 0.01 * ((model["power"] or 0) - 5) ** 2 - 0.05 * math.log10(model["rate"]) ** 2
    value = math.nan if model["power"] == 99 else value
    (context.output("report") / "judge.json").write_text(json.dumps({"score": str(value)}))
    ends = (value - 0.1, value + 0.1)
    context.measure("judge.score", value, about="model", on="data/validation", n=100, interval=ends)
    context.measure("judge.cost", model["power"] or 0, about="model", on="", n=1, interval="exact")
    context.measure("judge.taste", 1.0, about="model", on="", n=1, interval="exact")


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"model": Port("model"), "data": Port("dataset", ("validation",))},
    outputs={"report": Port("report")},
    claims=(
        Claim("judge.score", "how good"),
        Claim("judge.cost", "how dear", better="lower", any_split=True),
        Claim("judge.taste", "neither", better="none", any_split=True),
    ),
)
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
    value = 0.9 if power == 5 else 0.5
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
project: hunt
steps:
  data: {uses: ./make.py}
  model: {uses: ./fit.py}
  judge: {uses: ./judge.py}
  tuned:
    search:
      steps: [model, judge]
      space: {model.power: [2, 8]}
      objective: judge.judge.score
  score: {uses: ./evaluate/score.py}
release:
  model: tuned
  rules:
    - {claim: score.rate, min: 0.8}
"""


def write_search(folder: Path, project: str = PROJECT, jobs: int = 1) -> Path:
    """Write the project, its stages and, for several jobs, a profile below `folder`; returns the project file."""
    (folder / "evaluate").mkdir(parents=True, exist_ok=True)
    for name, text in {"make": DATA, "fit": FIT, "judge": JUDGE, "evaluate/score": SCORE}.items():
        (folder / f"{name}.py").write_text(text)
    if jobs > 1:
        (folder / "modelyard.profiles.yaml").write_text(f"profiles: {{local: {{jobs: {jobs}, threads: 1}}}}\n")
    (folder / "modelyard.yaml").write_text(project)
    return folder / "modelyard.yaml"


def made(folder: Path) -> list[list[str]]:
    """What the model stage was run with, in order: process, power, rate, kind."""
    path = folder / "made.log"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def kill_when(folder, count):
    """Run in a process of its own; kill it (-9) when `count` trials have begun."""
    code = f"import modelyard; modelyard.run({str(folder)!r})"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    give_up = time.monotonic() + 60
    while len(made(folder)) < count and process.poll() is None and time.monotonic() < give_up:
        time.sleep(0.01)
    assert process.poll() is None, "it ended before it could be killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
