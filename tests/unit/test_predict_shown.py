"""The table of `modelyard predict`: what a model promises of its answers stands in it."""

from __future__ import annotations

from modelyard.app.records import Question
from modelyard.cli.predict import _show
from modelyard.methods.tasks.tabular_regression import Quantity
from modelyard.methods.tasks.text_classification import Classification


def shown(capsys, *answers) -> list[str]:
    _show([Question("good food", f"records[{place}]") for place in range(len(answers))], answers)
    return capsys.readouterr().out.splitlines()


def test_sets_and_silence_have_columns_where_the_model_gives_them(capsys):
    scores = {"bad": 0.4, "good": 0.6}
    head, *rows = shown(capsys, Classification("good", scores, ("good", "bad"), True),
                        Classification("good", scores, (), False))  # fmt: skip
    assert head.split() == ["label", "score", "set", "abstained", "text"]
    assert "{good, bad}" in rows[-2]
    assert "yes" in rows[-2]
    assert "{}" in rows[-1]
    assert "no" in rows[-1].split()
    assert shown(capsys, Classification("good", scores))[0].split() == ["label", "score", "text"]


def test_numbers_show_interval_and_quantiles(capsys):
    head, *rows = shown(capsys, Quantity(2.0, (1.5, 2.5), {"0.05": 1.25, "0.95": 3.0}), Quantity(4.0))
    assert [word in head for word in ("value", "interval", "quantile 0.05", "quantile 0.95")] == [True] * 4
    assert "[1.5, 2.5]" in rows[-2]
    assert "1.25" in rows[-2]
    assert "no bound" in rows[-1]
    assert shown(capsys, Quantity(2.0)) == ['{"value": 2.0}']
