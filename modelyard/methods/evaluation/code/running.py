"""Whether a program passes: a process of its own, confined, in an empty folder, that must end by itself with 0."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.evaluation.code import confined

FENCE = "```"
SHOWN = 300


@dataclass(frozen=True)
class Limits:
    """Of one program: processor and wall time, memory."""

    seconds: int = 10
    megabytes: int = 512


@dataclass(frozen=True)
class Ran:
    """What came of it; `why` is the last line it wrote where it failed."""

    passed: bool
    why: str = ""


def program_of(prompt: str, said: str, tests: str) -> str:
    """The first fenced block of an answer, else the prompt continued by it; then the tests."""
    if FENCE in said:
        inside = said.split(FENCE)[1]
        first, line, rest = inside.partition("\n")
        body = rest if line and " " not in first.strip() else inside
    else:
        body = prompt + said
    return f"{body}\n\n{tests}\n"


def run(program: str, limits: Limits) -> Ran:
    """Run a program with its tests.

    Raises InputError where this system cannot confine it: then nothing ran.
    """
    # The word stands at the program's end: code that leaves early with 0 has not passed its tests.
    word = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="modelyard-code-") as place:
        folder, path = Path(place) / "empty", Path(place) / "program.py"
        folder.mkdir()
        path.write_text(f"{program}\nprint({word!r})\n", encoding="utf-8", errors="replace")
        written = Path(place) / "written"
        script = str(Path(confined.__file__).resolve())
        arguments = [str(folder.resolve()), str(path), str(limits.seconds), str(limits.megabytes)]
        with written.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", script, *arguments],
                stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, cwd=folder, env={},
                start_new_session=True, close_fds=True,
            )  # fmt: skip
            code = _ended(process, limits)
        if code == confined.UNCONFINED:
            raise InputError(
                t("this system cannot confine code: nothing was run"),
                where="run_code",
                expected=t("Linux on x86-64 or ARM with Landlock and seccomp"),
                remedy=t("measure there, or leave `tests` out"),
            )
        lines = written.read_bytes()[-(1 << 16) :].decode("utf-8", "replace").strip().splitlines() or [""]
    if code is None:
        return Ran(False, "out of time")
    passed = code == 0 and lines[-1] == word
    return Ran(passed, "" if passed else lines[-1][:SHOWN] if code else "it ended before its tests")


def _ended(process: subprocess.Popen[bytes], limits: Limits) -> int | None:
    """The exit status; None if it had to be ended."""
    try:
        return process.wait(timeout=2 * limits.seconds + 5)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
