"""Take a model folder as Modelyard writes it (`model.json` and weights): copied, checked before anything opens it.

So a model that lies outside the store is measured like any other: `modelyard evaluate FOLDER` uses it. `model.read`
brings models of other makers.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from modelyard.base.canonical import Json
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE


class Config(BaseModel):
    """Settings of model.folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(min_length=1, max_length=1000, description="the folder, relative to the project")


def run(config: Config, context: Context) -> None:
    import shutil

    from modelyard.methods.runtimes.manifest import manifest
    from modelyard.methods.runtimes.model_folder import ModelCard
    from modelyard.methods.runtimes.validation import check, refuse

    source, target = _folder(config, context.base), context.output("model")
    refuse(check(source, ModelCard.read(source)))
    files = manifest(source)
    for entry in files.files:
        (target / entry.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / entry.path, target / entry.path)
    context.measure("size.bytes", files.size, about="model", on="", n=len(files.files), unit="bytes", interval="exact")


def _folder(config: Config, base: Path) -> Path:
    return base / Path(config.path).expanduser()


def fingerprint(config: Config, base: Path) -> Json:
    """Digest of every file. Raises InputError if it is no model folder."""
    from modelyard.methods.runtimes.manifest import manifest
    from modelyard.methods.runtimes.model_folder import ModelCard

    ModelCard.read(_folder(config, base))
    return {"digest": manifest(_folder(config, base)).digest}


STAGE = Stage(
    config=Config,
    run=run,
    outputs={"model": Port("model", description="the same files")},
    claims=(Claim("size.bytes", "bytes of all files of the model", "bytes", better="lower", any_split=True),),
    libraries=("safetensors",),
    loads=MODEL_CODE,
    external=("path",),
    fingerprint=fingerprint,
)
