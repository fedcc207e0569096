"""What every stage must keep, whoever wrote it: closed frozen settings, sound ports, and test data only to evaluate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from modelyard.base.messages import t
from modelyard.core.artifact import KINDS, SPLITS
from modelyard.core.stage import Stage
from modelyard.errors import Problem

EVALUATE = "evaluate."
CALIBRATE = "calibrate."
_PORT_KINDS = (*KINDS, "record")


def stage_problems(name: str, stage: Stage, where: str) -> list[Problem]:
    """Everything wrong with a stage's declaration. Its `name` begins with its family, which decides about test data."""
    return [
        *_config(stage, where),
        *_ports(stage, where),
        *_claims(stage, where),
        *_test_data(name, stage, where),
        *_calibration_data(name, stage, where),
    ]


def _config(stage: Stage, where: str) -> Iterator[Problem]:
    from pydantic import BaseModel

    expected = t('class Config(BaseModel): model_config = ConfigDict(frozen=True, extra="forbid")')
    config: object = stage.config
    if not (isinstance(config, type) and issubclass(config, BaseModel)):
        yield Problem(where, t("`config` is no pydantic model"), expected)
    elif not config.model_config.get("frozen") or config.model_config.get("extra") != "forbid":
        yield Problem(where, t("the stage's Config is not frozen and closed"), expected)
    elif stage.refresh and stage.refresh not in config.model_fields:
        yield Problem(where, t("`refresh` names the setting `{name}`, which there is not", name=stage.refresh))
    elif stage.release and stage.release not in config.model_fields:
        yield Problem(where, t("`release` names the setting `{name}`, which there is not", name=stage.release))
    run: object = stage.run
    if not callable(run):
        yield Problem(where, t("`run` cannot be called"), "def run(config: Config, context: Context) -> None")


def _ports(stage: Stage, where: str) -> Iterator[Problem]:
    for name, port in {**stage.inputs, **stage.outputs}.items():
        if port.kind not in _PORT_KINDS:
            yield Problem(
                where, t("the port `{port}` is of kind `{kind}`", port=name, kind=port.kind), ", ".join(KINDS)
            )
        unknown = [split for split in port.splits if split not in SPLITS]
        if unknown:
            found = t("the port `{port}` names the split `{split}`", port=name, split=unknown[0])
            yield Problem(where, found, ", ".join(SPLITS))
    for name, port in stage.outputs.items():
        if port.kind == "record":
            yield Problem(where, t("the output `{port}` is of kind `record`", port=name), t("records are the engine's"))


def _claims(stage: Stage, where: str) -> Iterator[Problem]:
    for name, count in Counter(claim.name for claim in stage.claims).items():
        if count > 1:
            yield Problem(where, t("the claim `{claim}` is declared {count} times", claim=name, count=count))
        if "." not in name:
            yield Problem(where, t("the claim `{claim}` has no family", claim=name), "family.quantity")


def _test_data(name: str, stage: Stage, where: str) -> Iterator[Problem]:
    seen = [port for port, item in stage.inputs.items() if "test" in item.splits]
    if not seen:
        return
    if not name.startswith(EVALUATE):
        yield Problem(
            where,
            t("the input `{port}` asks for the split test", port=seen[0]),
            t("only stages named evaluate.* see test data: what learns from it cannot be measured on it"),
            t("take train or validation; or, if it only measures, keep it in a folder `evaluate`"),
        )
    for port, item in stage.outputs.items():
        # A model on the side is what somebody else answered to test rows: held_out.py lets it be measured, no more.
        leaks = (item.kind == "model" and not item.side) or (item.kind == "dataset" and set(item.splits) - {"test"})
        if leaks:
            yield Problem(
                where,
                t("the output `{port}` is made by a stage that sees test data", port=port),
                t("reports, data sets of the split test, and models on the side, which only evaluate.* may take"),
            )


def _calibration_data(name: str, stage: Stage, where: str) -> Iterator[Problem]:
    """Rows a model was trained or chosen on make it look surer than it is, so nothing else may learn from these."""
    seen = [port for port, item in stage.inputs.items() if "calibration" in item.splits]
    if seen and not name.startswith(CALIBRATE):
        yield Problem(
            where,
            t("the input `{port}` asks for the split calibration", port=seen[0]),
            t("only stages named calibrate.* see it: how sure a model is must be fitted on rows it did not learn from"),
            t("take train or validation; or, if it calibrates, keep it in a folder `calibrate`"),
        )
