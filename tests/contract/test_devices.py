"""One module knows devices; so a device that torch learns from a plug-in trains like any other."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import modelyard

PACKAGE = Path(modelyard.__file__).parent
KNOWS = "methods/training/devices.py"
FAMILIES = {"cuda", "npu", "mps", "xpu", "hpu", "mlu", "musa"}


def offences(source: str) -> Iterator[str]:
    """`torch.cuda…`, `torch.backends.cuda`, imports of them, and `tensor.cuda()`."""
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Attribute)
            and node.attr in FAMILIES
            and ast.unparse(node.value) in ("torch", "torch.backends")
        ):
            yield f"{node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in FAMILIES:
            yield f"{node.lineno}: {ast.unparse(node.func)}()"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or ""
            named = [f"{module}.{one.name}".strip(".") for one in node.names]
            for name in named:
                parts = name.split(".")
                if parts[0] in ("torch", "torch_npu") and FAMILIES & set(parts[1:]):
                    yield f"{node.lineno}: {name}"


def test_no_other_module_asks_torch_for_a_kind_of_device() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix(): list(offences(path.read_text(encoding="utf-8")))
        for path in sorted(PACKAGE.rglob("*.py"))
    }
    assert {path: lines for path, lines in found.items() if lines and path != KNOWS} == {}


@pytest.mark.parametrize(
    "line",
    [
        "torch.cuda.synchronize()",
        "x = tensor.cuda()",
        "torch.backends.cuda.matmul.allow_tf32 = True",
        "from torch.cuda import amp",
        "import torch.npu",
        "from torch import mps",
    ],
)
def test_the_lint_sees_each_way_to_do_so(line: str) -> None:
    assert list(offences(line))


def train(device: str, folder: Path) -> dict[str, Any]:
    root = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root), "MODELYARD_LANG": "en", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "support.train_on_fake", device, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=root.parent)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_device_torch_does_not_know_trains_to_the_same_weights_and_goes_on_from_its_checkpoint(
    tmp_path: Path,
) -> None:
    """A PrivateUse1 backend in Python: see support/fake_device.py for what it proves."""
    plain, fake = train("cpu", tmp_path / "cpu"), train("fake", tmp_path / "fake")
    assert (fake["device"], fake["places"]) == ("fake", ["fake"])
    assert fake["described"].startswith("fake")
    assert fake["operations"] > 1000
    assert all(count > 0 for count in fake["asked"])
    assert plain["operations"] == 0
    assert fake["weights"] == pytest.approx(plain["weights"], abs=1e-6)
    again = train("fake", tmp_path / "fake")
    assert again["weights"] == fake["weights"]
    assert again["operations"] < fake["operations"], "it learned again instead of reading its checkpoint"
