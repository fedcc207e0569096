"""What the wrong order looks like in a notebook: copies first, then `train_test_split`. Prints both orders' recall.

python by_hand.py
"""

import csv
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import precision_score, recall_score
from sklearn.model_selection import train_test_split
from sklearn.svm import LinearSVC

REVIEWS = Path(__file__).parents[2] / "reviews-zh" / "reviews.csv"


def rare(seed: int) -> tuple[list[str], list[str]]:
    """All good reviews and one bad one in ten."""
    with REVIEWS.open(encoding="utf-8-sig", newline="") as file:
        rows = [(row["text"], row["label"]) for row in csv.DictReader(file)]
    draw = np.random.default_rng(seed)
    kept = [row for row in rows if row[1] == "pos" or draw.random() < 0.1]
    return [text for text, _ in kept], [label for _, label in kept]


def copied(texts: list[str], labels: list[str]) -> tuple[list[str], list[str]]:
    """Each bad review ten times."""
    rows = [row for row in zip(texts, labels, strict=True) for _ in range(10 if row[1] == "neg" else 1)]
    return [text for text, _ in rows], [label for _, label in rows]


def measured(train: tuple[list[str], list[str]], test: tuple[list[str], list[str]]) -> str:
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True)
    model = LinearSVC(C=0.5).fit(vectorizer.fit_transform(train[0]), train[1])
    answers = model.predict(vectorizer.transform(test[0]))
    recall = recall_score(test[1], answers, pos_label="neg")
    precision = precision_score(test[1], answers, pos_label="neg")
    return f"recall {recall:.3f}, precision {precision:.3f} on {len(test[1])} rows"


def main() -> None:
    texts, labels = rare(0)
    wrong = train_test_split(*copied(texts, labels), test_size=0.3, random_state=0)
    print("copies, then split:", measured((wrong[0], wrong[2]), (wrong[1], wrong[3])))
    right = train_test_split(texts, labels, test_size=0.3, random_state=0, stratify=labels)
    print("split, then copies:", measured(copied(right[0], right[2]), (right[1], right[3])))


if __name__ == "__main__":
    main()
