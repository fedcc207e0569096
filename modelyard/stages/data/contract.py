"""Check arriving data against a contract: types, ranges, categories, uniqueness, freshness, balance, drift.

Every rule is checked on every row in one go; each violation is a row of `violations`. The data goes on unchanged,
unless `on_violation` says otherwise. `modelyard data contract STEP` proposes the settings from data that is good. The
clock is no input: freshness is counted from `as_of` or from the newest moment of the `reference`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import ConfigDict, Field

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.data.account import CLAIMS
from modelyard.methods.data.contracts.settings import Contract

if TYPE_CHECKING:
    from modelyard.methods.data.contracts.outcome import Outcome


class Config(Contract):
    """Settings of data.contract."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    on_violation: Literal["measure", "fail", "remove_rows"] = Field(
        "measure", description="`measure`: count, and leave it to the release's rules; `fail`: stop here; "
        "`remove_rows`: rows that break a rule go to `removed`",
    )  # fmt: skip
    show_values: bool = Field(
        True, description="values in `violations` and errors (cut); false where they are personal"
    )
    examples: int = Field(3, ge=0, le=20, description="rows named in messages for each rule")


def run(config: Config, context: Context) -> None:
    import pyarrow as pa

    from modelyard.base.canonical import canonical_json
    from modelyard.methods.data.changes import ChangeLog
    from modelyard.methods.data.contracts.checking import Breaking, check
    from modelyard.methods.data.contracts.outcome import Violations
    from modelyard.methods.data.dataset import ROW_ID, Dataset, SplitWriter, write_schema

    data = Dataset.open(context.input("data"))
    reference = Dataset.open(context.input("reference")) if context.bound("reference") else None
    schema = next((batch.schema for batch in data.batches("all", rows=1)), data.table("all").schema)
    write_schema(context.output("data"), data.columns)
    with (
        Violations(context.output("violations"), config.examples, config.show_values) as violations,
        ChangeLog(context.output("removed")) as log,
        SplitWriter(context.output("data"), "all", schema) as writer,
    ):

        def keep(batch: pa.RecordBatch, breaking: Breaking) -> None:
            log.account.num_in += batch.num_rows
            if config.on_violation == "remove_rows" and breaking:
                for place, rules in sorted(breaking.items()):
                    row = batch.slice(place, 1).to_pylist()[0]
                    reason = rules[0].rpartition(": ")[2]
                    log.removed(row[ROW_ID], reason, "; ".join(rules), row)
                batch = batch.filter(pa.array([place not in breaking for place in range(batch.num_rows)]))
            log.kept(batch.num_rows)
            writer.write(batch)

        rules = Contract(**{name: getattr(config, name) for name in Contract.model_fields})
        outcome = check(
            data, rules, violations, context.scratch(), keep, reference,
            lambda done, total: context.progress(done, total, "rows"),
        )  # fmt: skip
    # What was measured is tied to the contract it was measured by: a rule mended in the project is judged anew.
    (context.output("violations") / "contract.json").write_bytes(canonical_json(rules.model_dump(mode="json")) + b"\n")
    for broken in outcome.broken:
        context.say(broken.line())
    if config.on_violation == "fail" and outcome.broken:
        _fail(outcome)
    log.account.tell(context)
    _measure(outcome, config, context)


def _fail(outcome: Outcome) -> None:
    """Raises InputError with every rule that is not kept."""
    from modelyard.base.messages import t
    from modelyard.errors import InputError, Problem

    remedy = t("mend the source; `on_violation: measure` keeps every violation as a row of `violations`")
    raise InputError.of(
        [
            Problem(item.column or "data.contract", item.line(values=True), item.expected, remedy)
            for item in outcome.broken
        ]
    )


def _measure(outcome: Outcome, config: Config, context: Context) -> None:
    from modelyard.base.messages import t
    from modelyard.methods.data.statistics.drift import psi_interval

    n = max(1, outcome.num_rows)
    for item in outcome.broken:
        part = {"rule": item.rule, **({"column": item.column} if item.column else {})}
        context.measure(
            "data.contract_violations", item.rows, about="data", on="violations", n=n, interval="exact", slice=part
        )  # fmt: skip
    context.measure(
        "data.contract_violations", outcome.num_violations, about="data", on="violations", n=n, interval="exact"
    )
    context.measure(
        "data.contract_rows_violating_rate",
        outcome.num_violating_rows / n,
        about="data",
        on="violations",
        n=n,
        interval="exact",
    )
    if outcome.freshness_days is not None:
        context.measure(
            "data.freshness_days",
            outcome.freshness_days,
            about="data",
            on="violations",
            n=n,
            unit="days",
            interval="exact",
        )
    if outcome.moved:
        greatest = outcome.moved[0]
        rows = min(greatest.num_reference, greatest.num_rows)
        ends = psi_interval(outcome.moved, context.seed)
        context.measure("data.drift_psi_max", greatest.psi, about="data", on="violations", n=rows, interval=ends)
        context.say(
            t(
                "moved most from the reference: `{column}`, PSI {psi:.3f} (by chance {chance:.3f}; n = {n:,})",
                column=greatest.column, psi=greatest.psi, chance=greatest.by_chance, n=rows,
            )
        )  # fmt: skip
    if not outcome.broken:
        context.say(t("the contract is kept: {n:,} rows, {rules:,} columns with rules", n=n, rules=len(config.columns)))


def _claim(name: str, description: str, unit: str = "") -> Claim:
    return Claim(f"data.{name}", description, unit, better="lower", subject="lineage", any_split=True)


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "data": Port("dataset", ("all",), description="rows as they arrive"),
        "reference": Port("dataset", ("all",), optional=True, side=True, description="earlier rows, to see drift from"),
    },
    outputs={
        "data": Port("dataset", ("all",), description="the rows, unchanged; without those removed"),
        "violations": Port(
            "dataset", ("all",), side=True, description="row id, rule, column, value, expected; and contract.json"
        ),
        "removed": Port("dataset", ("all",), side=True, description="rows removed, with the rule"),
    },
    claims=(
        *CLAIMS,
        _claim("contract_violations", "violations of the contract's rules: rows by rule, and rules about the data set"),
        _claim("contract_rows_violating_rate", "share of the rows that break a rule"),
        _claim("drift_psi_max", "greatest population stability index of a column against the reference"),
        _claim("freshness_days", "age of the newest row, from `as_of` or the reference's newest", "days"),
    ),
    libraries=("pyarrow", "numpy", "scipy"),
)
