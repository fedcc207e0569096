"""How sure a model may be: calibration, coverage of its sets, answers withheld, rows from elsewhere.

Measured on test, through the predictor that serving loads, with everything that calibrate.* put into the model:

- `calibration_error`: debiased, with what a perfectly calibrated model would show beside it; Brier score and log-loss.
- `coverage` and `set_size` (or `interval_width`) where answers carry sets or intervals: of all rows, by class, by the
  columns in `groups`, and by the size itself. What is promised for all rows may fail for a group: that is what to look
  at. `interval_score` is one figure for both width and misses.
- `aurc`: the mean error if only the surest rows are answered; `answered` and `answered_error` at the model's own
  threshold.
- `error_auroc`: whether doubt is larger where the answer is wrong, by score. For an ensemble, or a network asked with
  its dropout on (`dropout_samples: 20`), doubt is split: `aleatoric`, what the rows do not say, and `epistemic`, what
  was not learned.
- `outside_auroc`: whether rows from elsewhere look strange to the model. They are a data set of their own
  (`in: {outside: STEP}`), or test rows with the labels in `outside_labels`. Scores: confidence, entropy, energy,
  distances of features from train, disagreement of an ensemble's members.

The report is `uncertainty.json`. A rule for the gate: `{claim: uncertainty.coverage, min: 0.88}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE, MODEL_LIBRARIES
from modelyard.methods.data.settings import ColumnName
from modelyard.methods.evaluation.settings import Asking, Label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation.blocks import Block
    from modelyard.methods.evaluation.estimates import Estimate
    from modelyard.methods.evaluation.measuring.examples import Examples, Reader
    from modelyard.methods.evaluation.uncertainty.doubt import Ask
    from modelyard.methods.evaluation.uncertainty.estimating import Slices


class Config(Asking):
    """Settings of evaluate.uncertainty."""

    groups: tuple[ColumnName, ...] = Field((), max_length=10, description="columns whose values are groups")
    min_n: int = Field(30, ge=1, le=1_000_000, description="rows a class or group needs to be measured (rows)")
    outside_labels: tuple[Label, ...] = Field(
        (), max_length=1000, description="labels of test rows that the model was not made for"
    )
    dropout_samples: int | None = Field(
        None,
        ge=2,
        le=1000,
        description="answers of a network with its dropout on, a row, which split doubt in its parts (passes); the "
        "members of an ensemble do so by themselves",
    )
    train_rows: int = Field(
        5_000, ge=100, le=1_000_000, description="training rows for the distances of features, at random (rows)"
    )


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation import blocks
    from modelyard.methods.evaluation.measuring.examples import Examples
    from modelyard.methods.evaluation.opening import opened
    from modelyard.methods.evaluation.recording import Recorder
    from modelyard.methods.evaluation.settings import Measuring
    from modelyard.methods.evaluation.uncertainty import doubt, estimating, page, strangers

    data = Dataset.open(context.input("data"))
    settings = Measuring(batch_rows=config.batch_rows, threads=config.threads)
    with opened(context.input("model"), config.threads) as predictor:
        family = _family(predictor.task)
        reader = family.reader(data, predictor.task, settings)
        examples = Examples.read(data, "test", strangers.without(reader, config.outside_labels))
        recorder: Any = Recorder(predictor)
        model = context.input("model")
        members = doubt.asking(predictor, model, config.dropout_samples, context.seed, config.threads)
        answers = family.answer(recorder, examples, settings, lambda done, total: context.progress(done, total, "rows"))
        drawn = _of_labels(answers, context) if predictor.labels else []
        slices = estimating.slices(examples, config.groups, answers, predictor.labels)
        drawn += _enclosures(config, context, recorder.said, examples, slices)
        if predictor.labels:
            drawn += _silence(config, context, recorder.said, answers.right, slices)
            drawn += _doubt(config, context, examples, answers, members)
            drawn += _strangers(config, context, data, predictor, members, examples, reader)
    blocks.write(context.output("report"), "uncertainty", page.TITLE, drawn)


def _family(task: str) -> Any:
    from modelyard.errors import InputError
    from modelyard.methods.evaluation import measuring

    if measuring.FAMILIES.get(task) not in ("classification", "regression"):
        raise InputError(
            t("how sure models of the task `{task}` are cannot be measured yet", task=task),
            where="model",
            expected=t("a model that answers with one class or one number"),
        )
    return measuring.find(task)


def _measure(context: Context, estimates: Sequence[Estimate]) -> None:
    for one in estimates:
        context.measure(
            f"uncertainty.{one.name}",
            one.value,
            about="model",
            on="data/test",
            n=one.n,
            interval=one.interval,
            slice=one.slice,
        )


def _of_labels(answers: Any, context: Context) -> list[Block]:
    from modelyard.methods.evaluation.uncertainty import estimating, page

    sure = estimating.of_confidence(answers, context.seed)
    _measure(context, sure.estimates)
    found, n = sure.calibration, len(answers.actual)
    context.measure("uncertainty.calibration_null", found.null[1], about="model", on="data/test", n=n, interval="exact")
    context.say(
        t(
            "calibration error {error}, chance alone up to {null}; mean error of the surest rows {aurc}",
            error=f"{found.error:.4f}",
            null=f"{found.null[1]:.4f}",
            aurc=f"{next(one.value for one in sure.estimates if one.name == 'aurc'):.4f}",
        )
    )
    return page.of_confidence(sure, answers)


def _fitted(context: Context, *kinds: str) -> Mapping[str, Any]:
    """The last of these steps that the model has, or nothing."""
    from modelyard.methods.runtimes.model_folder import ModelCard

    steps = ModelCard.read(context.input("model")).postprocessing
    return next((one for one in reversed(steps) if one["kind"] in kinds), {})


def _enclosures(
    config: Config, context: Context, said: Sequence[Any], examples: Examples, slices: Slices
) -> list[Block]:
    from modelyard.methods.evaluation.uncertainty import estimating, page, telling

    step = _fitted(context, "conformal_set", "conformal_interval")
    if not step:
        context.say(t("the model gives no sets or intervals: add `calibrate.conformal` above"))
        return []
    enclosed = estimating.enclosed(step, said, examples.truths)
    found = estimating.of_enclosures(enclosed, slices, config.min_n, context.seed)
    _measure(context, found)
    goal = 1 - float(step["error"]) if "error" in step else None
    for line in telling.of_coverage(found, goal):
        context.say(line)
    sizes = {one.name: None for one in found if one.name != "coverage"}
    return page.of_enclosures(goal, [f"uncertainty.{name}" for name in sizes])


def _silence(config: Config, context: Context, said: Sequence[Any], right: Any, slices: Slices) -> list[Block]:
    import numpy as np

    from modelyard.methods.evaluation.uncertainty import estimating, page

    step = _fitted(context, "abstention")
    if not step:
        return []
    abstained = np.array([bool(one.abstained) for one in said])
    found = estimating.of_silence(right, abstained, slices, config.min_n)
    _measure(context, found)
    error = next((one.value for one in found if one.name == "answered_error" and not one.slice), None)
    context.say(
        t(
            "answered {share} of the rows, {error} of them wrong",
            share=f"{found[0].value:.1%}",
            error="-" if error is None else f"{error:.1%}",
        )
    )
    return page.of_silence({name: step[name] for name in ("threshold", "error", "confidence") if name in step})


def _doubt(config: Config, context: Context, examples: Examples, answers: Any, members: Ask | None) -> list[Block]:
    """Whether doubt tells wrong answers from right ones; with members, in its parts."""
    import numpy as np

    from modelyard.methods.evaluation.measuring.examples import batched
    from modelyard.methods.evaluation.uncertainty import doubt, outside, page, telling

    scores, found = outside.of_probabilities(answers.scores), []
    if members is not None:
        batches = [members(batch) for batch in batched(examples.records(), config.batch_rows)]
        parts = doubt.parts(np.concatenate(batches, axis=1))
        scores, found = scores | parts, doubt.estimates(parts, context.seed)
    wrong = ~answers.right
    judged = doubt.of_errors(scores, wrong, context.seed)
    _measure(context, [*found, *judged])
    if not judged:
        return []
    best = max((one for one in judged if one.name == "error_auroc"), key=lambda one: one.value)
    context.say(t("wrong answers are best told by {score}, AUROC {value}", score=telling.score(best.slice["score"]),
                  value=f"{best.value:.3f}"))  # fmt: skip
    return page.of_doubt(scores, wrong, members is not None)


def _strangers(
    config: Config,
    context: Context,
    data: Dataset,
    predictor: Any,
    members: Ask | None,
    examples: Examples,
    reader: Reader,
) -> list[Block]:
    """Rows from elsewhere beside those of test, by every score the model allows."""
    from modelyard.errors import InputError
    from modelyard.methods.evaluation.measuring.examples import fields, some_records
    from modelyard.methods.evaluation.uncertainty import estimating, page, strangers, telling

    if not (config.outside_labels or context.bound("outside")):
        return []
    records = strangers.labelled(data, reader, config.outside_labels) if config.outside_labels else []
    if context.bound("outside"):
        from modelyard.methods.data.dataset import Dataset as Opened

        other = Opened.open(context.input("outside"))
        records += some_records(other, "all", fields(other, predictor.task), other.num_rows("all"), context.seed)
    if not records:
        raise InputError(t("there is no row from elsewhere"), where="outside",
                         expected=t("test rows with a label of `outside_labels`, or rows of `outside`"))  # fmt: skip
    inside = list(examples.records())
    model = context.input("model")
    found = strangers.ask(predictor, members, inside, records, config.batch_rows)
    near, why = strangers.distances(model, data, reader, inside, records, config.train_rows, context.seed)
    one, other_scores = {**found[0], **near[0]}, {**found[1], **near[1]}
    for reason in why:
        context.say(t("distances of features are not measured: {reason}", reason=reason))
    measured = estimating.of_strangers(one, other_scores)
    _measure(context, measured)
    best = max((item for item in measured if item.name == "outside_auroc"), key=lambda item: item.value)
    context.say(
        t(
            "{n} rows from elsewhere: best told apart by {score}, AUROC {value}",
            n=len(records),
            score=telling.score(best.slice["score"]),
            value=f"{best.value:.3f}",
        )
    )
    return page.of_strangers(one, other_scores, why)


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="a model that answers with one class or one number"),
        "data": Port("dataset", ("train", "test"), description="test rows; train only for distances of features"),
        "outside": Port("dataset", ("all",), optional=True, side=True, description="rows the model was not made for"),
    },
    outputs={"report": Port("report", description="uncertainty.json")},
    claims=(
        Claim("uncertainty.calibration_error",
              "root mean square gap of confidence and accuracy in 15 bins, less what chance adds", better="lower"),
        Claim("uncertainty.calibration_null", "95th percentile of that error for a perfectly calibrated model",
              better="lower"),
        Claim("uncertainty.ece", "mean gap of confidence and accuracy in 15 bins of equal mass", better="lower"),
        Claim("uncertainty.brier", "mean over rows of the summed squared error of the probabilities", better="lower"),
        Claim("uncertainty.log_loss", "mean of -log of the probability of the right label, in nats", better="lower"),
        Claim("uncertainty.aurc", "mean over k of the share of wrong answers among the k surest rows", better="lower"),
        Claim("uncertainty.excess_aurc", "the same less that of the best possible order", better="lower"),
        Claim("uncertainty.coverage",
              "share of sets or intervals that hold the truth; by class, group, and size of the set or width",
              sizing="rate"),
        Claim("uncertainty.set_size", "mean number of labels in a set; by class and group", better="lower"),
        Claim("uncertainty.interval_width", "mean width of an interval; by group and width", better="lower"),
        Claim("uncertainty.interval_score", "mean of the width and 2 / error times what the truth lies outside "
              "(Winkler)", better="lower"),
        Claim("uncertainty.predictive_entropy", "mean entropy (nats) of the members' mean answer", better="lower"),
        Claim("uncertainty.aleatoric", "mean of the members' own entropies: what the rows do not say", better="lower"),
        Claim("uncertainty.epistemic", "the rest: on what the members disagree (mutual information)", better="lower"),
        Claim("uncertainty.error_auroc", "chance that a wrong answer has more doubt than a right one; by score"),
        Claim("uncertainty.error_aurc", "aurc, the least doubtful rows first; by score", better="lower"),
        Claim("uncertainty.answered", "share of the rows the model does not abstain on", sizing="rate"),
        Claim("uncertainty.answered_error", "share of wrong answers among those given", better="lower", sizing="rate"),
        Claim("uncertainty.outside_auroc",
              "chance that a row from elsewhere looks stranger than a test row; by score"),
        Claim("uncertainty.outside_false_alarms",
              "share of test rows that look as strange as 95 % of the rows from elsewhere; by score",
              better="lower", sizing="rate"),
    ),
    libraries=MODEL_LIBRARIES,
    loads=MODEL_CODE,
)  # fmt: skip
