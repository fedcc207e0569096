"""Project files, a function for each task: texts, tables, images, marked spans, models that write, pairs, rows."""

from __future__ import annotations

from collections.abc import Callable

from modelyard.base.messages import t
from modelyard.engine import pair_templates, template_parts
from modelyard.engine.guessed import (
    IMAGES,
    PAIRS,
    RECOMMENDATION,
    REWRITES,
    SPAN_TEXTS,
    SPANS,
    TABLE_CLASSES,
    TABLE_NUMBERS,
    TEXT_GENERATION,
    TEXTS,
    Guessed,
)
from modelyard.engine.template_parts import TEST_SHARE, VALIDATION_SHARE, indent, join, scalar
from modelyard.engine.template_project import Kind, accuracy, bound, columns, project


def _table_classes(name: str, path: str | None, guessed: Guessed | None, lang: str) -> str:
    label = (guessed.label if guessed else None) or "label"
    about = t(
        "Boosted trees; every other column is learned from (`leave_out: [...]` names those that are not).", lang=lang
    )
    kind = Kind("model", "uses: train.tabular, with: {kind: boosted_trees}", about, leaks=True)
    return project(kind, name, columns(path, guessed, f"label: {scalar(label)}"), path, accuracy(guessed, lang), lang)


def _table_numbers(name: str, path: str | None, guessed: Guessed | None, lang: str) -> str:
    target = (guessed.target if guessed else None) or "target"
    about = t(
        "Boosted trees; every other column is learned from (`leave_out: [...]` names those that are not).", lang=lang
    )
    kind = Kind("model", "uses: train.tabular, with: {kind: boosted_trees}", about, leaks=True)
    rule = bound("quality.r2", 0.5, lang)
    return project(kind, name, columns(path, guessed, f"target: {scalar(target)}"), path, rule, lang)


def _images(name: str, path: str | None, guessed: Guessed | None, lang: str) -> str:
    about = t(
        "A small network of convolutions; `resnet`, `mobilenet` and `vit` are larger, `base` fine-tunes one.", lang=lang
    )
    kind = Kind("model", "uses: train.image_classification, with: {size: cnn, epochs: 10}", about, 200)
    return project(kind, name, f"path: {scalar(path or 'images')}", path, accuracy(guessed, lang), lang)


def _spans(name: str, path: str | None, guessed: Guessed | None, lang: str) -> str:
    text = (guessed.text if guessed else None) or "text"
    about = t("The column `{column}` holds the marked spans: a JSON list of start, end and label for each text.",
              lang=lang, column=SPANS)  # fmt: skip
    kind = Kind("tagger", "uses: train.token_classification", about, 200)
    reading = columns(path or "data.jsonl", guessed, f"text: {scalar(text)}")
    return project(kind, name, reading, path, bound("quality.span_f1", 0.5, lang), lang)


def _writer(name: str, path: str | None, guessed: Guessed | None, lang: str) -> str:
    text = (guessed.text if guessed else None) or "text"
    about = t(
        "A small model from fresh weights; `base: <folder>` goes on from one. train.instruct makes it answer.",
        lang=lang,
    )
    uses = "uses: train.language_model, with: {model: {size: tiny}, tokenizer: {vocabulary_size: 4000}, context: 128}"
    rule = f"    # {t('Put in what your users need.', lang=lang)}\n    - {{claim: quality.bits_per_byte, max: 4.0}}"
    reading = columns(path, guessed, f"text: {scalar(text)}")
    return project(Kind("writer", uses, about, None), name, reading, path, rule, lang)


def _text_classification(name: str, path: str | None, guessed: Guessed | None, lang: str) -> str:
    def say(template: str, **values: object) -> str:
        return "\n".join(f"# {line}" for line in t(template, lang=lang, **values).split("\n"))

    source = template_parts.step_name(path)
    least, why = template_parts.accuracy(guessed, lang)
    duplicates = t("no text may come twice with the same label", lang=lang)
    blocks = [
        say("A Modelyard project: `modelyard check` finds mistakes, `plan` shows what would run, `run` runs it."),
        f"version: 1\nproject: {name}\nseed: 0",
        say("Steps run from top to bottom. An input binds to the nearest output of its kind above."),
        "steps:",
        indent(say("The data: {columns}", columns=template_parts.columns_comment(guessed, lang))),
        f"  {source}:\n    uses: data.read\n    with: {{{template_parts.reading(path, guessed)}}}",
        indent(say("Mends Unicode, drops empty and repeated rows; what is dropped is kept with the reason.")),
        "  clean: {uses: data.clean}",
        indent(say("The same text never lies on two sides. Only evaluate.* steps see the test rows.")),
        f"  split: {{uses: data.split, with: {{validation: {VALIDATION_SHARE}, test: {TEST_SHARE}}}}}",
        indent(say("`auto` tries several sizes and keeps the one that is best on the validation rows.")),
        "  classifier: {uses: train.text_classification, with: {base: scratch, size: auto}}",
        indent(say("8-bit weights: smaller and faster. What is measured below is this model, the one that ships.")),
        "  int8: {uses: compress.quantize}",
        "  quality: {uses: evaluate.quality}",
        "  latency: {uses: evaluate.latency}",
        indent(say("A page that shows all of it and opens offline.")),
        "  card: {uses: report.card}",
        say("A release is made only if every rule holds at the bad end of its 95 % interval."),
        "release:\n  model: int8\n  rules:",
        indent("\n".join(f"# {line}" for line in why.split("\n")), 4),
        f"    - {{claim: quality.accuracy, min: {least}}}",
        f"    - {{claim: data.duplicate_rate, of: clean, max: 0.01}}  # {duplicates}",
        f"    - {{claim: latency.p95_ms, max: 50}}  # {t('milliseconds for one record', lang=lang)}",
    ]
    return join(blocks)


TEMPLATES: dict[str, Callable[[str, str | None, Guessed | None, str], str]] = {
    TEXTS: _text_classification,
    TABLE_CLASSES: _table_classes,
    TABLE_NUMBERS: _table_numbers,
    IMAGES: _images,
    SPAN_TEXTS: _spans,
    TEXT_GENERATION: _writer,
    PAIRS: pair_templates.alike,
    REWRITES: pair_templates.rewriter,
    RECOMMENDATION: pair_templates.recommender,
}
