"""Ask the model that the run made about the reviews of the test split, and about one of your own.

modelyard run          # first
python chat.py         # the share of right answers, and what it says to a review
"""

from pathlib import Path

import modelyard
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.runtimes import load

HERE = Path(__file__).resolve().parent
QUESTION = "这条评论是好评还是差评？"
MINE = "房间很干净，服务员也热情，下次还来。"


def ask(predictor, reviews: list[str]) -> list[str]:
    """The answers to a question about each review."""
    chats = [{"messages": [{"role": "user", "content": f"{QUESTION}\n{text}"}]} for text in reviews]
    return [answer.text.strip() for answer in predictor.predict(chats)]


def main() -> None:
    outcome = modelyard.run(HERE)
    made = {step.step: step.outputs for step in outcome.steps}
    store = HERE / ".modelyard" / "artifacts"
    place = {name: next(iter(outputs.values())).partition(":")[2] for name, outputs in made.items()}
    folders = {name: store / digest[:2] / digest[2:] for name, digest in place.items()}
    rows = Dataset.open(folders["split"]).table("test", ["text", "output"]).to_pylist()
    predictor = load(folders["chat"])
    said = ask(predictor, [row["text"] for row in rows])
    right = sum(answer == row["output"] for answer, row in zip(said, rows, strict=True))
    print(f"{right} of {len(rows)} reviews of the test split answered rightly ({right / len(rows):.1%})")
    print(f"{len(set(said))} different answers: {', '.join(sorted(set(said))[:5])}")
    print(f"{MINE} -> {ask(predictor, [MINE])[0]}")


if __name__ == "__main__":
    main()
