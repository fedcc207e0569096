"""What a data file is for, and which column is the text, the label or the target: a guess that says why, to check.

Reads the file exactly as `data.read` will. The text is the column with the longest values; the label is one with few
values that repeat. A name that says so counts first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.base.messages import t
from modelyard.engine import paired, together
from modelyard.engine.guessed import (
    IMAGE_ENDINGS,
    IMAGES,
    LABEL_NAMES,
    LONG,
    MAX_CLASSES,
    MAX_ROWS,
    PAIRS,
    PARTS,
    RECOMMENDATION,
    REWRITES,
    SENTENCE,
    SPAN_EXAMPLE,
    SPAN_TEXTS,
    SPANS,
    TABLE_CLASSES,
    TABLE_NUMBERS,
    TARGET_NAMES,
    TEXT_GENERATION,
    TEXT_NAMES,
    TEXTS,
    ColumnStatistics,
    Guess,
    Guessed,
    numeric,
)
from modelyard.errors import InputError

if TYPE_CHECKING:
    from modelyard.methods.data.rows import Reader
    from modelyard.methods.data.sources import Source


def guess(path: Path, task: str | None = None) -> Guessed:
    """Look at the first MAX_ROWS rows of a CSV, TSV, JSONL, Parquet or Arrow file, or into a folder of images.

    Args:
        task: what the model is to be for, if that is known already; None guesses it too.

    Raises InputError if it is none.
    """
    if path.is_dir():
        return _pictures(path)
    from modelyard.methods.data.reading import Reading, open_reader
    from modelyard.methods.data.sources import resolve

    source: Source = resolve(path.name, path.parent)[0]
    reader, how = open_reader(source, Reading())
    statistics, whole, num_bad = _statistics(reader)
    columns = _columns_without_header(reader, statistics)
    if columns is not None:
        for name, column, first in zip(columns, statistics, reader.names, strict=True):
            column.name = name
            column.add(first)
    chosen = task or _task(statistics)
    both = paired.find(chosen, statistics)
    form = Guess(t("format"), how, reader.described)
    if both is not None:
        return paired.guessed(chosen, both, statistics, columns, whole, num_bad, form)
    warned = _warned(statistics)
    if chosen in (TABLE_CLASSES, TABLE_NUMBERS):
        return _table(
            chosen if task else None,
            statistics,
            columns,
            whole,
            num_bad,
            form,
            warned,
        )
    text, text_why = _text(statistics)
    label, label_why = _label([column for column in statistics if column is not text])
    guesses = [form]
    if columns is not None:
        columns = _renamed(columns, {"text": text, "label": label})
        why = t("the first line looks like data: its values come again below")
        guesses.append(Guess(t("header"), t("none"), why))
    guesses.append(Guess(t("text column"), text.name if text else "?", text_why))
    guesses += warned
    if chosen == TEXTS:
        guesses.append(Guess(t("label column"), label.name if label else "?", label_why))
    if num_bad:
        guesses.append(Guess(t("bad rows"), str(num_bad), t("data.read keeps them apart, each with its reason")))
    return Guessed(
        text.name if text else None,
        label.name if label else None,
        columns,
        max((column.num_rows for column in statistics), default=0),
        whole,
        max(label.values.values()) / label.num_rows if label else None,
        tuple(guesses),
        chosen,
    )


def columns_of(path: Path) -> list[ColumnStatistics]:
    """The columns of a file over its first MAX_ROWS rows. Raises InputError if it is none."""
    from modelyard.methods.data.reading import Reading, open_reader
    from modelyard.methods.data.sources import resolve

    source: Source = resolve(path.name, path.parent)[0]
    reader, _ = open_reader(source, Reading())
    return _statistics(reader)[0]


def _task(statistics: Sequence[ColumnStatistics]) -> str:
    """What the columns are for: users and items, pairs of texts, spans beside texts, labelled texts, texts alone; else
    a table."""
    for task in (RECOMMENDATION, PAIRS, REWRITES):
        if paired.find(task, statistics) is not None:
            return task
    names = {column.name.lower() for column in statistics}
    texts = [column for column in statistics if _is_text(column)]
    if not texts:
        return TABLE_CLASSES
    if SPANS in names or _object_label(statistics):
        return SPAN_TEXTS
    labelled = any(_few(column) for column in statistics if column not in texts)
    return TEXTS if labelled or len(statistics) > 1 else TEXT_GENERATION


def _object_label(statistics: Sequence[ColumnStatistics]) -> ColumnStatistics | None:
    """A column called a label whose values are objects, as in files of marked names."""
    return next((one for one in statistics if one.name.lower() in LABEL_NAMES and together.objects(one.values)), None)


def _warned(statistics: Sequence[ColumnStatistics]) -> list[Guess]:
    """What of the file no template reads as it stands, and what to do."""
    found = []
    marked = _object_label(statistics)
    if marked is not None and SPANS not in {column.name.lower() for column in statistics}:
        found.append(
            Guess(t("not read yet"), marked.name, t(
                "its values are objects, not labels; for spans write a column `spans`: a JSON list of "
                "{example} for each text, in characters, `end` exclusive", example=SPAN_EXAMPLE))
        )  # fmt: skip
    both = together.texts(paired.seen(statistics))
    if both:
        found.append(
            Guess(t("pairs of texts"), ", ".join(both), t(
                "classes of pairs are not learned yet; `train.sentence_embedding` learns from pairs whose label is a "
                "number, or that have none"))
        )  # fmt: skip
    return found


def _is_text(column: ColumnStatistics) -> bool:
    """Values that differ, and are long or called texts."""
    if numeric(column) or _few(column) or column.num_values < 2:
        return False
    return column.name.lower() in TEXT_NAMES or column.mean_length >= LONG or _words(column) >= SENTENCE


def _words(column: ColumnStatistics) -> float:
    """Words of a value, on average."""
    shown = list(islice(column.values, 50))
    return sum(len(value.split()) for value in shown) / len(shown)


def _table(
    task: str | None,
    statistics: Sequence[ColumnStatistics],
    columns: tuple[str, ...] | None,
    whole: bool,
    num_bad: int,
    form: Guess,
    warned: Sequence[Guess] = (),
) -> Guessed:
    """A table: what is predicted is the column whose name says so, else the last; few values are classes."""
    filled = [column for column in statistics if column.num_rows]
    names = LABEL_NAMES | TARGET_NAMES
    named = [column for column in filled if column.name.lower() in names]
    named = named or [column for column in filled if set(PARTS.split(column.name.lower())) & names]
    chosen_from = named or filled
    goal = chosen_from[-1] if chosen_from else None
    why = t("its name says so") if named else t("the last column, as is usual")
    numbers = goal is not None and numeric(goal) and (goal.many or goal.num_values > MAX_CLASSES)
    chosen = task or (TABLE_NUMBERS if numbers else TABLE_CLASSES)
    guesses = [form, *warned]
    if columns is not None:
        guesses.append(Guess(t("header"), t("none"), t("the first line looks like data: its values come again below")))
    guesses.append(
        Guess(t("target column") if chosen == TABLE_NUMBERS else t("label column"), goal.name if goal else "?", why)
    )
    guesses.append(Guess(t("kind"), chosen, t("no column of texts; what is predicted decides")))
    if num_bad:
        guesses.append(Guess(t("bad rows"), str(num_bad), t("data.read keeps them apart, each with its reason")))
    is_class = goal is not None and chosen == TABLE_CLASSES
    return Guessed(
        None,
        goal.name if goal and is_class else None,
        columns,
        max((column.num_rows for column in statistics), default=0),
        whole,
        max(goal.values.values()) / goal.num_rows if goal and is_class else None,
        tuple(guesses),
        chosen,
        goal.name if goal and not is_class else None,
    )


def _pictures(folder: Path) -> Guessed:
    """A folder with one folder a class. Raises InputError if there is no image in it."""
    counts = {
        one.name: sum(file.suffix.lower() in IMAGE_ENDINGS for file in one.iterdir())
        for one in sorted(folder.iterdir())
        if one.is_dir()
    }
    counts = {name: count for name, count in counts.items() if count}
    if len(counts) < 2:
        raise InputError(
            t("the folder holds no images in folders of their classes"),
            where=str(folder),
            expected=t("one folder a class: {example}", example="cats/1.png, dogs/1.png"),
        )
    total, most = sum(counts.values()), max(counts.values())
    classes = t("{num} folders with {total:,} images", num=len(counts), total=total)
    why = (Guess(t("kind"), IMAGES, classes),)
    return Guessed(None, "label", None, total, True, most / total, why, IMAGES)


def _statistics(reader: Reader) -> tuple[list[ColumnStatistics], bool, int]:
    statistics = [ColumnStatistics(name) for name in reader.names]
    num_bad = num_rows = 0
    for _, values, _ in islice(reader.rows(), MAX_ROWS):
        num_rows += 1
        if not isinstance(values, list):
            num_bad += 1
            continue
        for column, value in zip(statistics, values, strict=True):
            if value is not None and str(value).strip():
                column.add(str(value))
    return statistics, num_rows < MAX_ROWS, num_bad


def _columns_without_header(reader: Reader, statistics: Sequence[ColumnStatistics]) -> tuple[str, ...] | None:
    """Names to give if the header is no header: one of its names is a value that comes often in its own column."""
    if not hasattr(reader, "delimiter"):
        return None
    often = any(column.values.get(column.name, 0) >= 2 and _few(column) for column in statistics)
    if not often:
        return None
    return tuple(f"column_{number}" for number in range(1, len(statistics) + 1))


def _few(column: ColumnStatistics) -> bool:
    """Values that repeat: at least two, each three times on average."""
    return not column.many and 2 <= column.num_values <= max(2, column.num_rows // 3)


def _renamed(columns: Sequence[str], roles: Mapping[str, ColumnStatistics | None]) -> tuple[str, ...]:
    """A column without a name of its own is called by its role."""
    names = list(columns)
    for role, column in roles.items():
        if column is not None:
            names[names.index(column.name)] = column.name = role
    return tuple(names)


def _text(statistics: Sequence[ColumnStatistics]) -> tuple[ColumnStatistics | None, str]:
    """The text column, and why."""
    candidates = [column for column in statistics if column.num_values > 1 and not numeric(column)]
    named = [column for column in candidates if column.name.lower() in TEXT_NAMES and not _few(column)]
    if not candidates:
        return None, t("no column holds different texts: name it in the file")
    best = max(named or candidates, key=lambda column: column.mean_length)
    if named:
        return best, t("its name says so")
    return best, t("the longest values: {length:.0f} characters on average", length=best.mean_length)


def _label(statistics: Sequence[ColumnStatistics]) -> tuple[ColumnStatistics | None, str]:
    """The label column, and why."""
    candidates = [column for column in statistics if _few(column)]
    named = [column for column in candidates if column.name.lower() in LABEL_NAMES]
    if not candidates:
        return None, t("no column has few values that repeat: name it in the file")
    best = min(named or candidates, key=lambda column: column.num_values)
    values = ", ".join(f"{value} ({count:,})" for value, count in best.values.most_common(4))
    more = ", …" if best.num_values > 4 else ""
    return best, t("{num} different values: {values}", num=best.num_values, values=values + more)
