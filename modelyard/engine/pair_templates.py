"""Project files for rows that bring two things together: two texts, a text and its answer, a user and an item."""

from __future__ import annotations

from modelyard.base.messages import t
from modelyard.engine.guessed import Guessed
from modelyard.engine.template_parts import scalar
from modelyard.engine.template_project import Kind, accuracy, bound, columns, project


def alike(name: str, path: str | None, guessed: Guessed | None, lang: str) -> str:
    """Pairs of texts, with or without a score: sentence embeddings."""
    text, other = (guessed and guessed.text) or "text", (guessed and guessed.other) or "text_b"
    roles = [f"text: {scalar(text)}"]
    if guessed is None or guessed.label:
        roles.append(f"label: {scalar((guessed and guessed.label) or 'label')}")
    elif guessed.target:
        roles.append(f"target: {scalar(guessed.target)}")
    about = t(
        "Vectors of texts: those of like meaning point the same way. The label is the score of a pair; without one\n"
        "each pair belongs together. From fresh weights it needs many pairs; `base: <folder>` goes on from an encoder.",
        lang=lang,
    )
    settings = f"other: {scalar(other)}, max_length: 64, model: {{size: tiny}}, tokenizer: {{vocabulary_size: 4000}}"
    kind = Kind(
        "encoder", f"uses: train.sentence_embedding, with: {{{settings}}}", about,
        quality="" if other == "text_b" else f"answer: {scalar(other)}",
    )  # fmt: skip
    scored = guessed is None or guessed.label or guessed.target
    rule = bound("quality.spearman", 0.2, lang) if scored else bound("quality.mrr", 0.2, lang)
    return project(kind, name, columns(path or "pairs.csv", guessed, *roles), path, rule, lang)


def rewriter(name: str, path: str | None, guessed: Guessed | None, lang: str) -> str:
    """A text and the text that is made of it."""
    text, answer = (guessed and guessed.text) or "text", (guessed and guessed.other) or "answer"
    about = t(
        "An encoder with a decoder makes the answer of the text. From fresh weights it learns short, regular answers;\n"
        "`base: <folder>` goes on from a T5 or BART. `bytes` instead of `characters` suits long texts.",
        lang=lang,
    )
    settings = f"answer: {scalar(answer)}, tokenizer: {{kind: characters}}"
    kind = Kind(
        "writer", f"uses: train.text_to_text, with: {{{settings}}}", about, None,
        quality=f"answer: {scalar(answer)}",
    )  # fmt: skip
    reading = columns(path or "data.csv", guessed, f"text: {scalar(text)}")
    return project(kind, name, reading, path, bound("quality.exact_match", 0.5, lang), lang)


def recommender(name: str, path: str | None, guessed: Guessed | None, lang: str) -> str:
    """A user, an item, what came of it."""
    user, item = (guessed and guessed.user) or "user", (guessed and guessed.item) or "item"
    goal = f"label: {scalar(guessed.label)}" if guessed and guessed.label else (
        f"target: {scalar((guessed and guessed.target) or 'rating')}")  # fmt: skip
    roles = [goal, f"time: {scalar(guessed.time)}"] if guessed and guessed.time else [goal]
    about = t(
        "Who rates or clicks what: `modelyard recommend` ranks items with it. `kind: auto` tries two networks as\n"
        "well, which make more of further columns (the user's age, the item's kind).",
        lang=lang,
    )
    kind = Kind(
        "model",
        f"uses: train.recommender, with: {{user: {scalar(user)}, item: {scalar(item)}, kind: factorization}}",
        about,
    )
    is_class = bool(guessed and guessed.label)
    rule = accuracy(guessed, lang) if is_class else bound("quality.r2", 0.1, lang)
    return project(kind, name, columns(path or "ratings.csv", guessed, *roles), path, rule, lang)
