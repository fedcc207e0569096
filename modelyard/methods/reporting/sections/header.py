"""The head of the page: what the model is, the verdict, and the few figures that matter."""

from __future__ import annotations

from modelyard.errors import InputError
from modelyard.methods.reporting.markup import Markup, Node, el, isolated
from modelyard.methods.reporting.record import Evidence, Model
from modelyard.methods.reporting.sections import many, weak
from modelyard.methods.reporting.view import View, digest_code, facts
from modelyard.methods.reporting.words import count, size
from modelyard.methods.text import travelling

NUM_FIGURES = 4

PREFERRED = (
    "quality.accuracy",
    "quality.f1_macro",
    "latency.p95_ms",
    "size.bytes",
    "quality.roc_auc",
    "latency.p50_ms",
    "quality.ece",
)


def header(view: View) -> Markup:
    """Title, verdict, figures, and the model's own facts."""
    return el("header", _title(view), _verdict(view), _figures(view), _model(view), class_="hero")


def _title(view: View) -> Markup:
    record = view.record
    version = ""
    if record.release:
        version = view.t("{name}, version {version}", name=record.release.name, version=record.release.version)
        if record.release.created:
            version += " · " + record.release.created[:10]
    return el(
        "div",
        el("p", view.t("Model card"), class_="kicker"),
        el("h1", isolated(record.title or record.project, 160)),
        el("p", version, class_="version") if version else None,
    )


def state(view: View) -> str:
    """`released`, `draft`, `refused`, or `undecided` before a gate has spoken."""
    return view.record.decision.state if view.record.decision else "undecided"


def _verdict(view: View) -> Markup:
    decision = view.record.decision
    findings = decision.findings if decision else []
    failed = sum(not finding.passed for finding in findings)
    words = {
        "released": (view.t("Released"), view.t("Rules passed: {num} of {num}.", num=len(findings))),
        "draft": (
            view.t("Draft"),
            view.t("No rules were set, so nothing was decided. Do not read this as an approval."),
        ),
        "refused": (
            view.t("Refused"),
            view.t(
                "Rules failed: {failed} of {num}. This model may not be released.", failed=failed, num=len(findings)
            ),
        ),
        "undecided": (view.t("Not decided"), view.t("The gate has not been asked yet.")),
    }
    name, sentence = words[state(view)]
    badge = el("strong", el("i", class_="lamp", aria_hidden="true"), name, class_="badge")
    return el("p", badge, el("span", sentence), class_=f"verdict {state(view)}")


def chosen(view: View) -> list[Evidence]:
    """The figures of the head: of each task of several its main one, claims the rules name, then the usual ones."""
    ruled = [finding.rule.split(" ", 1)[0] for finding in view.record.decision.findings] if view.record.decision else []
    order = [name for name in PREFERRED if name in ruled] + ruled + list(PREFERRED)
    there = {item.claim: item for item in (view.find(name) for name in dict.fromkeys(order)) if item}
    tasks = [item for _, one in many.views(view) if (item := many.main(one))][:NUM_FIGURES]
    picked = list(there.values())[: NUM_FIGURES - len(tasks)]
    place = {name: at for at, name in enumerate(PREFERRED)}
    return tasks + sorted(picked, key=lambda item: place.get(item.claim, len(PREFERRED)))


def _figures(view: View) -> Markup | None:
    cards = [_figure(view, item) for item in chosen(view)]
    return el("div", *cards, class_="figures") if cards else None


def _figure(view: View, item: Evidence) -> Markup:
    if item.exact:
        basis = view.t("exact")
    else:
        basis = (
            view.t("95 % interval {interval}", interval=view.uncertainty(item))
            if item.low is not None
            else view.t("no interval")
        )
        basis += " · " + view.words.n(item.n)
    domain = (0.0, 1.0) if not item.unit else _around(item)
    bar = None if item.exact else view.spark(item, domain)
    title = view.words.title(item.claim)
    fails = weak.beside_coverage(view, item)
    return el(
        "div",
        el("p", f"{item.task}: {title}" if item.task else title, class_="what", title=item.claim),
        el("p", view.figure(item, class_="big")),
        bar,
        el("p", basis, class_="basis"),
        el("p", el("b", fails), class_="basis") if fails else None,
        class_="figure",
    )


def _around(item: Evidence) -> tuple[float, float]:
    """From zero to somewhat above the interval, for quantities that have no upper end."""
    top = max(value for value in (item.value, item.high, 1e-9) if value is not None)
    return (0.0, 1.5 * top)


def _model(view: View) -> Markup | None:
    model = view.record.model
    if not model:
        return el("p", view.t("The record names no model."), class_="lead")
    return facts(
        [
            (view.t("Model"), digest_code(model.digest)),
            (view.t("Made by step"), model.step),
            (view.t("Task"), model.task or str(model.card.get("task", ""))),
            (view.t("Format"), " · ".join(part for part in (model.format, model.precision) if part)),
            (view.t("Tasks") if many.views(view) else view.t("Classes"), _num(model)),
            (view.t("Parameters"), _parameters(view, model)),
            (view.t("Size"), size(model.size_bytes) if model.size_bytes else None),
            (view.t("Texts are repaired first"), _repairs(view, model)),
            (view.t("Licence"), view.t("unknown") if model.licence == "unknown" else model.licence),
        ],
        class_="strip",
    )


def _repairs(view: View, model: Model) -> str | None:
    """What happens to a text before the model reads it, as `model.json` says."""
    try:
        found = travelling.parse(model.card.get("repairs", []), "")
    except InputError:
        return None
    return "; ".join(travelling.told(found, view.t)) or None


def _num(model: Model) -> str | None:
    return count(len(model.labels)) if model.labels else None


def _parameters(view: View, model: Model) -> Node:
    """The record's number, else the training step's measurement where there is exactly one."""
    if model.parameters:
        return count(model.parameters)
    items = [item for item in view.record.evidence if item.claim == "train.parameters" and not item.withdrawn]
    return view.figure(items[0], class_="") if len(items) == 1 else None
