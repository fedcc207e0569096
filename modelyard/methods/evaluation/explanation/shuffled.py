"""A model folder with the same architecture and shuffled weights, for the sanity check."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np

from modelyard.methods.runtimes import gbdt
from modelyard.methods.runtimes.model_folder import GOLDEN, ModelCard

FORMATS = ("gbdt", "hf", "modelyard")
_LEAVES = re.compile(r"^leaf_value=(.*)$", re.MULTILINE)


def shuffled(folder: Path, target: Path, seed: int) -> None:
    """Write to `target` the model with the numbers of every tensor in another order; of trees, the leaves'.

    The spread of the weights stays, what was learned goes. The format is one of FORMATS.
    """
    card = ModelCard.read(folder)
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns(GOLDEN))
    if card.format == "gbdt":
        _shuffle_trees(target / gbdt.FILE, seed)
    else:
        _shuffle_tensors(target / "model.safetensors", seed)


def _shuffle_tensors(path: Path, seed: int) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    made = {}
    for place, (name, tensor) in enumerate(sorted(load_file(path).items())):
        order = np.random.default_rng([seed, place]).permutation(tensor.numel())
        # Counts and running variances are no weights: of them the order stays.
        keep = not tensor.is_floating_point() or name.endswith("running_var")
        made[name] = tensor if keep else tensor.flatten()[torch.from_numpy(order)].reshape(tensor.shape)
    save_file({name: tensor.contiguous() for name, tensor in made.items()}, path, metadata={"format": "pt"})


def _shuffle_trees(path: Path, seed: int) -> None:
    text = path.read_text(encoding="utf-8")
    every = [value for match in _LEAVES.finditer(text) for value in match.group(1).split()]
    order = iter(np.random.default_rng(seed).permutation(len(every)).tolist())
    head, mark, blocks = text.partition("\n\n")

    def another(match: re.Match[str]) -> str:
        return "leaf_value=" + " ".join(every[next(order)] for _ in match.group(1).split())

    sizes, parts = [], re.split(r"(?m)^(?=Tree=|end of trees)", blocks)
    for place, part in enumerate(parts):
        parts[place] = _LEAVES.sub(another, part)
        if part.startswith("Tree="):
            sizes.append(str(len(parts[place].encode())))
    head = re.sub(r"(?m)^tree_sizes=.*$", "tree_sizes=" + " ".join(sizes), head)
    path.write_text(head + mark + "".join(parts), encoding="utf-8")
