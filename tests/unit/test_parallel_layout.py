"""Counts of processes: what is chosen, what is refused, and how a batch is shared."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from support.parallel_work import Texts, network

from modelyard.engine.catalog import find
from modelyard.errors import InputError
from modelyard.methods.training import devices, loop
from modelyard.methods.training.classification import CrossEntropy
from modelyard.methods.training.parallel import begin, together, world
from modelyard.methods.training.parallel.layout import Layout, settle
from modelyard.methods.training.settings import Ema, Optimizer
from modelyard.methods.training.settings_parallel import Parallel

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("settings", "processes", "expected"),
    [
        ({}, 1, Layout()),
        ({}, 4, Layout(data=4)),
        ({"layout": "shard"}, 4, Layout(shard=4)),
        ({"shard": 2}, 4, Layout(data=2, shard=2)),
        ({"data": 2}, 4, Layout(data=2, shard=2)),
        ({"data": 4, "layout": "data"}, 4, Layout(data=4)),
        ({"tensor": 2}, 4, Layout(data=2, tensor=2)),
        ({"tensor": 2, "layout": "shard"}, 4, Layout(shard=2, tensor=2)),
        ({"pipeline": 2, "tensor": 2}, 8, Layout(data=2, tensor=2, pipeline=2)),
        ({"compression": "bf16"}, 2, Layout(data=2)),
    ],
)
def test_counts_are_settled(settings, processes, expected):
    assert settle(Parallel(**settings), processes, 1000, CPU) == expected


@pytest.mark.parametrize(("settings", "processes"), [({"tensor": 2}, 1), ({"tensor": 3}, 4), ({"data": 3}, 4)])
def test_counts_that_do_not_multiply_to_the_processes_are_refused(settings, processes):
    with pytest.raises(InputError, match="processes"):
        settle(Parallel(**settings), processes, 1000, CPU)


def test_a_model_that_does_not_fit_is_sharded(monkeypatch):
    monkeypatch.setattr(devices, "memory_bytes", lambda device: 10_000_000)
    assert settle(Parallel(), 4, 50_000, CPU) == Layout(data=4)
    assert settle(Parallel(), 4, 200_000, CPU) == Layout(shard=4)
    assert settle(Parallel(synchronize_every=5), 4, 200_000, CPU) == Layout(data=4)


@pytest.mark.parametrize(
    "settings",
    [
        {"compression": "bf16", "shard": 2},
        {"compression": "powersgd", "tensor": 2},
        {"synchronize_every": 4, "pipeline": 2},
        {"synchronize_every": 4, "compression": "bf16"},
        {"pipeline": 2, "layout": "shard"},
        {"layout": "data", "shard": 2},
        {"tensor": 0},
        {"unknown": 1},
    ],
)
def test_settings_that_do_not_go_together_are_refused_before_a_run(settings):
    with pytest.raises(ValidationError):
        Parallel(**settings)


@pytest.mark.parametrize(
    ("parallel", "settings", "words"),
    [
        ({"shard": 2}, {"optimizer": Optimizer(name="muon"), "precision": "fp16"}, ["optimizer.name", "precision"]),
        ({"pipeline": 2}, {"optimizer": Optimizer(layer_decay=0.9)}, ["layer_decay"]),
        ({"synchronize_every": 2}, {"ema": Ema(decay=0.9)}, ["ema.decay"]),
    ],
)
def test_what_a_layout_cannot_do_is_refused_all_at_once(parallel, settings, words, monkeypatch):
    monkeypatch.setattr(world, "size", lambda: 2)
    plan = loop.Plan(epochs=1, batch_size=1, learning_rate=1.0, parallel=Parallel(**parallel), **settings)
    with pytest.raises(InputError) as caught:
        begin.begin(network("bert"), plan, CPU, print)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize("readers", [1, 2, 3, 4, 8])
def test_every_row_is_read_by_one_process(readers):
    batches = Texts(labelled=True).step(0, 0)
    found = [together.shares(batches, CrossEntropy(), reader, readers) for reader in range(readers)]
    rows = [share.batch.inputs["input_ids"] for some in found for share in some]
    expected = torch.cat([batch.inputs["input_ids"] for batch in batches])
    assert sorted(torch.cat(rows).tolist()) == sorted(expected.tolist())


def test_processes_that_keep_step_make_as_many_passes():
    batches = Texts(labelled=True).step(0, 0)
    found = [together.shares(batches, CrossEntropy(), reader, 4, keeps_step=True) for reader in range(4)]
    assert {len(some) for some in found} == {2}
    assert [share.factor for share in found[3]] == [0.0, 0.0]


@pytest.mark.parametrize("name", ["train.text_classification", "train.language_model", "train.instruct"])
def test_stages_say_that_they_run_in_several_processes(name):
    found, problems = find(name, Path())
    assert not problems
    assert isinstance(getattr(found.stage.config(), found.stage.parallel), Parallel)
