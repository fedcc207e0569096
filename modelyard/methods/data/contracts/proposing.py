"""A contract proposed from the figures of a data set: what holds now, widened, so that chance does not break it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from modelyard.methods.data.contracts.settings import Contract

MOST_CATEGORIES = 50
WIDER = 0.1
"""Ranges are widened by this share of their width on either side, lengths and row counts doubled."""
FEWEST_FOR_SHARES = 100


def propose(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of `data.contract` that data with these figures (`statistics.describe`) keeps."""
    columns = {item["name"]: _rule(item) for item in figures["columns"] if item["kind"] != "other"}
    rows = figures["rows"]
    settings: dict[str, Any] = {"columns": {name: rule for name, rule in columns.items() if rule}}
    settings["rows"] = {"min": rows // 2, "max": max(1, 2 * rows)}
    shares = list(figures.get("labels", {}).get("shares", {}).values())
    if len(shares) > 1 and figures["labels"]["num_labels"] == len(shares):
        settings["labels"] = {"min_share": _down(min(shares) / 2), "max_share": _up(1 - (1 - max(shares)) / 2)}
    Contract.model_validate(settings)
    return settings


def _rule(item: Mapping[str, Any]) -> dict[str, Any]:
    rule: dict[str, Any] = {}
    kind = _type(item)
    if kind:
        rule["type"] = kind
    nan = item.get("nan", 0)
    share = (item["missing"] + nan) / item["rows"] if item["rows"] else 1.0
    if share < 1:
        rule["max_missing"] = 0 if share == 0 else _up(min(1.0, 2 * share))
    if item["kind"] == "number" and item.get("min") is not None and item.get("not_finite", 0) == nan:
        rule |= _range(item["min"], item["max"], item["type"])
    if item["kind"] == "text" and item["length"].get("max") is not None:
        rule |= {"min_length": min(1, int(item["length"]["min"])), "max_length": max(1, 2 * int(item["length"]["max"]))}
    if item["kind"] == "category" and _few(item):
        rule["categories"] = sorted(one["value"] for one in item["top"])
    return rule


def _few(item: Mapping[str, Any]) -> bool:
    """Whether the values are so few that the list of them is a rule, and all of them are known whole."""
    complete = item["distinct_exact"] and not item["top_error"] and len(item["top"]) == item["distinct"]
    whole = all(not one["value"].endswith("…") for one in item["top"])
    return bool(
        complete and whole and 0 < item["distinct"] <= MOST_CATEGORIES and item["role"] not in ("group", "subject")
    )


def _type(item: Mapping[str, Any]) -> str:
    kind = item["type"]
    if item["kind"] == "number":
        return "integer" if kind.startswith(("int", "uint")) else "number"
    known = {"string": "string", "large_string": "string", "bool": "boolean", "binary": "binary"}
    return "time" if item["kind"] == "time" else known.get(kind, "")


def _range(low: float, high: float, kind: str) -> dict[str, Any]:
    """The range, wider; what is never negative stays so."""
    air = WIDER * ((high - low) or abs(high) or 1.0)
    least = max(0.0, low - air) if low >= 0 else low - air
    greatest = high + air
    if kind.startswith(("int", "uint")):
        return {"min": math.floor(least), "max": math.ceil(greatest)}
    return {"min": _round(least), "max": _round(greatest)}


def _round(value: float) -> float:
    return float(f"{value:.4g}")


def _up(share: float) -> float:
    return min(1.0, math.ceil(share * 10_000) / 10_000)


def _down(share: float) -> float:
    return math.floor(share * 10_000) / 10_000


def step_yaml(settings: Mapping[str, Any]) -> str:
    """A step of a project file with these settings."""
    import json

    lines = ["contract:", "  uses: data.contract", "  with:"]
    for name, value in settings.items():
        if name != "columns":
            lines.append(f"    {name}: {_flow(value)}")
            continue
        lines.append("    columns:" if value else "    columns: {}")
        lines += [f"      {json.dumps(column, ensure_ascii=False)}: {_flow(rule)}" for column, rule in value.items()]
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    """YAML's flow style; texts in JSON quotes, which YAML reads as they stand."""
    import json

    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_flow(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)
