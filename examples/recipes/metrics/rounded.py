"""The popular mistake, as a stage: the model answers with its label alone, its scores rounded to 0 and 1."""

from pydantic import BaseModel, ConfigDict

from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def run(config: Config, context: Context) -> None:
    from modelyard.methods.evaluation import calibrating

    # A temperature near 0 leaves a probability of 1 on the class that is answered.
    step = {"kind": "temperature", "temperature": 1e-6}
    calibrating.ship(context.input("model"), context.output("model"), [step])


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"model": Port("model")},
    outputs={"model": Port("model")},
    libraries=("numpy",),
    loads=MODEL_CODE,
)
