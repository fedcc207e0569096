"""Every claim that a card shows has a name for people, in English and in Chinese."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

import modelyard
from modelyard.base.messages import catalogue
from modelyard.methods.reporting.claim_names import UNITS
from modelyard.methods.reporting.words import TITLES, Words

STAGES = Path(modelyard.__file__).parent / "stages"
FAMILIES = ("evaluate", "calibrate", "combine", "compress", "train")
ENGLISH = re.compile(r"[A-Za-z]{2,}")
PROPER = re.compile(
    r"AUROC|AURC|AUC|ECE|TPR|FPR|TER|ROC|RMSE|SHAP|TCAV|LogME|BLEU|ROUGE|NDCG|mCE|chrF|Brier|Winkler|Cohen"
    r"|kappa|[Ww]ord|score|TF-IDF|pass@k"
)


def claims() -> list[tuple[str, str]]:
    """Name and unit of every claim of the built-in stages."""
    found = {}
    for family in FAMILIES:
        for path in sorted((STAGES / family).glob("[!_]*.py")):
            stage = importlib.import_module(f"modelyard.stages.{family}.{path.stem}").STAGE
            found |= {claim.name: claim.unit for claim in stage.claims}
    return sorted(found.items())


@pytest.mark.parametrize("name", [name for name, _ in claims()])
def test_every_claim_has_a_name_in_both_languages(name: str) -> None:
    assert name in TITLES, "give it one in modelyard/methods/reporting/claim_names.py"
    chinese = Words("zh").title(name)
    assert chinese == catalogue("zh")[TITLES[name]]
    assert not ENGLISH.findall(PROPER.sub("", chinese)), chinese


def test_every_unit_in_words_has_a_chinese_one() -> None:
    units = {unit for _, unit in claims()} - {"", "rows", "count", "bytes", "ms", "s", "MB"}
    assert sorted(unit for unit in units if unit not in UNITS) == []


def test_weights_and_differences_are_said_in_chinese() -> None:
    assert Words("zh").value(315_331, "weights", "train.parameters") == "315,331 个权重"
    assert Words("en").value(315_331, "weights", "train.parameters") == "315,331 weights"
    assert Words("zh").title("fairness.demographic_parity_difference") == "人口统计均等差异"
    assert Words("en").title("fairness.worst_group_tpr") == "TPR of the worst group"


def test_a_gain_of_a_loss_is_no_share() -> None:
    assert Words("en").value(0.25, "", "calibrate.log_loss_gain") == "0.250"
    assert Words("en").value(0.25, "", "quality.gain_over_linear") == "+25.0 points"
