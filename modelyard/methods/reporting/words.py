"""Words and numbers of one language: templates from the catalogue, claim names for people, values with their units."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from modelyard.base import messages
from modelyard.base.canonical import short
from modelyard.methods.reporting.claim_names import NAMES, UNITS
from modelyard.methods.reporting.marks import mark
from modelyard.methods.reporting.markup import clip
from modelyard.methods.reporting.record import Claim, Evidence

DASH = "—"


TITLES = {
    **NAMES,
    "quality.accuracy": mark("Accuracy"),
    "quality.balanced_accuracy": mark("Balanced accuracy"),
    "quality.f1_macro": mark("F1, macro"),
    "quality.f1_micro": mark("F1, micro"),
    "quality.f1_weighted": mark("F1, weighted"),
    "quality.f1": mark("F1"),
    "quality.precision": mark("Precision"),
    "quality.recall": mark("Recall"),
    "quality.precision_macro": mark("Precision, macro"),
    "quality.precision_micro": mark("Precision, micro"),
    "quality.precision_weighted": mark("Precision, weighted"),
    "quality.recall_macro": mark("Recall, macro"),
    "quality.recall_micro": mark("Recall, micro"),
    "quality.recall_weighted": mark("Recall, weighted"),
    "quality.roc_auc": mark("Area under ROC"),
    "quality.pr_auc": mark("Area under precision–recall"),
    "quality.log_loss": mark("Log-loss"),
    "quality.brier": mark("Brier score"),
    "quality.ece": mark("Calibration error (ECE)"),
    "quality.mcc": mark("Matthews correlation"),
    "quality.gain_over_linear": mark("Accuracy gained over a linear model"),
    "quality.baseline_majority_accuracy": mark("Accuracy of the commonest class"),
    "quality.baseline_linear_accuracy": mark("Accuracy of a linear model"),
    "quality.mse": mark("Mean squared error"),
    "quality.rmse": mark("Root mean squared error"),
    "quality.mae": mark("Mean absolute error"),
    "quality.median_ae": mark("Median absolute error"),
    "quality.r2": mark("Variance explained (R²)"),
    "quality.mape": mark("Mean error, share of the value"),
    "quality.spearman": mark("Rank correlation"),
    "quality.pinball": mark("Quantile loss"),
    "quality.skill_over_linear": mark("Squared error saved beside a linear model"),
    "quality.baseline_mean_rmse": mark("Error of always the mean"),
    "quality.baseline_linear_rmse": mark("Error of a linear model"),
    "quality.kappa_quadratic": mark("Quadratic weighted kappa"),
    "quality.rank_mae": mark("Mean error of ranks"),
    "quality.mean_cost": mark("Mean cost"),
    "quality.cost_accuracy": mark("Cost-weighted accuracy"),
    "quality.ndcg": mark("NDCG"),
    "quality.map": mark("Mean average precision"),
    "quality.mrr": mark("Mean reciprocal rank"),
    "quality.recall_at_k": mark("Recall among the first k"),
    "quality.hit_rate": mark("Hit rate"),
    "quality.perplexity_token": mark("Perplexity of a token"),
    "quality.perplexity_byte": mark("Perplexity of a byte"),
    "quality.bits_per_byte": mark("Bits a byte"),
    "quality.exact_match": mark("Exact match"),
    "quality.token_f1": mark("F1 of shared words"),
    "quality.rouge_1": mark("ROUGE-1"),
    "quality.rouge_2": mark("ROUGE-2"),
    "quality.rouge_l": mark("ROUGE-L"),
    "quality.bleu": mark("BLEU"),
    "quality.chrf": mark("chrF2"),
    "quality.choice_accuracy": mark("Right choice"),
    "quality.choice_accuracy_normalised": mark("Right choice, by the byte"),
    "quality.pass_at_k": mark("Pass at k"),
    "quality.subset_accuracy": mark("All labels right"),
    "quality.hamming_loss": mark("Wrong decisions"),
    "quality.f1_samples": mark("F1, mean over rows"),
    "quality.lrap": mark("Label ranking precision"),
    "quality.span_precision": mark("Precision of spans"),
    "quality.span_recall": mark("Recall of spans"),
    "quality.span_f1": mark("F1 of spans"),
    "quality.span_f1_macro": mark("F1 of spans, macro"),
    "quality.retrieval_recall": mark("Partner among the k nearest"),
    "quality.mask_accuracy": mark("Masked token among the first k"),
    "quality.pseudo_perplexity": mark("Pseudo-perplexity"),
    "latency.mean_ms": mark("Latency, mean"),
    "latency.p50_ms": mark("Latency, median"),
    "latency.p90_ms": mark("Latency, 90th percentile"),
    "latency.p95_ms": mark("Latency, 95th percentile"),
    "latency.p99_ms": mark("Latency, 99th percentile"),
    "latency.throughput": mark("Throughput"),
    "latency.records_per_second": mark("Throughput"),
    "latency.load_ms": mark("Time to load"),
    "size.bytes": mark("Size of the model"),
    "size.parameters": mark("Parameters"),
    "size.mb": mark("Size of the model"),
    "compress.size_ratio": mark("Size beside the original"),
    "compress.label_agreement": mark("Rows that keep their label"),
    "train.validation_accuracy": mark("Accuracy on validation"),
    "train.parameters": mark("Learned weights"),
    "data.rows": mark("Rows"),
    "data.duplicate_rate": mark("Duplicate rows"),
    "data.conflict_rate": mark("Same text, different labels"),
    "data.empty_rate": mark("Empty rows"),
    "data.leakage_rate": mark("Test rows also in training or validation"),
    "data.test_contamination": mark("Test rows whose text is also in training"),
    "data.overlap_found_rate": mark("Test rows found elsewhere, before repair"),
    "data.duplicates_found_rate": mark("Repeated rows found and taken out"),
    "data.changed_rate": mark("Rows with repaired text"),
    "data.rejected_rate": mark("Rows that could not be read"),
    "data.train_rows": mark("Rows to train on"),
    "data.validation_rows": mark("Rows to choose on"),
    "data.test_rows": mark("Rows to test on"),
}

_RATES = ("accuracy", "precision", "recall", "f1", "rate", "share", "coverage", "agreement", "ece", "contamination")
_NO_SHARES = frozenset(("loss", "squared"))


@dataclass(frozen=True)
class Words:
    """The words of one language (`en` or `zh`)."""

    lang: str

    def t(self, template: str, /, **values: object) -> str:
        """The catalogue's entry for `template`, filled in."""
        return messages.t(template, lang=self.lang, **values)

    def title(self, claim: str, known: Claim | None = None) -> str:
        """A claim's name for people: ours, else its family and quantity in words."""
        if claim in TITLES:
            return self.t(TITLES[claim])
        plain = claim.rsplit(".", 1)[-1].replace("_", " ")
        return plain[:1].upper() + plain[1:]

    def value(self, value: float | None, unit: str, claim: str = "") -> str:
        """A value with its unit; a dash when there is none."""
        if value is None or not math.isfinite(value):
            return DASH
        if is_gain(claim, unit):
            return self.t("{points} points", points=_signed(value))
        if is_rate(claim, unit):
            return f"{_plain(100 * value, 1)} %"
        if unit == "bytes":
            return size(value)
        if unit in ("", "rows", "count"):
            text = count(value) if float(value).is_integer() and abs(value) >= 1 else _small(value)
            return text if unit != "rows" else self.t("{count} rows", count=text)
        return self._of(_small(value), unit)

    def _of(self, shown: str, unit: str) -> str:
        return self.t(UNITS[unit], count=shown) if unit in UNITS else f"{shown} {unit}".strip()

    def interval(self, low: float | None, high: float | None, unit: str, claim: str = "") -> str:
        """Both ends, the unit once."""
        if low is None or high is None:
            return DASH
        return self._interval(low, high, unit, claim).replace(" ", "\u00a0")

    def _interval(self, low: float, high: float, unit: str, claim: str) -> str:
        if is_gain(claim, unit):
            return self.t("{points} points", points=f"{_signed(low)} – {_signed(high)}")
        if is_rate(claim, unit):
            return f"{_plain(100 * low, 1)} – {_plain(100 * high, 1)} %"
        if unit == "bytes":
            return f"{size(low)} – {size(high)}"
        return self._of(f"{_small(low)} – {_small(high)}", unit)

    def basis(self, item: Evidence) -> str:
        """What a measurement rests on: interval, rows, data, run; the text behind a figure."""
        parts = [item.claim]
        if item.exact:
            parts.append(self.t("exact"))
        elif item.low is None or item.high is None:
            parts.append(self.t("no interval"))
        else:
            parts.append(
                self.t("95 % interval {interval}", interval=self.interval(item.low, item.high, item.unit, item.claim))
            )
        parts.append(self.n(item.n))
        if item.split:
            parts.append(self.t("on the {split} split", split=self.split(item.split)))
        if item.slice:
            parts.append(", ".join(f"{name} = {clip(value, 60)}" for name, value in sorted(item.slice.items())))
        if item.run is not None:
            parts.append(self.t("run {run}", run=f"{item.measured_by} {short(str(item.run))}".strip()))
        return " · ".join(parts)

    def n(self, number: int) -> str:
        """`n = 1,946`, kept on one line."""
        return f"n = {count(number)}".replace(" ", "\u00a0")

    def split(self, name: str) -> str:
        """A split's name for people."""
        known = {
            "train": self.t("training"),
            "validation": self.t("validation"),
            "calibration": self.t("calibration"),
            "test": self.t("test"),
            "all": self.t("whole data"),
        }
        return known.get(name, name)


def is_rate(claim: str, unit: str) -> bool:
    """Whether a unit-less quantity is a share, shown in percent."""
    last = claim.rsplit(".", 1)[-1]
    return unit == "" and any(part in _RATES for part in last.split("_"))


def is_gain(claim: str, unit: str) -> bool:
    """Whether a unit-less quantity is a difference of shares, shown in percentage points."""
    parts = claim.rsplit(".", 1)[-1].split("_")
    return unit == "" and "gain" in parts and not _NO_SHARES.intersection(parts)


def count(value: float) -> str:
    """A whole number with thin groups of three."""
    return f"{round(value):,}"


def size(num_bytes: float) -> str:
    """Bytes in decimal units (kB = 1000 bytes)."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(num_bytes) >= factor:
            return f"{num_bytes / factor:.3g} {unit}"
    return f"{num_bytes:g} B"


def seconds(value: float) -> str:
    """A duration in the unit a person would say."""
    if value < 1:
        return f"{1000 * value:.0f} ms"
    if value < 120:
        return f"{value:.3g} s"
    if value < 7200:
        return f"{value / 60:.3g} min"
    return f"{value / 3600:.3g} h"


def scalar(value: Any) -> str:
    """A setting as the project file would write it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {scalar(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return "[" + ", ".join(scalar(item) for item in value) + "]"
    return str(value)


def _signed(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "\u2212")


def _plain(value: float, digits: int) -> str:
    return f"{value:.{digits}f}"


def _small(value: float) -> str:
    """Three decimals for ratios, three significant digits above, all digits of large whole parts."""
    magnitude = abs(value)
    if magnitude == 0:
        return "0"
    if magnitude >= 1000:
        return f"{value:,.0f}"
    if magnitude >= 100:
        return f"{value:.0f}"
    if magnitude >= 10:
        return f"{value:.1f}"
    if magnitude >= 1:
        return f"{value:.2f}"
    return f"{value:.3f}" if magnitude >= 0.001 else f"{value:.2g}"
