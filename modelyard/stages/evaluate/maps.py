"""Draws test rows on a map of two dimensions, and where a classifier of tables changes its answer.

The map: what the network's last layer reads of a row (of other formats: TF-IDF of the text, or the encoded columns),
its first 50 principal components, then t-SNE, or UMAP (`pip install "modelyard[maps]"`). A map is a claim too: how many
neighbours on it are neighbours in the features (`maps.neighbour_agreement`; a map at random has about 10 / rows), and
its trustworthiness. Rows are coloured by label; mistakes are named.

The boundary: with `columns: [age, income]` a classifier of a table is asked on a grid over two columns of numbers, all
others at their median or commonest value. `maps.boundary_agreement` says for how many rows those two columns decide.

The report is `maps.json`. With `method: none` only the boundary is drawn.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE, MODEL_LIBRARIES
from modelyard.methods.data.settings import ColumnName


class Config(BaseModel):
    """Settings of evaluate.maps."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["tsne", "umap", "none"] = Field(
        "tsne", description="`tsne`; `umap` needs the extra `maps`; `none` draws no map, only the boundary"
    )
    rows: int = Field(1000, ge=21, le=5000, description="test rows at most, chosen by their ids (rows)")
    columns: tuple[ColumnName, ColumnName] | None = Field(
        None, description="two columns of numbers of a table, over which a classifier's boundary is drawn"
    )
    grid: int = Field(30, ge=5, le=100, description="points of the boundary along each axis (points)")
    texts: bool = Field(True, description="name rows with the start of their text or values; off keeps only row ids")
    threads: int | None = Field(None, ge=1, le=1024, description="threads of the runtime (threads); none: all cores")

    @model_validator(mode="after")
    def _something(self) -> Config:
        if self.method == "none" and self.columns is None:
            raise ValueError("nothing to draw: `method: none` needs `columns`")
        if self.columns and self.columns[0] == self.columns[1]:
            raise ValueError("`columns` names two different columns")
        return self


def run(config: Config, context: Context) -> None:
    from modelyard.base.lookup import require
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation import blocks
    from modelyard.methods.evaluation.map_report import draw
    from modelyard.methods.reporting.claim_names import NAMES

    if config.method == "umap":
        require("umap", "maps")
    found = draw(
        context.input("model"),
        Dataset.open(context.input("data")),
        config.model_dump() | {"seed": context.seed},
        lambda done, total: context.progress(done, total, "steps"),
    )
    if found.source == "columns":
        context.say(t("the model shows no features of its own: the map is of its columns"))
    elif found.source == "texts":
        context.say(t("the model shows no features of its own: the map is of TF-IDF of the texts"))
    for one in found.estimates:
        context.measure(
            f"maps.{one.name}", one.value, about="model", on="data/test", n=one.n, interval=one.interval
        )  # fmt: skip
        context.say(t("{name}: {value}", name=t(NAMES[f"maps.{one.name}"]), value=f"{one.value:.3f}"))
    blocks.write(context.output("report"), "maps", "Maps", found.blocks, found.data)


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="the model whose rows are drawn"),
        "data": Port("dataset", ("test",), description="labelled test rows"),
    },
    outputs={"report": Port("report", description="maps.json")},
    claims=(
        Claim(
            "maps.neighbour_agreement",
            "of a row's 10 nearest on the map, the share among its 10 nearest in the features; mean over rows",
        ),
        Claim(
            "maps.trustworthiness",
            "1 less how far away, by rank, the neighbours on the map are in the features; 0 to 1",
        ),
        Claim(
            "maps.boundary_agreement",
            "share of test rows answered the same with all but the two drawn columns held still",
            sizing="rate",
        ),
    ),
    libraries=(*MODEL_LIBRARIES, "scikit-learn", "pillow"),
    loads=(*MODEL_CODE, "modelyard.methods.evaluation.measuring"),
)
