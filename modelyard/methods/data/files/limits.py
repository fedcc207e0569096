"""How much an archive may hold before it is taken for a bomb."""

from __future__ import annotations

from dataclasses import dataclass

FREE_BYTES = 1 << 20
"""Up to here no ratio counts: a small file of zeros is no bomb."""


@dataclass(frozen=True)
class ArchiveLimits:
    """Limits of one archive, all counted in bytes after decompression.

    Attributes:
        max_members: files and folders.
        max_member_bytes: of one file.
        max_total_bytes: of all files.
        max_ratio: of the bytes after decompression to those before.
    """

    max_members: int = 200_000
    max_member_bytes: int = 1 << 32
    max_total_bytes: int = 1 << 35
    max_ratio: int = 200
