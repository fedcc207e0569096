"""The record: everything the platform knows about one model, as plain JSON. The report is a pure function of it.

Whoever holds the facts writes it (`record.json`); `parse` checks its shape and says every problem at once. Unknown
keys are kept out of the page and left in the JSON. Numbers that are not finite become null and are counted, so that
the page never shows one and the reader is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from modelyard.base.messages import t
from modelyard.errors import InputError, Problem
from modelyard.methods.reporting.finite import finite

VERSION = 1
CARD_STAGE = "report.card"


class _Part(BaseModel):
    """Part of a record. Null is the same as absent."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _absent(cls, value: Any) -> Any:
        return {key: item for key, item in value.items() if item is not None} if isinstance(value, Mapping) else value


class Model(_Part):
    """The model the card is about.

    Attributes:
        digest: of the model artifact; evidence about other digests is not shown as this model's.
        step: the step that made it.
        size_bytes: of all its files.
        parameters: how many numbers were learned, if known.
        card: content of `model.json`.
    """

    digest: str
    step: str = ""
    format: str = ""
    precision: str = ""
    task: str = ""
    labels: list[str] = Field(default_factory=list)
    licence: str = "unknown"
    size_bytes: int | None = None
    parameters: int | None = None
    card: dict[str, Any] = Field(default_factory=dict)


class Finding(_Part):
    """One rule's outcome. `rule` is its text (`quality.accuracy >= 0.8`)."""

    rule: str
    passed: bool
    reason: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None


class Decision(_Part):
    """What the gate said. `draft`: there were no rules."""

    state: Literal["draft", "released", "refused"]
    passed: bool
    findings: list[Finding] = Field(default_factory=list)


class Release(_Part):
    """`created` is ISO 8601 in UTC."""

    name: str
    version: int
    created: str | None = None


class Input(_Part):
    """An artifact a run read, and which splits of it. `from_step` is empty if no step of the project made it."""

    port: str
    digest: str
    splits: list[str] = Field(default_factory=list)
    from_step: str = ""


class Output(_Part):
    """An artifact a run made. `size` in bytes."""

    port: str
    digest: str
    kind: str = ""
    size: int | None = None


class Run(_Part):
    """One execution of a step. `code` is the digest of the stage's code, `key` of all that decides its outputs."""

    id: int | str | None = None
    step: str
    uses: str
    seed: int | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    key: str = ""
    code: str = ""
    libraries: dict[str, str | None] = Field(default_factory=dict)
    inputs: list[Input] = Field(default_factory=list)
    outputs: list[Output] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    seconds: float | None = None
    environment: dict[str, Any] = Field(default_factory=dict)


class Evidence(_Part):
    """A measurement. Without `low` and `high` and not `exact`, its uncertainty is unknown, and the page says so.

    Attributes:
        run: key of the run that measured; None if it is none of the record's runs.
        measured_by: the step of that run.
        task: of a model of several, where the sections of that task have taken it out of the slice.
    """

    claim: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    exact: bool = False
    n: int
    unit: str = ""
    subject: str
    subject_step: str = ""
    against: str = ""
    dataset: str = ""
    split: str = ""
    slice: dict[str, str] = Field(default_factory=dict)
    run: int | str | None = None
    measured_by: str = ""
    evaluator: str = ""
    withdrawn: str | None = None
    task: str = ""


class Claim(_Part):
    """What a claim means; `better` is the direction that is good."""

    description: str = ""
    unit: str = ""
    better: Literal["higher", "lower", "none"] = "none"


class Split(_Part):
    """`profile` is the data profiler's summary of the split."""

    rows: int | None = None
    profile: dict[str, Any] = Field(default_factory=dict)


class Column(_Part):
    name: str
    role: str = ""
    type: str = ""


class Data(_Part):
    """What the model learned from and was tested on.

    Attributes:
        step: the step whose data set this is.
        source: a path's name or a URL as the project states it, or an object with more.
        removed: reason to number of rows taken out before the split; nested by step is fine.
    """

    step: str = ""
    splits: dict[str, Split] = Field(default_factory=dict)
    columns: list[Column] = Field(default_factory=list)
    source: Any = None
    removed: dict[str, Any] = Field(default_factory=dict)


class Document(_Part):
    """Blocks that an evaluation wrote, unchecked (`methods/evaluation/blocks.py`).

    Attributes:
        step: that wrote it; `file` its name.
        problem: why the file could not be read; empty if it could.
    """

    step: str = ""
    file: str = ""
    family: Any = None
    title: Any = None
    blocks: Any = None
    problem: str = ""


class About(_Part):
    """What a person says of the model; shown as written.

    Attributes:
        intended_use, out_of_scope: what it is for, and what it is not for.
        owner, contact: who answers for it.
        title: heading of the page, instead of the record's own.
    """

    intended_use: str = ""
    out_of_scope: str = ""
    owner: str = ""
    contact: str = ""
    title: str = ""


Curve = list[tuple[float, float | None]]


class Seed(_Part):
    """A model of the same recipe: its seed, digest, and what it measured by `claim on split`."""

    seed: int
    model: str
    values: dict[str, float | None] = Field(default_factory=dict)


class Version(_Part):
    """What was measured of a claim on some test rows, of one version of the release; `task` is one of several."""

    claim: str
    task: str = ""
    dataset: str
    version: int
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    unit: str = ""


class Record(_Part):
    """The whole.

    Attributes:
        model: None if no step made one.
        curves: step name, then curve name, to points `[step, value]`.
        reports: step name to the JSON report that step wrote.
        documents: what evaluations show in blocks, in the order of the steps.
        about: the owner's words; without it, those in the settings of the step that made a card (`report.card`).
        openings: how often the test split was opened to measure; None if not counted.
        opened_models: for how many different models; None if not counted.
        seeds: models made the same way with other seeds, this one among them (its digest is `seeds_of`).
        history: what was measured of the versions of the release, where it has several.
        not_finite: places whose number was NaN or infinite (filled in by `parse`).
    """

    version: Literal[1]
    project: str
    title: str = ""
    model: Model | None = None
    decision: Decision | None = None
    release: Release | None = None
    runs: list[Run] = Field(default_factory=list)
    evidence: list[Evidence] = Field(default_factory=list)
    curves: dict[str, dict[str, Curve]] = Field(default_factory=dict)
    reports: dict[str, dict[str, Any]] = Field(default_factory=dict)
    documents: list[Document] = Field(default_factory=list)
    data: Data = Field(default_factory=Data)
    about: About | None = None
    openings: int | None = None
    opened_models: int | None = None
    seeds: list[Seed] = Field(default_factory=list)
    seeds_of: str = ""
    environment: dict[str, Any] = Field(default_factory=dict)
    claims: dict[str, Claim] = Field(default_factory=dict)
    history: list[Version] = Field(default_factory=list)
    not_finite: list[str] = Field(default_factory=list)

    def words_of_owner(self) -> About:
        """`about`, else what a card step's settings say, else nothing."""
        cards = [run.settings for run in self.runs if run.uses == CARD_STAGE]
        return self.about or (About.model_validate(cards[-1]) if cards else About())


def parse(value: Mapping[str, Any]) -> Record:
    """The record as frozen values. Raises InputError with every problem of its shape."""
    clean, places = finite(value)
    try:
        return Record.model_validate({**clean, "not_finite": places})
    except ValidationError as error:
        problems = [
            Problem(
                "record." + ".".join(str(part) for part in detail["loc"]),
                t("this part of the record cannot be read: {message}", message=detail["msg"]),
            )
            for detail in error.errors()
        ]
        raise InputError.of(problems) from None
