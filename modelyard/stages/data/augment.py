"""Add changed copies of training rows: texts (synonyms, swaps, deletions, insertions, slips) or images.

Stands after the split and changes train alone; validation goes through unchanged, evaluation binds past it. Every copy
is a function of the seed, its row's id and its number. Words that negate, numbers, addresses and links are never
touched. With `equal: true` small classes get more copies, until all are about as large.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.base.canonical import Json
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.data.account import CLAIMS
from modelyard.methods.data.augmentation.settings import ImageSettings, TextSettings

if TYPE_CHECKING:
    from modelyard.methods.data.augmentation.copies import Change
    from modelyard.methods.data.dataset import Dataset

PathText = Annotated[str, Field(min_length=1, max_length=1000)]


class Config(BaseModel):
    """Settings of data.augment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    copies: int = Field(1, ge=1, le=100, description="changed copies of each row (rows)")
    classes: list[str] = Field([], max_length=10_000, description="only rows of these classes; without it all")
    equal: bool = Field(False, description="as many copies as make every class about as large as the largest")
    text: TextSettings = Field(TextSettings(), description="how far texts are changed")
    synonyms: PathText | None = Field(None, description="file of your own synonyms, one group a line; else built in")
    there: PathText | None = Field(None, description="back-translation: folder of the model into another language")
    back: PathText | None = Field(None, description="back-translation: folder of the model back")
    image: ImageSettings = Field(ImageSettings(), description="how far images are changed")
    mix: Literal["none", "mixup", "cutmix"] = Field("none", description="mix each image with that of another row")
    alpha: float = Field(0.2, gt=0, le=100, description="mixing: both parameters of the Beta distribution of shares")

    @model_validator(mode="after")
    def _both_ways(self) -> Config:
        if (self.there is None) != (self.back is None):
            raise ValueError("back-translation needs both `there` and `back`")
        return self


def run(config: Config, context: Context) -> None:
    from modelyard.base.messages import t
    from modelyard.methods.data.augmentation.copies import Amount, write_copies
    from modelyard.methods.data.dataset import Dataset

    data = Dataset.open(context.input("data"))
    amount = Amount(config.copies, frozenset(config.classes), config.equal)
    account, unchanged = write_copies(
        data,
        amount,
        _change(config, context, data),
        context.output("data"),
        context.output("removed"),
        lambda done, total: context.progress(done, total, "rows"),
    )
    if unchanged:
        context.say(t("{n:,} copies were not made: nothing in the row could be changed", n=unchanged))
    account.tell(context)


def _change(config: Config, context: Context, data: Dataset) -> Change:
    from modelyard.methods.data.augmentation.images import ImageChanges

    image = data.role("image")
    if image is not None:
        from modelyard.methods.data.augmentation.changers import ImageChanger

        changes = ImageChanges(**config.image.model_dump())
        if config.mix == "none":
            return ImageChanger(changes, context.seed, image)
        label, soft_label = data.need("label"), data.need("soft_label")
        return ImageChanger(changes, context.seed, image, label, soft_label, config.mix, config.alpha)
    return _text_change(config, context, data.need("text"))


def _text_change(config: Config, context: Context, text: str) -> Change:
    from modelyard.methods.data.augmentation.lexicon import Lexicon, read_groups
    from modelyard.methods.data.augmentation.text import TextChanges
    from modelyard.methods.data.augmentation.text_changers import BackTranslation, TextChanger

    if config.there is not None and config.back is not None:
        return BackTranslation(context.base / config.there, context.base / config.back, text, max(4, config.copies))
    lexicon = Lexicon.of(read_groups(context.base / config.synonyms)) if config.synonyms else None
    return TextChanger(TextChanges(**config.text.model_dump()), lexicon, context.seed, text)


def fingerprint(config: Config, base: Path) -> Json:
    """Digests of the files of synonyms and models."""
    from modelyard.methods.data.augmentation.digests import digest_of

    return [digest_of(path, base) if path else None for path in (config.synonyms, config.there, config.back)]


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("train", "validation"), description="texts or images, divided")},
    outputs={
        "data": Port("dataset", ("train", "validation"), description="train with copies, validation unchanged"),
        "removed": Port("dataset", ("all",), side=True, description="the rows added, with the row each was made from"),
    },
    claims=CLAIMS,
    libraries=("pyarrow", "numpy", "torch", "pypinyin", "pillow", "kornia", "transformers"),
    external=("synonyms", "there", "back"),
    fingerprint=fingerprint,
)
