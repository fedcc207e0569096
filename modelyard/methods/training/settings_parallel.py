"""The settings of training in several processes; light, as `settings.py` is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

LayoutName = Literal["auto", "data", "shard"]
Compression = Literal["none", "bf16", "powersgd"]
Count = Annotated[int, Field(ge=1, le=4096)] | Literal["auto"]


class Parallel(BaseModel):
    """How the work of a step is cut over the processes of the profile: processes = data · shard · tensor · pipeline."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layout: LayoutName = Field(
        "auto",
        description="What processes do that `tensor` and `pipeline` leave over: `data` holds a whole model in each, "
        "`shard` a part in each (FSDP2); `auto` shards what would not fit, and says so",
    )
    data: Count = Field("auto", description="Groups of processes that each read their own rows of a batch (groups)")
    shard: Count = Field("auto", description="Processes that share the weights of one copy, FSDP2 (processes)")
    tensor: int = Field(1, ge=1, le=64, description="Processes that share the matrices of each layer (processes)")
    pipeline: int = Field(1, ge=1, le=64, description="Processes that hold layers one after the other (processes)")
    microbatches: int | None = Field(
        None, ge=1, le=1024, description="`pipeline`: parts of a batch under way; by default two for each stage (parts)"
    )
    schedule: Literal["1f1b", "gpipe"] = Field("1f1b", description="`pipeline`: the order of passes there and back")
    compression: Compression = Field("none", description="How gradients travel between copies (`data` alone)")
    rank: int = Field(4, ge=1, le=256, description="`powersgd`: rank of what is sent for a matrix (columns)")
    synchronize_every: int = Field(
        1,
        ge=1,
        le=100_000,
        description="Steps between which copies go their own way (`data` alone); above 1 it is local SGD or DiLoCo",
    )
    outer_rate: float = Field(
        0.7, gt=0, le=10, description="Rate of the outer step of DiLoCo; 1 with `outer_momentum: 0` is local SGD"
    )
    outer_momentum: float = Field(0.9, ge=0, lt=1, description="Nesterov momentum of the outer step")
    timeout: int = Field(
        600, ge=5, le=86_400, description="A process that others wait for longer than this ends the run (seconds)"
    )

    @model_validator(mode="after")
    def _goes_together(self) -> Parallel:
        cut = [name for name in ("tensor", "pipeline") if getattr(self, name) > 1]
        if self.layout == "shard" or (self.shard != "auto" and self.shard > 1):
            cut.append("shard")
        if self.compression != "none" and cut:
            raise ValueError(f"compression is for `data` alone, not with {', '.join(cut)}")
        if self.synchronize_every > 1 and cut:
            raise ValueError(f"synchronize_every is for `data` alone, not with {', '.join(cut)}")
        if self.synchronize_every > 1 and self.compression != "none":
            raise ValueError("with synchronize_every no gradients travel: compression has nothing to do")
        if self.pipeline > 1 and "shard" in cut:
            raise ValueError("pipeline and shard do not go together: use tensor or data beside pipeline")
        if self.layout == "data" and self.shard not in ("auto", 1):
            raise ValueError("layout `data` shards nothing: leave `shard` out, or use layout `shard`")
        return self
