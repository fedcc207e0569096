"""Choose which rows of an unlabelled pool to label next (active learning).

The rows a model learns most from are those it is unsure about and that are unlike each other. `queue` is what
`modelyard label` and Label Studio take; the answers become labels through data.correct on the pool, and join the
training rows, never validation or test, through data.pseudo_label with `pool` bound to it.

Rows that train or validation has already, by row id or by text, are not asked about again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE

if TYPE_CHECKING:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation.label_quality.pool import Asked
    from modelyard.methods.evaluation.label_quality.selecting import Floats


class Config(BaseModel):
    """Settings of data.select."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy: Literal["least_confident", "margin", "entropy", "k_centre", "cluster_margin", "badge", "random"] = Field(
        "cluster_margin",
        description="by uncertainty, by diversity (`k_centre`), by both (`cluster_margin`, `badge`), or by chance",
    )
    rows: int = Field(100, ge=1, le=100_000, description="size of the batch to label (rows)")
    dimensions: int = Field(
        64, ge=2, le=1_024, description="of the vectors by which texts are compared: TF-IDF n-grams, reduced"
    )
    threads: int | None = Field(None, ge=1, le=1024, description="threads of the runtime (threads); none: all cores")


def run(config: Config, context: Context) -> None:
    from modelyard.base.messages import t
    from modelyard.errors import InputError
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.data.labelling import queue
    from modelyard.methods.evaluation.label_quality import selecting
    from modelyard.methods.evaluation.label_quality.pool import Known, ask
    from modelyard.methods.evaluation.opening import opened

    data, pool = Dataset.open(context.input("data")), Dataset.open(context.input("pool"))
    known = Known.of(data, ("train", "validation"))
    with opened(context.input("model"), config.threads) as predictor:
        asked = ask(pool, known, predictor, lambda done, total: context.progress(done, total, "rows"))
        labels = predictor.labels
    for reason, count in sorted(asked.left_out.items()):
        context.say(t("{n:,} rows of the pool are not asked about: {reason}", n=count, reason=t(reason)))
    total = len(asked.row_ids)
    if not total:
        raise InputError(
            t("the pool has no row that is not known already"),
            where="pool",
            expected=t("rows without labels, with texts that train and validation do not have"),
        )
    rows = selecting.Pool(asked.probabilities, *_vectors(data, asked, config, context.seed), asked.row_ids)
    chosen = selecting.choose(config.strategy, rows, config.rows, context.seed).tolist()
    score, best = selecting.certainty(config.strategy, rows.probabilities), rows.probabilities.argmax(1)
    items = [
        queue.Item(
            row_id=asked.row_ids[place],
            text=asked.texts[place],
            image=None,
            given=None,
            suggested=labels[int(best[place])],
            score=float(score[place]),
            confidence=float(rows.probabilities[place, best[place]]),
            why="next",
        )
        for place in chosen
    ]
    queue.write(context.output("queue"), items, labels)
    context.say(t("{n:,} of {total:,} unlabelled rows chosen by {how}", n=len(items), total=total, how=config.strategy))
    for claim, count in (("data.pool_rows", total), ("data.selected_rows", len(items))):
        context.measure(claim, count, about="queue", on="", n=count, unit="rows", interval="exact")


def _vectors(data: Dataset, asked: Asked, config: Config, seed: int) -> tuple[Floats, Floats]:
    """Vectors of the pool's and of the training texts, for the strategies that compare them."""
    import numpy as np

    from modelyard.methods.evaluation.label_quality import embeddings, selecting

    none = np.zeros((0, 0))
    if not selecting.needs_embeddings(config.strategy):
        return none, none
    trained = [text for text in data.column("train", data.need("text")) if text]
    half = embeddings.MOST_TEXTS // 2
    fitted = embeddings.fit([*trained[:half], *asked.texts], config.dimensions, seed)
    return fitted(asked.texts), fitted(trained) if config.strategy == "k_centre" else none


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="the model whose doubts decide"),
        "pool": Port("dataset", ("all",), description="rows to choose from, without labels"),
        "data": Port("dataset", ("train", "validation"), description="the rows that have labels"),
    },
    outputs={"queue": Port("dataset", ("all",), side=True, description="rows to label, the most worth it first")},
    claims=(
        Claim("data.pool_rows", "rows to choose from", "rows", better="none", subject="lineage", any_split=True),
        Claim("data.selected_rows", "rows chosen to be labelled", "rows", better="none", subject="lineage",
              any_split=True),
    ),
    libraries=("numpy", "scipy", "scikit-learn", "pyarrow", "tokenizers", "torch", "transformers", "onnxruntime",
               "openvino"),
    loads=MODEL_CODE,
)  # fmt: skip
