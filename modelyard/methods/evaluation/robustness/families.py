"""Which changes a model's records have: a closed table by the kind of record."""

from __future__ import annotations

from collections.abc import Sequence

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.augmentation.lexicon import Lexicon
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.evaluation.robustness.perturbation import Perturbation

Groups = Sequence[tuple[str, ...]]


def of_kind(
    kind: str, data: Dataset, lexicon: Lexicon | None = None, entities: Groups | None = None, task: str = ""
) -> list[Perturbation]:
    """All changes of texts, images or tables, as `Fields.kind` names them; spans move with the edits."""
    if kind == "image":
        from modelyard.methods.evaluation.robustness import corruptions

        return corruptions.perturbations()
    if kind == "table":
        from modelyard.methods.evaluation.robustness import tables

        return tables.perturbations(tables.Columns.of(data))
    if task == "token-classification":
        from modelyard.methods.evaluation.robustness import marked

        return marked.perturbations(lexicon, entities)
    from modelyard.methods.evaluation.robustness import texts

    return texts.perturbations(lexicon, entities)


def chosen(every: Sequence[Perturbation], kinds: Sequence[str], severities: Sequence[int]) -> list[Perturbation]:
    """Those of the kinds and severities asked for; all where nothing is. Raises InputError for an unknown kind."""
    there = list(dict.fromkeys(one.kind for one in every))
    unknown = [kind for kind in kinds if kind not in there]
    if unknown:
        raise InputError(
            t("no such change for these records: {kinds}", kinds=", ".join(unknown)),
            where="kinds",
            expected=", ".join(there),
        )
    highest = {kind: max(one.severity for one in every if one.kind == kind) for kind in there}
    return [
        one
        for one in every
        if (not kinds or one.kind in kinds) and (not severities or one.severity in severities or highest[one.kind] == 1)
    ]
