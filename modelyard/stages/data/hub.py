"""Read a data set of the Hugging Face hub or of ModelScope, pinned, fetched file by file, each checked.

The revision is resolved to a commit, which identifies the rows; ModelScope names no commits, so there the digests of
the files do. Without `files` all files of one format are read, and the splits are those their names say. A fetch that
was killed goes on where it was. HF_ENDPOINT and MODELSCOPE_ENDPOINT name mirrors; with HF_HUB_OFFLINE nothing is asked
of any hub, and rows come from the hub's own cache on this machine if it has them. Loading scripts are never run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.base.canonical import Json
from modelyard.core.evidence import Claim
from modelyard.core.project import SecretName
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.data.settings import ColumnName, ColumnRoles, roles_of, text_of

if TYPE_CHECKING:
    from modelyard.methods.data.hubs.choosing import Chosen
    from modelyard.methods.data.hubs.repository import Repository

Pattern = Annotated[str, Field(min_length=1, max_length=500)]
Patterns = Pattern | list[Pattern]
COMMIT = r"^[0-9a-f]{40}$"


class _Where(BaseModel):
    """What is read. A base, so that it stands before the roles in the help."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hub: Literal["huggingface", "modelscope"] = Field("huggingface", description="which hub")
    id: str = Field(
        max_length=200,
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)?$",
        description="the data set: `owner/name`",
    )
    revision: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="commit, branch or tag; by default `main` (ModelScope: `master`)",
    )
    files: Pattern | list[Pattern] | dict[Literal["train", "validation", "test"], Pattern | list[Pattern]] | None = (
        Field(None, description="patterns of the files to read (`*` matches `/` too), or patterns for each split")
    )
    pin: str | None = Field(
        None, pattern="^sha256:[0-9a-f]{64}$", description="digest of the files' list; a run that finds another fails"
    )
    endpoint: str | None = Field(
        None, pattern=r"^https?://[^\s/]+", max_length=500, description="a mirror, instead of HF_ENDPOINT's or the hub"
    )
    token: SecretName | None = Field(None, description="`{secret: NAME}`, for private and gated data sets")


class Config(ColumnRoles, _Where):
    """Settings of data.hub."""

    labels: dict[str, str] = Field({}, description="name of each value of the label column: `{0: ham, 1: spam}`")
    columns: list[ColumnName] | None = Field(None, min_length=1, description="names instead of the header's")
    max_bytes: int = Field(10 << 30, ge=1, le=1 << 44, description="more than this in all is not fetched; bytes")

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        import re

        pinned = self.pin or (self.hub == "huggingface" and re.match(COMMIT, self.revision or ""))
        if self.token is not None and not pinned:
            raise ValueError(
                "with a `token` the rows must be named by what cannot change: `revision` a commit of 40 hex digits, or "
                "`pin` the digest of the files (give `pin: sha256:` and 64 zeros once: the error says the right one)"
            )
        if isinstance(self.files, dict) and "train" not in self.files:
            raise ValueError("`files` by split needs at least `train`")
        return self

    @property
    def named(self) -> str:
        """The revision that is asked for."""
        return self.revision or ("main" if self.hub == "huggingface" else "master")

    @property
    def wanted(self) -> str | Sequence[str] | dict[str, str | Sequence[str]] | None:
        """`files`, with splits as plain names."""
        if isinstance(self.files, dict):
            return {str(split): patterns for split, patterns in self.files.items()}
        return self.files


def run(config: Config, context: Context) -> None:
    from modelyard.base.messages import t
    from modelyard.methods.data.hubs.repository import offline
    from modelyard.methods.data.reading import Reading, read

    where = _repository(config)
    if offline():
        chosen, folder = _cached(config, where, context)
    else:
        chosen, folder = _fetched(config, where, context)
    if chosen.guessed:
        names = ", ".join(sorted(set(chosen.splits.values())))
        context.say(t("splits as the files' names say: {names}", names=names))
    reading = Reading(
        roles=roles_of(config),
        keep=config.keep,
        columns=config.columns,
        max_cell_bytes=config.max_cell_bytes,
        max_bad_fraction=config.max_bad_fraction,
        labels=config.labels,
    )
    outcome = read(
        chosen.sources(folder),
        reading,
        context.output("data"),
        context.output("rejected"),
        lambda done, total: context.progress(done, total, "bytes"),
    )
    for note in outcome.notes:
        context.say(note)
    rows, total = outcome.num_rows, outcome.num_rows + outcome.num_rejected
    context.measure("data.rows", rows, about="data", on="", n=rows, unit="rows", interval="exact")
    context.measure("data.rejected_rate", outcome.rejected_rate, about="data", on="", n=total, interval="exact")


def _fetched(config: Config, where: Repository, context: Context) -> tuple[Chosen, Path]:
    from modelyard.base.messages import t
    from modelyard.methods.data.hubs.choosing import choose
    from modelyard.methods.data.hubs.client import connect

    token = text_of(config.token, context.secret) if config.token else None
    folder = context.scratch() / "files"
    with connect(where, token, config.max_bytes) as client:
        found = client.snapshot(where, config.named)
        chosen = choose(found, config.wanted)
        chosen.check(config.pin, config.max_bytes)
        context.say(
            t(
                "{repository} at {revision}: {num:,} files, {size:,} bytes, pin {pin}",
                repository=where,
                revision=found.commit or found.revision,
                num=len(chosen.snapshot.files),
                size=chosen.snapshot.size,
                pin=chosen.snapshot.pin,
            )
        )
        client.download(chosen.snapshot, folder, lambda done, total: context.progress(done, total, "bytes"))
    return chosen, folder


def _cached(config: Config, where: Repository, context: Context) -> tuple[Chosen, Path]:
    from modelyard.base.messages import t
    from modelyard.methods.data.hubs.choosing import choose
    from modelyard.methods.data.hubs.local import cached_snapshot
    from modelyard.methods.data.hubs.repository import offline

    found, folder = cached_snapshot(where, config.named)
    context.say(
        t(
            "{variable} is set: nothing is asked of the hub; its cache has {commit}",
            variable=offline(),
            commit=found.commit,
        )
    )
    chosen = choose(found, config.wanted)
    if config.pin:
        context.say(t("`pin` is not checked: the cache does not keep what the hub listed"))
    return chosen, folder


def _repository(config: Config) -> Repository:
    from modelyard.methods.data.hubs.repository import Repository, endpoint_of

    return Repository(config.hub, "dataset", config.id, endpoint_of(config.hub, config.endpoint))


def fingerprint(config: Config, base: Path) -> Json:
    """The commit, or the pin, asked of the hub unless the settings name it."""
    from modelyard.methods.data.hubs.choosing import choose
    from modelyard.methods.data.hubs.client import connect
    from modelyard.methods.data.hubs.local import cached_snapshot
    from modelyard.methods.data.hubs.repository import COMMIT, offline

    where = _repository(config)
    if config.pin:
        return [config.hub, config.id, config.pin]
    if config.hub == "huggingface":
        if COMMIT.fullmatch(config.named):
            return [config.hub, config.id, config.named]
        if offline():
            return [config.hub, config.id, cached_snapshot(where, config.named)[0].commit]
    with connect(where, None, config.max_bytes) as client:
        if config.hub == "huggingface":
            return [config.hub, config.id, client.commit(where, config.named)]
        return [config.hub, config.id, choose(client.snapshot(where, config.named), config.wanted).snapshot.pin]


STAGE = Stage(
    config=Config,
    run=run,
    outputs={
        "data": Port("dataset", ("all",), description="the rows that can be used"),
        "rejected": Port("dataset", ("all",), side=True, description="the rows that cannot, with place and reason"),
    },
    claims=(
        Claim("data.rows", "rows read", "rows", better="none", subject="lineage", any_split=True),
        Claim(
            "data.rejected_rate",
            "share of the rows in the files that could not be used",
            better="lower",
            subject="lineage",
            any_split=True,
        ),
    ),
    libraries=("pyarrow", "charset-normalizer"),
    external=("id", "revision", "endpoint"),
    fingerprint=fingerprint,
)
