"""Make an instruction of each review: the question, and the answer that people gave as its label. The review is its
input. Nothing is learned here, so it may stand before the split.
"""

from pydantic import BaseModel, ConfigDict, Field

from modelyard.core.stage import Context, Port, Stage

ANSWERS = {"pos": "好评", "neg": "差评"}


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str = Field("这条评论是好评还是差评？", description="what is asked of every review")


def run(config: Config, context: Context) -> None:
    import pyarrow as pa

    from modelyard.methods.data.dataset import Column, Dataset, SplitWriter, write_schema
    from modelyard.methods.data.roles import schema_of

    data = Dataset.open(context.input("data"))
    columns = [*data.columns, Column("instruction", "other", "string"), Column("output", "other", "string")]
    write_schema(context.output("data"), columns)
    with SplitWriter(context.output("data"), "all", schema_of(columns)) as writer:
        for batch in data.batches("all"):
            answers = [ANSWERS[label] for label in batch.column(data.need("label")).to_pylist()]
            batch = batch.append_column("instruction", pa.array([config.question] * len(answers), pa.string()))
            writer.write(batch.append_column("output", pa.array(answers, pa.string())))


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("all",), description="labelled reviews")},
    outputs={"data": Port("dataset", ("all",), description="the same with an instruction and its answer")},
)
