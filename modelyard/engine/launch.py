"""Worker processes: one runs in this process, several under torchrun. How many is the profile's business."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import traceback
from pathlib import Path

from modelyard.base.canonical import Json
from modelyard.base.messages import t
from modelyard.errors import StageError

ERRORS = "worker-*.error"


def call_entry(entry: str, arguments: Json) -> None:
    """Import `module:function` and call it with the arguments."""
    module, _, function = entry.partition(":")
    getattr(importlib.import_module(module), function)(arguments)


def launch(entry: str, arguments: Json, processes: int, scratch: Path) -> None:
    """Run the entry in `processes` workers. Raises StageError with the worker's last lines if one fails."""
    if processes <= 1:
        call_entry(entry, arguments)
        return
    path = scratch / "arguments.json"
    for old in scratch.glob(ERRORS):
        old.unlink()
    path.write_text(json.dumps({"entry": entry, "arguments": arguments}), encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command += ["-m", "modelyard.engine.launch", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [file.read_text(encoding="utf-8") for file in sorted(scratch.glob(ERRORS))]
        tail = "\n".join(errors) or "\n".join(done.stderr.splitlines()[-20:])
        raise StageError(t("a worker process ended with code {code}", code=done.returncode), where=entry, remedy=tail)


def _worker(path: str) -> None:
    value = json.loads(Path(path).read_text(encoding="utf-8"))
    try:
        call_entry(value["entry"], value["arguments"])
    except Exception:
        # torchrun's own report hides what happened; the driver reads this instead
        name = ERRORS.replace("*", os.environ.get("RANK", "0"))
        Path(path).with_name(name).write_text(traceback.format_exc(), encoding="utf-8")
        raise


if __name__ == "__main__":
    _worker(sys.argv[1])
