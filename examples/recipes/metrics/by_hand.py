"""AUC and the precision-recall area in a notebook: from scores, and from the labels that `predict` gives.

python by_hand.py
"""

import csv
from pathlib import Path

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import train_test_split

MAIL = Path(__file__).parents[2] / "spam-en" / "mail.csv"


def main() -> None:
    with MAIL.open(encoding="utf-8-sig", newline="") as file:
        rows = sorted({(row["text"], row["label"]) for row in csv.DictReader(file)})
    texts, labels = [text for text, _ in rows], [label == "spam" for _, label in rows]
    train, test, known, wanted = train_test_split(texts, labels, test_size=0.3, random_state=0, stratify=labels)
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, max_features=50_000)
    model = LogisticRegression(max_iter=1000).fit(vectorizer.fit_transform(train), known)
    features = vectorizer.transform(test)
    scores, answers = model.predict_proba(features)[:, 1], model.predict(features)
    for name, values in (("scores", scores), ("labels", answers)):
        roc, pr = roc_auc_score(wanted, values), average_precision_score(wanted, values)
        print(f"from {name}: ROC-AUC {roc:.4f}, precision-recall area {pr:.4f} on {len(test)} rows")
    print(f"balanced accuracy {balanced_accuracy_score(wanted, answers):.4f}: the ROC-AUC of the labels is this number")


if __name__ == "__main__":
    main()
