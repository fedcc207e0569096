"""Weights at the ends of cycles as members of one model, and the plain mean of the last weights."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from support.fake_context import FakeContext
from support.tiny_reviews import reviews, write_dataset

from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.runtimes.manifest import manifest
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.training.averaging import Average
from modelyard.methods.training.settings import Ema
from modelyard.stages.train.text_classification import Config, run

FAST: dict[str, Any] = {
    "size": "cnn",
    "epochs": 4,
    "schedule": {"name": "cycles", "cycles": 4, "warmup": 0},
    "reading": {"vocabulary_size": 400, "max_length": 24},
    "compute": {"threads": 1, "device": "cpu", "precision": "fp32", "compile": "off", "checkpoint_seconds": 0},
}


class Dying(FakeContext):
    """Dies after some optimizer steps."""

    left = 9

    def progress(self, done: int, total: int, what: str) -> None:
        self.left -= what == "steps"
        if not self.left:
            raise KeyboardInterrupt
        super().progress(done, total, what)


def data(root: Path) -> Path:
    return write_dataset(root / "data", {"train": list(reviews(300)), "validation": list(reviews(100, 1))})


def trained(root: Path, kind: type[FakeContext] = FakeContext, **settings: Any) -> FakeContext:
    context = kind(root, {"data": data(root)}, seed=2)
    run(Config(**{**FAST, **settings}), context)
    return context


def model(root: Path) -> Path:
    return root / "outputs" / "model"


def test_the_last_cycles_are_members_and_the_claim_is_of_all_of_them(tmp_path: Path) -> None:
    context = trained(tmp_path, snapshots=3)
    card = ModelCard.read(model(tmp_path))
    assert (card.format, len(card.network["members"])) == ("ensemble", 3)
    digests = {manifest(model(tmp_path) / name).digest for name in card.network["members"]}
    assert len(digests) == 3
    rows = list(reviews(100, 1))
    predictor = runtimes.load(model(tmp_path), threads=1)
    answers = predictor.predict([{"text": text} for text, _ in rows])
    right = sum(answer.label == label for answer, (_, label) in zip(answers, rows, strict=True))
    assert context.value("train.validation_accuracy") == pytest.approx(right / 100)
    assert any("3 snapshots together" in line for line in context.said)


def test_the_last_snapshot_is_the_model_after_all_steps(tmp_path: Path) -> None:
    trained(tmp_path, snapshots=1)
    found = sorted((tmp_path / "scratch" / "cnn" / "snapshots").iterdir())
    assert len(found) == 4
    assert int(found[-1].stem) == 4 * (300 // 64 + 1)
    assert len(ModelCard.read(model(tmp_path)).network["members"]) == 1


def test_a_run_that_was_killed_ends_with_the_same_members(tmp_path: Path) -> None:
    trained(tmp_path / "whole", snapshots=4)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "killed", Dying, snapshots=4)
    shutil.rmtree(tmp_path / "killed" / "data")
    context = trained(tmp_path / "killed", snapshots=4)
    assert any("going on from step" in line for line in context.said)
    assert manifest(model(tmp_path / "killed")).digest == manifest(model(tmp_path / "whole")).digest


def test_without_snapshots_none_are_written(tmp_path: Path) -> None:
    trained(tmp_path)
    assert not (tmp_path / "scratch" / "cnn" / "snapshots").exists()
    assert ModelCard.read(model(tmp_path)).format == "modelyard"


def test_snapshots_need_cycles_and_one_network(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cycles"):
        Config(**{**FAST, "schedule": {"name": "cosine"}, "snapshots": 2})
    with pytest.raises(InputError, match="one network"):
        trained(tmp_path, size="auto", snapshots=2)


def test_the_tail_is_the_plain_mean_of_the_last_weights() -> None:
    module = torch.nn.Linear(3, 2)
    average = Average(module, Ema(tail=0.4), 10)
    seen = []
    for step in range(1, 11):
        with torch.no_grad():
            module.weight.copy_(torch.randn(2, 3, generator=torch.Generator().manual_seed(step)))
        average.update(step)
        seen.append(module.weight.detach().clone())
        last = seen[6:] or seen[-1:]
        torch.testing.assert_close(average.values["weight"], torch.stack(last).mean(0))


def test_a_run_with_a_tail_that_was_killed_ends_with_the_same_bytes(tmp_path: Path) -> None:
    settings = {"schedule": {"name": "constant"}, "ema": {"tail": 0.75}}
    trained(tmp_path / "whole", **settings)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "killed", Dying, **settings)
    trained(tmp_path / "killed", **settings)
    assert manifest(model(tmp_path / "killed")).digest == manifest(model(tmp_path / "whole")).digest


def test_one_of_decay_and_tail() -> None:
    with pytest.raises(ValueError, match="not both"):
        Ema(decay=0.9, tail=0.5)


def pictures(root: Path, **settings: Any) -> FakeContext:
    """A small network of images over three cycles."""
    from test_train_image_classification import FAST as IMAGES
    from test_train_image_classification import SPLITS, write_images

    from modelyard.stages.train import image_classification

    context = FakeContext(root, {"data": write_images(root / "data", SPLITS)})
    given = {**IMAGES, "schedule": {"name": "cycles", "cycles": 3, "warmup": 0}, "snapshots": 2, **settings}
    image_classification.run(image_classification.Config(**given), context)
    return context


@pytest.mark.parametrize("kept", ["scratch", "encoder"])
def test_snapshots_of_images_answer_as_their_claim_says(tmp_path: Path, kept: str) -> None:
    from test_train_image_classification import accuracy, tiny_base

    more = {} if kept == "scratch" else {"base": str(tiny_base(tmp_path / "base")), "freeze": kept}
    context = pictures(tmp_path, **more)
    card = ModelCard.read(model(tmp_path))
    assert (card.task, card.format, len(card.network["members"])) == ("image-classification", "ensemble", 2)
    digests = {manifest(model(tmp_path) / name).digest for name in card.network["members"]}
    assert len(digests) == 2
    assert context.value("train.validation_accuracy") == pytest.approx(accuracy(tmp_path))
    assert any("2 snapshots together: validation accuracy" in line for line in context.said)


@pytest.mark.parametrize("target", ["class", "number"])
def test_snapshots_of_a_table_answer_as_their_claim_says(tmp_path: Path, target: str) -> None:
    import numpy as np
    from support.small_tables import people, write_table

    from modelyard.stages.train import tabular

    splits = {"train": people(300, 1), "validation": people(100, 2)}
    context = FakeContext(tmp_path, {"data": write_table(tmp_path / "data", splits, target)})
    settings: dict[str, Any] = {
        "kind": "ft_transformer",
        "transformer": {"width": 8, "layers": 1, "heads": 2},
        "epochs": 6,
        "batch_size": 64,
        "optimizer": {"learning_rate": 0.01},
        "schedule": {"name": "cycles", "cycles": 3, "warmup": 0},
        "snapshots": 2,
        "compute": FAST["compute"],
    }
    tabular.run(tabular.Config(**settings), context)
    card = ModelCard.read(model(tmp_path))
    assert (card.format, len(card.network["members"])) == ("ensemble", 2)
    rows = splits["validation"]
    records = [{name: row[name] for name in ("age", "city", "income", "code")} for row in rows]
    predictor = runtimes.load(model(tmp_path), threads=1)
    answers: Any = predictor.predict(records)
    if target == "class":
        right = sum(answer.label == row["label"] for answer, row in zip(answers, rows, strict=True))
        assert context.value("train.validation_accuracy") == pytest.approx(right / 100)
        return
    # In the target's own unit, about 5,000: a member whose head was not put back would answer about 0.
    values, wanted = np.array([answer.value for answer in answers]), np.array([row["value"] for row in rows])
    rmse = float(np.sqrt(np.square(values - wanted).mean()))
    assert context.value("train.validation_rmse") == pytest.approx(rmse, rel=1e-4)
    assert rmse < wanted.std()


def test_snapshots_of_images_and_tables_need_cycles_and_a_network() -> None:
    from modelyard.stages.train import image_classification, tabular

    cycles = {"name": "cycles"}
    for stage, settings, words in (
        (image_classification, {}, "ends of cycles"),
        (tabular, {"kind": "ft_transformer"}, "ends of cycles"),
        (tabular, {"schedule": cycles}, "are of a network"),
    ):
        with pytest.raises(ValueError, match=words):
            stage.Config(snapshots=2, **settings)
