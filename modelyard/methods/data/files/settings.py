"""Settings of archives, as a block; light, since a stage's Config is read at every start of the command line."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from modelyard.methods.data.files.limits import ArchiveLimits


class Archive(BaseModel):
    """How much a zip or tar may hold before it is taken for a bomb; bytes are counted after decompression."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_members: int = Field(200_000, ge=1, le=10_000_000, description="files and folders in one archive")
    max_member_bytes: int = Field(1 << 32, ge=1, le=1 << 40, description="bytes of one file in it")
    max_total_bytes: int = Field(1 << 35, ge=1, le=1 << 42, description="bytes of all files in it")
    max_ratio: int = Field(200, ge=1, le=100_000, description="bytes after decompression to bytes before")

    def limits(self) -> ArchiveLimits:
        return ArchiveLimits(self.max_members, self.max_member_bytes, self.max_total_bytes, self.max_ratio)
