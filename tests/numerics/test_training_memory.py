"""What changes how much is held or kept must not change what is learned: averages, recomputed layers, cut batches."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny_training import ENCODER, make, plan, weights_of
from torch import nn

from modelyard.errors import StageError
from modelyard.methods import networks
from modelyard.methods.training import activations, averaging, devices, dropout, loop, microbatches, parameters
from modelyard.methods.training.averaging import Average
from modelyard.methods.training.axes import Batch
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.settings import Ema, Optimizer
from modelyard.methods.training.unfreezing import Unfreezing

CPU = torch.device("cpu")


# -- averages ----------------------------------------------------------------------------------------------------------


def slow_average(points: list[np.ndarray], settings: Ema) -> np.ndarray:
    """The definition of each start, over all points since the first weights (points[0])."""
    decay, steps = settings.decay, len(points) - 1
    if settings.start == "bias":
        weights = [(1 - decay) * decay ** (steps - number) for number in range(1, steps + 1)]
        return sum(w * x for w, x in zip(weights, points[1:], strict=True)) / (1 - decay**steps)
    value = points[0]
    for number in range(1, steps + 1):
        d = min(decay, (1 + number) / (10 + number)) if settings.start == "warmup" else decay
        value = d * value + (1 - d) * points[number]
    return value


@pytest.mark.parametrize("start", ["bias", "warmup", "none"])
def test_the_average_is_its_definition_at_every_step(start: str) -> None:
    module = nn.Linear(3, 2)
    settings = Ema(decay=0.8, start=start)
    average = Average(module, settings)
    points = [module.weight.detach().double().numpy().copy()]
    for step in range(1, 13):
        with torch.no_grad():
            module.weight.add_(torch.randn(2, 3, generator=torch.Generator().manual_seed(step)))
        average.update(step)
        points.append(module.weight.detach().double().numpy().copy())
        assert average.values["weight"].numpy() == pytest.approx(slow_average(points, settings), abs=1e-5)


def test_the_average_stands_in_and_leaves_no_trace() -> None:
    module = nn.BatchNorm1d(3)
    average = Average(module, Ema(decay=0.5))
    module(torch.randn(8, 3) * 5 + 2)
    own = weights_of(module)
    with average.in_place():
        assert torch.equal(module.running_mean, torch.zeros(3))
        assert module.num_batches_tracked == 1
    assert all(torch.equal(own[name], tensor) for name, tensor in weights_of(module).items())


def test_averaged_weights_are_what_is_judged_and_kept(tmp_path: Path) -> None:
    settings = Ema(decay=0.9)
    run = make(tmp_path, plan(epochs=1, ema=settings), "cnn")
    points = [run.module.embedding.weight.detach().double().numpy().copy()]
    while not run.finished:
        run.advance()
        points.append(run.module.embedding.weight.detach().double().numpy().copy())
    outcome = run.outcome()
    run.saver.wait()
    assert run.module.embedding.weight.detach().numpy() == pytest.approx(slow_average(points, settings), abs=1e-5)
    assert run.validator(run.module)["loss"] == pytest.approx(outcome.metrics["loss"], rel=1e-6)


def test_the_share_of_a_step_is_bounded_by_the_decay() -> None:
    for start in ("bias", "warmup", "none"):
        shares = [averaging.decay_at(Ema(decay=0.99, start=start), step) for step in (1, 10, 100, 100_000)]
        assert shares == sorted(shares)
        assert shares[-1] == pytest.approx(0.99)


# -- recomputed layers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_recomputed_layers_give_the_same_gradients_with_our_dropout(attention: str) -> None:
    found = []
    for recompute in (False, True):
        torch.manual_seed(0)
        module = networks.build(ENCODER).train()
        module.model.config._attn_implementation = attention
        masks = dropout.Masks()
        ids = torch.randint(1, 30, (4, 7), generator=torch.Generator().manual_seed(1))
        masks.seek(3, 0, 0)
        with ExitStack() as stack:
            stack.enter_context(dropout.fast(module, masks))
            if recompute:
                assert stack.enter_context(activations.recomputed(module, masks)) == 2
            module(input_ids=ids, attention_mask=torch.ones_like(ids)).square().sum().backward()
        found.append({name: one.grad for name, one in module.named_parameters() if one.grad is not None})
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_a_run_with_recomputed_layers_ends_with_the_same_bits(tmp_path: Path) -> None:
    ends = []
    for recompute in (False, True):
        run = make(tmp_path / str(recompute), plan(epochs=1, checkpoint_activations=recompute), "encoder")
        with devices.reproducible(CPU, 1), run.prepared():
            for _ in range(3):
                run.advance()
        ends.append(weights_of(run.module))
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_recomputing_keeps_fewer_numbers() -> None:
    module = networks.build(ENCODER).train()
    ids = torch.ones(8, 16, dtype=torch.int64)

    def kept() -> int:
        sizes: dict[int, int] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            module(input_ids=ids, attention_mask=torch.ones_like(ids)).sum()
        return sum(sizes.values())

    plain = kept()
    with activations.recomputed(module, None):
        assert kept() < 0.7 * plain


def test_layers_are_stacks_of_composed_modules() -> None:
    assert len(activations.layers(networks.build(ENCODER))) == 2
    assert activations.layers(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))) == []


def test_a_network_without_layers_is_told_so(tmp_path: Path) -> None:
    lines: list[str] = []
    run = make(tmp_path, plan(checkpoint_activations=True), "cnn", Hooks(say=lines.append))
    with run.prepared():
        pass
    assert any("changes nothing" in line for line in lines)


# -- cut batches -------------------------------------------------------------------------------------------------------


class Small:
    """An objective that runs out of memory above so many rows."""

    def __init__(self, inner, most: int, since: int = 0) -> None:
        self.inner, self.most, self.calls, self.since, self.sizes = inner, most, 0, since, []
        self.rows, self.split = inner.rows, inner.split

    def __call__(self, module: nn.Module, batch: Batch) -> torch.Tensor:
        self.calls += 1
        rows = self.inner.rows(batch)
        self.sizes.append(rows)
        if rows > self.most and self.calls > self.since:
            self.inner(module, batch)  # memory runs out somewhere on the way
            raise torch.OutOfMemoryError("a fake device is full")
        return self.inner(module, batch)


def test_memory_that_runs_out_halves_the_rows_and_changes_no_step(tmp_path: Path) -> None:
    whole = make(tmp_path / "whole", plan(batch_size=16), "cnn", dropout=0.0)
    lines: list[str] = []
    cut = make(
        tmp_path / "cut", plan(batch_size=16), "cnn", Hooks(say=lines.append), dropout=0.0, wrap=lambda o: Small(o, 5)
    )
    for _ in range(4):
        whole.advance()
        cut.advance()
        before, after = weights_of(whole.module), weights_of(cut.module)
        assert all(torch.allclose(before[name], after[name], atol=1e-5) for name in before)
    said = [line for line in lines if "out of memory" in line]
    assert len(said) == 2  # 16 to 8 to 4, at the first step only
    assert "8 rows at once: 4" in said[1]


def test_one_row_too_many_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    run = make(tmp_path, plan(), "cnn", wrap=lambda o: Small(o, 0))
    with pytest.raises(StageError, match="out of memory") as caught:
        run.advance()
    assert "batch_size" in str(caught.value)


def test_an_objective_that_cannot_be_cut_is_not(tmp_path: Path) -> None:
    def together(inner):
        def objective(module: nn.Module, batch: Batch) -> torch.Tensor:
            raise torch.OutOfMemoryError("a fake device is full")

        return objective

    run = make(tmp_path, plan(), "cnn", wrap=together)
    with pytest.raises(StageError, match="cannot be cut"):
        run.advance()


def test_other_errors_pass_through(tmp_path: Path) -> None:
    def broken(inner):
        def objective(module: nn.Module, batch: Batch) -> torch.Tensor:
            raise RuntimeError("sizes do not match")

        return objective

    with pytest.raises(RuntimeError, match="sizes"):
        make(tmp_path, plan(), "cnn", wrap=broken).advance()


def test_a_run_that_met_full_memory_and_was_killed_ends_with_the_same_bits(tmp_path: Path) -> None:
    """Memory runs out at the fifth step; the killed run goes on from the third and must cut from the fifth."""

    class Stopped(Exception):
        pass

    def go(scratch: Path, most: int, stop_at: int | None, since: int):
        def progress(done: int, total: int, what: str) -> None:
            if done == stop_at:
                raise Stopped

        settings = plan(epochs=3, batch_size=16, checkpoint_seconds=1e9, evaluate_every=3)
        run = make(scratch, settings, "cnn", Hooks(progress=progress), wrap=lambda o: Small(o, most, since))
        run.resume()
        with devices.reproducible(CPU, 1), run.prepared():
            while not run.finished:
                run.advance()
        run.saver.wait()
        return weights_of(run.module)

    straight = go(tmp_path / "straight", 8, None, 4)
    with pytest.raises(Stopped):
        go(tmp_path / "killed", 8, 6, 4)
    # The second start has memory enough and follows what was written down.
    resumed = go(tmp_path / "killed", 16, None, 0)
    uncut = go(tmp_path / "uncut", 16, None, 0)
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)
    assert any(not torch.equal(straight[name], uncut[name]) for name in straight)


def test_parts_hold_every_row_once_and_the_batchs_weight() -> None:
    batch = Batch(
        inputs={"x": torch.arange(10), "flag": True},
        targets={"y": torch.arange(10) * 2},
        weight=7.0,
        names=("a",),
        tokens=30,
    )
    parts = microbatches.ByRow().split(batch, 4)
    assert torch.cat([part.inputs["x"] for part in parts]).tolist() == list(range(10))
    assert torch.cat([part.targets["y"] for part in parts]).tolist() == [2 * x for x in range(10)]
    assert [len(part.inputs["x"]) for part in parts] == [4, 4, 2]
    assert sum(part.weight for part in parts) == 7.0
    assert sum(part.tokens for part in parts) == 30
    assert microbatches.ByRow().split(batch, 10) == [batch]


def test_limits_are_looked_up_by_step() -> None:
    limits = microbatches.Limits([[5, 8], [9, 4]])
    assert [limits.at(step) for step in (0, 4, 5, 8, 9, 100)] == [None, None, 8, 8, 4, 4]
    assert limits.halve(12, 4) == 2
    assert limits.changes[-1] == (12, 2)


# -- layers that join one by one ---------------------------------------------------------------------------------------


def test_layers_join_from_the_head_down() -> None:
    module = networks.build(ENCODER)
    depth, top = parameters.depths(module)
    assert top == 3
    unfreezing = Unfreezing(module, 0.5, 60)
    assert [unfreezing.deepest(step) for step in (0, 9, 10, 19, 20, 29, 30, 59)] == [3, 3, 2, 2, 1, 1, 0, 0]
    for step in (0, 10, 20, 30):
        with unfreezing.held(step):
            learning = {depth[id(one)] for one in module.parameters() if one.requires_grad}
        assert min(learning) == unfreezing.deepest(step)
        assert all(one.requires_grad for one in module.parameters())


def test_what_does_not_learn_yet_keeps_its_bits(tmp_path: Path) -> None:
    run = make(tmp_path, plan(epochs=10, optimizer=Optimizer(unfreeze=1.0)), "encoder")
    before = weights_of(run.module)
    run.advance()
    changed = {name for name, tensor in weights_of(run.module).items() if not torch.equal(tensor, before[name])}
    assert changed
    assert all("encoder.layer" not in name and "embeddings" not in name for name in changed)
    assert not any(loop.checkpoints.trained_state(run.module).keys() ^ before.keys())
