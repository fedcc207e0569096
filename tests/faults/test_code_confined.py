"""What a model wrote runs with its tests and can do nothing else."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from modelyard.errors import InputError
from modelyard.methods.evaluation.code import confined, running
from modelyard.methods.evaluation.code.running import Limits, program_of, run

LIMITS = Limits(seconds=5, megabytes=400)


def test_a_right_program_passes_and_a_wrong_one_says_why() -> None:
    assert run(program_of("def add(a, b):\n", "    return a + b\n", "assert add(2, 3) == 5"), LIMITS).passed
    found = run(program_of("def add(a, b):\n", "    return a - b\n", "assert add(2, 3) == 5, 'not five'"), LIMITS)
    assert (found.passed, found.why) == (False, "AssertionError: not five")
    assert run("import json, math, collections, dataclasses, threading\nassert math.pi > 3", LIMITS).passed


@pytest.mark.parametrize("text", ["import sys\nsys.exit(0)", "import os\nos._exit(0)", "raise SystemExit"])
def test_code_that_leaves_before_its_tests_has_not_passed(text: str) -> None:
    assert run(program_of("", f"```python\n{text}\n```", "assert False"), LIMITS).why == "it ended before its tests"


def test_an_answer_in_a_fence_is_a_program_of_its_own() -> None:
    said = "Here it is:\n```python\ndef f():\n    return 7\n```\nDone."
    assert program_of("write f", said, "assert f() == 7").startswith("def f():")
    assert run(program_of("write f", said, "assert f() == 7"), LIMITS).passed


def test_no_file_of_the_users_is_read_or_written_or_removed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("word")
    for line in (
        f"open({str(secret)!r}).read()",
        f"open({str(secret)!r}, 'w')",
        f"import os; os.unlink({str(secret)!r})",
        f"import os; os.rename({str(secret)!r}, 'x')",
        f"import os; os.listdir({str(tmp_path)!r})",
        f"open({str(tmp_path / 'new')!r}, 'w')",
        "open('/etc/passwd').read()",
        "open('/proc/self/environ').read()",
    ):
        found = run(line, LIMITS)
        assert not found.passed, line
        assert "Permission" in found.why, (line, found)
    assert secret.read_text() == "word"
    assert run("open('mine', 'w').write('x')\nimport os\nassert os.listdir('.') == ['mine']", LIMITS).passed


def test_no_connection_is_opened_and_no_program_started() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = run(f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 2)", LIMITS)
    assert "not permitted" in found.why
    for line in (
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
        "import socket; socket.socketpair()",
        "import subprocess; subprocess.run(['/bin/true'])",
        "import os; os.fork()",
        "import os; os.execv('/bin/true', ['true'])",
        "import os; os.kill(os.getppid(), 9)",
    ):
        assert not run(line, LIMITS).passed, line


def test_time_and_memory_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not run("while True: pass", Limits(seconds=1, megabytes=400)).passed
    assert "MemoryError" in run("x = bytearray(1 << 30)", LIMITS).why
    assert not run("print('x' * (64 << 20))", LIMITS).passed
    monkeypatch.setattr(running.subprocess.Popen, "wait", _impatient(running.subprocess.Popen.wait))
    assert run("import time\ntime.sleep(60)", LIMITS).why == "out of time"


def _impatient(wait):
    return lambda self, timeout=None: wait(self, None if timeout is None else 1)


def test_where_code_cannot_be_confined_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "confined.py"
    text = (
        Path(confined.__file__).read_text().replace("RESTRICT_SELF = 444, 445, 446", "RESTRICT_SELF = 444, 445, 4460")
    )
    copy.write_text(text)
    monkeypatch.setattr(running.confined, "__file__", str(copy))
    with pytest.raises(InputError, match="nothing was run"):
        run("print('ran')", LIMITS)
