"""The stage `train.recommender`, the models it makes, and ranking with them."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.fake_context import FakeContext
from support.small_ratings import ratings, write_ratings

from modelyard.app.recommending import recommend
from modelyard.cli.main import run as command_line
from modelyard.errors import InputError, UsageError
from modelyard.methods import runtimes
from modelyard.methods.runtimes.golden import check_golden
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.stages.train.recommender import Config, run

FAST: dict[str, Any] = {
    "epochs": 12,
    "batch_size": 128,
    "optimizer": {"learning_rate": 2e-2, "weight_decay": 0.0},
    "embedding": {"width": 8, "unknown_share": 0.05},
    "deep": {"hidden": [16]},
    "crosses": {"layers": 1, "rank": 4},
    "compute": {"threads": 1, "device": "cpu", "precision": "fp32", "compile": "off"},
}
SPLITS = {"train": ratings(1500, 1), "validation": ratings(300, 2)}
KINDS = ("factorization", "wide_deep", "dcn")


def train(root: Path, target: str = "stars", splits: Any = None, seed: int = 0, **settings: Any) -> FakeContext:
    context = FakeContext(root, {"data": write_ratings(root / "data", splits or SPLITS, target)}, seed=seed)
    run(Config(**{**FAST, **settings}), context)
    return context


def model(root: Path) -> Path:
    return root / "outputs" / "model"


def records(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: row[name] for name in ("user", "item", "genre", "hour")} for row in rows]


@pytest.mark.parametrize("kind", KINDS)
def test_ratings_are_learned_and_the_model_answers_as_its_claim_says(tmp_path: Path, kind: str) -> None:
    context = train(tmp_path, kind=kind)
    card = ModelCard.read(model(tmp_path))
    assert (card.task, card.format, card.labels) == ("tabular-regression", "modelyard", ())
    assert set(card.inputs) == {"user", "item", "genre", "hour"}
    assert card.network["kind"] == kind
    predictor = runtimes.load(model(tmp_path), threads=1)
    assert check_golden(model(tmp_path), predictor) == []
    asked = records(SPLITS["validation"])
    answers = predictor.predict(asked)
    errors = np.array([a.value - row["stars"] for a, row in zip(answers, SPLITS["validation"], strict=True)])
    rmse = float(np.sqrt((errors**2).mean()))
    assert rmse == pytest.approx(context.value("train.validation_rmse"), rel=1e-4)
    assert rmse < 0.6 < np.std([row["stars"] for row in SPLITS["validation"]])
    for record, together in zip(asked[:20], answers, strict=False):
        assert predictor.predict([record])[0].value == pytest.approx(together.value, abs=1e-5)
    best = max(row["stars"] for row in SPLITS["train"])
    assert max(answer.value for answer in answers) <= best + 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_clicks_are_learned_as_classes(tmp_path: Path, kind: str) -> None:
    context = train(tmp_path, "label", kind=kind)
    assert ModelCard.read(model(tmp_path)).labels == ("no", "yes")
    predictor = runtimes.load(model(tmp_path), threads=1)
    answers = predictor.predict(records(SPLITS["validation"]))
    hits = np.mean([a.label == row["label"] for a, row in zip(answers, SPLITS["validation"], strict=True)])
    assert hits == pytest.approx(context.value("train.validation_accuracy"), abs=1e-9)
    assert hits > 0.8
    measured = next(one for one in context.measurements if one.claim == "train.validation_auc")
    assert 0.85 < measured.interval[0] < measured.value < measured.interval[1] <= 1


def test_three_classes_and_no_further_column(tmp_path: Path) -> None:
    splits = {
        name: [{**row, "label": "maybe" if 2.5 < row["stars"] < 3.2 else row["label"]} for row in rows]
        for name, rows in SPLITS.items()
    }
    context = train(tmp_path, "label", splits=splits, kind="factorization", columns=[])
    assert ModelCard.read(model(tmp_path)).labels == ("maybe", "no", "yes")
    assert set(ModelCard.read(model(tmp_path)).inputs) == {"user", "item"}
    assert context.value("train.validation_accuracy") > 0.7
    with pytest.raises(InputError, match="the model has 3 classes"):
        recommend(model(tmp_path), {"user": "u1"})
    assert recommend(model(tmp_path), {"user": "u1"}, label="maybe", top=3)


def test_auto_keeps_the_kind_of_the_least_validation_loss(tmp_path: Path) -> None:
    context = train(tmp_path, epochs=3)
    provenance = ModelCard.read(model(tmp_path)).provenance
    losses = {one["kind"]: one["loss"] for one in provenance["tried"]}
    assert set(losses) == set(KINDS)
    assert losses[provenance["kind"]] == min(losses.values())
    assert sum("validation loss" in line for line in context.said) == 3


def test_strangers_get_what_rows_with_a_hidden_user_taught(tmp_path: Path) -> None:
    """Without hidden rows the unknown row stays where it began; with them a stranger gets nearly the item's mean."""
    train(tmp_path, kind="factorization", embedding={**FAST["embedding"], "unknown_share": 0.2}, epochs=20, columns=[])
    predictor = runtimes.load(model(tmp_path), threads=1)
    for item in range(3):
        of_item = np.mean([row["stars"] for row in SPLITS["train"] if row["item"] == item])
        stranger, nobody = predictor.predict([{"user": "nobody", "item": item}, {"user": None, "item": item}])
        assert stranger.value == pytest.approx(of_item, abs=0.35)
        assert nobody.value == stranger.value
    other = predictor.predict([{"user": "nobody", "item": "new"}])[0]
    mean = np.mean([row["stars"] for row in SPLITS["train"]])
    assert other.value == pytest.approx(mean, abs=0.4)


def test_a_penalty_shrinks_what_stands_for_users(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    norms = []
    for name, penalty in (("a", 0.0), ("b", 1.0)):
        train(tmp_path / name, kind="factorization", embedding={**FAST["embedding"], "penalty": penalty})
        norms.append(float(np.square(load_file(model(tmp_path / name) / "model.safetensors")["codes.rows"]).sum()))
    assert norms[1] < 0.2 * norms[0]


def test_the_best_items_come_in_order_without_those_that_are_excluded(tmp_path: Path) -> None:
    train(tmp_path, kind="factorization")
    found = recommend(model(tmp_path), {"user": "u1", "hour": 12}, top=5)
    assert [int(one.item) % 2 for one in found] == [1] * 5
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    left = recommend(model(tmp_path), {"user": "u1", "hour": 12}, top=100, exclude=[int(found[0].item), found[1].item])
    assert len(left) == 18
    assert [one.item for one in left[:3]] == [one.item for one in found[2:]]
    catalogue = json.loads((model(tmp_path) / "items.json").read_text())
    assert catalogue["items"][0] == {"item": "0", "genre": "drama"}
    asked = [{"item": 4, "genre": "drama"}, {"item": "new", "genre": "comedy"}]
    assert {one.item for one in recommend(model(tmp_path), {"user": "u1", "hour": 1}, items=asked)} == {"4", "new"}


def test_recommend_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(tmp_path, "label", kind="factorization", columns=["genre"])
    (tmp_path / "had.txt").write_text("1\n3\n", encoding="utf-8")
    arguments = ["recommend", str(model(tmp_path)), '{"user": "u1"}', "--top", "3", "--exclude"]
    assert command_line([*arguments, str(tmp_path / "had.txt"), "--json"]) == 0
    items = json.loads(capsys.readouterr().out)["items"]
    assert len(items) == 3
    assert not {one["item"] for one in items} & {"1", "3"}
    assert all(0.5 < one["score"] <= 1 for one in items)
    assert command_line(["recommend", str(model(tmp_path)), "u1"]) != 0
    assert "RECORD is no JSON object" in capsys.readouterr().err


def test_what_cannot_be_ranked_is_refused(tmp_path: Path) -> None:
    train(tmp_path, "label", kind="factorization")
    with pytest.raises(InputError, match="no column `hour`"):
        recommend(model(tmp_path), {"user": "u1"})
    with pytest.raises(InputError, match="no label `perhaps`"):
        recommend(model(tmp_path), {"user": "u1", "hour": 1}, label="perhaps")
    with pytest.raises(UsageError):
        recommend(model(tmp_path), {"user": "u1", "hour": 1}, top=0)
    with pytest.raises(InputError, match="an item has no `item`"):
        recommend(model(tmp_path), {"user": "u1", "hour": 1}, items=[{"genre": "drama"}])
    (model(tmp_path) / "items.json").write_text('{"user": "user", "item": "item", "items": [7]}')
    with pytest.raises(InputError, match="the items of the model cannot be read"):
        recommend(model(tmp_path), {"user": "u1", "hour": 1})
    (model(tmp_path) / "items.json").unlink()
    with pytest.raises(InputError, match="no recommender"):
        recommend(model(tmp_path), {"user": "u1", "hour": 1})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"user": "usr"}, "no column `usr`"),
        ({"item": "stars"}, "no column `stars`"),
        ({"item": "user"}, "the same column"),
        ({"embedding": {"min_rows": 1_000_000}}, "`user` has 0 values"),
    ],
)
def test_columns_that_cannot_be_users_and_items_are_refused(tmp_path: Path, settings: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        train(tmp_path, **settings)


def test_hostile_records_are_refused_with_their_place(tmp_path: Path) -> None:
    train(tmp_path, kind="dcn")
    predictor = runtimes.load(model(tmp_path), threads=1)
    good = records(SPLITS["validation"])[0]
    assert predictor.predict([]) == []
    for bad, where in (
        ({**good, "user": ["u1"]}, "records[1].user"),
        ({**good, "hour": "noon"}, "records[1].hour"),
        ({"user": "u1"}, "records[1]"),
        ("u1", "records[1]"),
    ):
        with pytest.raises(InputError) as caught:
            predictor.predict([good, bad])
        assert caught.value.problems[0].where == where


def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    train(tmp_path, kind="factorization")
    path = model(tmp_path) / "model.json"
    card = json.loads(path.read_text())
    card["network"]["sizes"][0] += 1
    path.write_text(json.dumps(card))
    with pytest.raises(InputError, match="the weights cannot be loaded"):
        runtimes.load(model(tmp_path))


def test_a_training_killed_with_kill_9_goes_on_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    """Killed in the second of three kinds."""
    settings = {"epochs": 2, "compute": {**FAST["compute"], "checkpoint_seconds": 0}}
    train(tmp_path / "straight", **settings)
    pid = os.fork()
    if pid == 0:

        class Dying(FakeContext):
            steps = 0

            def progress(self, done: int, total: int, what: str) -> None:
                self.steps += 1
                if self.steps == 35:
                    os.kill(os.getpid(), signal.SIGKILL)

        killed = tmp_path / "killed"
        run(Config(**{**FAST, **settings}), Dying(killed, {"data": write_ratings(killed / "data", SPLITS)}))
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    context = train(tmp_path / "killed", **settings)
    assert any("going on from step" in line for line in context.said)
    for path in model(tmp_path / "straight").iterdir():
        assert path.read_bytes() == (model(tmp_path / "killed") / path.name).read_bytes(), path.name
        assert str(tmp_path).encode() not in path.read_bytes()
