"""Checkpoints written meanwhile, graphs compiled where they pay, what a run uses, and numbers that are none."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import threading
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny_training import CPU, make, network, plan, read, weights_of
from torch import nn

from modelyard.errors import DependencyError, InputError, StageError
from modelyard.methods.training import (
    checkpoints,
    choices,
    classification,
    compiling,
    devices,
    finite,
    float8,
    loop,
    precision,
    remembering,
    vitals,
)
from modelyard.methods.training.checkpoints import Checkpoint
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.saver import Saver
from modelyard.methods.training.settings import Compute, Keeping


def quiet(line: str) -> None:
    """Nobody listens."""


# -- checkpoints written meanwhile -------------------------------------------------------------------------------------


def checkpoint(step: int, value: float = 0.0) -> Checkpoint:
    return Checkpoint(step, {"weights": {"w": torch.full((3,), value)}}, {"history": [value]})


class Gate:
    """Holds the writing thread until it is opened."""

    def __init__(self, monkeypatch) -> None:
        self.opened, self.writing = threading.Event(), 0
        write = checkpoints.write

        def held(*arguments) -> None:
            self.writing += 1
            assert self.opened.wait(20)
            write(*arguments)

        monkeypatch.setattr(checkpoints, "write", held)


def test_what_is_written_is_the_moment_of_the_save(tmp_path: Path, monkeypatch) -> None:
    gate, saver = Gate(monkeypatch), Saver(tmp_path, Keeping())
    weights, history = torch.zeros(4), [1.0]
    saver.save(Checkpoint(1, {"weights": {"w": weights}}, {"history": history}))
    weights += 1
    history.append(2.0)
    assert not list(tmp_path.glob("0*"))
    gate.opened.set()
    saver.wait()
    found = checkpoints.load(tmp_path, quiet)
    assert found is not None
    assert torch.equal(found.tensors["weights"]["w"], torch.zeros(4))
    assert found.state["history"] == [1.0]


def test_one_checkpoint_is_written_at_a_time(tmp_path: Path, monkeypatch) -> None:
    gate, saver = Gate(monkeypatch), Saver(tmp_path, Keeping())
    saver.save(checkpoint(1))
    second = threading.Thread(target=saver.save, args=(checkpoint(2),))
    second.start()
    second.join(0.2)
    assert second.is_alive()
    assert gate.writing == 1
    gate.opened.set()
    second.join(20)
    saver.wait()
    assert sorted(path.name for path in tmp_path.glob("0*")) == ["000000001", "000000002"]


def test_a_full_disk_is_raised_by_the_next_step(tmp_path: Path, monkeypatch) -> None:
    def full(*arguments) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    run = make(tmp_path, plan(checkpoint_seconds=0), "cnn")
    monkeypatch.setattr(checkpoints, "write", full)
    run.advance()
    run.saver.close()
    with pytest.raises(OSError, match="no space") as caught:
        run.advance()
    assert caught.value.errno == errno.ENOSPC
    assert run.step == 1


def test_a_failure_of_the_last_checkpoint_is_not_lost(tmp_path: Path, monkeypatch) -> None:
    vocabulary, training, validation = read()
    settings = plan(epochs=1, checkpoint_seconds=1e9)

    def full(*arguments) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(checkpoints, "write", full)
    with pytest.raises(OSError, match="no space"):
        classification.train(network("cnn", vocabulary), training, validation, settings, CPU, tmp_path)


def test_no_thread_outlives_a_training_that_fails(tmp_path: Path) -> None:
    def progress(done: int, total: int, what: str) -> None:
        if done == 4:
            raise KeyboardInterrupt

    vocabulary, training, validation = read()
    settings = plan(checkpoint_seconds=0)
    with pytest.raises(KeyboardInterrupt):
        classification.train(
            network("cnn", vocabulary), training, validation, settings, CPU, tmp_path, Hooks(progress=progress)
        )
    assert not [thread for thread in threading.enumerate() if thread.name == "checkpoint"]


@pytest.mark.parametrize("background", [True, False])
def test_where_checkpoints_are_written_changes_no_bit(tmp_path: Path, background: bool) -> None:
    vocabulary, training, validation = read()
    ends = []
    for keep in (Keeping(), Keeping(background=background, newest=4, every=3)):
        scratch = tmp_path / str(len(ends))
        module = network("cnn", vocabulary)
        settings = plan(epochs=2, checkpoint_seconds=0, keep=keep)
        classification.train(module, training, validation, settings, CPU, scratch)
        ends.append(weights_of(module))
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    assert [int(path.name) for path in sorted((tmp_path / "0").glob("0*"))] == [9, 10]
    assert [int(path.name) for path in sorted((tmp_path / "1").glob("0*"))] == [3, 6, 7, 8, 9, 10]


def test_the_newest_and_the_first_of_every_so_many_steps_are_kept() -> None:
    steps = [5, 9, 12, 17, 21, 30, 31]
    assert checkpoints.expendable(steps, Keeping()) == [5, 9, 12, 17, 21]
    assert checkpoints.expendable(steps, Keeping(every=10)) == [5, 9, 17]
    assert checkpoints.expendable(steps, Keeping(newest=4, every=10)) == [5, 9]
    assert checkpoints.expendable([3], Keeping()) == []


# -- compiled where it pays --------------------------------------------------------------------------------------------


class Clock:
    """Moves only when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Fake:
    """A module whose pass takes some seconds by the clock, fewer when compiled, and whose compiling takes long."""

    def __init__(self, monkeypatch, plain: float, fast: float, spent: float) -> None:
        self.module, self.clock, self.passes = nn.Linear(1, 1), Clock(), 0
        self.plain, self.fast, self.spent = plain, fast, spent
        self.computed, self.others = Clock(), 1.0
        monkeypatch.setattr(nn.Module, "compile", self._compile)
        self.module.fake = self

    @staticmethod
    def _compile(module: nn.Module, dynamic: bool) -> None:
        assert dynamic
        module._compiled_call_impl = object()
        module.fake.clock.now += module.fake.spent

    def work(self) -> None:
        self.passes += 1
        taken = self.fast if self.module._compiled_call_impl else self.plain
        self.computed.now += taken
        self.clock.now += taken * self.others

    def choose(self, mode: str, steps: int, said: list[str] | None = None) -> bool:
        lines = [] if said is None else said
        return compiling.choose(mode, self.module, self.work, steps, CPU, lines.append, self.clock, self.computed)


def test_compiling_is_chosen_where_it_saves_more_than_it_takes(monkeypatch) -> None:
    said: list[str] = []
    assert Fake(monkeypatch, plain=1.0, fast=0.5, spent=100).choose("auto", 1000, said)
    assert not Fake(monkeypatch, plain=1.0, fast=0.5, spent=400).choose("auto", 700, said)
    assert not Fake(monkeypatch, plain=1.0, fast=1.1, spent=1).choose("auto", 10**6, said)
    assert ["not" in line.split(":")[0] for line in said] == [False, True, True]


def test_compiling_must_save_clearly_more_than_it_takes(monkeypatch) -> None:
    assert not Fake(monkeypatch, plain=1.0, fast=0.9, spent=90).choose("auto", 1000)
    assert Fake(monkeypatch, plain=1.0, fast=0.8, spent=90).choose("auto", 1000)


def test_what_others_compute_meanwhile_does_not_make_compiling_pay(monkeypatch) -> None:
    fake = Fake(monkeypatch, plain=1.0, fast=0.5, spent=60)
    fake.others = 5.0
    assert not fake.choose("auto", 480)
    assert fake.passes == 1 + compiling.PASSES


def test_short_runs_are_not_measured_twice(monkeypatch) -> None:
    fake = Fake(monkeypatch, plain=0.01, fast=0.001, spent=1)
    assert not fake.choose("auto", 100)
    assert fake.passes == 1 + compiling.PASSES
    assert fake.clock.now < 1


def test_off_and_on_are_obeyed_without_measuring(monkeypatch) -> None:
    fake = Fake(monkeypatch, plain=1.0, fast=9.0, spent=100)
    assert not fake.choose("off", 1000)
    assert fake.passes == 0
    assert fake.choose("on", 1000)
    assert fake.module._compiled_call_impl is None


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_a_compiler_in_trouble_is_said_and_done_without(monkeypatch, mode: str) -> None:
    fake = Fake(monkeypatch, plain=1.0, fast=0.5, spent=1)

    def broken(module: nn.Module, dynamic: bool) -> None:
        raise RuntimeError("no C++ compiler\nand much more")

    monkeypatch.setattr(nn.Module, "compile", broken)
    said: list[str] = []
    assert not fake.choose(mode, 1000, said)
    assert said == ["compiling failed, going on without: RuntimeError: no C++ compiler"]


def test_the_choice_is_made_once_and_followed(tmp_path: Path, monkeypatch) -> None:
    asked: list[str] = []

    def choose(mode: str, *others) -> bool:
        asked.append(mode)
        return False

    monkeypatch.setattr(compiling, "choose", choose)
    first = make(tmp_path, plan(compile="auto"), "cnn")
    assert not first.is_compiled()
    assert not make(tmp_path, plan(compile="auto"), "cnn").is_compiled()
    assert asked == ["auto"]
    assert json.loads((tmp_path / remembering.FILE).read_text()) == {"compile": False}
    remembering.remember(tmp_path, compile=True)
    assert make(tmp_path, plan(compile="auto"), "cnn").is_compiled()


def test_measuring_changes_nothing_that_lasts(tmp_path: Path) -> None:
    run = make(tmp_path, plan(), "cnn")
    run.module.add_module("norm", nn.BatchNorm1d(2))
    convolve = run.module.classifier.forward
    run.module.classifier.forward = lambda x: run.module.norm(convolve(x))
    before = weights_of(run.module)
    run.rehearse()
    assert all(torch.equal(tensor, weights_of(run.module)[name]) for name, tensor in before.items())
    assert all(parameter.grad is None for parameter in run.module.parameters())
    assert not run.optimizer.state


def test_choices_of_the_machine_and_of_the_loop_may_share_a_folder(tmp_path: Path) -> None:
    compute = Compute(device="cpu", precision="fp32", threads=1)
    remembering.remember(tmp_path, compile=True)
    made = choices.settle(compute, tmp_path, Hooks())
    remembering.remember(tmp_path, rows=[[1, 2]])
    assert choices.settle(Compute(device="cpu", precision="bf16"), tmp_path, Hooks()) == made
    assert remembering.recall(tmp_path)["compile"] is True


# -- fp8 ---------------------------------------------------------------------------------------------------------------


def test_fp8_is_refused_where_the_hardware_has_none() -> None:
    with pytest.raises(InputError, match="fp8"):
        precision.resolve("fp8", CPU)


def test_fp8_without_torchao_names_the_extra(monkeypatch) -> None:
    monkeypatch.setattr(devices, "supports_fp8", lambda device: True)
    monkeypatch.setitem(sys.modules, "torchao.float8", None)
    with pytest.raises(DependencyError, match="torchao"):
        precision.resolve("fp8", CPU)


def test_layers_come_back_from_fp8_with_their_parameters(monkeypatch) -> None:
    class Rounded(nn.Linear):
        """Stands for torchao's layer."""

    def convert(module: nn.Module, module_filter_fn) -> None:
        for owner in list(module.modules()):
            for name, part in list(owner.named_children()):
                if module_filter_fn(part, name):
                    new = Rounded(part.in_features, part.out_features)
                    new.weight, new.bias = part.weight, part.bias
                    setattr(owner, name, new)

    fake = types.ModuleType("torchao.float8")
    fake.convert_to_float8_training = convert
    monkeypatch.setitem(sys.modules, "torchao.float8", fake)
    module = nn.Sequential(nn.Linear(32, 16), nn.Linear(16, 3))
    layers, weights = list(module), [layer.weight for layer in module]
    with float8.products(module):
        assert [type(layer) for layer in module] == [Rounded, nn.Linear]
    assert list(module) == layers
    assert all(layer.weight is weight for layer, weight in zip(module, weights, strict=True))


# -- what a run uses ---------------------------------------------------------------------------------------------------


def counter(root: Path, name: str, value: int) -> None:
    folder = root / name
    folder.mkdir(exist_ok=True)
    (folder / "energy_uj").write_text(f"{value}\n")
    (folder / "max_energy_range_uj").write_text("1000000\n")


def test_energy_is_what_the_packages_counted_over_their_turns(tmp_path: Path) -> None:
    for name, value in (("intel-rapl:0", 900_000), ("intel-rapl:1", 100), ("intel-rapl:0:0", 5)):
        counter(tmp_path, name, value)
    energy = vitals.Energy(tmp_path)
    counter(tmp_path, "intel-rapl:0", 950_000)
    counter(tmp_path, "intel-rapl:0:0", 500_000)
    assert energy.joules() == pytest.approx(0.05)
    counter(tmp_path, "intel-rapl:0", 50_000)  # went round once
    counter(tmp_path, "intel-rapl:1", 200_100)
    assert energy.joules() == pytest.approx(0.05 + 0.1 + 0.2)


def test_a_machine_without_counters_says_so_once(tmp_path: Path) -> None:
    lines: list[str] = []
    found = vitals.Vitals(CPU, lines.append, vitals.Energy(tmp_path / "nothing"))
    assert "energy_joules" not in found.read()
    found.read()
    assert len(lines) == 1


def test_memory_of_the_process_is_seen_to_grow() -> None:
    """In a process of its own: one that has freed much before may give the block out of what it still holds."""
    code = (
        "import numpy as np\nfrom modelyard.methods.training import vitals\nbefore = vitals.resident_bytes()\n"
        "block = np.ones(80_000_000, np.uint8)\nprint(before, vitals.resident_bytes(), block.nbytes)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    before, after, held = (int(word) for word in said.split())
    assert after - before > 0.8 * held


def test_curves_tell_memory_and_energy(tmp_path: Path, monkeypatch) -> None:
    counter(tmp_path, "intel-rapl:0", 0)
    monkeypatch.setattr(vitals.Energy.__init__, "__defaults__", (tmp_path,))
    points: dict[str, float] = {}
    run = make(tmp_path / "run", plan(), "cnn", Hooks(log=lambda step, **values: points.update(values)))
    counter(tmp_path, "intel-rapl:0", 250_000)
    run.advance()
    assert points["energy_joules"] == pytest.approx(0.25)
    assert points["memory_mib"] > 50
    assert {"gradient_norm", "tokens_per_second", "learning_rate", "loss"} <= points.keys()


# -- numbers that are none ---------------------------------------------------------------------------------------------


def test_numbers_that_are_none_are_found_before_training(tmp_path: Path) -> None:
    vocabulary, training, validation = read()
    training.weights[[3, 7]] = np.nan, np.inf
    with pytest.raises(InputError, match=r"weight: 2 rows \(row-3, row-7\)"):
        classification.train(network("cnn", vocabulary), training, validation, plan(), CPU, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_value_of_a_ragged_column_is_traced_to_its_row(tmp_path: Path) -> None:
    from modelyard.methods.training import batching

    triples = (np.array([0, 0, 2, 2]), np.array([1, 2, 3, 4]), np.array([1, 1, 1, np.nan], np.float32))
    rows = batching.ngram_rows(triples, np.array([0, 1, 1]), ["a", "b", "c"])
    with pytest.raises(InputError, match=r"ngram_weights: 1 rows \(c\)"):
        classification.train(nn.Linear(1, 2), rows, rows, plan(), CPU, tmp_path)


def test_every_column_with_broken_values_is_named_at_once() -> None:
    columns = {"a": np.array([[1.0, np.nan], [1, 1]]), "b": np.array([0.0, -np.inf]), "c": np.array([1.0, 2.0])}
    with pytest.raises(InputError, match=r"a: 1 rows \(x\); b: 1 rows \(y\)"):
        finite.require_finite(columns, ["x", "y"], "train")


def test_a_step_that_meets_a_broken_input_names_it(tmp_path: Path) -> None:
    batch = loop.Batch(inputs={"values": torch.tensor([1.0, float("nan")]), "ids": torch.tensor([1])}, names=["row-9"])
    error = finite.breakdown(float("nan"), 1.0, 5, 10, [batch])
    assert isinstance(error, StageError)
    assert all(word in str(error) for word in ("values", "row-9", "5"))
    assert "ids" not in str(error)
