"""What was found about columns that may know the answer, in words and as blocks of the report."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from modelyard.base.messages import t
from modelyard.methods.evaluation import blocks
from modelyard.methods.evaluation.blocks import Bar, Bars, Block, Figures, Phrase, Text
from modelyard.methods.evaluation.leaks import judging
from modelyard.methods.evaluation.leaks.judging import Told, Verdict

SHOWN = 30
LEAD = (
    "A column that tells more than the others together, or almost all, is often one that is only known after the "
    "outcome. Whether it is known when the model answers, only you can say; nothing was dropped."
)
_ALMOST = "`{name}` is almost the label: alone it reaches {measure} {alone:.3f}"
_BEATS = "`{name}` alone reaches {measure} {alone:.3f}, all other columns together {without:.3f}"
_CARRIES = "`{name}` carries the model: {measure} {together:.3f} with it, {without:.3f} without"
_MEAN = "`{name}` holds means of the label: its values are what they would predict, as of a category over all rows"
_MEAN_OF = "`{name}` holds means of the label by `{category}`, the rows themselves counted in"
_LEFT_OUT = "`{name}` holds means of the label by `{category}` without the row itself, which tells the row's label"
_WORD = "the word `{name}` is almost the label: alone it reaches {measure} {alone:.3f}"
ASK = "is it known when the model answers? then `known: [{name}]` in data.leaks; else leave it out of training"
"""One template a sign, and the question that follows."""


def phrases(told: Told, verdict: Verdict) -> list[Phrase]:
    """What speaks against a column, one phrase a sign."""
    return [_phrase(sign, told, verdict) for sign in told.signs]


def _phrase(sign: str, told: Told, verdict: Verdict) -> Phrase:
    values: dict[str, str | float] = {
        "name": told.name,
        "measure": "R²" if verdict.is_number else "AUC",
        "alone": told.alone.value,
    }
    if told.without is not None and told.together is not None:
        values |= {"without": told.without.value, "together": told.together.value}
    templates = {judging.ALMOST: _ALMOST, judging.BEATS: _BEATS, judging.CARRIES: _CARRIES, judging.WORD: _WORD}
    if sign == judging.MADE and told.encoded is not None:
        values["category"] = told.encoded.category
        template = _LEFT_OUT if told.encoded.left_out else _MEAN_OF if told.encoded.category else _MEAN
        return Phrase(template, values)
    return Phrase(templates[sign], values)


def sentence(told: Told, verdict: Verdict) -> str:
    """The same in the user's language, with the question to answer."""
    said = [t(one.template, **dict[str, Any](one.values)) for one in phrases(told, verdict)]
    if judging.WORD not in told.signs:
        said.append(t(ASK, name=told.name))
    return "; ".join(said)


def write(folder: Path, verdict: Verdict, known: Collection[str]) -> None:
    """`leaks.json`."""
    shown: list[Block] = [Figures("Columns that may know the answer", ("data.leak_columns", "data.id_columns"))]
    shown += [Text(LEAD)]
    for told in verdict.suspected:
        shown += [Text(phrase) for phrase in phrases(told, verdict)]
        if told.name in known:
            shown.append(Text(Phrase("`{name}` is named in `known`: it is not counted", {"name": told.name})))
    if not verdict.suspected:
        shown.append(Text("No column is suspected."))
    shown += [
        Text(Phrase("`{name}` names rows: most of its values occur once", {"name": told.name}))
        for told in verdict.naming
    ]
    if verdict.columns:
        title = "R² of each column alone" if verdict.is_number else "AUC of each column alone"
        bars = tuple(Bar(told.name, told.alone.value, *told.alone.interval) for told in verdict.columns[:SHOWN])
        shown.append(Bars(title, bars, "Out of fold, on the training rows."))
        unit = "r2" if verdict.is_number else "auc"
        shown.append(Figures("With and without", (f"data.{unit}_together", f"data.{unit}_without")))
    data = {
        "columns": [
            {
                "name": told.name,
                "alone": told.alone.value,
                "without": told.without.value if told.without else None,
                "signs": list(told.signs),
                "made_from": told.encoded.category if told.encoded else None,
                "names_rows": told.names_rows,
            }
            for told in verdict.columns
        ]
    }
    blocks.write(folder, "leaks", "Leaks", shown, data)
