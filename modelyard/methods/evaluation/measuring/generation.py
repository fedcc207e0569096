"""Models that write: likelihood of texts, choices by likelihood, answers beside the wanted ones.

What is measured follows from the columns: `choices` are judged by likelihood; a wanted answer (the setting `answer`,
else `answer`, `output` or `response`, else the last turn of `messages`) is compared with what the model writes; texts
alone get their perplexity.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.data.text import text_key
from modelyard.methods.evaluation.estimates import Estimate, as_json
from modelyard.methods.evaluation.measuring import written
from modelyard.methods.evaluation.measuring.examples import (
    Examples,
    Fields,
    Note,
    Read,
    Reader,
    Row,
    asked,
    batched,
    quiet,
)
from modelyard.methods.evaluation.measuring.family import Family, Plain, Shown
from modelyard.methods.evaluation.measuring.written import Wanted, Written
from modelyard.methods.evaluation.settings import Measuring
from modelyard.methods.runtimes.predictor import Predictor, Record

ANSWERS = ("answer", "output", "response")
PROMPTS = ("prompt", "instruction", "question", "text")
CHATS = ("messages", "conversations")
NO_LIKELIHOOD = "the model's runtime tells no likelihoods"


class Generation(Family):
    """Text that follows."""

    def reader(self, data: Dataset, task: str, settings: Measuring) -> Reader:
        there = {column.name for column in data.columns}
        named = [name for name in (settings.answer, settings.choices, settings.tests) if name]
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
        tests = settings.tests
        field = "text" if answer or settings.choices or tests else "prompt"
        fields = Fields(
            "text",
            columns,
            lambda row: _record(field, question(row)),
            lambda row, read: text_key(read(question(row) or "")),
        )
        if settings.choices:
            choices = settings.choices
            return Reader(fields, (choices, str(label)), lambda row: _choice(row[choices], row[str(label)]),
                          t("a question, choices or the right one"))  # fmt: skip
        if tests:
            columns_read = (tests, answer) if answer else (tests,)
            return Reader(fields, columns_read, lambda row: _tested(row[tests], row[answer] if answer else None),
                          t("a question or its tests"))  # fmt: skip
        if answer:
            return Reader(fields, (answer,), lambda row: _wanted(row[answer]), t("a question or an answer"))
        return Reader(fields, (), lambda row: Wanted(None), t("a text"))

    def fields(self, data: Dataset, task: str) -> Fields:
        return self.reader(data, task, Measuring()).fields

    def answer(self, predictor: Predictor, examples: Examples, settings: Measuring, note: Note = quiet) -> Written:
        wanted = tuple(examples.truths)
        likelihood = getattr(predictor, "log_likelihood", None)
        if not wanted or wanted[0].choices or (wanted[0].answer is None and wanted[0].tests is None):
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
        told = None if wanted[0].answer is None else _likelihoods(likelihood, examples, settings, quiet)
        passed = _tried(examples, wanted, texts, settings, note) if settings.tests else ()
        return Written(wanted, tuple(texts), told, num_cut, passed)

    def measure(self, answers: Any, examples: Examples, settings: Measuring, seed: int) -> Plain:
        missing: dict[str, str] = {}
        found: list[Estimate] = []
        if answers.wanted[0].choices:
            found += written.choices(answers)
        elif answers.likelihoods is None:
            if answers.wanted[0].answer is not None or not answers.texts:
                missing["perplexity_token"] = NO_LIKELIHOOD
        else:
            found += written.perplexity([one[0] for one in answers.likelihoods], missing, seed)
        if answers.texts:
            if answers.wanted[0].answer is not None:
                found += written.overlaps(answers, missing, seed)
            found += written.passes(answers, settings.cutoffs, seed)
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
            texts = [
                one.choices[written.best(each, by_byte=False)] for one, each in zip(answers.wanted, told, strict=True)
            ]
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

    def key(row: Row, read: Read) -> bytes:
        return text_key("\n".join(read(str(one.get("content"))) for one in turns(row)[:-1]))

    fields = Fields("text", (column,), record, key)
    return Reader(
        fields, (), lambda row: Wanted(str(turns(row)[-1].get("content"))), t("a chat that ends with an answer")
    )


def _record(field: str, value: str | None) -> Record | None:
    return None if value is None else {field: value}


def _wanted(value: Any) -> Wanted | None:
    return None if value is None else Wanted(str(value))


def _tested(tests: Any, answer: Any) -> Wanted | None:
    return None if tests is None else Wanted(None if answer is None else str(answer), tests=str(tests))


def _tried(
    examples: Examples, wanted: Sequence[Wanted], texts: Sequence[Sequence[str]], settings: Measuring, note: Note
) -> tuple[tuple[bool, ...], ...]:
    """Which programs of each row passed its tests; each runs confined, in a process of its own."""
    from modelyard.methods.evaluation.code import running

    limits = running.Limits(settings.code_seconds, settings.code_megabytes)
    found: list[tuple[bool, ...]] = []
    for record, one, said in zip(examples.records(), wanted, texts, strict=True):
        prompt = str(record.get("prompt") or record.get("text") or "")
        programs = [running.program_of(prompt, each, one.tests or "") for each in said]
        found.append(tuple(running.run(program, limits).passed for program in programs))
        note(len(found), len(texts))
    return tuple(found)


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


def _sample(answers: Written, place: int, record: Record) -> dict[str, str]:
    asked_for = record.get("text") or record.get("prompt") or ""
    if "messages" in record:
        asked_for = str(record["messages"][-1].get("content", ""))
    wanted = answers.wanted[place]
    said = answers.texts[place][0] if answers.texts else ""
    if wanted.choices and answers.likelihoods:
        said = wanted.choices[written.best(answers.likelihoods[place], by_byte=False)]
    parts = {"text": str(asked_for), "wanted": wanted.answer or "", "said": said}
    return {name: value if len(value) <= 200 else value[:199] + "…" for name, value in parts.items() if value}


FAMILY = Generation()
