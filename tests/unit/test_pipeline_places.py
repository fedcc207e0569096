"""What stands in a stage of a pipeline in the place of other stages' layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from modelyard.methods.training.parallel.places import Blank, Enter, Leave, Pass, Reached, leave_out, named_twice


class Tower(nn.Module):
    """An embedding, four layers and a head tied to the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(4))
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids: Tensor) -> Tensor:
        hidden = self.embedding(ids)
        for layer in self.layers:
            hidden = layer(hidden)
        answer: Tensor = self.head(hidden)
        return answer


def test_stages_one_after_the_other_compute_what_the_whole_does() -> None:
    torch.manual_seed(0)
    whole = Tower()
    ids, passed = torch.tensor([[1, 2, 3]]), None
    for first, end in ((0, 1), (1, 3), (3, 4)):
        stage, enter = Tower(), Enter()
        stage.load_state_dict(whole.state_dict())
        leave_out(stage, list(stage.layers), first, end, enter)
        kinds = [type(layer) for layer in stage.layers]
        assert [kind is nn.Linear for kind in kinds] == [first <= place < end for place in range(4)]
        assert all(kind in (nn.Linear, Enter, Leave, Pass) for kind in kinds)
        assert isinstance(stage.embedding, Blank) == (first > 0)
        enter.hidden = passed
        try:
            passed = stage(ids)
        except Reached as reached:
            passed = reached.hidden
    torch.testing.assert_close(passed, whole(ids))


def test_parameters_of_several_names_are_found() -> None:
    tower = Tower()
    assert named_twice(tower) == {id(tower.embedding.weight)}
