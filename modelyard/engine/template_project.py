"""The frame of a project file that is the same for every task: read, split, train, measure, a card, a release."""

from __future__ import annotations

from dataclasses import dataclass

from modelyard.base.messages import t
from modelyard.engine import template_parts
from modelyard.engine.guessed import Guessed
from modelyard.engine.template_parts import TEST_SHARE, VALIDATION_SHARE, indent, join, scalar


@dataclass(frozen=True)
class Kind:
    """What differs from task to task.

    Attributes:
        step: name of the step that trains.
        uses: its stage, with its settings as YAML.
        about: the comment before it.
        latency: milliseconds in which a record must be answered; None: latency is not measured.
        leaks: whether columns that know the answer are looked for.
        quality: settings of evaluate.quality as YAML; empty: its own.
    """

    step: str
    uses: str
    about: str
    latency: int | None = 50
    leaks: bool = False
    quality: str = ""


def project(kind: Kind, name: str, reading: str, path: str | None, rule: str, lang: str) -> str:
    def say(text: str) -> str:
        return "\n".join(f"# {line}" for line in text.split("\n"))

    source = template_parts.step_name(path)
    shares = f"validation: {VALIDATION_SHARE}, test: {TEST_SHARE}"
    blocks = [
        say(
            t(
                "A Modelyard project: `modelyard check` finds mistakes, `plan` shows what would run, `run` runs it.",
                lang=lang,
            )
        ),
        f"version: 1\nproject: {name}\nseed: 0",
        say(t("Steps run from top to bottom. An input binds to the nearest output of its kind above.", lang=lang)),
        "steps:",
        f"  {source if source != 'reviews' else 'rows'}:\n    uses: data.read\n    with: {{{reading}}}",
        indent(say(t("The same row never lies on two sides. Only evaluate.* steps see the test rows.", lang=lang))),
        f"  split: {{uses: data.split, with: {{{shares}}}}}",
        *(_leaks(lang) if kind.leaks else ()),
        indent(say(kind.about)),
        f"  {kind.step}: {{{kind.uses}}}",
        f"  quality: {{uses: evaluate.quality{f', with: {{{kind.quality}}}' if kind.quality else ''}}}",
    ]
    if kind.latency is not None:
        blocks.append("  latency: {uses: evaluate.latency}")
    blocks += [
        indent(say(t("A page that shows all of it and opens offline.", lang=lang))),
        "  card: {uses: report.card}",
        say(t("A release is made only if every rule holds at the bad end of its 95 % interval.", lang=lang)),
        f"release:\n  model: {kind.step}\n  rules:\n{rule}",
    ]
    if kind.leaks:
        blocks.append("    - {claim: data.leak_columns, max: 0}")
    if kind.latency is not None:
        blocks.append(
            f"    - {{claim: latency.p95_ms, max: {kind.latency}}}  # {t('milliseconds for one record', lang=lang)}"
        )
    return join(blocks)


def _leaks(lang: str) -> list[str]:
    about = t(
        "Columns that know the answer, such as one filled in afterwards. If it is known when the model answers, name\n"
        "it in `known: [...]`; if not, in `leave_out: [...]` here and in the training step.",
        lang=lang,
    )
    return [*(f"  # {line}" for line in about.split("\n")), "  leaks: {uses: data.leaks}"]


def columns(path: str | None, guessed: Guessed | None, *roles: str) -> str:
    parts = [f"path: {scalar(path or 'data.csv')}", *roles]
    if guessed and guessed.columns:
        parts += ["header: false", f"columns: [{', '.join(scalar(column) for column in guessed.columns)}]"]
    return ", ".join(parts)


def accuracy(guessed: Guessed | None, lang: str) -> str:
    bound, why = template_parts.accuracy(guessed, lang)
    comment = indent("\n".join(f"# {line}" for line in why.split("\n")), 4)
    return f"{comment}\n    - {{claim: quality.accuracy, min: {bound}}}"


def bound(claim: str, low: float, lang: str) -> str:
    return f"    # {t('Put in what your users need.', lang=lang)}\n    - {{claim: {claim}, min: {low}}}"
