"""Curves mirrored to TensorBoard and MLflow, and mirrors that break."""

from __future__ import annotations

import struct
import sys
import types
from pathlib import Path

import pytest

import modelyard
from modelyard.engine import tracking
from modelyard.engine.profiles import load_profile
from modelyard.engine.tensorboard import EventFile, crc32c, event, frame

STAGE = '''
"""Logs a curve."""
from pydantic import BaseModel, ConfigDict
from modelyard.core.stage import Port, Stage

class Config(BaseModel):
    """Settings."""
    model_config = ConfigDict(frozen=True, extra="forbid")

def run(config, context):
    for step in (1, 2):
        context.log(step, loss=1 / step)
    (context.output("report") / "report.json").write_text("{}")

STAGE = Stage(config=Config, run=run, inputs={}, outputs={"report": Port("report", description="nothing")}, claims=())
'''


def test_the_checksum_is_that_of_the_standard() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4


def unframe(data: bytes) -> list[bytes]:
    """Records of an event file; lengths and checksums must hold."""
    found, start = [], 0
    while start < len(data):
        (length,) = struct.unpack("<Q", data[start : start + 8])
        record = data[start + 12 : start + 12 + length]
        assert data[start : start + 16 + length] == frame(record)
        found.append(record)
        start += 16 + length
    return found


def test_an_event_is_what_tensorboards_own_library_writes() -> None:
    # Event(wall_time=2.0, step=300, summary=Summary(value=[Value(tag="loss", simple_value=0.5)])), serialised by it.
    assert event(2.0, 300, {"loss": 0.5}).hex() == "09000000000000004010ac022a0d0a0b0a046c6f7373150000003f"


def test_an_event_file_begins_with_its_version(tmp_path: Path) -> None:
    file = EventFile(tmp_path)
    file.log(1, {"loss": 1.5})
    file.close()
    (path,) = tmp_path.iterdir()
    first, second = unframe(path.read_bytes())
    assert first.endswith(b"brain.Event:2")
    assert b"loss" in second


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "curve.py").write_text(STAGE)
    (tmp_path / "modelyard.yaml").write_text("version: 1\nproject: p\nsteps:\n  fit: {uses: ./curve.py}\n")
    return tmp_path


def profile(project: Path, kind: str) -> None:
    (project / "modelyard.profiles.yaml").write_text(f"profiles: {{local: {{tracking: {kind}}}}}\n")


def test_a_profile_that_tracks_mirrors_every_curve(project: Path) -> None:
    profile(project, "tensorboard")
    modelyard.run(project / "modelyard.yaml")
    (path,) = (project / ".modelyard" / "tracking" / "tensorboard" / "p").glob("fit-*/events*")
    records = unframe(path.read_bytes())
    assert [record[-4:] for record in records[1:]] == [struct.pack("<f", 1.0), struct.pack("<f", 0.5)]


def test_without_tracking_nothing_is_written(project: Path) -> None:
    modelyard.run(project / "modelyard.yaml")
    assert not (project / ".modelyard" / "tracking").exists()


def test_a_mirror_that_cannot_be_opened_is_said_and_the_run_goes_on(project: Path, monkeypatch) -> None:
    profile(project, "mlflow")
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    modelyard.run(project / "modelyard.yaml")
    assert not list(project.glob(".modelyard/tracking/*/*"))


def test_a_mirror_is_given_up_at_its_first_failure() -> None:
    class Broken:
        calls = 0

        def log(self, step, values) -> None:
            Broken.calls += 1
            raise ConnectionError("the server is gone")

        def close(self) -> None:
            """Never reached."""

    said: list[str] = []
    mirror = tracking.Guarded(Broken, said.append)
    mirror.log(1, {"loss": 1.0})
    mirror.log(2, {"loss": 1.0})
    mirror.close()
    assert Broken.calls == 1
    assert said == ["curves are no longer mirrored: ConnectionError: the server is gone"]


def test_mlflow_without_its_library_is_said(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    said: list[str] = []
    mirror = tracking.open_mirror("mlflow", tmp_path, "p", "fit", "sha256:abc", said.append)
    mirror.log(1, {"loss": 1.0})
    assert len(said) == 1
    assert "mlflow" in said[0]


def test_points_reach_mlflow_by_its_client(tmp_path: Path, monkeypatch) -> None:
    calls: list[tuple] = []

    class Client:
        def __init__(self, tracking_uri: str) -> None:
            calls.append(("uri", tracking_uri))

        def get_experiment_by_name(self, name: str):
            return None

        def create_experiment(self, name: str) -> str:
            calls.append(("experiment", name))
            return "7"

        def create_run(self, experiment: str, run_name: str):
            calls.append(("run", experiment, run_name))
            return types.SimpleNamespace(info=types.SimpleNamespace(run_id="r"))

        def log_metric(self, run: str, name: str, value: float, step: int) -> None:
            calls.append((run, name, value, step))

        def set_terminated(self, run: str) -> None:
            calls.append(("end", run))

    fake = types.ModuleType("mlflow.tracking")
    fake.MlflowClient = Client
    monkeypatch.setitem(sys.modules, "mlflow", types.ModuleType("mlflow"))
    monkeypatch.setitem(sys.modules, "mlflow.tracking", fake)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracker")
    mirror = tracking.open_mirror("mlflow", tmp_path, "p", "fit", "sha256:0123456789", [].append)
    mirror.log(3, {"loss": 0.5, "norm": 2})
    mirror.close()
    assert calls == [
        ("uri", "http://tracker"), ("experiment", "p"), ("run", "7", "fit-01234567"),
        ("r", "loss", 0.5, 3), ("r", "norm", 2.0, 3), ("end", "r"),
    ]  # fmt: skip


def test_an_unknown_tool_is_a_problem_of_the_profile(project: Path) -> None:
    profile(project, "tensorbord")
    problems = load_profile(project)[1]
    assert "tensorboard" in str(problems[0])
