"""What the engine itself costs: a project of five no-op steps beside Kedro, Dagster and Metaflow.

Every tool runs five steps that do nothing but hand a small value on. Modelyard hashes, syncs and records each step's
output durably; Kedro and Dagster (in process) keep it in memory, Metaflow writes it to its local store and starts a
process a step. Runs alternate; the median counts. Also: the whole cached `run` of the demo, and `--help`.

    python benchmarks/overhead.py [--rounds 9] [--project DIR]   DIR: a project that has been run (the demo)
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from common import HERE, WORK, markdown, peer_python, version_in, write_result

STEPS = 5

STAGE = '''"""Hand a value on."""
from pydantic import BaseModel, ConfigDict, Field
from modelyard.core.stage import Port, Stage


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    nonce: int = Field(0, ge=0, le=10**12, description="Makes the step new.")


def run(config, context):
    (context.output("report") / "value.txt").write_text(str(config.nonce))


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"above": Port("report", optional=True)},
    outputs={"report": Port("report")},
)
'''

OURS = """
import json, sys, time
from pathlib import Path
import modelyard
project = sys.argv[1]
modelyard.run(project)
times = []
for seed in range(1, int(sys.argv[2]) + 1):
    began = time.perf_counter()
    result = modelyard.run(project, sets=[f"seed={seed}"])
    times.append(time.perf_counter() - began)
    assert not any(step.cached for step in result.steps)
print(json.dumps(times))
"""

KEDRO = """
import json, logging, sys, time
logging.disable(logging.CRITICAL)
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import node, pipeline
from kedro.runner import SequentialRunner
steps = pipeline([node(lambda x: x, f"v{i}", f"v{i + 1}", name=f"s{i}") for i in range(5)])
times = []
for nonce in range(int(sys.argv[1]) + 1):
    began = time.perf_counter()
    SequentialRunner().run(steps, DataCatalog({"v0": MemoryDataset(nonce)}))
    times.append(time.perf_counter() - began)
print(json.dumps(times[1:]))
"""

DAGSTER = """
import json, logging, sys, time
logging.disable(logging.CRITICAL)
from dagster import job, op
def make(index):
    if index == 0:
        @op(name="s0")
        def first():
            return 1
        return first
    @op(name=f"s{index}")
    def later(x):
        return x
    return later
ops = [make(index) for index in range(5)]
@job
def chain():
    value = ops[0]()
    for item in ops[1:]:
        value = item(value)
times = []
for _ in range(int(sys.argv[1]) + 1):
    began = time.perf_counter()
    assert chain.execute_in_process().success
    times.append(time.perf_counter() - began)
print(json.dumps(times[1:]))
"""

METAFLOW = """
from metaflow import FlowSpec, step
class Chain(FlowSpec):
    @step
    def start(self):
        self.value = 1
        self.next(self.a)
    @step
    def a(self):
        self.next(self.b)
    @step
    def b(self):
        self.next(self.c)
    @step
    def c(self):
        self.next(self.end)
    @step
    def end(self):
        pass
if __name__ == "__main__":
    Chain()
"""


def in_process(python: Path | str, code: str, arguments: list[str]) -> float:
    """Median seconds of one run of five steps, imports not counted."""
    done = subprocess.run([python, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return statistics.median(json.loads(done.stdout.splitlines()[-1]))


def seconds(command: list[str], cwd: Path | None = None) -> float:
    began = time.perf_counter()
    subprocess.run(command, cwd=cwd, capture_output=True, check=True, env={**os.environ, "USERNAME": "bench"})
    return time.perf_counter() - began


def write_project(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "noop.py").write_text(STAGE)
    steps = "".join(f"  s{index}: {{uses: ./noop.py, with: {{nonce: {index}}}}}\n" for index in range(STEPS))
    (folder / "modelyard.yaml").write_text(f"version: 1\nproject: noop\nsteps:\n{steps}")
    return folder / "modelyard.yaml"


def overhead(rounds: int) -> tuple[list[list[object]], list[str]]:
    """Rows of the table, and versions."""
    kedro, dagster = peer_python("kedro", ["kedro"]), peer_python("dagster", ["dagster"])
    metaflow = peer_python("metaflow", ["metaflow", "setuptools<81"])
    flow = WORK / "chain.py"
    flow.write_text(METAFLOW)
    project = write_project(WORK / "noop")
    found: dict[str, list[float]] = {"modelyard": [], "Kedro": [], "Dagster": [], "Metaflow": []}
    for _ in range(rounds):
        found["modelyard"].append(in_process(sys.executable, OURS, [str(write_project(project.parent)), "5"]))
        found["Kedro"].append(in_process(kedro, KEDRO, ["5"]))
        found["Dagster"].append(in_process(dagster, DAGSTER, ["5"]))
        found["Metaflow"].append(seconds([str(metaflow), str(flow), "--quiet", "run"], cwd=WORK))
    ours = statistics.median(found["modelyard"])
    commits = {
        "modelyard": "durable: hashed, synced, recorded",
        "Kedro": "none (memory)",
        "Dagster": "none (memory)",
        "Metaflow": "local files, a process a step",
    }
    rows: list[list[object]] = []
    for name, times in found.items():
        middle = statistics.median(times)
        spread = f"{min(times) / STEPS * 1e3:.1f}–{max(times) / STEPS * 1e3:.1f}"
        rows.append([name, commits[name], f"{middle / STEPS * 1e3:.1f}", spread, f"{middle / ours:.2f}"])
    versions = [f"modelyard {version('modelyard')}"]
    for name, python in (("kedro", kedro), ("dagster", dagster), ("metaflow", metaflow)):
        versions.append(f"{name} {version_in(python, name)}")
    return rows, versions


def command_line(project: Path | None, rounds: int) -> list[list[object]]:
    """Whole-process times of `--help` and of a cached run."""
    modelyard = str(Path(sys.executable).with_name("modelyard"))
    commands = {"`modelyard --help`": [modelyard, "--help"]}
    if project is not None:
        commands["cached `modelyard run` of the demo"] = [modelyard, "run", str(project), "--quiet"]
    rows: list[list[object]] = []
    for name, command in commands.items():
        seconds(command)
        times = [seconds(command) for _ in range(rounds)]
        rows.append([name, f"{statistics.median(times):.3f}", f"{min(times):.3f}–{max(times):.3f}"])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--project", type=Path, default=HERE.parent / "examples" / "reviews-zh")
    options = parser.parse_args()
    WORK.mkdir(exist_ok=True)
    rows, versions = overhead(options.rounds)
    project = options.project if (options.project / ".modelyard").is_dir() else None
    body = markdown(["tool", "what it keeps", "ms a step (median)", "min–max", "ratio to modelyard"], rows)
    body += "\n\n" + markdown(["command", "seconds (median)", "min–max"], command_line(project, 2 * options.rounds + 1))
    if project is None:
        body += "\n\nThe demo has not been run here, so its cached run is not in the table."
    write_result("overhead", "Overhead of the engine", body, versions)


if __name__ == "__main__":
    main()
