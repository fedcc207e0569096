"""The page shows every family: residuals, spans by type, ranking by cut-off, written samples, in two languages."""

from __future__ import annotations

from typing import Any

import pytest
from support.sample_record import evidence, sample_record

from modelyard.methods.reporting import parse, render


def record(report: dict[str, Any], *measured: dict[str, Any]) -> dict[str, Any]:
    """A record whose model was measured with this report and nothing else of quality."""
    found = sample_record()
    found["reports"]["quality"] = {"version": 1, "n": 300, "baselines": [], "missing": {}, **report}
    found["evidence"] = [one for one in found["evidence"] if not one["claim"].startswith("quality.")] + list(measured)
    for item in measured:
        found["claims"].setdefault(item["claim"], {"description": "x", "unit": "", "better": "higher"})
    return found


def page(value: dict[str, Any]) -> str:
    return render(parse(value))


def test_numbers_show_answers_residuals_bands_and_the_largest_errors() -> None:
    bands = [{"from": 1.0, "to": 2.0, "mean": 0.25, "low": -0.1, "high": 0.6, "n": 150}]
    report = {
        "residuals": {"points": [[1.0, 1.5], [2.0, 2.5], ["x", 3.0]], "bands": bands},
        "largest_errors": [{"row_id": "r1", "text": "rooms=<b>3</b>", "actual": 9.0, "predicted": 4.0}],
        "baselines": [
            {"name": "linear", "units": "columns", "metrics": {"rmse": {"value": 60.0, "interval": [55, 66], "n": 300}}}
        ],
    }
    found = page(record(report, evidence("quality.rmse", 50.0, 45.0, 56.0, 300),
                        evidence("quality.skill_over_linear", 0.3, 0.2, 0.4, 300)))  # fmt: skip
    assert found.count('data-chart="residuals"') == found.count('data-chart="answers"') == 2
    assert "rooms=&lt;b&gt;3" in found
    assert "Root mean squared error" in found
    assert "均方根误差" in found
    assert "n = 150" in found
    assert "Linear model on columns" in found
    assert "beyond chance: the model earns its cost" in found


def test_spans_are_listed_by_type_from_the_evidence_weakest_first() -> None:
    of = {"slice": {"type": "PER"}}, {"slice": {"type": "LOC"}}
    measured = [evidence("quality.span_f1", value, value - 0.1, value + 0.1, 40, **part)
                for value, part in zip((0.9, 0.4), of, strict=True)]  # fmt: skip
    mistakes = [{"row_id": "a", "text": "Bob & Ada", "missed": ["PER: Bob"], "wrong": []}]
    found = page(record({"span_types": [], "span_mistakes": mistakes}, *measured))
    assert 0 < found.index("LOC") < found.index("PER</bdi>")
    assert "PER: Bob" in found
    assert "逐类型" in found


def test_ranking_by_cut_off_and_written_samples() -> None:
    measured = [evidence("quality.ndcg", 0.61, 0.5, 0.7, 90, slice={"k": "10"})]
    samples = [{"row_id": "a", "text": "Where?", "wanted": "here", "said": "<i>there"}]
    found = page(record({"ranked": [], "samples": samples}, *measured))
    assert "NDCG" in found
    assert "By cut-off" in found
    assert "&lt;i&gt;there" in found
    assert 'data-claim="quality.ndcg"' in found


@pytest.mark.parametrize("broken", [None, 3, "x", {"points": 4, "bands": [{"n": 1}]}, [{"row_id": 1, "actual": "x"}]])
def test_a_part_of_another_shape_is_left_out(broken: Any) -> None:
    keys = ("residuals", "largest_errors", "span_types", "span_mistakes", "samples", "ranked")
    found = page(record(dict.fromkeys(keys, broken)))
    assert 'data-chart="residuals"' not in found
