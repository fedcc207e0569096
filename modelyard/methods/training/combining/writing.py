"""Writing an ensemble as a model folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelyard.base.messages import t
from modelyard.errors import InputError, Problem
from modelyard.methods.runtimes import combination, members
from modelyard.methods.runtimes.combination import Combination
from modelyard.methods.runtimes.golden import write_golden
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.predictor import Record

DIGITS = 6
"""Of a weight: more would change no answer."""


def check_members(cards: Sequence[ModelCard]) -> None:
    """Raises InputError with everything that keeps these models from answering as one."""
    first = cards[0]
    problems = []
    if first.task not in (*combination.SCORED, *combination.VALUED):
        found = t("models for {task} cannot be combined into one answer", task=first.task)
        known = ", ".join((*combination.SCORED, *combination.VALUED))
        problems.append(Problem("models", found, known))
    for place, card in enumerate(cards[1:], 2):
        where = t("model {number}", number=place)
        if card.task != first.task:
            found = t("it is for {found}, the first for {task}", found=card.task, task=first.task)
            problems.append(Problem(where, found, t("models of one task")))
        elif set(card.labels) != set(first.labels):
            other = ", ".join(sorted(set(card.labels) ^ set(first.labels))[:5])
            found = t("its labels differ from those of the first model: {labels}", labels=other)
            problems.append(Problem(where, found, ", ".join(first.labels[:10]), t("train all models on the same data")))
    if problems:
        raise InputError.of(problems)


def spec(combine: Combination, names: Sequence[str]) -> dict[str, Any]:
    """The combination as `model.json` has it."""
    found: dict[str, Any] = {"kind": combine.kind, "members": list(names)}
    if combine.kind == "average":
        found["over"] = combine.over
    if combine.weights is not None:
        found["weights"] = [round(float(weight), DIGITS) for weight in combine.weights]
    return found


def write_ensemble(
    sources: Sequence[Path],
    folder: Path,
    combine: Combination,
    provenance: Mapping[str, Any],
    licence: str,
    golden: Sequence[Record],
) -> None:
    """Copy the members into `members/1`, `members/2`, … and write model.json, the stack and golden answers.

    Args:
        golden: records to make golden answers from.

    Raises:
        InputError: the models do not fit together.
    """
    cards = [ModelCard.read(source) for source in sources]
    check_members(cards)
    names = [f"members/{number}" for number in range(1, len(sources) + 1)]
    for source, name in zip(sources, names, strict=True):
        shutil.copytree(source, folder / name, copy_function=shutil.copyfile)
    if combine.stack is not None:
        # Heavy only here: an average needs no safetensors.
        from modelyard.methods.runtimes.ensemble import save_stack

        save_stack(combine.stack, folder)
    card = ModelCard(
        task=cards[0].task,
        format=members.FORMAT,
        labels=cards[0].labels,
        preprocessing=dict(members.PREPROCESSING),
        network=spec(combine, names),
        inputs={name: value for card in reversed(cards) for name, value in card.inputs.items()},
        outputs=dict(cards[0].outputs),
        provenance=dict(provenance),
        licence=licence,
        repairs=cards[0].repairs if all(card.repairs == cards[0].repairs for card in cards) else (),
        precision=cards[0].precision if len({card.precision for card in cards}) == 1 else "mixed",
    )
    card.write(folder)
    write_golden(folder, golden)


def licence_of(cards: Sequence[ModelCard]) -> str:
    """The members' licence: all of them hold at once. Unknown if one is."""
    found = list(dict.fromkeys(card.licence for card in cards))
    if "unknown" in found:
        return "unknown"
    return found[0] if len(found) == 1 else " AND ".join(f"({one})" if " " in one else one for one in found)
