"""Every claim `quality.*`, once: what evaluate.quality measures on test and evaluate.validation on validation."""

from __future__ import annotations

from modelyard.core.evidence import Claim

AVERAGES = {
    "macro": "plain mean over the classes that occur or are predicted",
    "micro": "over all decisions together: the accuracy",
    "weighted": "mean over classes, weighted by how often they occur",
}

CLASSIFICATION = (
    Claim("quality.accuracy", "share of rows with the right label", sizing="rate"),
    Claim("quality.balanced_accuracy", "plain mean of the recalls of the classes that occur, of two at least"),
    Claim("quality.precision", "of the rows given a class, the share that belongs to it; by class", sizing="rate"),
    Claim("quality.recall", "of the rows of a class, the share that was given to it; by class", sizing="rate"),
    Claim("quality.f1", "harmonic mean of precision and recall of a class; by class"),
    *(
        Claim(f"quality.{name}_{kind}", f"{name} of the classes, {what}", sizing="rate" if kind == "micro" else None)
        for name in ("precision", "recall", "f1")
        for kind, what in AVERAGES.items()
    ),
    Claim(
        "quality.roc_auc", "area under the ROC curve of the second class; more classes: mean of one against the rest"
    ),
    Claim("quality.pr_auc", "average precision of the second class; more classes: mean of one against the rest"),
    Claim("quality.mcc", "Matthews correlation of labels and answers, -1 to 1"),
    Claim("quality.top_k_accuracy", "share of rows whose label is among the k best scores; by k", sizing="rate"),
    Claim("quality.log_loss", "mean of -log of the probability given to the right label, in nats", better="lower"),
    Claim("quality.brier", "mean over rows of the summed squared error of the probabilities, 0 to 2", better="lower"),
    Claim("quality.ece", "mean gap of confidence and accuracy in 15 bins of equal mass", better="lower"),
)

ORDINAL = (
    Claim("quality.kappa_quadratic", "quadratic weighted kappa of ordered classes, at most 1"),
    Claim("quality.rank_mae", "mean distance of ranks between label and answer", better="lower"),
    Claim("quality.mean_cost", "mean cost of the answers, by the table in the settings", better="lower"),
    Claim("quality.cost_accuracy", "share of the worst possible cost that was not paid, 0 to 1"),
)

RANKING = (
    Claim("quality.ndcg", "discounted gain of the first k rows, by that of the best order; mean over users; by k"),
    Claim("quality.map", "mean over users of the average precision of their rows' order"),
    Claim("quality.mrr", "mean over users (or queries) of 1 / place of the first right row"),
    Claim("quality.recall_at_k", "share of the right rows among the first k; mean over users (or queries); by k"),
    Claim("quality.hit_rate", "share of users with a right row among the first k; by k", sizing="rate"),
)

REGRESSION = (
    Claim("quality.mse", "mean squared error", better="lower"),
    Claim("quality.rmse", "root of the mean squared error, in the target's unit", better="lower"),
    Claim("quality.mae", "mean absolute error, in the target's unit", better="lower"),
    Claim("quality.median_ae", "median absolute error, in the target's unit", better="lower"),
    Claim("quality.r2", "share of the targets' variance that is explained, at most 1"),
    Claim("quality.mape", "mean of |error| / |target|; not measured if a target is 0", better="lower"),
    Claim("quality.spearman", "correlation of ranks of targets (or given scores) and answers, -1 to 1"),
    Claim("quality.pinball", "mean quantile loss; by quantile", better="lower"),
)

GENERATION = (
    Claim("quality.perplexity_token", "exp of the mean -log probability of a token after what is before",
          better="lower"),
    Claim("quality.perplexity_byte", "exp of the mean -log probability of a byte of text", better="lower"),
    Claim("quality.bits_per_byte", "mean -log2 probability of a byte of text", better="lower"),
    Claim("quality.exact_match", "share of answers equal to the wanted one, case, punctuation and articles aside",
          sizing="rate"),
    Claim("quality.token_f1", "mean over rows of the F1 of words (Chinese: characters) shared with the wanted answer"),
    Claim("quality.rouge_1", "mean over rows of the F1 of shared words (ROUGE-1)"),
    Claim("quality.rouge_2", "mean over rows of the F1 of shared pairs of words (ROUGE-2)"),
    Claim("quality.rouge_l", "mean over rows of the F1 of the longest common subsequence (ROUGE-L)"),
    Claim("quality.bleu", "BLEU of all answers together as sacrebleu has it, 0 to 100"),
    Claim("quality.chrf", "chrF2 of all answers together as sacrebleu has it, 0 to 100"),
    Claim("quality.choice_accuracy", "share of rows whose likeliest choice is the right one", sizing="rate"),
    Claim("quality.choice_accuracy_normalised",
          "share of rows whose likeliest choice, by the mean over its bytes, is the right one", sizing="rate"),
    Claim("quality.pass_at_k", "mean chance that one of k drawn answers equals the wanted one; by k"),
)  # fmt: skip

MULTI_LABEL = (
    Claim("quality.subset_accuracy", "share of rows whose labels are exactly right", sizing="rate"),
    Claim("quality.hamming_loss", "share of wrong decisions over rows and labels", better="lower"),
    Claim("quality.f1_samples", "mean over rows of the F1 of their labels"),
    Claim("quality.lrap", "label ranking average precision: mean over true labels of the precision at their places"),
)

SPANS = (
    Claim("quality.span_precision", "of the spans found, the share with the right ends and type; by type"),
    Claim("quality.span_recall", "of the true spans, the share found with the right ends and type; by type"),
    Claim("quality.span_f1", "harmonic mean of span precision and recall; by type"),
    Claim("quality.span_f1_macro", "plain mean over types of span F1"),
)

EMBEDDINGS = (
    Claim("quality.retrieval_recall", "share of texts whose partner is among the k nearest; by k", sizing="rate"),
)

FILL_MASK = (
    Claim("quality.mask_accuracy", "share of masks whose token is among the k likeliest; by k", sizing="rate"),
    Claim("quality.pseudo_perplexity", "exp of the mean -log probability of a token, each masked in turn",
          better="lower"),
)  # fmt: skip

MODEL = (
    *CLASSIFICATION, *ORDINAL, *RANKING, *REGRESSION, *GENERATION, *MULTI_LABEL, *SPANS, *EMBEDDINGS, *FILL_MASK,
)  # fmt: skip
"""About the model, on any split."""

BESIDE = (
    Claim("quality.gain_over_linear", "accuracy of the model less that of the linear baseline on the same rows"),
    Claim("quality.skill_over_linear", "1 - squared error of the model by that of the linear baseline, same rows"),
    Claim("quality.baseline_majority_accuracy", "accuracy of always the commonest class", subject="lineage"),
    Claim(
        "quality.baseline_linear_accuracy",
        "accuracy of a tuned linear model: TF-IDF and an SVM, or logistic regression on columns",
        subject="lineage",
    ),
    Claim(
        "quality.baseline_mean_rmse", "root mean squared error of always the mean", better="lower", subject="lineage"
    ),
    Claim(
        "quality.baseline_linear_rmse",
        "root mean squared error of a tuned linear model (ridge regression)",
        better="lower",
        subject="lineage",
    ),
    Claim(
        "data.test_contamination",
        "share of test rows that also stand in train (texts normalised; tables with their label)",
        better="lower",
        subject="lineage",
    ),
)
"""On test only."""
