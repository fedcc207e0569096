"""`modelyard show`: answers about runs, artifacts, lineage, evidence, curves."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import click

from modelyard.app import show
from modelyard.base.canonical import short
from modelyard.base.messages import t
from modelyard.cli.options import json_option, profile_option, project_option
from modelyard.cli.output import duration, print_json, size, table
from modelyard.errors import UsageError

REPEATED = ("search", "folds")
SUBJECTS = ("runs", "run", "artifacts", "artifact", "lineage", "evidence", "curves", *REPEATED, "history", "audit")


@click.command(
    "show",
    help=t("Answer about runs, artifacts, lineage (both ways), evidence, curves, searches.\n\nWHAT is runs, run ID, "
           "artifacts, artifact NAME, lineage NAME, evidence [NAME], curves STEP, search STEP, folds STEP, history "
           "RELEASE or audit. NAME is a "
           "digest or its first digits, a step, step.port, or a release."),
)  # fmt: skip
@click.argument("what", type=click.Choice(SUBJECTS), default="runs", metavar="[WHAT]")
@click.argument("name", required=False)
@project_option()
@click.option("--slices", is_flag=True, help=t("history: groups too"))
@click.option("--claim", default=None, help=t("only this claim"))
@click.option("--limit", default=20, type=click.IntRange(1, 10_000), show_default=True, help=t("how many at most"))
@profile_option()
@json_option()
def command(
    what: str,
    name: str | None,
    project: str | None,
    claim: str | None,
    slices: bool,
    limit: int,
    profile: str | None,
    as_json: bool,
) -> None:
    place: dict[str, Any] = {"project": project, "profile": profile}
    if slices and what != "history":
        raise UsageError(t("--slices is for `show history`"), expected="modelyard show history NAME --slices")
    if what in ("run", "artifact", "lineage", "curves", *REPEATED, "history") and name is None:
        raise UsageError(t("`show {what}` needs a name", what=what), expected=f"modelyard show {what} NAME")
    if what == "run" and not re.fullmatch(r"[0-9]{1,18}", str(name)):
        raise UsageError(t("`{name}` is no run", name=name), expected=t("a number; `modelyard show runs` lists them"))
    value = _ask(what, name, claim, limit, place | ({"slices": True} if slices else {}))
    if as_json:
        print_json(value)
    else:
        print(VIEWS[what](value))


def _ask(what: str, name: str | None, claim: str | None, limit: int, place: dict[str, Any]) -> Any:
    if what == "runs":
        return show.runs(step=name, limit=limit, **place)
    if what == "run":
        return show.run(int(name or 0), **place)
    if what == "artifacts":
        return show.artifacts(**place)
    if what == "artifact":
        return show.artifact(name or "", **place)
    if what == "lineage":
        return show.lineage(name or "", **place)
    if what == "evidence":
        return show.evidence(name, claim=claim, **place)
    if what == "curves":
        return show.curves(name or "", **place)
    if what == "search":
        return show.search(name or "", **place)
    if what == "folds":
        return show.folds(name or "", **place)
    if what == "history":
        return show.history(name or "", claim=claim, **place)
    return show.audit(limit, **place)


def _runs(value: list[dict[str, Any]]) -> str:
    rows = [
        (
            str(run["id"]),
            run["step"],
            run["uses"],
            run["status"],
            run["started"],
            duration(run["seconds"]) if run["seconds"] is not None else None,
            " ".join(f"{b['port']}={short(b['digest'])}" for b in run["outputs"]),
        )
        for run in value
    ]
    return table(["id", t("step"), t("stage"), t("status"), t("started"), t("time"), t("outputs")], rows)


def _run(value: dict[str, Any]) -> str:
    lines = [f"{t('run')} {value['id']}: {value['step']} ({value['uses']}), {value['status']}"]
    lines += [f"  {name}: {value[name]}" for name in ("key", "seed", "started", "finished", "seconds")]
    lines.append(f"  {t('code')} = {value['identity'].get('code', '')}")
    settings = {name: json.dumps(item, ensure_ascii=False) for name, item in sorted(value["settings"].items())}
    lines += [f"  {t('setting')} {name} = {item}" for name, item in settings.items()]
    lines += [f"  {t('input')} {b['port']} = {b['digest']} {' '.join(b['splits'])}" for b in value["inputs"]]
    lines += [f"  {t('output')} {b['port']} = {b['digest']}" for b in value["outputs"]]
    lines += [f"  {t('library')} {name} {version}" for name, version in value["identity"].get("libraries", {}).items()]
    lines += [f"  {note}" for note in value["notes"]]
    if value["error"]:
        lines.append(value["error"])
    if value["evidence"]:
        lines += ["", _evidence(value["evidence"])]
    return "\n".join(lines)


def _artifacts(value: list[dict[str, Any]]) -> str:
    rows = [(short(item["digest"]), item["kind"], size(item["size"]), item["num_files"]) for item in value]
    return table([t("digest"), t("kind"), t("size"), t("files")], rows)


def _artifact(value: dict[str, Any]) -> str:
    lines = [value["digest"], f"  {t('kind')}: {value['kind']}, {size(value['size'])}", f"  {value['path']}"]
    lines += [f"    {entry['path']}  {size(entry['size'])}" for entry in value["files"]]
    return "\n".join([*lines, "", _lineage(value)])


def _lineage(value: dict[str, Any]) -> str:
    def links(items: list[dict[str, Any]]) -> str:
        rows = [
            (
                short(item["parent"]),
                f"→ {item['step']} ({item['uses']}) →",
                f"{short(item['child'])} {item['child_port']}",
            )
            for item in items
        ]
        return table([t("from"), t("by"), t("to")], rows, "  ") if rows else f"  {t('none')}"

    parts = [f"{t('made from')}:", links(value["made_from"]), f"{t('made into')}:", links(value["made_into"])]
    return "\n".join([*parts, f"{t('releases that hold it')}: {', '.join(value['releases']) or t('none')}"])


def _evidence(value: list[dict[str, Any]]) -> str:
    rows = []
    for item in value:
        interval = item["interval"]
        shown = f"[{interval[0]:.4g}, {interval[1]:.4g}]" if isinstance(interval, list) else interval and t("exact")
        name = item["claim"] + "".join(f" {key}={part}" for key, part in sorted(item["slice"].items()))
        gone = t("withdrawn: {why}", why=item["withdrawn"]) if item["withdrawn"] else ""
        about = f"{short(item['subject'])} {item['split']}"
        rows.append((str(item["sequence"]), name, item["value"], shown, item["n"], about, gone))
    return table(["#", t("claim"), t("value"), t("95 % interval"), "n", t("about"), ""], rows)


def _curves(value: dict[str, list[tuple[int, float]]]) -> str:
    rows = []
    for name, points in value.items():
        values = [point[1] for point in points]
        rows.append((name, len(points), values[0], min(values), max(values), values[-1]))
    return table([t("curve"), t("points"), t("first"), t("least"), t("greatest"), t("last")], rows)


def _search(value: dict[str, Any]) -> str:
    goals = [f"{goal['step']}.{goal['claim']}" for goal in value["goals"]]
    settings = list(value["trials"][0]["values"]) if value["trials"] else []
    rows = []
    for trial in value["trials"]:
        scores = [f"{score:.6g}" for score in trial["scores"]] or [trial["error"], *[""] * (len(goals) - 1)]
        marks = "★" if trial["number"] == value["winner"] else "+" if trial["number"] in value["front"] else ""
        tried = [json.dumps(trial["values"][name], ensure_ascii=False) for name in settings]
        cost = duration(trial["seconds"]) if trial["seconds"] is not None else None
        rows.append((marks, str(trial["number"]), *scores, *tried, cost, " ".join(map(str, trial["runs"].values()))))
    head = t("{step}: {method}, {done} of {total} trials, {time} in all", step=value["step"], method=value["method"],
             done=len(rows), total=value["planned"], time=duration(value["seconds"]))  # fmt: skip
    body = table(["", "#", *goals, *settings, t("time"), t("run")], rows)
    legend = t("★ the winner, + on the Pareto front") if len(goals) > 1 else t("★ the winner")
    return f"{head}\n{body}\n{legend}"


def _folds(value: dict[str, Any]) -> str:
    """A line a fold: its rows, what it chose and measured, what it cost; then the mean."""
    scores = value["scores"][:FOLD_COLUMNS]
    settings = sorted({name for chosen in value["chosen"] for name in chosen})
    times = [t("from"), t("to")] if value["by"] == "time" else []
    rows: list[tuple[str | None, ...]] = []
    for place, fold in enumerate(value["folds"]):
        when = [fold["first"], fold["last"]] if times else []
        chosen = [json.dumps(value["chosen"][place].get(name), ensure_ascii=False) for name in settings]
        measured = [f"{score['folds'][place]:.4g}" for score in scores]
        cost = [str(fold["runs"]), duration(fold["seconds"])]
        rows.append((str(place + 1), str(fold["train"]), str(fold["held"]), *when, *chosen, *measured, *cost))
    ends = [f"{score['interval'][0]:.4g} … {score['interval'][1]:.4g}" if score["interval"] else "" for score in scores]
    empty = [""] * (2 + len(times) + len(settings))
    rows.append((t("mean"), *empty, *(f"{score['mean']:.4g}" for score in scores), "", duration(value["seconds"])))
    rows.append((t("95 % interval"), *empty, *ends, "", ""))
    heads = [t("fold"), t("learned from"), t("held out"), *times, *settings, *(score["from"] for score in scores)]
    return table([*heads, t("runs"), t("time")], rows)


FOLD_COLUMNS = 4


def _audit(value: list[dict[str, Any]]) -> str:
    rows = [(str(item["change"]), item["moment"], item["action"], item["subject"]) for item in value]
    return table(["#", t("when"), t("what"), t("about")], rows)


WIDTH = 24


def _history(value: list[dict[str, Any]]) -> str:
    """A line a measurement, drawn with its interval on one scale for its claim, group and test rows."""
    scales: dict[Any, tuple[float, float]] = {}
    for item in value:
        low, high = scales.get(_curve(item), (float("inf"), float("-inf")))
        for number in _drawn(item):
            low, high = min(low, number), max(high, number)
        scales[_curve(item)] = low, high
    arrows = {"higher": t("higher is better"), "lower": t("lower is better")}
    rows = []
    for item in value:
        interval, number = item["interval"], item["value"]
        shown = f"[{interval[0]:.4g}, {interval[1]:.4g}]" if isinstance(interval, list) else interval and t("exact")
        drawing = _mark(_drawn(item), *scales[_curve(item)]) if number is not None else ""
        measured = None if number is None else f"{number:.4g}"
        name = item["claim"] + "".join(f" {key}={part}" for key, part in sorted(item["slice"].items()))
        row = (name, short(item["dataset"]), f"v{item['version']}", measured, shown, item["n"], drawing)
        rows.append((*row, arrows.get(item["better"], "")))
    return table([t("claim"), t("test rows"), t("version"), t("measured"), t("95 % interval"), "n", "", ""], rows)


def _curve(item: dict[str, Any]) -> tuple[Any, ...]:
    """What is compared with one another."""
    return item["claim"], item["dataset"], tuple(sorted(item["slice"].items()))


def _drawn(item: dict[str, Any]) -> list[float]:
    """The value, then the ends of its interval if it has them."""
    ends = item["interval"] if isinstance(item["interval"], list) else []
    return [] if item["value"] is None else [item["value"], *ends]


def _mark(numbers: list[float], low: float, high: float) -> str:
    """A value as a dot, its interval as a line around it, on a scale from `low` to `high`."""
    places = [round((one - low) / (high - low) * (WIDTH - 1)) if high > low else WIDTH // 2 for one in numbers]
    first, last = min(places), max(places)
    cells = ["─" if first <= place <= last else "·" for place in range(WIDTH)]
    cells[places[0]] = "●"
    return "".join(cells)


VIEWS: dict[str, Callable[[Any], str]] = {
    "history": _history,
    "runs": _runs,
    "run": _run,
    "artifacts": _artifacts,
    "artifact": _artifact,
    "lineage": _lineage,
    "evidence": _evidence,
    "curves": _curves,
    "search": _search,
    "folds": _folds,
    "audit": _audit,
}
