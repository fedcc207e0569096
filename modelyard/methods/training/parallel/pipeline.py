"""Layers one after the other in several processes: GPipe (Huang et al. 2019) and 1F1B (Narayanan et al. 2019), by
torch.distributed.pipelining.

Every stage runs the same objective over the same batches: layers of other stages are left out, the first of its own
takes what the stage before sent, and where its layers end the pass ends too. So any network of layers in a row can be
cut, and any objective be learned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.pipelining import PipelineStage, Schedule1F1B, ScheduleGPipe

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.training import checkpoints, parameters
from modelyard.methods.training.axes import Batch, Objective
from modelyard.methods.training.microbatches import Divisible
from modelyard.methods.training.parallel import world
from modelyard.methods.training.parallel.compression import Summed
from modelyard.methods.training.parallel.cut import Cut, grad_of
from modelyard.methods.training.parallel.layout import Layout
from modelyard.methods.training.parallel.parts import local
from modelyard.methods.training.parallel.places import Enter, Reached, leave_out, named_twice
from modelyard.methods.training.parallel.together import Back, Forward, Parts, Share
from modelyard.methods.training.plan import Plan


class Pipelined(Cut):
    """Stages along `pipeline`, tensors along `tensor`, whole pipelines along `data`."""

    def __init__(self, module: nn.Module, layout: Layout, device: torch.device, plan: Plan) -> None:
        self._plan, self._enter = plan, Enter()
        super().__init__(module, layout, device)
        self._group = self.mesh.get_group("pipeline")
        self.place = (self.number,) if self.number else ()
        self._stage = _Stage(self.module, self._enter, self.is_last)
        self._whole_module = _Whole(self)
        self._schedules: dict[tuple[int, ...], Any] = {}

    @property
    def number(self) -> int:
        """Of this process's stage."""
        return self.mesh.get_local_rank("pipeline")

    @property
    def is_last(self) -> bool:
        return self.number == self.layout.pipeline - 1

    # -- cutting -------------------------------------------------------------------------------------------------

    def _cut(self, module: nn.Module) -> nn.Module:
        module = super()._cut(module)
        layers = parameters.longest_stack(module)
        stages = self.layout.pipeline
        if len(layers) < stages:
            raise InputError(
                t("{count} layers cannot be cut into {stages} stages", count=len(layers), stages=stages),
                where="parallel.pipeline",
                expected=t("a network of at least as many layers"),
            )
        depth, top = parameters.depths(module)
        shared = named_twice(module)
        bounds = [len(layers) * stage // stages for stage in range(stages + 1)]
        first, end = bounds[self.number], bounds[self.number + 1]
        self._tied = []
        for parameter in module.parameters():
            at = depth[id(parameter)]
            mine = first < at <= end or (at == 0 and self.number == 0) or (at == top and self.is_last)
            tied = id(parameter) in shared
            if tied and parameter.requires_grad and self.number in (0, stages - 1):
                self._tied.append(parameter)
            if not mine and not (tied and self.is_last):
                parameter.requires_grad = False
                if at == top:
                    parameter.data = parameter.data.new_empty(0)
        leave_out(module, layers, first, end, self._enter)
        return module

    # -- passes --------------------------------------------------------------------------------------------------

    def passes(self, shares: Sequence[Share], objective: Objective, forward: Forward, back: Back) -> float:
        """Forward and back through all stages, in the schedule's order."""
        found = 0.0
        parts = [part for share in shares for part in self._micro(share, objective)]
        for shape, places in _alike(parts).items():
            numbered = [(parts[place], place) for place in places]
            self._stage.compute = partial(self._forward, forward, numbered)
            losses: list[Tensor] = []
            count = torch.arange(len(places))
            schedule = self._schedule(shape, len(places))
            dummy = () if self.number else (torch.zeros(len(places), 1, device=self.device),)
            schedule.step(*dummy, target=count, losses=losses, return_outputs=False, place=count)
            found += sum(float(loss.detach()) for loss in losses)
        return found

    def _forward(self, forward: Forward, parts: Sequence[tuple[Share, int]], place: int) -> Tensor:
        return forward(self.module, *parts[place])

    def _micro(self, share: Share, objective: Objective) -> list[Share]:
        if not isinstance(objective, Divisible):
            return [share]
        count = self._plan.parallel.microbatches or 2 * self.layout.pipeline
        rows = -(-objective.rows(share.batch) // count)
        return [Share(part, share.factor) for part in objective.split(share.batch, rows)]

    def _schedule(self, shape: tuple[int, ...], count: int) -> Any:
        key = (*shape, count)
        if key not in self._schedules:
            width = parameters_width(self.module)
            hidden = torch.empty(*shape, width, device="meta", requires_grad=True)
            stage = PipelineStage(
                self._stage,
                self.number,
                self.layout.pipeline,
                self.device,
                input_args=hidden if self.number else torch.zeros(1, 1),
                output_args=torch.empty((), device="meta", requires_grad=True) if self.is_last else hidden,
                group=self._group,
            )
            wanted = Schedule1F1B if self._plan.parallel.schedule == "1f1b" else ScheduleGPipe
            kind = ScheduleGPipe if count < self.layout.pipeline else wanted
            self._schedules[key] = kind(stage, count, loss_fn=lambda output, target: output, scale_grads=False)
        return self._schedules[key]

    def reduce(self) -> None:
        super().reduce()
        if self._shares_weights:
            width = sum(local(one).numel() for one in self._tied)
            size = int(world.largest(width, self.device, self._group))
            flat = torch.zeros(size, device=self.device)
            if self._tied:
                flat[:width] = torch.cat([local(grad_of(one)).reshape(-1) for one in self._tied])
            Summed(group=self._group)([flat])
            for one in self._tied:
                taken, flat = flat[: local(one).numel()], flat[local(one).numel() :]
                local(grad_of(one)).copy_(taken.view_as(local(one)))

    @property
    def _shares_weights(self) -> bool:
        return len(self._aliases) > len(set(self._aliases.values()))

    def _norm(self, gradients: Sequence[Tensor]) -> float:
        twice = {id(grad_of(one)) for one in self._tied} if self.number else set()
        return super()._norm([one for one in gradients if id(one) not in twice])

    def _over_stages(self, squares: Tensor) -> Tensor:
        dist.all_reduce(squares, group=self._group)
        return squares

    @contextmanager
    def judged(self) -> Iterator[nn.Module]:
        yield self._whole_module

    # -- keeping -------------------------------------------------------------------------------------------------

    def packed(self, parts: Parts) -> Parts:
        whole = {name: self._whole(part, everywhere=True) for name, part in parts.items()}
        whole["optimizer"] = self._numbered(whole["optimizer"])
        return self._merged(whole)

    def _merged(self, mine: Mapping[str, Mapping[str, Tensor]]) -> dict[str, dict[str, Tensor]]:
        """The parts of all stages together; where two have the same, the first's."""
        boxes: list[Any] = [None] * self.layout.pipeline
        dist.all_gather_object(boxes, dict(mine), group=self._group)
        return {name: {key: one for box in reversed(boxes) for key, one in box[name].items()} for name in mine}

    def like_weights(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        own = checkpoints.trained_state(self.module).keys()
        return super().like_weights({name: one for name, one in tensors.items() if name in own})

    def finish(self, best: Mapping[str, Tensor]) -> None:
        whole = self._merged({"best": self._whole(best, everywhere=True)})["best"]
        checkpoints.restore_trained(self.plain, whole)
        self.plain.eval()


class _Stage(nn.Module):
    """What PipelineStage runs: one part of a batch through this process's layers, to the loss in the last stage."""

    def __init__(self, module: nn.Module, enter: Enter, is_last: bool) -> None:
        super().__init__()
        self.module = module
        self._enter, self._is_last = enter, is_last
        self.compute: Callable[[int], Tensor] = lambda place: torch.zeros(())

    def forward(self, hidden: Tensor | None = None, place: Tensor | None = None) -> Tensor:
        assert place is not None
        self._enter.hidden = hidden
        try:
            return self.compute(int(place))
        except Reached as reached:
            return reached.hidden


class _Whole(nn.Module):
    """All stages as one module, to look at what it answers: each stage in turn, the answer to all."""

    def __init__(self, pipelined: Pipelined) -> None:
        super().__init__()
        self.module = pipelined.module
        self._pipelined = (pipelined,)

    def forward(self, *inputs: Any, **named: Any) -> Tensor:
        pipelined = self._pipelined[0]
        passed: Tensor | None = None
        for stage in range(pipelined.layout.pipeline):
            if stage == pipelined.number:
                pipelined._enter.hidden = passed
                try:
                    answer = self.module(*inputs, **named)
                    passed = answer if isinstance(answer, Tensor) else answer.logits
                except Reached as reached:
                    passed = reached.hidden
            passed = world.sent(passed, stage, pipelined.device, pipelined._group)
        assert passed is not None
        return passed


def _alike(parts: Sequence[Share]) -> dict[tuple[int, ...], list[int]]:
    """Numbers of the parts by the shape of their inputs."""
    found: dict[tuple[int, ...], list[int]] = {}
    for place, part in enumerate(parts):
        found.setdefault(_shape(part.batch), []).append(place)
    return found


def _shape(batch: Batch) -> tuple[int, ...]:
    ids = batch.inputs.get("input_ids")
    if ids is None:
        raise InputError(
            t("a pipeline is for networks that read tokens"),
            where="parallel.pipeline",
            remedy=t("use `layout: shard`, which cuts any network"),
        )
    return tuple(ids.shape)


def parameters_width(module: nn.Module) -> int:
    """Of the hidden states between layers."""
    from modelyard.methods.training.parallel.tensor import configuration

    return int(getattr(configuration(module), "hidden_size", 0))
