"""Image classification: a record is an encoded image, a prediction one label with a score for each.

The image is bytes, or in JSON base64, plain or as a data URL (`data:image/png;base64,…`).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.preprocessing.image import MAX_BYTES
from modelyard.methods.preprocessing.table import Placed
from modelyard.methods.tasks.text_classification import TextClassification

NAME = "image-classification"
FIELD = "image"
SAMPLE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
"""A PNG of one grey pixel."""


class ImageClassification(TextClassification):
    """Answers as any single-label classifier does; other records."""

    name = NAME
    inputs: Mapping[str, Any] = {FIELD: {"type": "bytes", "shape": []}}

    def values(self, records: Sequence[Mapping[str, Any]]) -> list[Any]:
        return [Placed(place, image_bytes(record, place)) for place, record in enumerate(records)]

    def sample(self) -> Mapping[str, Any]:
        return {FIELD: SAMPLE}


TASK = ImageClassification()


def image_bytes(record: Mapping[str, Any], place: int) -> bytes:
    """The encoded image of a record. Raises InputError if there is none."""
    value = record.get(FIELD) if isinstance(record, Mapping) else None
    if isinstance(value, str):
        value = _from_text(value)
    if not isinstance(value, bytes) or not value:
        raise InputError(
            t("record {position} has no image", position=place),
            where=f"records[{place}]",
            expected='{"image": "base64…"}',
        )
    return value


def _from_text(text: str) -> bytes | None:
    head, comma, rest = text.partition(",")
    encoded = rest if comma and head.startswith("data:image/") and head.endswith(";base64") else text
    if len(encoded) // 4 * 3 > MAX_BYTES + 3:
        return None
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
