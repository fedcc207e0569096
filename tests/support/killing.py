"""For scripts that train once straight through and once with kill -9 at random moments, in children forked from here.

The libraries are loaded before a child is forked: a kill costs no start-up.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelyard.base.canonical import digest_file

Train = Callable[[Path], Any]
"""Trains in a folder, into `outputs/model` of it, and returns what it measured or said, as JSON can hold it."""


def compare(
    folder: Path, train: Train, kills: int, moments: tuple[float, float], draw: random.Random
) -> dict[str, Any]:
    """Digests of both models, what both runs returned, and how many were killed before they had ended.

    Args:
        moments: the earliest and the latest moment of a kill, as shares of the time of the straight run.
    """
    straight, killed = folder / "straight", folder / "killed"
    straight.mkdir()
    killed.mkdir()
    began = time.monotonic()
    _finish(_child(straight, train))
    whole = time.monotonic() - began
    hit = 0
    for _ in range(kills):
        pid = _child(killed, train)
        time.sleep(draw.uniform(*moments) * whole)
        os.kill(pid, signal.SIGKILL)
        hit += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    checkpoints = [str(path.relative_to(killed)) for path in killed.glob("scratch/*/0*")]
    _finish(_child(killed, train))
    returned = [json.loads((root / "result.json").read_text()) for root in (straight, killed)]
    models = {"straight": digests(straight), "killed": digests(killed)}
    return {**models, "measured": returned, "hit": hit, "checkpoints": checkpoints}


def digests(root: Path) -> dict[str, str]:
    folder = root / "outputs" / "model"
    return {str(path.relative_to(folder)): digest_file(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def tell_all(kind: str, compared: Callable[[Path, str, int, random.Random], dict[str, Any]]) -> None:
    """`FOLDER SEED name:kills …` of the command line: a line of JSON for each name."""
    target, seed = Path(sys.argv[1]), int(sys.argv[2])
    for argument in sys.argv[3:]:
        name, count = argument.split(":")
        found = compared(target, name, int(count), random.Random(f"{seed}{name}"))
        sys.stdout.write(json.dumps({kind: name, **found}) + "\n")
        sys.stdout.flush()


def _child(root: Path, train: Train) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            shutil.rmtree(root / "outputs", ignore_errors=True)
            (root / "result.json").write_text(json.dumps(train(root)))
            code = 0
        finally:
            os._exit(code)
    return pid


def _finish(pid: int) -> None:
    _, status = os.waitpid(pid, 0)
    if status != 0:
        raise SystemExit(f"a run ended with status {status}")
