"""Canaries: made-up secrets put into training data, to measure later what a language model learned by heart.

Source: Carlini, Liu, Erlingsson, Kos, Song 2019, "The Secret Sharer", USENIX Security. A canary is a text with a secret
drawn at random from a space of known size, so that what chance alone would give is known exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.methods.data.dataset import Column
from modelyard.methods.data.row_random import generator

DIGITS = "0123456789"
COLUMNS = tuple(
    Column(name, role, kind)
    for name, role, kind in (
        ("row_id", "other", "string"),
        ("text", "text", "string"),
        ("prefix", "other", "string"),
        ("secret", "other", "string"),
        ("repeats", "other", "int64"),
    )
)


@dataclass(frozen=True)
class Canary:
    """A secret of digits in its text.

    Attributes:
        prefix: what stands before the secret.
        repeats: how often it is put into train; 0 is a control that the model never sees.
    """

    name: str
    prefix: str
    secret: str
    suffix: str
    repeats: int

    @property
    def text(self) -> str:
        return self.prefix + self.secret + self.suffix


def make(template: str, length: int, repeats: Sequence[int], count: int, seed: int) -> list[Canary]:
    """`count` canaries for each number of repeats; each secret depends on the seed and its own number alone.

    Args:
        template: with `{unit}` (the canary's number, so that no two begin alike) and `{secret}`.
        length: digits of a secret; the space has 10 ** length.
    """
    found: list[Canary] = []
    for times in repeats:
        for _ in range(count):
            unit = len(found) + 1
            name = f"canary-{unit}"
            prefix, suffix = template.replace("{unit}", str(unit)).split("{secret}")
            found.append(Canary(name, prefix, secret(seed, name, length), suffix, times))
    return found


def secret(seed: int, name: str, length: int) -> str:
    """Digits, each uniform."""
    return "".join(DIGITS[place] for place in generator(seed, "canary", name).integers(0, 10, length))
