"""`modelyard predict`: ask a release or a model folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from modelyard.app.models import predict
from modelyard.base.messages import t
from modelyard.cli.options import json_option, profile_option, project_option
from modelyard.cli.output import cut, print_json, table, visible
from modelyard.errors import InputError, UsageError


@click.command(
    "predict",
    help=t("Ask a release (`name`, `name@3`, `name:alias`), a bundle or a model folder about TEXTS, about the lines "
           "of --file (JSON records or plain text), or about standard input (-)."),
)  # fmt: skip
@click.argument("model")
@click.argument("texts", nargs=-1)
@click.option("--file", "file", default=None, type=click.Path(), help=t("a file of texts, one a line; .jsonl: records"))
@project_option()
@profile_option()
@json_option()
def command(
    model: str, texts: tuple[str, ...], file: str | None, project: str | None, profile: str | None, as_json: bool
) -> None:
    records = _records(texts, file)
    if not records:
        raise UsageError(t("nothing to ask about"), expected=f"modelyard predict {model} 'TEXT'")
    answers = predict(model, records, project=project, profile=profile)
    if as_json:
        print_json({"predictions": [answer.to_json() for answer in answers]})
        return
    if not all(hasattr(answer, "scores") for answer in answers):
        for answer in answers:
            print(visible(_plain(answer.to_json())))
        return
    rows = [
        (answer.label, f"{answer.scores[answer.label]:.4f}", cut(_text(record), 60))
        for record, answer in zip(records, answers, strict=True)
    ]
    has_text = all(isinstance(record, str) or "text" in record for record in records)
    print(table([t("label"), t("score"), t("text") if has_text else t("record")], rows))


def _plain(answer: dict[str, Any]) -> str:
    """An answer that is no label: a text as it stands, anything else as JSON."""
    text = answer.get("text")
    return text if isinstance(text, str) else json.dumps(answer, ensure_ascii=False)


def _text(record: str | dict[str, Any]) -> str:
    """The text of a record; of one that has none, all of it."""
    text = record if isinstance(record, str) else str(record.get("text", json.dumps(record, ensure_ascii=False)))
    return " ".join(text.split())


def _records(texts: Iterable[str], file: str | None) -> list[str | dict[str, Any]]:
    found: list[str | dict[str, Any]] = []
    for text in texts:
        found += [line.rstrip("\n") for line in sys.stdin] if text == "-" else [text]
    if file is not None:
        found += _file_records(Path(file))
    return found


def _file_records(path: Path) -> list[str | dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(t("cannot read the file: {error}", error=error.strerror or error), where=str(path)) from None
    except UnicodeDecodeError as error:
        raise InputError(t("cannot read the file: {error}", error=error), where=str(path), expected="UTF-8") from None
    # Lines end in a line feed only: JSON may hold U+2028 and others that `splitlines` would break it at.
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if path.suffix != ".jsonl":
        return [line.rstrip("\r") for _, line in lines]
    records: list[str | dict[str, Any]] = []
    for number, line in lines:
        try:
            records.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise InputError(t("not JSON: {error}", error=error), where=f"{path}:{number}") from None
    return records
