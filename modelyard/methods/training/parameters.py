"""What the parameters of a network are for: which are inside it, and how deep each one lies."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)


def hidden_matrices(module: nn.Module) -> set[int]:
    """Ids of the matrices and filters between the embeddings and the head: what Muon is for.

    The head is what a transformers model has around its `base_model` and its output embeddings; in other networks the
    last matrix. A matrix that is also an embedding (tied weights) is an embedding.
    """
    outside = {id(p) for part in module.modules() if isinstance(part, EMBEDDINGS) for p in part.parameters()}
    matrices = [p for p in module.parameters() if p.ndim >= 2]
    heads = _heads(module)
    if heads is None:
        heads = {id(p) for p in matrices[-1:]}
    return {id(p) for p in matrices} - outside - heads


def _heads(module: nn.Module) -> set[int] | None:
    """Ids of the head's parameters in a network of transformers, or None if there is none inside."""
    for part in module.modules():
        base = getattr(part, "base_model", None)
        if not isinstance(base, nn.Module) or not hasattr(part, "config"):
            continue
        inside = {id(p) for p in base.parameters()} if base is not part else {id(p) for p in part.parameters()}
        around = {id(p) for p in module.parameters()} - inside
        return around
    return None


def depths(module: nn.Module) -> tuple[dict[int, int], int]:
    """(depth of each parameter by its id, depth of the head).

    Depth 0 is what comes before the layers (embeddings), layer k of the longest stack of like modules has depth k + 1,
    and what is after or around it (head, pooler, last norm) is the deepest. Without a stack, embeddings are 0 and the
    rest 1.
    """
    stack = longest_stack(module)
    top = len(stack) + 1 if stack else 1
    found: dict[int, int] = {}
    for part in module.modules():
        if isinstance(part, EMBEDDINGS):
            _note(found, part.parameters(), 0)
    for position, layer in enumerate(stack):
        _note(found, layer.parameters(), position + 1)
    before = bool(stack)
    inside = {id(p) for layer in stack for p in layer.parameters()}
    for parameter in module.parameters():
        if id(parameter) in inside:
            before = False
        # Norms and projections of the embeddings are registered before the first layer.
        found.setdefault(id(parameter), 0 if before else top)
    return found, top


def _note(found: dict[int, int], parameters: Iterable[nn.Parameter], depth: int) -> None:
    for parameter in parameters:
        found.setdefault(id(parameter), depth)


def longest_stack(module: nn.Module) -> list[nn.Module]:
    """The layers of the longest `ModuleList` of like modules that have parts of their own; empty if there is none."""
    stacks = [list(part) for part in module.modules() if isinstance(part, nn.ModuleList)]
    layers = [stack for stack in stacks if len(stack) > 1 and len({type(one) for one in stack}) == 1]
    composed = [stack for stack in layers if any(True for _ in stack[0].children())]
    return max(composed, key=len, default=[])
