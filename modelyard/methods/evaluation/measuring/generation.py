"""Models that write: likelihood of texts, choices by likelihood, answers beside the wanted ones.

What is measured follows from the columns: `choices` are judged by likelihood; a wanted answer (the setting `answer`,
else `answer`, `output` or `response`, else the last turn of `messages`) is compared with what the model writes; texts
alone get their perplexity.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.data.text import text_key
from modelyard.methods.evaluation import overlap, translation
from modelyard.methods.evaluation.estimates import Estimate, as_json
from modelyard.methods.evaluation.means import ratio_interval, share_interval
from modelyard.methods.evaluation.measuring.examples import Examples, Fields, Note, Reader, Row, asked, batched, quiet
from modelyard.methods.evaluation.measuring.family import Family, Plain, Shown
from modelyard.methods.evaluation.settings import Measuring
from modelyard.methods.runtimes.predictor import Predictor, Record
from modelyard.methods.statistics.wilson import wilson

ANSWERS = ("answer", "output", "response")
PROMPTS = ("prompt", "instruction", "question", "text")
CHATS = ("messages", "conversations")
NO_LIKELIHOOD = "the model's runtime tells no likelihoods"


@dataclass(frozen=True)
class Wanted:
    """What a row asks for.

    Attributes:
        answer: the text that is wanted; None: the text itself is what is judged.
        choices: of which `answer` is one; empty if the model writes freely.
    """

    answer: str | None
    choices: tuple[str, ...] = ()

    @property
    def place(self) -> int:
        return self.choices.index(self.answer or "")


@dataclass(frozen=True)
class Written:
    """What the model said [n].

    Attributes:
        texts: for each row the answers drawn (one if it wrote without chance); empty if it was not asked to write.
        likelihoods: of the wanted answer or the text; for choices one for each; None if the runtime tells none.
        num_cut: rows whose prompt the model could not read whole.
    """

    wanted: tuple[Wanted, ...]
    texts: tuple[tuple[str, ...], ...]
    likelihoods: tuple[tuple[Any, ...], ...] | None
    num_cut: int = 0


class Generation(Family):
    """Text that follows."""

    def reader(self, data: Dataset, task: str, settings: Measuring) -> Reader:
        there = {column.name for column in data.columns}
        named = [name for name in (settings.answer, settings.choices) if name]
        for name in named:
            if name not in there:
                raise InputError(t("no column `{name}`", name=name), where="data", expected=", ".join(sorted(there)))
        chat = next((name for name in CHATS if name in there), None)
        answer = settings.answer or next((name for name in ANSWERS if name in there), None)
        label = data.role("label") if settings.choices else None
        if settings.choices and label is None:
            data.need("label")
        prompt = next((name for name in PROMPTS if name in there), None) or data.role("text")
        if chat and not answer and not settings.choices:
            return _of_chats(chat)
        if prompt is None:
            raise InputError(
                t("there is no prompt to begin with"), where="data", expected=", ".join((*PROMPTS, *CHATS))
            )
        more = "input" if prompt == "instruction" and "input" in there else None
        columns = tuple(name for name in (prompt, more) if name)

        def question(row: Row) -> str | None:
            parts = [str(row[name]) for name in columns if row[name]]
            return "\n".join(parts) if row[prompt] is not None else None

        # What is only judged as a text stands as it is, without the marks of a chat.
        field = "text" if answer or settings.choices else "prompt"
        fields = Fields(
            "text", columns, lambda row: _record(field, question(row)), lambda row: text_key(question(row) or "")
        )
        if settings.choices:
            choices = settings.choices
            return Reader(fields, (choices, str(label)), lambda row: _choice(row[choices], row[str(label)]),
                          t("a question, choices or the right one"))  # fmt: skip
        if answer:
            return Reader(fields, (answer,), lambda row: _wanted(row[answer]), t("a question or an answer"))
        return Reader(fields, (), lambda row: Wanted(None), t("a text"))

    def fields(self, data: Dataset, task: str) -> Fields:
        return self.reader(data, task, Measuring()).fields

    def answer(self, predictor: Predictor, examples: Examples, settings: Measuring, note: Note = quiet) -> Written:
        wanted = tuple(examples.truths)
        likelihood = getattr(predictor, "log_likelihood", None)
        if not wanted or wanted[0].choices or wanted[0].answer is None:
            found = _likelihoods(likelihood, examples, settings, note) if wanted else None
            if not wanted:
                list(asked(predictor, examples, settings.batch_rows, note))  # says that there are no rows
            if found is None:
                raise InputError(
                    t("the model's runtime tells no likelihoods, and the data has no answers to compare with"),
                    where="data",
                    expected=", ".join(ANSWERS),
                )
            return Written(wanted, (), found)
        texts: list[tuple[str, ...]] = []
        num_cut = 0
        for record in batched(examples.records(), settings.batch_rows):
            drawn = predictor.predict([one for each in record for one in _draws(each, settings)])
            num_cut += sum(getattr(one, "unread", 0) > 0 for one in drawn[:: settings.samples])
            for start in range(0, len(drawn), settings.samples):
                texts.append(tuple(one.text for one in drawn[start : start + settings.samples]))
            note(len(texts), len(examples))
        return Written(wanted, tuple(texts), _likelihoods(likelihood, examples, settings, quiet), num_cut)

    def measure(self, answers: Any, examples: Examples, settings: Measuring, seed: int) -> Plain:
        missing: dict[str, str] = {}
        found: list[Estimate] = []
        if answers.wanted[0].choices:
            found += _choices(answers)
        elif answers.likelihoods is None:
            missing["perplexity_token"] = NO_LIKELIHOOD
        else:
            found += _perplexity([one[0] for one in answers.likelihoods], missing, seed)
        if answers.texts:
            found += _overlap(answers, missing, seed)
            found += _passes(answers, settings.cutoffs, seed)
        return Plain(answers, tuple(one for one in found if math.isfinite(one.value)), missing)

    def document(self, measured: Any, examples: Examples, shown: Shown, seed: int) -> dict[str, Any]:
        answers: Written = measured.answers
        places = list(range(len(examples)))[: shown.limit]
        records = examples.pick(places) if shown.texts else [{} for _ in places]
        samples = [
            {"row_id": examples.row_ids[place], **(_sample(answers, place, record) if shown.texts else {})}
            for place, record in zip(places, records, strict=True)
        ]
        passes = [{"k": int(e.slice["k"]), **(as_json(e) or {})} for e in measured.estimates if e.name == "pass_at_k"]
        return {"samples": samples, "pass_at_k": passes, "cut_prompts": answers.num_cut}

    def predictions(self, measured: Any, examples: Examples) -> pa.Table:
        answers: Written = measured.answers
        count = len(examples)
        texts = [one[0] for one in answers.texts] if answers.texts else [None] * count
        told = answers.likelihoods or ((None,),) * count
        chosen = [max(each, key=lambda one: one.log_probability) if each[0] else None for each in told]
        own = [each[0] for each in told] if not answers.wanted[0].choices else chosen
        if answers.wanted[0].choices:
            texts = [one.choices[_best(each, by_byte=False)] for one, each in zip(answers.wanted, told, strict=True)]
        return pa.table(
            {
                "row_id": pa.array(examples.row_ids, pa.string()),
                "wanted": pa.array([one.answer for one in answers.wanted], pa.string()),
                "said": pa.array(texts, pa.string()),
                "log_probability": pa.array([one.log_probability if one else None for one in own], pa.float64()),
                "tokens": pa.array([one.tokens if one else None for one in own], pa.int64()),
            }
        )


def _of_chats(column: str) -> Reader:
    """A chat is asked without its last turn, which is the answer wanted."""

    def turns(row: Row) -> list[Mapping[str, Any]]:
        value = row[column]
        try:
            value = json.loads(value) if isinstance(value, str) else value
        except ValueError:
            return []
        good = isinstance(value, list) and all(isinstance(one, dict) and "role" in one for one in value)
        return value if good else []

    def record(row: Row) -> Record | None:
        found = turns(row)
        return {"messages": found[:-1]} if len(found) > 1 and found[-1]["role"] == "assistant" else None

    def key(row: Row) -> bytes:
        return text_key("\n".join(str(one.get("content")) for one in turns(row)[:-1]))

    fields = Fields("text", (column,), record, key)
    return Reader(
        fields, (), lambda row: Wanted(str(turns(row)[-1].get("content"))), t("a chat that ends with an answer")
    )


def _record(field: str, value: str | None) -> Record | None:
    return None if value is None else {field: value}


def _wanted(value: Any) -> Wanted | None:
    return None if value is None else Wanted(str(value))


def _choice(choices: Any, right: Any) -> Wanted | None:
    """The choices with the right one, given as a text or as its place from 0; None if it is not among them."""
    try:
        found = [str(one) for one in (json.loads(choices) if isinstance(choices, str) else choices or ())]
    except (ValueError, TypeError):
        return None
    if str(right) in found:
        return Wanted(str(right), tuple(found))
    place = int(right) if str(right).isdigit() else -1
    return Wanted(found[place], tuple(found)) if 0 <= place < len(found) else None


def _draws(record: Record, settings: Measuring) -> list[dict[str, Any]]:
    limit = {"max_new_tokens": settings.max_new_tokens} if settings.max_new_tokens else {}
    if settings.samples == 1:
        return [{**record, **limit}]
    drawn = {"temperature": settings.temperature, **limit}
    return [{**record, **drawn, "seed": seed} for seed in range(settings.samples)]


def _likelihoods(
    likelihood: Any, examples: Examples, settings: Measuring, note: Note
) -> tuple[tuple[Any, ...], ...] | None:
    if likelihood is None:
        return None
    found: list[tuple[Any, ...]] = []
    for records in batched(examples.records(), settings.batch_rows):
        wanted = examples.truths[len(found) : len(found) + len(records)]
        answers = [one.choices or (one.answer,) for one in wanted]
        questions = [
            record if answer is None else {**record, "answer": answer}
            for record, each in zip(records, answers, strict=True)
            for answer in each
        ]
        told = iter(likelihood(questions))
        found += [tuple(next(told) for _ in each) for each in answers]
        note(len(found), len(examples))
    return tuple(found)


def _perplexity(told: Sequence[Any], missing: dict[str, str], seed: int) -> list[Estimate]:
    """exp of -Σ log p / Σ tokens (or bytes), documents independent."""
    losses = -np.array([one.log_probability for one in told])
    n = losses.size
    found = []
    for name, sizes in (
        ("perplexity_token", np.array([float(one.tokens) for one in told])),
        ("perplexity_byte", np.array([float(one.bytes) for one in told])),
    ):
        if not sizes.sum() > 0:
            missing[name] = "no token was scored"
            continue
        mean, ends = float(losses.sum() / sizes.sum()), ratio_interval(losses, sizes, seed)
        found.append(Estimate(name, _exp(mean), (_exp(ends[0]), _exp(ends[1])) if ends else None, n))
        if name == "perplexity_byte":
            bits = (ends[0] / math.log(2), ends[1] / math.log(2)) if ends else None
            found.append(Estimate("bits_per_byte", mean / math.log(2), bits, n))
    return found


def _exp(value: float) -> float:
    return math.exp(min(value, 700.0))


def _choices(answers: Written) -> list[Estimate]:
    told, n = answers.likelihoods or (), len(answers.wanted)
    found = []
    for name, by_byte in (("choice_accuracy", False), ("choice_accuracy_normalised", True)):
        hits = sum(_best(each, by_byte) == one.place for each, one in zip(told, answers.wanted, strict=True))
        found.append(Estimate(name, hits / n, wilson(hits, n), n))
    return found


def _best(told: Sequence[Any], by_byte: bool) -> int:
    """Place of the likeliest choice; the first of equals."""
    values = [one.log_probability / max(1, one.bytes if by_byte else 1) for one in told]
    return max(range(len(values)), key=lambda place: (values[place], -place))


def _overlap(answers: Written, missing: dict[str, str], seed: int) -> list[Estimate]:
    """Of the first answer drawn."""
    said, wanted = [one[0] for one in answers.texts], [str(one.answer) for one in answers.wanted]
    pairs, n = list(zip(said, wanted, strict=True)), len(said)
    hits = sum(overlap.exact_match(*pair) for pair in pairs)
    found = [Estimate("exact_match", hits / n, wilson(hits, n), n)]
    shares = {"token_f1": np.array([overlap.token_f1(*pair) for pair in pairs])}
    rouges = np.array([overlap.rouge(*pair) for pair in pairs])
    shares |= {"rouge_1": rouges[:, 0], "rouge_2": rouges[:, 1], "rouge_l": rouges[:, 2]}
    found += [Estimate(name, float(each.mean()), share_interval(each, seed), n) for name, each in shares.items()]
    for name, measure in (("bleu", translation.bleu), ("chrf", translation.chrf)):
        value, ends = measure(said, wanted)
        found.append(Estimate(name, value, ends, n))
        if ends is None:
            missing[f"interval of {name}"] = "too few rows, or nothing in common"
    return found


def _passes(answers: Written, cutoffs: Sequence[int], seed: int) -> list[Estimate]:
    drawn = len(answers.texts[0])
    if drawn < 2:
        return []
    right = [
        sum(overlap.exact_match(said, str(one.answer)) for said in texts)
        for texts, one in zip(answers.texts, answers.wanted, strict=True)
    ]
    found = []
    for k in sorted({k for k in cutoffs if k <= drawn}):
        values = np.array([overlap.pass_at_k(drawn, each, k) for each in right])
        found.append(
            Estimate("pass_at_k", float(values.mean()), share_interval(values, seed), values.size, {"k": str(k)})
        )
    return found


def _sample(answers: Written, place: int, record: Record) -> dict[str, str]:
    asked_for = record.get("text") or record.get("prompt") or ""
    if "messages" in record:
        asked_for = str(record["messages"][-1].get("content", ""))
    wanted = answers.wanted[place]
    said = answers.texts[place][0] if answers.texts else ""
    if wanted.choices and answers.likelihoods:
        said = wanted.choices[_best(answers.likelihoods[place], by_byte=False)]
    parts = {"text": str(asked_for), "wanted": wanted.answer or "", "said": said}
    return {name: value if len(value) <= 200 else value[:199] + "…" for name, value in parts.items() if value}


FAMILY = Generation()
