"""Blocks of an evaluation as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from modelyard.methods.evaluation import blocks


def test_every_kind_of_block_is_plain_json_and_names_its_kind(tmp_path: Path) -> None:
    shown = [
        blocks.Text(blocks.Phrase("{count} rows", {"count": 3})),
        blocks.Figures("Gaps", ("fairness.",)),
        blocks.Table("Groups", ("group", "n"), (("a", 3), ("b", None))),
        blocks.Lines("Curve", "x", "y", (blocks.Series("s", ((0.0, 1.0),), ((0.0, 0.5, 1.5),)),)),
        blocks.Bars("Bars", (blocks.Bar("a", 1.0, 0.5, 1.5),)),
        blocks.Scatter("Map", "x", "y", (blocks.Point(0.0, 1.0, "a", "row 1"),)),
        blocks.Tokens("Tokens", (blocks.Marked("pos", (("好", 0.5),)),)),
        blocks.Pictures("Pictures", (blocks.Picture(b"\x89PNG"),)),
    ]
    blocks.write(tmp_path, "fairness", "Fairness", shown, {"groups": 2})
    value = json.loads((tmp_path / "fairness.json").read_text(encoding="utf-8"))
    kinds = ["text", "figures", "table", "lines", "bars", "scatter", "tokens", "pictures"]
    assert [one["kind"] for one in value["blocks"]] == kinds
    assert value["blocks"][0]["text"] == {"template": "{count} rows", "values": {"count": 3}}
    assert value["blocks"][2]["rows"] == [["a", 3], ["b", None]]
    assert value["blocks"][7]["pictures"][0]["png"] == "iVBORw=="
    assert value["data"] == {"groups": 2}
