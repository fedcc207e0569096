"""Runs of the main job killed with -9 at random moments end in the bytes of one that was not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest
from support.mail_project import modelyard, outputs, write_project


@pytest.mark.slow
def test_a_run_killed_at_random_moments_ends_in_the_bytes_of_one_that_was_not(tmp_path):
    calm = write_project(tmp_path / "calm", size="cnn", rows=400)
    rough = write_project(tmp_path / "rough", size="cnn", rows=400)
    quick = ["--set", "steps.classifier.with.epochs=2", "--set", "steps.classifier.with.compute.threads=1"]
    whole = json.loads(modelyard("run", "--until", "int8", "--json", *quick, cwd=calm).stdout)
    kills = 0
    for attempt in range(40):
        command = [sys.executable, "-m", "modelyard", "run", "--until", "int8", "--json", *quick]
        child = subprocess.Popen(command, cwd=rough, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            out, _ = child.communicate(timeout=2.0 + 1.7 * attempt)
            break
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait()
            kills += 1
            time.sleep(0.05)
    assert kills > 0
    assert outputs(json.loads(out)) == outputs(whole)
    assert "every byte as stored" in modelyard("verify", cwd=rough).stdout
