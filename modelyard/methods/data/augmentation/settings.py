"""The blocks of settings of augmentation, shared by data.augment and by training on the fly."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class TextSettings(BaseModel):
    """How far a text is changed: shares of its words (Chinese: words of the lexicon, or characters)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    synonyms: float = Field(0.1, ge=0, le=1, description="Share of the words replaced by a synonym")
    swap: float = Field(0.0, ge=0, le=1, description="Share of the words swapped with the next")
    delete: float = Field(0.0, ge=0, le=1, description="Share of the words left out")
    insert: float = Field(0.0, ge=0, le=1, description="Share of the words whose synonym is put elsewhere")
    noise: float = Field(
        0.0, ge=0, le=1, description="Share of the words misspelt: homophones, similar glyphs, neighbouring keys"
    )


class ImageSettings(BaseModel):
    """How far an image is changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    crop: float = Field(0.2, ge=0, lt=1, description="Largest share of the area cut away")
    flip: float = Field(0.5, ge=0, le=1, description="Probability of a mirror image")
    vertical_flip: float = Field(0.0, ge=0, le=1, description="Probability of standing on its head")
    rotate: float = Field(10.0, ge=0, le=180, description="Largest angle (degrees)")
    scale: float = Field(0.0, ge=0, lt=1, description="Largest share by which it grows or shrinks")
    colour: float = Field(0.2, ge=0, le=1, description="Largest share by which brightness, contrast, saturation change")
    erase: float = Field(0.0, ge=0, le=1, description="Probability that a rectangle is greyed")
