"""Settings of archives and object stores; light, since a stage's Config is read at every start of the command line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from modelyard.core.project import SecretName
from modelyard.methods.data.files.limits import ArchiveLimits
from modelyard.methods.data.settings import text_of


def _marked(value: Any) -> Any:
    """`{secret: NAME}` as a SecretName, wherever it stands: as a mapping it would also be a block of options."""
    if not isinstance(value, Mapping):
        return value
    if set(value) == {"secret"} and isinstance(value["secret"], str):
        return SecretName(value["secret"])
    return {name: _marked(item) for name, item in value.items()}


Option = str | int | float | bool | SecretName | None
Options = Annotated[dict[str, Option | dict[str, Option | dict[str, Option]]], BeforeValidator(_marked)]
"""fsspec's options of a store, in blocks where it takes blocks (`client_kwargs`)."""
SECRET = re.compile(
    r"(^|_)(key|secret|token|password|passwd|sas|credential|credentials|connection_string)$", re.IGNORECASE
)


class Archive(BaseModel):
    """How much a zip or tar may hold before it is taken for a bomb; bytes are counted after decompression."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_members: int = Field(200_000, ge=1, le=10_000_000, description="files and folders in one archive")
    max_member_bytes: int = Field(1 << 32, ge=1, le=1 << 40, description="bytes of one file in it")
    max_total_bytes: int = Field(1 << 35, ge=1, le=1 << 42, description="bytes of all files in it")
    max_ratio: int = Field(200, ge=1, le=100_000, description="bytes after decompression to bytes before")

    def limits(self) -> ArchiveLimits:
        return ArchiveLimits(self.max_members, self.max_member_bytes, self.max_total_bytes, self.max_ratio)


def plain_secrets(options: Mapping[str, Any]) -> Iterator[str]:
    """Names of the options that hold a credential as it is, instead of naming a secret."""
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from plain_secrets(value)
        elif isinstance(value, str) and (SECRET.search(name) or holds_credential(value)):
            yield name


def holds_credential(url: str) -> bool:
    """Whether a URL bears a password or a key; a user's name alone is none in HDFS."""
    protocol, mark, rest = url.partition("://")
    user, at, _ = rest.partition("/")[0].rpartition("@")
    return bool(mark and at) and (":" in user or protocol.lower() not in ("hdfs", "webhdfs"))


def looked_up(options: Mapping[str, Any], secret: Callable[[str], str]) -> tuple[dict[str, Any], list[str]]:
    """Options with their secrets looked up, and the values of these, which no message may show."""
    found: dict[str, Any] = {}
    hidden: list[str] = []
    for name, value in options.items():
        if isinstance(value, Mapping):
            found[name], inner = looked_up(value, secret)
            hidden += inner
        elif isinstance(value, SecretName):
            found[name] = text_of(value, secret)
            hidden.append(found[name])
        else:
            found[name] = value
    return found, hidden
