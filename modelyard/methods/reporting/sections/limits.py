"""Limits: what the facts in the record say against the model. Nothing here is written by hand, nothing is assumed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from modelyard.methods.evaluation import selection
from modelyard.methods.reporting.markup import Markup, Node, el, isolated, join
from modelyard.methods.reporting.sections import many, weak
from modelyard.methods.reporting.sections.classes import rows_of
from modelyard.methods.reporting.sections.data import claims as data_claims
from modelyard.methods.reporting.sections.quality import earns
from modelyard.methods.reporting.view import FEW_ROWS, Section, View, label, section
from modelyard.methods.reporting.words import count

MAX_NAMED = 6
ECE_WORTH_SAYING = 0.02
"""Of the interval's low end: even a calibrated model has an estimate above zero."""
LEAKS = ("leakage", "overlap", "contamination")
FAMILIES = ("fairness", "robustness", "privacy")


def limits(view: View) -> Section | None:
    """All limits that hold, gravest first."""
    found = [item for check in CHECKS for item in check(view)]
    found += [
        join(el("b", isolated(name, 60)), ": ", item)
        for name, one in many.views(view)
        for check in OF_A_TASK
        for item in check(one)
    ]
    lead = view.t("Derived from the record. What is not listed was not necessarily looked for.")
    return section(
        "limits",
        view.t("Limits"),
        el("ul", *(el("li", item) for item in found), class_="limits") if found else None,
        lead=lead,
    )


def _decision(view: View) -> Iterator[Node]:
    decision = view.record.decision
    if decision is None:
        yield view.t("The gate has not decided about this model.")
    elif decision.state == "draft":
        yield view.t("This is a draft: no rule was set, so no figure had to be good enough.")
    elif decision.state == "refused":
        failed = [finding.rule for finding in decision.findings if not finding.passed]
        yield view.t("The gate refused it: {rules}.", rules="; ".join(failed))


def _out_of_scope(view: View) -> Iterator[Node]:
    if view.about.out_of_scope:
        yield join(view.t("The owner says what it is not for:"), " ", isolated(view.about.out_of_scope, 300))


def _quality(view: View) -> Iterator[Node]:
    if not view.measured("quality.") and not many.views(view):
        named = [item for item in view.record.evidence if item.claim.startswith("quality.") and not item.withdrawn]
        others = {item.subject_step or "?" for item in named if not item.claim.startswith("quality.baseline_")}
        if others:
            steps = ", ".join(sorted(others))
            yield view.t("Quality was measured on other artifacts ({steps}), not on this model's bytes.", steps=steps)
        else:
            yield view.t("Its quality was not measured on test rows.")
    accuracy = view.find("quality.accuracy")
    if accuracy and accuracy.low is not None and accuracy.high is not None and not accuracy.exact:
        points = f"{50 * (accuracy.high - accuracy.low):.1f}"
        yield join(
            view.t(
                "With {n} test rows accuracy is known to about ±{points} points; smaller differences cannot be seen.",
                n=count(accuracy.n),
                points=points,
            )
        )


def _baseline(view: View) -> Iterator[Node]:
    model, others = view.find("quality.accuracy"), view.quality.baselines
    if model and others:
        gain = [item for item in view.measured("quality.gain_over_") if item.low is not None and item.low > 0]
        if not gain:
            yield earns(view, "accuracy")


def _classes(view: View) -> Iterator[Node]:
    classes = rows_of(view)
    left_out = view.quality.left_out
    if left_out:
        yield view.t("Test rows left out because they have no text or no label: {num}.", num=count(left_out))
    few = sorted((row for row in classes if 0 < row.n < FEW_ROWS), key=lambda row: row.n)
    if few:
        text = view.t(
            "Classes with fewer than {few} test rows, whose figures say little: {num} of {all}:",
            num=len(few),
            all=len(classes),
            few=FEW_ROWS,
        )
        yield join(text, " ", _named(view, [(row.label, count(row.n)) for row in few]))
    tested = {row.label for row in classes if row.n > 0}
    labels = view.record.model.labels if view.record.model else []
    absent = [name for name in labels if name not in tested] if classes else []
    if absent:
        yield join(
            view.t("Classes without any test row; nothing is known of them:"),
            " ",
            _named(view, [(name, "") for name in absent]),
        )


def _named(view: View, items: list[tuple[str, str]]) -> Markup:
    shown: list[Node] = []
    for name, text in items[:MAX_NAMED]:
        shown += [", " if shown else "", label(name, 40), f" ({text})" if text else ""]
    left = len(items) - MAX_NAMED
    return join(*shown, " ", view.t("and {num} more", num=left) if left > 0 else "")


def _calibration(view: View) -> Iterator[Node]:
    ece, null = view.find("quality.ece"), view.quality.null_ece
    if not ece or ece.value is None or (ece.value if ece.low is None else ece.low) < ECE_WORTH_SAYING:
        return
    if null is None or ece.value > null:
        text = view.t("Scores are off by this much on average, so they are not probabilities (calibration error):")
        yield join(text, " ", view.figure(ece))


def _labels(view: View) -> Iterator[Node]:
    source = view.record.data.source
    if isinstance(source, Mapping):
        for key in ("labels", "label_quality", "label_notice"):
            if isinstance(source.get(key), str):
                yield join(view.t("Of its labels the source says:"), " ", isolated(source[key], 300))


def _leaks(view: View) -> Iterator[Node]:
    for item in data_claims(view):
        if many.KEY in item.slice:  # said of that task
            continue
        quantity = item.claim.rsplit(".", 1)[-1].split("_")
        if "found" not in quantity and any(word in quantity for word in LEAKS) and item.value:
            text = view.t("Training and test data share rows, so quality on test is flattered:")
            yield join(text, " ", view.words.title(item.claim), " ", view.figure(item))
    for item in view.standing():
        if item.claim == "quality.accuracy" and item.slice.get("text") == "not in train":
            text = view.t("Accuracy on the test rows that are not in training:")
            yield join(text, " ", view.figure(item), " (", view.uncertainty(item), ")")


def _telling(view: View) -> Iterator[Node]:
    for item in data_claims(view):
        if item.claim == "data.leak_columns" and item.value:
            yield view.t(
                "Columns suspected to know the answer: {num}. If they are not known when the model answers, quality is "
                "not what was measured.",
                num=count(int(item.value)),
            )


def _sampled(view: View) -> Iterator[Node]:
    for item in data_claims(view):
        if item.claim == "data.sample_rate" and item.value is not None and item.value < 1:
            yield view.t(
                "The data is a sample: {share} of {num} rows. Every figure is of it.",
                share=f"{item.value:.2%}",
                num=count(item.n),
            )


def _tasks(view: View) -> Iterator[Node]:
    left = many.unmeasured(view)
    if left:
        yield join(view.t("Tasks without any test row; nothing is known of them:"), " ",
                   _named(view, [(name, "") for name in left]))  # fmt: skip


def _openings(view: View) -> Iterator[Node]:
    openings = view.record.openings
    if openings is not None and openings > 1:
        yield view.t(
            "The test split was opened {num} times; each choice made after looking makes its figures a little rosier.",
            num=openings,
        )


def _seeds(view: View) -> Iterator[Node]:
    """Said of the best of several seeds even where nobody asked for the count."""
    record = view.record
    if len(record.seeds) < 2:
        return
    seeds = [
        {"seed": one.seed, "model": one.model, "values": {k: v for k, v in one.values.items() if v is not None}}
        for one in record.seeds
    ]
    claims = {name: {"better": claim.better} for name, claim in record.claims.items()}
    for one in selection.by_task(seeds, record.seeds_of, claims):
        about = selection.about(one)
        yield view.t(about.template, **about.values)


def _rights(view: View) -> Iterator[Node]:
    if view.record.model and view.record.model.licence in ("", "unknown"):
        yield view.t("The model's licence is unknown.")


def _speed(view: View) -> Iterator[Node]:
    if view.measured("latency.", split=None):
        yield view.t("Speed holds only for the machine that measured it.")


def _unmeasured(view: View) -> Iterator[Node]:
    seen = {item.claim.split(".", 1)[0] for item in view.record.evidence}
    names = {
        "fairness": view.t("fairness between groups"),
        "robustness": view.t("robustness"),
        "privacy": view.t("privacy"),
    }
    left = [names[family] for family in FAMILIES if family not in seen]
    if left:
        yield view.t("Not measured: {families}.", families=view.t(", ").join(left))


def _evidence(view: View) -> Iterator[Node]:
    items = view.record.evidence
    withdrawn = sum(1 for item in items if item.withdrawn)
    if withdrawn:
        yield view.t("Measurements withdrawn: {num}. Names and reasons are under “All evidence”.", num=withdrawn)
    vague = sum(1 for item in view.standing() if item.low is None and not item.exact)
    if vague:
        yield view.t("Measurements without an interval: {num}. Nothing can be concluded from them.", num=vague)
    if view.record.not_finite:
        yield view.t(
            "Numbers in the record that were not finite, shown as missing: {num}.", num=len(view.record.not_finite)
        )


CHECKS = (
    _decision,
    _out_of_scope,
    _leaks,
    _telling,
    weak.limits,
    _quality,
    _tasks,
    _baseline,
    _classes,
    _calibration,
    _labels,
    _sampled,
    _openings,
    _seeds,
    _rights,
    _speed,
    _unmeasured,
    _evidence,
)
OF_A_TASK = (_leaks, weak.limits, _quality, _baseline, _classes, _calibration)
"""Said of each task of a model of several."""
