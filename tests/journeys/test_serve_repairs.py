"""A model that learned from repaired texts, served: a text as it comes is answered as its repaired form."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from journeys.test_serve_tasks import Served
from support import small_model

from modelyard.methods import runtimes
from modelyard.methods.runtimes.golden import check_golden
from modelyard.methods.text import travelling
from modelyard.methods.text.repair import Repair
from modelyard.methods.text.script_variants import to_script
from modelyard.methods.training import carrying

REPAIR = Repair(script="simplified")


def as_it_comes(text: str) -> str:
    """In traditional characters, with a zero-width space behind each."""
    return "\u200b".join(to_script(text, "traditional"))


def test_raw_and_repaired_texts_have_one_answer_over_http(tmp_path: Path) -> None:
    rows = small_model.reviews(200, 0)
    plain = small_model.write_linear_model(tmp_path / "plain", rows)
    folder = Path(shutil.copytree(plain, tmp_path / "repairs1"))
    carrying.write((REPAIR,), folder)
    assert not check_golden(folder, runtimes.load(folder, 1))
    texts = [text for text, _ in rows[:8]]
    served = Served([folder, Path(shutil.copytree(plain, tmp_path / "none1"))], tmp_path)
    try:
        raw = served.ask("/v1/models/repairs1:predict", {"instances": [as_it_comes(text) for text in texts]})
        sound = served.ask("/v1/models/repairs1:predict", {"instances": [REPAIR(text) for text in texts]})
        without = served.ask("/v1/models/none1:predict", {"instances": [as_it_comes(text) for text in texts]})
        about = [json.loads(served.send("GET", f"/v1/models/{name}/metadata")[1]) for name in ("repairs1", "none1")]
    finally:
        served.process.terminate()
        served.process.wait(30)
    assert raw == sound != without
    assert [one["modelyard"]["repairs"] for one in about] == [travelling.specs([REPAIR]), []]
