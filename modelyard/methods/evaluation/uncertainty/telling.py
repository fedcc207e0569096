"""What a user hears of uncertainty while it is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelyard.base.messages import t
from modelyard.methods.evaluation.estimates import Estimate


def of_coverage(found: Sequence[Estimate], goal: float | None) -> list[str]:
    """Coverage of all rows, and which parts are covered less than promised.

    Args:
        found: as `estimating.of_enclosures` gives them, all rows first.
        goal: what the model promises; None if it does not say.
    """
    low, high = found[0].interval or (0.0, 1.0)
    said = [
        t(
            "coverage {value} ({low} to {high}), goal {goal}",
            value=f"{found[0].value:.1%}",
            low=f"{low:.1%}",
            high=f"{high:.1%}",
            goal="-" if goal is None else f"{goal:.0%}",
        )
    ]
    parts = [one for one in found if one.name == "coverage" and one.slice and one.interval]
    short = [one for one in parts if goal is not None and one.interval and one.interval[1] < goal]
    if short:
        named = "; ".join(f"{part(one.slice)}: {one.value:.0%}" for one in short[:5])
        said.append(
            t("{n} of {total} parts are covered less than that: {named}", n=len(short), total=len(parts), named=named)
        )
    return said


def part(rows: Mapping[str, str]) -> str:
    """A slice in words: `class bad`, `labels in the set: 1`, `city = Ulm`."""
    known = {
        "class": "class {value}",
        "labels": "labels in the set: {value}",
        "width": "width of the interval: {value}",
    }
    return ", ".join(t(known.get(key, "{key} = {value}"), key=key, value=value) for key, value in rows.items())


def score(name: str) -> str:
    """A score of doubt or strangeness in words."""
    known = {
        "confidence": "confidence",
        "entropy": "entropy",
        "predictive_entropy": "predictive entropy",
        "aleatoric": "aleatoric uncertainty",
        "epistemic": "epistemic uncertainty",
        "energy": "energy",
        "mahalanobis": "Mahalanobis distance",
    }
    return t(known.get(name, name))
