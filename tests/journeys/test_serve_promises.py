"""Sets, silence, intervals and quantiles of calibrated models over HTTP, as OpenAPI and metadata describe them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from journeys.test_serve_tasks import Served
from support import small_model
from support.fake_context import FakeContext
from support.small_tables import people, write_table

from modelyard.stages.calibrate import abstention, conformal
from modelyard.stages.train import tabular

ROW = {"age": 40, "city": "Ulm", "income": 31.5, "code": "01"}


def calibrated(root: Path, model: Path, data: Path, *stages: tuple[Any, dict[str, Any]]) -> Path:
    for place, (stage, settings) in enumerate(stages):
        context = FakeContext(root / str(place), {"model": model, "data": data})
        stage.run(stage.Config(**settings), context)
        model = root / str(place) / "outputs" / "model"
    return model


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("promises")
    rows = small_model.reviews(200, 0)
    texts = small_model.write_dataset(root / "texts", {"train": rows, "calibration": small_model.reviews(400, 1)})
    judge = calibrated(root / "judge", small_model.write_linear_model(root / "m", rows), texts,
                       (conformal, {"error": 0.2}), (abstention, {"error": 0.25}))  # fmt: skip
    splits = {"train": people(300, 1), "validation": people(80, 2), "calibration": people(200, 3)}
    table = write_table(root / "table", splits, "number")
    context = FakeContext(root / "trained", {"data": table})
    trees = {"rounds": 20, "leaves": 7, "learning_rate": 0.1}
    tabular.run(tabular.Config(quantiles=(0.05, 0.95), trees=trees, compute={"threads": 1}), context)
    price = calibrated(root / "price", root / "trained" / "outputs" / "model", table, (conformal, {"method": "cqr"}))
    folders = [Path(shutil.copytree(folder, root / name)) for name, folder in (("judge2", judge), ("price2", price))]
    found = Served(folders, root)
    try:
        yield found
    finally:
        found.process.terminate()
        found.process.wait(30)


def reply_schema(served: Served, name: str) -> dict[str, Any]:
    document = json.loads(served.send("GET", "/openapi.json")[1])
    post = document["paths"][f"/v1/models/{name}:predict"]["post"]
    schema = post["responses"]["200"]["content"]["application/json"]["schema"]
    found: dict[str, Any] = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return found


@pytest.mark.parametrize(
    ("name", "instance", "added"),
    [("judge2", "good food", ["set", "abstained"]), ("price2", ROW, ["quantiles", "interval"])],
)
def test_what_a_model_promises_is_answered_and_described(
    served: Served, name: str, instance: Any, added: list[str]
) -> None:
    answer = served.ask(f"/v1/models/{name}:predict", {"instances": [instance]})
    columns = served.ask(f"/v1/models/{name}:predict",
                         {"inputs": {key: [value] for key, value in instance.items()} if isinstance(instance, dict)
                          else [instance]})  # fmt: skip
    one, schema = answer["predictions"][0], reply_schema(served, name)
    assert set(added) <= set(one)
    assert {key: value[0] for key, value in columns["outputs"].items()} == one
    for body in (answer, columns):
        jsonschema.validate(body, schema)
    broken = {"predictions": [{**one, added[-1]: "certainly"}]}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema)
    about = json.loads(served.send("GET", f"/v1/models/{name}/metadata")[1])
    assert about["modelyard"]["adds"] == added
    outputs = about["metadata"]["signature_def"]["signature_def"]["serving_default"]["outputs"]
    assert set(outputs) >= set(added) - {"quantiles"}


def test_intervals_hold_the_value_between_their_ends(served: Served) -> None:
    found = served.ask("/v1/models/price2:predict", {"instances": [ROW, ROW]})["predictions"]
    for one in found:
        low, high = one["interval"]
        assert low < high
        assert one["quantiles"]["0.05"] <= one["quantiles"]["0.95"]
