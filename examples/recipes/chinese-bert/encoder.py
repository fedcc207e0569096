"""Gives a Chinese BERT: `bert-base-chinese` of the hub, or where it cannot be had, weights without any training.

The folder `bert-base-chinese` beside this file is taken if it is there; then the hub (ModelScope's name of it is
`modelscope:google-bert/bert-base-chinese`). Without a network the same architecture begins with random weights and a
vocabulary of the reviews' characters: smaller by `layers`, so that a laptop trains it in minutes. Which it was is said.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from modelyard.core.stage import Context, Port, Stage


class Config(BaseModel):
    """Settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str = Field("bert-base-chinese", min_length=1, max_length=200, description="a folder, or an id of the hub")
    layers: int = Field(2, ge=1, le=24, description="of the network with random weights; BERT base has 12 (layers)")
    width: int = Field(128, ge=16, le=1024, description="of it; BERT base has 768 (units)")


def run(config: Config, context: Context) -> None:
    import shutil

    from modelyard.errors import InputError
    from modelyard.methods.training import pretrained

    try:
        folder = pretrained.locate(config.base, context.base)
    except InputError as error:
        context.say(f"{config.base} cannot be had ({error.problems[0].found[:80]})")
        random_weights(config, context)
        return
    context.say(f"weights of {config.base}")
    for path in sorted(folder.iterdir()):
        if path.is_file():
            shutil.copyfile(path, context.output("model") / path.name)


def random_weights(config: Config, context: Context) -> None:
    """The architecture alone."""
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.training.encoders import models, saving
    from modelyard.methods.training.encoders.settings import Architecture, EncoderTokens

    data = Dataset.open(context.input("data"))
    tokenizer = models.learn_tokenizer(EncoderTokens(vocabulary_size=4000), data, [data.need("text")], 128)
    shape = Architecture(layers=config.layers, width=config.width, heads=max(1, config.width // 64))
    made = models.configuration(shape, tokenizer, 128)
    model = models.fresh(made, "AutoModelForMaskedLM", context.seed, 1)
    saving.write_model(
        model, tokenizer, context.output("model"), "fill-mask", 128, {}, "MIT", [{"text": "好[MASK]"}],
        {"candidates": {"type": "string", "shape": [-1]}},
    )  # fmt: skip
    context.say("the architecture of BERT with RANDOM weights: it knows no Chinese but what the reviews teach it")


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("train", "validation"), description="texts a vocabulary is learned from")},
    outputs={"model": Port("model", description="an encoder to fine-tune")},
    libraries=("torch", "transformers", "tokenizers", "safetensors"),
    loads=("modelyard.methods.runtimes", "modelyard.methods.tasks"),
)
