"""Train a network that marks spans of texts: names, places, terms, Chinese or English.

The column `spans` holds a JSON list of `{"start", "end", "label"}` for each text, in characters, the end exclusive;
`[]` says that nothing is marked. Spans become tags of tokens (B, I, O) and valid tags become spans again. From scratch
`tagger` reads each token with its neighbours in both directions and learns which tag follows which; `base` fine-tunes
an encoder. Texts longer than the network are read in overlapping windows. A run that was killed goes on from its last
checkpoint and ends with the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE
from modelyard.methods.data.settings import ColumnName
from modelyard.methods.training.bases import fingerprint
from modelyard.methods.training.text_tasks.settings import SpansStopping, TaggerSize, TextTraining

if TYPE_CHECKING:
    from modelyard.methods.training.text_tasks.spans import Trained


class Config(TextTraining):
    """Settings of train.token_classification."""

    column: ColumnName = Field("spans", description="Column of the marked spans, as JSON")
    size: TaggerSize = Field("tagger", description="What to train from scratch")
    chain: bool | None = Field(
        None,
        description="Learn which tag follows which (a linear-chain CRF); by default with a network from scratch",
    )
    early_stopping: SpansStopping = Field(default_factory=SpansStopping, description="When to stop")


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.training import saving
    from modelyard.methods.training.language import jobs
    from modelyard.methods.training.text_tasks import bodies, span_rows, spans, texts

    data = Dataset.open(context.input("data"))
    (training, validation), notes = texts.read_splits(data, config.column, span_rows.read)
    for note in notes:
        context.say(note)
    job = bodies.job_of(config, config.size, config.early_stopping, context)
    found = spans.train(job, training, validation, config.chain)
    provenance = {
        "stage": "train.token_classification",
        "seed": context.seed,
        "rows": {"train": len(training), "validation": len(validation)},
        "base": jobs.base_name(config.base, context),
        "details": {"network": found.body.name, **found.details},
    }
    transitions = {} if found.transitions is None else {"transitions": found.transitions.tolist()}
    saving.write_model(
        found.body.candidate(), context.output("model"), found.tags, provenance, config.licence, validation.texts,
        "token-classification", {"spans": {"type": "string", "shape": [-1], **transitions}},
    )  # fmt: skip
    _measure(found, context)


def _measure(found: Trained, context: Context) -> None:
    from modelyard.methods.tasks import tags
    from modelyard.methods.training.text_tasks import intervals, spans

    def scores(counted: Any) -> list[float]:
        return [spans.rates(one)["f1"] for one in (counted.sum(0), *counted)]

    names = ["", *tags.labels_of(found.tags)]
    count = len(found.counted)
    whole = found.counted.sum(0)
    low, high = intervals.bootstrap(lambda rows: scores(found.counted[rows].sum(0)), count, context.seed)
    for place, (name, value) in enumerate(zip(names, scores(whole), strict=True)):
        context.measure(
            "train.validation_span_f1",
            value,
            about="model",
            on="data/validation",
            n=count,
            interval=(float(low[place]), float(high[place])),
            slice={"label": name} if name else None,
        )
    context.measure(
        "train.parameters", found.body.num_parameters, about="model", on="", n=1, unit="weights", interval="exact"
    )


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "data": Port("dataset", ("train", "validation"), description="texts with marked spans"),
        "base": Port("model", optional=True, side=True, description="an encoder to fine-tune"),
    },
    outputs={"model": Port("model", description="a model folder")},
    claims=(
        Claim(
            "train.validation_span_f1",
            "F1 of whole spans with their labels on validation rows, in all and by label; validation chose the model, "
            "so it flatters",
            any_split=True,
        ),
        Claim("train.parameters", "weights that were learned", "weights", better="lower", any_split=True),
    ),
    libraries=("torch", "transformers", "tokenizers", "numpy", "accelerate", "safetensors", "pyarrow"),
    loads=MODEL_CODE,
    external=("base",),
    fingerprint=fingerprint,
)
