"""What the folds measured, gathered: their mean with its interval, and a table of the folds themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelyard.base.messages import t
from modelyard.core.evidence import TASK, Claim, Evidence
from modelyard.core.stage import Context
from modelyard.engine.repeat.settings import FoldsConfig

FAMILY = "folds"
CUT, REPORT, PREDICTIONS = "data", "report", "predictions"
TOLD = 12
Measured = Mapping[tuple[str, str, str], Evidence]
"""What one fold measured on its held-out part, by listed step, claim and task (`` if the model has one alone)."""


def folded(claim: Claim, by: str) -> Claim:
    """The claim of the mean over the folds."""
    name = claim.name.partition(".")[2].removeprefix("validation_")
    words = f"mean over the folds of {claim.name}"
    if by == "time":
        words = f"mean over blocks in the order of time of {claim.name}; the interval is approximate"
    return Claim(f"{FAMILY}.{name}", words, claim.unit, claim.better, any_split=True)


def gather(
    config: FoldsConfig,
    context: Context,
    scores: Sequence[tuple[str, Claim]],
    measured: Sequence[Measured],
    chosen: Sequence[Mapping[str, Any]],
) -> None:
    """Measure the means, write the report, and have the models answer the rows they did not see.

    Args:
        scores: listed step and its claim.
        measured: by fold.
        chosen: by fold the settings that its search chose; empty without one.
    """
    from modelyard.methods.evaluation import cross_validation

    cuts = [cross_validation.look(folder) for folder in context.inputs(CUT)]
    found = []
    for step, claim in scores:
        own = folded(claim, config.by)
        for task in sorted({key[2] for fold in measured for key in fold if key[:2] == (step, claim.name)}):
            values = [fold[step, claim.name, task] for fold in measured if (step, claim.name, task) in fold]
            if len(values) < len(cuts):
                continue  # measured without data, by class, or not in every fold
            part = {TASK: task} if task else {}
            num_rows = sum(item.n for item in values) if task else None
            score = cross_validation.summarise(
                own.name, claim.name, [item.value for item in values], cuts, task, num_rows
            )
            context.measure(own.name, score.mean, about=REPORT, on="", n=score.n, unit=own.unit,
                            interval=score.interval, slice=part)  # fmt: skip
            if config.by == "time":  # no two folds are alike: each is a figure of its own
                for number, item in enumerate(values, 1):
                    context.measure(own.name, item.value, about=REPORT, on="", n=item.n, unit=own.unit,
                                    interval=item.interval, slice={**part, "fold": str(number)})  # fmt: skip
            found.append(score)
    for score in found[:TOLD]:
        context.say(_line(score))
    cross_validation.write(context.output(REPORT), config.by, config.model_dump(mode="json"), cuts, found, chosen)
    if config.predictions:
        from modelyard.methods.evaluation.out_of_fold import write_predictions

        pairs = list(zip(context.inputs("models"), context.inputs(CUT), strict=True))
        write_predictions(
            pairs, context.output(PREDICTIONS), config.batch_rows, lambda done, of: context.progress(done, of, "rows")
        )


def _line(score: Any) -> str:
    values = ", ".join(f"{value:.4g}" for value in score.folds)
    claim = f"{score.claim} [{TASK}={score.task}]" if score.task else score.claim
    if score.interval is None:
        return t("{claim} {mean:.4g}, the same in all folds: no interval", claim=claim, mean=score.mean)
    low, high = score.interval
    return t("{claim} {mean:.4g}, 95 % interval {low:.4g} to {high:.4g} (folds: {values})", claim=claim,
             mean=score.mean, low=low, high=high, values=values)  # fmt: skip
