"""`modelyard predict`: ask a release or a model folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from modelyard.app.models import ask
from modelyard.app.records import Question, Unanswered, from_file
from modelyard.base.messages import t
from modelyard.cli.options import json_option, profile_option, project_option
from modelyard.cli.output import cut, print_json, table, visible
from modelyard.errors import InputError, UsageError

SET_COLUMNS = 60


@click.command(
    "predict",
    help=t("Ask a release (`name`, `name@3`, `name:alias`), a bundle or a model folder. TEXTS are texts, or paths of "
           "images, or records as JSON, as the model reads; --file is a file of them; - is standard input."),
)  # fmt: skip
@click.argument("model")
@click.argument("texts", nargs=-1)
@click.option("--file", "file", default=None, type=click.Path(),
              help=t("a file: .jsonl (records), .csv, .parquet (rows), an image; else a text a line"))  # fmt: skip
@click.option("--column", default=None, help=t("the column of a table that holds the text"))
@click.option("--jsonl", is_flag=True,
              help=t("one JSON object a line; a record that cannot be read is a line with its error"))  # fmt: skip
@project_option()
@profile_option()
@json_option()
def command(
    model: str,
    texts: tuple[str, ...],
    file: str | None,
    column: str | None,
    jsonl: bool,
    project: str | None,
    profile: str | None,
    as_json: bool,
) -> None:
    if jsonl and as_json:
        raise UsageError(t("--json and --jsonl exclude each other"))
    if not texts and file is None:
        raise UsageError(t("nothing to ask about"), expected=f"modelyard predict {model} 'TEXT'")
    questions = _questions(texts, file, column)
    if jsonl:
        _lines(ask(model, questions, project=project, profile=profile))
        return
    asked = list(questions)
    if not asked:
        raise UsageError(t("nothing to ask about"), expected=f"modelyard predict {model} 'TEXT'")
    answers = list(ask(model, asked, project=project, profile=profile))
    problems = [answer.problem for answer in answers if isinstance(answer, Unanswered)]
    if problems:
        raise InputError.of(problems)
    if as_json:
        print_json({"predictions": [answer.to_json() for answer in answers]})
        return
    _show(asked, answers)


def _lines(answers: Iterable[Any]) -> None:
    """Answers as they come. Raises InputError at the end if some records could not be read."""
    count = unread = 0
    for answer in answers:
        count += 1
        unread += isinstance(answer, Unanswered)
        sys.stdout.write(json.dumps(answer.to_json(), ensure_ascii=False) + "\n")
    sys.stdout.flush()
    if unread:
        found = t("{unread:,} of {count:,} records could not be read", unread=unread, count=count)
        raise InputError(found, remedy=t("their lines say why"))


def _show(questions: Sequence[Question], answers: Sequence[Any]) -> None:
    """Answers for a person: labels, and numbers with what the model promises of them, as a table; else a line each."""
    told = [answer.to_json() for answer in answers]
    labels = all(hasattr(answer, "label") and hasattr(answer, "scores") for answer in answers)
    promises = {name for answer in told for name in answer} & {"interval", "quantiles"}
    if not labels and not (promises and all(hasattr(answer, "value") for answer in answers)):
        for answer in told:
            print(visible(_plain(answer)))
        return
    columns = _labels(told) if labels else _numbers(answers)
    items = [question.item for question in questions]
    has_text = all(isinstance(item, str) or "text" in item for item in items)
    columns[t("text") if has_text else t("record")] = [cut(_text(item), 60) for item in items]
    print(table(list(columns), list(zip(*columns.values(), strict=True))))


def _labels(told: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """By heading: label, score, and the set of labels and whether the model abstained if it says so."""
    columns = {
        t("label"): [str(one["label"]) for one in told],
        t("score"): [f"{one['scores'][one['label']]:.4f}" for one in told],
    }
    if any("set" in one for one in told):
        columns[t("set")] = [cut("{" + ", ".join(one.get("set", ())) + "}", SET_COLUMNS) for one in told]
    if any("abstained" in one for one in told):
        columns[t("abstained")] = [t("yes") if one.get("abstained") else t("no") for one in told]
    return columns


def _numbers(answers: Sequence[Any]) -> dict[str, list[str]]:
    """By heading: value, interval and each quantile, as far as the model says them."""
    columns = {t("value"): [f"{one.value:.6g}" for one in answers]}
    if any(one.interval is not None for one in answers):
        ends = [one.interval for one in answers]
        columns[t("interval")] = [f"[{two[0]:.6g}, {two[1]:.6g}]" if two else t("no bound") for two in ends]
    for name in dict.fromkeys(name for one in answers for name in one.quantiles or ()):
        own = [(one.quantiles or {}).get(name) for one in answers]
        columns[t("quantile {level}", level=name)] = ["" if number is None else f"{number:.6g}" for number in own]
    return columns


def _plain(answer: dict[str, Any]) -> str:
    """An answer that is no label: a text as it stands, anything else as JSON."""
    text = answer.get("text")
    return text if isinstance(text, str) else json.dumps(answer, ensure_ascii=False)


def _text(record: str | Mapping[str, Any]) -> str:
    """The text of a record; of one that has none, all of it."""
    text = record if isinstance(record, str) else str(record.get("text", json.dumps(record, ensure_ascii=False)))
    return " ".join(text.split())


def _questions(texts: Iterable[str], file: str | None, column: str | None) -> Iterator[Question]:
    place = 0
    for text in texts:
        for item in (line.rstrip("\n") for line in sys.stdin) if text == "-" else [text]:
            yield Question(item, f"records[{place}]")
            place += 1
    if file is not None:
        yield from from_file(Path(file), column)
