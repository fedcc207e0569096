"""How rows, figures and versions of data sets look in a terminal. Nothing from data may steer it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any

from modelyard.base.canonical import short
from modelyard.base.messages import t
from modelyard.cli.output import cut, size, table, visible, width

WIDEST = 60
LOOK_AHEAD = 200
"""Rows that decide how wide columns are; the rest streams by."""
WORTH_SAYING = 0.05
"""Of a corrected p-value: a column that may well not have moved is left out of the table."""
_TURNS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]")
_BLOCKS = "▁▂▃▄▅▆▇█"
Value = dict[str, Any]


def one_line(text: str) -> str:
    """A text from data on one line: control characters, line ends and turns of direction as escapes."""
    plain = visible(text).replace("\n", "\\n")
    return _TURNS.sub(lambda found: f"\\u{ord(found.group()):04x}", plain)


def json_line(row: Value) -> str:
    """A row as one line of JSON that holds no control character, escapes of JSON in their place."""
    text = json.dumps(row, ensure_ascii=False, allow_nan=False)
    text = re.sub("[\x7f-\x9f\ud800-\udfff]", lambda found: f"\\u{ord(found.group()):04x}", text)
    return _TURNS.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def cell(value: Any) -> str:
    """A value in a table's cell."""
    if value is None:
        return "–"
    if isinstance(value, dict) and set(value) == {"bytes"}:
        return t("{n:,} bytes", n=value["bytes"])
    if isinstance(value, float):
        return f"{value:.6g}"
    return cut(one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)), WIDEST)


def streamed_table(columns: Sequence[str], rows: Iterator[Value]) -> Iterator[str]:
    """Lines of a table; how wide its columns are is decided by the first rows, so that any number streams by."""
    first = [[cell(row.get(name)) for name in columns] for row in islice(rows, LOOK_AHEAD)]
    head = [one_line(name) for name in columns]
    widths = [max(width(line[place]) for line in [head, *first]) for place in range(len(columns))]
    yield _line(head, widths)
    yield "  ".join("─" * columns_wide for columns_wide in widths)
    for line in chain(first, ([cell(row.get(name)) for name in columns] for row in rows)):
        yield _line(line, widths)


def _line(texts: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(text + " " * max(0, wide - width(text)) for text, wide in zip(texts, widths, strict=True)).rstrip()


def data_sets(found: Sequence[Value]) -> str:
    rows = [
        (
            f"{item['step']}.{item['port']}",
            item["uses"],
            f"{item['rows']:,}" if item["rows"] is not None else t("gone"),
            _splits(item["splits"]),
            size(item["size"]),
            short(item["digest"]),
        )
        for item in found
    ]
    return table([t("data set"), t("stage"), t("rows"), t("splits"), t("size"), t("digest")], rows)


def _splits(splits: dict[str, int]) -> str:
    return " ".join(f"{name} {rows:,}" for name, rows in splits.items() if name != "all")


def removed(found: Value) -> str:
    counts = [(t(item["action"]), t(item["reason"]), item["rows"]) for item in found["counts"]]
    parts = [table([t("action"), t("reason"), t("rows")], counts) if counts else t("nothing was removed or changed")]
    if found["rows"]:
        names = [name for name in found["rows"][0] if name != "row" and any(row[name] for row in found["rows"])]
        parts += ["", *streamed_table(names, iter(found["rows"]))]
    return "\n".join(parts)


def stats(found: Value) -> str:
    splits = _splits(found["splits"])
    lines = [t("{n:,} rows", n=found["rows"]) + (f" ({splits})" if splits else "")]
    labels = found.get("labels")
    if labels:
        lines.append(
            t(
                "{n:,} labels in `{column}`; evenness {evenness:.2f} of 1, rarest to commonest 1 : {ratio:.1f}",
                n=labels["num_labels"],
                column=one_line(labels["column"]),
                evenness=labels["evenness"],
                ratio=1 / labels["ratio"] if labels["ratio"] else 0.0,
            )
        )
    rows = [_column(item, found["rows"]) for item in found["columns"]]
    heads = [t("column"), t("role"), t("type"), t("missing"), t("distinct"), t("figures")]
    lines += ["", table(heads, rows)]
    for item in found["columns"]:
        if item.get("top"):
            lines += ["", _top(item)]
    if any(not item.get("length", item).get("quantiles_exact", True) for item in found["columns"]):
        lines += ["", t("quantiles are of a sample of the rows; ~ marks an estimate")]
    return "\n".join(lines)


def _column(item: Value, rows: int) -> tuple[str, ...]:
    missing = f"{item['missing']:,}" + (f" ({item['missing'] / rows:.1%})" if item["missing"] and rows else "")
    distinct = ("" if item["distinct_exact"] else "~") + f"{item['distinct']:,}"
    return one_line(item["name"]), item["role"], item["type"], missing, distinct, _figures(item)


def _figures(item: Value) -> str:
    if "oldest" in item:
        return f"{item['oldest']} … {item['newest']}"
    about = item.get("length", item)
    if "mean" not in about:
        return ""
    quantiles = about.get("quantiles", {})
    parts = [f"{name} {_number(about[name])}" for name in ("min", "mean", "max")]
    parts.insert(2, f"{t('median')} {_number(quantiles['0.5'])}")
    parts.insert(3, f"p95 {_number(quantiles['0.95'])}")
    unit = f" {t(about['unit'])}" if "unit" in about else ""
    extra = [f"{t('empty')} {item['empty']:,}"] if item.get("empty") else []
    extra += [f"{t('not finite')} {item['not_finite']:,}"] if item.get("not_finite") else []
    extra += [f"{name} {share:.0%}" for name, share in list(item.get("scripts", {}).items())[:3]]
    return ", ".join([" ".join(parts) + unit, *extra])


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def _top(item: Value) -> str:
    there = max(1, item["rows"] - item["missing"])
    at_least = "≥ " if item.get("top_error") else ""
    rows = [
        (cut(one_line(one["value"]), WIDEST), f"{at_least}{one['rows']:,}", f"{one['rows'] / there:.1%}")
        for one in item["top"][:10]
    ]
    return table([f"{one_line(item['name'])}: {t('most frequent')}", t("rows"), ""], rows)


def diff(found: Value) -> str:
    sides = (found["old"], found["new"])
    lines = [" → ".join(f"{one_line(side['reference'])} ({short(side['digest'])})" for side in sides)]
    lines.append(
        t(
            "{old:,} rows → {new:,} rows: {same:,} the same, {added:,} added, {removed:,} removed, {changed:,} changed",
            old=found["num_old"],
            new=found["num_new"],
            same=found["num_same"],
            added=found["added"],
            removed=found["removed"],
            changed=found["changed"],
        )
    )
    if found["key"] != ["row_id"]:
        lines.append(t("rows are the same if they agree in: {names}", names=one_line(", ".join(found["key"]))))
    if any(found["repeated"]):
        lines.append(
            t("rows that repeat an id or key, not compared: {old:,} old, {new:,} new",
              old=found["repeated"][0], new=found["repeated"][1])
        )  # fmt: skip
    lines += _schema(found)
    if found["changed_columns"]:
        lines += ["", table([t("column"), t("rows changed")], list(found["changed_columns"].items()))]
    for name, head in (("flips", t("label flips")), ("moved", t("moved between splits"))):
        if found[name]:
            pairs = [(f"{one_line(item['from'])} → {one_line(item['to'])}", item["rows"]) for item in found[name]]
            lines += ["", table([head, t("rows")], pairs)]
    lines += _drift(found["drift"])
    names = {"added": t("added rows"), "removed": t("removed rows"), "changed": t("changed rows")}
    for kind, head in names.items():
        if found["examples"][kind]:
            lines += ["", f"{head}:", *(f"  {_example(row)}" for row in found["examples"][kind])]
    return "\n".join(lines)


def _schema(found: Value) -> list[str]:
    told = []
    if found["columns_added"]:
        told.append(t("new columns: {names}", names=one_line(", ".join(found["columns_added"]))))
    if found["columns_removed"]:
        told.append(t("columns gone: {names}", names=one_line(", ".join(found["columns_removed"]))))
    told += [f"{one_line(name)}: {before} → {after}" for name, before, after in found["columns_retyped"]]
    return told


def _example(row: Value) -> str:
    parts = []
    for name, value in row.items():
        if isinstance(value, list) and len(value) == 2 and name != "row_id":
            parts.append(f"{one_line(name)}: {cell(value[0])} → {cell(value[1])}")
        else:
            parts.append(f"{one_line(name)}={cell(value)}")
    return "  ".join(parts)


def _drift(found: Sequence[Value]) -> list[str]:
    shown = [item for item in found if item["moved"] or item["p_value"] < WORTH_SAYING][:10]
    if not shown:
        return []
    rows = [
        (one_line(item["column"]), t(item["what"]), item["psi"], item["by_chance"], item["test"], item["p_value"],
         min(item["num_reference"], item["num_rows"]), t("moved") if item["moved"] else "")
        for item in shown
    ]  # fmt: skip
    heads = [t("column"), t("compared"), "PSI", t("by chance"), t("test"), "p", "n", ""]
    return ["", table(heads, rows)]


def history(found: Sequence[Value]) -> str:
    rows = []
    for item in found:
        labels = " ".join(f"{cut(one_line(name), 20)} {share:.1%}" for name, share in list(item["labels"].items())[:4])
        drift = f"{item['psi_max']:.3f} {one_line(item['moved_most'])}" if item["psi_max"] is not None else ""
        rows.append(
            (
                str(item["version"]),
                str(item["run"]),
                item["made"],
                short(item["digest"]),
                f"{item['rows']:,}" if item["rows"] is not None else "–",
                f"{item['missing_rate']:.2%}" if item["missing_rate"] is not None else t("gone"),
                labels,
                drift,
                ", ".join(one_line(name) for name in item["moved"]),
            )
        )
    heads = ["#", t("run"), t("made"), t("digest"), t("rows"), t("missing"), t("labels"), "PSI", t("moved")]
    curves = [
        f"{name}  {curve([item[key] for item in found])}"
        for name, key in ((t("rows"), "rows"), (t("missing"), "missing_rate"), ("PSI", "psi_max"))
        if len(found) > 1
    ]
    return "\n".join([table(heads, rows), *([""] if curves else []), *curves])


def curve(values: Sequence[float | None]) -> str:
    """Values as a row of blocks between their least and their greatest; a dot where there is none."""
    known = [value for value in values if value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    span = (high - low) or 1.0
    steps = len(_BLOCKS) - 1
    return "".join("·" if value is None else _BLOCKS[round(steps * (value - low) / span)] for value in values)


def hits(found: Value, marked: bool) -> str:
    if not found["total"]:
        return t("no row fits")
    lines = [t("{n:,} rows fit; the best {shown:,}:", n=found["total"], shown=len(found["hits"]))]
    for hit in found["hits"]:
        names = {name: value for name, value in hit["row"].items() if name not in ("row_id", hit["column"], "split")}
        beside = "  ".join(f"{one_line(name)}={cut(cell(value), 30)}" for name, value in list(names.items())[:4])
        head = f"{hit['score']:6.2f}  {one_line(hit['row']['row_id'])}"
        lines.append("  ".join(part for part in (head, "" if hit["split"] == "all" else hit["split"], beside) if part))
        if hit["column"]:
            lines.append(f"        {_marked(hit['snippet'], hit['marks'], marked)}")
    return "\n".join(lines)


def _marked(text: str, marks: Sequence[Sequence[int]], colour: bool) -> str:
    """The snippet with what was found in bold, or in 【brackets】 where there is no terminal."""
    before, after = ("\x1b[1m", "\x1b[0m") if colour else ("【", "】")
    parts, place = [], 0
    for start, end in marks:
        if start >= place:
            parts += [one_line(text[place:start]), before, one_line(text[start:end]), after]
            place = end
    return "".join([*parts, one_line(text[place:])])


def building(done: int, total: int) -> None:
    """How far an index is, on a terminal only."""
    if sys.stderr.isatty():
        end = "\n" if done >= total else ""
        print(f"\r{t('indexing')} {done:,}/{total:,}", end=end, file=sys.stderr, flush=True)
