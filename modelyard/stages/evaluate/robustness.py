"""Measures how right the model stays when its inputs are garbled, or come from elsewhere.

Every test row (at most `rows`) is changed in each way its kind of record has, and asked again through the predictor.
Texts, in Chinese and English: typos, homophones, similar glyphs, synonyms, word order, case, punctuation, full width,
trailing noise; swapped names and negations are checks of their own. Images: the fifteen corruptions of ImageNet-C at
five severities. Tables: missing, shifted and swapped values, another unit, unseen categories. What is measured under
each: accuracy, and the drop against the same rows unchanged with a paired interval; and the worst case, in which a row
counts only if it is right under every change. Numbers have their RMSE instead. Spans of a text move with the edits, and
have their F1 beside the share of texts whose spans are all right.

`by` names a column (a source, a domain, a date): accuracy by its values, and each one's gap to all other rows.

A `reference` (any step's model, `model.release` too) is asked the same changed rows: `robustness.mce` is the mean over
kinds of the errors divided by its errors, `robustness.relative_mce` the same of what the changes cost (Hendrycks and
Dietterich 2019); 1 is the reference.

The report holds `robustness.json`, with rows that a change turned.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from modelyard.base.canonical import Json
from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE, MODEL_LIBRARIES
from modelyard.methods.data.settings import ColumnName

if TYPE_CHECKING:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation.estimates import Estimate
    from modelyard.methods.evaluation.measuring.examples import Examples
    from modelyard.methods.evaluation.robustness.judging import Judged
    from modelyard.methods.evaluation.robustness.perturbation import Perturbation
    from modelyard.methods.runtimes.predictor import Predictor

PathText = Annotated[str, Field(min_length=1, max_length=1000)]
Kind = Annotated[str, Field(min_length=1, max_length=100)]


PAIRED = ("mce", "corruption_error", "relative_mce", "relative_corruption_error")


class Config(BaseModel):
    """Settings of evaluate.robustness."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kinds: tuple[Kind, ...] = Field((), max_length=100, description="changes to make; none named: all there are")
    severities: tuple[Annotated[int, Field(ge=1, le=5)], ...] = Field(
        (), max_length=5, description="only these severities, where a change has several; none named: all"
    )
    rows: int = Field(1000, ge=1, le=1_000_000, description="test rows asked at most, chosen by their ids (rows)")
    synonyms: PathText | None = Field(None, description="file of your own synonyms, one group a line; else built in")
    entities: PathText | None = Field(
        None, description="file of names that may stand for each other, one group a line; else built in"
    )
    by: ColumnName | None = Field(None, description="column whose values are slices: a source, a domain, a date")
    slices: int = Field(10, ge=2, le=200, description="slices of `by` at most; numbers and dates get so many parts")
    least: int = Field(20, ge=2, le=1_000_000, description="slices with fewer rows are too small to be measured (rows)")
    examples: int = Field(20, ge=0, le=200, description="rows whose answer a change turned, kept in the report (rows)")
    texts: bool = Field(True, description="show those rows; off keeps none")
    batch_rows: int = Field(256, ge=1, le=8192, description="rows given to the model at a time (rows)")
    threads: int | None = Field(None, ge=1, le=1024, description="threads of the runtime (threads); none: all cores")


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation import blocks
    from modelyard.methods.evaluation.measuring.family import Shown
    from modelyard.methods.evaluation.measuring.judged import judged as judged_rows
    from modelyard.methods.evaluation.opening import opened
    from modelyard.methods.evaluation.robustness import judging, showing, summary

    data = Dataset.open(context.input("data"))
    judging.refuse_recorded(context.input("model"))
    with opened(context.input("model"), config.threads) as predictor:
        judging.error_by_task(predictor.task)
        task = predictor.task
        examples = judged_rows(data, "test", task, predictor.labels)
        kind = examples.reader.fields.kind
        perturbations = _perturbations(config, context, data, kind, task)
        judged = _judge(config, context, predictor, examples, perturbations)
    judging.refuse_unanswered(judged)
    estimates = summary.estimates(judged, context.seed)
    if context.bound("reference"):
        estimates += _beside_reference(config, context, task, examples, perturbations, judged)
    elif kind == "image":
        context.say(t("the mean corruption error stands alone: no reference is named (`in: {reference: STEP}`)"))
    if config.by is not None:
        estimates += _by_slice(config, context, examples, judged)
    for one in estimates:
        _measure(context, one)
    known = {one.slice["kind"] for one in estimates if "kind" in one.slice}
    left = [kind for kind in dict.fromkeys(one.kind for one in perturbations) if kind not in known]
    _say(context, judged, estimates, left)
    shown = Shown(config.examples, config.texts)
    about = {"rows": len(judged.row_ids), "left_out": list(examples.left_out), "not_applicable": left}
    about["refused"] = {f"{kind} {severity}": count for (kind, severity), count in judged.refused.items()}
    drawn = showing.blocks(judged, estimates, shown, left)
    blocks.write(context.output("report"), "robustness", "Robustness", drawn, about)


def _perturbations(config: Config, context: Context, data: Dataset, kind: str, task: str) -> list[Perturbation]:
    from modelyard.methods.data.augmentation.lexicon import Lexicon, read_groups
    from modelyard.methods.evaluation.robustness import families

    lexicon = Lexicon.of(read_groups(context.base / config.synonyms)) if config.synonyms else None
    entities = read_groups(context.base / config.entities) if config.entities else None
    return families.chosen(families.of_kind(kind, data, lexicon, entities, task), config.kinds, config.severities)


def _judge(
    config: Config,
    context: Context,
    predictor: Predictor,
    examples: Examples,
    perturbations: list[Perturbation],
) -> Judged:
    from modelyard.methods.evaluation.robustness import judging

    rows = min(config.rows, len(examples))
    words = t("asking {runtime} about {rows} rows, {count} changes each", runtime=predictor.runtime, rows=rows,
              count=len(perturbations))  # fmt: skip
    context.say(words)

    def note(done: int, total: int) -> None:
        context.progress(done, total, "rows")

    return judging.judge(predictor, examples, perturbations, context.seed, rows, config.batch_rows, note)


def _beside_reference(
    config: Config,
    context: Context,
    task: str,
    examples: Examples,
    perturbations: list[Perturbation],
    judged: Judged,
) -> list[Estimate]:
    """Errors divided by those of the reference; said where there is no such ratio."""
    from modelyard.errors import InputError
    from modelyard.methods.evaluation.opening import opened
    from modelyard.methods.evaluation.robustness import relative

    with opened(context.input("reference"), config.threads) as reference:
        if reference.task != task or not judged.is_rate:
            raise InputError(
                t(
                    "a reference of the task `{found}` cannot stand beside `{task}`",
                    found=reference.task,
                    task=task,
                ),
                where="in: {reference: …}",
                expected=t("a model of the same task, with right and wrong answers"),
                remedy=t("leave `reference` out, or name a model of this task"),
            )
        others = _judge(config, context, reference, examples, perturbations)
    found = relative.beside(judged, others)
    for name, kinds in found.undefined.items():
        context.say(t("{name} is not measured: the reference loses nothing to speak of under {kinds}", name=name,
                      kinds=", ".join(kinds)))  # fmt: skip
    for one in found.estimates:
        if not one.slice:
            context.say(t("{name} {value} (1 is the reference)", name=one.name, value=f"{one.value:.3f}"))
    return list(found.estimates)


def _by_slice(config: Config, context: Context, examples: Examples, judged: Judged) -> list[Estimate]:
    from modelyard.methods.evaluation.robustness import slices

    assert config.by is not None
    values = dict(zip(examples.row_ids, examples.column(config.by), strict=True))
    names = slices.slice_names([values[row_id] for row_id in judged.row_ids], config.slices)
    found = slices.estimates(config.by, names, judged.clean, judged.is_rate, config.least)
    small = sorted({name for name in names if names.count(name) < config.least})
    if small:
        context.say(t("too few rows to measure: {names}", names=", ".join(small)))
    return found


def _measure(context: Context, one: Estimate) -> None:
    context.measure(
        f"robustness.{one.name}",
        one.value,
        about="model",
        on="data/test",
        n=one.n,
        interval=one.interval,
        slice=one.slice,
        against="reference" if one.name in PAIRED else None,
    )


def _say(context: Context, judged: Judged, estimates: list[Estimate], left: list[str]) -> None:
    if left:
        context.say(t("no row could be changed by: {kinds}", kinds=", ".join(left)))
    refused = sum(judged.refused.values())
    if refused:
        context.say(t("the model refused {count} changed records: they count as wrong", count=refused))
    if not judged.is_rate:
        return
    whole = {one.name: one for one in estimates if not one.slice}
    clean = next(one for one in estimates if one.slice.get("kind") == "clean")
    words = t("accuracy {clean}; right under every change {worst}", clean=f"{clean.value:.4f}",
              worst=f"{whole['worst_accuracy'].value:.4f}")  # fmt: skip
    context.say(words)
    drops = [one for one in estimates if one.name == "accuracy_drop" and "kind" in one.slice]
    if drops:
        most = max(drops, key=lambda one: one.value)
        words = t("the most is lost under {kind} (severity {severity}): {drop}", kind=most.slice["kind"],
                  severity=most.slice["severity"], drop=f"{most.value:.4f}")  # fmt: skip
        context.say(words)


def fingerprint(config: Config, base: Path) -> Json:
    """Digests of the files of words."""
    from modelyard.methods.data.augmentation.digests import digest_of

    return [digest_of(path, base) if path else None for path in (config.synonyms, config.entities)]


CLAIMS = (
    Claim(
        "robustness.accuracy", "share of the changed rows with the right answer; by kind and severity", sizing="rate"
    ),
    Claim(
        "robustness.accuracy_drop",
        "accuracy of the same rows unchanged, less that under the change; by kind and severity, or by slice",
        better="lower",
    ),
    Claim(
        "robustness.worst_accuracy", "share of rows that are right under every change, or of one kind", sizing="rate"
    ),
    Claim(
        "robustness.mean_corruption_error",
        "mean over kinds of change of the mean error over severities",
        better="lower",
    ),
    Claim("robustness.mce", "mean over kinds of the errors under it by those of the reference; 1: as many",
          better="lower", subject="pair"),
    Claim("robustness.corruption_error", "errors under a kind of change by those of the reference", better="lower",
          subject="pair"),
    Claim("robustness.relative_mce", "mean over kinds of what each adds to the errors, by what it adds to the "
          "reference's", better="lower", subject="pair"),
    Claim("robustness.relative_corruption_error", "errors a kind of change adds, by those it adds to the reference",
          better="lower", subject="pair"),
    Claim("robustness.span_f1", "F1 of spans with both ends and label right; by kind and severity"),
    Claim("robustness.span_f1_drop", "F1 of the same rows unchanged, less that under the change; by kind and severity",
          better="lower"),
    Claim("robustness.check_failures", "share of rows that fail a check of meaning", better="lower", sizing="rate"),
    Claim("robustness.worst_slice_accuracy", "accuracy of the slice with the least; ends hold for all slices together"),
    Claim("robustness.rmse", "root of the mean squared error under a change; by kind and severity, or by slice",
          better="lower"),
    Claim("robustness.mse_rise", "mean squared error under a change less that of the same rows, or of a slice less "
          "that of all others", better="lower"),
    Claim("robustness.worst_slice_rmse", "RMSE of the slice with the largest; ends hold for all slices together",
          better="lower"),
    Claim("robustness.worst_rmse", "RMSE with each row's largest error under any change", better="lower"),
)  # fmt: skip

STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="the model to measure"),
        "reference": Port("model", optional=True, side=True, description="the model whose errors are divided by"),
        "data": Port("dataset", ("train", "test"), description="test rows; train for how far a table's numbers spread"),
    },
    outputs={"report": Port("report", description="robustness.json")},
    claims=CLAIMS,
    libraries=(*MODEL_LIBRARIES, "pillow", "pypinyin"),
    loads=MODEL_CODE,
    external=("synonyms", "entities"),
    fingerprint=fingerprint,
)
