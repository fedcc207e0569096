"""What evaluate.fairness can measure. Light: a stage declares these."""

from __future__ import annotations

from typing import Literal

from modelyard.core.evidence import Claim

RATES = {
    "selection_rate": "share of a group's rows that are given the class",
    "base_rate": "share of a group's rows that belong to the class",
    "tpr": "of a group's rows of the class, the share that is given it (recall)",
    "fpr": "of a group's rows of other classes, the share that is given it",
    "precision": "of a group's rows that are given the class, the share that belongs to it",
    "accuracy": "share of a group's rows with the right label",
}
DIFFERENCES = {
    "demographic_parity": "selection rates",
    "equal_opportunity": "true positive rates",
    "false_positive_rate": "false positive rates",
    "predictive_parity": "precisions",
    "accuracy": "accuracies",
}
WITHOUT = "; without `slice` over all groupings together"

BETTER: dict[str, Literal["higher", "lower", "none"]] = {"selection_rate": "none", "base_rate": "none", "fpr": "lower"}

GROUPS = (
    *(
        Claim(f"fairness.{name}", f"{what}; by group", better=BETTER.get(name, "higher"), sizing="rate")
        for name, what in RATES.items()
    ),
    Claim("fairness.calibration_gap", "mean score less rate of the class among a group's rows; by group",
          better="none"),
    Claim("fairness.ece", "calibration error of the class's score among a group's rows, 15 bins; by group",
          better="lower"),
    *(
        Claim(f"fairness.{name}_difference", f"largest less smallest of the groups' {what}{WITHOUT}", better="lower")
        for name, what in DIFFERENCES.items()
    ),
    Claim("fairness.equalized_odds_difference",
          f"the larger of the differences of true and of false positive rates{WITHOUT}", better="lower"),
    Claim("fairness.calibration_difference",
          f"largest less smallest of the groups' mean score less rate{WITHOUT}", better="lower"),
    Claim("fairness.demographic_parity_ratio", f"smallest over largest selection rate of the groups{WITHOUT}"),
    Claim("fairness.equal_opportunity_ratio", f"smallest over largest true positive rate of the groups{WITHOUT}"),
    Claim("fairness.equalized_odds_ratio",
          f"the smaller of the ratios of true and of false positive rates{WITHOUT}"),
    Claim("fairness.worst_group_accuracy", f"accuracy of the group with the lowest{WITHOUT}"),
    Claim("fairness.worst_group_tpr", f"true positive rate of the group with the lowest{WITHOUT}"),
    Claim("fairness.mae", "mean absolute error among a group's rows; by group", better="lower"),
    Claim("fairness.mean_error", "mean of answer less target among a group's rows; by group", better="none"),
    Claim("fairness.mae_difference", f"largest less smallest mean absolute error of the groups{WITHOUT}",
          better="lower"),
    Claim("fairness.mean_error_difference", f"largest less smallest mean error of the groups{WITHOUT}",
          better="lower"),
    Claim("fairness.unjudged_rate", "share of the rows in groups too small to judge; by grouping", better="lower"),
)  # fmt: skip

SWAPS = (
    Claim("fairness.counterfactual_flip_rate",
          "of the rows with a word of identity, the share whose label changes with that word", better="lower",
          sizing="rate"),
    Claim("fairness.counterfactual_score_shift",
          "mean change of the score of the class, or of the first label, without its sign", better="lower"),
    Claim("fairness.counterfactual_drift",
          "mean change of the score of the class from the first word to the second; by pair", better="none"),
)  # fmt: skip

ALL = (*GROUPS, *SWAPS)
