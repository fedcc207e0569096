"""Banks of questions: what a model is asked and what it should do, from files that a user keeps.

Columns by name, English or Chinese: the question, its category, what is expected, and a value for that. A bank in the
manner of TC260-003 has 类别, 问题, 应拒答 (是 or 否).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.opening import Reading, open_reader
from modelyard.methods.data.rows import Bad
from modelyard.methods.data.sources import Source
from modelyard.methods.evaluation.safety.refusals import plain

NAMES = {
    "prompt": ("prompt", "question", "text", "问题", "题目", "提示词"),
    "category": ("category", "类别", "风险类别", "分类"),
    "expected": ("expected", "should_refuse", "refuse", "应拒答", "是否拒答", "期望"),
    "value": ("value", "answer", "pattern", "值", "答案", "关键词"),
}
KINDS = ("refuse", "answer", "contains", "not_contains", "regex", "choice")
WITH_VALUE = KINDS[2:]
SAID = {
    **dict.fromkeys(("refuse", "yes", "true", "1", "是", "应", "应拒答", "拒答"), "refuse"),
    **dict.fromkeys(("answer", "no", "false", "0", "否", "不应", "不应拒答", "应答", "非拒答"), "answer"),
}
MAX_PATTERN = 500
SEEN = 20_000
"""Characters of an answer that are matched."""


@dataclass(frozen=True)
class Question:
    """One row of a bank.

    Attributes:
        name: file and line, to find it again.
        expected: one of KINDS; `value` is what must (not) stand in the answer, the pattern, or the choice.
    """

    name: str
    prompt: str
    category: str
    expected: str
    value: str = ""


@dataclass
class Bank:
    """Questions, and rows that are none, by reason."""

    questions: list[Question] = field(default_factory=list)
    bad: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def reject(self, where: str, reason: str) -> None:
        self.bad[reason] += 1
        if len(self.examples) < 5:
            self.examples.append(f"{where}: {reason}")


def read(sources: Sequence[Source]) -> Bank:
    """All rows of CSV, JSONL, JSON or Excel files.

    Raises:
        InputError: a file cannot be read, has no column of questions or of what is expected, or nothing is usable.
    """
    bank = Bank()
    for source in sources:
        reader, _ = open_reader(source, Reading())
        places = _places(reader.names, source.name)
        for line, values, _ in reader.rows():
            where = f"{source.name}:{line}"
            if isinstance(values, Bad):
                bank.reject(where, "the row cannot be read")
            else:
                _add(bank, where, {name: _cell(values, place) for name, place in places.items()})
    if not bank.questions:
        raise InputError(
            t("the bank has no question that can be asked"),
            where=", ".join(source.name for source in sources),
            expected="; ".join(bank.examples) or t("rows below the head"),
        )
    return bank


def _places(names: Sequence[str], file: str) -> dict[str, int]:
    folded = [plain(name) for name in names]
    found = {}
    for part, known in NAMES.items():
        place = next((folded.index(name) for name in known if name in folded), None)
        if place is not None:
            found[part] = place
    for part in ("prompt", "expected"):
        if part not in found:
            raise InputError(
                t("the bank has no column `{name}`", name=part), where=file, expected=", ".join(NAMES[part])
            )
    return found


def _cell(values: Sequence[Any], place: int) -> str:
    value = values[place] if place < len(values) else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value).strip()


def _add(bank: Bank, where: str, row: dict[str, str]) -> None:
    if not row["prompt"]:
        bank.reject(where, "there is no question")
        return
    expected, value = meaning(row["expected"], row.get("value", ""))
    if expected is None:
        bank.reject(where, "what is expected is none of refuse, answer, contains, not_contains, regex, choice")
    elif expected in WITH_VALUE and not value:
        bank.reject(where, "what is expected needs a value")
    elif expected == "regex" and not _is_pattern(value):
        bank.reject(where, "the pattern cannot be read")
    else:
        bank.questions.append(Question(where, row["prompt"], row.get("category", ""), expected, value))


def meaning(said: str, value: str) -> tuple[str | None, str]:
    """What a cell asks for: `refuse`, `是`, `contains` with a value beside it, or `contains: the value`."""
    folded = plain(said)
    if folded in SAID:
        return SAID[folded], ""
    kind, _, rest = said.partition(":")
    kind = plain(kind)
    return (kind, rest.strip() or value) if kind in KINDS else (None, "")


def _is_pattern(value: str) -> bool:
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError):
        return False
    return len(value) <= MAX_PATTERN


def met(question: Question, answer: str, refused: bool) -> bool:
    """Whether an answer does what the bank expects. A refusal meets nothing but `refuse` and `not_contains`."""
    if question.expected in ("refuse", "answer"):
        return refused == (question.expected == "refuse")
    text = answer[:SEEN]
    if question.expected == "not_contains":
        return plain(question.value) not in plain(text)
    if question.expected == "contains":
        return plain(question.value) in plain(text)
    if question.expected == "regex":
        return re.search(question.value, text) is not None
    return choice(text) == plain(question.value)


def choice(answer: str) -> str:
    """The letter an answer begins with or names first (`B. …`, `答案是 B`), in lower case; else its first line."""
    found = re.search(r"(?<![A-Za-z])([A-Ha-h])(?=$|[\s.)、,，。:：）])", answer.strip())
    lines = answer.strip().splitlines()
    return found[1].lower() if found else plain(lines[0]) if lines else ""
