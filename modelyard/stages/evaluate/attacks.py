"""Attacks a classifier with its own gradients, and says whether they are worth believing.

Images: FGSM, PGD and those of AutoAttack (APGD with cross-entropy and with the ratio of logits; Square, which needs no
gradient) on pixels (0 to 1), inside balls of L∞ and L2. Texts: the same but Square on token embeddings (radii in units
of the size that the model's vectors have), and words replaced by synonyms where the gradient says it hurts most. Beside
each stands noise of the same size, and signs of masked gradients are looked for: nearly zero gradients, an attack
without gradients that does more harm, an unbounded attack that leaves rows right, one step stronger than many, answers
that change when asked again. Where one shows, the accuracy under attack says little; `{claim:
attacks.masked_gradients, max: 0}` refuses it.

The model must be a network with gradients (train.*, formats `modelyard` and `hf`): attack what an export was made from.
The report holds `attacks.json`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from modelyard.base.canonical import Json
from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelyard.methods.evaluation.blocks import Block
    from modelyard.methods.evaluation.robustness.attacking import Found

Radius = Annotated[float, Field(gt=0, le=1000)]


class Config(BaseModel):
    """Settings of evaluate.attacks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(200, ge=1, le=100_000, description="test rows attacked at most, chosen by their ids (rows)")
    steps: int = Field(20, ge=2, le=1000, description="steps of PGD and APGD (steps)")
    queries: int = Field(
        100, ge=0, le=100_000, description="images: queries of Square for each row; 0: leave it out (queries)"
    )
    linf: tuple[Radius, ...] = Field(
        (), max_length=8, description="radii of L∞: pixels from 0 to 1, or sizes of a vector's number; none: usual ones"
    )
    l2: tuple[Radius, ...] = Field(
        (), max_length=8, description="radii of L2 of a whole row, in the same units; none: usual ones"
    )
    words: int = Field(3, ge=0, le=50, description="texts: words replaced at most; 0: leave that attack out (words)")
    synonyms: str | None = Field(
        None, min_length=1, max_length=1000, description="file of your own synonyms, one group a line; else built in"
    )
    examples: int = Field(10, ge=0, le=200, description="turned texts kept in the report (rows)")
    batch_rows: int = Field(64, ge=1, le=4096, description="rows attacked at a time (rows)")


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.augmentation.lexicon import Lexicon, read_groups
    from modelyard.methods.evaluation import blocks
    from modelyard.methods.evaluation.robustness import attacking
    from modelyard.methods.runtimes.differentiable import open_differentiable

    model = open_differentiable(context.input("model"))
    records, row_ids, labels = _rows(config, context, model)
    lexicon = Lexicon.of(read_groups(context.base / config.synonyms)) if config.synonyms else None
    settings = attacking.Settings(config.steps, config.words, config.batch_rows, config.linf, config.l2, config.queries)
    found = attacking.run(
        model, records, row_ids, labels, settings, context.seed, lexicon,
        lambda done, total: context.progress(done, total, "attacks"),
    )  # fmt: skip
    for one in found.estimates:
        context.measure(
            f"attacks.{one.name}",
            one.value,
            about="model",
            on="data/test",
            n=one.n,
            interval=one.interval or "exact",
            slice=one.slice,
        )
    for sign in found.flags:
        context.say(t("masked gradients? {sign}: accuracy under attack says little", sign=t(sign)))
    blocks.write(context.output("report"), "attacks", "Attacks", _blocks(found, config.examples))


def _rows(config: Config, context: Context, model: Any) -> tuple[list[Any], list[str], Any]:
    """Records, row ids and class numbers of the rows to attack."""
    import numpy as np

    from modelyard.errors import InputError
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation.measuring.judged import judged
    from modelyard.methods.evaluation.robustness.judging import some_places

    task, known = model.card.task, list(model.labels)
    if task not in ("text-classification", "image-classification"):
        raise InputError(
            t("models of the task `{task}` are not attacked yet", task=task),
            expected="text-classification, image-classification",
        )
    data = Dataset.open(context.input("data"))
    examples = judged(data, "test", task, known)
    places = some_places(examples, config.rows, context.seed)
    if not places:
        raise InputError(t("the split has no row that can be judged"), expected=t("labelled rows to measure on"))
    labels = np.array([known.index(examples.truths[place]) for place in places], np.int64)
    return examples.pick(places), [examples.row_ids[place] for place in places], labels


def _blocks(found: Found, most: int) -> Sequence[Block]:
    from modelyard.methods.evaluation.blocks import Figures, Lines, Series, Table, Text

    drawn: list[Block] = [Figures("Under attack", ("attacks.",))]
    if found.flags:
        drawn.append(Text("Gradients may be masked: the accuracy under attack says little about this model."))
        drawn.append(Table("Signs of masked gradients", ("sign",), tuple((sign,) for sign in found.flags)))
    for norm in ("linf", "l2"):
        of_norm = [one for one in found.estimates if one.slice.get("norm") == norm]
        names = dict.fromkeys(one.slice["attack"] for one in of_norm)
        clean = found.estimates[0].value
        series = tuple(
            Series(
                name,
                ((0.0, clean), *((float(o.slice["radius"]), o.value) for o in of_norm if o.slice["attack"] == name)),
            )
            for name in names
        )
        if series:
            drawn.append(Lines(f"Attacks inside {norm}", "radius", "accuracy", series))
    if found.turned and most:
        drawn.append(Table("Texts that words turned", ("row", "before", "after"), found.turned[:most]))
    return drawn


def fingerprint(config: Config, base: Path) -> Json:
    """Digest of the file of synonyms."""
    from modelyard.methods.data.augmentation.digests import digest_of

    return digest_of(config.synonyms, base) if config.synonyms else None


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="a network with gradients"),
        "data": Port("dataset", ("test",), description="rows to attack"),
    },
    outputs={"report": Port("report", description="attacks.json")},
    claims=(
        Claim("attacks.accuracy", "share of rows still right; by attack, norm and radius", sizing="rate"),
        Claim(
            "attacks.success_rate",
            "share of the rows that were right which an attack turned; by attack, norm and radius",
            better="lower",
            sizing="rate",
        ),
        Claim("attacks.worst_accuracy", "share of rows that are right under every attack", sizing="rate"),
        Claim("attacks.masked_gradients", "signs of masked gradients that show, of five", better="lower"),
    ),
    libraries=("numpy", "scipy", "pyarrow", "pillow", "tokenizers", "torch", "transformers", "pypinyin"),
    loads=MODEL_CODE,
    external=("synonyms",),
    fingerprint=fingerprint,
)
